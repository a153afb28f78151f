//! Bundles in registries: whatever a registry or a network does, what is pulled is what was pushed, or there is nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Run, Workspace, directories, files, has, has_all, tool};
use crate::registry::{DockerRegistry, digest};
use crate::server::{Reply, Request, Server};

/// A signed bundle in two formats, and `trust/` with its key.
pub(crate) fn signed(size: usize) -> Workspace {
    let workspace = Workspace::small(size);
    let key = workspace.path("key").display().to_string();
    tool("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", &key]);
    workspace.run(&["trust", "init", "trust", "--key", "key", "-q"]).success();
    let build = ["build", "--offline", "--from", "files", "--format", "tarball,deb", "-q", "--sign", "key"];
    workspace.run(&build).success();
    workspace
}

/// A small bundle.
pub(crate) fn built() -> Workspace {
    let workspace = Workspace::small(3000);
    workspace.build().success();
    workspace
}

fn at(server: &str) -> String {
    format!("oci://{}/site/roc:1", server.strip_prefix("http://").unwrap())
}

fn push(workspace: &Workspace, to: &str, more: &[&str]) -> Run {
    let push = ["push", "out/small", to, "--include-secrets", "--timeout", "5", "--retries", "1", "--json"];
    workspace.run(&[&push, more].concat())
}

fn pull(workspace: &Workspace, from: &str, more: &[&str]) -> Run {
    workspace.run(&[&["pull", from, "-o", "pulled", "--timeout", "5", "--retries", "1"], more].concat())
}

pub(crate) fn json(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|why| panic!("{why}: {}", run.stdout))
}

/// Names, modes and bytes of files, and modes of directories.
#[track_caller]
pub(crate) fn assert_same(workspace: &Workspace) {
    let (pushed, pulled) = (workspace.path("out/small"), workspace.path("pulled"));
    let difference: Vec<_> =
        files(&pushed).into_iter().filter(|(name, file)| files(&pulled).get(name) != Some(file)).collect();
    assert!(difference.is_empty(), "{:?}", difference.iter().map(|(name, _)| name).collect::<Vec<_>>());
    assert_eq!(files(&pulled).len(), files(&pushed).len());
    assert_eq!(directories(&pulled), directories(&pushed));
    assert!(!workspace.path(".pulled.pulled").exists(), "what was kept is not needed any more");
}

/// No bundle is there, and nothing that was kept on the way is wrong.
#[track_caller]
pub(crate) fn assert_nothing(workspace: &Workspace) {
    assert!(!workspace.path("pulled").exists());
    for (name, (_, bytes)) in files(&workspace.path(".pulled.pulled/blobs")) {
        assert!(name.ends_with(&digest(&bytes)), "{name}");
    }
    if workspace.path(".pulled.pulled").exists() {
        assert_eq!(directories(&workspace.path(".pulled.pulled"))[""], 0o700, "keys may be in it");
    }
}

/// Both ways to push.
const FORMS: [&[&str]; 2] = [&[], &["--whole-files"]];

#[test]
fn a_bundle_comes_back_from_debians_registry_as_it_was() {
    if !has_all(&["docker-registry", "ssh-keygen"]) {
        return;
    }
    for form in FORMS {
        let workspace = signed(3000);
        let registry = DockerRegistry::start(&workspace);
        let to = at(&registry.url);
        let pushed = json(&push(&workspace, &to, form).success());
        assert_eq!(pushed["sent"], pushed["blobs"]);
        assert_eq!(pushed["referrers"], false, "version 2.8 lists none");
        let again = json(&push(&workspace, &to, form).success());
        assert_eq!((&again["sent"], &again["sent_bytes"]), (&Value::from(0), &Value::from(0)));
        assert_eq!(again["exact"], pushed["exact"]);

        let run = pull(&workspace, &to, &["--trust", "trust"]).success();
        assert!(run.stdout.contains("signed by the trusted key"), "{}", run.stdout);
        assert_same(&workspace);
        // By its digest, in place of what was pulled before.
        let run = pull(&workspace, pushed["exact"].as_str().unwrap(), &[]).success();
        assert!(run.stdout.contains("origin not checked"), "{}", run.stdout);
        assert_same(&workspace);
        workspace.run(&["verify", "pulled", "--deep", "--trust", "trust"]).success();
    }
}

/// Titles of layers with the files that skopeo has written them to.
fn titles(manifest: &[u8]) -> BTreeMap<String, String> {
    let manifest: Value = serde_json::from_slice(manifest).unwrap();
    assert_eq!(manifest["artifactType"], "application/vnd.kube-bundle.bundle.v1");
    let layer = |layer: &Value| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (
            text(&layer["annotations"]["org.opencontainers.image.title"]),
            text(&layer["digest"])["sha256:".len()..].to_owned(),
        )
    };
    manifest["layers"].as_array().unwrap().iter().map(layer).collect()
}

#[test]
fn whole_files_need_nothing_but_skopeo_and_sha256sum() {
    if !has_all(&["docker-registry", "skopeo", "sha256sum", "ssh-keygen"]) {
        return;
    }
    let workspace = signed(3000);
    let registry = DockerRegistry::start(&workspace);
    let to = at(&registry.url);
    push(&workspace, &to, &["--whole-files"]).success();
    let from = to.replace("oci://", "docker://");
    for (format, blobs) in [("dir", ""), ("oci", "/blobs/sha256")] {
        let copy = workspace.path(&format!("copy-{format}")).display().to_string();
        let copied = format!("{format}:{copy}");
        tool("skopeo", &["--insecure-policy", "copy", "--quiet", "--src-tls-verify=false", &from, &copied]);
        let raw = tool("skopeo", &["inspect", "--raw", &copied]);
        for (title, sha256) in titles(raw.as_bytes()) {
            let bytes = std::fs::read(format!("{copy}{blobs}/{sha256}")).unwrap();
            workspace.write(&format!("files-{format}/{title}"), bytes);
        }
        let check = format!(
            "cd {} && sha256sum --quiet --strict -c SHA256SUMS",
            workspace.path(&format!("files-{format}")).display()
        );
        tool("sh", &["-c", &check]);
        let names = |directory: &str| files(&workspace.path(directory)).into_keys().collect::<BTreeSet<_>>();
        assert_eq!(names(&format!("files-{format}")), names("out/small"));
    }
}

