//! `pki/revision.json`: how many different bundles were built with these keys.
//!
//! A package is newer for apt only if its version is greater, and the same input must give the same version. So builds
//! are counted where the keys are, since both are what a rebuild needs: an unchanged cluster keeps its number, a
//! changed one gets the next, and a change taken back is a change too.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::directory::{PkiDir, REVISION, read_if_there};
use super::{Error, Pki, PkiContext};
use crate::hash::Sha256;
use crate::manifest::Manifest;
use crate::plan::UnnumberedPlan;
use crate::plan::certificates::{CertPlan, PkiPlan};

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Recorded {
    revision: u32,
    content: Sha256,
}

/// The number of a build. It is made only when all keys and certificates are as they will be packed, and recorded only
/// when everything was written.
#[derive(Debug)]
pub struct Revision {
    this: Recorded,
    /// What was recorded when this number was made.
    last: Option<Recorded>,
}

impl Revision {
    /// From 1.
    pub fn number(&self) -> u32 {
        self.this.revision
    }

    /// Remembers that `_written` was built under this number, unless `cluster.toml` fixes numbers.
    ///
    /// # Errors
    /// `pki/` can't be written, or another build was recorded since [`next`]: it may have this number.
    pub fn record(self, _written: &Manifest, at: &PkiContext<'_>) -> Result<(), Error> {
        self.write(at.directory)
    }

    pub(super) fn write(self, directory: &Path) -> Result<(), Error> {
        let pki = PkiDir::open(directory)?;
        let there = read(directory)?;
        if there.as_ref() == Some(&self.this) {
            return Ok(());
        }
        if there != self.last {
            return Err(Error::Numbered { path: pki.path(REVISION) });
        }
        pki.write_revision(&self.this)
    }
}

/// The number of the build of `plan` with the keys of `_issued`; `None` if `cluster.toml` fixes the number.
///
/// # Errors
/// `pki/`, or a file that `cluster.toml` names, can't be read.
pub fn next(plan: &UnnumberedPlan<'_>, _issued: &Pki, at: &PkiContext<'_>) -> Result<Option<Revision>, Error> {
    expected(plan, at)
}

/// The number that a build would have if all keys and certificates stay as they are.
///
/// # Errors
/// As [`next`].
pub fn expected_number(plan: &UnnumberedPlan<'_>, at: &PkiContext<'_>) -> Result<u32, Error> {
    Ok(expected(plan, at)?.map_or(1, |revision| revision.number()))
}

fn expected(plan: &UnnumberedPlan<'_>, at: &PkiContext<'_>) -> Result<Option<Revision>, Error> {
    if !plan.wants_number() {
        return Ok(None);
    }
    let content = content(&plan.content().pki, at, plan.digest())?;
    of_content(at.directory, content).map(Some)
}

/// The same content keeps its number, another one gets the next.
pub(super) fn of_content(directory: &Path, content: Sha256) -> Result<Revision, Error> {
    let last = read(directory)?;
    let revision = match &last {
        Some(last) if last.content == content => last.revision,
        Some(last) => last.revision.saturating_add(1),
        None => 1,
    };
    Ok(Revision { this: Recorded { revision, content }, last })
}

/// A digest over what a bundle is made of: the plan, and every key and certificate as it is now.
fn content(plan: &PkiPlan, at: &PkiContext<'_>, rest: Sha256) -> Result<Sha256, Error> {
    let mut digests = vec![rest];
    if let Some(directory) = PkiDir::existing(at.directory)? {
        digests.push(directory.fingerprint(plan.certificates.keys())?);
        if let Some(seal) = &plan.seal {
            digests.push(directory.digests(&super::seal::files(seal))?);
        }
    }
    for external in plan.certificates.values() {
        let CertPlan::External { cert, key } = external else { continue };
        for path in [Some(cert), key.as_ref()].into_iter().flatten() {
            if let Some(bytes) = read_if_there(&at.base.join(path))? {
                digests.push(Sha256::of(bytes.expose()));
            }
        }
    }
    Ok(Sha256::of(digests.iter().map(ToString::to_string).collect::<String>().as_bytes()))
}

fn read(directory: &Path) -> Result<Option<Recorded>, Error> {
    let path = directory.join(REVISION);
    let Some(text) = read_if_there(&path)? else { return Ok(None) };
    let counted = serde_json::from_slice(text.expose());
    counted.map(Some).map_err(|why| Error::Unreadable { path, why: format!("it counts no builds: {why}") })
}
