//! The narrow waist: what lies where on a machine, and with which rights.
//!
//! Everything above this type knows Kubernetes and no archive format; every packer below it knows its
//! format and no Kubernetes. A [`Tree`] is complete (parents are present), sorted, and free of conflicts
//! by construction, so a packer only walks.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::fetch::Blob;
use crate::hash::Sha256;
use crate::secret::Secret;

/// A path on the target, written without its leading slash: `usr/local/bin/kubectl`.
///
/// It never escapes the root: no empty, `.` or `..` part, and no control character that a checksum list or
/// a tar listing would render ambiguous.
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

/// What an entry holds.
#[derive(Debug, Clone)]
pub enum Content {
    /// Nothing: the entry is a directory.
    Directory,
    /// Text or bytes that anyone may see.
    Bytes(Arc<[u8]>),
    /// Bytes that only the owner may see.
    Secret(Secret),
    /// A verified file of the store, read when it is packed.
    Blob(Blob),
}

/// One file or directory.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Permission bits.
    pub mode: Mode,
    /// Owner and group.
    pub owner: Owner,
    /// What is in it.
    pub content: Content,
}

impl Entry {
    /// A directory.
    pub fn directory(mode: Mode) -> Self {
        Self { mode, owner: Owner::Root, content: Content::Directory }
    }

    /// A file of text that holds no secret.
    pub fn text(mode: Mode, text: impl AsRef<[u8]>) -> Self {
        Self { mode, owner: Owner::Root, content: Content::Bytes(text.as_ref().into()) }
    }

    /// Length in bytes; 0 for a directory.
    pub fn size(&self) -> u64 {
        match &self.content {
            Content::Directory => 0,
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::Secret(secret) => secret.expose().len() as u64,
            Content::Blob(blob) => blob.size(),
        }
    }

    /// Digest of a file's content; `None` for a directory. A blob's is known already and not computed again.
    pub fn sha256(&self) -> Option<Sha256> {
        match &self.content {
            Content::Directory => None,
            Content::Bytes(bytes) => Some(Sha256::of(bytes)),
            Content::Secret(secret) => Some(Sha256::of(secret.expose())),
            Content::Blob(blob) => Some(blob.sha256()),
        }
    }

    /// Whether this is a directory.
    pub fn is_directory(&self) -> bool {
        matches!(self.content, Content::Directory)
    }
}

/// Two things that can't both be at one place.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`/{0}` is planned twice, or is both a file and a directory")]
pub struct Conflict(InstallPath);

/// Sorted entries, each with its parents present.
#[derive(Debug, Clone, Default)]
pub struct Tree(BTreeMap<InstallPath, Entry>);

impl Tree {
    /// Puts `entry` at `path`. Missing parents become directories everyone may enter, so a parent that
    /// wants other rights comes first.
    pub fn insert(&mut self, path: InstallPath, entry: Entry) -> Result<(), Conflict> {
        let mut parent = path.parent();
        while let Some(directory) = parent {
            parent = directory.parent();
            let entry = self.0.entry(directory.clone()).or_insert_with(|| Entry::directory(Mode::EXECUTABLE));
            if !entry.is_directory() {
                return Err(Conflict(directory));
            }
        }
        if self.0.contains_key(&path) {
            return Err(Conflict(path));
        }
        self.0.insert(path, entry);
        Ok(())
    }

    /// Entries by path; a directory comes before what lies in it.
    pub fn iter(&self) -> impl Iterator<Item = (&InstallPath, &Entry)> {
        self.0.iter()
    }

    /// Entries that are no directories.
    pub fn files(&self) -> impl Iterator<Item = (&InstallPath, &Entry)> {
        self.iter().filter(|(_, entry)| !entry.is_directory())
    }

    /// Bytes of all files together.
    pub fn size(&self) -> u64 {
        self.files().map(|(_, entry)| entry.size()).sum()
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
    fn parents_come_first_and_keep_their_rights() {
        let mut tree = Tree::default();
        tree.insert(path("var/lib/kubernetes"), Entry::directory(Mode::PRIVATE)).expect("free");
        tree.insert(path("var/lib/kubernetes/ca.pem"), Entry::text(Mode::PUBLIC, "x")).expect("free");
        let listing: Vec<_> = tree.iter().map(|(path, entry)| format!("{} {path}", entry.mode)).collect();
        assert_eq!(listing, ["0755 var", "0755 var/lib", "0700 var/lib/kubernetes", "0644 var/lib/kubernetes/ca.pem"]);
    }

    #[test]
    fn two_things_at_one_place_are_refused() {
        let mut tree = Tree::default();
        tree.insert(path("etc/a"), Entry::text(Mode::PUBLIC, "1")).expect("free");
        assert!(tree.insert(path("etc/a"), Entry::text(Mode::PUBLIC, "2")).is_err());
        assert!(tree.insert(path("etc/a/b"), Entry::text(Mode::PUBLIC, "3")).is_err());
    }
}