#[test]
fn keys_are_not_pushed_by_mistake() {
    if !has("ssh-keygen") {
        return;
    }
    let workspace = signed(3000);
    // Nothing listens there: whoever is refused has sent nothing.
    let to = format!("oci://{}/roc:1", crate::server::dead_address());
    let refused = workspace.run(&["push", "out/small", &to]).exits(2);
    let archive = "nodes/only/small-only-v1.16.0-amd64.tar.gz";
    let refused =
        refused.says(&["hint: encrypt them with `seal`", "`--include-secrets`", "operator/admin.kubeconfig\n"]);
    let line = refused.stderr.lines().find(|line| line.contains(archive)).unwrap();
    let count: usize = line.rsplit_once(": ").unwrap().1.split(' ').next().unwrap().parse().unwrap();
    let listed = tool("tar", &["-tvzf", &workspace.path(Workspace::ARCHIVE).display().to_string()]);
    assert_eq!(count, listed.lines().filter(|line| line.starts_with("-rw-------")).count(), "{line}\n{listed}");
    assert!(!refused.stderr.contains("kubectl_"), "public packages are no secret: {}", refused.stderr);
}

#[test]
fn what_is_sealed_is_pushed_without_asking() {
    let workspace = Workspace::small(3000);
    workspace.edit("cluster.toml", "[pki]", "[secrets]\nseal = \"key\"\n[pki]");
    workspace.build().success();
    let registry = Registry::default();
    let server = registry.serve();
    workspace.run(&["push", "out/small", &at(&server.url())]).success();
    pull(&workspace, &at(&server.url()), &[]).success();
    assert_same(&workspace);
}

/// A registry in memory, of which a test can read everything.
#[derive(Clone, Default)]
struct Registry {
    blobs: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    /// Manifests by tag and by digest.
    manifests: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    /// What was put, in this order.
    put: Arc<Mutex<Vec<String>>>,
    lists_referrers: bool,
    /// Digests that another repository has.
    elsewhere: BTreeSet<String>,
    /// Another server to which bytes are to be sent.
    storage: Option<String>,
}

const UPLOADS: &str = "/v2/site/roc/blobs/uploads/";

impl Registry {
    fn serve(&self) -> Server {
        let registry = self.clone();
        Server::start(move |request| registry.reply(request))
    }

    /// What a decent registry answers.
    fn reply(&self, request: &Request) -> Reply {
        let Some(path) = request.path.strip_prefix("/v2/site/roc/") else { return Reply::new(404, b"{}") };
        let path = path.split('?').next().unwrap();
        match (request.method.as_str(), path.split_once('/').unwrap()) {
            ("HEAD" | "GET", ("blobs", sha256)) => self.blob(request, sha256),
            ("POST", ("blobs", "uploads/")) => self.begin(request),
            ("PUT", ("blobs", _)) => self.take(request),
            ("HEAD" | "GET", ("manifests", name)) => match self.manifests.lock().unwrap().get(name) {
                Some(bytes) => {
                    Reply::new(200, bytes).header("Docker-Content-Digest", &format!("sha256:{}", digest(bytes)))
                }
                None => Reply::new(404, b"{}"),
            },
            ("PUT", ("manifests", name)) => self.take_manifest(request, name),
            ("GET", ("referrers", _)) if self.lists_referrers => Reply::new(200, b"{\"manifests\":[]}"),
            _ => Reply::new(404, b"404 page not found"),
        }
    }

    fn blob(&self, request: &Request, sha256: &str) -> Reply {
        match self.blobs.lock().unwrap().get(sha256.strip_prefix("sha256:").unwrap()) {
            Some(bytes) => Reply::file(request, bytes, "\"same\""),
            None => Reply::new(404, b"{}"),
        }
    }

    fn begin(&self, request: &Request) -> Reply {
        let mount =
            request.path.split_once("?mount=sha256:").and_then(|(_, mount)| mount.strip_suffix("&from=other/roc"));
        if let Some(sha256) = mount.filter(|sha256| self.elsewhere.contains(*sha256)) {
            self.blobs.lock().unwrap().insert(sha256.to_owned(), b"mounted".to_vec());
            return Reply::new(201, b"");
        }
        let storage = self.storage.clone().unwrap_or_default();
        Reply::new(202, b"").header("Location", &format!("{storage}{UPLOADS}1?state=2"))
    }

    fn take(&self, request: &Request) -> Reply {
        let sha256 = request.path.split_once("?state=2&digest=sha256:").unwrap().1;
        if digest(&request.body) != sha256 {
            return Reply::new(400, b"{\"errors\":[{\"code\":\"DIGEST_INVALID\",\"message\":\"no\"}]}");
        }
        self.put.lock().unwrap().push(sha256.to_owned());
        self.blobs.lock().unwrap().insert(sha256.to_owned(), request.body.clone());
        Reply::new(201, b"")
    }

    /// Takes a manifest whose blobs are all there.
    fn take_manifest(&self, request: &Request, name: &str) -> Reply {
        let manifest: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(request.headers["content-type"], "application/vnd.oci.image.manifest.v1+json");
        let layers = manifest["layers"].as_array().unwrap().iter().chain([&manifest["config"]]);
        let blobs = self.blobs.lock().unwrap();
        for layer in layers {
            assert!(blobs.contains_key(&layer["digest"].as_str().unwrap()["sha256:".len()..]), "{layer}");
        }
        self.put.lock().unwrap().push(name.to_owned());
        let mut manifests = self.manifests.lock().unwrap();
        manifests.insert(name.to_owned(), request.body.clone());
        manifests.insert(format!("sha256:{}", digest(&request.body)), request.body.clone());
        Reply::new(201, b"")
    }
}

