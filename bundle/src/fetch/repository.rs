//! One repository of a registry, by the OCI distribution specification: what is there, and how more gets there.

use super::credentials::Credential;
use super::http::{Client, Exchange, Open, Payload, Reply, TransferError, Verb, with_digest};
use super::patient::{Outcome, Patient, Upload, Wanted};
use super::{Blob, Error, Fault, Policy, Store};
use crate::hash::Sha256;
use crate::progress::Progress;

/// A repository that is spoken to.
pub struct Repository<'p> {
    patient: Patient<'p>,
    url: String,
}

impl<'p> Repository<'p> {
    /// A repository at `url`, which ends with `/v2/NAME`; nothing is sent yet.
    pub fn new(url: String, credential: Option<Credential>, policy: Policy, progress: &'p dyn Progress) -> Self {
        let client = Client::for_repository(policy.clone(), &url, credential);
        Self { patient: Patient::new(client, policy, progress), url }
    }

    /// Asks for a part of the repository; `None` if it is not there.
    fn find(&self, verb: Verb, path: &str) -> Result<Option<Reply>, Fault> {
        self.patient.find(&Exchange::new(verb, &format!("{}/{path}", self.url)))
    }

    /// Whether a blob is there.
    pub fn has(&self, sha256: Sha256) -> Result<bool, Fault> {
        Ok(self.find(Verb::Head, &format!("blobs/sha256:{sha256}"))?.is_some())
    }

    /// The bytes of a manifest, by its tag or digest; `None` if there is none.
    pub fn manifest(&self, name: &str) -> Result<Option<Vec<u8>>, Fault> {
        Ok(self.find(Verb::Get, &format!("manifests/{name}"))?.map(|reply| reply.body))
    }

    /// Whether a tag or digest leads to the manifest of that digest.
    pub fn is_manifest(&self, name: &str, sha256: Sha256) -> Result<bool, Fault> {
        let digest = self.find(Verb::Head, &format!("manifests/{name}"))?.and_then(|reply| reply.digest);
        Ok(digest.is_some_and(|digest| digest == format!("sha256:{sha256}")))
    }

    /// Whether the registry lists what refers to a manifest (since version 1.1 of the specification).
    pub fn lists_referrers(&self, sha256: Sha256) -> Result<bool, Fault> {
        Ok(self.find(Verb::Get, &format!("referrers/sha256:{sha256}"))?.is_some())
    }

    /// Puts a manifest under a name, which is a tag or its digest.
    pub fn put_manifest(&self, name: &str, media_type: &str, bytes: &[u8]) -> Result<(), Fault> {
        let url = format!("{}/manifests/{name}", self.url);
        let payload = Payload::Bytes(media_type, bytes);
        self.patient.ask(&Exchange { payload, ..Exchange::new(Verb::Put, &url) }).map(|_| ())
    }

    /// Makes sure that a blob is there. One that the repository `mount_from` of the same registry has is not sent.
    pub fn upload(&self, upload: &Upload<'_>, mount_from: Option<&str>) -> Result<Outcome, Fault> {
        if self.has(upload.sha256)? {
            return Ok(Outcome::Present);
        }
        let url = format!("{}/blobs/sha256:{}", self.url, upload.sha256);
        let send = |open: Open<'_>| self.send_blob(upload, mount_from, open);
        self.patient.upload(upload, &url, || self.has(upload.sha256), send)
    }

    /// One try: the registry says where to, and gets all bytes in one request.
    fn send_blob(
        &self,
        upload: &Upload<'_>,
        mount_from: Option<&str>,
        open: Open<'_>,
    ) -> Result<Outcome, TransferError> {
        let digest = format!("sha256:{}", upload.sha256);
        let mount = mount_from.map_or_else(String::new, |from| format!("?mount={digest}&from={from}"));
        let uploads = format!("{}/blobs/uploads/{mount}", self.url);
        let begun = self.patient.send(&Exchange::new(Verb::Post, &uploads))?;
        if begun.status == 201 && mount_from.is_some() {
            return Ok(Outcome::Mounted);
        }
        let nowhere =
            || TransferError::Permanent(Fault::Unreachable("the server does not say where to send it".into()));
        let to = with_digest(&begun.location.ok_or_else(nowhere)?, &digest);
        let payload = Payload::Blob(open, upload.size);
        self.patient.send(&Exchange { payload, ..Exchange::new(Verb::Put, &to) })?;
        Ok(Outcome::Sent)
    }

    /// Fetches files into a store, on up to `jobs` threads. The error names all that could not be had.
    pub fn fetch(&self, wanted: &[Wanted], store: &Store, jobs: usize) -> Result<Vec<Blob>, Error> {
        self.patient.fetch(wanted, |it| format!("{}/blobs/sha256:{}", self.url, it.sha256), store, jobs)
    }
}
