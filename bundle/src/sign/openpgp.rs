//! Certificates and signatures that gpgv, sqv and apt read: OpenPGP, version 4, with EdDSA (RFC 4880 and, for the key,
//! draft-koch-eddsa-for-openpgp-04).
//!
//! Version 6 would sign a random number with each text, so that no two builds were equal, and older gpgv reads none.

use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY};
use sha2::{Digest as _, Sha512};

use super::{Error, PublicKey, Signer};
use crate::armor;

/// When every key and signature says it was made, in seconds since 1970: 1 January 2020. No clock may change a byte of a
/// bundle; and sqv refuses a signature that is older than the key's own.
const CREATED: u32 = 1_577_836_800;
/// Whom a certificate is for. Who that is, is known to whoever hands it out.
const USER_ID: &[u8] = b"kube-bundle signing key";
/// The curve Ed25519, preceded by its length.
const CURVE: [u8; 10] = [9, 0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x0f, 0x01];
/// EdDSA and SHA-512, as OpenPGP numbers them.
const ALGORITHMS: [u8; 2] = [22, 10];

/// How an armoured signature begins; it has no headers.
pub(crate) const ARMOR_BEGIN: &str = "-----BEGIN PGP SIGNATURE-----\n";

/// What a signature is over (RFC 4880, section 5.2.1).
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Binary = 0x00,
    Text = 0x01,
    /// That a key has a user ID.
    Certification = 0x13,
}

/// Packets (RFC 4880, section 4.3).
#[derive(Clone, Copy)]
enum Tag {
    Signature = 2,
    PublicKey = 6,
    UserId = 13,
}

/// The certificate of a key, as a keyring for `gpgv --keyring` and apt's `Signed-By`.
pub(super) fn certificate(signer: &Signer) -> Result<Vec<u8>, Error> {
    let key = key_packet(signer.public());
    let mut subject = prefixed_key(&key);
    subject.push(0xb4);
    subject.extend(length(USER_ID).to_be_bytes());
    subject.extend(USER_ID);
    let signature = signature(&subject, Kind::Certification, signer)?;
    Ok([packet(Tag::PublicKey, &key), packet(Tag::UserId, USER_ID), signature].concat())
}

/// A detached signature of each signer, in one file.
pub(super) fn detached(text: &[u8], signers: &[Signer]) -> Result<String, Error> {
    Ok(armored(&signatures(text, Kind::Binary, signers)?))
}

/// `text` with a signature of each signer below it, as apt reads `InRelease` (RFC 4880, section 7).
pub(super) fn clear_signed(text: &str, signers: &[Signer]) -> Result<String, Error> {
    let signatures = signatures(canonical(text).as_bytes(), Kind::Text, signers)?;
    Ok(clear_text(text) + &armored(&signatures))
}

/// What a signature of a text is over: its lines without blanks at their ends, and no line's end after the last one.
pub(crate) fn canonical(text: &str) -> String {
    text.lines().map(str::trim_ascii_end).collect::<Vec<_>>().join("\r\n")
}

/// What stands above the signatures of a text.
pub(crate) fn clear_text(text: &str) -> String {
    let lines = text.lines().map(str::trim_ascii_end);
    let escaped: String =
        lines.map(|line| format!("{}{line}\n", if line.starts_with('-') { "- " } else { "" })).collect();
    format!("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n{escaped}")
}

/// Packets as text (RFC 4880, section 6.2).
pub(crate) fn armored(packets: &[u8]) -> String {
    let checksum = armor::lines(&crc24(packets).to_be_bytes()[1..], 64);
    let body = armor::lines(packets, 64);
    format!("{ARMOR_BEGIN}\n{body}={checksum}-----END PGP SIGNATURE-----\n")
}

fn signatures(text: &[u8], kind: Kind, signers: &[Signer]) -> Result<Vec<u8>, Error> {
    let packets: Vec<_> = signers.iter().map(|signer| signature(text, kind, signer)).collect::<Result<_, _>>()?;
    Ok(packets.concat())
}

/// A signature packet over `text`.
fn signature(text: &[u8], kind: Kind, signer: &Signer) -> Result<Vec<u8>, Error> {
    let unsigned = Unsigned::new(text, kind, signer.public());
    let signature = signer.sign(&unsigned.digest)?;
    Ok(unsigned.packet(&signature))
}

