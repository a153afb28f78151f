//! Whatever a server does, the store ends with the right bytes or with none.

use kube_bundle::hash::Sha256;

use crate::harness::{COMPONENTS, Run, Workspace, component, program};
use crate::server::{Reply, Request, Server, dead_address, tls_config};

pub(crate) const SIZE: usize = 300_000;

/// Serves the right files, except that `kubectl` is answered by `kubectl`.
pub(crate) fn server(kubectl: impl Fn(&Request, &[u8]) -> Reply + Send + Sync + 'static) -> Server {
    Server::start(move |request| {
        let name = request.path.trim_start_matches('/');
        let body = program(name, SIZE);
        if name == "kubectl" { kubectl(request, &body) } else { Reply::file(request, &body, "\"same\"") }
    })
}

/// A user whose recipe points at `url` and nowhere else.
pub(crate) fn user(url: &str) -> Workspace {
    let workspace = Workspace::small(SIZE);
    let components: Vec<_> = COMPONENTS.iter().map(|name| component(name, url, &program(name, SIZE))).collect();
    workspace.recipe(&components.concat());
    workspace
}

pub(crate) fn fetch(workspace: &Workspace) -> Run {
    workspace.run(&["fetch", "--timeout", "1", "--retries", "2"])
}

/// Everything is in the store, is right, and nothing is left half-done.
#[track_caller]
pub(crate) fn assert_whole(workspace: &Workspace) {
    let mut expected: Vec<_> = COMPONENTS.iter().map(|name| Sha256::of(&program(name, SIZE)).to_string()).collect();
    expected.sort();
    let mut blobs = workspace.blobs();
    blobs.sort();
    assert_eq!(blobs, expected);
    workspace.run(&["fetch", "--offline"]).success();
}

/// `kubectl` was refused, and no byte of it is kept.
#[track_caller]
fn assert_refused(workspace: &Workspace) {
    let digest = Sha256::of(&program("kubectl", SIZE)).to_string();
    assert!(!workspace.blobs().contains(&digest));
    assert!(!workspace.path(&format!("cache/kube-bundle/partial/sha256-{digest}.part")).exists());
    assert_eq!(std::fs::read_dir(workspace.path("cache/kube-bundle/tmp")).unwrap().count(), 0);
}

#[test]
fn a_decent_server_is_asked_once_for_each_file() {
    let server = server(|request, body| Reply::file(request, body, "\"same\""));
    let workspace = user(&server.url());
    fetch(&workspace).success();
    assert_whole(&workspace);
    assert_eq!(server.requests().len(), 4);
    fetch(&workspace).success();
    assert_eq!(server.requests().len(), 4, "what is in the store is not fetched again");
}

#[test]
fn a_server_that_is_busy_is_tried_again_when_it_asks_to() {
    let server = server(|request, body| match request.before {
        0 => Reply::new(503, b"busy").header("Retry-After", "0"),
        1 => Reply::new(429, b"slower").header("Retry-After", "0"),
        _ => Reply::file(request, body, "\"same\""),
    });
    let workspace = user(&server.url());
    fetch(&workspace).success().says(&["503 Service Unavailable; trying again"]);
    assert_whole(&workspace);
}

#[test]
fn a_server_that_stays_busy_ends_in_an_error_that_names_it() {
    let server = server(|_, _| Reply::new(503, b"busy").header("Retry-After", "0"));
    let workspace = user(&server.url());
    fetch(&workspace).exits(1).says(&[
        "kubectl",
        &server.url(),
        "503 Service Unavailable (attempts: 3)",
        "hint: run the same command again",
    ]);
    assert_eq!(workspace.blobs().len(), 3, "the others are kept");
}

#[test]
fn a_connection_cut_short_is_taken_up_where_it_broke() {
    let server = server(|request, body| match request.before {
        0 => Reply::file(request, body, "\"same\"").cut(100_000),
        1 => Reply::file(request, body, "\"same\"").cut(50_000),
        _ => Reply::file(request, body, "\"same\""),
    });
    let workspace = user(&server.url());
    fetch(&workspace).success().says(&["trying again"]);
    assert_whole(&workspace);
    let asked: Vec<_> = server.requests().into_iter().filter(|request| request.path == "/kubectl").collect();
    let ranges: Vec<_> = asked.iter().map(|request| request.headers.get("range").map(String::as_str)).collect();
    assert_eq!(ranges, [None, Some("bytes=100000-"), Some("bytes=150000-")]);
    assert_eq!(asked[1].headers.get("if-range").map(String::as_str), Some("\"same\""));
}

