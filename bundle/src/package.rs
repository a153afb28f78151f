//! What a package says of itself: the control file of a Debian package.
//!
//! Names, versions and relations are checked where they are made, so a control file can't be broken by what
//! stands in it. Section numbers are those of the Debian Policy Manual. Nothing here knows Kubernetes.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// A package's name (5.6.1): lower-case letters, digits, `+`, `-` and `.`, two characters at least.
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

/// `UPSTREAM-REVISION` (5.6.12), with no epoch.
///
/// ```
/// use kube_bundle::package::Version;
///
/// assert_eq!(Version::of_release("v1.16.0", 3)?.to_string(), "1.16.0-3");
/// // What stands behind `~` is older than what has nothing there.
/// assert_eq!(Version::of_release("v1.17.0-rc.1", 1)?.to_string(), "1.17.0~rc.1-1");
/// # Ok::<(), kube_bundle::package::Malformed>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Version(String);

impl Version {
    /// From a release as its makers write it, such as `v1.16.0` or `v1.17.0-rc.1`. A semantic version's pre-release
    /// comes before its release, and so does what stands behind `~` here.
    pub fn of_release(release: &str, revision: u32) -> Result<Self, Malformed> {
        let upstream = release.strip_prefix('v').unwrap_or(release).replace('-', "~");
        let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '~');
        let good = upstream.starts_with(|c: char| c.is_ascii_digit()) && upstream.chars().all(inner);
        good.then(|| Self(format!("{upstream}-{revision}"))).ok_or_else(|| Malformed {
            what: "version of a package",
            expected: "a digit, then letters, digits, `.`, `-`, `+` or `~`",
            got: release.to_owned(),
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What machine a package is for (5.6.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// x86-64.
    Amd64,
    /// Any.
    All,
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Amd64 => "amd64",
            Self::All => "all",
        })
    }
}

/// Another package, in exactly one version or in any (7.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Relation {
    /// Which.
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

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.exactly {
            Some(version) => write!(f, "{} (= {version})", self.package),
            None => self.package.fmt(f),
        }
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

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The binary package control file (5.3), without what follows from the files.
#[derive(Debug, Clone, Serialize)]
pub struct Control {
    /// Its name.
    pub package: PackageName,
    /// Its version.
    pub version: Version,
    /// Where it installs.
    pub architecture: Architecture,
    /// Who answers for it.
    pub maintainer: Line,
    /// Where more is to be read.
    pub homepage: Line,
    /// What must be configured before it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub depends: Vec<Relation>,
    /// Whose place it takes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub provides: Vec<Relation>,
    /// What can't be installed beside it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<Relation>,
    /// Whose files it may take over.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub replaces: Vec<Relation>,
    /// What it is, in a phrase.
    pub synopsis: Line,
    /// What it is, at length: paragraphs.
    pub description: Vec<Line>,
}

impl Control {
    /// The stanza, with `installed` (KiB) as `Installed-Size` (5.6.20).
    pub fn stanza(&self, installed: u64) -> String {
        let mut text = format!(
            "Package: {}\nVersion: {}\nArchitecture: {}\nMaintainer: {}\nInstalled-Size: {installed}\n",
            self.package, self.version, self.architecture, self.maintainer
        );
        for (field, relations) in [
            ("Depends", &self.depends),
            ("Conflicts", &self.conflicts),
            ("Replaces", &self.replaces),
            ("Provides", &self.provides),
        ] {
            if !relations.is_empty() {
                let list: Vec<_> = relations.iter().map(ToString::to_string).collect();
                text += &format!("{field}: {}\n", list.join(", "));
            }
        }
        text += &format!(
            "Section: admin\nPriority: optional\nHomepage: {}\nDescription: {}\n",
            self.homepage, self.synopsis
        );
        let paragraphs: Vec<_> = self.description.iter().map(|line| wrapped(&line.0)).collect();
        // A line with only a dot is an empty one (5.6.13).
        text + &paragraphs.join(" .\n")
    }

    /// `NAME_VERSION_ARCHITECTURE.deb`, as dpkg-name(1) has it.
    pub fn file_name(&self) -> String {
        format!("{}_{}_{}.deb", self.package, self.version, self.architecture)
    }
}

/// A paragraph of a description: lines of at most 80 characters, each behind a space.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        if lines.last().is_some_and(|line| !line.is_empty() && line.len() + word.len() > 77) {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            line.push(' ');
            line.push_str(word);
        }
    }
    lines.into_iter().map(|line| line + "\n").collect()
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
    }

    #[test]
    fn versions_are_written_so_that_dpkg_sorts_them_as_their_makers_do() {
        let version = |release: &str| Version::of_release(release, 2).map(|version| version.to_string());
        assert_eq!(version("v1.16.0").as_deref(), Ok("1.16.0-2"));
        assert_eq!(version("v1.17.0-rc.1").as_deref(), Ok("1.17.0~rc.1-2"));
        assert_eq!(version("v1.16.0+build5").as_deref(), Ok("1.16.0+build5-2"));
        assert!(version("vX").is_err() && version("v1.16.0 ").is_err() && version("v1:2").is_err());
    }

    #[test]
    fn descriptions_are_wrapped_and_separated() {
        let text = wrapped(&"word ".repeat(40));
        assert!(text.lines().count() > 2 && text.lines().all(|line| line.len() <= 80 && line.starts_with(' ')));
    }
}
