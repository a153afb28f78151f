//! What there is, what expires when, and what a build would do about it. Changes nothing.

use super::certificate::Authority;
use super::directory::{self, PkiDir};
use super::info::{CertificateInfo, day};
use super::keys::refuse_loss;
use super::{Error, PkiContext, TOKEN};
use crate::plan::certificates::{CertId, CertPlan, PkiPlan};

/// One line of `pki status`.
#[derive(Debug, serde::Serialize)]
pub struct Status {
    /// The certificate's ID.
    pub id: CertId,
    /// Who signed it, by CN; `None` for a key pair and for what isn't there.
    pub issuer: Option<String>,
    /// What it says.
    pub certificate: Option<CertificateInfo>,
    /// What a build would do about it.
    pub state: String,
}

/// What there is, and what a build would do about it. Changes nothing.
pub fn status(plan: &PkiPlan, at: &PkiContext<'_>) -> Result<Vec<Status>, Error> {
    let Some(directory) = PkiDir::existing(at.directory)? else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    for (id, planned) in &plan.certificates {
        let info = match planned {
            CertPlan::External { cert, .. } => Some(directory::read_external(&at.base.join(cert))?.1),
            CertPlan::KeyPair => None,
            _ => directory.certificate(id)?.map(|(_, info)| info),
        };
        let state = match (&info, planned) {
            _ if let Err(why) = refuse_loss(plan, id, planned, &directory) => format!("lost: {why}"),
            (_, CertPlan::KeyPair) if directory.has_key(id) => "key pair, without end".to_owned(),
            (None, _) => "missing: the next build makes it".to_owned(),
            (Some(info), _) if info.not_after <= at.now => "expired".to_owned(),
            (Some(_), CertPlan::Leaf { issuer, .. }) => leaf_state(plan, id, planned, issuer, &directory, at)?,
            (Some(_), _) => "ok".to_owned(),
        };
        all.push(Status {
            id: id.clone(),
            issuer: info.as_ref().map(|info| info.issuer_name.clone()),
            certificate: info,
            state,
        });
    }
    let token = directory.token()?;
    all.push(Status {
        id: TOKEN.to_owned(),
        issuer: None,
        certificate: None,
        state: match token.map(|token| token.expiration) {
            None => "missing: the next build draws it".to_owned(),
            Some(end) if end <= at.now => format!("expired on {}: the next build draws another", day(end)),
            Some(end) => format!("good until {}", day(end)),
        },
    });
    Ok(all)
}

fn leaf_state(
    plan: &PkiPlan,
    id: &CertId,
    planned: &CertPlan,
    issuer: &CertId,
    directory: &PkiDir,
    at: &PkiContext<'_>,
) -> Result<String, Error> {
    let signer = match plan.certificates.get(issuer) {
        Some(CertPlan::External { cert, key: Some(key) }) => {
            let (pem, info, _) = directory::read_external(&at.base.join(cert))?;
            Some(Authority { pem, info, key: directory::read_key(&at.base.join(key))? })
        }
        _ => match (directory.certificate(issuer)?, directory.key(issuer)?) {
            (Some((pem, info)), Some(key)) => Some(Authority { pem, info, key }),
            _ => None,
        },
    };
    let (Some(signer), Some(key), Some((_, info))) = (signer, directory.key(id)?, directory.certificate(id)?) else {
        return Ok("its key or its CA is missing".to_owned());
    };
    Ok(info
        .differs_from(planned, &key, &signer, at.now)
        .map_or_else(|| "ok".to_owned(), |why| format!("the next build reissues it: {why}")))
}