#[test]
fn a_later_run_resumes_what_an_earlier_one_left() {
    let server = server(|request, body| {
        let whole = Reply::file(request, body, "\"same\"");
        if request.before < 3 { whole.cut(50_000 * usize::from(request.before == 0)) } else { whole }
    });
    let workspace = user(&server.url());
    fetch(&workspace).exits(1).says(&["broke after 50000 of 300000 bytes"]);
    fetch(&workspace).success();
    assert_whole(&workspace);
    let last = server.requests().into_iter().rfind(|request| request.path == "/kubectl").unwrap();
    assert_eq!(last.headers.get("range").map(String::as_str), Some("bytes=50000-"));
}

#[test]
fn a_server_without_ranges_is_read_past_what_is_known() {
    let server = server(|request, body| {
        let whole = Reply::new(200, body);
        if request.before == 0 { whole.cut(100_000) } else { whole }
    });
    let workspace = user(&server.url());
    fetch(&workspace).success();
    assert_whole(&workspace);
}

#[test]
fn a_file_that_changed_meanwhile_is_fetched_afresh() {
    let server = server(|request, body| match request.before {
        0 => Reply::file(request, &program("yesterday", SIZE), "\"old\"").cut(100_000),
        _ => Reply::file(request, body, "\"new\""),
    });
    let workspace = user(&server.url());
    fetch(&workspace).success();
    assert_whole(&workspace);
}

#[test]
fn a_range_that_lies_is_not_believed() {
    let server = server(|request, body| match request.before {
        0 => Reply::file(request, body, "\"same\"").cut(100_000),
        1 => Reply::new(206, &body[5..]).header("Content-Range", "bytes 5-299999/300000"),
        _ => Reply::file(request, body, "\"same\""),
    });
    let workspace = user(&server.url());
    fetch(&workspace).success();
    assert_whole(&workspace);
}

#[test]
fn wrong_bytes_are_refused_and_named() {
    let server = server(|_, _| Reply::new(200, &program("malware", SIZE)));
    let workspace = user(&server.url());
    let (expected, got) = (Sha256::of(&program("kubectl", SIZE)), Sha256::of(&program("malware", SIZE)));
    fetch(&workspace)
        .exits(3)
        .says(&[&format!("expected sha256:{expected}, got sha256:{got}"), "hint: a source served other bytes"]);
    assert_refused(&workspace);
}

#[test]
fn a_page_instead_of_a_file_is_refused() {
    let page = b"<!DOCTYPE html><title>Log in to the hotel</title>";
    let typed = server(|_, _| Reply::new(200, page).header("Content-Type", "text/html; charset=utf-8"));
    let untyped = server(|_, _| Reply::new(200, page));
    for server in [typed, untyped] {
        let workspace = user(&server.url());
        fetch(&workspace).exits(3).says(&["an HTML page instead of the file"]);
        assert_refused(&workspace);
    }
}

#[test]
fn a_page_in_between_costs_no_byte_that_arrived() {
    let page = b"<!DOCTYPE html><title>Log in to the hotel</title>";
    let server = server(move |request, body| match request.before {
        0..3 => Reply::file(request, body, "\"same\"").cut(if request.before == 0 { 100_000 } else { 0 }),
        3 => Reply::new(200, page).header("Content-Type", "text/html"),
        _ => Reply::file(request, body, "\"same\""),
    });
    let workspace = user(&server.url());
    fetch(&workspace).exits(1);
    fetch(&workspace).exits(3).says(&["an HTML page instead of the file"]);
    fetch(&workspace).success();
    assert_whole(&workspace);
    let last = server.requests().into_iter().rfind(|request| request.path == "/kubectl").unwrap();
    assert_eq!(last.headers.get("range").map(String::as_str), Some("bytes=100000-"));
}

