//! From a bundle to a server.

mod objects;

pub use objects::push_objects;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

use serde::Serialize;
use time::format_description::well_known::Rfc3339;

use super::artifact::{self, Artifact, EMPTY, Layer, MANIFEST_TYPE};
use super::contents::{Contents, Piece};
use super::{Error, Location, Reference, Remote};
use crate::fetch::Fault;
use crate::fetch::patient::{Outcome, Upload};
use crate::fetch::repository::Repository;
use crate::hash::Sha256;
use crate::manifest::Manifest;
use crate::progress::Progress;
use crate::workers::{self, Budget};

/// What a push may do.
#[derive(Debug)]
pub struct PushOptions<'a> {
    /// Send each file as it is, and not objects.
    pub whole_files: bool,
    /// Send keys that nothing encrypts.
    pub include_secrets: bool,
    /// A repository of the same registry that may have blobs already.
    pub mount_from: Option<&'a str>,
}

/// What was pushed.
#[derive(Debug, Serialize)]
pub struct Pushed {
    pub reference: String,
    /// The same with the digest of the manifest, which always leads to these bytes; only registries have such names.
    pub exact: Option<String>,
    /// How many different blobs or objects the bundle consists of.
    pub blobs: usize,
    /// How many of them were sent.
    pub sent: usize,
    /// Bytes of those.
    pub sent_bytes: u64,
    /// How many the registry took from another repository.
    pub mounted: usize,
    /// Whether signatures and lists of software are also found by what refers to the bundle.
    pub referrers: bool,
}

/// Sends what a registry lacks of a bundle: first its files, then the manifest, and at last `tag`, which leads to it.
///
/// # Errors
/// Secrets that are not to be sent, a damaged bundle, or a registry that does not take it.
pub fn push(
    out: &Path,
    to: &Remote,
    reference: &Reference,
    tag: &str,
    options: &PushOptions<'_>,
    progress: &dyn Progress,
) -> Result<Pushed, Error> {
    let contents = if options.whole_files { Contents::whole(out)? } else { Contents::thin(out)?.compressed()? };
    if !options.include_secrets {
        refuse_secrets(out, &contents.manifest)?;
    }
    let repository = to.repository(reference, progress);
    let sender = Sender { to, repository, options, out, contents: &contents };
    let layers: Vec<_> = contents.pieces.iter().map(|piece| piece.layer.clone()).collect();
    let manifest = Artifact::bundle(&layers, annotations(&contents.manifest)).to_json();
    let referrers = sender.lists_referrers(manifest.as_bytes())?;
    let mut pieces: Vec<_> = contents.pieces.iter().collect();
    if referrers {
        // Among the other layers lists of software may be compressed.
        pieces.extend(&contents.about);
    }
    let outcomes = sender.blobs(&pieces)?;
    sender.manifests(tag, manifest.as_bytes(), referrers)?;
    let exact = reference.with_digest(Sha256::of(manifest.as_bytes()));
    Ok(Pushed { exact: Some(exact.to_string()), referrers, ..Pushed::of(&to.location, &outcomes) })
}

impl Pushed {
    fn of(to: &Location, outcomes: &[(u64, Outcome)]) -> Self {
        let count = |outcome: Outcome| outcomes.iter().filter(|(_, it)| *it == outcome).count();
        Self {
            reference: to.to_string(),
            exact: None,
            blobs: outcomes.len(),
            sent: count(Outcome::Sent),
            sent_bytes: outcomes.iter().filter(|(_, it)| *it == Outcome::Sent).map(|(size, _)| size).sum(),
            mounted: count(Outcome::Mounted),
            referrers: false,
        }
    }
}

/// Whoever can read what is pushed has what is in it, so keys are not sent by mistake.
fn refuse_secrets(out: &Path, manifest: &Manifest) -> Result<(), Error> {
    let unsealed = manifest.unsealed_secrets();
    if unsealed.is_empty() {
        return Ok(());
    }
    let line = |(file, inside): (&&str, &Vec<&str>)| match inside.len() {
        0 => (*file).to_owned(),
        1 => format!("{file}: 1 file with keys"),
        count => format!("{file}: {count} files with keys"),
    };
    Err(Error::Secrets { path: out.to_owned(), files: unsealed.iter().map(line).collect() })
}

/// What registries show of a bundle.
fn annotations(manifest: &Manifest) -> BTreeMap<String, String> {
    let key = |name: &str| format!("org.opencontainers.image.{name}");
    let created = manifest.timestamp.and_then(|time| time.format(&Rfc3339).ok());
    let mut annotations =
        BTreeMap::from([(key("title"), manifest.cluster.clone()), (key("version"), manifest.version.clone())]);
    annotations.extend(created.map(|time| (key("created"), time)));
    annotations
}

