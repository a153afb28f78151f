//! What there is, what expires when, and what a build would do about it. Changes nothing.

use std::collections::BTreeMap;

use time::{Duration, OffsetDateTime};

use super::certificate::Authority;
use super::directory::{self, ENCRYPTION_KEY};
use super::info::{CertificateInfo, day};
use super::leaf::differs_from;
use super::{Error, PkiContext, Run, TOKEN};
use crate::plan::certificates::{CertId, CertPlan, PkiPlan};
use crate::progress::Quiet;

/// One line of `pki status`.
#[derive(Debug, serde::Serialize)]
pub struct Status {
    /// The certificate's ID.
    pub id: CertId,
    /// ID of the CA whose signature it bears, its own for a root; `None` for a bare key, for what isn't there, and
    /// where the CA is none of this cluster's.
    pub issuer: Option<CertId>,
    /// When it ends; `None` for what has no end and for what isn't there.
    #[serde(with = "time::serde::rfc3339::option")]
    pub expires: Option<OffsetDateTime>,
    pub certificate: Option<CertificateInfo>,
    /// `ok`, or what is wrong and what a build would do about it.
    pub state: String,
    /// Whether there is something that can't be read, so that its end is not known.
    #[serde(skip)]
    pub is_unreadable: bool,
}

type Authorities = BTreeMap<CertId, Result<Option<Authority>, Error>>;

/// What there is, and what a build would do about it; nothing if there is no pki directory.
pub fn status(plan: &PkiPlan, at: &PkiContext<'_>) -> Result<Vec<Status>, Error> {
    let Some(run) = Run::look(plan, at, &Quiet)? else { return Ok(Vec::new()) };
    let certificates: BTreeMap<_, _> =
        plan.certificates.iter().map(|(id, planned)| (id, read(&run, id, planned))).collect();
    let authorities: Authorities =
        plan.certificates.iter().map(|(id, planned)| (id.clone(), run.existing_authority(id, planned))).collect();
    let signer = |info: &CertificateInfo| {
        let mut readable = certificates.iter().filter_map(|(id, read)| Some((*id, read.as_ref().ok()?.as_ref()?)));
        readable.find(|(_, ca)| ca.is_ca && info.is_signed_by(ca)).map(|(id, _)| id.clone())
    };
    let mut all = Vec::new();
    for (id, planned) in &plan.certificates {
        let read = &certificates[id];
        let certificate = read.as_ref().ok().and_then(Clone::clone);
        let state = match (run.check_irreplaceable(id, planned), read) {
            (Err(why @ (Error::Half { .. } | Error::Lost { .. } | Error::Gone { .. })), _) => format!("lost: {why}"),
            (Err(why), _) => why.to_string(),
            (Ok(()), Err(why)) => why.to_string(),
            (Ok(()), Ok(_)) => state(&run, id, planned, &authorities),
        };
        all.push(Status {
            id: id.clone(),
            issuer: certificate.as_ref().and_then(signer),
            expires: certificate.as_ref().map(|info| info.not_after),
            certificate,
            state,
            is_unreadable: read.is_err(),
        });
    }
    all.push(Status { state: encryption_key(&run), ..Status::bare(ENCRYPTION_KEY) });
    all.push(token(&run));
    Ok(all)
}

impl Status {
    /// Of what is no certificate.
    fn bare(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            issuer: None,
            expires: None,
            certificate: None,
            state: String::new(),
            is_unreadable: false,
        }
    }
}

/// A line for each certificate that ends within `days` days of `now` or has ended, or whose end is not known. The
/// bootstrap token does not count: it is meant to expire, and each build replaces it in time.
pub fn expiring(all: &[Status], now: OffsetDateTime, days: u16) -> Vec<String> {
    let until = now.saturating_add(Duration::days(days.into()));
    let certificates = all.iter().filter(|line| line.id != TOKEN);
    let line = |it: &Status| match it.expires {
        None => it.is_unreadable.then(|| format!("{}: {}", it.id, it.state)),
        Some(end) if end <= now => Some(format!("{}: expired on {}", it.id, day(end))),
        Some(end) if end <= until => {
            let left = (end - now).whole_days();
            let unit = if left == 1 { "day" } else { "days" };
            Some(format!("{}: expires on {}, in {left} {unit}", it.id, day(end)))
        }
        Some(_) => None,
    };
    certificates.filter_map(line).collect()
}

fn read(run: &Run<'_>, id: &CertId, planned: &CertPlan) -> Result<Option<CertificateInfo>, Error> {
    Ok(match planned {
        CertPlan::External { cert, .. } => Some(directory::read_external(&run.at.base.join(cert))?.1),
        CertPlan::KeyPair => None,
        CertPlan::Authority { .. } | CertPlan::Leaf { .. } => run.directory.certificate(id)?.map(|(_, info)| info),
    })
}

fn state(run: &Run<'_>, id: &CertId, planned: &CertPlan, authorities: &Authorities) -> String {
    const MISSING: &str = "missing: the next build makes it";
    let ok = || "ok".to_owned();
    match (planned, authorities.get(id)) {
        (_, Some(Err(why))) => why.to_string(),
        (_, Some(Ok(Some(_)))) => ok(),
        (CertPlan::External { cert, key }, _) => match run.external(cert, key.as_deref()) {
            Ok(_) => ok(),
            Err(why) => why.to_string(),
        },
        (CertPlan::KeyPair, _) if run.directory.has_key(id) => ok(),
        (CertPlan::Leaf { issuer, .. }, _) if run.directory.has_certificate(id) => {
            let signer = authorities.get(issuer).and_then(|signer| signer.as_ref().ok()?.as_ref());
            leaf_state(run, id, planned, signer).unwrap_or_else(|why| why.to_string())
        }
        _ => MISSING.to_owned(),
    }
}

fn leaf_state(run: &Run<'_>, id: &CertId, planned: &CertPlan, signer: Option<&Authority>) -> Result<String, Error> {
    let (Some(signer), Some(key), Some((_, info))) = (signer, run.directory.key(id)?, run.directory.certificate(id)?)
    else {
        return Ok("its key or its CA is missing or can't be used".to_owned());
    };
    Ok(differs_from(&info, planned, &key, signer, run.at.now)
        .map_or_else(|| "ok".to_owned(), |why| format!("the next build reissues it: {why}")))
}

fn encryption_key(run: &Run<'_>) -> String {
    match run.existing_encryption_key() {
        Ok(Some(_)) => "ok".to_owned(),
        Ok(None) => "missing: the next build draws it".to_owned(),
        Err(why @ (Error::Lost { .. } | Error::Gone { .. })) => format!("lost: {why}"),
        Err(why) => why.to_string(),
    }
}

fn token(run: &Run<'_>) -> Status {
    let (expires, state) = match run.directory.token() {
        Err(why) => (None, why.to_string()),
        Ok(None) => (None, "missing: the next build draws it".to_owned()),
        Ok(Some(token)) => {
            let why = token.reason_to_replace(run.plan.token_validity, run.at.now);
            let state = why.map_or_else(|| "ok".to_owned(), |why| format!("the next build draws another: {why}"));
            (Some(token.expiration), state)
        }
    };
    Status { expires, state, ..Status::bare(TOKEN) }
}
