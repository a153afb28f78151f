//! Images from registries: whatever a registry does, a bundle has the right bytes or there is none.

use std::collections::BTreeMap;
use std::io::Write as _;

use kube_bundle::hash::Sha256;

use crate::harness::{Run, Workspace, component, files, has, program, tool};
use crate::server::{Reply, Request, Server};

/// The manifest of pause:3.1 for linux/amd64 and the list that it is in, as its registry serves them.
const PAUSE_MANIFEST: &str = include_str!("../fixtures/pause-3.1.amd64.manifest.json");
const PAUSE_LIST: &str = include_str!("../fixtures/pause-3.1.list.json");

/// An image that a test made: every file by its digest, and the digest of the manifest.
#[derive(Debug, Clone)]
struct TestImage {
    blobs: BTreeMap<String, Vec<u8>>,
    manifest: String,
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    Sha256::of(bytes).to_string()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A tar archive with one file.
fn tar_of(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o755);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, name, bytes).unwrap();
    archive.into_inner().unwrap()
}

impl TestImage {
    /// An image with one layer for each of these tar archives.
    fn new(layers: &[Vec<u8>]) -> Self {
        Self::for_platform(layers, "amd64")
    }

    fn for_platform(layers: &[Vec<u8>], architecture: &str) -> Self {
        let diff_ids: Vec<_> = layers.iter().map(|layer| format!("\"sha256:{}\"", digest(layer))).collect();
        let config = format!(
            "{{\"os\":\"linux\",\"architecture\":\"{architecture}\",\"rootfs\":{{\"type\":\"layers\",\"diff_ids\":[{}]}}}}",
            diff_ids.join(",")
        );
        let packed: Vec<_> = layers.iter().map(|layer| gzip(layer)).collect();
        let descriptor = |kind: &str, bytes: &[u8]| {
            let media_type = format!("application/vnd.docker.{kind}");
            format!(
                "{{\"mediaType\":\"{media_type}\",\"size\":{},\"digest\":\"sha256:{}\"}}",
                bytes.len(),
                digest(bytes)
            )
        };
        let layers: Vec<_> = packed.iter().map(|layer| descriptor("image.rootfs.diff.tar.gzip", layer)).collect();
        let manifest = format!(
            "{{\"schemaVersion\":2,\"mediaType\":\"application/vnd.docker.distribution.manifest.v2+json\",\"config\":{},\"layers\":[{}]}}",
            descriptor("container.image.v1+json", config.as_bytes()),
            layers.join(",")
        );
        let all = packed.into_iter().chain([config.into_bytes(), manifest.clone().into_bytes()]);
        Self { blobs: all.map(|bytes| (digest(&bytes), bytes)).collect(), manifest: digest(manifest.as_bytes()) }
    }

    /// The same behind a list of manifests for several platforms.
    fn in_list(mut self, architecture: &str) -> Self {
        let size = self.blobs[&self.manifest].len();
        let list = format!(
            "{{\"schemaVersion\":2,\"mediaType\":\"application/vnd.docker.distribution.manifest.list.v2+json\",\"manifests\":[\
             {{\"mediaType\":\"application/vnd.docker.distribution.manifest.v2+json\",\"size\":{size},\"digest\":\"sha256:{}\",\
             \"platform\":{{\"os\":\"linux\",\"architecture\":\"{architecture}\"}}}}]}}",
            self.manifest
        );
        self.manifest = digest(list.as_bytes());
        self.blobs.insert(self.manifest.clone(), list.into_bytes());
        self
    }

    /// What a decent registry says to a request for a file of the repository `app`.
    fn reply(&self, request: &Request) -> Reply {
        let named = request.path.strip_prefix("/v2/app/").and_then(|path| path.split_once("/sha256:"));
        match named.and_then(|(_, sha256)| self.blobs.get(sha256)) {
            Some(bytes) => Reply::file(request, bytes, "\"same\""),
            None => Reply::new(404, b"{}"),
        }
    }

    /// The layer's digest, of an image with one.
    fn layer(&self) -> String {
        let manifest = self.blobs.values().find(|bytes| bytes.windows(8).any(|word| word == b"\"layers\"")).unwrap();
        let text = String::from_utf8_lossy(manifest);
        text.rsplit_once("sha256:").unwrap().1[..64].to_owned()
    }
}

