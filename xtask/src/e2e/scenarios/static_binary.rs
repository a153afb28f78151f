//! The static program where nothing of a system is there, and on three releases of Debian.
#![expect(clippy::disallowed_methods, reason = "xtask runs programs and touches files")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use kube_bundle::manifest::PUBLIC_SUMS;

use crate::dist::{Head, Place};
use crate::e2e::environment::ScenarioContext;
use crate::e2e::machine::wait;
use crate::e2e::name_server::NameServer;
use crate::e2e::report_ok;
use crate::e2e::roots::{BARE_SUITES, bare_root_path};
use crate::e2e::shell::{Outcome, run_captured, stdout_of};

/// A name that only the name server of this scenario knows.
const MIRROR: &str = "mirror.example";
const PORT: &str = "8443";

/// A web server with TLS, of the directory that it is started in.
const WEB_SERVER: &str = "
import http.server, ssl, sys
server = http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), http.server.SimpleHTTPRequestHandler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2], sys.argv[3])
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
";

pub(super) fn everywhere(context: &ScenarioContext) -> Result<()> {
    let names = NameServer::start(MIRROR)?;
    let authority = write_certificates(&context.work)?;
    let _server = WebServer::start(context)?;
    let program = Place::here()?.program();

    let empty = Root::new(context, "empty", None, &program)?;
    empty.write("etc/ssl/certs/ca-certificates.crt", &fs::read(&authority)?)?;
    let found = fs::read_dir(&empty.directory)?.flatten().map(|entry| entry.file_name().display().to_string());
    // It has no loader and no library, so that the program starts at all shows that it is static.
    report_ok(&format!("the empty root has {}", found.collect::<Vec<_>>().join(", ")));
    let public = works(&empty, &names)?;
    for suite in BARE_SUITES {
        let root = Root::new(context, suite, Some(&bare_root_path(suite)), &program)?;
        root.write("usr/local/share/ca-certificates/mirror.crt", &fs::read(&authority)?)?;
        stdout_of("chroot", &[&root.directory.display().to_string(), "update-ca-certificates"])?;
        ensure!(works(&root, &names)? == public, "{suite}: other public files than in an empty root");
    }
    report_ok("whichever keys each of them made: the same public files, to the byte");
    Ok(())
}

/// What a release engineer does, from the first command to a bundle; returns its list of public files.
fn works(root: &Root, names: &NameServer) -> Result<String> {
    let head = Head::read(&Place::here()?.sources)?;
    let version = root.succeeds(&["--version"])?;
    ensure!(version.contains(&head.commit) && version.contains(&head.day), "--version prints {version}");
    root.succeeds(&["demo"])?;
    root.succeeds(&["verify", "--deep", "out/demo"])?;
    root.succeeds(&["recipe", "export", "v1.16.0", "recipe"])?;
    root.succeeds(&["recipe", "pin", "recipe", "--from", "files"])?;
    root.succeeds(&["init", "--name", "roc", "--node", "master-1=10.200.16.79"])?;
    let plan = root.succeeds(&["plan", "--recipe", "./recipe"])?;
    ensure!(plan.contains("Cluster roc") && plan.contains("10.200.16.79"), "plan prints:\n{plan}");
    root.succeeds(&["build", "--recipe", "./recipe", "--offline", "--from", "files"])?;
    root.succeeds(&["verify", "--deep", "out/roc"])?;
    report_ok(&format!("{}: {}; demo, init, plan, build, verify", root.name, version.trim()));

    let (mirror, other) = (format!("https://{MIRROR}:{PORT}"), format!("https://other.example:{PORT}"));
    let fetch = |from| root.run(&["fetch", "--recipe", "./recipe", "--retries", "0", "--from", from]);
    root.forget_downloads()?;
    let unknown = fetch(&other)?;
    ensure!(!unknown.success() && names.was_asked("other.example"), "a name that does not exist: {}", unknown.text);
    let known = fetch(&mirror)?;
    ensure!(known.success() && names.was_asked(MIRROR), "a name that exists: {}", known.text);
    report_ok(&format!("{}: the name server was asked, and the mirror's certificate checked", root.name));

    let store = root.directory.join("etc/ssl/certs/ca-certificates.crt");
    root.forget_downloads()?;
    fs::write(&store, "").context("could not empty the store of CAs")?;
    let _ = fs::remove_file(root.directory.join("etc/ssl/certs/mirror.pem"));
    let distrusted = fetch(&mirror)?;
    ensure!(!distrusted.success(), "a mirror was trusted without a CA: {}", distrusted.text);
    report_ok(&format!("{}: without the CA the mirror is refused", root.name));
    fs::read_to_string(root.directory.join("out/roc").join(PUBLIC_SUMS)).context("could not read the public files")
}