#[test]
fn blobs_are_there_before_the_manifest_and_the_tag_comes_last() {
    let workspace = built();
    let registry = Registry::default();
    let server = registry.serve();
    let pushed = json(&push(&workspace, &at(&server.url()), &[]).success());
    let put = registry.put.lock().unwrap();
    let exact = pushed["exact"].as_str().unwrap().split_once('@').unwrap().1;
    assert_eq!(put[put.len() - 2..], [exact.to_owned(), "1".to_owned()]);
    // The configuration, which is empty, is not counted.
    assert_eq!(pushed["blobs"], put.len() - 3);
}

#[test]
fn signatures_and_lists_of_software_are_found_by_what_refers_to_the_bundle() {
    if !has("ssh-keygen") {
        return;
    }
    let workspace = signed(3000);
    let registry = Registry { lists_referrers: true, ..Registry::default() };
    let server = registry.serve();
    let pushed = json(&push(&workspace, &at(&server.url()), &[]).success());
    assert_eq!(pushed["referrers"], true);
    let exact = pushed["exact"].as_str().unwrap().split_once('@').unwrap().1;
    let mut found = BTreeMap::new();
    for manifest in registry.manifests.lock().unwrap().values() {
        let manifest: Value = serde_json::from_slice(manifest).unwrap();
        if manifest["subject"]["digest"] == exact {
            let titles = manifest["layers"].as_array().unwrap().iter();
            let title =
                |layer: &Value| layer["annotations"]["org.opencontainers.image.title"].as_str().unwrap().to_owned();
            found.insert(manifest["artifactType"].as_str().unwrap().to_owned(), titles.map(title).collect::<Vec<_>>());
        }
    }
    assert_eq!(found["application/vnd.cyclonedx+json"], ["sbom.cdx.json"]);
    assert_eq!(found["application/spdx+json"], ["sbom.spdx.json"]);
    assert!(found["application/vnd.kube-bundle.signature.v1"].contains(&"SHA256SUMS.sig".to_owned()), "{found:?}");
    assert_eq!(registry.put.lock().unwrap().last().unwrap(), "1", "the tag comes last");
}

#[test]
fn what_another_repository_has_is_not_sent() {
    let workspace = built();
    let sums = workspace.text("out/small/SHA256SUMS");
    let elsewhere: BTreeSet<_> = sums.lines().take(3).map(|line| line[..64].to_owned()).collect();
    let registry = Registry { elsewhere: elsewhere.clone(), ..Registry::default() };
    let server = registry.serve();
    let pushed = json(&push(&workspace, &at(&server.url()), &["--whole-files", "--mount-from", "other/roc"]).success());
    assert_eq!(pushed["mounted"], elsewhere.len());
    assert!(registry.put.lock().unwrap().iter().all(|put| !elsewhere.contains(put)));
}

#[test]
fn a_broken_connection_is_tried_again_and_then_named() {
    let workspace = built();
    let registry = Registry::default();
    let broken = Arc::new(AtomicUsize::new(0));
    let server = Server::start({
        let (registry, broken) = (registry.clone(), Arc::clone(&broken));
        move |request| {
            let is_first = request.method == "PUT" && broken.fetch_add(1, Ordering::SeqCst) == 0;
            // All of it arrived, and nobody knows.
            let reply = registry.reply(request);
            if is_first { Reply { hang_up: true, ..reply } } else { reply }
        }
    });
    let run = push(&workspace, &at(&server.url()), &[]).success().says(&["trying again in 1 s"]);
    let put = registry.put.lock().unwrap();
    assert_eq!(put.iter().collect::<BTreeSet<_>>().len(), put.len(), "what had arrived was sent again: {}", run.stderr);

    let dead = format!("oci://{}/site/roc:1", crate::server::dead_address());
    let run = push(&workspace, &dead, &[]).exits(1);
    run.says(&["could not push `the manifest` to", "run the same command again: what the registry has"]);
}

#[test]
fn a_damaged_bundle_is_not_pushed() {
    let workspace = built();
    let registry = Registry::default();
    let server = registry.serve();
    let mut bytes = workspace.read(Workspace::ARCHIVE);
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    workspace.write(Workspace::ARCHIVE, &bytes);
    let run = push(&workspace, &at(&server.url()), &["--whole-files"]).exits(3);
    run.says(&[
        "small-only-v1.16.0-amd64.tar.gz: it has other bytes than its digest says",
        "kube-bundle verify out/small",
    ]);
    assert!(registry.manifests.lock().unwrap().is_empty());
    workspace.edit("out/small/SHA256SUMS", "  README.txt", "  README.TXT");
    push(&workspace, &at(&server.url()), &["--whole-files"])
        .exits(3)
        .says(&["SHA256SUMS does not agree with manifest.json"]);
}

/// A registry with the files of a bundle in it, and the workspace that it is from.
fn filled() -> (Workspace, Registry) {
    let (workspace, registry) = (built(), Registry::default());
    push(&workspace, &at(&registry.serve().url()), &["--whole-files"]).success();
    (workspace, registry)
}

/// Pulls from a registry whose answers are changed.
fn pull_changed(
    workspace: &Workspace,
    registry: &Registry,
    change: impl Fn(&Request, Reply) -> Reply + Send + Sync + 'static,
) -> Run {
    let registry = registry.clone();
    let server = Server::start(move |request| change(request, registry.reply(request)));
    pull(workspace, &at(&server.url()), &[])
}