fn plain() -> TestImage {
    TestImage::new(&[tar_of("bin/app", &program("app", 40_000))])
}

/// A worker whose recipe has stand-ins, and whose cluster names the image `app` of a registry at `url`.
fn user(image: &TestImage, url: &str) -> Workspace {
    let workspace = Workspace::worker();
    let host = url.strip_prefix("http://").unwrap();
    let images = format!("[images]\nextra = [\"{host}/app:1@sha256:{}\"]\n[[nodes]]", image.manifest);
    workspace.edit("cluster.toml", "[[nodes]]", &images);
    workspace
}

/// The registry in an image's name is spoken to over https; a mirror may be any server.
fn fetch(workspace: &Workspace, server: &Server) -> Run {
    workspace.run(&["fetch", "--from", "files", "--from", &server.url(), "--timeout", "1", "--retries", "1"])
}

fn serve(image: &TestImage, reply: impl Fn(&TestImage, &Request) -> Reply + Send + Sync + 'static) -> Server {
    let image = image.clone();
    Server::start(move |request| reply(&image, request))
}

/// Nothing of the image is kept that was not verified, and the error says these. The exit status tells wrong bytes (3) from
/// none (1).
#[track_caller]
fn assert_refused(
    image: &TestImage,
    status: i32,
    reply: impl Fn(&TestImage, &Request) -> Reply + Send + Sync + 'static,
    says: &[&str],
) {
    let server = serve(image, reply);
    let workspace = user(image, &server.url());
    fetch(&workspace, &server).exits(status).says(says);
    for blob in workspace.blobs() {
        let bytes = workspace.read(&format!("cache/kube-bundle/blobs/sha256/{}/{blob}", &blob[..2]));
        assert_eq!(digest(&bytes), blob);
    }
    assert_eq!(std::fs::read_dir(workspace.path("cache/kube-bundle/tmp")).unwrap().count(), 0);
}

#[test]
fn an_image_is_fetched_once_and_lies_in_the_bundle_under_its_name() {
    let image = plain().in_list("amd64");
    let server = serve(&image, TestImage::reply);
    let workspace = user(&image, &server.url());
    fetch(&workspace, &server).success();
    let asked = server.requests().len();
    assert!(server.requests().iter().any(|request| request.headers["accept"].contains("manifest.list.v2+json")));
    workspace.build().success();
    assert_eq!(server.requests().len(), asked, "what is in the store is not fetched again");
    let root = workspace.unpack().join("root/usr/local/lib/kube-bundle/images");
    let found = files(&root);
    let index = String::from_utf8(found["index.json"].1.clone()).unwrap();
    let host = server.url().replace("http://", "");
    assert!(index.contains(&format!("\"io.containerd.image.name\": \"{host}/app:1\"")), "{index}");
    assert!(index.contains(&format!("\"{host}/app@sha256:{}\"", image.manifest)), "{index}");
    for (name, (mode, bytes)) in &found {
        assert_eq!(*mode, 0o644, "{name}");
        if let Some(sha256) = name.strip_prefix("blobs/sha256/") {
            assert_eq!(digest(bytes), sha256);
        }
    }
    assert!(found.contains_key(&format!("blobs/sha256/{}", image.layer())));
    workspace.run(&["verify", "--deep", "out/small"]).success();
}

#[test]
fn two_images_share_a_layer() {
    let (shared, own) = (tar_of("bin/base", &program("base", 40_000)), tar_of("bin/own", b"own"));
    let (one, other) = (TestImage::new(std::slice::from_ref(&shared)), TestImage::new(&[shared, own]));
    let mut all = one.clone();
    all.blobs.extend(other.blobs.clone());
    let server = serve(&all, TestImage::reply);
    let workspace = user(&one, &server.url());
    let host = server.url().replace("http://", "");
    workspace.edit("cluster.toml", "extra = [", &format!("extra = [\"{host}/app:2@sha256:{}\", ", other.manifest));
    fetch(&workspace, &server).success();
    let paths: Vec<_> = server.requests().into_iter().map(|request| request.path).collect();
    let layer = one.layer();
    assert_eq!(paths.iter().filter(|path| path.contains(&format!("blobs/sha256:{layer}"))).count(), 1, "{paths:?}");
    workspace.build().success();
    let found = files(&workspace.unpack().join("root/usr/local/lib/kube-bundle/images"));
    assert_eq!(found.keys().filter(|name| name.contains(&layer)).count(), 1);
}

