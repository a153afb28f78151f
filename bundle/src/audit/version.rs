//! Versions of Go modules, in the order of Semantic Versioning 2.0.0, section 11.

use std::fmt;

/// A version. Its parts are in the order in which they are compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    core: [u64; 3],
    /// A release comes after all versions that precede it.
    is_release: bool,
    pre_release: Vec<Identifier>,
}

/// Numbers come before words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Identifier {
    Number(u64),
    Word(String),
}

impl Version {
    /// Reads `v1.16.0`, `1.16`, `v0.0.0-20190101000000-abcdef123456`; what follows a `+` makes no difference.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text).split('+').next()?;
        let (core, pre_release) = text.split_once('-').unwrap_or((text, ""));
        let mut numbers = [0; 3];
        for (index, number) in core.split('.').enumerate() {
            *numbers.get_mut(index)? = number.parse().ok()?;
        }
        let identifier =
            |word: &str| word.parse().map_or_else(|_| Identifier::Word(word.to_owned()), Identifier::Number);
        let pre_release: Vec<_> = pre_release.split('.').filter(|word| !word.is_empty()).map(identifier).collect();
        Some(Self { core: numbers, is_release: pre_release.is_empty(), pre_release })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.core;
        write!(f, "{major}.{minor}.{patch}")?;
        for (index, identifier) in self.pre_release.iter().enumerate() {
            f.write_str(if index == 0 { "-" } else { "." })?;
            match identifier {
                Identifier::Number(number) => write!(f, "{number}")?,
                Identifier::Word(word) => f.write_str(word)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_in_the_order_of_the_standard() {
        let sorted = [
            "v0.0.0-20190101000000-abc",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
            "1.2",
            "1.16.0-0",
            "v1.16.0+incompatible",
            "1.16.10",
        ];
        let versions: Vec<_> = sorted.iter().map(|text| Version::parse(text).expect("a version")).collect();
        assert!(versions.is_sorted_by(|one, next| one < next), "{versions:?}");
        assert!(Version::parse("(devel)").is_none() && Version::parse("1.2.3.4").is_none());
        assert_eq!(versions[5].to_string(), "1.0.0-beta.11");
    }
}