#[test]
fn a_file_that_had_arrived_whole_needs_no_server_any_more() {
    let server = server(|_, _| unreachable!("everything is here"));
    let workspace = user(&server.url());
    for name in COMPONENTS {
        let body = program(name, SIZE);
        workspace.write(&format!("cache/kube-bundle/partial/sha256-{}.part", Sha256::of(&body)), body);
    }
    fetch(&workspace).success();
    assert_whole(&workspace);
    assert!(server.requests().is_empty());
}

#[test]
fn a_mirror_that_is_not_there_is_a_mistake_and_said() {
    let workspace = user("http://127.0.0.1:1");
    workspace.run(&["fetch", "--from", "./no-such-dir"]).exits(2).says(&["`--from ./no-such-dir` is no directory"]);
}

#[test]
fn a_body_without_end_is_stopped() {
    let server = server(|_, body| Reply { endless: true, ..Reply::new(200, body) });
    let workspace = user(&server.url());
    fetch(&workspace).exits(3).says(&["expected 300000 bytes, and more keep coming"]);
    assert_refused(&workspace);
}

#[test]
fn a_short_body_without_length_is_refused() {
    let server = server(|_, body| Reply { with_length: false, ..Reply::new(200, &body[..1000]) });
    let workspace = user(&server.url());
    fetch(&workspace).exits(3).says(&["expected 300000 bytes, got 1000"]);
    assert_refused(&workspace);
}

#[test]
fn a_program_for_another_machine_is_refused_even_with_the_right_digest() {
    let mut arm = program("kubectl", SIZE);
    arm[18] = 183;
    let server = server({
        let arm = arm.clone();
        move |_, _| Reply::new(200, &arm)
    });
    let workspace = user(&server.url());
    workspace.edit(
        "recipe/recipe.toml",
        &Sha256::of(&program("kubectl", SIZE)).to_string(),
        &Sha256::of(&arm).to_string(),
    );
    fetch(&workspace)
        .exits(3)
        .says(&["`kubectl`: a program for another machine: expected ELF machine 62 (x86-64), got 183"]);
    assert_refused(&workspace);
}

#[test]
fn the_next_source_is_tried_when_one_has_it_not() {
    let empty = Server::start(|_| Reply::new(404, b"no"));
    let full = server(|request, body| Reply::file(request, body, "\"same\""));
    let workspace = user(&full.url());
    let run = workspace.run(&[
        "fetch",
        "--retries",
        "0",
        "--from",
        &empty.url(),
        "--from",
        &format!("http://{}", dead_address()),
    ]);
    run.success().says(&["(attempts: 1)"]);
    assert_whole(&workspace);
}

#[test]
fn a_directory_laid_out_as_upstream_serves_it_is_a_mirror() {
    let workspace = user("http://127.0.0.1:1/release/v1.16.0/bin/linux/amd64");
    for name in COMPONENTS {
        workspace.write(&format!("stick/release/v1.16.0/bin/linux/amd64/{name}"), program(name, SIZE));
    }
    workspace.run(&["fetch", "--offline", "--from", "stick"]).success();
    assert_whole(&workspace);
}

#[test]
fn offline_names_everything_that_is_missing_at_once() {
    let server = server(|_, _| unreachable!("offline means offline"));
    let workspace = user(&server.url());
    let run = workspace.run(&["fetch", "--offline"]).exits(1);
    for name in COMPONENTS {
        assert!(run.stderr.contains(&format!("{name} (300.00 kB, sha256:")), "{}", run.stderr);
    }
    run.says(&["4 files not in the store", "hint: run `kube-bundle fetch` where there is a network"]);
    assert!(server.requests().is_empty());
}

#[test]
fn a_damaged_blob_is_noticed_and_fetched_again() {
    let server = server(|request, body| Reply::file(request, body, "\"same\""));
    let workspace = user(&server.url());
    fetch(&workspace).success();
    let digest = Sha256::of(&program("kubectl", SIZE)).to_string();
    let blob = format!("cache/kube-bundle/blobs/sha256/{}/{digest}", &digest[..2]);
    let mut bytes = workspace.read(&blob);
    bytes[1234] ^= 1;
    workspace.write(&blob, bytes);
    fetch(&workspace).success().says(&["is damaged; fetching it again"]);
    assert_whole(&workspace);
}

