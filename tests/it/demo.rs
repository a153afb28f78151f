//! The first command a newcomer types works with no network and no files, and says what it is.

use std::collections::BTreeMap;

use crate::harness::{Run, Workspace, files, left_out, tool};

#[test]
fn the_demo_builds_verifies_and_says_what_to_do_next() {
    let workspace = Workspace::new();
    // A proxy of the environment must not come between the demo and its own mirror.
    let output = workspace.command(&["demo"]).env("http_proxy", "http://127.0.0.1:1").output().unwrap();
    let run = Run::from(output).success();
    assert_eq!(run.stdout.lines().count(), 4);
    let run = run.says(&[
        "stand-in programs instead of Kubernetes",
        "inside the archives too",
        "this bundle starts no cluster",
        "kube-bundle init, edit cluster.toml, kube-bundle build",
    ]);
    for line in run.stdout.lines() {
        assert!(workspace.path(line).is_file(), "{line}");
    }
    workspace.run(&["verify", "out/demo", "--deep"]).success();
    // Nothing but the bundle is left, and a second demo replaces the first.
    let beside: Vec<_> =
        std::fs::read_dir(workspace.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(beside, ["out"]);
    workspace.run(&["demo", "-o", "out/demo"]).success();
}

#[test]
fn the_demo_runs_where_not_even_loopback_is_up() {
    let workspace = Workspace::new();
    let unshare = |args: &[&str]| {
        std::process::Command::new("unshare").arg("-rn").args(args).current_dir(workspace.path("")).output()
    };
    if !unshare(&["true"]).is_ok_and(|output| output.status.success()) {
        left_out("no network namespace can be made here");
        return;
    }
    let program = workspace.command(&[]).get_program().to_string_lossy().into_owned();
    Run::from(unshare(&[&program, "demo"]).unwrap()).success().says(&["There is no loopback network here"]);
    workspace.run(&["verify", "out/demo", "--deep"]).success();
}

#[test]
fn the_demo_needs_no_directory_for_temporary_files() {
    let workspace = Workspace::new();
    let output = workspace.command(&["demo", "-q"]).env("TMPDIR", workspace.path("none")).output().unwrap();
    Run::from(output).success();
    let left = std::fs::read_dir(workspace.path("")).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(left.collect::<Vec<_>>(), ["out"]);
}

#[test]
fn a_stand_in_runs_and_says_that_it_is_none() {
    let workspace = Workspace::new();
    workspace.run(&["demo", "-q"]).success();
    let archive = workspace.path("out/demo/nodes/master-1/roc-master-1-v1.16.0-amd64.tar.gz");
    tool("tar", &["-xzf", &archive.display().to_string(), "-C", &workspace.path("").display().to_string()]);
    let program = workspace.path("roc-master-1-v1.16.0-amd64/root/usr/local/bin/kube-apiserver");
    let output = std::process::Command::new(program).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stderr, b"kube-apiserver: a stand-in made by `kube-bundle demo`, not Kubernetes\n");
}

/// All that a demo writes, and what is inside its archive.
fn demo() -> BTreeMap<String, Vec<u8>> {
    let workspace = Workspace::new();
    workspace.run(&["demo", "-q"]).success();
    let archive = workspace.path("out/demo/nodes/master-1/roc-master-1-v1.16.0-amd64.tar.gz").display().to_string();
    std::fs::create_dir_all(workspace.path("inside")).unwrap();
    let inside = workspace.path("inside").display().to_string();
    tool("tar", &["-xzf", &archive, "-C", &inside, "--strip-components=1"]);
    let found = [("out/demo", ""), ("inside", "inside/")].map(|(directory, prefix)| {
        files(&workspace.path(directory)).into_iter().map(move |(name, (_, bytes))| (format!("{prefix}{name}"), bytes))
    });
    found.into_iter().flatten().collect()
}

#[test]
fn two_demos_differ_only_in_what_is_drawn() {
    let (one, other) = (demo(), demo());
    assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    let holds_what_is_drawn = |name: &str| {
        let is_drawn =
            [".pem", ".kubeconfig", "bootstrap-kubeconfig", "bootstrap-token.yaml", "encryption-config.yaml"];
        // These hold the former, or their digests.
        let holds = [
            ".tar.gz",
            "manifest.json",
            "bundle.index",
            "sbom.cdx.json",
            "sbom.spdx.json",
            "SHA256SUMS",
            "inside/FILES",
            "inside/bundle.conf",
            ".sha256",
            "README.txt",
            "README.zh-CN.txt",
            ".html",
        ];
        is_drawn.iter().chain(&holds).any(|end| name.ends_with(end))
    };
    for (name, bytes) in &one {
        assert!(*bytes == other[name] || holds_what_is_drawn(name), "{name} differs");
    }
    let keys: Vec<_> = one.keys().filter(|name| name.ends_with("-key.pem")).collect();
    assert!(keys.len() >= 5, "{keys:?}");
    for name in keys {
        assert!(one[name] != other[name], "{name} is the same in both");
    }
}
