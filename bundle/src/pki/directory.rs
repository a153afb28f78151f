//! `pki/` beside `cluster.toml`: the one copy of every key.
//!
//! ```text
//! ca.pem ca-key.pem …         an ID's certificate, or public key, 0644; its private key 0600; every directory 0700
//! etcd/10.200.16.79.pem …     IDs with a machine in them: a directory for each kind
//! bootstrap-token.json        0600
//! encryption-key              0600, base64
//! SHA256SUMS                  0600, digests of what can't be made again
//! seal/                       keys that open what is encrypted in a bundle (`seal.rs`)
//! revision.json               how many different bundles were built
//! replaced/                   certificates that were reissued
//! ```

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::info::{CertificateInfo, day};
use super::private_key::Key;
use super::token::{BootstrapToken, draw_encryption_key, is_encryption_key};
use super::{Error, TOKEN, pem};
use crate::hash::Sha256;
use crate::out;
use crate::plan::certificates::CertId;
use crate::secret::Secret;
use crate::target::Mode;

/// Name of the list of digests.
pub(super) const CHECKSUMS: &str = "SHA256SUMS";
/// Name of the file that counts builds.
pub(super) const REVISION: &str = "revision.json";
/// Name of the file with the key that secrets in etcd are encrypted with, and the ID it is shown under.
pub const ENCRYPTION_KEY: &str = "encryption-key";

/// An open pki directory. From [`PkiDir::open`], nobody else changes it meanwhile.
pub(super) struct PkiDir {
    root: PathBuf,
    _lock: File,
}

fn failed(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { verb, path, source }
}

#[expect(clippy::disallowed_methods, reason = "this is the room that touches the pki directory")]
impl PkiDir {
    /// Opens the directory for writing, making it if need be, and waits for anyone who has it open so. What killed runs
    /// left is removed.
    pub(super) fn open(root: &Path) -> Result<Self, Error> {
        DirBuilder::new().recursive(true).mode(0o700).create(root).map_err(failed("create", root))?;
        out::set_mode(root, Mode::PRIVATE).map_err(failed("set the mode of", root))?;
        let lock = File::open(root).map_err(failed("open", root))?;
        lock.lock().map_err(failed("lock", root))?;
        sweep(root);
        Ok(Self { root: root.to_owned(), _lock: lock })
    }

    /// Opens the directory for reading; `None` if it is not there.
    pub(super) fn existing(root: &Path) -> Result<Option<Self>, Error> {
        match File::open(root) {
            Ok(lock) => Ok(Some(Self { root: root.to_owned(), _lock: lock })),
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(why) => Err(failed("open", root)(why)),
        }
    }

    /// Where the file of this name is, or would be.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The bytes of the file of this name, if it is there.
    pub(super) fn file(&self, name: &str) -> Result<Option<Secret>, Error> {
        read_if_there(&self.path(name))
    }

    pub(super) fn certificate_path(&self, id: &str) -> PathBuf {
        self.path(&format!("{id}.pem"))
    }

    pub(super) fn key_path(&self, id: &str) -> PathBuf {
        self.path(&format!("{id}-key.pem"))
    }

