//! `pki/revision.json`: how many different bundles were built with these keys.
//!
//! A package is newer for apt only if its version is greater, and the same input must give the same version. So builds
//! are counted where the keys are, since both are what a rebuild needs: an unchanged cluster keeps its number, a
//! changed one gets the next, and a change taken back is a change too.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Error;
use super::directory::{PkiDir, REVISION, read_if_there};
use crate::hash::Sha256;
use crate::plan::certificates::{CertPlan, PkiPlan};

/// The number of one build, for the content it was given for. Made by [`next`] and nowhere else, and used up by
/// [`Revision::record`], so that nothing is recorded that was not counted, or twice.
#[derive(Debug)]
pub struct Revision {
    number: u32,
    content: Sha256,
}

/// The text of `revision.json`: the last build that was recorded.
#[derive(Serialize, Deserialize)]
struct Recorded {
    revision: u32,
    content: Sha256,
}

impl Revision {
    /// From 1.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Notes in the pki directory that a bundle of this content was built under this number.
    pub fn record(self, directory: &Path) -> Result<(), Error> {
        if last(directory)?.is_some_and(|last| last.revision == self.number && last.content == self.content) {
            return Ok(());
        }
        PkiDir::open(directory)?.write_revision(&Recorded { revision: self.number, content: self.content })
    }
}

/// The revision that a bundle of this content has, or would get. Writes nothing; an error if `revision.json` can't be
/// read.
pub fn next(directory: &Path, content: Sha256) -> Result<Revision, Error> {
    let number = match last(directory)? {
        Some(last) if last.content == content => last.revision,
        Some(last) => last.revision.saturating_add(1),
        None => 1,
    };
    Ok(Revision { number, content })
}

/// What a bundle would be made of: `rest`, and every key and certificate as it is now. `base` is where `cluster.toml`
/// lies.
pub fn content(plan: &PkiPlan, directory: &Path, base: &Path, rest: &[Sha256]) -> Result<Sha256, Error> {
    let mut digests = rest.to_vec();
    if let Some(directory) = PkiDir::existing(directory)? {
        digests.push(directory.fingerprint(plan.certificates.keys())?);
    }
    for external in plan.certificates.values() {
        let CertPlan::External { cert, key } = external else { continue };
        for path in [Some(cert), key.as_ref()].into_iter().flatten() {
            if let Some(bytes) = read_if_there(&base.join(path))? {
                digests.push(Sha256::of(bytes.expose()));
            }
        }
    }
    Ok(Sha256::of(digests.iter().map(ToString::to_string).collect::<String>().as_bytes()))
}

/// [`Revision::number`] of [`next`].
pub fn number(directory: &Path, content: Sha256) -> Result<u32, Error> {
    next(directory, content).map(|revision| revision.number())
}

/// Whether any build was counted here.
#[expect(clippy::disallowed_methods, reason = "this is the room that looks after the count")]
pub fn is_counted(directory: &Path) -> bool {
    std::fs::metadata(directory.join(REVISION)).is_ok()
}

/// Notes that a bundle of this content was built under this number.
pub fn record(directory: &Path, revision: u32, content: Sha256) -> Result<(), Error> {
    Revision { number: revision, content }.record(directory)
}

fn last(directory: &Path) -> Result<Option<Recorded>, Error> {
    let path = directory.join(REVISION);
    let Some(text) = read_if_there(&path)? else { return Ok(None) };
    let recorded = serde_json::from_slice(text.expose());
    recorded.map(Some).map_err(|why| Error::Unreadable { path, why: format!("it counts no builds: {why}") })
}