#[test]
fn a_lying_registry_is_found_out_and_nothing_of_it_is_kept() {
    let (workspace, registry) = filled();
    let sums = workspace.text("out/small/SHA256SUMS");
    let line = sums.lines().find(|line| line.ends_with(".tar.gz")).unwrap();
    let (sha256, name) = line.split_once("  ").unwrap();
    let wrong = sha256.to_owned();
    let change = move |request: &Request, reply: Reply| {
        if request.path.contains(&wrong) { Reply { body: vec![7; reply.body.len()], ..reply } } else { reply }
    };
    let run = pull_changed(&workspace, &registry, change).exits(3);
    run.says(&[name, "expected sha256:", "got sha256:", "hint: the registry serves wrong bytes"]);
    assert_nothing(&workspace);
    assert!(!files(&workspace.path(".pulled.pulled/blobs")).is_empty(), "what was right is kept");

    // The right bytes of another file.
    let longer = sha256.to_owned();
    let change = move |request: &Request, reply: Reply| {
        if request.path.contains(&longer) {
            Reply { body: [&reply.body[..], b"more"].concat(), ..reply }
        } else {
            reply
        }
    };
    pull_changed(&workspace, &registry, change).exits(3).says(&[name, "and more keep coming"]);
    assert_nothing(&workspace);

    let page = |request: &Request, reply: Reply| {
        if request.path.contains("/manifests/") { Reply::new(200, b"<html>log in</html>") } else { reply }
    };
    pull_changed(&workspace, &registry, page).exits(1).says(&["its manifest does not read"]);
    assert_nothing(&workspace);
    // An honest one goes on with what was kept.
    pull_changed(&workspace, &registry, |_, reply| reply).success();
    assert_same(&workspace);
}

/// Pulls what another manifest than the bundle's lists.
fn pull_manifest(workspace: &Workspace, registry: &Registry, change: impl Fn(&str) -> String) -> Run {
    let manifest = registry.manifests.lock().unwrap()["1"].clone();
    let changed = change(std::str::from_utf8(&manifest).unwrap()).into_bytes();
    assert_ne!(changed, manifest);
    pull_changed(workspace, registry, move |request, reply| {
        if request.path.contains("/manifests/") { Reply::new(200, &changed) } else { reply }
    })
}

#[test]
fn a_manifest_that_says_something_else_than_the_lists_is_refused() {
    let (workspace, registry) = filled();
    let refused = |change: &dyn Fn(&str) -> String, status: i32, says: &[&str]| {
        pull_manifest(&workspace, &registry, change).exits(status).says(says);
        assert_nothing(&workspace);
    };
    let replace = |from: &'static str, to: &'static str| {
        move |text: &str| {
            assert!(text.contains(from), "{from}");
            text.replace(from, to)
        }
    };
    refused(&replace("\"README.txt\"", "\"../README.txt\""), 1, &["`../README.txt` is not the path of a file"]);
    refused(&replace("\"README.txt\"", "\"EVIL.txt\""), 3, &["README.txt: missing", "EVIL.txt: not in SHA256SUMS"]);
    refused(&replace("\"README.txt\"", "\"index.html\""), 1, &["`index.html` is in it twice"]);
    refused(&replace("kube-bundle.bundle.v1", "example.v1"), 1, &["expected the artifact type"]);
    let exchange = |text: &str| {
        text.replace("\"README.txt\"", "\"x\"")
            .replace("\"index.html\"", "\"README.txt\"")
            .replace("\"x\"", "\"index.html\"")
    };
    refused(&exchange, 3, &["README.txt: not as SHA256SUMS says", "index.html: not as SHA256SUMS says"]);
}

#[test]
fn a_registry_that_has_lost_some_blobs_is_told_which() {
    let (workspace, registry) = filled();
    let sums = workspace.text("out/small/SHA256SUMS");
    let lost: Vec<_> = sums.lines().filter(|line| line.ends_with(".gz") || line.ends_with(".html")).collect();
    assert!(lost.len() >= 2);
    for line in &lost {
        registry.blobs.lock().unwrap().remove(&line[..64]);
    }
    let run = pull_changed(&workspace, &registry, |_, reply| reply).exits(1);
    let mut says: Vec<_> = lost.iter().map(|line| &line[66..]).collect();
    says.extend(["404", "hint: the registry has lost them; push the bundle again"]);
    run.says(&says);
    assert_nothing(&workspace);
    // A push notices what is missing, and sends that alone.
    let pushed = json(&push(&workspace, &at(&registry.serve().url()), &["--whole-files"]).success());
    assert_eq!(pushed["sent"], lost.len());
    pull_changed(&workspace, &registry, |_, reply| reply).success();
    assert_same(&workspace);
    let server = registry.serve();
    let nothing = pull(&workspace, &at(&server.url()).replace("roc:1", "roc:2"), &[]).exits(1);
    nothing.says(&["there is nothing of that name", "skopeo list-tags docker://127.0.0.1"]);
}

#[test]
fn with_trusted_keys_nothing_gets_a_name_that_nobody_has_signed() {
    if !has("ssh-keygen") {
        return;
    }
    let (workspace, registry) = (signed(3000), Registry::default());
    let server = registry.serve();
    push(&workspace, &at(&server.url()), &["--whole-files"]).success();
    let key = workspace.path("other").display().to_string();
    tool("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", &key]);
    workspace.run(&["trust", "init", "others", "--key", "other", "-q"]).success();
    let run = pull(&workspace, &at(&server.url()), &["--trust", "others"]).exits(3);
    run.says(&["its verification failed", "SHA256SUMS.sig", "hint: ask whoever pushed it; nothing was written"]);
    assert_nothing(&workspace);
    // Lists were fetched, to be looked at, and no file of the bundle.
    let asked: Vec<_> = server.requests().into_iter().filter(|request| request.method == "GET").collect();
    let archive = digest(&workspace.read(Workspace::ARCHIVE));
    assert!(asked.iter().all(|request| !request.path.contains(&archive)));
    pull(&workspace, &at(&server.url()), &["--trust", "trust"]).success();
    assert_same(&workspace);

    workspace.run(&["build", "--offline", "--from", "files", "-q"]).success();
    push(&workspace, &at(&server.url()), &["--whole-files"]).success();
    std::fs::remove_dir_all(workspace.path("pulled")).unwrap();
    pull(&workspace, &at(&server.url()), &["--trust", "trust"]).exits(3).says(&["it has no signature"]);
    assert_nothing(&workspace);
}

