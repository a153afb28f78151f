//! What a package says of itself, in terms that every package manager has; and what planning asks of a package manager.
//!
//! Names, versions and relations are checked where they are made, so the files that are written from them can't be broken
//! by what stands in them. Nothing here knows Kubernetes, or one manager more than another: `debian` is one.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::hash::Sha256;

/// A package's name: lower-case letters, digits, `+`, `-` and `.`, two characters at least (Debian Policy 5.6.1, the
/// strictest of its kind).
///
/// ```
/// use kube_bundle::package::PackageName;
///
/// assert!("kube-bundle-kubectl".parse::<PackageName>().is_ok());
/// assert!("kubectl, libc6".parse::<PackageName>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct PackageName(String);

/// Text that a control file can't hold in this place.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{got}` is no {what}: expected {expected}")]
pub struct Malformed {
    what: &'static str,
    expected: &'static str,
    got: String,
}

impl FromStr for PackageName {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '+' | '-' | '.');
        let good = text.len() >= 2 && text.chars().all(inner) && text.starts_with(|c: char| c.is_ascii_alphanumeric());
        good.then(|| Self(text.to_owned())).ok_or_else(|| Malformed {
            what: "package name",
            expected: "two or more lower-case letters, digits, `+`, `-` and `.`, beginning with a letter or digit",
            got: text.to_owned(),
        })
    }
}

impl PackageName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PackageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The version of what is packaged, as its makers write it, and how often it was packaged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Version {
    /// Such as `v1.16.0` or `v1.17.0-rc.1`.
    upstream: String,
    /// From 1: grows when the package changes and what is packaged does not.
    revision: u32,
}

impl Version {
    /// # Errors
    /// A version that no package manager can sort: one that does not begin with a digit (behind its `v`), or has other
    /// characters than letters, digits, `.`, `-`, `+` and `~`.
    pub fn new(upstream: &str, revision: u32) -> Result<Self, Malformed> {
        let bare = upstream.strip_prefix('v').unwrap_or(upstream);
        let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+' | '~');
        let good = bare.starts_with(|c: char| c.is_ascii_digit()) && bare.chars().all(inner);
        good.then(|| Self { upstream: upstream.to_owned(), revision }).ok_or_else(|| Malformed {
            what: "version of a package",
            expected: "a digit, then letters, digits, `.`, `-`, `+` or `~`",
            got: upstream.to_owned(),
        })
    }

    /// Without the leading `v`.
    pub fn upstream(&self) -> &str {
        self.upstream.strip_prefix('v').unwrap_or(&self.upstream)
    }

    /// How often it was packaged, from 1.
    pub fn revision(&self) -> u32 {
        self.revision
    }

    /// The same, packaged once more.
    #[must_use]
    pub fn with_revision(self, revision: u32) -> Self {
        Self { revision, ..self }
    }
}

/// Which machines a package is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// x86-64.
    Amd64,
    /// Any: it holds no program.
    Independent,
}

/// Another package, in exactly one version or in any.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Relation {
    pub package: PackageName,
    /// In which version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exactly: Option<Version>,
}

impl Relation {
    /// Any version of `package`.
    pub fn any(package: PackageName) -> Self {
        Self { package, exactly: None }
    }
}

/// A line of text, with nothing in it that could end its field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Line(String);

impl FromStr for Line {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let good = !text.trim().is_empty() && text.trim() == text && !text.chars().any(char::is_control);
        good.then(|| Self(text.to_owned())).ok_or_else(|| Malformed {
            what: "line of a control file",
            expected: "text on one line, without white space around it",
            got: text.to_owned(),
        })
    }
}

impl<'de> serde::Deserialize<'de> for Line {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Line {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a package says of itself, without what follows from its files.
#[derive(Debug, Clone, Serialize)]
pub struct Package {
    pub name: PackageName,
    pub version: Version,
    /// The architecture of the machines that can install it.
    pub architecture: Architecture,
    /// Who answers for it: a name and an address in angle brackets.
    pub maintainer: Line,
    /// URL of the homepage.
    pub homepage: Line,
    /// Packages that must be installed and set up before it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub depends: Vec<Relation>,
    /// Names that others may depend on instead of its own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub provides: Vec<Relation>,
    /// Packages that can't be installed beside it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<Relation>,
    /// Packages whose files it may take over.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub replaces: Vec<Relation>,
    /// One line that says what it is.
    pub synopsis: Line,
    /// Paragraphs that say more.
    pub description: Vec<Line>,
    /// The text that states copyright and licenses.
    #[serde(skip)]
    pub copyright: String,
}

/// What planning asks of a package manager. Everything else about it is between its own module and the packer.
pub trait PackageManager: fmt::Debug {
    /// Where its packages install to.
    fn directories(&self) -> Directories;

    /// The directory of an output that packages and their index are in.
    fn repository(&self) -> &'static str;

    /// The file name of a package.
    fn file_name(&self, package: &Package) -> String;

    /// A digest over what the manager's module adds to every package: a build's revision has to grow with it.
    fn scripts_digest(&self) -> Sha256;
}

/// Directories that depend on who installs a file.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Directories {
    /// Programs.
    pub bin: &'static str,
    /// Parts of programs and scripts.
    pub lib: &'static str,
    /// systemd units.
    pub units: &'static str,
}

impl Directories {
    /// What `install.sh` uses: the FHS gives `/usr/local` to the administrator.
    pub const LOCAL: Self =
        Self { bin: "usr/local/bin", lib: "usr/local/lib/kube-bundle", units: "etc/systemd/system" };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_breaks_a_control_file_is_refused() {
        for wrong in ["", "a", "Kube", "kube_api", "kube api", "-kube", "kube\nDepends: x", "kube:amd64"] {
            assert!(wrong.parse::<PackageName>().is_err(), "{wrong:?}");
        }
        assert!("kube-bundle-kube-apiserver".parse::<PackageName>().is_ok());
        for wrong in ["", " x", "x ", "a\nb", "a\tb"] {
            assert!(wrong.parse::<Line>().is_err(), "{wrong:?}");
        }
        for wrong in ["vX", "v1.16.0 ", "v1:2", ""] {
            assert!(Version::new(wrong, 1).is_err(), "{wrong:?}");
        }
    }
}