    /// Whether there is a file of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    pub(super) fn has_certificate(&self, id: &str) -> bool {
        self.certificate_path(id).exists()
    }

    pub(super) fn has_key(&self, id: &str) -> bool {
        self.key_path(id).exists()
    }

    /// The ID of a certificate that is there: this one, or one of the same kind that another machine has, or that all
    /// had before each got its own. For `etcd/b` that is `etcd/b`, `etcd`, or any in `etcd/`.
    pub(super) fn related_certificate(&self, id: &str) -> Option<CertId> {
        if self.has_certificate(id) {
            return Some(id.to_owned());
        }
        let (kind, _) = id.split_once('/')?;
        if self.has_certificate(kind) {
            return Some(kind.to_owned());
        }
        let names = std::fs::read_dir(self.path(kind)).into_iter().flatten().flatten();
        let mut names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.find_map(|name| {
            let machine = name.strip_suffix(".pem").filter(|stem| !stem.ends_with("-key"))?;
            Some(format!("{kind}/{machine}"))
        })
    }

    /// PEM and content of a certificate, if it is there.
    pub(super) fn certificate(&self, id: &str) -> Result<Option<(String, CertificateInfo)>, Error> {
        let path = self.certificate_path(id);
        if path.exists() { read_certificate(&path).map(Some) } else { Ok(None) }
    }

    /// A private key, if it is there.
    pub(super) fn key(&self, id: &str) -> Result<Option<Key>, Error> {
        let path = self.key_path(id);
        if path.exists() { read_key(&path).map(Some) } else { Ok(None) }
    }

    /// Writes a certificate or a public key, unless it is there already.
    pub(super) fn write_public(&self, id: &str, pem: &str) -> Result<(), Error> {
        let path = self.certificate_path(id);
        if std::fs::read(&path).is_ok_and(|there| there == pem.as_bytes()) {
            return Ok(());
        }
        self.write(&path, pem.as_bytes(), Mode::PUBLIC)
    }

    pub(super) fn write_key(&self, id: &str, key: &Key) -> Result<(), Error> {
        self.write(&self.key_path(id), key.pem().expose(), Mode::SECRET)
    }

    /// Keeps a certificate that is about to be replaced, as `replaced/etcd-10.0.0.1-until-2027-11-23-4f1c09aa.pem`. The
    /// beginning of the serial number keeps apart what was renewed twice a day.
    pub(super) fn put_aside(&self, id: &str, pem: &str, info: &CertificateInfo) -> Result<(), Error> {
        let serial = &info.serial[..info.serial.len().min(8)];
        let name = format!("replaced/{}-until-{}-{serial}.pem", id.replace('/', "-"), day(info.not_after));
        self.write(&self.path(&name), pem.as_bytes(), Mode::PUBLIC)
    }

    pub(super) fn token(&self) -> Result<Option<BootstrapToken>, Error> {
        let path = self.token_path();
        let Some(text) = read_if_there(&path)? else { return Ok(None) };
        match serde_json::from_slice::<BootstrapToken>(text.expose()) {
            Ok(token) if token.is_well_formed() => Ok(Some(token)),
            _ => Err(Error::Unreadable { path, why: "it is no bootstrap token".to_owned() }),
        }
    }

    pub(super) fn write_token(&self, token: &BootstrapToken) -> Result<(), Error> {
        let text =
            serde_json::to_vec_pretty(token).map_or_else(|why| unreachable!("strings and a date: {why}"), Secret::new);
        self.write(&self.token_path(), text.expose(), Mode::SECRET)
    }

    fn token_path(&self) -> PathBuf {
        self.path(&format!("{TOKEN}.json"))
    }

    /// The key for encryption at rest, if it was drawn already.
    pub(super) fn encryption_key(&self) -> Result<Option<Secret>, Error> {
        let path = self.path(ENCRYPTION_KEY);
        let Some(text) = read_if_there(&path)? else { return Ok(None) };
        let key = Secret::new(text.expose().trim_ascii());
        if is_encryption_key(&key) {
            return Ok(Some(key));
        }
        Err(Error::Unreadable { path, why: "it is no key of 32 bytes in base64".to_owned() })
    }

    pub(super) fn draw_encryption_key(&self) -> Result<Secret, Error> {
        let key =
            draw_encryption_key().map_err(|why| Error::Crypto { verb: "draw", id: ENCRYPTION_KEY.to_owned(), why })?;
        self.write(&self.path(ENCRYPTION_KEY), key.as_bytes(), Mode::SECRET)?;
        Ok(Secret::new(key.as_bytes()))
    }

    /// A digest over the certificates and keys of these IDs, the token and the encryption key, as far as they are there.
    pub(super) fn fingerprint<'a>(&self, ids: impl Iterator<Item = &'a CertId>) -> Result<Sha256, Error> {
        let pairs = ids.flat_map(|id| [self.certificate_path(id), self.key_path(id)]);
        let others = [self.token_path(), self.path(ENCRYPTION_KEY)];
        let mut listing = String::new();
        for path in pairs.chain(others) {
            let digest = read_if_there(&path)?.map(|bytes| Sha256::of(bytes.expose()).to_string());
            listing += &format!("{}\n", digest.as_deref().unwrap_or("-"));
        }
        Ok(Sha256::of(listing.as_bytes()))
    }

    /// Digests of the files of these names, as far as they are there.
    pub(super) fn digests(&self, names: &[String]) -> Result<Sha256, Error> {
        let mut listing = String::new();
        for name in names {
            let digest = self.file(name)?.map(|bytes| Sha256::of(bytes.expose()).to_string());
            listing += &format!("{}\n", digest.as_deref().unwrap_or("-"));
        }
        Ok(Sha256::of(listing.as_bytes()))
    }

    /// Writes a file of this name that nobody else may read.
    pub(super) fn write_secret(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        self.write(&self.path(name), bytes, Mode::SECRET)
    }

    pub(super) fn write_checksums(&self, text: &str) -> Result<(), Error> {
        self.write(&self.path(CHECKSUMS), text.as_bytes(), Mode::SECRET)
    }

    pub(super) fn write_revision(&self, recorded: &impl Serialize) -> Result<(), Error> {
        let text =
            serde_json::to_vec_pretty(recorded).unwrap_or_else(|why| unreachable!("a number and a digest: {why}"));
        self.write(&self.path(REVISION), &text, Mode::PUBLIC)
    }

    fn write(&self, path: &Path, bytes: &[u8], mode: Mode) -> Result<(), Error> {
        if let Some(parent) = path.parent().filter(|parent| *parent != self.root) {
            DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(failed("create", parent))?;
        }
        out::write_atomically(path, bytes, mode).map_err(failed("write", path))
    }
}

