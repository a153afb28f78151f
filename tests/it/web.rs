//! Bundles from web servers: `SHA256SUMS` leads to all that is there, and nothing gets a name before all of it is right.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::harness::{Run, Workspace, files, has, has_all, tool};
use crate::push::{assert_nothing, assert_same, built, json, signed};
use crate::server::{Reply, Request, Server, tls_config};

fn pull(workspace: &Workspace, url: &str, more: &[&str]) -> Run {
    workspace.run(&[&["pull", url, "-o", "pulled", "--timeout", "60", "--retries", "1"], more].concat())
}

/// Serves what is in a directory, below `/roc/`, with media types as web servers give them, and answers that are changed.
fn serve(
    workspace: &Workspace,
    directory: &str,
    change: impl Fn(&Request, Reply) -> Reply + Send + Sync + 'static,
) -> Server {
    let listed = listed(workspace, directory);
    Server::start(move |request| change(request, file(&listed, request)))
}

/// Files by the paths of their URLs.
fn listed(workspace: &Workspace, directory: &str) -> BTreeMap<String, Vec<u8>> {
    let files = files(&workspace.path(directory)).into_iter();
    files.map(|(name, (_, bytes))| (format!("/roc/{}", escaped(&name)), bytes)).collect()
}

fn file(listed: &BTreeMap<String, Vec<u8>>, request: &Request) -> Reply {
    let Some(bytes) = listed.get(&request.path) else {
        return Reply::new(404, b"<html>not here</html>").header("Content-Type", "text/html");
    };
    let kind = if request.path.ends_with(".html") { "text/html; charset=utf-8" } else { "application/octet-stream" };
    Reply::file(request, bytes, "\"same\"").header("Content-Type", kind)
}

/// The path as strict clients write it.
fn escaped(name: &str) -> String {
    name.replace('+', "%2B")
}

fn roc(server: &Server) -> String {
    format!("{}/roc", server.url())
}

/// A signed bundle in `out/small`, and its thin copy in `thin`.
fn exported(size: usize) -> Workspace {
    let workspace = signed(size);
    workspace.run(&["export", "out/small", "thin", "-q"]).success();
    workspace
}

#[test]
fn a_bundle_and_its_thin_copy_come_from_a_web_server_as_they_were() {
    if !has("ssh-keygen") {
        return;
    }
    let workspace = exported(3000);
    for directory in ["out/small", "thin"] {
        let server = serve(&workspace, directory, |_, reply| reply);
        let run = pull(&workspace, &format!("{}/", roc(&server)), &["--trust", "trust", "--json"]).success();
        assert_eq!(json(&run)["reference"], roc(&server));
        assert_same(&workspace);
        assert_eq!(server.requests()[0].path, "/roc/SHA256SUMS", "it leads to all others");
        std::fs::remove_dir_all(workspace.path("pulled")).unwrap();
    }
}

/// A program that runs until the test is over.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = (self.0.kill(), self.0.wait());
    }
}

#[test]
fn what_serves_a_bundle_or_any_files_serves_a_pull() {
    if !has_all(&["python3", "ssh-keygen"]) {
        return;
    }
    let workspace = exported(3000);
    let at = crate::server::dead_address();
    let port = at.port().to_string();
    let listen = at.to_string();
    for (directory, own) in [("out/small", true), ("out/small", false), ("thin", false)] {
        let mut command = if own {
            workspace.command(&["serve", directory, "--listen", &listen, "--include-secrets", "-q"])
        } else {
            let mut command = Command::new("python3");
            command.args(["-m", "http.server", &port, "--bind", "127.0.0.1"]).current_dir(workspace.path(directory));
            command
        };
        let _running = Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        while std::net::TcpStream::connect(at).is_err() {
            std::thread::sleep(Duration::from_millis(10));
        }
        pull(&workspace, &format!("http://{at}"), &["--trust", "trust"]).success();
        assert_same(&workspace);
        std::fs::remove_dir_all(workspace.path("pulled")).unwrap();
    }
}

#[test]
fn a_server_that_refuses_keys_is_understood() {
    let workspace = built();
    let at = crate::server::dead_address();
    let mut command = workspace.command(&["serve", "out/small", "--listen", &at.to_string(), "-q"]);
    let _running = Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    while std::net::TcpStream::connect(at).is_err() {
        std::thread::sleep(Duration::from_millis(10));
    }
    let run = pull(&workspace, &format!("http://{at}"), &[]).exits(1);
    run.says(&["operator/admin.kubeconfig", "403 Forbidden"]);
    assert_nothing(&workspace);
}

