//! Keys and certificates: what exists is reused, what is missing is made, what no longer fits is reissued and
//! said so.
//!
//! A CA is never replaced: everything a cluster trusts hangs on it. A leaf is reissued, with its key, when
//! what it should say has changed or its time is over, and the old one is kept aside.

pub mod certificate;
pub mod directory;
mod error;
pub mod info;
mod keys;
mod pem;
pub mod revision;
mod status;
pub mod token;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use time::OffsetDateTime;

use crate::plan::certificates::{CertId, CertPlan, PkiPlan};
use crate::progress::Progress;
use crate::secret::Secret;
use certificate::{Authority, Key};
use directory::PkiDir;
pub use error::Error;
use info::{CertificateInfo, day};
use keys::{HeldKey, encryption_key, keys};
pub use status::{Status, status};
use token::BootstrapToken;

/// How long before its end a certificate is worth a word.
const SOON: time::Duration = time::Duration::days(30);

/// Everything secret of one cluster. No `Debug`, no `Serialize`.
pub struct Pki {
    certificates: BTreeMap<CertId, Credential>,
    token: BootstrapToken,
    encryption_key: Secret,
}

/// One certificate or public key, with its private key where we hold it.
pub(crate) struct Credential {
    /// PEM of the certificate, or of the public key where there is no certificate.
    pub(crate) public: String,
    /// PEM of the private key.
    pub(crate) key: Option<Secret>,
    /// What the certificate says; `None` for a bare key pair.
    pub(crate) info: Option<CertificateInfo>,
}

impl Pki {
    pub(crate) fn certificate(&self, id: &str) -> Option<&Credential> {
        self.certificates.get(id)
    }

    pub(crate) fn token(&self) -> &BootstrapToken {
        &self.token
    }

    pub(crate) fn encryption_key(&self) -> &Secret {
        &self.encryption_key
    }

    /// When all certificates are valid together: latest begin, earliest end.
    pub fn window(&self) -> (OffsetDateTime, OffsetDateTime) {
        let info = || self.certificates.values().filter_map(|credential| credential.info.as_ref());
        let begin = info().map(|info| info.not_before).max().unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let end = info().map(|info| info.not_after).min().unwrap_or(OffsetDateTime::UNIX_EPOCH);
        (begin, end)
    }
}

/// What [`issue`] works with besides the plan.
#[derive(Debug)]
pub struct PkiContext<'a> {
    /// The pki directory.
    pub directory: &'a Path,
    /// Where `cluster.toml` lies, which given files are relative to.
    pub base: &'a Path,
    /// The present time.
    pub now: OffsetDateTime,
    /// How many keys to make at a time.
    pub jobs: usize,
    /// Certificates to reissue though they still fit.
    pub renew: &'a BTreeSet<String>,
}

/// The name under which the bootstrap token is renewed.
pub const TOKEN: &str = "bootstrap-token";
/// The name of the key that secrets in etcd are encrypted with.
const ENCRYPTION_KEY: &str = "encryption-key";

/// Makes sure that everything the plan wants exists, and loads it.
pub fn issue(plan: &PkiPlan, at: &PkiContext<'_>, progress: &dyn Progress) -> Result<Pki, Error> {
    renewable(plan, at.renew)?;
    let directory = PkiDir::open(at.directory)?;
    // Before any certificate: where one exists, a missing one of these was lost, not never made.
    let encryption_key = encryption_key(plan, &directory)?;
    let token = token(plan, &directory, at, progress)?;
    let mut keys = keys(plan, &directory, at)?;
    let mut certificates = BTreeMap::new();
    let mut authorities = BTreeMap::new();
    for (id, planned) in &plan.certificates {
        if let Some(authority) = authority(plan, id, planned, &mut keys, &directory, at, progress)? {
            authorities.insert(id.clone(), authority);
        }
    }
    for (id, planned) in &plan.certificates {
        let credential = match planned {
            CertPlan::Leaf { issuer, .. } => {
                let key = keys.remove(id).unwrap_or_else(|| unreachable!("every leaf has a key by now"));
                let signer = authorities.get(issuer).unwrap_or_else(|| unreachable!("a recipe names authorities only"));
                leaf(id, planned, &key, signer, &directory, at, progress)?
            }
            CertPlan::KeyPair => {
                let key = keys.remove(id).unwrap_or_else(|| unreachable!("every pair has a key by now"));
                let public = key.key.public_pem();
                directory.write_public(id, &public)?;
                Credential { public, key: Some(key.key.pem()), info: None }
            }
            CertPlan::External { cert, key } if !authorities.contains_key(id) => external(cert, key.as_deref(), at)?,
            CertPlan::Authority { .. } | CertPlan::External { .. } => continue,
        };
        certificates.insert(id.clone(), credential);
    }
    certificates.extend(authorities.into_iter().map(|(id, authority)| (id, authority.into_credential())));
    let pki = Pki { certificates, token, encryption_key };
    warn_of_the_end(&pki, at.now, progress);
    Ok(pki)
}

