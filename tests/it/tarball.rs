//! Components come out of a release tarball, whatever is wrong with it, right or not at all.

use kube_bundle::hash::Sha256;

use crate::fetch::{SIZE, assert_whole, fetch};
use crate::harness::{COMPONENTS, Workspace, program};
use crate::server::{Reply, Server};

/// A release tarball with the four components and more.
fn archive(kubectl: &[u8]) -> Vec<u8> {
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o755);
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, format!("kubernetes/server/bin/{name}"), bytes).unwrap();
    };
    for name in ["kube-apiserver", "kube-controller-manager", "kube-scheduler"] {
        add(name, &program(name, SIZE));
    }
    add("kubectl", kubectl);
    add("kube-apiserver.tar", &program("an image", 2 * SIZE));
    tar.into_inner().unwrap().finish().unwrap()
}

/// A recipe that knows the archive's digest, and kubectl's.
fn archive_recipe(url: &str, archive: &[u8]) -> String {
    let mut hasher = kube_bundle::hash::Pin::Sha512("0".repeat(128).parse().unwrap()).hasher();
    hasher.update(archive);
    let pin = hasher.finish().to_string();
    let mut recipe = format!(
        "[archives.server]\nurls = [\"{url}/server.tar.gz\"]\nsha512 = \"{}\"\nsources = [\"a test\"]\n",
        pin.trim_start_matches("sha512:")
    );
    for name in COMPONENTS {
        recipe += &format!("[components.{name}]\narchive = \"server\"\nmember = \"kubernetes/server/bin/{name}\"\n");
    }
    recipe + &format!("sha256 = \"{}\"\n", Sha256::of(&program("kubectl", SIZE)))
}

#[test]
fn components_come_out_of_the_release_tarball_while_it_streams() {
    let bytes = archive(&program("kubectl", SIZE));
    let content = bytes.clone();
    let server = Server::start(move |request| {
        let whole = Reply::file(request, &content, "\"same\"");
        if request.before == 0 { whole.cut(content.len() / 2) } else { whole }
    });
    let workspace = Workspace::small(SIZE);
    workspace.recipe(&archive_recipe(&server.url(), &bytes));
    fetch(&workspace).success();
    assert_whole(&workspace);
    assert_eq!(server.requests().len(), 2, "cut once, resumed once, and not fetched again offline");
}

#[test]
fn a_tarball_with_other_bytes_yields_nothing() {
    let bytes = archive(&program("kubectl", SIZE));
    let server = Server::start(|_| Reply::new(200, &archive(&program("malware", SIZE))));
    let workspace = Workspace::small(SIZE);
    workspace.recipe(&archive_recipe(&server.url(), &bytes));
    fetch(&workspace).exits(3).says(&["expected sha512:"]);
    assert!(workspace.blobs().is_empty());
}

#[test]
fn two_published_digests_that_contradict_each_other_stop_the_build() {
    let bytes = archive(&program("another kubectl", SIZE));
    let content = bytes.clone();
    let server = Server::start(move |request| Reply::file(request, &content, "\"same\""));
    let workspace = Workspace::small(SIZE);
    workspace.recipe(&archive_recipe(&server.url(), &bytes));
    fetch(&workspace).exits(3).says(&["`kubectl` from `server.tar.gz` is not the published one"]);
}