#[test]
fn with_trusted_keys_no_file_is_fetched_that_nobody_has_signed() {
    if !has("ssh-keygen") {
        return;
    }
    let workspace = exported(3000);
    let key = workspace.path("other").display().to_string();
    tool("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", &key]);
    workspace.run(&["trust", "init", "others", "--key", "other", "-q"]).success();
    for directory in ["out/small", "thin"] {
        let server = serve(&workspace, directory, |_, reply| reply);
        let run = pull(&workspace, &roc(&server), &["--trust", "others"]).exits(3);
        run.says(&["its verification failed", "SHA256SUMS.sig", "nothing was written"]);
        assert_nothing(&workspace);
        for request in server.requests() {
            let name = request.path.strip_prefix("/roc/").unwrap();
            let is_signature = ["SHA256SUMS.", "deb/InRelease", "provenance."].iter().any(|it| name.starts_with(it));
            assert!(name == "SHA256SUMS" || is_signature, "{name} was fetched");
        }
        let unsigned = |request: &Request, reply: Reply| {
            if request.path.ends_with("SHA256SUMS.sig") { Reply::new(404, b"") } else { reply }
        };
        let server = serve(&workspace, directory, unsigned);
        pull(&workspace, &roc(&server), &["--trust", "trust"]).exits(3).says(&["it has no signature"]);
        assert_nothing(&workspace);
    }
}

#[test]
fn what_is_lost_or_wrong_is_named_and_what_is_right_is_kept() {
    if !has("ssh-keygen") {
        return;
    }
    let workspace = exported(3000);
    let archive = "nodes/only/small-only-v1.16.0-amd64.tar.gz";
    let lost =
        serve(
            &workspace,
            "out/small",
            move |request, reply| {
                if request.path.ends_with(archive) { Reply::new(404, b"no") } else { reply }
            },
        );
    let run = pull(&workspace, &roc(&lost), &[]).exits(1);
    run.says(&[archive, "404", "hint: the server has lost them; copy the bundle there again"]);
    assert_nothing(&workspace);
    let wrong = serve(&workspace, "out/small", move |request, reply| {
        let is_it = request.path.ends_with(archive);
        if is_it { Reply { body: vec![7; reply.body.len()], ..reply } } else { reply }
    });
    pull(&workspace, &roc(&wrong), &[]).exits(3).says(&[
        archive,
        "expected sha256:",
        "hint: the server serves wrong bytes",
    ]);
    assert_nothing(&workspace);
    let server = serve(&workspace, "out/small", |_, reply| reply);
    pull(&workspace, &roc(&server), &[]).success();
    assert_same(&workspace);
    let asked: Vec<_> = server.requests().into_iter().map(|request| request.path).collect();
    assert!(asked.iter().all(|path| !path.ends_with(".deb")), "what was kept is fetched again: {asked:?}");
}

#[test]
fn a_download_that_broke_off_is_resumed() {
    let workspace = Workspace::small(400_000);
    workspace.build().success();
    let cut = serve(&workspace, "out/small", |request, reply| {
        let is_resumed = request.headers.contains_key("range");
        match request.path.ends_with(".tar.gz") {
            true if is_resumed => Reply::new(503, b""),
            true => reply.cut(100_000),
            false => reply,
        }
    });
    let run = pull(&workspace, &roc(&cut), &[]).exits(1);
    run.says(&["the connection broke after 100000 of", "503 Service Unavailable"]);
    assert_nothing(&workspace);
    let server = serve(&workspace, "out/small", |_, reply| reply);
    pull(&workspace, &roc(&server), &[]).success();
    assert_same(&workspace);
    let asked = server.requests().into_iter().find(|request| request.path.ends_with(".tar.gz")).unwrap();
    assert_eq!(asked.headers["range"], "bytes=100000-");
}

#[test]
fn what_is_no_bundle_is_told_from_one() {
    if !has("ssh-keygen") {
        return;
    }
    let workspace = exported(3000);
    let pulled = |directory: &str, change: fn(&Request, Reply) -> Reply| {
        let run = pull(&workspace, &roc(&serve(&workspace, directory, change)), &[]);
        assert_nothing(&workspace);
        run
    };
    let page = |_: &Request, _: Reply| Reply::new(200, b"<html>log in</html>").header("Content-Type", "text/html");
    pulled("thin", page).exits(1).says(&["SHA256SUMS: line 1 is no digest and path"]);
    pulled("files", |_, reply| reply).exits(1).says(&["there is nothing of that name", "/roc/SHA256SUMS"]);
    let foreign = |request: &Request, reply: Reply| {
        let text = format!("{}  a\n", "0".repeat(64));
        if request.path.ends_with("/SHA256SUMS") { Reply::new(200, text.as_bytes()) } else { reply }
    };
    pulled("files", foreign).exits(1).says(&["SHA256SUMS has no manifest.json"]);
    workspace.edit("cluster.toml", "[cluster]", "[cluster]\napiserver_sans = [\"another.example\"]");
    std::fs::rename(workspace.path("out/small"), workspace.path("first")).unwrap();
    workspace.build().success();
    workspace.run(&["export", "out/small", "delta", "--since", "first", "-q"]).success();
    pulled("delta", |_, reply| reply).exits(1).says(&["got this: delta to the bundle", "`kube-bundle import`"]);
    workspace.run(&["export", "out/small", "parts", "--max-size", "700000", "-q"]).success();
    let first = std::fs::read_dir(workspace.path("parts")).unwrap().next().unwrap().unwrap().file_name();
    let part = format!("parts/{}", first.to_string_lossy());
    pulled(&part, |_, reply| reply).exits(1).says(&["of a thin copy", "`kube-bundle import`"]);
}

