//! CMS `EnvelopedData` (RFC 5652, section 6) with AES-256 in CBC mode, for recipients with keys on P-256 (RFC 5753): each
//! gets the content's key wrapped with what ECDH makes of its public key and a key of ours.
//!
//! All keys follow from a key in `pki/` and from a digest of what is encrypted (as in RFC 5297, SIV): the same text is
//! encrypted to the same bytes, and no key ever serves two texts. CBC does not notice changes; whoever opens it has to compare
//! the digest of the encrypted file before, which signatures are over.

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::cipher::{AES_256, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use aws_lc_rs::key_wrap::{AES_256 as WRAP_AES_256, AesKek, KeyWrap as _};
use zeroize::Zeroizing;

use crate::der::{AES_256_CBC, BARE_FIELD, FIELD, bits, identifier, number, octets, sequence, set, value};
use crate::secret::Secret;
use crate::spec::Recipient;

/// id-envelopedData and id-data (RFC 5652).
const ENVELOPED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x03];
const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
/// id-aes256-wrap (RFC 3565).
const AES_256_WRAP: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2d];
/// dhSinglePass-stdDH-sha256kdf-scheme (RFC 5753, section 7.1.4).
const STANDARD_DH_SHA256: &[u8] = &[0x2b, 0x81, 0x04, 0x01, 0x0b, 0x01];
/// id-ecPublicKey and secp256r1 (RFC 5480).
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P_256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

/// Bytes of a key for AES-256, and of a private key on P-256.
const KEY: usize = 32;
/// Bytes of a block of AES.
const BLOCK: usize = 16;
/// What the purposes of derived keys begin with.
const LABEL: &str = "kube-bundle seal 1: ";

/// `None` if a recipient is no point of the curve.
pub(super) fn encrypt(plain: &Secret, sealing_key: &Secret, recipients: &[&Recipient]) -> Option<Vec<u8>> {
    let text_digest = digest(&SHA256, plain.expose());
    let derived = Salt::new(HKDF_SHA256, text_digest.as_ref()).extract(sealing_key.expose());
    let everyone: Vec<u8> = recipients.iter().flat_map(|recipient| *recipient.point()).collect();
    let content_key = derive::<KEY>(&derived, "content key", &everyone)?;
    let vector = derive::<BLOCK>(&derived, "initialization vector", &everyone)?;
    let infos: Option<Vec<_>> =
        recipients.iter().map(|recipient| recipient_info(recipient, &derived, &*content_key)).collect();
    let algorithm = sequence(&[identifier(AES_256_CBC), octets(&*vector)]);
    let content = value(BARE_FIELD, &encrypt_cbc(plain, &*content_key, &vector)?);
    let content = sequence(&[identifier(DATA), algorithm, content]);
    let enveloped = sequence(&[number(2), set_of(infos?), content]);
    Some(sequence(&[identifier(ENVELOPED_DATA), value(FIELD, &enveloped)]))
}

/// DER sorts the elements of a set that has any number of them (X.690, section 11.6).
fn set_of(mut values: Vec<Vec<u8>>) -> Vec<u8> {
    values.sort();
    set(&values)
}

/// `KeyAgreeRecipientInfo`, with a key of ours that serves this recipient and this text alone.
fn recipient_info(recipient: &Recipient, derived: &Prk, content_key: &[u8]) -> Option<Vec<u8>> {
    let ours = ephemeral(derived, recipient)?;
    let wrapping = sequence(&[identifier(AES_256_WRAP)]);
    // ECC-CMS-SharedInfo: the key's algorithm, and its length in bits.
    let shared_info = sequence(&[wrapping.clone(), value(FIELD + 2, &octets(&256_u32.to_be_bytes()))]);
    let theirs = UnparsedPublicKey::new(&ECDH_P256, recipient.point());
    let key = agree(&ours, theirs, (), |shared| {
        // The key derivation function of ANSI X9.63, of which one round is enough.
        let input = Zeroizing::new([shared, &1_u32.to_be_bytes(), &shared_info].concat());
        Ok(digest(&SHA256, &input))
    });
    let mut wrapped = [0; KEY + 8];
    AesKek::new(&WRAP_AES_256, key.ok()?.as_ref()).ok()?.wrap(content_key, &mut wrapped).ok()?;

    let public = ours.compute_public_key().ok()?;
    let curve = sequence(&[identifier(EC_PUBLIC_KEY), identifier(P_256)]);
    let originator = value(FIELD + 1, &[curve, bits(public.as_ref())].concat());
    // RecipientKeyIdentifier: the digest that certificates have of a key (RFC 5280, section 4.2.1.2).
    let key_id = digest(&SHA1_FOR_LEGACY_USE_ONLY, recipient.point());
    let key_id = value(FIELD, &octets(key_id.as_ref()));
    let info = [
        number(3),
        value(FIELD, &originator),
        sequence(&[identifier(STANDARD_DH_SHA256), wrapping]),
        sequence(&[sequence(&[key_id, octets(&wrapped)])]),
    ];
    Some(value(FIELD + 1, &info.concat()))
}

/// A private key: any number below the order of the group, which all but one in 2³² are.
fn ephemeral(derived: &Prk, recipient: &Recipient) -> Option<PrivateKey> {
    (0_u8..=255).find_map(|attempt| {
        let info = [&recipient.point()[..], &[attempt]].concat();
        PrivateKey::from_private_key(&ECDH_P256, &*derive::<KEY>(derived, "ephemeral key", &info)?).ok()
    })
}

/// How many bytes are wanted, for HKDF (RFC 5869).
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn derive<const N: usize>(derived: &Prk, purpose: &str, more: &[u8]) -> Option<Zeroizing<[u8; N]>> {
    let mut bytes = Zeroizing::new([0; N]);
    let label = format!("{LABEL}{purpose}\0");
    derived.expand(&[label.as_bytes(), more], Length(N)).ok()?.fill(&mut *bytes).ok()?;
    Some(bytes)
}

fn encrypt_cbc(plain: &Secret, key: &[u8], vector: &[u8; BLOCK]) -> Option<Vec<u8>> {
    let key = UnboundCipherKey::new(&AES_256, key).ok()?;
    let mut bytes = plain.expose().to_vec();
    // Room for the last block, so that nothing that is not encrypted yet is left behind in memory.
    bytes.reserve_exact(BLOCK);
    let how = EncryptionContext::Iv128((*vector).into());
    PaddedBlockEncryptingKey::cbc_pkcs7(key).ok()?.less_safe_encrypt(&mut bytes, how).ok()?;
    Some(bytes)
}
