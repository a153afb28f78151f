//! `pki/` beside `cluster.toml`: the one copy of every key.
//!
//! ```text
//! ca.pem ca-key.pem …         certificates 0644, keys 0600, the directory 0700
//! etcd/10.200.16.79.pem …     etcd members
//! bootstrap-token.json        0600
//! encryption-key              0600, base64
//! revision.json               how many different bundles were built
//! replaced/                   certificates that were reissued
//! ```

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::certificate::Key;
use super::info::{CertificateInfo, day};
use super::pem;
use super::token::{BootstrapToken, draw_encryption_key, is_encryption_key};
use super::{Error, TOKEN};
use crate::hash::Sha256;
use crate::out;
use crate::secret::Secret;
use crate::target::Mode;

/// Name of the file that counts builds.
pub(super) const REVISION: &str = "revision.json";

/// An open pki directory; nobody else changes it meanwhile.
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
    /// Opens the directory, making it if need be, and waits for anyone who has it open.
    pub(super) fn open(root: &Path) -> Result<Self, Error> {
        DirBuilder::new().recursive(true).mode(0o700).create(root).map_err(failed("create", root))?;
        out::set_mode(root, Mode::PRIVATE).map_err(failed("set the mode of", root))?;
        let lock = File::open(root).map_err(failed("open", root))?;
        lock.lock().map_err(failed("lock", root))?;
        out::sweep(root);
        Ok(Self { root: root.to_owned(), _lock: lock })
    }

    /// The directory, if it is there.
    pub(super) fn existing(root: &Path) -> Result<Option<Self>, Error> {
        match File::open(root) {
            Ok(lock) => Ok(Some(Self { root: root.to_owned(), _lock: lock })),
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(why) => Err(failed("open", root)(why)),
        }
    }

    pub(super) fn certificate_path(&self, id: &str) -> PathBuf {
        self.root.join(format!("{id}.pem"))
    }

    fn key_path(&self, id: &str) -> PathBuf {
        self.root.join(format!("{id}-key.pem"))
    }

    pub(super) fn has_certificate(&self, id: &str) -> bool {
        self.certificate_path(id).exists()
    }

    pub(super) fn has_key(&self, id: &str) -> bool {
        self.key_path(id).exists()
    }

    pub(super) fn certificate(&self, id: &str) -> Result<Option<(String, CertificateInfo)>, Error> {
        let path = self.certificate_path(id);
        if path.exists() { read_certificate(&path).map(Some) } else { Ok(None) }
    }

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

    /// Keeps a certificate that is about to be replaced.
    pub(super) fn put_aside(&self, id: &str, pem: &str, info: &CertificateInfo) -> Result<(), Error> {
        let serial = &info.serial[..info.serial.len().min(8)];
        let name = format!("{}-until-{}-{serial}.pem", id.replace('/', "-"), day(info.not_after));
        self.write(&self.root.join("replaced").join(name), pem.as_bytes(), Mode::PUBLIC)
    }

    pub(super) fn token(&self) -> Result<Option<BootstrapToken>, Error> {
        let path = self.root.join(format!("{TOKEN}.json"));
        let Some(text) = read_if_there(&path)? else { return Ok(None) };
        match serde_json::from_slice::<BootstrapToken>(text.expose()) {
            Ok(token) if token.is_well_formed() => Ok(Some(token)),
            _ => Err(Error::Unreadable { path, why: "it is no bootstrap token".to_owned() }),
        }
    }

    pub(super) fn write_token(&self, token: &BootstrapToken) -> Result<(), Error> {
        let text =
            serde_json::to_vec_pretty(token).map_or_else(|why| unreachable!("strings and a date: {why}"), Secret::new);
        self.write(&self.root.join(format!("{TOKEN}.json")), text.expose(), Mode::SECRET)
    }

    /// The key for encryption at rest, if it was drawn already.
    pub(super) fn encryption_key(&self) -> Result<Option<Secret>, Error> {
        let path = self.root.join("encryption-key");
        let Some(text) = read_if_there(&path)? else { return Ok(None) };
        let key = Secret::new(text.expose().trim_ascii());
        if is_encryption_key(&key) {
            return Ok(Some(key));
        }
        Err(Error::Unreadable { path, why: "it is no key of 32 bytes in base64".to_owned() })
    }

    /// Draws it.
    pub(super) fn draw_encryption_key(&self) -> Result<Secret, Error> {
        let key = draw_encryption_key().map_err(|why| Error::Crypto {
            verb: "draw",
            id: "encryption-key".to_owned(),
            why,
        })?;
        self.write(&self.root.join("encryption-key"), key.as_bytes(), Mode::SECRET)?;
        Ok(Secret::new(key.as_bytes()))
    }

    /// A digest over the certificates and keys of these IDs, the token and the encryption key, as far as they are there.
    pub(super) fn fingerprint<'a>(&self, ids: impl Iterator<Item = &'a String>) -> Result<Sha256, Error> {
        let pairs = ids.flat_map(|id| [self.certificate_path(id), self.key_path(id)]);
        let others = [format!("{TOKEN}.json"), "encryption-key".to_owned()].map(|name| self.root.join(name));
        let mut listing = String::new();
        for path in pairs.chain(others) {
            let digest = read_if_there(&path)?.map(|bytes| Sha256::of(bytes.expose()).to_string());
            listing += &format!("{}\n", digest.as_deref().unwrap_or("-"));
        }
        Ok(Sha256::of(listing.as_bytes()))
    }

    pub(super) fn write_revision(&self, counted: &impl Serialize) -> Result<(), Error> {
        let text =
            serde_json::to_vec_pretty(counted).unwrap_or_else(|why| unreachable!("a number and a digest: {why}"));
        self.write(&self.root.join(REVISION), &text, Mode::PUBLIC)
    }

    fn write(&self, path: &Path, bytes: &[u8], mode: Mode) -> Result<(), Error> {
        if let Some(parent) = path.parent().filter(|parent| *parent != self.root) {
            DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(failed("create", parent))?;
        }
        out::write_atomically(path, bytes, mode).map_err(failed("write", path))
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

/// Reads a certificate, ours or somebody else's.
#[expect(clippy::disallowed_methods, reason = "this is the room that touches the pki directory")]
pub(super) fn read_certificate(path: &Path) -> Result<(String, CertificateInfo), Error> {
    let pem = std::fs::read_to_string(path).map_err(failed("read", path))?;
    let info = CertificateInfo::from_pem(&pem).map_err(|why| Error::Unreadable { path: path.to_owned(), why })?;
    Ok((pem, info))
}

/// Reads what somebody else made: its certificates and nothing else, the first one's info, and how many there
/// are. A file that holds a key as well is refused, since the certificate goes where everybody can read it.
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
    Ok((certificates.iter().map(|block| format!("{block}\n")).collect(), info, certificates.len()))
}

/// Reads a private key, ours or somebody else's.
#[expect(clippy::disallowed_methods, reason = "this is the room that touches the pki directory")]
pub(super) fn read_key(path: &Path) -> Result<Key, Error> {
    let pem = Secret::new(std::fs::read(path).map_err(failed("read", path))?);
    Key::from_pem(&pem).map_err(|why| Error::Unreadable { path: path.to_owned(), why })
}