#[test]
fn a_registry_that_wants_a_token_gets_one() {
    let image = plain();
    let server = Server::start({
        let image = image.clone();
        move |request| {
            if let Some(query) = request.path.strip_prefix("/token?") {
                assert_eq!(query, "service=the+registry&scope=repository%3Aapp%3Apull");
                return Reply::new(200, b"{\"access_token\":\"good\"}");
            }
            let host = request.headers["host"].clone();
            match request.headers.get("authorization").map(String::as_str) {
                Some("Bearer good") => image.reply(request),
                _ => Reply::new(401, b"{}").header(
                    "WWW-Authenticate",
                    &format!(
                        "Bearer realm=\"http://{host}/token\",service=\"the registry\",scope=\"repository:app:pull\""
                    ),
                ),
            }
        }
    });
    let workspace = user(&image, &server.url());
    fetch(&workspace, &server).success();
    let tokens = server.requests().iter().filter(|request| request.path.starts_with("/token")).count();
    assert_eq!(tokens, 1, "a token is used as long as it is taken");
}

#[test]
fn a_token_goes_to_no_other_host() {
    let image = plain();
    let storage = serve(&image, |image, request| {
        assert!(!request.headers.contains_key("authorization"), "the storage was told the token");
        let path = request.path.replace("/storage/", "/v2/app/blobs/sha256:");
        image.reply(&Request { path, ..request.clone() })
    });
    let elsewhere = storage.url().replace("127.0.0.1", "localhost");
    let server = serve(&image, move |image, request| {
        let host = &request.headers["host"];
        if request.path.starts_with("/token") {
            return Reply::new(200, b"{\"token\":\"good\"}");
        }
        if !request.headers.contains_key("authorization") {
            let header = format!("Bearer realm=\"http://{host}/token\"");
            return Reply::new(401, b"{}").header("WWW-Authenticate", &header);
        }
        match request.path.split_once("/blobs/sha256:") {
            Some((_, sha256)) => Reply::new(307, b"").header("Location", &format!("{elsewhere}/storage/{sha256}")),
            None => image.reply(request),
        }
    });
    let workspace = user(&image, &server.url());
    fetch(&workspace, &server).success();
    assert!(!storage.requests().is_empty());
}

#[test]
fn a_registry_that_asks_for_the_impossible_is_named() {
    let unauthorized = |header: &'static str| {
        move |_: &TestImage, _: &Request| Reply::new(401, b"{}").header("WWW-Authenticate", header)
    };
    assert_refused(&plain(), 1, unauthorized("Bearer service=\"x\""), &["does not say where to get one (no `realm`)"]);
    assert_refused(&plain(), 1, unauthorized("Basic realm=\"x\""), &["wants a password (Basic)"]);
    assert_refused(&plain(), 1, |_, _| Reply::new(401, b"{}"), &["wants a password, and does not say for what"]);
    let other_scope = |image: &TestImage, request: &Request| {
        if request.path.starts_with("/token") {
            return Reply::new(200, b"{\"token\":\"for another repository\"}");
        }
        let _ = image;
        let header = format!("Bearer realm=\"http://{}/token\"", request.headers["host"]);
        Reply::new(401, b"{}").header("WWW-Authenticate", &header)
    };
    assert_refused(&plain(), 1, other_scope, &["refuses the token that", "/token` gave for it"]);
    let no_token = |_: &TestImage, request: &Request| {
        if request.path.starts_with("/token") {
            return Reply::new(200, b"<html>");
        }
        let header = format!("Bearer realm=\"http://{}/token\"", request.headers["host"]);
        Reply::new(401, b"{}").header("WWW-Authenticate", &header)
    };
    assert_refused(&plain(), 1, no_token, &["gives no token"]);
}

