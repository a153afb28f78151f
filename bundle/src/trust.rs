//! Whose signatures count on a bundle: keys in a directory that came another way than the bundle did.
//!
//! ```text
//! allowed_signers   for ssh-keygen -Y verify, and what `verify --trust` reads
//! revoked_keys      for ssh-keygen -r, if there are any
//! apt.gpg           for gpgv, sqv, and apt's Signed-By
//! release.pem       for openssl pkeyutl; release.2.pem and so on are further keys
//! ```

mod allowed_signers;
mod openpgp;
mod pattern;
mod signature;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use crate::out;
use crate::regular::{self, Links};
use crate::sign::{self, PublicKey, Purpose, Signer};
use crate::target::Mode;
use allowed_signers::AllowedSigner;
pub use signature::{Refusal, envelope, key_of};

/// Names of files in the directory.
const ALLOWED_SIGNERS: &str = "allowed_signers";
const REVOKED_KEYS: &str = "revoked_keys";
const KEYRING: &str = "apt.gpg";
/// Who signs, in `allowed_signers`: what `ssh-keygen -Y verify` gets as `-I`.
pub const PRINCIPAL: &str = "release";
/// Bytes of the largest list that is read.
const LARGEST_LIST: u64 = 1 << 20;

/// The directory can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("could not read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("`{}`: {why}", path.display())]
    Unclear { path: PathBuf, why: String },
    #[error("could not write `{}`", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("`{}` exists, and is no directory of trusted keys", .0.display())]
    Foreign(PathBuf),
    #[error(transparent)]
    Sign(#[from] sign::Error),
}

impl Error {
    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Read { .. } => Some("`kube-bundle trust init DIR --key KEY` makes such a directory"),
            Self::Unclear { .. } => Some("mend the line; see ALLOWED SIGNERS in ssh-keygen(1)"),
            Self::Foreign(_) => Some("name another directory"),
            Self::Sign(error) => error.hint(),
            Self::Write { .. } => None,
        }
    }
}

/// Keys that are trusted, and those that are not any more.
#[derive(Debug)]
pub struct Trust {
    signers: Vec<AllowedSigner>,
    revoked: BTreeSet<PublicKey>,
    now: OffsetDateTime,
}