#[test]
fn a_certificate_of_the_systems_store_is_trusted_and_a_step_down_to_http_is_not() {
    let (config, ca) = tls_config();
    let plain = server(|request, body| Reply::file(request, body, "\"same\""));
    let target = plain.url();
    let secure = Server::start_tls(config, move |request| {
        let name = request.path.trim_start_matches('/');
        if name == "kubectl" {
            return Reply::new(302, b"").header("Location", &format!("{target}/kubectl"));
        }
        Reply::file(request, &program(name, SIZE), "\"same\"")
    });
    let workspace = user(&secure.url());
    workspace.write("ca.pem", ca);
    let run = |trusted: bool| {
        let mut command = workspace.command(&["fetch", "--retries", "0"]);
        if trusted {
            command.env("SSL_CERT_FILE", workspace.path("ca.pem"));
        }
        Run::from(command.output().unwrap())
    };
    run(false).exits(1).says(&["its certificate can't be verified: no CA of this machine", "update-ca-certificates"]);
    run(true).exits(1).says(&["redirects from https to http"]);
    assert_eq!(workspace.blobs().len(), 3, "the others came over TLS");
    assert!(plain.requests().is_empty());
}

#[test]
fn without_ca_certificates_there_is_http_and_https_is_refused_with_the_reason() {
    let (config, _) = tls_config();
    let plain = server(|request, body| Reply::file(request, body, "\"same\""));
    let secure =
        Server::start_tls(config, |request| Reply::file(request, &program(&request.path[1..], SIZE), "\"same\""));
    let fetch = |workspace: &Workspace| {
        let mut command = workspace.command(&["fetch"]);
        command.env("SSL_CERT_FILE", "/dev/null").env("SSL_CERT_DIR", workspace.path("nothing"));
        Run::from(command.output().unwrap())
    };
    let workspace = user(&plain.url());
    fetch(&workspace).success();
    assert_whole(&workspace);
    let run = fetch(&user(&secure.url()))
        .exits(1)
        .says(&["its certificate can't be verified: this machine has no CA certificates", "package `ca-certificates`"]);
    assert!(!run.stderr.contains("again"), "{}", run.stderr);
}

#[test]
fn a_proxy_of_the_environment_is_used() {
    let proxy = Server::start(|request| {
        let name = request.path.rsplit('/').next().unwrap_or_default();
        Reply::file(request, &program(name, SIZE), "\"same\"")
    });
    let workspace = user("http://release.invalid/v1");
    let output = workspace.command(&["fetch"]).env("http_proxy", proxy.url()).output().unwrap();
    Run::from(output).success();
    assert_whole(&workspace);
    assert!(proxy.requests().iter().all(|request| request.path.starts_with("http://release.invalid/v1/")));
}

#[test]
fn without_a_network_one_sentence_says_so_and_nothing_is_tried_again() {
    let workspace = Workspace::small(3000);
    // Names below .invalid never resolve (RFC 6761).
    let recipe = std::fs::read_to_string(workspace.path("recipe/recipe.toml")).unwrap();
    let urls = "urls = [\"https://one.invalid/f\", \"https://two.invalid/f\"]\n";
    let with_urls = recipe
        .lines()
        .map(|line| format!("{line}\n"))
        .map(|line| if line.starts_with("[components.") { line + urls } else { line });
    workspace.write("recipe/recipe.toml", with_urls.collect::<String>());
    let run = workspace.run(&["fetch"]).exits(1).says(&[
        "there is no network: one.invalid: the name can't be resolved; two.invalid: the name can't be resolved",
        "--from DIR|URL",
        "HTTPS_PROXY",
        "--offline",
    ]);
    assert!(!run.stderr.contains("again") && !run.stderr.contains("warning"), "{}", run.stderr);
}

#[test]
fn offline_names_the_directories_that_were_searched_and_how_to_pin_programs() {
    let workspace = Workspace::small(3000);
    std::fs::create_dir(workspace.path("elsewhere")).unwrap();
    workspace.run(&["build", "--offline", "--from", "elsewhere"]).exits(1).says(&[
        "not in the store, nor by its name in `elsewhere`, and `--offline` forbids the network",
        "recipe export",
        "recipe pin",
    ]);
}
