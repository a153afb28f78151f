//! A load balancer of the simplest kind: each connection goes to the first backend that takes it.

use std::io::copy;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};

/// Listens on `address` for as long as the process lives.
pub(super) fn start(address: &str, backends: &[String]) -> Result<()> {
    let listener = TcpListener::bind(address).with_context(|| format!("could not listen on {address}"))?;
    let backends: Vec<SocketAddr> = backends.iter().map(|backend| backend.parse()).collect::<Result<_, _>>()?;
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let backends = backends.clone();
            std::thread::spawn(move || {
                let dial = |backend: &SocketAddr| TcpStream::connect_timeout(backend, Duration::from_millis(500)).ok();
                if let Some(server) = backends.iter().find_map(dial) {
                    join(&client, &server);
                }
            });
        }
    });
    Ok(())
}

/// Both ways until both are done.
fn join(client: &TcpStream, server: &TcpStream) {
    std::thread::scope(|scope| {
        for (mut from, mut to) in [(client, server), (server, client)] {
            scope.spawn(move || {
                // A broken connection ends as a closed one does.
                let _ = copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Write);
            });
        }
    });
}