fn renewable(plan: &PkiPlan, wanted: &BTreeSet<String>) -> Result<(), Error> {
    for id in wanted.iter().filter(|id| *id != TOKEN) {
        let why = match plan.certificates.get(id) {
            Some(CertPlan::Leaf { .. }) => continue,
            Some(CertPlan::Authority { .. }) => "it is a CA, and everything the cluster trusts hangs on it",
            Some(CertPlan::KeyPair) => "a bare key pair has no end; replacing it would void every token it signed",
            Some(CertPlan::External { .. }) => "it was made by somebody else",
            None => "there is no such certificate",
        };
        return Err(Error::NotRenewable { id: id.clone(), why });
    }
    Ok(())
}

/// The CA behind a plan entry, if it is one that can sign.
fn authority(
    plan: &PkiPlan,
    id: &CertId,
    planned: &CertPlan,
    keys: &mut BTreeMap<CertId, HeldKey>,
    directory: &PkiDir,
    at: &PkiContext<'_>,
    progress: &dyn Progress,
) -> Result<Option<Authority>, Error> {
    let signs = plan.certificates.values().any(|other| matches!(other, CertPlan::Leaf { issuer, .. } if issuer == id));
    match planned {
        CertPlan::Authority { subject, lifetime } => {
            let key = keys.remove(id).unwrap_or_else(|| unreachable!("every authority has a key by now")).key;
            if let Some((pem, info)) = directory.certificate(id)? {
                let path = directory.certificate_path(id);
                return checked_authority(id, &path, pem, info, key, at.now).map(Some);
            }
            let pem = certificate::self_signed(subject, *lifetime, &key, at.now).map_err(|why| Error::Crypto {
                verb: "sign",
                id: id.clone(),
                why,
            })?;
            directory.write_public(id, &pem)?;
            let info = CertificateInfo::from_pem(&pem)
                .map_err(|why| Error::Unreadable { path: directory.certificate_path(id), why })?;
            progress.note(&format!("Made CA `{id}`, valid until {}", day(info.not_after)));
            Ok(Some(Authority { pem, info, key }))
        }
        CertPlan::External { cert, key: Some(key) } if signs => {
            let (cert, key) = (at.base.join(cert), at.base.join(key));
            let (pem, info, certificates) = directory::read_external(&cert)?;
            if certificates > 1 {
                let why = "it is a chain, and kube-controller-manager signs with a single certificate only".to_owned();
                return Err(Error::Unfit { path: cert, why });
            }
            let key = directory::read_key(&key)?;
            checked_authority(id, &cert, pem, info, key, at.now).map(Some)
        }
        _ => Ok(None),
    }
}

fn checked_authority(
    id: &str,
    path: &Path,
    pem: String,
    info: CertificateInfo,
    key: Key,
    now: OffsetDateTime,
) -> Result<Authority, Error> {
    let unfit = |why: &str| Err(Error::Unfit { path: path.to_owned(), why: why.to_owned() });
    if !info.is_ca {
        return unfit(
            "it is no CA certificate: basic constraints don't say CA, or key usage forbids signing certificates",
        );
    }
    if !info.belongs_to(&key) {
        return unfit("it does not belong to the key beside it");
    }
    if !key.is_known_to_v1_16() {
        return unfit("Kubernetes v1.16 reads RSA keys, and ECDSA keys on P-256 and P-384, and no others");
    }
    if info.not_after <= now {
        return Err(Error::Expired { id: id.to_owned(), end: day(info.not_after) });
    }
    if let Some(why) = info.validity_error(now) {
        return unfit(&why);
    }
    Ok(Authority { pem, info, key })
}