/// Removes unfinished files from a directory and all below it. Links are not followed.
#[expect(clippy::disallowed_methods, reason = "this is the room that touches the pki directory")]
fn sweep(directory: &Path) {
    out::sweep(directory);
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            sweep(&entry.path());
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the room that touches the pki directory")]
pub(super) fn read_if_there(path: &Path) -> Result<Option<Secret>, Error> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(Secret::new(bytes))),
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(why) => Err(failed("read", path)(why)),
    }
}

/// Reads a certificate of our own.
#[expect(clippy::disallowed_methods, reason = "this is the room that touches the pki directory")]
fn read_certificate(path: &Path) -> Result<(String, CertificateInfo), Error> {
    let pem = std::fs::read_to_string(path).map_err(failed("read", path))?;
    let info = CertificateInfo::from_pem(&pem).map_err(|why| Error::Unreadable { path: path.to_owned(), why })?;
    Ok((pem, info))
}

/// Reads certificates made elsewhere: their PEM and nothing else, what the first one says, and how many there are. A
/// file that holds a key as well is refused, since the certificate goes where everybody can read it; and so is a CA
/// whose signature is wrong.
#[expect(clippy::disallowed_methods, reason = "this is the room that touches the pki directory")]
pub(super) fn read_external(path: &Path) -> Result<(String, CertificateInfo, usize), Error> {
    let text = Secret::new(std::fs::read(path).map_err(failed("read", path))?);
    let unfit = |why: &str| Error::Unfit { path: path.to_owned(), why: why.to_owned() };
    let text = text.expose_text().map_err(|_| unfit("it is no PEM certificate"))?;
    if !pem::blocks(text, "PRIVATE KEY").is_empty() {
        return Err(unfit("it holds a private key too; give a file with the certificate alone"));
    }
    let certificates = pem::blocks(text, "CERTIFICATE");
    let first = certificates.first().ok_or_else(|| unfit("it is no PEM certificate"))?;
    let info = CertificateInfo::from_pem(first).map_err(|why| Error::Unreadable { path: path.to_owned(), why })?;
    if info.is_damaged_root() {
        return Err(Error::Damaged { path: path.to_owned() });
    }
    Ok((certificates.iter().map(|block| format!("{block}\n")).collect(), info, certificates.len()))
}

/// Reads a private key, ours or one made elsewhere.
#[expect(clippy::disallowed_methods, reason = "this is the room that touches the pki directory")]
pub(super) fn read_key(path: &Path) -> Result<Key, Error> {
    let pem = Secret::new(std::fs::read(path).map_err(failed("read", path))?);
    Key::from_pem(&pem).map_err(|why| Error::Unreadable { path: path.to_owned(), why })
}
