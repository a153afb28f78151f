//! A private key that is encrypted with a passphrase: PKCS#8 with PBES2 (RFC 8018), which every openssl reads.

use std::num::NonZeroU32;

use aws_lc_rs::cipher::{AES_256, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::pbkdf2::{PBKDF2_HMAC_SHA256, derive};
use aws_lc_rs::rand;
use zeroize::Zeroizing;

use crate::armor;
use crate::der::{AES_256_CBC, identifier, null, number, octets, sequence};
use crate::secret::Secret;

/// id-PBES2, id-PBKDF2 (RFC 8018), hmacWithSHA256 (RFC 4231).
const PBES2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d];
const PBKDF2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0c];
const HMAC_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x09];

/// How often the passphrase is hashed: what OWASP asks of PBKDF2 with SHA-256 (Password Storage Cheat Sheet). scrypt would
/// be better, but openssl refuses more than 32 MiB of memory for it.
const ROUNDS: NonZeroU32 = NonZeroU32::MIN.saturating_add(599_999);
/// Characters of a passphrase: whoever finds the bundle can try as many as there is time for.
pub(super) const SHORTEST: usize = 12;

/// The label of such a key.
pub(super) const LABEL: &str = "ENCRYPTED PRIVATE KEY";

/// PEM of the key, which is given as PEM too. `None` if there are no random numbers.
pub(super) fn lock(key: &Secret, passphrase: &Secret) -> Option<String> {
    let der = Zeroizing::new(armor::decode("PRIVATE KEY", key.expose_text().ok()?)?);
    let (mut salt, mut vector, mut derived) = ([0; 16], [0; 16], Zeroizing::new([0; 32]));
    rand::fill(&mut salt).ok()?;
    rand::fill(&mut vector).ok()?;
    derive(PBKDF2_HMAC_SHA256, ROUNDS, &salt, passphrase.expose(), &mut *derived);

    let mut bytes = der.to_vec();
    // Room for the last block, so that nothing that is not encrypted yet is left behind in memory.
    bytes.reserve_exact(16);
    let cipher = PaddedBlockEncryptingKey::cbc_pkcs7(UnboundCipherKey::new(&AES_256, &*derived).ok()?).ok()?;
    cipher.less_safe_encrypt(&mut bytes, EncryptionContext::Iv128(vector.into())).ok()?;

    let hash = sequence(&[identifier(HMAC_SHA256), null()]);
    let derivation = sequence(&[identifier(PBKDF2), sequence(&[octets(&salt), number(ROUNDS.get()), hash])]);
    let encryption = sequence(&[identifier(AES_256_CBC), octets(&vector)]);
    let algorithm = sequence(&[identifier(PBES2), sequence(&[derivation, encryption])]);
    Some(armor::encode(LABEL, &sequence(&[algorithm, octets(&bytes)]), 64))
}
