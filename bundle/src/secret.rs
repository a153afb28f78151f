//! Bytes that must not be seen: private keys, tokens, what is made of them.
//!
//! A [`Secret`] is wiped when it goes, says nothing under `Debug`, and can't be serialized, so neither a
//! log nor an error nor `plan --json` can carry one by accident.

use std::fmt;

use zeroize::Zeroizing;

/// Secret bytes, wiped on drop.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// The bytes, for the one place that writes or uses them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as text; a key that is no UTF-8 is no PEM either.
    pub fn expose_text(&self) -> Result<&str, std::str::Utf8Error> {
        std::str::from_utf8(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_says_nothing() {
        assert_eq!(format!("{:?}", Secret::new("a1b2c3.0123456789abcdef")), "[secret]");
    }
}
