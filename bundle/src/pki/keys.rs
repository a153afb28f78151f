//! Every key a cluster has: loaded where it exists, made where that can be done again, and refused where a lost one
//! would have to be replaced.

use std::collections::BTreeMap;

use super::certificate::Key;
use super::directory::PkiDir;
use super::{ENCRYPTION_KEY, Error, PkiContext};
use crate::plan::certificates::{CertId, CertPlan, PkiPlan};
use crate::secret::Secret;
use crate::spec::KeyAlgorithm;
use crate::workers;

/// A key, and whether it was made just now.
pub(super) struct HeldKey {
    pub(super) key: Key,
    pub(super) new: Option<&'static str>,
}

/// Loads every key the plan needs and makes the missing ones, which takes the time, on several threads.
pub(super) fn keys(
    plan: &PkiPlan,
    directory: &PkiDir,
    at: &PkiContext<'_>,
) -> Result<BTreeMap<CertId, HeldKey>, Error> {
    let (mut held, mut wanted) = (BTreeMap::new(), Vec::new());
    for (id, planned) in &plan.certificates {
        refuse_loss(plan, id, planned, directory)?;
        if matches!(planned, CertPlan::External { .. }) {
            continue;
        }
        match directory.key(id)? {
            // A CA and a signing key stay what they are; a leaf follows the spec.
            Some(key) if !matches!(planned, CertPlan::Leaf { .. }) || key.algorithm() == Some(plan.key) => {
                held.insert(id.clone(), HeldKey { key, new: None });
            }
            Some(_) => wanted.push((id, "its key was of another kind")),
            None if directory.has_certificate(id) => wanted.push((id, "its key was missing")),
            None => wanted.push((id, "")),
        }
    }
    for (id, key, reason) in generate(&wanted, plan.key, at.jobs)? {
        directory.write_key(&id, &key)?;
        held.insert(id, HeldKey { key, new: Some(reason) });
    }
    Ok(held)
}

type Made = (CertId, Key, &'static str);

fn generate(wanted: &[(&CertId, &'static str)], algorithm: KeyAlgorithm, jobs: usize) -> Result<Vec<Made>, Error> {
    workers::each(jobs, wanted, |(id, reason)| {
        let key = Key::generate(algorithm).map(|key| ((*id).clone(), key, *reason));
        key.map_err(|why| Error::Crypto { verb: "make a key for", id: (*id).clone(), why })
    })
}

/// A CA or a signing key with one of its files gone, or gone while what depends on it is there, is a loss and
/// no planned for a new one.
pub(super) fn refuse_loss(plan: &PkiPlan, id: &CertId, planned: &CertPlan, directory: &PkiDir) -> Result<(), Error> {
    let there = match planned {
        CertPlan::Authority { .. } => "certificate",
        CertPlan::KeyPair => "public key",
        CertPlan::Leaf { .. } | CertPlan::External { .. } => return Ok(()),
    };
    match (directory.has_certificate(id), directory.has_key(id)) {
        (true, true) => Ok(()),
        (true, false) => Err(Error::Half { id: id.clone(), there, missing: "private key" }),
        // A key alone is what a run leaves that was killed between the two writes.
        (false, true) if matches!(planned, CertPlan::KeyPair) => Ok(()),
        (false, _) => match dependent(plan, id, directory) {
            Some(leaf) => Err(Error::Lost { id: id.clone(), leaf: leaf.clone() }),
            None => Ok(()),
        },
    }
}

/// A certificate that was made after `id`, and would not be there without it.
fn dependent<'p>(plan: &'p PkiPlan, id: &str, directory: &PkiDir) -> Option<&'p CertId> {
    let is_authority = matches!(plan.certificates.get(id), Some(CertPlan::Authority { .. }));
    let depends =
        |planned: &CertPlan| matches!(planned, CertPlan::Leaf { issuer, .. } if issuer == id || !is_authority);
    plan.certificates
        .iter()
        .find(|(leaf, planned)| depends(planned) && directory.has_certificate(leaf))
        .map(|(leaf, _)| leaf)
}

/// The key for encryption at rest. etcd holds what was encrypted with it, so it is drawn once and never again.
pub(super) fn encryption_key(plan: &PkiPlan, directory: &PkiDir) -> Result<Secret, Error> {
    if let Some(key) = directory.encryption_key()? {
        return Ok(key);
    }
    match dependent(plan, ENCRYPTION_KEY, directory) {
        Some(leaf) => Err(Error::Lost { id: ENCRYPTION_KEY.to_owned(), leaf: leaf.clone() }),
        None => directory.draw_encryption_key(),
    }
}