#[test]
fn a_directory_that_is_no_bundle_is_not_replaced() {
    let (workspace, registry) = filled();
    workspace.write("pulled/mine.txt", "mine");
    pull_changed(&workspace, &registry, |_, reply| reply).exits(1).says(&["exists and is no bundle"]);
    assert_eq!(files(&workspace.path("pulled")).len(), 1);
}

/// `user:pass word` in Base64.
const PASSWORD: &str = "dXNlcjpwYXNzIHdvcmQ=";

/// What `skopeo login` writes.
fn login(workspace: &Workspace, file: &str, host: &str) {
    workspace.write(file, format!("{{\"auths\":{{\"{host}\":{{\"auth\":\"{PASSWORD}\"}}}}}}"));
}

#[test]
fn passwords_are_those_of_the_usual_logins() {
    let workspace = built();
    let registry = Registry::default();
    let server = Server::start({
        let registry = registry.clone();
        move |request| match request.headers.get("authorization").map(String::as_str) {
            Some(header) if header == format!("Basic {PASSWORD}") => registry.reply(request),
            _ => Reply::new(401, b"{}").header("WWW-Authenticate", "Basic realm=\"site\""),
        }
    });
    let to = at(&server.url());
    let host = server.url().replace("http://", "");
    push(&workspace, &to, &[]).exits(1).says(&["wants a password (Basic)", &format!("`skopeo login {host}`")]);
    login(&workspace, ".docker/config.json", "another.example");
    push(&workspace, &to, &[]).exits(1).says(&["wants a password"]);
    login(&workspace, ".docker/config.json", &host);
    push(&workspace, &to, &[]).success();
    std::fs::remove_file(workspace.path(".docker/config.json")).unwrap();
    let with = |name: &str, value: &str| {
        let mut command = workspace.command(&["pull", &to, "-o", "pulled", "-q"]);
        Run::from(command.env(name, workspace.path(value)).output().unwrap())
    };
    login(&workspace, "docker/config.json", &host);
    with("DOCKER_CONFIG", "docker").success();
    login(&workspace, "run/containers/auth.json", &host);
    with("XDG_RUNTIME_DIR", "run").success();
    login(&workspace, "auth.json", &format!("{host}/site"));
    with("REGISTRY_AUTH_FILE", "auth.json").success();
    workspace.write("auth.json", "no JSON");
    with("REGISTRY_AUTH_FILE", "auth.json").exits(1).says(&["auth.json`: it is not the JSON of a `login`"]);
    workspace.write("auth.json", format!("{{\"auths\":{{\"{host}\":{{\"auth\":\"dXNlcjp3cm9uZw==\"}}}}}}"));
    let run = with("REGISTRY_AUTH_FILE", "auth.json").exits(1).says(&["does not take the password that `"]);
    assert!(!run.stderr.contains("wrong"), "{}", run.stderr);
    // After the first answer the password is sent along at once.
    let refused = server.requests().iter().filter(|request| !request.headers.contains_key("authorization")).count();
    assert!(refused < 12, "{refused}");
}

#[test]
fn a_token_for_writing_is_got_with_the_password_and_goes_to_no_other_server() {
    let workspace = built();
    let registry = Registry::default();
    let storage = Server::start({
        let registry = registry.clone();
        move |request| {
            assert!(!request.headers.contains_key("authorization"), "the storage was told the token");
            registry.reply(request)
        }
    });
    let elsewhere = Registry { storage: Some(storage.url().replace("127.0.0.1", "localhost")), ..registry.clone() };
    let server = Server::start(move |request| {
        let host = request.headers["host"].clone();
        if let Some(query) = request.path.strip_prefix("/token?") {
            if request.headers.get("authorization") != Some(&format!("Basic {PASSWORD}")) {
                return Reply::new(401, b"{}");
            }
            return match query {
                "service=site&scope=repository%3Asite%2Froc%3Apull" => Reply::new(200, b"{\"token\":\"reader\"}"),
                "service=site&scope=repository%3Asite%2Froc%3Apull%2Cpush" => {
                    Reply::new(200, b"{\"token\":\"writer\"}")
                }
                _ => Reply::new(400, b"{}"),
            };
        }
        let (scope, tokens): (_, &[_]) = match request.method.as_str() {
            "HEAD" | "GET" => ("pull", &["Bearer reader", "Bearer writer"]),
            _ => ("pull,push", &["Bearer writer"]),
        };
        match request.headers.get("authorization") {
            Some(token) if tokens.contains(&token.as_str()) => elsewhere.reply(request),
            _ => Reply::new(401, b"{}").header(
                "WWW-Authenticate",
                &format!("Bearer realm=\"http://{host}/token\",service=\"site\",scope=\"repository:site/roc:{scope}\""),
            ),
        }
    });
    let to = at(&server.url());
    push(&workspace, &to, &[]).exits(1).says(&["/token` gives no token: the server answered 401", "`skopeo login"]);
    login(&workspace, ".docker/config.json", &server.url().replace("http://", ""));
    push(&workspace, &to, &[]).success();
    pull(&workspace, &to, &[]).success();
    assert_same(&workspace);
    assert!(!storage.requests().is_empty());
    let given = server.requests().iter().filter(|request| request.path.starts_with("/token")).count();
    // Refused, then one to read and one to write, then one to read again.
    assert_eq!(given, 4, "a token is used as long as it is taken");
}

