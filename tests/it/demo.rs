//! The first command a newcomer types works with no network and no files, and says what it is.

use crate::harness::{Run, Workspace, files};

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
        eprintln!("left out: a network namespace can't be made here");
        return;
    }
    let program = workspace.command(&[]).get_program().to_string_lossy().into_owned();
    Run::from(unshare(&[&program, "demo"]).unwrap()).success().says(&["There is no loopback network here"]);
    workspace.run(&["verify", "out/demo", "--deep"]).success();
}

#[test]
fn a_stand_in_runs_and_says_that_it_is_none() {
    let workspace = Workspace::new();
    workspace.run(&["demo", "-q"]).success();
    let archive = workspace.path("out/demo/nodes/master-1/roc-master-1-v1.16.0-amd64.tar.gz");
    crate::harness::tool(
        "tar",
        &["-xzf", &archive.display().to_string(), "-C", &workspace.path("").display().to_string()],
    );
    let program = workspace.path("roc-master-1-v1.16.0-amd64/root/usr/local/bin/kube-apiserver");
    let output = std::process::Command::new(program).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stderr, b"kube-apiserver: a stand-in made by `kube-bundle demo`, not Kubernetes\n");
}

#[test]
fn two_demos_differ_only_in_what_is_drawn() {
    let names = |workspace: &Workspace| {
        workspace.run(&["demo", "-q"]).success();
        files(&workspace.path("out/demo")).into_keys().collect::<Vec<_>>()
    };
    assert_eq!(names(&Workspace::new()), names(&Workspace::new()));
}
