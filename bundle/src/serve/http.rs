//! The server itself: HTTP/1.1, for reading only.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use http_body_util::channel::{Channel, Sender};
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper::body::Bytes;
use hyper::header::{
    ACCEPT_RANGES, ALLOW, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, IF_NONE_MATCH,
    IF_RANGE, RANGE,
};
use hyper::http::response::Builder;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioTimer;
use tokio::sync::Semaphore;

use super::range::{Wanted, wanted};
use super::site::{Opened, Refusal, Site};
use super::stream::Stream;

/// Connections at a time; further ones wait.
const CONNECTIONS: usize = 256;
/// What is said to a client that has too many of them.
const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
/// Bytes that are read and sent at a time.
const CHUNK: usize = 256 << 10;

type Body = BoxBody<Bytes, io::Error>;

/// What one client may do to others.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections from one address at a time; more are refused.
    pub connections: usize,
    /// How long a connection may be open without the head of a request.
    pub idle: Duration,
    /// How long a client may take nothing of what is sent.
    pub stalled: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 64, idle: Duration::from_secs(10), stalled: Duration::from_secs(30) }
    }
}

/// A server that has its port.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Takes a port; 0 means any that is free.
    ///
    /// # Errors
    /// An address that is not this machine's, or a port that is taken.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// The address that clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until the process is ended, and sends a line for each to `log`: status, method and path. No client
    /// can keep all others waiting.
    ///
    /// # Errors
    /// The system gives no threads or descriptors.
    pub fn run(self, site: Site, limits: Limits, log: mpsc::Sender<String>) -> io::Result<Infallible> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(accept(self.listener, Arc::new(site), limits, log))
    }
}

async fn accept(
    listener: TcpListener,
    site: Arc<Site>,
    limits: Limits,
    log: mpsc::Sender<String>,
) -> io::Result<Infallible> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let free = Arc::new(Semaphore::new(CONNECTIONS));
    // Of each client with a connection, the turns that it has left.
    let mut clients = BTreeMap::<IpAddr, Arc<Semaphore>>::new();
    loop {
        let turn = Arc::clone(&free).acquire_owned().await.map_err(io::Error::other)?;
        // A client that is gone already, or too many open files: neither ends the server.
        let Ok((stream, from)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        clients.retain(|_, turns| turns.available_permits() < limits.connections);
        let turns = clients.entry(from.ip()).or_insert_with(|| Arc::new(Semaphore::new(limits.connections)));
        let Ok(own_turn) = Arc::clone(turns).try_acquire_owned() else {
            let _ = stream.try_write(TOO_MANY);
            continue;
        };
        let (site, log) = (Arc::clone(&site), log.clone());
        tokio::spawn(async move {
            let answer = service_fn(|request| std::future::ready(Ok::<_, Infallible>(answer(&request, &site, &log))));
            let mut http = hyper::server::conn::http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(limits.idle);
            // A client that closes the connection early is no error here.
            let _ = http.serve_connection(Stream::new(stream, limits.stalled), answer).await;
            drop((turn, own_turn));
        });
    }
}

fn answer<B>(request: &Request<B>, site: &Site, log: &mpsc::Sender<String>) -> Response<Body> {
    let (method, path) = (request.method(), request.uri().path());
    let response = match (method == Method::GET || method == Method::HEAD, site.find(path)) {
        (false, _) => refusal(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n"),
        (true, Ok(file)) => send(file, request.headers(), method == Method::HEAD),
        (true, Err(why)) => refusal(status(&why), &why.to_string()),
    };
    // Nobody may read them.
    let _ = log.send(format!("{} {method} {path}", response.status().as_u16()));
    response
}

fn status(why: &Refusal) -> StatusCode {
    match why {
        Refusal::Unknown => StatusCode::NOT_FOUND,
        Refusal::Secret => StatusCode::FORBIDDEN,
        Refusal::Changed => StatusCode::SERVICE_UNAVAILABLE,
        Refusal::Unreadable(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn refusal(status: StatusCode, text: &str) -> Response<Body> {
    let head = Response::builder().status(status).header(CONTENT_TYPE, "text/plain; charset=utf-8");
    let head = if status == StatusCode::METHOD_NOT_ALLOWED { head.header(ALLOW, "GET, HEAD") } else { head };
    finish(head, Full::new(Bytes::copy_from_slice(text.as_bytes())).map_err(|never| match never {}).boxed())
}

/// All of a file, the range that is asked for, or that the client has it already.
fn send(opened: Opened, asked: &HeaderMap, is_head: bool) -> Response<Body> {
    let Opened { file, size, tag, media_type } = opened;
    let field = |name: HeaderName| asked.get(name).and_then(|value| value.to_str().ok());
    let tag = tag.map(|sha256| format!("\"{sha256}\""));
    let has_tag = |list: &str| tag.as_ref().is_some_and(|tag| list.split(',').any(|one| one.trim() == tag));
    let mut head = Response::builder().header(ACCEPT_RANGES, "bytes").header(CONTENT_TYPE, media_type);
    if let Some(tag) = &tag {
        head = head.header(ETAG, tag);
    }
    if field(IF_NONE_MATCH).is_some_and(has_tag) {
        return finish(head.status(StatusCode::NOT_MODIFIED), empty());
    }
    // A part of another file than the client has begun with would be worse than all of this one.
    let may_be_part = field(IF_RANGE).is_none_or(has_tag);
    let range = match wanted(field(RANGE).filter(|_| may_be_part), size) {
        Wanted::All => 0..size,
        Wanted::Part(range) => {
            let shown = format!("bytes {}-{}/{size}", range.start, range.end - 1);
            head = head.status(StatusCode::PARTIAL_CONTENT).header(CONTENT_RANGE, shown);
            range
        }
        Wanted::Nothing => {
            let shown = format!("bytes */{size}");
            return finish(head.status(StatusCode::RANGE_NOT_SATISFIABLE).header(CONTENT_RANGE, shown), empty());
        }
    };
    let length = range.end - range.start;
    let head = head.header(CONTENT_LENGTH, length);
    if is_head {
        return finish(head, empty());
    }
    let (sender, body) = Channel::new(2);
    tokio::task::spawn_blocking(move || copy(file, range.start, length, sender));
    finish(head, body.boxed())
}

/// Reads a file and sends it, as fast as the client takes it. If it can't be read, the connection ends before its time.
fn copy(mut file: std::fs::File, start: u64, length: u64, mut sender: Sender<Bytes, io::Error>) {
    let runtime = tokio::runtime::Handle::current();
    let mut read = || -> io::Result<()> {
        file.seek(SeekFrom::Start(start))?;
        let mut left = length;
        while left > 0 {
            let size = left.min(CHUNK as u64);
            let mut chunk = vec![0; usize::try_from(size).map_err(io::Error::other)?];
            file.read_exact(&mut chunk)?;
            left -= size;
            if runtime.block_on(sender.send_data(chunk.into())).is_err() {
                return Ok(());
            }
        }
        Ok(())
    };
    if let Err(why) = read() {
        sender.abort(why);
    }
}

fn empty() -> Body {
    Full::default().map_err(|never| match never {}).boxed()
}

fn finish(head: Builder, body: Body) -> Response<Body> {
    head.body(body).unwrap_or_else(|why| unreachable!("all fields are valid: {why}"))
}
