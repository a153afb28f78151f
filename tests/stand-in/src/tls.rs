//! HTTP over TLS, one request a connection, with the least that a client needs.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::kubeconfig::Kubeconfig;

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().map_err(|why| why.to_string())
}

fn roots(pem: &str) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots.add(certificate).map_err(|why| why.to_string())?;
    }
    Ok(roots)
}

fn key(pem: &str) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|why| why.to_string())
}

/// A server with this certificate; clients may show one that `clients` signed.
pub(crate) fn server(certificate: &str, private: &str, clients: Option<&str>) -> Result<Arc<ServerConfig>, String> {
    let builder = match clients {
        Some(ca) => {
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots(ca)?)).allow_unauthenticated().build();
            ServerConfig::builder().with_client_cert_verifier(verifier.map_err(|why| why.to_string())?)
        }
        None => ServerConfig::builder().with_no_client_auth(),
    };
    let config = builder.with_single_cert(certificates(certificate)?, key(private)?);
    config.map(Arc::new).map_err(|why| why.to_string())
}

/// Answers for ever; `answer` is told the path, and whether a certificate was shown.
pub(crate) fn serve(
    listener: &TcpListener,
    config: &Arc<ServerConfig>,
    answer: impl FnMut(&str, bool) -> (u16, String) + Send,
) {
    let answer = Mutex::new(answer);
    std::thread::scope(|scope| {
        for stream in listener.incoming().flatten() {
            let (answer, config) = (&answer, Arc::clone(config));
            scope.spawn(move || {
                // Who asks and goes away is nobody's loss.
                let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
                let Ok(connection) = ServerConnection::new(config) else { return };
                let mut stream = BufReader::new(StreamOwned::new(connection, stream));
                let mut line = String::new();
                if stream.read_line(&mut line).is_err() {
                    return;
                }
                let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
                while stream.read_line(&mut line).is_ok() && !line.ends_with("\r\n\r\n") {}
                let is_known = stream.get_ref().conn.peer_certificates().is_some();
                let Ok(mut answer) = answer.lock() else { return };
                let (status, text) = answer(&path, is_known);
                let reply = format!(
                    "HTTP/1.1 {status} -\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
                    text.len()
                );
                let stream = stream.get_mut();
                let _ = stream.write_all(reply.as_bytes());
                stream.conn.send_close_notify();
                let _ = stream.flush();
            });
        }
    });
}

/// One GET, with the certificate of a kubeconfig: status and text.
pub(crate) fn get(as_whom: &Kubeconfig, path: &str) -> Result<(u16, String), String> {
    let config = ClientConfig::builder().with_root_certificates(roots(&as_whom.ca)?);
    let config = config.with_client_auth_cert(certificates(&as_whom.certificate)?, key(&as_whom.key)?);
    let config = config.map_err(|why| why.to_string())?;
    let address = as_whom.server.strip_prefix("https://").ok_or("the server is no https:// URL")?;
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let name = ServerName::try_from(host.to_owned()).map_err(|why| why.to_string())?;
    let said = |why: std::io::Error| format!("{address}: {why}");
    let stream = TcpStream::connect(address).map_err(said)?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).map_err(said)?;
    let connection = ClientConnection::new(Arc::new(config), name).map_err(|why| why.to_string())?;
    let mut stream = StreamOwned::new(connection, stream);
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n").map_err(said)?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).map_err(said)?;
    let status = reply.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or("no HTTP came back")?;
    let text = reply.split_once("\r\n\r\n").map_or("", |(_, text)| text);
    Ok((status, text.to_owned()))
}
