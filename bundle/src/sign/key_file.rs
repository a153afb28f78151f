//! Files with a private Ed25519 key: as `ssh-keygen -t ed25519` writes them (OpenSSH's PROTOCOL.key), or PKCS#8 as
//! `openssl genpkey -algorithm ed25519` does.

use aws_lc_rs::signature::Ed25519KeyPair;
use zeroize::Zeroizing;

use super::public_key::ALGORITHM;
use crate::armor;
use crate::secret::Secret;
use crate::ssh::Reader;

/// Why a file is of no use for signing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    #[error("it holds no private key in a known format")]
    NoKey,
    #[error("it is protected by a passphrase")]
    Passphrase,
    #[error("it is not an Ed25519 key, or it is damaged")]
    NotEd25519,
}

impl Unusable {
    /// What to do next.
    pub(super) fn hint(self) -> &'static str {
        match self {
            Self::NoKey => "`ssh-keygen -t ed25519 -f FILE` makes a key; give the file without `.pub`",
            Self::Passphrase => {
                "`ssh-add FILE`, then `--key agent:SHA256:…` with the fingerprint that `ssh-add -l` prints"
            }
            Self::NotEd25519 => {
                "`ssh-keygen -t ed25519 -f FILE` makes one; no other kind signs the same bytes each time"
            }
        }
    }
}

pub(super) fn parse(bytes: &Secret) -> Result<Ed25519KeyPair, Unusable> {
    let text = bytes.expose_text().map_err(|_| Unusable::NoKey)?;
    if let Some(der) = armor::decode("PRIVATE KEY", text).map(Zeroizing::new) {
        return Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).map_err(|_| Unusable::NotEd25519);
    }
    if text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") {
        return Err(Unusable::Passphrase);
    }
    let blob = armor::decode("OPENSSH PRIVATE KEY", text).map(Zeroizing::new).ok_or(Unusable::NoKey)?;
    openssh(&blob)
}

fn openssh(blob: &[u8]) -> Result<Ed25519KeyPair, Unusable> {
    let mut outer = Reader(blob.strip_prefix(b"openssh-key-v1\0").ok_or(Unusable::NoKey)?);
    match outer.string() {
        Some(b"none") => {}
        Some(_) => return Err(Unusable::Passphrase),
        None => return Err(Unusable::NoKey),
    }
    private_section(&mut outer).and_then(ed25519).ok_or(Unusable::NotEd25519)
}

/// What would be encrypted, if there were a passphrase.
fn private_section<'a>(outer: &mut Reader<'a>) -> Option<&'a [u8]> {
    // The name and the options of how the passphrase would be hashed, the number of keys, and the public one.
    outer.string()?;
    outer.string()?;
    (outer.u32()? == 1).then_some(())?;
    outer.string()?;
    outer.string()
}

fn ed25519(section: &[u8]) -> Option<Ed25519KeyPair> {
    let mut inner = Reader(section);
    // Two equal numbers show that the passphrase was right.
    (inner.u32()? == inner.u32()? && inner.string()? == ALGORITHM).then_some(())?;
    let public = inner.string()?;
    // The seed, and the public key again.
    let seed = inner.string()?.get(..32)?;
    Ed25519KeyPair::from_seed_and_public_key(seed, public).ok()
}
