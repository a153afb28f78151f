//! Whether a file of signatures is right: read to its last byte, so that no byte of it can be changed unnoticed.

use std::collections::BTreeSet;
use std::fmt;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha512};
use time::OffsetDateTime;

use super::Trust;
use crate::armor;
use crate::manifest::SIGNATURE;
use crate::pki::info::day;
use crate::sign::dsse::{self, Envelope};
use crate::sign::{PublicKey, Purpose};
use crate::ssh::{Reader, put_string};

/// Why a signature does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It is in none of the formats, or has been damaged.
    Unreadable,
    /// It is for something else than bundles.
    OtherPurpose,
    /// It is not by the key that it names, or over other bytes.
    Wrong(PublicKey),
    Unknown(PublicKey),
    /// The key is trusted for this purpose, which is another one.
    TrustedFor(PublicKey, Purpose),
    Revoked(PublicKey),
    Expired(PublicKey, OffsetDateTime),
    NotYet(PublicKey, OffsetDateTime),
    /// The text beside it is another than that which is signed elsewhere.
    OtherText,
    /// It is by none of the trusted keys, or over other bytes: its format does not say which.
    NoTrustedKey,
}

impl Refusal {
    /// The key of a signature that may be right, but does not count.
    pub fn key(self) -> Option<PublicKey> {
        match self {
            Self::Unknown(key)
            | Self::TrustedFor(key, _)
            | Self::Revoked(key)
            | Self::Expired(key, _)
            | Self::NotYet(key, _) => Some(key),
            Self::Unreadable | Self::OtherPurpose | Self::Wrong(_) | Self::OtherText | Self::NoTrustedKey => None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable => f.write_str("it is damaged, or not a signature by kube-bundle or ssh-keygen"),
            Self::OtherPurpose => f.write_str("it was made for another purpose"),
            Self::Wrong(key) => {
                write!(f, "it says that it is by the key {key}, but it is damaged, or over other bytes")
            }
            Self::Unknown(key) => write!(f, "it is by the key {key}, which is not trusted"),
            Self::TrustedFor(key, Purpose::Bundle) => {
                write!(f, "it is by the key {key}, which is trusted to sign bundles, and not as a rebuilder")
            }
            Self::TrustedFor(key, Purpose::Rebuilt) => {
                write!(f, "it is by the key {key}, which is trusted as a rebuilder, and not to sign bundles")
            }
            Self::Revoked(key) => write!(f, "it is by the key {key}, which is revoked"),
            Self::Expired(key, end) => write!(f, "it is by the key {key}, which was trusted until {}", day(*end)),
            Self::NotYet(key, begin) => write!(f, "it is by the key {key}, which is trusted from {} on", day(*begin)),
            Self::OtherText => f.write_str("the text in it is another than that of the file it signs"),
            Self::NoTrustedKey => f.write_str("it is by no trusted key, or over other bytes"),
        }
    }
}

/// The key of a signature in the format of ssh-keygen over `text`, whoever trusts it.
pub fn key_of(signature: &str, text: &[u8]) -> Option<PublicKey> {
    let nobody = Trust { signers: Vec::new(), revoked: BTreeSet::new(), now: OffsetDateTime::UNIX_EPOCH };
    nobody.signer(SIGNATURE, signature, text).err().and_then(Refusal::key)
}

impl Trust {
    /// The key that signed `text`, by what a file of signatures holds; `name` says in which format.
    ///
    /// # Errors
    /// Why the signature does not count.
    pub fn signer(&self, name: &str, signature: &str, text: &[u8]) -> Result<PublicKey, Refusal> {
        match name.rsplit('.').next() {
            Some("sig") => self.sshsig(signature, text, Purpose::Bundle),
            Some("ed25519") => self.raw(signature, text),
            _ => self.openpgp(name, signature, text),
        }
    }

