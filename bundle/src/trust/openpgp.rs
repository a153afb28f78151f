//! Signatures in OpenPGP, if kube-bundle made them: gpgv and sqv read all others. So nothing of the format is read here but
//! where the numbers stand; the rest must be what is written around these numbers, to the byte.

use super::Trust;
use super::signature::{Refusal, is_by};
use crate::armor;
use crate::manifest::IN_RELEASE;
use crate::sign::openpgp::{ARMOR_BEGIN, Kind, Unsigned, armored, canonical, clear_text, fingerprint};
use crate::sign::{PublicKey, Purpose};

/// Where the fingerprint of the key stands in a signature packet's body, and where the two numbers begin.
const FINGERPRINT: std::ops::Range<usize> = 15..35;
const NUMBERS: usize = 49;

impl Trust {
    /// The key of a detached signature of `text`, or of a text with its signature below, which must be the same text.
    pub(super) fn openpgp(&self, name: &str, file: &str, text: &[u8]) -> Result<PublicKey, Refusal> {
        if name != IN_RELEASE {
            return self.block(file, text, Kind::Binary);
        }
        let text = str::from_utf8(text).map_err(|_| Refusal::Unreadable)?;
        let (above, _) = file.split_at(file.find(ARMOR_BEGIN).ok_or(Refusal::Unreadable)?);
        if above != clear_text(text) {
            return Err(Refusal::OtherText);
        }
        self.block(&file[above.len()..], canonical(text).as_bytes(), Kind::Text)
    }

    fn block(&self, block: &str, text: &[u8], kind: Kind) -> Result<PublicKey, Refusal> {
        let body =
            block.strip_prefix(ARMOR_BEGIN).and_then(|rest| rest.split_once("\n=")).ok_or(Refusal::Unreadable)?.0;
        let packets = armor::bytes(body).ok_or(Refusal::Unreadable)?;
        if armored(&packets) != block {
            return Err(Refusal::Unreadable);
        }
        let (mut rest, mut found) = (&packets[..], Err(Refusal::NoTrustedKey));
        while let Some((packet, after)) = split_packet(rest) {
            rest = after;
            found = match (found, self.packet(packet, text, kind)) {
                (_, Err(why @ (Refusal::Wrong(_) | Refusal::Unreadable))) => return Err(why),
                (Ok(key), _) | (Err(_), Ok(key)) => Ok(key),
                (Err(_), Err(why)) => Err(why),
            };
        }
        if rest.is_empty() { found } else { Err(Refusal::Unreadable) }
    }

    fn packet(&self, packet: &[u8], text: &[u8], kind: Kind) -> Result<PublicKey, Refusal> {
        let body = packet.get(2..).ok_or(Refusal::Unreadable)?;
        let whose = body.get(FINGERPRINT).ok_or(Refusal::Unreadable)?;
        let key = self.signers.iter().map(|signer| signer.key).find(|key| fingerprint(key) == whose);
        let key = self.admit(key.ok_or(Refusal::NoTrustedKey)?, Purpose::Bundle)?;
        let signature = numbers(body.get(NUMBERS..).unwrap_or_default()).ok_or(Refusal::Unreadable)?;
        let expected = Unsigned::new(text, kind, &key);
        let is_right = is_by(&key, &expected.digest, &signature) && expected.packet(&signature) == packet;
        if is_right { Ok(key) } else { Err(Refusal::Wrong(key)) }
    }
}

/// A packet with a length of one byte, as those of our signatures have it, and what follows it.
fn split_packet(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = usize::from(*bytes.get(1)?);
    bytes.split_at_checked(2 + length)
}

/// Two numbers of at most 32 bytes, each with leading zeros again.
fn numbers(mut bytes: &[u8]) -> Option<[u8; 64]> {
    let mut signature = [0; 64];
    for half in signature.chunks_exact_mut(32) {
        let (bits, rest) = bytes.split_first_chunk()?;
        let (number, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*bits)).div_ceil(8))?;
        half.get_mut(32usize.checked_sub(number.len())?..)?.copy_from_slice(number);
        bytes = rest;
    }
    bytes.is_empty().then_some(signature)
}
