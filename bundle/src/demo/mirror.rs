//! The web server of a demonstration: it serves a few files from memory, on loopback only.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// A running server. Dropping it stops the server and joins its thread.
pub(super) struct Served {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    /// Serves each file under every path that ends with its name, on a free port. Fails where loopback is down.
    pub(super) fn start(files: &[(String, Vec<u8>)]) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        // Listening works even while the loopback device is down.
        TcpStream::connect(address)?;
        let files = files.to_vec();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                // A client that closes the connection early is not an error.
                let _ = stream.and_then(|stream| answer(&stream, &files));
            }
        });
        Ok(Self { address, stop, thread: Some(thread) })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // `incoming` blocks: one connection wakes it, so that it sees the flag.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn answer(mut stream: &TcpStream, files: &[(String, Vec<u8>)]) -> io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    for line in lines.by_ref() {
        if line?.is_empty() {
            break;
        }
    }
    let wanted = request.split(' ').nth(1).and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    let (status, body) = match files.iter().find(|(name, _)| name == wanted) {
        Some((_, body)) => ("200 OK", body.as_slice()),
        None => ("404 Not Found", &[][..]),
    };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
    stream.write_all(body)
}