/// The lists agree with each other and with what is served: what they lead to is all that is wrong.
#[test]
fn lists_that_lead_elsewhere_are_refused_before_anything_is_written() {
    let workspace = built();
    workspace.run(&["export", "out/small", "thin", "-q"]).success();
    workspace.write("victim", "mine");
    let victim = workspace.path("victim").display().to_string();
    let [manifest, sums] = ["manifest.json", "SHA256SUMS"].map(|name| workspace.text(&format!("out/small/{name}")));
    let old = sums.lines().find(|line| line.ends_with("  manifest.json")).unwrap();
    for (name, directory) in
        [("../victim", "out/small"), (&*victim, "out/small"), ("../../victim", "thin"), (&*victim, "thin")]
    {
        let manifest = manifest.replace("\"README.txt\"", &format!("\"{name}\""));
        let new = format!("{}  manifest.json", crate::registry::digest(manifest.as_bytes()));
        let sums = sums.replace(old, &new).replace("  README.txt", &format!("  {name}"));
        let mut lines: Vec<_> = sums.lines().collect();
        lines.sort_by_key(|line| line[66..].to_owned());
        let sums = lines.join("\n") + "\n";
        let readme = workspace.read("out/small/README.txt");
        let export = workspace.text("thin/export.json");
        let bundle = |sums: &str| crate::registry::digest(sums.as_bytes());
        let export = export.replace(&bundle(&workspace.text("thin/SHA256SUMS")), &bundle(&sums));
        let server = serve(&workspace, directory, move |request, reply| match request.path.as_str() {
            "/roc/SHA256SUMS" => Reply::new(200, sums.as_bytes()),
            "/roc/manifest.json" => Reply::new(200, manifest.as_bytes()),
            "/roc/export.json" if reply.status == 200 => Reply::new(200, export.as_bytes()),
            path if path.ends_with("/victim") => Reply::new(200, &readme),
            _ => reply,
        });
        pull(&workspace, &roc(&server), &[]).exits(3).says(&[&format!("`{name}` is no path of a file in a bundle")]);
        assert_nothing(&workspace);
        assert_eq!(workspace.text("victim"), "mine");
    }
}

#[test]
fn only_this_machine_is_spoken_to_without_encryption_unless_somebody_allows_it() {
    let workspace = built();
    for url in ["http://192.0.2.1/roc", "http://www.example/roc"] {
        pull(&workspace, url, &[]).exits(2).says(&["is without encryption", "`--plain-http`"]);
    }
    let server = serve(&workspace, "out/small", |_, reply| reply);
    pull(&workspace, &roc(&server).replace("127.0.0.1", "localhost"), &[]).success();
    assert_same(&workspace);
    for (url, says) in [
        ("https://me:secret@www.example/roc", "a password in a URL"),
        ("https://www.example/roc?x=y", "the URL of a directory"),
    ] {
        let run = pull(&workspace, url, &[]).exits(2).says(&[says]);
        workspace.run(&["push", "out/small", url]).exits(2).says(&[says]);
        drop(run);
    }
    let run = workspace.run(&["push", "out/small", "https://www.example/roc"]).exits(2);
    run.says(&["a web server only serves", "kube-bundle export OUT DIR"]);
}

#[test]
fn certificates_are_checked_redirects_followed_and_none_gives_encryption_up() {
    let workspace = built();
    let (config, ca) = tls_config();
    let plain = serve(&workspace, "out/small", |_, reply| reply);
    let target = plain.url();
    let secure = Server::start_tls(config, move |request| {
        Reply::new(302, b"").header("Location", &format!("{target}{}", request.path))
    });
    workspace.write("ca.pem", ca);
    let mut command = workspace.command(&["pull", &roc(&secure), "-o", "pulled", "--retries", "0"]);
    let run = Run::from(command.env("SSL_CERT_FILE", workspace.path("ca.pem")).output().unwrap()).exits(1);
    run.says(&["redirects from https to http"]);
    assert!(plain.requests().is_empty());
    workspace.run(&["pull", &roc(&secure), "-o", "pulled", "--retries", "0"]).exits(1).says(&["certificate"]);
    let (config, ca) = tls_config();
    let listed = listed(&workspace, "out/small");
    let secure = Server::start_tls(config, move |request| file(&listed, request));
    workspace.write("ca.pem", ca);
    let mut command = workspace.command(&["pull", &roc(&secure), "-o", "pulled"]);
    Run::from(command.env("SSL_CERT_FILE", workspace.path("ca.pem")).output().unwrap()).success();
    assert_same(&workspace);
    std::fs::remove_dir_all(workspace.path("pulled")).unwrap();
    let target = plain.url();
    let moved =
        Server::start(move |request| Reply::new(302, b"").header("Location", &format!("{target}{}", request.path)));
    pull(&workspace, &roc(&moved), &[]).success();
    assert_same(&workspace);
}