#[test]
fn only_this_machine_is_spoken_to_without_encryption() {
    let workspace = built();
    let registry = Registry::default();
    let server = registry.serve();
    let run = push(&workspace, &at(&server.url()), &["--plain-http=false"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(registry.blobs.lock().unwrap().is_empty());
    push(&workspace, &at(&server.url()), &["--plain-http"]).success();
}

/// Passes bytes on to a registry, slowly, and counts those that are sent to it.
pub(crate) fn proxy(to: &str) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let (sent, to) = (Arc::new(AtomicUsize::new(0)), to.replace("http://", ""));
    let count = Arc::clone(&sent);
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect(&to) else { continue };
            let (up, down) = ((client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client));
            let count = Arc::clone(&count);
            std::thread::spawn(move || {
                pass(up.0, up.1, |bytes| {
                    count.fetch_add(bytes, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_micros(bytes as u64 / 4));
                });
            });
            std::thread::spawn(move || pass(down.0, down.1, |_| {}));
        }
    });
    (format!("http://{address}"), sent)
}

fn pass(mut from: TcpStream, mut to: TcpStream, passed: impl Fn(usize)) {
    let mut buffer = [0; 8192];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        passed(count);
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(std::net::Shutdown::Read), to.shutdown(std::net::Shutdown::Write));
}

/// Sizes of what is sent: all different files.
pub(crate) fn sizes(directory: &Path) -> Vec<usize> {
    let different: BTreeMap<_, _> =
        files(directory).into_values().map(|(_, bytes)| (digest(&bytes), bytes.len())).collect();
    different.into_values().collect()
}

#[test]
fn a_push_killed_again_and_again_sends_little_twice_and_ends_in_the_right_bundle() {
    if !has_all(&["docker-registry", "ssh-keygen"]) {
        return;
    }
    let workspace = signed(400_000);
    let registry = DockerRegistry::start(&workspace);
    let (proxied, sent) = proxy(&registry.url);
    let to = at(&proxied);
    let sizes = sizes(&workspace.path("out/small"));
    let (all, largest) = (sizes.iter().sum::<usize>(), *sizes.iter().max().unwrap());
    let mut kills = 0;
    for round in 0..20 {
        let arguments = ["push", "out/small", &to, "--include-secrets", "--whole-files", "-q"];
        let mut child = workspace.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let before = sent.load(Ordering::SeqCst);
        // A moment that no clock has a say in: after so many bytes.
        let until = before + (round * 7919 * 31) % (largest / 2);
        while sent.load(Ordering::SeqCst) <= until && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        kills += usize::from(!child.wait().unwrap().success());
        // Nobody takes what is half there for a bundle; a kill may have come when all was there.
        if round % 5 == 0 && pull(&workspace, &at(&registry.url), &["-q"]).code == Some(0) {
            assert_same(&workspace);
            std::fs::remove_dir_all(workspace.path("pulled")).unwrap();
        } else {
            assert_nothing(&workspace);
        }
    }
    assert!(kills > 2, "no kill came in time");
    push(&workspace, &to, &["--whole-files"]).success();
    pull(&workspace, &at(&registry.url), &["--trust", "trust"]).success();
    assert_same(&workspace);
    let total = sent.load(Ordering::SeqCst);
    // Questions and headers: some hundred bytes for each file and run.
    let headers = (kills + 1) * sizes.len() * 4 * 400;
    assert!(
        total <= all + kills * largest + headers,
        "{total} bytes were sent of {all}, with {kills} kills and pieces up to {largest}"
    );
}

/// Kills pulls to `pulled` from a slow server; what is kept grows, and nothing gets a name.
pub(crate) fn kill_again_and_again(workspace: &Workspace, pull: impl Fn() -> Command) {
    let mut kills = 0;
    for round in 0..20 {
        let mut child = pull().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // The first ones are killed while they start, the others when more has arrived.
        let kept = || files(&workspace.path(".pulled.pulled")).values().map(|(_, bytes)| bytes.len()).sum::<usize>();
        let until = kept() + if round < 2 { 0 } else { 60_000 };
        while kept() < until && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        if workspace.path("pulled").exists() {
            // It came after the last step, or too late.
            workspace.run(&["verify", "pulled", "--deep"]).success();
            break;
        }
        kills += 1;
        assert_nothing(workspace);
    }
    assert!(kills > 2, "no kill came in time");
}

#[test]
fn a_pull_killed_again_and_again_goes_on_where_it_was() {
    let workspace = Workspace::small(400_000);
    workspace.build().success();
    let registry = Registry::default();
    push(&workspace, &at(&registry.serve().url()), &["--whole-files"]).success();
    let server = Server::start(move |request| Reply { drip: Some(10_000), ..registry.reply(request) });
    kill_again_and_again(&workspace, || workspace.command(&["pull", &at(&server.url()), "-o", "pulled", "-q"]));
    pull(&workspace, &at(&server.url()), &[]).success();
    assert_same(&workspace);
    assert!(server.requests().iter().any(|request| request.headers.contains_key("range")), "nothing was resumed");
}

/// What looks like the page of a captive portal may be what was asked for.
#[test]
fn a_page_is_pulled_like_any_other_file() {
    let (workspace, registry) = filled();
    assert!(workspace.text("out/small/index.html").to_lowercase().starts_with("<!doctype html"));
    pull_changed(&workspace, &registry, |_, reply| reply).success();
    assert_same(&workspace);
}

#[test]
fn what_can_be_no_name_of_a_bundle_is_refused_before_anything_is_sent() {
    let workspace = built();
    for (name, says) in [
        ("registry.example/roc:1", "expected `oci://HOST/REPOSITORY:TAG`"),
        ("oci://registry.example/roc", "expected a tag"),
        ("oci://me:secret@registry.example/roc:1", "host"),
    ] {
        workspace.run(&["push", "out/small", name]).exits(2).says(&[says]);
        workspace.run(&["pull", name, "-o", "pulled"]).exits(2).says(&[says]);
    }
    let digest = format!("oci://127.0.0.1:1/roc@sha256:{}", "0".repeat(64));
    push(&workspace, &digest, &[]).exits(2).says(&["name a tag"]);
    workspace.run(&["push", "files", "oci://127.0.0.1:1/roc:1"]).exits(1).says(&["not a bundle"]);
}