#[test]
fn a_lying_registry_is_found_out() {
    let image = plain();
    let layer = image.layer();
    let (manifest, other) = (image.manifest.clone(), plain().in_list("amd64"));
    assert_refused(
        &image,
        3,
        move |image, request| {
            if request.path.contains(&manifest) {
                Reply::new(200, &other.blobs[&other.manifest])
            } else {
                image.reply(request)
            }
        },
        &["app:1 (manifest)", "expected sha256:", "got sha256:"],
    );
    let wrong = layer.clone();
    assert_refused(
        &image,
        3,
        move |image, request| {
            if request.path.contains(&wrong) {
                Reply::new(200, &vec![7; image.blobs[&wrong].len()])
            } else {
                image.reply(request)
            }
        },
        &["app:1 (layer 1 of 1)", "expected sha256:"],
    );
    let longer = layer.clone();
    assert_refused(
        &image,
        3,
        move |image, request| {
            if request.path.contains(&longer) {
                Reply::new(200, &[&image.blobs[&longer][..], b"more"].concat())
            } else {
                image.reply(request)
            }
        },
        &["app:1 (layer 1 of 1)", "and more keep coming"],
    );
    let looping = |_: &TestImage, request: &Request| Reply::new(307, b"").header("Location", &request.path.clone());
    assert_refused(&image, 1, looping, &["more than 10 redirects"]);
    let page = |_: &TestImage, _: &Request| Reply::new(200, b"<html>log in</html>").header("Content-Type", "text/html");
    assert_refused(&image, 3, page, &["an HTML page instead of the file"]);
}

#[test]
fn a_layer_that_broke_off_is_taken_up_where_it_broke() {
    let image = TestImage::new(&[tar_of("bin/app", &program("app", 400_000))]);
    let layer = image.layer();
    let server = serve(&image, move |image, request| {
        let reply = image.reply(request);
        if request.path.contains(&layer) && request.before == 0 { reply.cut(100_000) } else { reply }
    });
    let workspace = user(&image, &server.url());
    fetch(&workspace, &server).success();
    let ranges = server.requests().iter().filter(|request| request.headers.contains_key("range")).count();
    assert_eq!(ranges, 1);
}

#[test]
fn an_image_for_another_machine_is_refused() {
    assert_refused(
        &plain().in_list("arm64"),
        3,
        TestImage::reply,
        &["expected an image for linux/amd64, got one for linux/arm64"],
    );
    let image = TestImage::for_platform(&[tar_of("bin/app", b"x")], "arm64");
    assert_refused(&image, 3, TestImage::reply, &["expected an image for linux/amd64, got one for linux/arm64"]);
}

/// What was published of pause:3.1 hashes to what is pinned; its layer is not here.
#[test]
fn the_manifests_of_pause_are_those_that_are_pinned() {
    let recipe = kube_bundle::recipe::embedded::load("v1.16.0").unwrap();
    let pinned = recipe.release.components["pause"].sha256.unwrap().to_string();
    assert_eq!(digest(PAUSE_LIST.as_bytes()), pinned);
    assert!(PAUSE_LIST.contains(&digest(PAUSE_MANIFEST.as_bytes())));
    let mut image = plain();
    for text in [PAUSE_LIST, PAUSE_MANIFEST] {
        image.blobs.insert(digest(text.as_bytes()), text.as_bytes().to_vec());
    }
    image.manifest = pinned;
    let server = serve(&image, TestImage::reply);
    let workspace = user(&image, &server.url());
    // The manifests are accepted, and the configuration that the second one names is asked for.
    fetch(&workspace, &server).exits(1).says(&["app:1 (configuration)", "404"]);
    let config = "/v2/app/blobs/sha256:da86e6ba6ca197bf6bc5e9d900febd906b133eaa4750e6bed647b0fbe50ed43e";
    assert!(server.requests().iter().any(|request| request.path == config));
}

#[test]
fn a_program_is_taken_out_of_an_image() {
    let body = program("coredns", 50_000);
    let image = TestImage::new(&[tar_of("etc/certs", b"x"), tar_of("coredns", &body)]);
    let server = serve(&image, TestImage::reply);
    let workspace = Workspace::worker();
    let archive = format!(
        "[archives.dns]\nimage = \"registry.example/app:1\"\nurls = [\"{}/v2/app\"]\nsha256 = \"{}\"\nsources = []\n",
        server.url(),
        image.manifest
    );
    let recipe = workspace.text("recipe/recipe.toml");
    let old = component("coredns", "", &program("coredns", 3000));
    let new = "[components.coredns]\narchive = \"dns\"\nmember = \"coredns\"\n";
    assert!(recipe.contains(&old));
    workspace.write("recipe/recipe.toml", recipe.replace(&old, &(archive + new)));
    fetch(&workspace, &server).success();
    assert!(workspace.blobs().contains(&digest(&body)));
    workspace.build().success();
}

