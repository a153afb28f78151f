//! `kube-bundle serve`: machines of a site fetch a bundle over their network, and nothing that was not meant for them.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::symlink;
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use kube_bundle::serve::{Limits, Secrets, Server, Site};

use crate::harness::{Workspace, files, has};
use crate::packages::built;
use crate::repository::apt_with;

/// A server that is ended with the test.
struct Serving {
    child: Child,
    address: String,
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve(workspace: &Workspace, more: &[&str]) -> Serving {
    let arguments = [&["serve", "out/small", "--listen", "127.0.0.1:0"], more].concat();
    let mut child = workspace.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.split(' ').find_map(|word| word.strip_prefix("http://")).unwrap_or_else(|| panic!("{line:?}"));
    Serving { child, address: address.trim_end_matches('/').to_owned() }
}

struct Reply {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Reply {
    fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

impl Serving {
    fn send(&self, method: &str, path: &str, fields: &[&str]) -> Reply {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: mirror\r\nConnection: close\r\n{fields}\r\n").unwrap();
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).unwrap();
        let end = reply.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
        let head = String::from_utf8(reply[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Reply { status, head: head.to_ascii_lowercase(), body: reply.split_off(end + 4) }
    }

    fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[])
    }
}

#[test]
fn every_public_file_is_served_as_it_is() {
    let workspace = built();
    let server = serve(&workspace, &[]);
    let mut refused = Vec::new();
    for (name, (mode, bytes)) in files(&workspace.path("out/small")) {
        let reply = server.get(&format!("/{name}"));
        if mode == 0o600 {
            assert_eq!(reply.status, 403, "{name}");
            assert!(!reply.body.windows(20).any(|part| bytes.windows(20).any(|secret| secret == part)), "{name}");
            refused.push(name);
        } else {
            assert!(reply.status == 200 && reply.body == bytes, "{name}: {}", reply.head);
        }
    }
    assert_eq!(refused.len(), 4, "the machine's package, two kubeconfigs and a key of etcd: {refused:?}");
    assert!(server.get("/").body == workspace.read("out/small/index.html"));
}

#[test]
fn with_include_secrets_all_files_are_served() {
    let workspace = built();
    let server = serve(&workspace, &["--include-secrets"]);
    assert_eq!(server.get("/operator/admin.kubeconfig").body, workspace.read("out/small/operator/admin.kubeconfig"));
}

#[test]
fn everything_is_served_when_secrets_are_sealed() {
    if !has("openssl") {
        return;
    }
    let workspace = Workspace::small(3000);
    workspace.edit("cluster.toml", "[pki]", "[secrets]\nseal = \"key\"\n[pki]");
    let mirror = "[output.mirror]\nurl = \"http://192.0.2.9/small/\"\n";
    workspace.write("cluster.toml", workspace.text("cluster.toml") + mirror);
    let formats = "tarball,deb,nocloud,initrd,user-data";
    workspace.run(&["build", "--offline", "--from", "files", "--format", formats, "-q"]).success();
    let server = serve(&workspace, &[]);
    for (name, (_, bytes)) in files(&workspace.path("out/small")) {
        let reply = server.get(&format!("/{name}"));
        assert!(reply.status == 200 && reply.body == bytes, "{name}: {}", reply.head);
    }
}

#[test]
fn a_disk_with_the_package_of_a_machine_is_refused_as_the_package_is() {
    let workspace = built();
    workspace.run(&["build", "--offline", "--from", "files", "--format", "deb,nocloud", "-q"]).success();
    let server = serve(&workspace, &[]);
    assert_eq!(server.get("/nodes/only/cidata.iso").status, 403);
}

#[test]
fn nothing_is_served_that_the_bundle_does_not_list() {
    let workspace = built();
    workspace.write("out/small/notes.txt", "mine");
    workspace.write("secret", "mine");
    let server = serve(&workspace, &[]);
    for path in
        ["/notes.txt", "/../secret", "/%2e%2e/secret", "/deb/../../secret", "//etc/passwd", "/deb", "/deb/", "/%"]
    {
        assert_eq!(server.get(path).status, 404, "{path}");
    }
    // Somebody exchanges a file while the server runs.
    std::fs::remove_file(workspace.path("out/small/README.txt")).unwrap();
    symlink("/etc/passwd", workspace.path("out/small/README.txt")).unwrap();
    assert_eq!(server.get("/README.txt").status, 500);
    assert_eq!(server.send("POST", "/README.txt", &["Content-Length: 0"]).status, 405);
}

#[test]
fn parts_of_files_are_served_to_clients_that_go_on() {
    let workspace = built();
    let server = serve(&workspace, &[]);
    let (path, whole) = ("/README.txt", workspace.read("out/small/README.txt"));
    let all = server.get(path);
    let tag = all.field("etag").expect("a tag").to_owned();
    assert_eq!(all.field("accept-ranges"), Some("bytes"));
    let part = server.send("GET", path, &["Range: bytes=10-19"]);
    assert_eq!((part.status, &part.body[..]), (206, &whole[10..20]));
    assert_eq!(part.field("content-range"), Some(&*format!("bytes 10-19/{}", whole.len())));
    let rest = server.send("GET", path, &["Range: bytes=10-", &format!("If-Range: {tag}")]);
    assert_eq!((rest.status, &rest.body[..]), (206, &whole[10..]));
    let other = server.send("GET", path, &["Range: bytes=10-", "If-Range: \"another\""]);
    assert_eq!((other.status, &other.body), (200, &whole));
    assert_eq!(server.send("GET", path, &["Range: bytes=999999-"]).status, 416);
    let known = server.send("GET", path, &[&format!("If-None-Match: \"another\", {tag}")]);
    assert_eq!((known.status, known.body.len()), (304, 0));
    let head = server.send("HEAD", path, &[]);
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.field("content-length"), Some(&*whole.len().to_string()));
}

/// A server in this process, with limits that a test can wait for.
fn serve_here(workspace: &Workspace, limits: Limits) -> SocketAddr {
    let site = Site::open(&workspace.path("out/small"), Secrets::Refused).unwrap();
    let server = Server::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = server.address();
    std::thread::spawn(move || server.run(site, limits, mpsc::channel().0));
    address
}

/// Whether the server has closed a connection, sooner or later.
fn is_closed(mut stream: &TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    match stream.read_to_end(&mut Vec::new()) {
        Ok(_) => true,
        Err(why) => why.kind() != ErrorKind::WouldBlock && why.kind() != ErrorKind::TimedOut,
    }
}

#[test]
fn clients_that_take_nothing_or_say_nothing_are_given_up() {
    let workspace = Workspace::small(3_000_000);
    workspace.build().success();
    workspace.edit("cluster.toml", "[pki]", "[secrets]\nseal = \"key\"\n[pki]");
    workspace.build().success();
    let limits = Limits { connections: 10, idle: Duration::from_millis(300), stalled: Duration::from_millis(300) };
    let address = serve_here(&workspace, limits);
    let archive = Workspace::ARCHIVE.strip_prefix("out/small").unwrap();
    // More than fits into the buffers of both ends.
    let get = format!("GET {archive} HTTP/1.1\r\nHost: mirror\r\n\r\n").repeat(4);
    let connect = || TcpStream::connect(address).unwrap();
    let status = |mut stream: TcpStream| {
        let mut reply = String::new();
        let _ = write!(stream, "GET /SHA256SUMS HTTP/1.1\r\nHost: mirror\r\nConnection: close\r\n\r\n");
        let _ = stream.read_to_string(&mut reply);
        reply.split(' ').nth(1).unwrap_or_default().to_owned()
    };
    assert_eq!(status(connect()), "200");
    let slow: Vec<_> = (0..limits.connections - 1).map(|_| connect()).collect();
    for mut stream in &slow {
        stream.write_all(get.as_bytes()).unwrap();
    }
    let mut idle = connect();
    idle.write_all(b"HEAD /SHA256SUMS HTTP/1.1\r\nHost: mirror\r\n\r\n").unwrap();
    std::thread::sleep(Duration::from_millis(100));
    assert_ne!(status(connect()), "200", "one address has only so many connections");
    assert!(is_closed(&idle), "between two requests");
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(status(connect()), "200", "all that were slow are gone");
    assert!(slow.iter().all(is_closed));
}

#[test]
fn a_bundle_that_is_built_again_is_not_mixed_with_the_one_that_is_served() {
    let workspace = built();
    let server = serve(&workspace, &[]);
    assert_eq!(server.get("/README.txt").status, 200);
    workspace.build_packages(&[]).success();
    let reply = server.get("/README.txt");
    assert_eq!(reply.status, 503);
    assert!(String::from_utf8_lossy(&reply.body).contains("start it again"));
}

#[test]
fn apt_fetches_from_it() {
    if !has("apt-get") {
        return;
    }
    let workspace = built();
    let server = serve(&workspace, &[]);
    let source = format!("http://{}/deb", server.address);
    let apt = |arguments: &[&str]| apt_with(&workspace, "trusted=yes", &source, "apt-get", arguments);
    let update = apt(&["update"]).success();
    assert!(!update.stdout.contains("Err:") && update.stderr.is_empty(), "{update:?}");
    apt(&["download", "kube-bundle-kube-scheduler"]).success();
    assert_eq!(
        workspace.read("apt/kube-bundle-kube-scheduler_1.16.0-1_amd64.deb"),
        std::fs::read(workspace.package("out/small", "kube-bundle-kube-scheduler")).unwrap()
    );
    assert_ne!(apt(&["download", "small-only"]).code, Some(0), "it holds keys");
}

#[test]
fn what_is_wrong_with_an_address_is_said() {
    let workspace = built();
    let server = serve(&workspace, &[]);
    let taken = workspace.run(&["serve", "out/small", "--listen", &server.address]).exits(1);
    taken.says(&[&format!("could not serve at {}", server.address), "--listen ADDRESS:PORT"]);
    workspace.run(&["serve", "out/small", "--listen", "nowhere"]).exits(2);
    workspace.run(&["serve", "recipe"]).exits(1).says(&["not a bundle"]);
}
