//! What there is, what expires when, and what a build would do about it. Changes nothing.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};
use time::{Duration, OffsetDateTime};

use super::certificate::Authority;
use super::checksums::Checksums;
use super::directory::{self, ENCRYPTION_KEY};
use super::info::{CertificateInfo, day};
use super::leaf::differs_from;
use super::{Error, PkiContext, Run, TOKEN, seal};
use crate::plan::certificates::{CertId, CertPlan, PkiPlan};
use crate::progress::Quiet;

/// Whether something in `pki/` is as it should be, and what a build would do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    Ok,
    /// A build makes it.
    Missing,
    /// A build replaces it, for this reason.
    Outdated(String),
    /// Why it can't be used; a build would fail.
    Unusable(String),
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => f.write_str("ok"),
            Self::Missing => f.write_str("missing: the next build makes it"),
            Self::Outdated(why) => write!(f, "the next build reissues it: {why}"),
            Self::Unusable(why) => f.write_str(why),
        }
    }
}

impl State {
    /// What is gone and can't be made again is called lost.
    pub(super) fn unusable(why: &Error) -> Self {
        Self::Unusable(match why {
            Error::Lost { .. } | Error::Gone { .. } => format!("lost: {why}"),
            _ => why.to_string(),
        })
    }
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One line of `pki status`.
#[derive(Debug, Serialize)]
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
    pub state: State,
    /// Whether there is something that can't be read, so that its end is not known.
    #[serde(skip)]
    pub is_unreadable: bool,
    /// Whether the next build makes a key for it.
    #[serde(skip)]
    pub makes_key: bool,
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
            (Err(why @ Error::Half { .. }), _) => State::Unusable(format!("lost: {why}")),
            (Err(why), _) => State::unusable(&why),
            (Ok(()), Err(why)) => State::unusable(why),
            (Ok(()), Ok(_)) => state(&run, id, planned, &authorities),
        };
        all.push(Status {
            id: id.clone(),
            issuer: certificate.as_ref().and_then(signer),
            expires: certificate.as_ref().map(|info| info.not_after),
            certificate,
            state,
            is_unreadable: read.is_err(),
            makes_key: matches!(run.usable_key(id, planned), Ok(Err(_))),
        });
    }
    all.push(Status::bare(ENCRYPTION_KEY, encryption_key(&run)));
    all.push(token(&run));
    let seal = plan.seal.iter().flat_map(seal::files);
    all.extend(seal.map(|name| Status::bare(&name, seal_key(&run, &name))));
    Ok(all)
}

impl Status {
    /// Of what is no certificate.
    fn bare(id: &str, state: State) -> Self {
        let makes_key = state == State::Missing;
        Self {
            id: id.to_owned(),
            issuer: None,
            expires: None,
            certificate: None,
            state,
            is_unreadable: false,
            makes_key,
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

fn state(run: &Run<'_>, id: &CertId, planned: &CertPlan, authorities: &Authorities) -> State {
    match (planned, authorities.get(id)) {
        (_, Some(Err(why))) => State::Unusable(why.to_string()),
        (_, Some(Ok(Some(_)))) => State::Ok,
        (CertPlan::External { cert, key }, _) => match run.external(cert, key.as_deref()) {
            Ok(_) => State::Ok,
            Err(why) => State::Unusable(why.to_string()),
        },
        (CertPlan::KeyPair, _) if run.directory.has_key(id) => State::Ok,
        (CertPlan::Leaf { issuer, .. }, _) if run.directory.has_certificate(id) => {
            let signer = authorities.get(issuer).and_then(|signer| signer.as_ref().ok()?.as_ref());
            leaf_state(run, id, planned, signer).unwrap_or_else(|why| State::Unusable(why.to_string()))
        }
        _ => State::Missing,
    }
}

fn leaf_state(run: &Run<'_>, id: &CertId, planned: &CertPlan, signer: Option<&Authority>) -> Result<State, Error> {
    let (Some(signer), Some((_, info))) = (signer, run.directory.certificate(id)?) else {
        return Ok(State::Unusable("its CA is missing or can't be used".to_owned()));
    };
    let why = match run.usable_key(id, planned)? {
        Ok(key) => differs_from(&info, planned, &key, signer, run.at.now),
        Err(why) => Some(why.to_owned()),
    };
    Ok(why.map_or(State::Ok, State::Outdated))
}

fn encryption_key(run: &Run<'_>) -> State {
    match run.existing_encryption_key() {
        Ok(Some(_)) => State::Ok,
        Ok(None) => State::Missing,
        Err(why) => State::unusable(&why),
    }
}

fn seal_key(run: &Run<'_>, name: &str) -> State {
    let sums = Checksums::read(&run.directory);
    match sums.and_then(|sums| sums.check(&run.directory, &[name.to_owned()])) {
        Err(why) => State::unusable(&why),
        Ok(()) if run.directory.has(name) => State::Ok,
        Ok(()) => State::Missing,
    }
}

fn token(run: &Run<'_>) -> Status {
    let (expires, state) = match run.directory.token() {
        Err(why) => (None, State::Unusable(why.to_string())),
        Ok(None) => (None, State::Missing),
        Ok(Some(token)) => {
            let why = token.reason_to_replace(run.plan.token_validity, run.at.now);
            (Some(token.expiration), why.map_or(State::Ok, State::Outdated))
        }
    };
    Status { expires, ..Status::bare(TOKEN, state) }
}
