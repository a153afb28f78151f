//! Digests as types, and readers that hash what passes through them.
//!
//! A digest is parsed once, where it enters the program. Text that is too short, too long, in upper case or not hexadecimal
//! never becomes a [`Sha256`].

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::Digest as _;

/// `N` bytes of digest, written as `2 * N` lower-case hexadecimal digits.
///
/// ```
/// use kube_bundle::hash::Sha256;
///
/// let text = Sha256::of(b"abc").to_string();
/// assert_eq!(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
/// assert!(text.to_uppercase().parse::<Sha256>().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest<const N: usize>([u8; N]);

/// A SHA-256 digest (FIPS 180-4).
pub type Sha256 = Digest<32>;
/// An MD5 digest (RFC 1321), which Debian's `md5sums` lists. It detects accidents, not attacks.
pub type Md5 = Digest<16>;
/// A SHA-512 digest (FIPS 180-4).
pub type Sha512 = Digest<64>;

impl Sha256 {
    /// Of bytes in memory.
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// The digest and the length of everything `reader` yields.
    pub fn of_reader(mut reader: impl Read) -> io::Result<(Self, u64)> {
        let mut hasher = Hasher::default();
        // Reads of 8 KiB, as `io::copy` does them, would add a tenth to the time of hashing.
        let mut buffer = vec![0; 128 << 10];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(hasher.finish()),
                Ok(count) => hasher.update(&buffer[..count]),
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                Err(why) => return Err(why),
            }
        }
    }
}

impl<const N: usize> Digest<N> {
    /// Without any encoding.
    pub fn as_bytes(&self) -> &[u8; N] {
        &self.0
    }
}

impl From<md5::Md5> for Md5 {
    fn from(hasher: md5::Md5) -> Self {
        Self(hasher.finalize().into())
    }
}

impl<const N: usize> fmt::Display for Digest<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl<const N: usize> fmt::Debug for Digest<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is no digest of the length wanted.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("expected {expected} lower-case hexadecimal digits, got `{got}`")]
pub struct NotADigest {
    expected: usize,
    got: String,
}

impl<const N: usize> FromStr for Digest<N> {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        let refuse = || NotADigest { expected: 2 * N, got: text.to_owned() };
        let digits = text.as_bytes();
        if digits.len() != 2 * N {
            return Err(refuse());
        }
        let value = |digit: u8| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        let mut bytes = [0; N];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let (Some(high), Some(low)) = (value(pair[0]), value(pair[1])) else { return Err(refuse()) };
            *byte = high << 4 | low;
        }
        Ok(Self(bytes))
    }
}

impl<const N: usize> Serialize for Digest<N> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Digest<N> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The digest a publisher gave for a file: what a download must hash to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pin {
    /// Single binaries are published with SHA-256.
    Sha256(Sha256),
    /// Release tarballs are published with SHA-512.
    Sha512(Sha512),
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha256(digest) => write!(f, "sha256:{digest}"),
            Self::Sha512(digest) => write!(f, "sha512:{digest}"),
        }
    }
}

impl Pin {
    /// A hasher of this pin's kind.
    pub fn hasher(&self) -> PinHasher {
        match self {
            Self::Sha256(_) => PinHasher::Sha256(sha2::Sha256::new()),
            Self::Sha512(_) => PinHasher::Sha512(sha2::Sha512::new()),
        }
    }

    /// A name for files that belong to this pin, unique without the colon.
    pub fn file_stem(&self) -> String {
        match self {
            Self::Sha256(digest) => format!("sha256-{digest}"),
            Self::Sha512(digest) => format!("sha512-{digest}"),
        }
    }
}

/// Computes a [`Pin`] of whichever kind is asked for.
pub enum PinHasher {
    /// SHA-256 in progress.
    Sha256(sha2::Sha256),
    /// SHA-512 in progress.
    Sha512(sha2::Sha512),
}

impl PinHasher {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }

    /// The digest of everything taken.
    pub fn finish(self) -> Pin {
        match self {
            Self::Sha256(hasher) => Pin::Sha256(Digest(hasher.finalize().into())),
            Self::Sha512(hasher) => Pin::Sha512(Digest(hasher.finalize().into())),
        }
    }
}

/// A SHA-256 digest in the making, with the number of bytes.
#[derive(Default, Clone)]
pub struct Hasher {
    hasher: sha2::Sha256,
    length: u64,
}

impl Hasher {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
    }

    /// Bytes taken so far.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Digest and length of what was taken.
    pub fn finish(self) -> (Sha256, u64) {
        (Digest(self.hasher.finalize().into()), self.length)
    }
}

/// A reader that passes on what it reads, and hashes it.
pub struct HashingReader<R> {
    inner: R,
    hasher: Hasher,
}

impl<R: Read> HashingReader<R> {
    /// Nothing is read yet.
    pub fn new(inner: R) -> Self {
        Self { inner, hasher: Hasher::default() }
    }

    /// Digest and length of what was read so far.
    pub fn finish(self) -> (Sha256, u64) {
        self.hasher.finish()
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_digest_reads_back_as_it_was_written() {
        assert_eq!(EMPTY.parse(), Ok(Sha256::of(b"")));
        assert_eq!(Sha256::of(b"").to_string(), EMPTY);
    }

    #[test]
    fn what_is_no_digest_is_refused() {
        for wrong in ["", &EMPTY[1..], &EMPTY.to_uppercase(), &EMPTY.replace('e', "g"), &format!("{EMPTY}0")] {
            assert!(wrong.parse::<Sha256>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn readers_agree_with_the_whole() {
        let text = b"kube-apiserver";
        assert_eq!(Sha256::of_reader(&text[..]).expect("a slice reads"), (Sha256::of(text), 14));
        let mut reader = HashingReader::new(&text[..]);
        assert_eq!(io::copy(&mut reader, &mut io::sink()).expect("a slice reads"), 14);
        assert_eq!(reader.finish(), (Sha256::of(text), 14));
    }
}
