//! A stand-in for every component, told apart by the name it is run under.
//!
//! It is as strict as the real ones where an installation can be wrong: it knows no flag that the recipe's tables do not
//! know, opens every file that a flag names, serves TLS with the certificate that it is given, asks for a client's, and
//! reports readiness where the real one does. It keeps no object and runs no cluster.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "it is a program of its own"
)]

mod dns;
mod kubeconfig;
mod tls;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use kube_bundle::recipe::embedded;
use kubeconfig::Kubeconfig;

type Flags = BTreeMap<String, String>;

fn main() -> ExitCode {
    let mut words = std::env::args();
    let name = words.next().unwrap_or_default();
    let name = Path::new(&name).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let words: Vec<_> = words.collect();
    if words == ["--version"] || words == ["version"] {
        println!("{name}: a stand-in for Kubernetes v1.16.0");
        return ExitCode::SUCCESS;
    }
    let done = match name.as_str() {
        "kube-apiserver" => flags(&name, &words).and_then(|flags| api_server(&flags)),
        "kube-controller-manager" | "kube-scheduler" => flags(&name, &words).and_then(|flags| component(&flags)),
        "kubectl" => kubectl(&words),
        "coredns" => match &words[..] {
            [option, corefile] if option == "-conf" => read(corefile).and_then(|text| dns::serve(&text)),
            _ => Err("expected -conf and a file".to_owned()),
        },
        _ => Err(format!("no component is called `{name}`")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{name}: {why}");
            ExitCode::FAILURE
        }
    }
}

/// The flags, each one known, and each file that they name open to us.
fn flags(name: &str, words: &[String]) -> Result<Flags, String> {
    let recipe = embedded::load("v1.16.0").map_err(|why| why.to_string())?;
    let table = recipe.flags.get(name).ok_or("there is no table of its flags")?;
    let mut flags = Flags::new();
    for word in words {
        let flag = word.strip_prefix("--").ok_or_else(|| format!("`{word}` is no flag"))?;
        let (flag, value) = flag.split_once('=').unwrap_or((flag, "true"));
        if !table.knows(flag) {
            return Err(format!("unknown flag: --{flag}"));
        }
        let is_input = flag.ends_with("file") || flag.ends_with("kubeconfig") || flag.ends_with("config");
        if is_input && value.starts_with('/') {
            read(value)?;
        }
        flags.insert(flag.to_owned(), value.to_owned());
    }
    Ok(flags)
}

fn read(path: &str) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|why| format!("open {path}: {why}"))
}

fn wanted<'a>(flags: &'a Flags, flag: &str) -> Result<&'a str, String> {
    flags.get(flag).map(String::as_str).ok_or_else(|| format!("--{flag} is missing"))
}

fn api_server(flags: &Flags) -> Result<(), String> {
    let etcd: Vec<_> = wanted(flags, "etcd-servers")?.split(',').map(|url| url.replace("https://", "")).collect();
    // The real one gives up after twenty seconds, and leaves it to systemd to try again.
    // A member whose machine is off never answers, and must not hold up the others.
    let answers = |member: &String| {
        let address = member.to_socket_addrs().ok().and_then(|mut found| found.next());
        address.is_some_and(|address| TcpStream::connect_timeout(&address, Duration::from_millis(500)).is_ok())
    };
    let is_there = |etcd: &[String]| etcd.iter().any(answers);
    for _ in 0..40 {
        if is_there(&etcd) {
            break;
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    if !is_there(&etcd) {
        return Err(format!("no etcd answers: {}", etcd.join(" ")));
    }
    let server = tls::server(
        &read(wanted(flags, "tls-cert-file")?)?,
        &read(wanted(flags, "tls-private-key-file")?)?,
        Some(&read(wanted(flags, "client-ca-file")?)?),
    )?;
    let log = wanted(flags, "audit-log-path")?;
    let mut log = File::options().create(true).append(true).open(log).map_err(|why| format!("open {log}: {why}"))?;
    let listener = listen(wanted(flags, "bind-address")?, wanted(flags, "secure-port")?)?;
    ready();
    tls::serve(&listener, &server, |path, is_known| {
        // A log that can't be written is seen by who reads it.
        let _ = writeln!(log, "{{\"requestURI\":\"{path}\"}}");
        match (is_known, path) {
            (false, _) => (401, "Unauthorized".to_owned()),
            (true, "/healthz") if !is_there(&etcd) => (500, "[-]etcd failed".to_owned()),
            (true, _) => (200, "ok".to_owned()),
        }
    });
    Ok(())
}

/// controller-manager and scheduler: nothing without an API server that knows them.
fn component(flags: &Flags) -> Result<(), String> {
    let kubeconfig = match flags.get("kubeconfig") {
        Some(path) => path.clone(),
        None => kubeconfig::value(&read(wanted(flags, "config")?)?, "kubeconfig").ok_or("no kubeconfig is named")?,
    };
    let kubeconfig = Kubeconfig::parse(&read(&kubeconfig)?)?;
    let said = tls::get(&kubeconfig, "/healthz")?;
    if said != (200, "ok".to_owned()) {
        return Err(format!("{} says {said:?}", kubeconfig.server));
    }
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).map_err(|why| why.to_string())?;
    let server = tls::server(&own.cert.pem(), &own.signing_key.serialize_pem(), None)?;
    let listener = listen(wanted(flags, "bind-address")?, wanted(flags, "secure-port")?)?;
    tls::serve(&listener, &server, |path, _| match path {
        "/healthz" => (200, "ok".to_owned()),
        _ => (403, "Forbidden".to_owned()),
    });
    Ok(())
}

fn listen(address: &str, port: &str) -> Result<std::net::TcpListener, String> {
    std::net::TcpListener::bind(format!("{address}:{port}")).map_err(|why| format!("listen on {address}:{port}: {why}"))
}

/// `READY=1` (`sd_notify(3)`).
fn ready() {
    if let Some(socket) = std::env::var_os("NOTIFY_SOCKET") {
        let sent = UnixDatagram::unbound().and_then(|from| from.send_to(b"READY=1", &socket));
        sent.unwrap_or_else(|why| panic!("systemd is not told: {why}"));
    }
}

/// `get --raw=PATH` and `apply --filename=FILE`, with `--kubeconfig=FILE` and `--server=URL`.
fn kubectl(words: &[String]) -> Result<(), String> {
    let option = |name: &str| words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    let mut kubeconfig = Kubeconfig::parse(&read(option("--kubeconfig").ok_or("--kubeconfig is missing")?)?)?;
    if let Some(server) = option("--server") {
        server.clone_into(&mut kubeconfig.server);
    }
    let path = match (words.iter().any(|word| word == "apply"), option("--filename"), option("--raw")) {
        (true, Some(file), _) => {
            std::fs::metadata(file).map_err(|why| format!("open {file}: {why}"))?;
            format!("/apply{file}")
        }
        (false, _, Some(path)) => path.to_owned(),
        _ => return Err("a stand-in knows `get --raw` and `apply --filename` only".to_owned()),
    };
    match tls::get(&kubeconfig, &path)? {
        (200, text) => {
            print!("{text}");
            Ok(())
        }
        (status, text) => Err(format!("{} answers {status}: {text}", kubeconfig.server)),
    }
}
