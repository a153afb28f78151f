//! What the next build would find in `pki/`, and what it would issue, as far as that is known before. Changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use time::OffsetDateTime;

use super::certificate::first_moment;
use super::leaf::written;
use super::{Error, PkiContext, State, Status, status};
use crate::hash::Sha256;
use crate::manifest::origin::CertificateRecord;
use crate::plan::certificates::{CertId, CertPlan, PkiPlan};

/// Keys and certificates of the next build.
#[derive(Debug, Default)]
pub struct Next {
    /// Certificates as they will be. Of those in `issued`, serial number and digests are made up.
    pub records: BTreeMap<CertId, CertificateRecord>,
    /// What is made, with the reason where something else is replaced; keys and the bootstrap token are among it.
    pub issued: BTreeMap<CertId, Option<String>>,
    /// Those of `issued` that get another key.
    pub new_keys: BTreeSet<CertId>,
    /// A sentence for each that can't be used, because of which a build would fail.
    pub unusable: Vec<String>,
}

/// Looks at `pki/`, and compares it with the plan.
///
/// # Errors
/// As [`status()`].
pub fn next(plan: &PkiPlan, at: &PkiContext<'_>) -> Result<Next, Error> {
    let all = status(plan, at)?;
    let mut next = Next::default();
    if all.is_empty() {
        next.issued.extend(plan.certificates.keys().map(|id| (id.clone(), None)));
        next.issued.extend([super::TOKEN, super::ENCRYPTION_KEY].map(|id| (id.to_owned(), None)));
        next.issued.extend(plan.seal.iter().flat_map(super::seal::files).map(|name| (name, None)));
        next.new_keys = next.issued.keys().cloned().collect();
    }
    for line in all {
        next.take(line);
    }
    // CAs first: what they sign ends with them.
    let (authorities, others): (Vec<_>, Vec<_>) =
        plan.certificates.iter().partition(|(_, planned)| matches!(planned, CertPlan::Authority { .. }));
    for (id, planned) in authorities.into_iter().chain(others) {
        if next.issued.contains_key(id)
            && let Some(record) = next.expected(id, planned, at.now)
        {
            next.records.insert(id.clone(), record);
        }
    }
    Ok(next)
}

impl Next {
    fn take(&mut self, line: Status) {
        let Status { id, issuer, certificate, state, makes_key, .. } = line;
        match state {
            State::Ok => {
                self.records.extend(certificate.map(|info| (id, info.record(issuer))));
                return;
            }
            State::Missing => drop(self.issued.insert(id.clone(), None)),
            State::Outdated(why) => drop(self.issued.insert(id.clone(), Some(why))),
            State::Unusable(why) => self.unusable.push(format!("`{id}`: {why}")),
        }
        if makes_key {
            self.new_keys.insert(id);
        }
    }

    /// What a certificate says that is issued now; `None` for a key without one.
    fn expected(&self, id: &CertId, planned: &CertPlan, now: OffsetDateTime) -> Option<CertificateRecord> {
        let (subject, lifetime) = match planned {
            CertPlan::Authority { subject, lifetime } | CertPlan::Leaf { subject, lifetime, .. } => (subject, lifetime),
            CertPlan::KeyPair | CertPlan::External { .. } => return None,
        };
        let (issuer, names, usages) = match planned {
            CertPlan::Leaf { issuer, names, usages, .. } => {
                (issuer, names.iter().map(ToString::to_string).collect(), usages.clone())
            }
            _ => (id, Vec::new(), Vec::new()),
        };
        let not_before = first_moment(now);
        let end = not_before.saturating_add(lifetime.duration());
        let unknown = Sha256::of(&[]);
        Some(CertificateRecord {
            subject: written(subject),
            issuer: Some(issuer.clone()),
            names,
            usages,
            is_ca: matches!(planned, CertPlan::Authority { .. }),
            not_before,
            not_after: self.records.get(issuer).map_or(end, |ca| end.min(ca.not_after)),
            serial: String::new(),
            public_key: unknown,
            sha256: unknown,
        })
    }
}
