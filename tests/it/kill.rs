//! `kill -9` at any moment costs time and nothing else.

use std::process::Stdio;
use std::time::Duration;

use kube_bundle::hash::Sha256;

use crate::harness::{Bench, COMPONENTS, component, files, program};
use crate::server::{Reply, Server};

const SIZE: usize = 400_000;

#[test]
fn a_fetch_killed_again_and_again_ends_in_the_right_bytes() {
    let server = Server::start(|request| {
        let body = program(request.path.trim_start_matches('/'), SIZE);
        Reply { drip: Some(10_000), ..Reply::file(request, &body, "\"same\"") }
    });
    let bench = Bench::small(SIZE);
    let components: Vec<_> =
        COMPONENTS.iter().map(|name| component(name, &server.url(), &program(name, SIZE))).collect();
    bench.recipe(&components.concat());
    for round in 0..12 {
        let mut child = bench.command(&["fetch"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(20 + 17 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        // What stands under a digest's name is what the name says, at every moment.
        for (path, (_, bytes)) in files(&bench.path("cache/kube-bundle/blobs")) {
            assert!(path.ends_with(&Sha256::of(&bytes).to_string()));
        }
    }
    bench.run(&["fetch"]).success();
    assert_eq!(bench.blobs().len(), 4);
    assert!(server.requests().iter().any(|request| request.headers.contains_key("range")), "nothing was resumed");
    bench.run(&["build", "--offline"]).success();
    assert!(files(&bench.path("cache/kube-bundle/tmp")).is_empty());
}

#[test]
fn a_build_killed_at_any_moment_leaves_the_old_output_and_the_next_one_goes_on() {
    let bench = Bench::small(3_000_000);
    bench.build().success();
    let before = files(&bench.path("out/small"));
    let mut killed = 0;
    for round in 0..12 {
        // Another output than before, so that a half-written one would show.
        bench.write("recipe/manifests/kubelet-bootstrap.yaml", format!("# round {round}\n"));
        let mut child =
            bench.command(&["build", "--offline"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(5 + 9 * round));
        child.kill().unwrap();
        let done = child.wait().unwrap().success();
        bench.run(&["verify", "out/small", "--deep"]).success();
        if !done && files(&bench.path("out/small")) == before {
            killed += 1;
        }
        if done {
            break;
        }
    }
    assert!(killed > 0, "no kill came in time");
    bench.run(&["build", "--offline"]).success();
    bench.run(&["verify", "out/small", "--deep"]).success();
    let beside: Vec<_> =
        std::fs::read_dir(bench.path("out")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(beside, ["small"]);
}

#[test]
fn a_pki_killed_while_it_is_made_is_completed_by_the_next_build() {
    let bench = Bench::small(1000);
    bench.edit("cluster.toml", "ecdsa-p256", "rsa-2048");
    for round in 0..6 {
        let mut child = bench
            .command(&["build", "--offline", "--from", "files"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(60 + 120 * round));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    bench.build().success();
    bench.run(&["verify", "out/small", "--deep"]).success();
    let status = bench.run(&["pki", "status"]).success().stdout;
    assert!(!status.contains("missing") && !status.contains("reissues"), "{status}");
}
