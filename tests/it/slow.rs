//! A slow server is waited for, and one that never comes to an end is not.

use std::time::Duration;

use kube_bundle::fetch::{self, Policy, Sources, Store};
use kube_bundle::hash::{Pin, Sha256};
use kube_bundle::plan::Download;
use kube_bundle::plan::downloads::{Content, Member};
use kube_bundle::progress::Quiet;
use kube_bundle::recipe::component::Kind;

use crate::fetch::{SIZE, assert_whole, fetch, server, user};
use crate::harness::{Run, Workspace, program};
use crate::server::{Reply, Server};

#[test]
fn a_server_that_falls_silent_is_left_and_tried_again() {
    let server = server(|request, body| match request.before {
        0 => Reply { stall: Duration::from_secs(3), ..Reply::file(request, body, "\"same\"").cut(1000) },
        _ => Reply::file(request, body, "\"same\""),
    });
    let workspace = user(&server.url());
    fetch(&workspace).success().says(&["nothing arrived in time"]);
    assert_whole(&workspace);
}

/// Fetches from `slow` first, where every file is, and from `good` then.
fn fetch_past(slow: &Server, good: &Server) -> Run {
    let workspace = user(&good.url());
    let run = workspace.run(&["fetch", "--timeout", "1", "--retries", "1", "--from", &slow.url()]).success();
    assert_whole(&workspace);
    assert!(good.requests().iter().any(|request| request.path == "/kubectl"), "the next source was never asked");
    run
}

#[test]
fn a_server_that_trickles_is_given_up_for_the_next_source() {
    let slow = server(|request, body| Reply {
        drip: Some(100),
        pause: Duration::from_millis(200),
        ..Reply::file(request, body, "\"same\"")
    });
    let good = server(|request, body| Reply::file(request, body, "\"same\""));
    fetch_past(&slow, &good).says(&["fewer than 1024 bytes a second arrived for 1 s", "(attempts: 2)"]);
}

#[test]
fn a_server_that_gives_a_byte_for_each_connection_is_given_up_for_the_next_source() {
    // It goes on like this for ten connections, so that the test ends even if nobody gives up.
    let slow = server(|request, body| {
        let whole = Reply::file(request, body, "\"same\"");
        if request.before < 10 { whole.cut(1) } else { whole }
    });
    let good = server(|request, body| Reply::file(request, body, "\"same\""));
    fetch_past(&slow, &good).says(&["the connection broke", "(attempts: 2)"]);
}

#[test]
fn a_slow_server_is_waited_for() {
    // 2,000 bytes a second for the last three seconds; the floor is 1,024.
    let server = server(|request, body| {
        let whole = Reply::file(request, body, "\"same\"");
        match request.before {
            0 => whole.cut(SIZE - 6000),
            _ => Reply { drip: Some(400), pause: Duration::from_millis(200), ..whole },
        }
    });
    let workspace = user(&server.url());
    workspace.run(&["fetch", "--timeout", "1", "--retries", "1"]).success();
    assert_whole(&workspace);
    assert_eq!(server.requests().iter().filter(|request| request.path == "/kubectl").count(), 2);
}

#[test]
fn a_download_has_an_end_however_steady_it_is() {
    let server =
        server(|_, body| Reply { drip: Some(2000), pause: Duration::from_millis(100), ..Reply::new(200, body) });
    let workspace = Workspace::new();
    let download = Download {
        file: "kubectl".to_owned(),
        urls: vec![format!("{}/kubectl", server.url())],
        pin: Pin::Sha256(Sha256::of(&program("kubectl", SIZE))),
        size: None,
        publishers: Vec::new(),
        content: Content::Binary(Member {
            component: "kubectl".to_owned(),
            path: "kubectl".to_owned(),
            kind: Kind::Program,
            sha256: None,
            version: "v1.16.0".to_owned(),
            identity: kube_bundle::plan::downloads::Identity::default(),
        }),
    };
    let store = Store::open(workspace.path("store")).unwrap();
    let policy = Policy { longest: Duration::from_secs(1), ..Policy::default() };
    let sources = Sources { mirrors: Vec::new(), offline: false, jobs: 1, policy };
    let failed = fetch::fetch(&[download], &store, &sources, &Quiet).unwrap_err();
    assert!(failed.to_string().contains("not complete after 1 s"), "{failed}");
}
