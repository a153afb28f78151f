//! A TCP load balancer: each connection goes to the first backend that accepts it.

use std::io::copy;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};

/// Listens on `address` until this process ends.
pub(super) fn start(address: &str, backends: &[String]) -> Result<()> {
    let listener = TcpListener::bind(address).with_context(|| format!("could not listen on {address}"))?;
    let backends: Vec<SocketAddr> = backends.iter().map(|backend| backend.parse()).collect::<Result<_, _>>()?;
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let backends = backends.clone();
            std::thread::spawn(move || {
                let connect =
                    |backend: &SocketAddr| TcpStream::connect_timeout(backend, Duration::from_millis(500)).ok();
                if let Some(server) = backends.iter().find_map(connect) {
                    forward(&client, &server);
                }
            });
        }
    });
    Ok(())
}

/// Copies bytes in both directions until both sides have closed.
fn forward(client: &TcpStream, server: &TcpStream) {
    std::thread::scope(|scope| {
        for (mut from, mut to) in [(client, server), (server, client)] {
            scope.spawn(move || {
                // A connection that breaks is closed like one that ends.
                let _ = copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Write);
            });
        }
    });
}
