//! CAs that can sign: those that exist are checked, a missing one is made once.

use std::path::Path;

use time::OffsetDateTime;

use super::certificate::{self, Authority};
use super::info::{CertificateInfo, day};
use super::private_key::Key;
use super::{Error, Run, directory};
use crate::plan::certificates::{CertId, CertPlan, Name};
use crate::spec::Lifetime;

impl Run<'_> {
    /// The CA of this ID, checked; `None` if it is not there yet, or is none that this cluster signs with.
    pub(super) fn existing_authority(&self, id: &CertId, planned: &CertPlan) -> Result<Option<Authority>, Error> {
        let (authority, path) = match planned {
            CertPlan::Authority { .. } => {
                let path = self.directory.certificate_path(id);
                let Some((pem, info)) = self.directory.certificate(id)? else { return Ok(None) };
                if !info.has_own_signature() {
                    return Err(Error::Damaged { path });
                }
                let Some(key) = self.directory.key(id)? else { return Ok(None) };
                (Authority { pem, info, key }, path)
            }
            CertPlan::External { cert, key: Some(key) } if self.signs(id) => {
                let path = self.at.base.join(cert);
                let (pem, info, certificates) = directory::read_external(&path)?;
                if certificates > 1 {
                    let why =
                        "it is a chain, and kube-controller-manager signs with a single certificate only".to_owned();
                    return Err(Error::Unfit { path, why });
                }
                let key = directory::read_key(&self.at.base.join(key))?;
                (Authority { pem, info, key }, path)
            }
            _ => return Ok(None),
        };
        check(&authority, id, &path, self.at.now)?;
        Ok(Some(authority))
    }

    /// Makes a CA around a key that has no certificate yet.
    pub(super) fn make_authority(
        &self,
        id: &CertId,
        (subject, lifetime): (&Name, Lifetime),
        key: Key,
    ) -> Result<Authority, Error> {
        let pem = certificate::self_signed(subject, lifetime, &key, self.at.now).map_err(|why| Error::Crypto {
            verb: "sign",
            id: id.clone(),
            why,
        })?;
        let path = self.directory.certificate_path(id);
        let info = CertificateInfo::from_pem(&pem).map_err(|why| Error::Unreadable { path, why })?;
        self.directory.write_public(id, &pem)?;
        self.progress.note(&format!("Made CA `{id}`, valid until {}", day(info.not_after)));
        Ok(Authority { pem, info, key })
    }

    /// Whether any certificate of the plan is to be signed by `id`.
    fn signs(&self, id: &CertId) -> bool {
        self.plan.certificates.values().any(|other| matches!(other, CertPlan::Leaf { issuer, .. } if issuer == id))
    }
}

/// Refuses a CA that would sign what nobody accepts. `path` is its certificate's.
fn check(authority: &Authority, id: &str, path: &Path, now: OffsetDateTime) -> Result<(), Error> {
    let unfit = |why: &str| Err(Error::Unfit { path: path.to_owned(), why: why.to_owned() });
    if !authority.info.is_ca {
        return unfit(
            "it is no CA certificate: basic constraints don't say CA, or key usage forbids signing certificates",
        );
    }
    if !authority.info.belongs_to(&authority.key) {
        return unfit("it does not belong to the key beside it");
    }
    if !authority.key.is_known_to_v1_16() {
        return unfit("Kubernetes v1.16 reads RSA keys, and ECDSA keys on P-256 and P-384, and no others");
    }
    if authority.info.not_after <= now {
        return Err(Error::Expired { id: id.to_owned(), end: day(authority.info.not_after) });
    }
    if authority.info.not_before > now {
        return Err(Error::NotYetValid { id: id.to_owned(), begin: day(authority.info.not_before) });
    }
    Ok(())
}
