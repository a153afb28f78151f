//! Where a file lies on a machine, and with which rights.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A path on the target, written without its leading slash: `usr/local/bin/kubectl`.
///
/// It never escapes the root: no empty, `.` or `..` part, no control character that a checksum list or a tar listing would
/// render ambiguous, and nothing that a shell would take for more than a letter.
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

/// What means something to a shell.
const SPECIAL: &str = "'\"$`;|&<>()*?[]{}!#";

/// Whether it can be a part of a path, but for the characters in `also`.
fn is_plain(part: &str, also: &str) -> bool {
    let is_plain = |c: char| !c.is_control() && !matches!(c, ' ' | '\\') && (!SPECIAL.contains(c) || also.contains(c));
    !matches!(part, "" | "." | "..") && !part.starts_with('~') && part.chars().all(is_plain)
}

/// Text that names no file below the root.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{0}` is no path below the root: parts may not be empty, `.`, `..`, begin with `~`, or hold control characters, spaces, backslashes or any of {SPECIAL}"
)]
pub struct NotAnInstallPath(String);

impl InstallPath {
    /// A path that is written in this program, or joined from names that were checked.
    ///
    /// # Panics
    /// If `text` is not an install path: that is a bug in this program.
    pub(crate) fn known(text: &str) -> Self {
        text.parse().unwrap_or_else(|why| unreachable!("built from checked names: {why}"))
    }

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
        if path.split('/').all(|part| is_plain(part, "")) {
            Ok(Self(path.to_owned()))
        } else {
            Err(NotAnInstallPath(text.to_owned()))
        }
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

/// Whether a symbolic link can lead there: a path, relative perhaps, that is one word and fits a header of tar (100 bytes).
pub fn is_link_target(text: &str) -> bool {
    let parts = text.strip_prefix('/').unwrap_or(text);
    text.len() <= 100 && parts.split('/').all(|part| part == ".." || is_plain(part, ""))
}

/// Paths of which the last part may be a pattern of glob(7): `var/log/kubernetes/audit-[0-9]*.log`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PathPattern(String);

impl TryFrom<String> for PathPattern {
    type Error = NotAnInstallPath;

    fn try_from(text: String) -> Result<Self, NotAnInstallPath> {
        let path = text.strip_prefix('/').unwrap_or(&text);
        let (parent, last) = path.rsplit_once('/').unwrap_or(("root", path));
        parent.parse::<InstallPath>()?;
        if is_plain(last, "*?[]") { Ok(Self(path.to_owned())) } else { Err(NotAnInstallPath(text)) }
    }
}

impl From<PathPattern> for String {
    fn from(pattern: PathPattern) -> Self {
        pattern.0
    }
}

impl fmt::Display for PathPattern {
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
    /// A symbolic link; the file that it leads to has the rights.
    pub const LINK: Self = Self(0o777);

    /// The bits as `chmod(2)` takes them.
    pub fn bits(self) -> u32 {
        u32::from(self.0)
    }

    /// Whether a build may give it to a file of its output: others than the owner write none, and programs run as whoever
    /// starts them.
    pub fn is_of_output(self) -> bool {
        self.0 & 0o7022 == 0
    }

    /// Whether only its owner and group may read the file, as every file with a secret.
    pub fn hides(self) -> bool {
        self.0 & 0o004 == 0
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

/// Who owns an entry on the target, written `user:group`. Archives and packages hold everything as root's; the installer
/// and the package's scripts give it away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    user: Cow<'static, str>,
    group: Cow<'static, str>,
}

impl Owner {
    /// `root:root`, as the control plane's files are (CIS 1.1.2 to 1.1.19).
    pub const ROOT: Self = Self { user: Cow::Borrowed("root"), group: Cow::Borrowed("root") };

    /// Name of the user.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Name of the group.
    pub fn group(&self) -> &str {
        &self.group
    }
}

impl Default for Owner {
    fn default() -> Self {
        Self::ROOT
    }
}

/// Whether `useradd` takes it on every distribution (useradd(8), 32 characters with the NUL).
pub fn is_user_name(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
    name.len() < 32 && name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_') && name.chars().all(inner)
}

impl FromStr for Owner {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some((user, group)) if is_user_name(user) && is_user_name(group) => {
                Ok(Self { user: Cow::Owned(user.to_owned()), group: Cow::Owned(group.to_owned()) })
            }
            _ => Err(format!("expected an owner such as `root:root`, names of lower-case letters, got `{text}`")),
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.user, self.group)
    }
}

impl Serialize for Owner {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Owner {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
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
    fn no_path_means_anything_to_a_shell() {
        for wrong in
            ["usr/bin/ku'$(id)*;bectl", "a$b", "a`b`", "a;b", "a*", "a?", "[a]", "{a,b}", "a&", "a|b", "~root/a"]
        {
            assert!(wrong.parse::<InstallPath>().is_err(), "{wrong:?}");
        }
        // Debian's sign for what comes before a release.
        assert!("deb/kubectl_1.17.0~rc.1-1_amd64.deb".parse::<InstallPath>().is_ok());
        let pattern = |text: &str| PathPattern::try_from(text.to_owned());
        assert!(pattern("var/log/audit-[0-9]*T*.log").is_ok());
        for wrong in ["var/*/audit.log", "var/log/$(id)*", "var/log/..", "a b"] {
            assert!(pattern(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_link_leads_to_a_path() {
        assert!(is_link_target("../lib/a") && is_link_target("/usr/lib/a") && is_link_target("a"));
        for wrong in ["", "/", "a b", "a\nb", "a//b", "$(id)", &"a".repeat(101)] {
            assert!(!is_link_target(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn an_owner_reads_back() {
        assert_eq!("root:root".parse(), Ok(Owner::ROOT));
        assert_eq!("etcd:etcd".parse::<Owner>().map(|owner| owner.to_string()).as_deref(), Ok("etcd:etcd"));
        for wrong in ["etcd", "etcd:", "0:0", "Etcd:etcd", "a b:c", "a'b:c", ":"] {
            assert!(wrong.parse::<Owner>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_mode_reads_back() {
        assert_eq!("0600".parse(), Ok(Mode::SECRET));
        assert_eq!(Mode::EXECUTABLE.to_string(), "0755");
        assert!("0800".parse::<Mode>().is_err() && "17777".parse::<Mode>().is_err());
    }
}