/// A signature packet that lacks the signature itself (RFC 4880, sections 5.2.3 and 5.2.4).
pub(crate) struct Unsigned {
    head: Vec<u8>,
    fingerprint: [u8; 20],
    /// What is signed.
    pub(crate) digest: [u8; 64],
}

impl Unsigned {
    pub(crate) fn new(text: &[u8], kind: Kind, key: &PublicKey) -> Self {
        let fingerprint = fingerprint(key);
        let mut hashed = vec![5, 2];
        hashed.extend(CREATED.to_be_bytes());
        hashed.extend([22, 33, 4]);
        hashed.extend(fingerprint);
        if matches!(kind, Kind::Certification) {
            // The key certifies, and signs data.
            hashed.extend([2, 27, 3]);
        }
        let mut head = vec![4, kind as u8];
        head.extend(ALGORITHMS);
        head.extend(short(&hashed).to_be_bytes());
        head.extend(hashed);

        let trailer = [&[4, 0xff], &length(&head).to_be_bytes()[..]].concat();
        let digest = Sha512::new().chain_update(text).chain_update(&head).chain_update(trailer).finalize().into();
        Self { head, fingerprint, digest }
    }

    /// The packet with the signature of the digest.
    pub(crate) fn packet(&self, signature: &[u8; 64]) -> Vec<u8> {
        let mut body = self.head.clone();
        // The key's ID, for readers that don't know fingerprints; it is not signed.
        body.extend([0, 10, 9, 16]);
        body.extend(&self.fingerprint[12..]);
        body.extend(&self.digest[..2]);
        let (r, s) = signature.split_at(32);
        body.extend([number(r), number(s)].concat());
        packet(Tag::Signature, &body)
    }
}

fn key_packet(key: &PublicKey) -> Vec<u8> {
    let mut body = vec![4];
    body.extend(CREATED.to_be_bytes());
    body.push(ALGORITHMS[0]);
    body.extend(CURVE);
    // 0x40 says that what follows is the key in its own format.
    body.extend(number(&[&[0x40], &key.as_bytes()[..]].concat()));
    body
}

/// A key as it is hashed (RFC 4880, section 12.2).
fn prefixed_key(key: &[u8]) -> Vec<u8> {
    [&[0x99], &short(key).to_be_bytes()[..], key].concat()
}

/// The fingerprint of a key of version 4, which is SHA-1 by definition.
pub(crate) fn fingerprint(key: &PublicKey) -> [u8; 20] {
    let digest = digest::digest(&SHA1_FOR_LEGACY_USE_ONLY, &prefixed_key(&key_packet(key)));
    digest.as_ref().try_into().unwrap_or_else(|why| unreachable!("SHA-1 has 20 bytes: {why}"))
}

/// A multiprecision integer: its length in bits, and its bytes without leading zeros.
fn number(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let bytes = &bytes[zeros..];
    let unused = bytes.first().map_or(0, |first| first.leading_zeros());
    let bits = u32::from(short(bytes)) * 8 - unused;
    [&bits.to_be_bytes()[2..], bytes].concat()
}

fn packet(tag: Tag, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0xc0 | tag as u8];
    match u8::try_from(body.len()) {
        Ok(length @ ..192) => packet.push(length),
        // None that is made here has more than the 8383 bytes that this form is for.
        _ => packet.extend((short(body) - 192 + (192 << 8)).to_be_bytes()),
    }
    packet.extend(body);
    packet
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or_else(|why| unreachable!("these are headers: {why}"))
}

fn short(bytes: &[u8]) -> u16 {
    u16::try_from(bytes.len()).unwrap_or_else(|why| unreachable!("these are headers: {why}"))
}

/// The checksum of an armoured text (RFC 4880, section 6.1).
fn crc24(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 0x80_0000 == 0 { crc << 1 } else { (crc << 1) ^ 0x186_4cfb };
    bytes.iter().fold(0xb7_04ce, |crc, byte| (0..8).fold(crc ^ u32::from(*byte) << 16, step)) & 0xff_ffff
}
