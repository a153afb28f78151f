//! A release server on loopback that can misbehave in every way a test asks for.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a client asked.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
    /// How often this path was asked for before.
    pub(crate) before: usize,
}

/// What it gets.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// Announce the body's length.
    pub(crate) with_length: bool,
    /// Hang up after this many bytes.
    pub(crate) cut_after: Option<usize>,
    /// Then send nothing for so long.
    pub(crate) stall: Duration,
    /// Send nothing at all.
    pub(crate) hang_up: bool,
    /// Send the body over and over.
    pub(crate) endless: bool,
    /// Bytes between two short pauses, to be slow.
    pub(crate) drip: Option<usize>,
    /// How long such a pause is.
    pub(crate) pause: Duration,
}

impl Reply {
    pub(crate) fn new(status: u16, body: &[u8]) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.to_vec(),
            with_length: true,
            cut_after: None,
            stall: Duration::ZERO,
            hang_up: false,
            endless: false,
            drip: None,
            pause: Duration::from_millis(5),
        }
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(crate) fn cut(mut self, bytes: usize) -> Self {
        self.cut_after = Some(bytes);
        self
    }

    /// What a decent server says to `request` for a file: whole, or the part asked for if the tag still fits.
    pub(crate) fn file(request: &Request, body: &[u8], etag: &str) -> Self {
        let range = request
            .headers
            .get("range")
            .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
        let same = request.headers.get("if-range").is_none_or(|tag| tag == etag);
        let reply = match range {
            Some(start) if same && start >= body.len() => {
                Self::new(416, b"").header("Content-Range", &format!("bytes */{}", body.len()))
            }
            Some(start) if same => {
                let range = format!("bytes {start}-{}/{}", body.len() - 1, body.len());
                Self::new(206, &body[start..]).header("Content-Range", &range)
            }
            _ => Self::new(200, body),
        };
        reply.header("ETag", etag)
    }
}

type Handler = dyn Fn(&Request) -> Reply + Send + Sync;

/// A running server. Its threads end with the test process.
pub(crate) struct Server {
    address: SocketAddr,
    log: Arc<Mutex<Vec<Request>>>,
    tls: bool,
}

impl Server {
    pub(crate) fn start(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::serve(Arc::new(handler), None)
    }

    /// The same over TLS.
    pub(crate) fn start_tls(
        config: rustls::ServerConfig,
        handler: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::serve(Arc::new(handler), Some(Arc::new(config)))
    }

    fn serve(handler: Arc<Handler>, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (requests, secure) = (Arc::clone(&log), tls.is_some());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (handler, requests, tls) = (Arc::clone(&handler), Arc::clone(&requests), tls.clone());
                std::thread::spawn(move || match tls {
                    Some(config) => {
                        let connection = rustls::ServerConnection::new(config).unwrap();
                        answer(rustls::StreamOwned::new(connection, stream), handler.as_ref(), &requests);
                    }
                    None => answer(stream, handler.as_ref(), &requests),
                });
            }
        });
        Self { address, log, tls: secure }
    }

    pub(crate) fn url(&self) -> String {
        // The certificate of the TLS server is for this name.
        if self.tls { format!("https://localhost:{}", self.address.port()) } else { format!("http://{}", self.address) }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.log.lock().unwrap().clone()
    }
}

/// Serves one request. What goes wrong while writing is the client's hanging up, which tests provoke.
fn answer(mut stream: impl Read + Write, handler: &Handler, log: &Mutex<Vec<Request>>) {
    let Some(mut request) = read_request(&mut stream) else { return };
    {
        let mut log = log.lock().unwrap();
        request.before = log.iter().filter(|other| other.path == request.path).count();
        log.push(request.clone());
    }
    let reply = handler(&request);
    if reply.hang_up {
        return;
    }
    let mut head = format!("HTTP/1.1 {} Reply\r\nConnection: close\r\n", reply.status);
    if reply.with_length && !reply.endless {
        head += &format!("Content-Length: {}\r\n", reply.body.len());
    }
    for (name, value) in &reply.headers {
        head += &format!("{name}: {value}\r\n");
    }
    let _ = stream.write_all(format!("{head}\r\n").as_bytes());
    if request.method == "HEAD" {
        return;
    }
    let wanted = reply.cut_after.unwrap_or(reply.body.len()).min(reply.body.len());
    loop {
        for chunk in reply.body[..wanted].chunks(reply.drip.unwrap_or(1 << 20)) {
            if stream.write_all(chunk).and_then(|()| stream.flush()).is_err() {
                return;
            }
            if reply.drip.is_some() {
                std::thread::sleep(reply.pause);
            }
        }
        if !reply.endless {
            break;
        }
    }
    std::thread::sleep(reply.stall);
}

fn read_request(stream: &mut impl Read) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut lines = reader.by_ref().lines();
    let first = lines.next()?.ok()?;
    let mut words = first.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let mut headers = BTreeMap::new();
    for line in lines.map_while(Result::ok).take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ")?;
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length: &String| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { method, path, headers, body, before: 0 })
}

/// A certificate for `localhost`, and the CA that signed it, as PEM.
pub(crate) fn tls_config() -> (rustls::ServerConfig, String) {
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let mut ca = rcgen::CertificateParams::default();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let issuer = rcgen::Issuer::from_ca_cert_pem(&ca_pem, ca_key).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
    (config.with_no_client_auth().with_single_cert(vec![leaf.der().clone()], key.into()).unwrap(), ca_pem)
}

/// Closes at once whatever connects; for tests that must not be answered.
pub(crate) fn dead_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    assert!(TcpStream::connect(address).is_err());
    address
}