/// Reuses or reissues one leaf.
fn leaf(
    id: &CertId,
    planned: &CertPlan,
    held: &HeldKey,
    signer: &Authority,
    directory: &PkiDir,
    at: &PkiContext<'_>,
    progress: &dyn Progress,
) -> Result<Credential, Error> {
    let existing = directory.certificate(id)?;
    let reason = match &existing {
        None => Some("it was not there".to_owned()),
        Some(_) if held.new.is_some_and(|reason| !reason.is_empty()) => held.new.map(str::to_owned),
        Some(_) if at.renew.contains(id) => Some("asked for".to_owned()),
        Some((_, info)) => info.differs_from(planned, &held.key, signer, at.now),
    };
    let (public, info) = match (existing, reason) {
        (Some(existing), None) => existing,
        (existing, reason) => {
            let pem = certificate::signed(planned, &held.key, signer, at.now).map_err(|why| Error::Crypto {
                verb: "sign",
                id: id.clone(),
                why,
            })?;
            let info = CertificateInfo::from_pem(&pem)
                .map_err(|why| Error::Unreadable { path: directory.certificate_path(id), why })?;
            if let Some((old, old_facts)) = existing {
                directory.put_aside(id, &old, &old_facts)?;
                progress.note(&format!("Reissued `{id}`: {}", reason.unwrap_or_default()));
            }
            directory.write_public(id, &pem)?;
            (pem, info)
        }
    };
    Ok(Credential { public, key: Some(held.key.pem()), info: Some(info) })
}

fn external(cert: &Path, key: Option<&Path>, at: &PkiContext<'_>) -> Result<Credential, Error> {
    let path = at.base.join(cert);
    let (public, info, _) = directory::read_external(&path)?;
    if let Some(why) = info.validity_error(at.now) {
        return Err(Error::Unfit { path, why });
    }
    let key = match key {
        Some(key) => {
            let key = directory::read_key(&at.base.join(key))?;
            if !info.belongs_to(&key) {
                return Err(Error::Unfit { path, why: "it does not belong to the key given with it".to_owned() });
            }
            Some(key.pem())
        }
        None => None,
    };
    Ok(Credential { public, key, info: Some(info) })
}

fn token(
    plan: &PkiPlan,
    directory: &PkiDir,
    at: &PkiContext<'_>,
    progress: &dyn Progress,
) -> Result<BootstrapToken, Error> {
    let existing = directory.token()?;
    let reason = match &existing {
        Some(token) if token.expiration <= at.now => "the old one expired",
        Some(_) if at.renew.contains(TOKEN) => "asked for",
        Some(_) => "",
        None => "none there",
    };
    match existing {
        Some(token) if reason.is_empty() => {
            if token.expiration - at.now < time::Duration::days(1) {
                progress.warn(
                    "the bootstrap token expires within a day; `kube-bundle pki renew bootstrap-token` draws another",
                );
            }
            Ok(token)
        }
        existing => {
            let expiration = certificate::whole_second(at.now + plan.token_validity.duration());
            let token = BootstrapToken::draw(expiration).map_err(|why| Error::Crypto {
                verb: "draw",
                id: TOKEN.to_owned(),
                why,
            })?;
            directory.write_token(&token)?;
            if existing.is_some() {
                progress.note(&format!("Drew a new bootstrap token: {reason}; it is good until {}", day(expiration)));
            }
            Ok(token)
        }
    }
}

fn warn_of_the_end(pki: &Pki, now: OffsetDateTime, progress: &dyn Progress) {
    for (id, credential) in &pki.certificates {
        if let Some(info) = credential.info.as_ref().filter(|info| info.not_after - now < SOON) {
            progress.warn(&format!(
                "`{id}` expires on {}; `kube-bundle pki renew` reissues what is no CA",
                day(info.not_after)
            ));
        }
    }
}
