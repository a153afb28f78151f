//! Secret bytes: private keys, tokens, and files that contain them.
//!
//! A [`Secret`] is overwritten when it is dropped, prints nothing under `Debug`, and can't be serialized, so
//! no log, error or `plan --json` can contain one by accident.

use std::fmt;

use zeroize::Zeroizing;

/// Secret bytes, overwritten on drop.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes ownership of the bytes; it can't erase copies that were made before.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// The bytes. Named so that every use of a secret can be found.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as text, for PEM and YAML; an error if they are not UTF-8.
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
