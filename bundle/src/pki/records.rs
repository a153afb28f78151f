//! What a manifest says of certificates. No private key, and no digest of one.

use std::collections::BTreeMap;

use super::Pki;
use super::info::CertificateInfo;
use crate::manifest::origin::CertificateRecord;
use crate::plan::certificates::{CertId, CertPlan, PkiPlan};

impl Pki {
    /// Every certificate by its ID.
    pub fn records(&self, plan: &PkiPlan) -> BTreeMap<CertId, CertificateRecord> {
        let all = self.certificates.iter().filter_map(|(id, credential)| Some((id, credential.info.as_ref()?)));
        all.map(|(id, info)| (id.clone(), info.record(self.issuer(id, info, plan)))).collect()
    }

    fn issuer(&self, id: &CertId, info: &CertificateInfo, plan: &PkiPlan) -> Option<CertId> {
        match plan.certificates.get(id)? {
            CertPlan::Authority { .. } => Some(id.clone()),
            // Issuing made sure of it.
            CertPlan::Leaf { issuer, .. } => Some(issuer.clone()),
            CertPlan::External { .. } => {
                let mut all = self.certificates.iter();
                let signed = |ca: &CertificateInfo| ca.is_ca && info.is_signed_by(ca);
                all.find(|(_, ca)| ca.info.as_ref().is_some_and(signed)).map(|(id, _)| id.clone())
            }
            CertPlan::KeyPair => None,
        }
    }
}

impl CertificateInfo {
    fn record(&self, issuer: Option<CertId>) -> CertificateRecord {
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
