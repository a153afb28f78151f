//! `kill -9` at any moment costs time and nothing else.

use std::process::{Child, Stdio};
use std::time::Duration;

use kube_bundle::hash::Sha256;

use crate::harness::{COMPONENTS, Workspace, component, files, program};
use crate::server::{Reply, Server};

const SIZE: usize = 400_000;

/// Waits until a child has come as far as `so_far` says, however busy the machine is, or has ended.
fn wait_until(child: &mut Child, so_far: impl Fn() -> bool) {
    while !so_far() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_fetch_killed_again_and_again_ends_in_the_right_bytes() {
    let server = Server::start(|request| {
        let body = program(request.path.trim_start_matches('/'), SIZE);
        Reply { drip: Some(10_000), ..Reply::file(request, &body, "\"same\"") }
    });
    let workspace = Workspace::small(SIZE);
    let components: Vec<_> =
        COMPONENTS.iter().map(|name| component(name, &server.url(), &program(name, SIZE))).collect();
    workspace.recipe(&components.concat());
    for round in 0..12 {
        let mut child = workspace.command(&["fetch"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // The first ones are killed while they start, the others once bytes of a file are there.
        let partial = workspace.path("cache/kube-bundle/partial");
        let has_bytes =
            || files(&partial).iter().any(|(name, (_, bytes))| name.ends_with(".part") && !bytes.is_empty());
        wait_until(&mut child, || round < 2 || has_bytes());
        std::thread::sleep(Duration::from_millis(17 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        // What stands under a digest's name is what the name says, at every moment.
        for (path, (_, bytes)) in files(&workspace.path("cache/kube-bundle/blobs")) {
            assert!(path.ends_with(&Sha256::of(&bytes).to_string()));
        }
    }
    workspace.run(&["fetch"]).success();
    assert_eq!(workspace.blobs().len(), 4);
    assert!(server.requests().iter().any(|request| request.headers.contains_key("range")), "nothing was resumed");
    workspace.run(&["build", "--offline"]).success();
    assert!(files(&workspace.path("cache/kube-bundle/tmp")).is_empty());
}

#[test]
fn a_build_killed_at_any_moment_leaves_the_old_output_and_the_next_one_goes_on() {
    let workspace = Workspace::small(3_000_000);
    workspace.build().success();
    let before = files(&workspace.path("out/small"));
    let mut killed = 0;
    for round in 0..12 {
        // Another output than before, so that a half-written one would show.
        workspace.write("recipe/roles/master/manifests/kubelet-bootstrap.yaml", format!("# round {round}\n"));
        let mut child =
            workspace.command(&["build", "--offline"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_until(&mut child, || round < 2 || workspace.path("out/.small.building").exists());
        std::thread::sleep(Duration::from_millis(5 + 9 * round));
        child.kill().unwrap();
        let done = child.wait().unwrap().success();
        workspace.run(&["verify", "out/small", "--deep"]).success();
        if !done && files(&workspace.path("out/small")) == before {
            killed += 1;
        }
        if done {
            break;
        }
    }
    assert!(killed > 0, "no kill came in time");
    workspace.run(&["build", "--offline"]).success();
    workspace.run(&["verify", "out/small", "--deep"]).success();
    let beside: Vec<_> =
        std::fs::read_dir(workspace.path("out")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(beside, ["small"]);
}

#[test]
fn a_pki_killed_while_it_is_made_is_completed_by_the_next_build() {
    let workspace = Workspace::small(1000);
    workspace.edit("cluster.toml", "ecdsa-p256", "rsa-2048");
    for round in 0..6 {
        let mut child = workspace
            .command(&["build", "--offline", "--from", "files"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_until(&mut child, || files(&workspace.path("pki")).len() >= 2 * round);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    workspace.build().success();
    workspace.run(&["verify", "out/small", "--deep"]).success();
    let status = workspace.run(&["pki", "status"]).success().stdout;
    assert!(!status.contains("missing") && !status.contains("reissues"), "{status}");
}