impl Trust {
    /// Reads a directory; keys are compared with the time `now`.
    ///
    /// # Errors
    /// There is no list of keys, or a line of a list can't be understood.
    pub fn read(directory: &Path, now: OffsetDateTime) -> Result<Self, Error> {
        let signers = list(&directory.join(ALLOWED_SIGNERS), allowed_signers::parse)?;
        let revoked = match list(&directory.join(REVOKED_KEYS), allowed_signers::parse_revoked) {
            Ok(keys) => keys.into_iter().collect(),
            Err(Error::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => BTreeSet::new(),
            Err(why) => return Err(why),
        };
        Ok(Self { signers, revoked, now })
    }

    /// Whether a key may sign that, now.
    fn admit(&self, key: PublicKey, purpose: Purpose) -> Result<PublicKey, Refusal> {
        if self.revoked.contains(&key) {
            return Err(Refusal::Revoked(key));
        }
        let mut of_key = self.signers.iter().filter(|signer| signer.key == key).peekable();
        let other = of_key.peek().and_then(|signer| signer.purposes.first());
        let mut refusal = other.map_or(Refusal::Unknown(key), |other| Refusal::TrustedFor(key, *other));
        for signer in of_key.filter(|signer| signer.purposes.contains(&purpose)) {
            match (signer.valid_after, signer.valid_before) {
                (Some(after), _) if self.now < after => refusal = Refusal::NotYet(key, after),
                (_, Some(before)) if self.now > before => refusal = Refusal::Expired(key, before),
                _ => return Ok(key),
            }
        }
        Err(refusal)
    }

    /// Keys that may sign bundles, for formats that don't say which key they are by.
    fn admitted(&self) -> impl Iterator<Item = PublicKey> {
        self.signers.iter().filter_map(|signer| self.admit(signer.key, Purpose::Bundle).ok())
    }
}

fn list<T>(path: &Path, parse: impl Fn(&str) -> Result<Vec<T>, String>) -> Result<Vec<T>, Error> {
    let bytes = regular::read(path, Links::Follow, LARGEST_LIST);
    let bytes = bytes.map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let unclear = |why| Error::Unclear { path: path.to_owned(), why };
    let text = str::from_utf8(&bytes).map_err(|_| unclear("it is no list of keys in text".to_owned()))?;
    parse(text).map_err(unclear)
}

/// Writes a directory of trusted keys, in place of one that is there.
///
/// Of `known` only the public halves are here: what gpgv and apt read is a certificate that a key signs itself, so it is
/// written for `signers` alone. `rebuilders` may say that they built a bundle again, and sign none. `revoked` are keys whose signatures are refused,
/// whatever else says that they are good.
///
/// # Errors
/// Files that can't be written, or a directory that holds anything else.
pub fn write(
    directory: &Path,
    signers: &[Signer],
    known: &[PublicKey],
    rebuilders: &[PublicKey],
    revoked: &[PublicKey],
) -> Result<Vec<PathBuf>, Error> {
    let keys: Vec<_> = signers.iter().map(Signer::public).chain(known).collect();
    let allowed = keys.iter().map(|key| allowed_signer(key, Purpose::Bundle));
    let allowed = allowed.chain(rebuilders.iter().map(|key| allowed_signer(key, Purpose::Rebuilt)));
    let mut files = vec![(ALLOWED_SIGNERS.to_owned(), lines(allowed))];
    if !revoked.is_empty() {
        files.push((REVOKED_KEYS.to_owned(), lines(revoked.iter().map(PublicKey::ssh_line))));
    }
    if !signers.is_empty() {
        files.push((KEYRING.to_owned(), sign::keyring(signers)?));
    }
    files.extend(keys.iter().enumerate().map(|(index, key)| (pem_name(index), key.pem().into_bytes())));
    clear(directory)?;
    let write = |(name, bytes): (String, Vec<u8>)| {
        let path = directory.join(name);
        match out::write_atomically(&path, &bytes, Mode::PUBLIC) {
            Ok(()) => Ok(path),
            Err(source) => Err(Error::Write { path, source }),
        }
    };
    files.into_iter().map(write).collect()
}

fn pem_name(index: usize) -> String {
    if index == 0 { "release.pem".to_owned() } else { format!("release.{}.pem", index + 1) }
}

/// The line of `allowed_signers` that lets a key sign that, and nothing else.
pub fn allowed_signer(key: &PublicKey, purpose: Purpose) -> String {
    format!("{PRINCIPAL} namespaces=\"{}\" {}", purpose.as_str(), key.ssh_line())
}

fn lines(lines: impl Iterator<Item = String>) -> Vec<u8> {
    lines.map(|line| line + "\n").collect::<String>().into_bytes()
}

/// Makes the directory, and removes what an earlier run wrote there, so that no key stays by mistake.
#[expect(clippy::disallowed_methods, reason = "replaces the files of an earlier run")]
fn clear(directory: &Path) -> Result<(), Error> {
    let failed = |source| Error::Write { path: directory.to_owned(), source };
    out::make_directory(directory, Mode::EXECUTABLE).map_err(failed)?;
    let there = out::list(directory).map_err(failed)?;
    let is_ours = |name: &String| {
        [ALLOWED_SIGNERS, REVOKED_KEYS, KEYRING].contains(&name.as_str())
            || name.strip_prefix("release.").is_some_and(|rest| rest.ends_with("pem"))
    };
    if !there.iter().all(is_ours) {
        return Err(Error::Foreign(directory.to_owned()));
    }
    there.iter().try_for_each(|name| std::fs::remove_file(directory.join(name))).map_err(failed)
}
