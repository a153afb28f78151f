//! Where a file lies on a machine, and with which rights.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A path on the target, written without its leading slash: `usr/local/bin/kubectl`.
///
/// It never escapes the root: no empty, `.` or `..` part, and no control character that a checksum list or
/// a tar listing would render ambiguous.
///
/// ```
/// use kube_bundle::target::InstallPath;
///
/// let path: InstallPath = "/usr/local/bin/kubectl".parse()?;
/// assert_eq!(path.as_str(), "usr/local/bin/kubectl");
/// assert!("usr/../etc/shadow".parse::<InstallPath>().is_err());
/// # Ok::<(), kube_bundle::target::NotAnInstallPath>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InstallPath(String);

/// Text that names no file below the root.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{0}` is no path below the root: parts may not be empty, `.`, `..` or hold control characters, spaces or backslashes"
)]
pub struct NotAnInstallPath(String);

impl InstallPath {
    /// The path without a leading slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The directory this lies in; `None` for what lies in the root itself.
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.to_owned()))
    }

    /// The same file below another directory.
    #[must_use]
    pub fn below(&self, directory: &Self) -> Self {
        Self(format!("{directory}/{self}"))
    }
}

impl FromStr for InstallPath {
    type Err = NotAnInstallPath;

    fn from_str(text: &str) -> Result<Self, NotAnInstallPath> {
        let path = text.strip_prefix('/').unwrap_or(text);
        let plain = |part: &str| {
            !matches!(part, "" | "." | "..") && part.chars().all(|c| !c.is_control() && !matches!(c, ' ' | '\\'))
        };
        if path.split('/').all(plain) { Ok(Self(path.to_owned())) } else { Err(NotAnInstallPath(text.to_owned())) }
    }
}

impl TryFrom<String> for InstallPath {
    type Error = NotAnInstallPath;

    fn try_from(text: String) -> Result<Self, NotAnInstallPath> {
        text.parse()
    }
}

impl From<InstallPath> for String {
    fn from(path: InstallPath) -> Self {
        path.0
    }
}

impl fmt::Display for InstallPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Permission bits, 0 to 0o7777, shown and serialized as four octal digits.
///
/// ```
/// use kube_bundle::target::Mode;
///
/// assert_eq!("0600".parse(), Ok(Mode::SECRET));
/// assert_eq!(Mode::EXECUTABLE.to_string(), "0755");
/// assert!("0888".parse::<Mode>().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mode(u16);

impl Mode {
    /// A file everyone may read.
    pub const PUBLIC: Self = Self(0o644);
    /// A program or a directory everyone may use.
    pub const EXECUTABLE: Self = Self(0o755);
    /// A file only its owner may read.
    pub const SECRET: Self = Self(0o600);
    /// A directory only its owner may enter.
    pub const PRIVATE: Self = Self(0o700);

    /// The bits as `chmod(2)` takes them.
    pub fn bits(self) -> u32 {
        u32::from(self.0)
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        u16::from_str_radix(text, 8)
            .ok()
            .filter(|bits| *bits <= 0o7777)
            .map(Self)
            .ok_or_else(|| format!("expected an octal mode such as `0644`, got `{text}`"))
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl fmt::Debug for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Mode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Who owns an entry on the target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Owner {
    /// Everything a master needs is root's (CIS 1.1.2 to 1.1.19).
    #[default]
    #[serde(rename = "root:root")]
    Root,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> InstallPath {
        text.parse().expect("a good path")
    }

    #[test]
    fn no_path_escapes_the_root() {
        for wrong in ["", "/", "..", "a/../b", "a//b", "./a", "a/.", "a\nb", "a b", "a\\b", "//etc/passwd"] {
            assert!(wrong.parse::<InstallPath>().is_err(), "{wrong:?}");
        }
        assert_eq!(path("/etc/kubernetes").as_str(), "etc/kubernetes");
    }

    #[test]
    fn a_mode_reads_back() {
        assert_eq!("0600".parse(), Ok(Mode::SECRET));
        assert_eq!(Mode::EXECUTABLE.to_string(), "0755");
        assert!("0800".parse::<Mode>().is_err() && "17777".parse::<Mode>().is_err());
    }
}
