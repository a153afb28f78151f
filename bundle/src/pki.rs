//! Keys and certificates: what exists is reused, what is missing is made, what no longer fits is reissued and
//! said so.
//!
//! A CA is never replaced: everything a cluster trusts hangs on it. A leaf is reissued, with its key, when
//! what it should say has changed or its time is over, and the old one is kept aside.

mod authority;
pub mod certificate;
mod checksums;
pub mod directory;
mod error;
pub mod info;
mod keys;
mod leaf;
mod locked;
mod next;
mod pem;
mod private_key;
mod records;
pub mod revision;
pub mod seal;
mod status;
pub mod token;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use time::OffsetDateTime;

use crate::plan::certificates::{CertId, CertPlan, PkiPlan};
use crate::progress::Progress;
use crate::secret::Secret;
use certificate::Authority;
pub use directory::ENCRYPTION_KEY;
use directory::PkiDir;
pub use error::Error;
use info::{CertificateInfo, day};
use keys::HeldKey;
use leaf::Leaf;
pub use next::{Next, next};
use seal::SealKeys;
pub use status::{State, Status, expiring, status};
use token::BootstrapToken;

/// How long before its end a certificate is worth a word.
const SOON: time::Duration = time::Duration::days(30);

/// Everything secret of one cluster. No `Debug`, no `Serialize`.
pub struct Pki {
    certificates: BTreeMap<CertId, Credential>,
    token: BootstrapToken,
    encryption_key: Secret,
    seal: Option<SealKeys>,
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

    /// What each certificate says, by ID.
    pub(crate) fn infos(&self) -> impl Iterator<Item = (&str, &CertificateInfo)> {
        self.certificates.iter().filter_map(|(id, credential)| Some((id.as_str(), credential.info.as_ref()?)))
    }

    pub(crate) fn token(&self) -> &BootstrapToken {
        &self.token
    }

    pub(crate) fn encryption_key(&self) -> &Secret {
        &self.encryption_key
    }

    /// The keys for which secrets are encrypted; `None` if they are not.
    pub fn seal(&self) -> Option<&SealKeys> {
        self.seal.as_ref()
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
    /// Where `cluster.toml` lies, which paths of certificates made elsewhere are relative to.
    pub base: &'a Path,
    /// The present time, in whole seconds.
    pub now: OffsetDateTime,
    /// How many keys to make at a time.
    pub jobs: usize,
    /// What to reissue though it still fits, in the form that [`renewable`] takes.
    pub renew: &'a BTreeSet<String>,
    /// What encrypts new keys of machines, with `seal = "passphrase"`.
    pub passphrase: Option<&'a Secret>,
}

/// The name under which the bootstrap token is renewed.
pub const TOKEN: &str = "bootstrap-token";

/// One run of [`issue`] or [`status()`]: the plan, and the directory that is held against it.
struct Run<'a> {
    plan: &'a PkiPlan,
    at: &'a PkiContext<'a>,
    directory: PkiDir,
    /// IDs, and perhaps [`TOKEN`].
    renew: BTreeSet<CertId>,
    progress: &'a dyn Progress,
}

/// Makes sure that everything the plan wants exists, and loads it.
///
/// All that exists is checked before anything is made, so that a run that fails, be it with a wrong clock, leaves nothing
/// behind that a later one would take for good.
pub fn issue(plan: &PkiPlan, at: &PkiContext<'_>, progress: &dyn Progress) -> Result<Pki, Error> {
    let run = Run::begin(plan, at, progress)?;
    let encryption_key = run.existing_encryption_key()?;
    let token = run.directory.token()?;
    let mut authorities = run.existing_authorities()?;
    let mut certificates = run.externals(&authorities)?;
    run.check_seal_keys()?;
    let seal = run.seal_keys()?;

    // Before any certificate: where one exists, a missing encryption key was lost, not never drawn.
    let encryption_key = match encryption_key {
        Some(key) => key,
        None => run.directory.draw_encryption_key()?,
    };
    let mut keys = run.keys(&authorities)?;
    for (id, planned) in &plan.certificates {
        if let (CertPlan::Authority { subject, lifetime }, false) = (planned, authorities.contains_key(id)) {
            let key = take(&mut keys, id).key;
            authorities.insert(id.clone(), run.make_authority(id, (subject, *lifetime), key)?);
        }
    }
    run.record_checksums()?;
    for (id, planned) in &plan.certificates {
        let credential = match planned {
            CertPlan::Leaf { issuer, .. } => {
                let held = &take(&mut keys, id);
                let signer = authorities.get(issuer).unwrap_or_else(|| unreachable!("a recipe names authorities only"));
                Leaf { id, planned, held, signer }.credential(&run)?
            }
            CertPlan::KeyPair => run.key_pair(id, &take(&mut keys, id))?,
            CertPlan::Authority { .. } | CertPlan::External { .. } => continue,
        };
        certificates.insert(id.clone(), credential);
    }
    let token = run.valid_token(token)?;
    certificates.extend(authorities.into_iter().map(|(id, authority)| (id, authority.into_credential())));
    let pki = Pki { certificates, token, encryption_key, seal };
    warn_of_the_end(&pki, at.now, progress);
    Ok(pki)
}

