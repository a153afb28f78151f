//! The bootstrap token that workers join with.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::info::day;
use crate::secret::Secret;
use crate::spec::Lifetime;

/// `id.secret`, and until when it is good. No `Debug`: half of it is secret.
#[derive(Clone, Serialize, Deserialize)]
pub struct BootstrapToken {
    /// `[a-z0-9]{6}`; not secret, it names the Secret.
    pub id: String,
    /// `[a-z0-9]{16}`.
    pub secret: Zeroizing<String>,
    /// When it stops working.
    #[serde(with = "time::serde::rfc3339")]
    pub expiration: OffsetDateTime,
}

/// A clock that was put right by less is no reason for another token.
const LENIENCE: time::Duration = time::Duration::days(1);

const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

impl BootstrapToken {
    /// Fails if there are no random numbers. 31 bits of name and 82 bits of secret, where the guide's hexadecimal has 24
    /// and 64.
    pub(super) fn draw(expiration: OffsetDateTime) -> Result<Self, String> {
        Ok(Self { id: draw(6)?, secret: Zeroizing::new(draw(16)?), expiration })
    }

    /// Whether both halves are of the form that the authenticator takes.
    pub(super) fn is_well_formed(&self) -> bool {
        let drawn = |text: &str, length| text.len() == length && text.bytes().all(|byte| ALPHABET.contains(&byte));
        drawn(&self.id, 6) && drawn(&self.secret, 16)
    }

    /// Why another is to be drawn; `None` if this one will do. One that lives longer than it was asked to was drawn by a
    /// clock that was wrong, or for a longer `token_validity`.
    pub(super) fn reason_to_replace(&self, validity: Lifetime, now: OffsetDateTime) -> Option<String> {
        let left = self.expiration - now;
        if left <= time::Duration::ZERO {
            Some(format!("the old one expired on {}", day(self.expiration)))
        } else if left > validity.duration() + LENIENCE {
            Some(format!("it would live until {}, longer than `token_validity` says", day(self.expiration)))
        } else {
            None
        }
    }

    /// `id.secret`.
    pub(crate) fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{}.{}", self.id, *self.secret))
    }
}

/// Characters of the alphabet, each as likely as any other: bytes of 252 and above are thrown away, since
/// 256 is no multiple of 36.
fn draw(length: usize) -> Result<String, String> {
    let mut text = String::with_capacity(length);
    let mut byte = [0];
    while text.len() < length {
        aws_lc_rs::rand::fill(&mut byte).map_err(|_| "no random numbers".to_owned())?;
        if byte[0] < 252 {
            text.push(char::from(ALPHABET[usize::from(byte[0]) % ALPHABET.len()]));
        }
    }
    Ok(text)
}

/// 32 bytes for AES-256 in CBC mode, which is what `aescbc` of v1.16 takes, base64.
pub(super) fn draw_encryption_key() -> Result<Zeroizing<String>, String> {
    use base64::Engine as _;
    let mut bytes = Zeroizing::new([0; 32]);
    aws_lc_rs::rand::fill(bytes.as_mut()).map_err(|_| "no random numbers".to_owned())?;
    Ok(Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(bytes.as_ref())))
}

/// Whether this is what [`draw_encryption_key`] makes.
pub(super) fn is_encryption_key(key: &Secret) -> bool {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(key.expose()).map(Zeroizing::new);
    bytes.is_ok_and(|bytes| bytes.len() == 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_is_drawn_about_as_often() {
        let text = draw(36 * 400).expect("random numbers");
        for character in ALPHABET {
            let count = text.bytes().filter(|byte| byte == character).count();
            // Six standard deviations around 400.
            assert!((280..=520).contains(&count), "{} came {count} times", char::from(*character));
        }
    }
}