#[test]
fn an_image_without_a_digest_is_refused_and_a_missing_one_is_named_offline() {
    let workspace = Workspace::worker();
    workspace.edit("cluster.toml", "[[nodes]]", "[images]\nextra = [\"registry.example/app:1\"]\n[[nodes]]");
    workspace.run(&["plan"]).exits(2).says(&["expected the digest of the manifest behind the name"]);
    let zeros = "0".repeat(64);
    workspace.edit("cluster.toml", "app:1\"", &format!("app:1@sha256:{zeros}\""));
    workspace.build().exits(1).says(&["registry.example/app:1", &zeros]);
}

#[test]
fn pin_finds_an_image_in_a_layout() {
    let workspace = Workspace::worker();
    let before = workspace.text("recipe/recipe.toml");
    workspace.run(&["recipe", "pin", "recipe", "--from", "files"]).success();
    let index = workspace.text("files/index.json");
    let sha256 = &index.split_once("sha256:").unwrap().1[..64];
    assert!(workspace.text("recipe/recipe.toml").contains(sha256) && before.contains(sha256));
}

/// What Debian's containerd and its tools say is not asked here; `cargo xtask e2e whole-cluster` does.
#[test]
fn tar_and_gzip_read_layers_as_they_were() {
    if !has("sha256sum") {
        return;
    }
    let image = plain();
    let server = serve(&image, TestImage::reply);
    let workspace = user(&image, &server.url());
    fetch(&workspace, &server).success();
    workspace.build().success();
    let layer = image.layer();
    let path = workspace.unpack().join("root/usr/local/lib/kube-bundle/images/blobs/sha256").join(&layer);
    assert!(tool("sha256sum", &[&path.display().to_string()]).starts_with(&layer));
    assert_eq!(std::fs::read(path).unwrap(), image.blobs[&layer]);
}

/// Debian's registry, with its files in a workspace.
pub(crate) struct DockerRegistry {
    process: std::process::Child,
    pub(crate) url: String,
}

impl DockerRegistry {
    /// With an image in its directory.
    fn with_image(workspace: &Workspace, image: &TestImage) -> Self {
        let root = "registry/docker/registry/v2";
        for (sha256, bytes) in &image.blobs {
            workspace.write(&format!("{root}/blobs/sha256/{}/{sha256}/data", &sha256[..2]), bytes);
            for kind in ["_layers", "_manifests/revisions"] {
                let link = format!("{root}/repositories/app/{kind}/sha256/{sha256}/link");
                workspace.write(&link, format!("sha256:{sha256}"));
            }
        }
        Self::start(workspace)
    }

    pub(crate) fn start(workspace: &Workspace) -> Self {
        // A port that is free now.
        let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let directory = workspace.path("registry").display().to_string();
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {directory}}}}}\nhttp: {{addr: 127.0.0.1:{port}}}\n"
        );
        workspace.write("registry.yml", config);
        let mut command = std::process::Command::new("docker-registry");
        command.arg("serve").arg(workspace.path("registry.yml")).stdout(std::process::Stdio::null());
        let process = command.stderr(std::process::Stdio::null()).spawn().unwrap();
        for _ in 0..200 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        Self { process, url: format!("http://127.0.0.1:{port}") }
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn debians_registry_serves_what_is_fetched() {
    if !has("docker-registry") {
        return;
    }
    for image in [plain(), plain().in_list("amd64")] {
        let workspace = Workspace::worker();
        let registry = DockerRegistry::with_image(&workspace, &image);
        let host = registry.url.replace("http://", "");
        let images = format!("[images]\nextra = [\"{host}/app:1@sha256:{}\"]\n[[nodes]]", image.manifest);
        workspace.edit("cluster.toml", "[[nodes]]", &images);
        let from = ["fetch", "--from", "files", "--from", &registry.url, "--timeout", "5", "--retries", "1"];
        workspace.run(&from).success();
        let layer = image.layer();
        assert!(workspace.blobs().contains(&layer));
    }
}