    /// The key of whoever says that they built a bundle again, whose list of public files is `text`.
    ///
    /// # Errors
    /// Why that does not count.
    pub fn rebuilder(&self, attestation: &str, text: &[u8]) -> Result<PublicKey, Refusal> {
        self.sshsig(attestation, text, Purpose::Rebuilt)
    }

    /// PROTOCOL.sshsig.
    fn sshsig(&self, signature: &str, text: &[u8], purpose: Purpose) -> Result<PublicKey, Refusal> {
        let blob = armor::decode("SSH SIGNATURE", signature).ok_or(Refusal::Unreadable)?;
        if armor::encode("SSH SIGNATURE", &blob, 70) != signature {
            return Err(Refusal::Unreadable);
        }
        let parts = SshSignature::parse(&blob).ok_or(Refusal::Unreadable)?;
        if parts.namespace != purpose.as_str().as_bytes() {
            return Err(Refusal::OtherPurpose);
        }
        let mut signed = b"SSHSIG".to_vec();
        for part in [parts.namespace, b"", b"sha512", &Sha512::digest(text)] {
            put_string(&mut signed, part);
        }
        // Before it is asked who trusts the key: a damaged one is nobody's.
        if !is_by(&parts.key, &signed, parts.signature) {
            return Err(Refusal::Wrong(parts.key));
        }
        self.admit(parts.key, purpose)
    }

    fn raw(&self, signature: &str, text: &[u8]) -> Result<PublicKey, Refusal> {
        let line = signature.strip_suffix('\n').ok_or(Refusal::Unreadable)?;
        let bytes = STANDARD.decode(line).map_err(|_| Refusal::Unreadable)?;
        self.admitted().find(|key| is_by(key, text, &bytes)).ok_or(Refusal::NoTrustedKey)
    }
}

/// The keys that signed an envelope, whose payload must be `text`, of this type. All have to be among `keys`.
///
/// # Errors
/// The envelope is not as it was written, has another payload, or has a signature that is none by these keys.
pub fn envelope(envelope: &str, payload_type: &str, text: &str, keys: &[PublicKey]) -> Result<Vec<PublicKey>, Refusal> {
    let parsed: Envelope = serde_json::from_str(envelope).map_err(|_| Refusal::Unreadable)?;
    if parsed.text() != envelope || parsed.payload_type != payload_type {
        return Err(Refusal::Unreadable);
    }
    if parsed.payload != STANDARD.encode(text) {
        return Err(Refusal::OtherText);
    }
    let message = dsse::signed(payload_type, text.as_bytes());
    let key = |signature: &dsse::Signature| {
        let named = keys.iter().find(|key| key.to_string() == signature.keyid).ok_or(Refusal::NoTrustedKey)?;
        let bytes = STANDARD.decode(&signature.sig).map_err(|_| Refusal::Unreadable)?;
        if is_by(named, &message, &bytes) { Ok(*named) } else { Err(Refusal::Wrong(*named)) }
    };
    parsed.signatures.iter().map(key).collect()
}

/// Whether Ed25519 says so (RFC 8032).
pub(super) fn is_by(key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, key.as_bytes()).verify(message, signature).is_ok()
}

struct SshSignature<'a> {
    key: PublicKey,
    namespace: &'a [u8],
    signature: &'a [u8],
}

impl<'a> SshSignature<'a> {
    /// `None` for other versions, algorithms and hashes.
    fn parse(blob: &'a [u8]) -> Option<Self> {
        let mut reader = Reader(blob.strip_prefix(b"SSHSIG")?);
        (reader.u32()? == 1).then_some(())?;
        let key = PublicKey::from_ssh_blob(reader.string()?)?;
        let namespace = reader.string()?;
        (reader.string()? == b"" && reader.string()? == b"sha512").then_some(())?;
        let mut inner = Reader(reader.string()?);
        (inner.string()? == b"ssh-ed25519").then_some(())?;
        let signature = inner.string()?;
        (reader.0.is_empty() && inner.0.is_empty()).then_some(Self { key, namespace, signature })
    }
}