/// Paths of blobs that were asked for.
fn blobs_asked(server: &Server) -> BTreeSet<String> {
    let asked = server.requests().into_iter().filter(|request| request.method == "GET");
    asked.map(|request| request.path).filter(|path| path.contains("/blobs/")).collect()
}

#[test]
fn a_bundle_with_another_name_costs_what_differs() {
    let workspace = Workspace::small(400_000);
    let formats = ["build", "--offline", "--from", "files", "-q", "--format", "tarball,deb,nocloud"];
    workspace.run(&formats).success();
    let registry = Registry::default();
    let server = registry.serve();
    let to = at(&server.url());
    let first = json(&push(&workspace, &to, &[]).success());
    pull(&workspace, &to, &[]).success();
    assert_same(&workspace);
    // Four programs in three formats, which are in the registry once.
    let sent = first["sent_bytes"].as_u64().unwrap();
    assert!((1_600_000..2_100_000).contains(&sent), "{sent}");

    workspace.edit("cluster.toml", "[cluster]", "[cluster]\napiserver_sans = [\"another.example\"]");
    workspace.run(&formats).success();
    let second = json(&push(&workspace, &to, &[]).success());
    let sent = second["sent_bytes"].as_u64().unwrap();
    assert!(sent < 400_000, "{sent} bytes for one more name");
    // The bundle that is replaced has most of it.
    let server = registry.serve();
    pull(&workspace, &at(&server.url()), &[]).success();
    assert_same(&workspace);
    let programs = registry.blobs.lock().unwrap().iter().filter(|(_, bytes)| bytes.len() > 300_000).count();
    assert!(programs >= 4, "{programs}");
    for path in blobs_asked(&server) {
        let sha256 = path.rsplit_once(':').unwrap().1.to_owned();
        assert!(registry.blobs.lock().unwrap()[&sha256].len() < 300_000, "{path} is in the bundle that was there");
    }
    // Unless it is damaged.
    let archive = "pulled/nodes/only/small-only-v1.16.0-amd64.tar.gz";
    for name in [archive, "pulled/nodes/only/nocloud.iso"] {
        if workspace.path(name).exists() {
            let mut bytes = workspace.read(name);
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            workspace.write(name, bytes);
        }
    }
    pull(&workspace, &at(&server.url()), &[]).success();
    assert_same(&workspace);
}

/// A registry with the objects of a bundle in it.
fn filled_thin() -> (Workspace, Registry) {
    let (workspace, registry) = (signed(3000), Registry::default());
    push(&workspace, &at(&registry.serve().url()), &[]).success();
    (workspace, registry)
}

/// What `oras pull` writes: each layer under its title.
#[test]
fn what_oras_pulls_is_a_thin_copy() {
    if !has_all(&["sha256sum", "ssh-keygen", "gunzip"]) {
        return;
    }
    let (workspace, registry) = filled_thin();
    let manifest = registry.manifests.lock().unwrap()["1"].clone();
    for (title, sha256) in titles(&manifest) {
        workspace.write(&format!("copy/{title}"), &registry.blobs.lock().unwrap()[&sha256]);
    }
    // Large texts are compressed, and whoever does not know that is told.
    let hint = "hint: unpack what a registry keeps compressed: `gunzip --recursive DIR`";
    workspace.run(&["import", "copy", "-o", "pulled"]).exits(1).says(&[hint]);
    tool("gunzip", &["--recursive", &workspace.path("copy").display().to_string()]);
    let check = "sha256sum --quiet --strict -c pieces.SHA256SUMS && sha256sum --quiet --ignore-missing -c SHA256SUMS";
    tool("sh", &["-c", &format!("cd {} && {check}", workspace.path("copy").display())]);
    workspace.run(&["import", "copy", "-o", "pulled", "--trust", "trust"]).success();
    assert_same(&workspace);
    // A thin copy can be pushed as well, and is the same.
    let before = registry.put.lock().unwrap().len();
    let again = workspace.run(&["push", "copy", &at(&registry.serve().url()), "--include-secrets", "--json"]).success();
    assert_eq!((&json(&again)["sent"], registry.put.lock().unwrap().len()), (&Value::from(0), before));
}

/// As a failing disk does it: with the date that says that a file was verified.
fn damage_in_silence(path: &Path) {
    let dated = std::fs::metadata(path).unwrap().modified().unwrap();
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).unwrap();
    std::fs::File::options().append(true).open(path).unwrap().set_modified(dated).unwrap();
}

#[test]
fn what_was_kept_and_is_damaged_since_is_fetched_again() {
    let (workspace, registry) = (built(), Registry::default());
    push(&workspace, &at(&registry.serve().url()), &[]).success();
    let titles = titles(&registry.manifests.lock().unwrap()["1"].clone());
    let compressed = |title: &str| title.ends_with(".gz");
    for is_compressed in [false, true] {
        let size = |sha256: &str| registry.blobs.lock().unwrap()[sha256].len();
        let of_kind =
            titles.iter().filter(|(title, _)| title.starts_with("pieces/") && compressed(title) == is_compressed);
        let mut of_kind: Vec<_> = of_kind.map(|(title, sha256)| (size(sha256), title, sha256)).collect();
        of_kind.sort();
        let ((_, damaged, sha256), (_, _, lost)) = (of_kind[0], *of_kind.last().unwrap());
        let lost = lost.clone();
        let change = move |request: &Request, reply: Reply| {
            if request.path.contains(&lost) { Reply { body: vec![7; reply.body.len()], ..reply } } else { reply }
        };
        pull_changed(&workspace, &registry, change).exits(3);
        damage_in_silence(&workspace.path(&format!(".pulled.pulled/blobs/sha256/{}/{sha256}", &sha256[..2])));
        let run = pull_changed(&workspace, &registry, |_, reply| reply).exits(3);
        run.says(&["was damaged on this machine", damaged, "hint: run the same command again: it fetches them again"]);
        pull_changed(&workspace, &registry, |_, reply| reply).success();
        assert_same(&workspace);
        std::fs::remove_dir_all(workspace.path("pulled")).unwrap();
    }
}

