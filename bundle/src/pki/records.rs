//! What a manifest says of certificates. No private key, and no digest of one.

use std::collections::BTreeMap;

use super::Pki;
use super::info::CertificateInfo;
use crate::manifest::origin::CertificateRecord;
use crate::plan::certificates::{CertId, CertPlan, PkiPlan};

impl Pki {
    /// Every certificate by its ID.
    pub fn records(&self, plan: &PkiPlan) -> BTreeMap<CertId, CertificateRecord> {
        self.infos().map(|(id, info)| (id.to_owned(), info.record(self.issuer(id, info, plan)))).collect()
    }

    fn issuer(&self, id: &str, info: &CertificateInfo, plan: &PkiPlan) -> Option<CertId> {
        match plan.certificates.get(id)? {
            CertPlan::Authority { .. } => Some(id.to_owned()),
            // Issuing made sure of it.
            CertPlan::Leaf { issuer, .. } => Some(issuer.clone()),
            CertPlan::External { .. } => {
                self.infos().find(|(_, ca)| ca.is_ca && info.is_signed_by(ca)).map(|(id, _)| id.to_owned())
            }
            CertPlan::KeyPair => None,
        }
    }
}

impl CertificateInfo {
    pub(crate) fn record(&self, issuer: Option<CertId>) -> CertificateRecord {
        CertificateRecord {
            subject: self.subject.clone(),
            issuer,
            names: self.names.clone(),
            usages: self.usages.clone(),
            is_ca: self.is_ca,
            not_before: self.not_before,
            not_after: self.not_after,
            serial: self.serial.clone(),
            public_key: self.public_key,
            sha256: self.sha256,
        }
    }
}
