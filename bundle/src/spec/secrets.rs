//! `[secrets]`: whether keys and tokens leave this machine encrypted, and for whom.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::ssh::{Reader, put_string};

/// What opens the secrets of a node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seal {
    /// Nothing: they are not encrypted.
    #[default]
    Off,
    /// A key that is made here, and is carried to the node on another way than the bundle.
    Key,
    /// The same, and the key is in the bundle, encrypted with a passphrase.
    Passphrase,
    /// The node's SSH host key.
    SshHost,
}

impl Seal {
    /// As `cluster.toml` has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Key => "key",
            Self::Passphrase => "passphrase",
            Self::SshHost => "ssh-host",
        }
    }
}

impl FromStr for Seal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Off, Self::Key, Self::Passphrase, Self::SshHost];
        let found = all.into_iter().find(|seal| seal.as_str() == text);
        found.ok_or_else(|| "expected `off`, `key`, `passphrase` or `ssh-host`".to_owned())
    }
}

/// Bytes of a point on P-256 that is not compressed: 4, and two coordinates (SEC 1, section 2.3.3).
pub const POINT: usize = 65;

/// A public key on the curve P-256, for which something can be encrypted. It prints as OpenSSH writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Recipient([u8; POINT]);

/// Name of the algorithm and of the curve in SSH (RFC 5656, section 6.1).
const ALGORITHM: &str = "ecdsa-sha2-nistp256";
const CURVE: &[u8] = b"nistp256";

impl Recipient {
    /// `None` for bytes that are no such point. Whether it lies on the curve is seen when it is used.
    pub fn from_point(point: &[u8]) -> Option<Self> {
        point.try_into().ok().filter(|point: &[u8; POINT]| point[0] == 4).map(Self)
    }

    /// The point, not compressed.
    pub fn point(&self) -> &[u8; POINT] {
        &self.0
    }

    /// Reads the blob of a public key: three strings with their lengths, of which the last is the point.
    /// `None` for keys of other algorithms and curves.
    fn from_blob(blob: &[u8]) -> Option<Self> {
        let mut reader = Reader(blob);
        let is_ours = reader.string()? == ALGORITHM.as_bytes() && reader.string()? == CURVE;
        let point = Self::from_point(reader.string()?)?;
        (is_ours && reader.0.is_empty()).then_some(point)
    }

    fn blob(&self) -> Vec<u8> {
        let mut blob = Vec::new();
        for part in [ALGORITHM.as_bytes(), CURVE, &self.0] {
            put_string(&mut blob, part);
        }
        blob
    }
}

impl FromStr for Recipient {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split_ascii_whitespace();
        let key = (words.next() == Some(ALGORITHM)).then(|| words.next()).flatten();
        let blob = key.and_then(|key| STANDARD.decode(key).ok());
        blob.and_then(|blob| Self::from_blob(&blob)).ok_or_else(|| {
            format!("expected the content of the node's /etc/ssh/ssh_host_ecdsa_key.pub: `{ALGORITHM} AAAA…`")
        })
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ALGORITHM} {}", STANDARD.encode(self.blob()))
    }
}

impl Serialize for Recipient {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBGsX0fLhLEJH+Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT+NC4v4af5uO5+tKfA+eFivOM1drMV7Oy7ZAaDe/UfU=";

    #[test]
    fn a_public_key_reads_with_and_without_a_comment_and_prints_as_it_was() {
        let key: Recipient = LINE.parse().expect("the generator of the curve");
        assert_eq!(format!("{LINE} root@host").parse(), Ok(key));
        assert_eq!(key.to_string(), LINE);
    }

    #[test]
    fn what_is_no_such_key_is_refused() {
        let compressed = LINE.replace("BBGsX", "BAmsX");
        for bad in [&compressed, &LINE[..80], "ssh-ed25519 AAAA", "ecdsa-sha2-nistp256", ""] {
            bad.parse::<Recipient>().expect_err(bad);
        }
    }
}
