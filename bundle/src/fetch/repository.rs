//! One repository of a registry, by the OCI distribution specification: what is there, and how more gets there.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::credentials::Credential;
use super::http::{Client, Exchange, Payload, Reply, TransferError, Verb, with_digest};
use super::mirror::Mirrors;
use super::{Blob, Error, Fault, Fetcher, Policy, Sources, Store, fetch_all, resume};
use crate::hash::{Hasher, Sha256};
use crate::plan::Download;
use crate::progress::{Progress, Task};

/// A repository that is spoken to.
pub struct Repository<'p> {
    client: Client,
    url: String,
    policy: Policy,
    progress: &'p dyn Progress,
}

/// A file, or anything else with a digest, that is to be in a repository.
pub struct Upload<'u> {
    /// What messages call it.
    pub title: &'u str,
    pub sha256: Sha256,
    /// Bytes.
    pub size: u64,
    /// Opens it, each time that it is sent.
    pub open: &'u (dyn Fn() -> Result<Box<dyn Read + Send>, Fault> + Sync),
}

/// What came of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The repository had it.
    Present,
    /// The registry had it in another repository.
    Mounted,
    /// It was sent.
    Sent,
}

/// What a repository is asked for: a file with that digest.
pub struct Wanted {
    /// What messages call it.
    pub title: String,
    pub sha256: Sha256,
    /// Bytes.
    pub size: u64,
}

impl<'p> Repository<'p> {
    /// A repository at `url`, which ends with `/v2/NAME`; nothing is sent yet.
    pub fn new(url: String, credential: Option<Credential>, policy: Policy, progress: &'p dyn Progress) -> Self {
        Self { client: Client::for_repository(policy.clone(), &url, credential), url, policy, progress }
    }

    /// Tries until it succeeds, or fails for good. `attempt` is told how often it failed before.
    fn patiently<T>(
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

    fn send(&self, verb: Verb, url: &str, payload: Payload<'_>) -> Result<Reply, TransferError> {
        let connected = self.client.get().map_err(TransferError::Permanent)?;
        connected.exchange(&Exchange { verb, url, payload })
    }

    /// Asks for a part of the repository; `None` if it is not there.
    fn ask(&self, verb: Verb, path: &str) -> Result<Option<Reply>, Fault> {
        let url = format!("{}/{path}", self.url);
        let reply = self.patiently(&url, &Notes(self.progress), |_| self.send(verb, &url, Payload::Nothing));
        match reply {
            Ok(reply) => Ok(Some(reply)),
            Err(Fault::Absent(_)) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Whether a blob is there.
    pub fn has(&self, sha256: Sha256) -> Result<bool, Fault> {
        Ok(self.ask(Verb::Head, &format!("blobs/sha256:{sha256}"))?.is_some())
    }

    /// The bytes of a manifest, by its tag or digest; `None` if there is none.
    pub fn manifest(&self, name: &str) -> Result<Option<Vec<u8>>, Fault> {
        Ok(self.ask(Verb::Get, &format!("manifests/{name}"))?.map(|reply| reply.body))
    }

    /// Whether a tag or digest leads to the manifest of that digest.
    pub fn is_manifest(&self, name: &str, sha256: Sha256) -> Result<bool, Fault> {
        let digest = self.ask(Verb::Head, &format!("manifests/{name}"))?.and_then(|reply| reply.digest);
        Ok(digest.is_some_and(|digest| digest == format!("sha256:{sha256}")))
    }

    /// Whether the registry lists what refers to a manifest (since version 1.1 of the specification).
    pub fn lists_referrers(&self, sha256: Sha256) -> Result<bool, Fault> {
        Ok(self.ask(Verb::Get, &format!("referrers/sha256:{sha256}"))?.is_some())
    }

    /// Puts a manifest under a name, which is a tag or its digest.
    pub fn put_manifest(&self, name: &str, media_type: &str, bytes: &[u8]) -> Result<(), Fault> {
        let url = format!("{}/manifests/{name}", self.url);
        let put = |_| self.send(Verb::Put, &url, Payload::Manifest(media_type, bytes));
        self.patiently(&url, &Notes(self.progress), put).map(|_| ())
    }

    /// Makes sure that a blob is there. One that the repository `mount_from` of the same registry has is not sent.
    pub fn upload(&self, upload: &Upload<'_>, mount_from: Option<&str>) -> Result<Outcome, Fault> {
        if self.has(upload.sha256)? {
            return Ok(Outcome::Present);
        }
        let url = format!("{}/blobs/sha256:{}", self.url, upload.sha256);
        let task: Arc<dyn Task> = Arc::from(self.progress.task(upload.title, Some(upload.size)));
        let damaged = Arc::new(AtomicBool::new(false));
        self.patiently(&url, task.as_ref(), |failures| {
            // What broke off may have been the answer alone.
            if failures > 0 && self.has(upload.sha256).map_err(TransferError::Permanent)? {
                return Ok(Outcome::Sent);
            }
            let sent = self.send_blob(upload, mount_from, &task, &damaged);
            if damaged.load(Ordering::Relaxed) {
                return Err(TransferError::Permanent(Fault::Wrong(
                    "it has other bytes than its digest says".to_owned(),
                )));
            }
            sent
        })
    }

    /// One try: the registry says where to, and gets all bytes in one request.
    fn send_blob(
        &self,
        upload: &Upload<'_>,
        mount_from: Option<&str>,
        task: &Arc<dyn Task>,
        damaged: &Arc<AtomicBool>,
    ) -> Result<Outcome, TransferError> {
        let digest = format!("sha256:{}", upload.sha256);
        let mount = mount_from.map_or_else(String::new, |from| format!("?mount={digest}&from={from}"));
        let begun = self.send(Verb::Post, &format!("{}/blobs/uploads/{mount}", self.url), Payload::Nothing)?;
        if begun.status == 201 && mount_from.is_some() {
            return Ok(Outcome::Mounted);
        }
        let nowhere =
            || TransferError::Permanent(Fault::Unreachable("the server does not say where to send it".into()));
        let to = with_digest(&begun.location.ok_or_else(nowhere)?, &digest);
        let open = || -> Result<Box<dyn Read + Send>, Fault> {
            let checked = Checked {
                inner: (upload.open)()?,
                left: upload.size,
                hasher: Hasher::default(),
                sha256: upload.sha256,
                task: Arc::clone(task),
                damaged: Arc::clone(damaged),
            };
            Ok(Box::new(checked))
        };
        self.send(Verb::Put, &to, Payload::Blob(&open, upload.size))?;
        Ok(Outcome::Sent)
    }

    /// Fetches files into a store, on up to `jobs` threads. The error names all that could not be had.
    pub fn fetch(&self, wanted: &[Wanted], store: &Store, jobs: usize) -> Result<Vec<Blob>, Error> {
        let download = |it: &Wanted| {
            let urls = vec![format!("{}/blobs/sha256:{}", self.url, it.sha256)];
            Download::of_file(it.title.clone(), it.title.clone(), urls, it.sha256, Some(it.size))
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

/// A task that is too small for a bar.
struct Notes<'p>(&'p dyn Progress);

impl Task for Notes<'_> {
    fn note(&self, text: &str) {
        self.0.note(text);
    }
}

/// Hashes what is sent, and keeps the last bytes back if they belong to something else: then the registry gets nothing
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
            return Err(io::Error::other("it has other bytes than its digest says"));
        }
        self.task.advance(count as u64);
        Ok(count)
    }
}
