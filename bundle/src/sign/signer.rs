//! Who signs: a key in a file, or one that ssh-agent(1) holds, which may have it from a token.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};

use super::agent::Agent;
use super::{Error, PublicKey, key_file};
use crate::regular::{self, Links};
use crate::secret::Secret;

/// Bytes of the largest key file that is read.
const LARGEST_KEY: u64 = 64 << 10;

/// What `--key` and `--sign` name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyReference {
    /// A file with an Ed25519 key: OpenSSH's, or PKCS#8 in PEM.
    File(PathBuf),
    /// The fingerprint of a key in the agent, as `ssh-add -l` prints it.
    Agent(String),
}

impl FromStr for KeyReference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("agent:") {
            Some(fingerprint) if fingerprint.starts_with("SHA256:") => Ok(Self::Agent(fingerprint.to_owned())),
            Some(_) => Err("expected agent:SHA256:… as `ssh-add -l` prints it".to_owned()),
            None => Ok(Self::File(text.into())),
        }
    }
}

/// A key that can sign.
pub struct Signer {
    public: PublicKey,
    key: Key,
}

enum Key {
    /// aws-lc wipes it on drop.
    File(Ed25519KeyPair),
    Agent(Agent),
}

impl Signer {
    /// Finds the key.
    ///
    /// # Errors
    /// There is no such key, it is not Ed25519, or it is protected by a passphrase, which only the agent asks for.
    pub fn open(reference: &KeyReference) -> Result<Self, Error> {
        match reference {
            KeyReference::File(path) => {
                let bytes = read(path)?;
                let key = key_file::parse(&bytes).map_err(|why| Error::Key { path: path.clone(), why })?;
                Ok(Self { public: public_of(&key), key: Key::File(key) })
            }
            KeyReference::Agent(fingerprint) => {
                let agent = Agent::from_environment()?;
                let public = agent.find(fingerprint)?;
                Ok(Self { public, key: Key::Agent(agent) })
            }
        }
    }

    /// The key that verifies what this one signs.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The signature of `message` (RFC 8032), 64 bytes, and the same each time.
    pub(super) fn sign(&self, message: &[u8]) -> Result<[u8; 64], Error> {
        match &self.key {
            Key::File(key) => {
                let signature = key.sign(message);
                Ok(signature.as_ref().try_into().unwrap_or_else(|why| unreachable!("Ed25519 has 64 bytes: {why}")))
            }
            Key::Agent(agent) => agent.sign(&self.public, message),
        }
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.public, f)
    }
}

/// The public half of a key: from a file that may hold nothing else, or from the agent.
///
/// # Errors
/// As [`Signer::open`].
pub fn public_key(reference: &KeyReference) -> Result<PublicKey, Error> {
    match public_half(reference)? {
        Some(key) => Ok(key),
        None => Ok(Signer::open(reference)?.public),
    }
}

/// The key of a file with the public half of one; `None` for one that can sign, and whatever else.
///
/// # Errors
/// The file can't be read.
pub fn public_half(reference: &KeyReference) -> Result<Option<PublicKey>, Error> {
    let KeyReference::File(path) = reference else { return Ok(None) };
    let bytes = read(path)?;
    let text = bytes.expose_text().unwrap_or_default();
    Ok(PublicKey::from_ssh_line(text).or_else(|| PublicKey::from_pem(text)))
}

fn read(path: &Path) -> Result<Secret, Error> {
    let bytes = regular::read(path, Links::Follow, LARGEST_KEY);
    bytes.map(Secret::new).map_err(|source| Error::Read { path: path.to_owned(), source })
}

fn public_of(key: &Ed25519KeyPair) -> PublicKey {
    let bytes = key.public_key().as_ref();
    PublicKey(bytes.try_into().unwrap_or_else(|why| unreachable!("Ed25519 keys have 32 bytes: {why}")))
}
