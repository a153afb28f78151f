//! `kube-bundle serve`

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc;

use super::Console;
use super::attempt::Attempt;
use super::console::print;
use crate::Error;
use crate::error::ExitCode;
use crate::printable::printable;
use crate::serve::{Limits, Secrets, Server, Site};

/// Runs until somebody ends it.
pub(super) fn serve(out: &Path, listen: SocketAddr, secrets: Secrets, console: &Console) -> Result<(), Error> {
    let attempt = Attempt { path: out, command: "serve", exit: ExitCode::Failed };
    attempt.manifest()?;
    let site = Site::open(out, secrets).map_err(|source| attempt.failed(source))?;
    let server = Server::bind(listen).map_err(|source| Error::Listen { address: listen, source })?;
    let (files, refused) = site.counts();
    if refused > 0 {
        let text =
            format!("{refused} files with private keys or tokens are refused; `inspect` says which keys they have");
        console.progress().warn(&format!("{text}, and `--include-secrets` serves them"));
    } else if secrets == Secrets::Included && !listen.ip().is_loopback() {
        let address = server.address();
        let who = format!("whoever reaches {address} can read every file");
        console.progress().warn(&format!("{who}, private keys as well, and nothing is encrypted on its way"));
    }
    let url = format!("http://{}/", server.address());
    if console.json() {
        console.result(&serde_json::json!({ "url": url, "files": files, "refused": refused }), String::new)?;
    } else {
        print(&format!("Serving {files} files at {url} until you press Ctrl-C"))?;
    }
    let (sender, answers) = mpsc::channel();
    let address = server.address();
    let running = std::thread::spawn(move || server.run(site, Limits::default(), sender));
    for line in answers {
        console.progress().detail(&printable(&line));
    }
    let ended = running.join().unwrap_or_else(|_| Err(io::Error::other("the server panicked")));
    let Err(source) = ended.map(|never| match never {});
    Err(Error::Listen { address, source })
}