fn request(at: &Location, what: &str, fault: Fault) -> Error {
    Error::Request { verb: "push", what: what.to_owned(), at: Box::new(at.clone()), fault }
}

/// Why a file was not sent: that may be the bundle's fault.
fn unsent(out: &Path, to: &Location, title: &str, fault: Fault) -> Error {
    match fault {
        Fault::Wrong(why) => Error::Damaged { path: out.to_owned(), why: format!("{title}: {why}") },
        fault => request(to, title, fault),
    }
}

/// Sends files, several at a time. Returns what came of each, and its size.
fn each(
    jobs: usize,
    pieces: &[&Piece],
    send: impl Fn(&Piece) -> Result<Outcome, Error> + Sync,
) -> Result<Vec<(u64, Outcome)>, Error> {
    // A push that is killed loses what was on its way: together no more than the largest alone.
    let budget = Budget::new(pieces.iter().map(|piece| piece.layer.size).max().unwrap_or(0));
    workers::each(jobs, pieces, |piece| {
        let _held = budget.take(piece.layer.size);
        Ok((piece.layer.size, send(piece)?))
    })
}

/// A push that goes on.
struct Sender<'s> {
    to: &'s Remote,
    repository: Repository<'s>,
    options: &'s PushOptions<'s>,
    out: &'s Path,
    contents: &'s Contents,
}

impl Sender<'_> {
    /// Makes sure that all blobs are there. Returns what came of each, and its size.
    fn blobs(&self, pieces: &[&Piece]) -> Result<Vec<(u64, Outcome)>, Error> {
        let mut seen = BTreeSet::new();
        let different: Vec<_> = pieces.iter().copied().filter(|it| seen.insert(it.layer.sha256)).collect();
        let empty = || Ok(Box::new(EMPTY) as Box<dyn Read + Send>);
        self.blob("the configuration", Sha256::of(EMPTY), EMPTY.len() as u64, &empty)?;
        each(self.to.jobs, &different, |piece| {
            let Layer { title, sha256, size } = &piece.layer;
            self.blob(title, *sha256, *size, &|| self.contents.open(piece))
        })
    }

    fn blob(
        &self,
        title: &str,
        sha256: Sha256,
        size: u64,
        open: &(dyn Fn() -> Result<Box<dyn Read + Send>, Fault> + Sync),
    ) -> Result<Outcome, Error> {
        let upload = Upload { title, sha256, size, open };
        let sent = self.repository.upload(&upload, self.options.mount_from);
        sent.map_err(|fault| unsent(self.out, &self.to.location, title, fault))
    }

    /// Whether the registry lists what refers to a manifest.
    fn lists_referrers(&self, manifest: &[u8]) -> Result<bool, Error> {
        let lists = self.repository.lists_referrers(Sha256::of(manifest));
        lists.map_err(|fault| request(&self.to.location, "the manifest", fault))
    }

    /// Puts the manifest, what refers to it where the registry lists that, and the tag.
    fn manifests(&self, tag: &str, manifest: &[u8], referrers: bool) -> Result<(), Error> {
        self.put(&format!("sha256:{}", Sha256::of(manifest)), manifest)?;
        let abouts = if referrers { abouts(manifest, &self.contents.about) } else { Vec::new() };
        for about in abouts {
            self.put(&format!("sha256:{}", Sha256::of(about.as_bytes())), about.as_bytes())?;
        }
        self.put(tag, manifest)
    }

    /// Puts a manifest, unless the name leads to it already.
    fn put(&self, name: &str, manifest: &[u8]) -> Result<(), Error> {
        let failed = |fault| request(&self.to.location, "the manifest", fault);
        if self.repository.is_manifest(name, Sha256::of(manifest)).map_err(failed)? {
            return Ok(());
        }
        self.repository.put_manifest(name, MANIFEST_TYPE, manifest).map_err(failed)
    }
}

/// Manifests of what says something of the bundle: signatures together, each list of software alone.
fn abouts(manifest: &[u8], pieces: &[Piece]) -> Vec<String> {
    let mut kinds: BTreeMap<&str, Vec<Layer>> = BTreeMap::new();
    for Piece { layer, .. } in pieces {
        kinds.entry(artifact::kind(&layer.title)).or_default().push(layer.clone());
    }
    kinds.iter().map(|(kind, layers)| Artifact::about(manifest, kind, layers).to_json()).collect()
}
