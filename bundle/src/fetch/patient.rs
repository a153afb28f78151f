//! A server that is asked again when that may help; what a repository, a bucket and a web server have in common.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::http::{Client, Exchange, Open, Reply, TransferError};
use super::mirror::Mirrors;
use super::{Blob, Error, Fault, Fetcher, Policy, Sources, Store, fetch_all, resume};
use crate::hash::{Hasher, Sha256};
use crate::plan::Download;
use crate::progress::{Progress, Task};

/// What a server is asked for: a file with that digest.
pub struct Wanted {
    /// Its name in messages.
    pub title: String,
    pub sha256: Sha256,
    /// Bytes.
    pub size: u64,
}

/// A file, or anything else with a digest, that is to be on a server.
pub struct Upload<'u> {
    /// Its name in messages.
    pub title: &'u str,
    pub sha256: Sha256,
    /// Bytes.
    pub size: u64,
    /// Opens it, each time that it is sent.
    pub open: &'u (dyn Fn() -> Result<Box<dyn Read + Send>, Fault> + Sync),
}

/// The result of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The server had it.
    Present,
    /// The registry had it in another repository.
    Mounted,
    /// It was sent.
    Sent,
}

/// A client that does not give up at once.
pub(super) struct Patient<'p> {
    client: Client,
    policy: Policy,
    progress: &'p dyn Progress,
}

impl<'p> Patient<'p> {
    pub(super) fn new(client: Client, policy: Policy, progress: &'p dyn Progress) -> Self {
        Self { client, policy, progress }
    }

    /// Tries until it succeeds, or fails for good. `attempt` is told how often it failed before.
    pub(super) fn patiently<T>(
        &self,
        url: &str,
        task: &dyn Task,
        mut attempt: impl FnMut(u32) -> Result<T, TransferError>,
    ) -> Result<T, Fault> {
        let mut failures = 0;
        loop {
            let (why, asked) = match attempt(failures) {
                Ok(done) => return Ok(done),
                Err(TransferError::Permanent(fault)) => return Err(fault),
                Err(TransferError::Transient(why, asked)) => (why, asked),
            };
            failures += 1;
            resume::pause(&self.policy, failures, url, &why, asked, task)?;
        }
    }

    /// Asks once.
    pub(super) fn send(&self, exchange: &Exchange<'_>) -> Result<Reply, TransferError> {
        self.client.get().map_err(TransferError::Permanent)?.exchange(exchange)
    }

    /// Asks until there is an answer.
    pub(super) fn ask(&self, exchange: &Exchange<'_>) -> Result<Reply, Fault> {
        self.patiently(exchange.url, &Notes(self.progress), |_| self.send(exchange))
    }

    /// The same; `None` if what is asked for is not there.
    pub(super) fn find(&self, exchange: &Exchange<'_>) -> Result<Option<Reply>, Fault> {
        match self.ask(exchange) {
            Ok(reply) => Ok(Some(reply)),
            Err(Fault::Absent(_)) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Sends a file until it is there. `is_there` is asked after a failure: what broke off may have been the answer alone.
    /// `send` gets what opens the file, checked while it is read.
    pub(super) fn upload(
        &self,
        upload: &Upload<'_>,
        url: &str,
        is_there: impl Fn() -> Result<bool, Fault>,
        send: impl Fn(Open<'_>) -> Result<Outcome, TransferError>,
    ) -> Result<Outcome, Fault> {
        let task: Arc<dyn Task> = Arc::from(self.progress.task(upload.title, Some(upload.size)));
        let damaged = Arc::new(AtomicBool::new(false));
        let open = || -> Result<Box<dyn Read + Send>, Fault> {
            let checked = Checked {
                inner: (upload.open)()?,
                left: upload.size,
                hasher: Hasher::default(),
                sha256: upload.sha256,
                task: Arc::clone(&task),
                damaged: Arc::clone(&damaged),
            };
            Ok(Box::new(checked))
        };
        self.patiently(url, task.as_ref(), |failures| {
            if failures > 0 && is_there().map_err(TransferError::Permanent)? {
                return Ok(Outcome::Sent);
            }
            let outcome = send(&open);
            if damaged.load(Ordering::Relaxed) {
                return Err(TransferError::Permanent(Fault::Wrong(WRONG.to_owned())));
            }
            outcome
        })
    }

    /// Fetches files into a store, on up to `jobs` threads. The error names all that could not be had.
    pub(super) fn fetch(
        &self,
        wanted: &[Wanted],
        url: impl Fn(&Wanted) -> String,
        store: &Store,
        jobs: usize,
    ) -> Result<Vec<Blob>, Error> {
        let download = |it: &Wanted| {
            Download::of_file(it.title.clone(), it.title.clone(), vec![url(it)], it.sha256, Some(it.size))
        };
        let downloads: Vec<_> = wanted.iter().map(download).collect();
        let sources = Sources { mirrors: Vec::new(), offline: false, jobs, policy: self.policy.clone() };
        let mirrors = Mirrors::new(&sources.mirrors);
        let (client, progress) = (&self.client, self.progress);
        let fetcher = Fetcher { store, sources: &sources, mirrors: &mirrors, client, progress };
        let found = fetch_all(&downloads.iter().collect::<Vec<_>>(), &fetcher)?;
        Ok(wanted.iter().filter_map(|it| found.get(&it.title).cloned()).collect())
    }
}

/// The message for a file that has another digest than it should.
const WRONG: &str = "it has other bytes than its digest says";

/// A task that is too small for a bar.
struct Notes<'p>(&'p dyn Progress);

impl Task for Notes<'_> {
    fn note(&self, text: &str) {
        self.0.note(text);
    }
}

/// Hashes what is sent, and keeps the last bytes back if they belong to something else: then the server gets nothing
/// whole, and who is to blame is known.
struct Checked {
    inner: Box<dyn Read + Send>,
    left: u64,
    hasher: Hasher,
    sha256: Sha256,
    task: Arc<dyn Task>,
    damaged: Arc<AtomicBool>,
}

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if most == 0 {
            return Ok(0);
        }
        let count = self.inner.read(&mut buffer[..most])?;
        self.hasher.update(&buffer[..count]);
        self.left -= count as u64;
        let is_wrong = count == 0 || self.left == 0 && std::mem::take(&mut self.hasher).finish().0 != self.sha256;
        if is_wrong {
            self.damaged.store(true, Ordering::Relaxed);
            return Err(io::Error::other(WRONG));
        }
        self.task.advance(count as u64);
        Ok(count)
    }
}