/// A root directory that the program is started in.
struct Root {
    name: &'static str,
    directory: PathBuf,
}

impl Root {
    /// With the program, the files of a release, and the address of the name server; above `below`, which stays as it is.
    fn new(context: &ScenarioContext, name: &'static str, below: Option<&Path>, program: &Path) -> Result<Self> {
        let [directory, upper, work] = ["root", "upper", "work"].map(|kind| context.work.join(name).join(kind));
        for directory in [&directory, &upper, &work] {
            fs::create_dir_all(directory).with_context(|| format!("could not make `{}`", directory.display()))?;
        }
        if let Some(below) = below {
            let [lower, upper, work] = [below, &upper, &work].map(|path| path.display().to_string());
            let layers = format!("lowerdir={lower},upperdir={upper},workdir={work}");
            stdout_of("mount", &["-t", "overlay", "overlay", "-o", &layers, &directory.display().to_string()])?;
        }
        let root = Self { name, directory };
        root.write("etc/resolv.conf", b"nameserver 127.0.0.1\n")?;
        fs::copy(program, root.directory.join("kube-bundle")).context("could not copy the program")?;
        let files = root.directory.join("files").display().to_string();
        stdout_of("cp", &["-R", &context.binaries.display().to_string(), &files])?;
        Ok(root)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.directory.join(name);
        fs::create_dir_all(path.parent().unwrap_or(&self.directory)).context("could not make a directory")?;
        fs::write(&path, bytes).with_context(|| format!("could not write `{}`", path.display()))
    }

    /// Runs the program in it, with nothing in its environment but a home.
    fn run(&self, arguments: &[&str]) -> Result<Outcome> {
        let directory = self.directory.display().to_string();
        let start = ["-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/", "chroot", &directory, "/kube-bundle"];
        run_captured("env", &[&start[..], arguments].concat())
    }

    /// The same, and it must succeed; returns its standard output.
    fn succeeds(&self, arguments: &[&str]) -> Result<String> {
        let outcome = self.run(arguments)?;
        ensure!(outcome.success(), "{}: kube-bundle {}: {}", self.name, arguments.join(" "), outcome.text);
        Ok(outcome.stdout)
    }

    fn forget_downloads(&self) -> Result<()> {
        fs::remove_dir_all(self.directory.join(".cache")).or_else(|why| match why.kind() {
            std::io::ErrorKind::NotFound => Ok(()),
            _ => Err(why).context("could not remove the store"),
        })
    }
}

/// Writes a CA, and a certificate for the mirror; returns the CA's path.
fn write_certificates(directory: &Path) -> Result<PathBuf> {
    let path = |name: &str| directory.join(name).display().to_string();
    let [ca, ca_key, cert, key] = ["ca.pem", "ca-key.pem", "mirror.pem", "mirror-key.pem"].map(path);
    let request = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
    let of_ca = ["-subj", "/CN=an operator's CA", "-keyout", &ca_key, "-out", &ca];
    stdout_of("openssl", &[&request[..], &of_ca].concat())?;
    let name = format!("subjectAltName=DNS:{MIRROR}");
    let extensions = ["-addext", &name, "-addext", "basicConstraints=critical,CA:FALSE"];
    let signed = ["-CA", &ca, "-CAkey", &ca_key, "-subj", "/CN=mirror", "-keyout", &key, "-out", &cert];
    stdout_of("openssl", &[&request[..], &extensions, &signed].concat())?;
    Ok(directory.join("ca.pem"))
}

/// Ends with this value.
struct WebServer(Child);

impl WebServer {
    fn start(context: &ScenarioContext) -> Result<Self> {
        let [cert, key] = ["mirror.pem", "mirror-key.pem"].map(|name| context.work.join(name));
        let mut python = Command::new("python3");
        python.args(["-c", WEB_SERVER, PORT]).args([cert, key]).current_dir(&context.binaries);
        let server = Self(python.stdout(Stdio::null()).stderr(Stdio::null()).spawn().context("could not run python3")?);
        let answers = || Ok(std::net::TcpStream::connect(format!("127.0.0.1:{PORT}")).is_ok());
        wait("the mirror", 20, answers)?;
        Ok(server)
    }
}

impl Drop for WebServer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
