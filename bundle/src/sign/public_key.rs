//! The public half of a signing key, in the forms that tools read.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use crate::armor;
use crate::hash::Sha256;
use crate::ssh::{Reader, put_string};

/// The name of the algorithm in SSH (RFC 8709).
pub(super) const ALGORITHM: &[u8] = b"ssh-ed25519";
/// What stands before the key in a `SubjectPublicKeyInfo` (RFC 8410, section 4).
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// An Ed25519 public key (RFC 8032). It prints as ssh-keygen(1) shows it, `SHA256:` and the digest in Base64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicKey(pub(super) [u8; 32]);

impl PublicKey {
    /// As it is.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key as SSH writes it in signatures and lists (RFC 8709, section 4).
    pub fn ssh_blob(&self) -> Vec<u8> {
        let mut blob = Vec::new();
        put_string(&mut blob, ALGORITHM);
        put_string(&mut blob, &self.0);
        blob
    }

    /// Reads what [`PublicKey::ssh_blob`] writes; `None` for keys of other algorithms.
    pub fn from_ssh_blob(blob: &[u8]) -> Option<Self> {
        let mut reader = Reader(blob);
        let algorithm = reader.string()?;
        let key = reader.string()?.try_into().ok()?;
        (algorithm == ALGORITHM && reader.0.is_empty()).then_some(Self(key))
    }

    /// `ssh-ed25519 BASE64`, as in `authorized_keys` and in files that end in `.pub`.
    pub fn ssh_line(&self) -> String {
        format!("ssh-ed25519 {}", STANDARD.encode(self.ssh_blob()))
    }

    /// Reads a line of that form; what follows the key is a comment.
    pub fn from_ssh_line(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        (words.next()? == "ssh-ed25519").then_some(())?;
        Self::from_ssh_blob(&STANDARD.decode(words.next()?).ok()?)
    }

    /// PEM, for openssl(1).
    pub fn pem(&self) -> String {
        armor::encode("PUBLIC KEY", &[&SPKI[..], &self.0].concat(), 64)
    }

    /// Reads that PEM.
    pub fn from_pem(text: &str) -> Option<Self> {
        armor::decode("PUBLIC KEY", text)?.strip_prefix(&SPKI)?.try_into().ok().map(Self)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SHA256:{}", STANDARD_NO_PAD.encode(Sha256::of(&self.ssh_blob()).as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
