//! apt takes the packages' directory for a repository, from a disk and from a web server.

use std::process::Command;

use kube_bundle::hash::Sha256;

use crate::harness::{Run, Workspace, files, has};
use crate::packages::{NAMES, built};
use crate::server::{Reply, Server};

fn apt(workspace: &Workspace, source: &str, program: &str, arguments: &[&str]) -> Run {
    apt_with(workspace, "trusted=yes", source, program, arguments)
}

/// apt with directories of its own, which needs no root and touches nothing of this machine's. `options` are those of
/// sources.list(5).
pub(crate) fn apt_with(workspace: &Workspace, options: &str, source: &str, program: &str, arguments: &[&str]) -> Run {
    let directories =
        ["state/lists/partial", "cache/archives/partial", "etc/preferences.d", "etc/apt.conf.d", "etc/trusted.gpg.d"];
    for directory in directories {
        std::fs::create_dir_all(workspace.path("apt").join(directory)).unwrap();
    }
    workspace.write("apt/status", "");
    let root = workspace.path("apt").display().to_string();
    workspace.write("apt/sources", format!("deb [{options}] {source} ./\n"));
    let settings = [
        format!("Dir::State={root}/state"),
        format!("Dir::State::status={root}/status"),
        format!("Dir::Cache={root}/cache"),
        format!("Dir::Etc={root}/etc"),
        format!("Dir::Etc::sourcelist={root}/sources"),
        "Dir::Etc::sourceparts=-".to_owned(),
        "APT::Architecture=amd64".to_owned(),
        "APT::Sandbox::User=".to_owned(),
        "Acquire::http::Proxy=DIRECT".to_owned(),
        "Acquire::Languages=none".to_owned(),
    ];
    let mut command = Command::new(program);
    command.args(settings.iter().flat_map(|option| ["-o", option])).args(arguments).env("LC_ALL", "C");
    Run::from(command.current_dir(workspace.path("apt")).output().unwrap())
}

#[test]
fn apt_takes_the_directory_for_a_repository() {
    if !has("apt-get") {
        return;
    }
    let workspace = built();
    let source = format!("file:{}", workspace.path("out/small/deb").display());
    let update = apt(&workspace, &source, "apt-get", &["update"]).success();
    assert!(!update.stdout.contains("Err:") && update.stderr.is_empty(), "{update:?}");
    let policy = apt(&workspace, &source, "apt-cache", &["policy", "small-only"]).success().stdout;
    assert!(policy.contains("Candidate: 1.16.0-1"), "{policy}");
    let plan = apt(&workspace, &source, "apt-get", &["--simulate", "install", "small-only"]).success().stdout;
    for name in NAMES {
        assert!(plan.contains(&format!("Inst {name} (1.16.0-")), "{plan}");
    }
    // apt compares every file with the lists, and the lists with Release.
    let changed = workspace.text("out/small/deb/Packages").replace("Priority: optional", "Priority: required");
    workspace.write("out/small/deb/Packages", changed);
    std::fs::remove_file(workspace.path("out/small/deb/Packages.gz")).unwrap();
    std::fs::remove_dir_all(workspace.path("out/small/deb/by-hash")).unwrap();
    std::fs::remove_dir_all(workspace.path("apt")).unwrap();
    assert_ne!(apt(&workspace, &source, "apt-get", &["update", "-o", "APT::Update::Error-Mode=any"]).code, Some(0));
}

#[test]
fn apt_fetches_from_any_web_server_and_refuses_another_file() {
    if !has("apt-get") {
        return;
    }
    let workspace = built();
    let mut served = files(&workspace.path("out/small/deb"));
    // Lists by their digests are what apt asks for; a server that has an older one under the plain name does no harm.
    served.get_mut("Packages.gz").unwrap().1 = b"an older one".to_vec();
    served.get_mut("Packages").unwrap().1 = b"an older one".to_vec();
    let broken =
        workspace.package("out/small", "kube-bundle-kubectl").file_name().unwrap().to_string_lossy().into_owned();
    served.get_mut(&broken).unwrap().1[4000] ^= 1;
    let mirror = Server::start(move |request| {
        let path = request.path.trim_start_matches('/').trim_start_matches("./");
        match served.get(path) {
            Some((_, bytes)) => Reply::file(request, bytes, "\"one\""),
            None => Reply::new(404, b""),
        }
    });
    let update = apt(&workspace, &mirror.url(), "apt-get", &["update"]).success();
    assert!(!update.stdout.contains("Err:") && update.stderr.is_empty(), "{update:?}");
    apt(&workspace, &mirror.url(), "apt-get", &["download", "kube-bundle-kube-scheduler"]).success();
    assert_eq!(
        std::fs::read(workspace.path("apt/kube-bundle-kube-scheduler_1.16.0-1_amd64.deb")).unwrap(),
        std::fs::read(workspace.package("out/small", "kube-bundle-kube-scheduler")).unwrap()
    );
    assert_ne!(apt(&workspace, &mirror.url(), "apt-get", &["download", "kube-bundle-kubectl"]).code, Some(0));
}

#[test]
fn the_lists_name_each_package_with_its_size_and_digest() {
    let workspace = built();
    let packages = workspace.text("out/small/deb/Packages");
    assert_eq!(packages.matches("Package: ").count(), 5);
    for name in NAMES {
        let package = workspace.package("out/small", name);
        let bytes = std::fs::read(&package).unwrap();
        let file = package.file_name().unwrap().to_string_lossy().into_owned();
        let lines = format!("Filename: ./{file}\nSize: {}\nSHA256: {}\n", bytes.len(), Sha256::of(&bytes));
        assert!(packages.contains(&lines), "{lines} in:\n{packages}");
    }
    let release = workspace.text("out/small/deb/Release");
    for list in ["Packages", "Packages.gz"] {
        let bytes = workspace.read(&format!("out/small/deb/{list}"));
        let digest = Sha256::of(&bytes).to_string();
        assert!(release.contains(&format!(" {digest} {} {list}\n", bytes.len())), "{release}");
        assert_eq!(workspace.read(&format!("out/small/deb/by-hash/SHA256/{digest}")), bytes);
    }
}
