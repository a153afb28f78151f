//! Every key a cluster has: loaded where it exists, made where that can be done again, and refused where a lost one
//! would have to be replaced.

use std::collections::BTreeMap;

use super::certificate::Authority;
use super::checksums::{Checksums, irreplaceable};
use super::directory::ENCRYPTION_KEY;
use super::private_key::Key;
use super::{Error, Run, seal};
use crate::plan::certificates::{CertId, CertPlan};
use crate::secret::Secret;
use crate::spec::KeyAlgorithm;
use crate::workers;

/// A key, loaded or made.
pub(super) struct HeldKey {
    pub(super) key: Key,
    /// Why it takes the place of another; `None` if it is that other, or the first of its ID.
    pub(super) replaced: Option<&'static str>,
}

/// A key that is to be made, with [`HeldKey::replaced`].
type Wanted<'a> = (&'a CertId, Option<&'static str>);

impl Run<'_> {
    /// Keys of everything but `authorities` and what was made elsewhere. Missing ones are made, which takes the time,
    /// on several threads.
    pub(super) fn keys(&self, authorities: &BTreeMap<CertId, Authority>) -> Result<BTreeMap<CertId, HeldKey>, Error> {
        let (mut held, mut wanted) = (BTreeMap::new(), Vec::new());
        for (id, planned) in &self.plan.certificates {
            if authorities.contains_key(id) || matches!(planned, CertPlan::External { .. }) {
                continue;
            }
            match self.usable_key(id, planned)? {
                Ok(key) => drop(held.insert(id.clone(), HeldKey { key, replaced: None })),
                Err(why) => wanted.push((id, Some(why).filter(|_| self.directory.has_certificate(id)))),
            }
        }
        for (id, made) in generate(&wanted, self.plan.key, self.at.jobs)? {
            self.directory.write_key(&id, &made.key)?;
            held.insert(id, made);
        }
        Ok(held)
    }

    /// The key of an ID, or why another is to be made.
    pub(super) fn usable_key(&self, id: &CertId, planned: &CertPlan) -> Result<Result<Key, &'static str>, Error> {
        Ok(match self.directory.key(id)? {
            // A CA and a signing key stay what they are; a leaf follows the spec.
            Some(key) if !matches!(planned, CertPlan::Leaf { .. }) || key.algorithm() == Some(self.plan.key) => Ok(key),
            Some(_) => Err("its key was of another kind"),
            None => Err("its key was missing"),
        })
    }

    /// Refuses what can't be made again if it is lost or damaged.
    pub(super) fn check_irreplaceable(&self, id: &CertId, planned: &CertPlan) -> Result<(), Error> {
        self.refuse_loss(id, planned)?;
        Checksums::read(&self.directory)?.check(&self.directory, &irreplaceable(id, planned))?;
        if matches!(planned, CertPlan::KeyPair) {
            self.check_pair(id)?;
        }
        Ok(())
    }

    /// Refuses keys that open what was encrypted before, if they are lost or damaged.
    pub(super) fn check_seal_keys(&self) -> Result<(), Error> {
        let names: Vec<_> = self.plan.seal.iter().flat_map(seal::irreplaceable).collect();
        Checksums::read(&self.directory)?.check(&self.directory, &names)
    }

    /// A CA or a signing key with one of its files gone, or gone while what depends on it is there, is lost: nobody
    /// asked for a new one.
    pub(super) fn refuse_loss(&self, id: &CertId, planned: &CertPlan) -> Result<(), Error> {
        let there = match planned {
            CertPlan::Authority { .. } => "certificate",
            CertPlan::KeyPair => "public key",
            CertPlan::Leaf { .. } | CertPlan::External { .. } => return Ok(()),
        };
        match (self.directory.has_certificate(id), self.directory.has_key(id)) {
            (true, true) => Ok(()),
            (true, false) => Err(Error::Half { id: id.clone(), there, missing: "private key" }),
            // A key alone is what a run leaves that was killed between the two writes.
            (false, true) if matches!(planned, CertPlan::KeyPair) => Ok(()),
            (false, _) => match self.dependent(id) {
                Some(leaf) => Err(Error::Lost { id: id.clone(), leaf }),
                None => Ok(()),
            },
        }
    }

    /// A public key that does not follow from the private one beside it: one of the two changed, and whichever it was,
    /// tokens that were signed before would be void.
    fn check_pair(&self, id: &CertId) -> Result<(), Error> {
        let path = self.directory.certificate_path(id);
        let (Some(public), Some(key)) = (super::directory::read_if_there(&path)?, self.directory.key(id)?) else {
            return Ok(());
        };
        if public.expose().trim_ascii() == key.public_pem().as_bytes().trim_ascii() {
            return Ok(());
        }
        Err(Error::Mismatch { public: path, private: self.directory.key_path(id) })
    }

    /// A certificate that was made after `id`, and would not be there without it.
    fn dependent(&self, id: &str) -> Option<CertId> {
        let is_authority = matches!(self.plan.certificates.get(id), Some(CertPlan::Authority { .. }));
        let depends =
            |planned: &CertPlan| matches!(planned, CertPlan::Leaf { issuer, .. } if issuer == id || !is_authority);
        let leaves = self.plan.certificates.iter().filter(|(_, planned)| depends(planned));
        leaves.into_iter().find_map(|(leaf, _)| self.directory.related_certificate(leaf))
    }

    /// The key for encryption at rest, `None` if none was drawn yet. etcd holds what was encrypted with it, so it is
    /// drawn once and never again.
    pub(super) fn existing_encryption_key(&self) -> Result<Option<Secret>, Error> {
        if !self.directory.has(ENCRYPTION_KEY)
            && let Some(leaf) = self.dependent(ENCRYPTION_KEY)
        {
            return Err(Error::Lost { id: ENCRYPTION_KEY.to_owned(), leaf });
        }
        Checksums::read(&self.directory)?.check(&self.directory, &[ENCRYPTION_KEY.to_owned()])?;
        self.directory.encryption_key()
    }
}

fn generate(wanted: &[Wanted<'_>], algorithm: KeyAlgorithm, jobs: usize) -> Result<Vec<(CertId, HeldKey)>, Error> {
    workers::each(jobs, wanted, |(id, replaced)| {
        let key = Key::generate(algorithm).map(|key| ((*id).clone(), HeldKey { key, replaced: *replaced }));
        key.map_err(|why| Error::Crypto { verb: "make a key for", id: (*id).clone(), why })
    })
}