#[test]
fn a_pull_wants_as_many_keys_as_a_verification() {
    if !has("ssh-keygen") {
        return;
    }
    let (workspace, registry) = filled_thin();
    let server = registry.serve();
    let run = pull(&workspace, &at(&server.url()), &["--trust", "trust", "--threshold", "2"]).exits(3);
    run.says(&["2 trusted keys must vouch for it, and 1 does", "hint: have others build it again"]);
    assert_nothing(&workspace);
    pull(&workspace, &at(&server.url()), &["--threshold", "2"]).exits(2);
    pull(&workspace, &at(&server.url()), &["--trust", "trust", "--threshold", "1"]).success();
    assert_same(&workspace);
}

/// The digest of a compressed layer is that of the compressed bytes.
#[test]
fn what_is_in_a_compressed_layer_is_verified() {
    let (workspace, registry) = (built(), Registry::default());
    push(&workspace, &at(&registry.serve().url()), &[]).success();
    let gzip = |text: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    };
    let manifest = registry.manifests.lock().unwrap()["1"].clone();
    let packed =
        titles(&manifest).into_iter().find(|(title, _)| title.starts_with("pieces/") && title.ends_with(".gz"));
    let (title, sha256) = packed.expect("a list of software is compressed");
    let pull_other = |other: Vec<u8>| {
        let size = registry.blobs.lock().unwrap()[&sha256].len();
        registry.blobs.lock().unwrap().insert(digest(&other), other.clone());
        let with_other = |text: &str| {
            let size = format!("\"size\": {size}");
            let (before, after) = text.split_once(&sha256).unwrap();
            let after = after.replacen(&size, &format!("\"size\": {}", other.len()), 1);
            format!("{before}{}{after}", digest(&other))
        };
        pull_manifest(&workspace, &registry, with_other).exits(3).says(&[&format!("{title}: not as SHA256SUMS says")]);
        assert_nothing(&workspace);
    };
    pull_other(gzip(b"something else"));
    pull_other(b"not compressed at all".to_vec());
    // It would fill the memory.
    pull_other(gzip(&vec![0; 100 << 20]));
}

/// By the figure that docs/registries.md names.
#[test]
fn a_machine_more_costs_a_registry_less_than_100_kb() {
    let sent = |machines: u32| {
        let workspace = Workspace::small(3000);
        let node = |number| {
            format!("[[nodes]]\nname = \"more-{number}\"\naddress = \"192.0.2.{number}\"\nroles = [\"master\"]\n")
        };
        let nodes: String = (100..100 + machines).map(node).collect();
        workspace.write("cluster.toml", workspace.text("cluster.toml") + &nodes);
        workspace.run(&["build", "--offline", "--from", "files", "-q", "--format", "tarball,deb,nocloud"]).success();
        let registry = Registry::default();
        let pushed = json(&push(&workspace, &at(&registry.serve().url()), &[]).success());
        let manifests: usize = registry.manifests.lock().unwrap().values().map(Vec::len).max().unwrap();
        pushed["sent_bytes"].as_u64().unwrap() + manifests as u64
    };
    let a_machine = (sent(22) - sent(2)) / 20;
    assert!(a_machine < 100_000, "{a_machine} bytes");
}

#[test]
fn objects_that_are_wrong_lost_or_too_many_are_named() {
    if !has("ssh-keygen") {
        return;
    }
    let (workspace, registry) = filled_thin();
    let object = registry.blobs.lock().unwrap().iter().max_by_key(|(_, bytes)| bytes.len()).unwrap().0.clone();
    let title = format!("pieces/{}/{object}", &object[..2]);
    let wrong = object.clone();
    let change = move |request: &Request, reply: Reply| {
        if request.path.contains(&wrong) { Reply { body: vec![7; reply.body.len()], ..reply } } else { reply }
    };
    pull_changed(&workspace, &registry, change).exits(3).says(&[
        &title,
        "expected sha256:",
        "hint: the registry serves",
    ]);
    assert_nothing(&workspace);
    let renamed = |text: &str| text.replace(&title, "pieces/00/0000");
    let says = [format!("{title}: missing"), "pieces/00/0000: not in SHA256SUMS".to_owned()];
    pull_manifest(&workspace, &registry, renamed).exits(3).says(&says.each_ref().map(String::as_str));
    assert_nothing(&workspace);
    registry.blobs.lock().unwrap().remove(&object);
    pull_changed(&workspace, &registry, |_, reply| reply).exits(1).says(&[&title, "hint: the registry has lost them"]);
    assert_nothing(&workspace);
    let pushed = json(&push(&workspace, &at(&registry.serve().url()), &[]).success());
    assert_eq!(pushed["sent"], 1);
    let server = registry.serve();
    pull(&workspace, &at(&server.url()), &["--trust", "trust"]).success();
    assert_same(&workspace);
}

#[test]
fn objects_of_a_damaged_bundle_are_not_pushed() {
    let (workspace, registry) = (built(), Registry::default());
    let server = registry.serve();
    let mut bytes = workspace.read(Workspace::ARCHIVE);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    workspace.write(Workspace::ARCHIVE, &bytes);
    push(&workspace, &at(&server.url()), &[]).exits(3).says(&["pieces/", "it has other bytes than its digest says"]);
    bytes.truncate(100);
    workspace.write(Workspace::ARCHIVE, &bytes);
    push(&workspace, &at(&server.url()), &[]).exits(3).says(&["it has not all objects of the bundle: pieces/"]);
    assert!(registry.manifests.lock().unwrap().is_empty());
}
