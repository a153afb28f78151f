//! A bundle explains itself to somebody who has it on a stick and nothing else.

use std::fs;

use crate::harness::{Workspace, has, tool};

const TEXTS: [&str; 2] = ["README.txt", "README.zh-CN.txt"];
const PAGES: [&str; 2] = ["index.html", "index.zh-CN.html"];

fn built() -> Workspace {
    let workspace = Workspace::worker();
    workspace.run(&["build", "--offline", "--from", "files", "--format", "tarball,deb,nocloud"]).success();
    workspace
}

fn read(workspace: &Workspace, name: &str) -> String {
    fs::read_to_string(workspace.path(&format!("out/small/{name}"))).unwrap()
}

/// What stands in backticks, and is a path in the bundle.
fn paths(text: &str) -> Vec<&str> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.filter(|word| ["nodes/", "deb/"].iter().any(|start| word.starts_with(start))).collect()
}

/// The lines that are to be typed.
fn commands(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.starts_with("    ")).collect()
}

#[test]
fn every_file_that_a_guide_names_is_in_the_bundle() {
    let workspace = built();
    for name in TEXTS {
        let text = read(&workspace, name);
        let paths = paths(&text);
        assert!(paths.iter().any(|path| path.ends_with(".tar.gz")), "{text}");
        assert!(paths.iter().any(|path| path.starts_with("deb/small-only_")), "{text}");
        assert!(paths.iter().any(|path| path.ends_with("cidata.iso")), "{text}");
        for path in paths {
            assert!(workspace.path(&format!("out/small/{path}")).exists(), "{name} names `{path}`");
        }
        assert!(text.contains("192.0.2.1") && text.contains("front-proxy-ca"), "{text}");
        for needed in ["`recipe`", "public.SHA256SUMS", "`/tmp`", "tar -xpzf NAME.tar.gz"] {
            assert!(text.contains(needed), "no {needed} in {text}");
        }
    }
}

#[test]
fn both_languages_give_the_same_commands_and_name_the_same_files() {
    let workspace = built();
    let [english, chinese] = TEXTS.map(|name| read(&workspace, name));
    assert!(commands(&english).len() > 8, "{english}");
    assert_eq!(commands(&english), commands(&chinese));
    assert_eq!(paths(&english), paths(&chinese));
}

#[test]
fn a_guide_begins_with_the_etcd_that_others_install_and_names_all_that_ends() {
    let workspace = built();
    let text = read(&workspace, "README.txt");
    assert!(text.contains("\n1. etcd at 192.0.2.1, which") && text.contains("\n2. only (master, worker)"), "{text}");
    let ends = text.split("## What expires when").nth(1).unwrap();
    assert!(ends.lines().nth(4).unwrap().starts_with("| bootstrap-token"), "it ends first: {ends}");
    assert!(!text.contains("kube-etcd"), "no machine here has it: {text}");
    let workspace = Workspace::stacked();
    workspace.run(&["build", "--offline", "--from", "files"]).success();
    let text = read(&workspace, "README.txt");
    assert!(text.contains("\n1. only (etcd, master)") && text.contains("`kube-etcd status`"), "{text}");
}

#[test]
fn a_page_is_one_file_without_scripts_and_outside_links() {
    let workspace = built();
    for name in PAGES {
        let page = read(&workspace, name);
        for word in ["<script", "src=", "@import", "url("] {
            assert!(!page.contains(word), "{name} has {word}");
        }
        for link in page.split("href=\"").skip(1) {
            let target = link.split('"').next().unwrap();
            assert!(PAGES.contains(&target), "{name} links to {target}");
        }
        assert!(page.contains("<svg") && page.contains(">only</text>"), "the picture shows the machine");
    }
}

#[test]
fn an_archive_carried_alone_is_checked_before_it_is_unpacked() {
    if !has("sha256sum") {
        return;
    }
    let workspace = built();
    let directory = workspace.path("out/small/nodes/only");
    let list = "small-only-v1.16.0-amd64.tar.gz.sha256";
    let check = format!("cd '{}' && sha256sum --check {list}", directory.display());
    assert!(tool("sh", &["-c", &check]).ends_with("amd64.tar.gz: OK\n"));
    let archive = directory.join(list.trim_end_matches(".sha256"));
    let mut bytes = fs::read(&archive).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&archive, bytes).unwrap();
    assert!(tool("sh", &["-c", &format!("({check}) 2>&1 || true")]).contains("FAILED"));
}

#[test]
fn archives_and_seeds_say_what_to_do_with_them() {
    let workspace = built();
    let archive = "out/small/nodes/only/small-only-v1.16.0-amd64.tar.gz";
    for artifact in [archive, "out/small/nodes/only/cidata.iso"] {
        assert!(workspace.run(&["inspect", artifact]).success().stdout.contains("README.txt"), "{artifact}");
    }
    let text = fs::read_to_string(workspace.path("out/small/nodes/only/nocloud/README.txt")).unwrap();
    assert!(text.starts_with("only (192.0.2.1), cluster small") && text.contains("cloud-init status"), "{text}");
}

#[test]
fn an_administrator_gets_the_kubectl_of_this_version() {
    use std::os::unix::fs::PermissionsExt as _;
    let workspace = built();
    let mode = fs::metadata(workspace.path("out/small/operator/kubectl")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
}
