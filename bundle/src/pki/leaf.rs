//! Certificates of servers and clients: reused while they fit, reissued with the reason said, and those made elsewhere
//! taken as they are.

use std::path::Path;

use time::OffsetDateTime;

use super::certificate::Authority;
use super::info::{CertificateInfo, day};
use super::keys::HeldKey;
use super::private_key::Key;
use super::{Credential, Error, Run, certificate, directory};
use crate::plan::certificates::{CertId, CertPlan, Name};

/// A certificate that is to be there, and what it is signed with.
pub(super) struct Leaf<'a> {
    pub(super) id: &'a CertId,
    pub(super) planned: &'a CertPlan,
    pub(super) held: &'a HeldKey,
    pub(super) signer: &'a Authority,
}

impl Leaf<'_> {
    /// The certificate of `pki/` if it fits, or else a new one; the old one is kept in `replaced/`.
    pub(super) fn credential(&self, run: &Run<'_>) -> Result<Credential, Error> {
        let (public, info) = match run.directory.certificate(self.id)? {
            None => {
                let issued = self.issue(run)?;
                run.progress.detail(&format!("Issued `{}`, valid until {}", self.id, day(issued.1.not_after)));
                issued
            }
            Some(existing) => match self.reason_to_reissue(&existing.1, run) {
                None => {
                    run.progress.detail(&format!("Kept `{}`, valid until {}", self.id, day(existing.1.not_after)));
                    existing
                }
                Some(reason) => {
                    run.directory.put_aside(self.id, &existing.0, &existing.1)?;
                    let issued = self.issue(run)?;
                    run.progress.note(&format!("Reissued `{}`: {reason}", self.id));
                    issued
                }
            },
        };
        Ok(Credential { public, key: Some(self.held.key.pem()), info: Some(info) })
    }

    fn reason_to_reissue(&self, existing: &CertificateInfo, run: &Run<'_>) -> Option<String> {
        if let Some(reason) = self.held.replaced {
            return Some(reason.to_owned());
        }
        if run.renew.contains(self.id) {
            return Some("asked for".to_owned());
        }
        differs_from(existing, self.planned, &self.held.key, self.signer, run.at.now)
    }

    fn issue(&self, run: &Run<'_>) -> Result<(String, CertificateInfo), Error> {
        let pem = certificate::signed(self.planned, &self.held.key, self.signer, run.at.now)
            .map_err(|why| Error::Crypto { verb: "sign", id: self.id.clone(), why })?;
        let path = run.directory.certificate_path(self.id);
        let info = CertificateInfo::from_pem(&pem).map_err(|why| Error::Unreadable { path, why })?;
        run.directory.write_public(self.id, &pem)?;
        Ok((pem, info))
    }
}

impl Run<'_> {
    /// A certificate made elsewhere, with its key if one is given. Paths are relative to `cluster.toml`.
    pub(super) fn external(&self, cert: &Path, key: Option<&Path>) -> Result<Credential, Error> {
        let path = self.at.base.join(cert);
        let (public, info, _) = directory::read_external(&path)?;
        if let Some(why) = info.validity_error(self.at.now) {
            return Err(Error::Unfit { path, why });
        }
        let key = match key {
            Some(key) => {
                let key = directory::read_key(&self.at.base.join(key))?;
                if !info.belongs_to(&key) {
                    return Err(Error::Unfit { path, why: "it does not belong to the key given with it".to_owned() });
                }
                Some(key.pem())
            }
            None => None,
        };
        Ok(Credential { public, key, info: Some(info) })
    }
}

/// Why `existing` is not what the plan wants; `None` if it is.
pub(super) fn differs_from(
    existing: &CertificateInfo,
    planned: &CertPlan,
    key: &Key,
    authority: &Authority,
    now: OffsetDateTime,
) -> Option<String> {
    let CertPlan::Leaf { subject, usages, names, lifetime, .. } = planned else { return None };
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    let missing: Vec<_> = names.iter().filter(|name| !existing.names.contains(name)).cloned().collect();
    let mut usages = usages.clone();
    usages.sort();
    let ends = existing.not_before.saturating_add(lifetime.duration()).min(authority.info.not_after);
    if !existing.belongs_to(key) {
        Some("it did not belong to its key".to_owned())
    } else if !existing.is_signed_by(&authority.info) {
        Some("another CA had signed it".to_owned())
    } else if let Some(why) = existing.validity_error(now) {
        Some(why)
    } else if !missing.is_empty() {
        Some(format!("it did not name {}", missing.join(", ")))
    } else if existing.names != names {
        Some("it had names that are no longer wanted".to_owned())
    } else if existing.subject != written(subject) {
        Some(format!("its subject was `{}`, and `{}` is wanted", existing.subject, written(subject)))
    } else if existing.usages != usages {
        Some("it was good for another purpose".to_owned())
    } else if existing.not_after != ends {
        Some(format!("it was valid until {}, and a lifetime of {lifetime} is wanted", day(existing.not_after)))
    } else {
        None
    }
}

/// A planned subject in the form that [`CertificateInfo::subject`] has.
pub(super) fn written(name: &Name) -> String {
    let place = &name.place;
    let parts = [("C", &place.country), ("ST", &place.state), ("L", &place.locality), ("O", &name.organization)];
    let parts = parts.into_iter().filter_map(|(kind, text)| Some(format!("{kind}={}", text.as_ref()?)));
    parts.chain([format!("CN={}", name.common_name)]).collect::<Vec<_>>().join(", ")
}