/// The IDs that `wanted` stands for: an ID is itself, and `etcd` is all of `etcd/…`. Fails for what can't be renewed.
pub fn renewable(plan: &PkiPlan, wanted: &BTreeSet<String>) -> Result<BTreeSet<CertId>, Error> {
    let mut renew = BTreeSet::new();
    for name in wanted {
        let below: Vec<_> = plan
            .certificates
            .iter()
            .filter(|(id, planned)| {
                matches!(planned, CertPlan::Leaf { .. })
                    && id.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('/'))
            })
            .map(|(id, _)| id.clone())
            .collect();
        let why = match plan.certificates.get(name) {
            _ if name == TOKEN => None,
            Some(CertPlan::Leaf { .. }) => None,
            None if !below.is_empty() => {
                renew.extend(below);
                continue;
            }
            Some(CertPlan::Authority { .. }) => Some("it is a CA, and everything the cluster trusts hangs on it"),
            Some(CertPlan::KeyPair) => {
                Some("a bare key pair has no end; replacing it would void every token it signed")
            }
            Some(CertPlan::External { .. }) => Some("it was made elsewhere"),
            None => Some("there is no such certificate"),
        };
        if let Some(why) = why {
            return Err(Error::NotRenewable { id: name.clone(), why });
        }
        renew.extend(below);
        renew.insert(name.clone());
    }
    Ok(renew)
}

/// The key of an ID that [`Run::keys`] was asked for.
fn take(keys: &mut BTreeMap<CertId, HeldKey>, id: &CertId) -> HeldKey {
    keys.remove(id).unwrap_or_else(|| unreachable!("every ID without a loaded CA has a key by now"))
}

impl<'a> Run<'a> {
    /// Opens the directory for writing, and refuses it if something in it is lost or damaged that can't be made again.
    fn begin(plan: &'a PkiPlan, at: &'a PkiContext<'a>, progress: &'a dyn Progress) -> Result<Self, Error> {
        let renew = renewable(plan, at.renew)?;
        refuse_shared_files(plan)?;
        Ok(Self { plan, at, directory: PkiDir::open(at.directory)?, renew, progress })
    }

    /// Opens the directory for reading; `None` if it is not there.
    fn look(plan: &'a PkiPlan, at: &'a PkiContext<'a>, progress: &'a dyn Progress) -> Result<Option<Self>, Error> {
        refuse_shared_files(plan)?;
        let directory = PkiDir::existing(at.directory)?;
        Ok(directory.map(|directory| Self { plan, at, directory, renew: BTreeSet::new(), progress }))
    }

    fn existing_authorities(&self) -> Result<BTreeMap<CertId, Authority>, Error> {
        let mut authorities = BTreeMap::new();
        for (id, planned) in &self.plan.certificates {
            self.check_irreplaceable(id, planned)?;
            if let Some(authority) = self.existing_authority(id, planned)? {
                self.progress.detail(&format!("Kept CA `{id}`, valid until {}", day(authority.info.not_after)));
                authorities.insert(id.clone(), authority);
            }
        }
        Ok(authorities)
    }

    /// What was made elsewhere, but for the CAs among it that sign.
    fn externals(&self, authorities: &BTreeMap<CertId, Authority>) -> Result<BTreeMap<CertId, Credential>, Error> {
        let mut externals = BTreeMap::new();
        for (id, planned) in &self.plan.certificates {
            if let (CertPlan::External { cert, key }, false) = (planned, authorities.contains_key(id)) {
                externals.insert(id.clone(), self.external(cert, key.as_deref())?);
            }
        }
        Ok(externals)
    }

    fn key_pair(&self, id: &CertId, held: &HeldKey) -> Result<Credential, Error> {
        let public = held.key.public_pem();
        if !self.directory.has_certificate(id) {
            self.directory.write_public(id, &public)?;
        }
        Ok(Credential { public, key: Some(held.key.pem()), info: None })
    }

    /// The token that exists, or another if it won't do.
    fn valid_token(&self, existing: Option<BootstrapToken>) -> Result<BootstrapToken, Error> {
        let reason = match &existing {
            Some(_) if self.renew.contains(TOKEN) => Some("asked for".to_owned()),
            Some(token) => token.reason_to_replace(self.plan.token_validity, self.at.now),
            None => None,
        };
        match (existing, reason) {
            (Some(token), None) => {
                if token.expiration - self.at.now < time::Duration::days(1) {
                    self.progress.warn(
                        "the bootstrap token expires within a day; `kube-bundle pki renew bootstrap-token` draws another",
                    );
                }
                self.progress.detail(&format!("Kept the bootstrap token, good until {}", day(token.expiration)));
                Ok(token)
            }
            (_, reason) => {
                let failed = |why| Error::Crypto { verb: "draw", id: TOKEN.to_owned(), why };
                let expiration = self.at.now.checked_add(self.plan.token_validity.duration());
                let expiration = expiration.ok_or_else(|| failed("it would expire after the year 9999".to_owned()))?;
                let token = BootstrapToken::draw(certificate::whole_second(expiration)).map_err(failed)?;
                self.directory.write_token(&token)?;
                if let Some(reason) = reason {
                    let end = day(expiration);
                    self.progress
                        .note(&format!("Drew a new bootstrap token: {reason}; the new one is good until {end}"));
                }
                Ok(token)
            }
        }
    }
}

/// A machine called `a-key` beside one called `a`: the certificate of one would be written over the key of the other.
fn refuse_shared_files(plan: &PkiPlan) -> Result<(), Error> {
    let is_ours = |id: &CertId| plan.certificates.get(id).is_some_and(|p| !matches!(p, CertPlan::External { .. }));
    for id in plan.certificates.keys() {
        let certificate = format!("{id}-key");
        if is_ours(id) && is_ours(&certificate) {
            return Err(Error::SharedFile { certificate, key: id.clone() });
        }
    }
    Ok(())
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

#[cfg(test)]
mod tests;
