//! The narrow waist: what lies where on a machine, and with which rights.
//!
//! Everything above this type knows Kubernetes and no archive format; every packer below it knows its
//! format and no Kubernetes. A [`Tree`] is complete (parents are present), sorted, and free of conflicts
//! by construction, so a packer only walks.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::fetch::Blob;
use crate::hash::Sha256;
use crate::out::WrittenFile;
use crate::secret::Secret;
use crate::target::{InstallPath, Mode, Owner};

/// The content of an entry.
#[derive(Debug, Clone)]
pub enum Content {
    /// Nothing: the entry is a directory.
    Directory,
    /// Nothing: the entry is a symbolic link to this path, which may be relative.
    Link(String),
    /// Text or bytes that anyone may see.
    Bytes(Arc<[u8]>),
    /// Bytes that only the owner may see.
    Secret(Secret),
    /// A verified file of the store, read when it is packed.
    Blob(Blob),
    /// An artifact that another one carries.
    WrittenFile(WrittenFile),
}

/// One file, link or directory.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Permission bits.
    pub mode: Mode,
    /// Owner and group.
    pub owner: Owner,
    /// The content.
    pub content: Content,
}

impl Entry {
    /// A directory.
    pub fn directory(mode: Mode) -> Self {
        Self { mode, owner: Owner::ROOT, content: Content::Directory }
    }

    /// A symbolic link; [`is_link_target`](crate::target::is_link_target) says what can be one's target.
    pub fn link(target: impl Into<String>) -> Self {
        Self { mode: Mode::LINK, owner: Owner::ROOT, content: Content::Link(target.into()) }
    }

    /// A file of text that holds no secret.
    pub fn text(mode: Mode, text: impl AsRef<[u8]>) -> Self {
        Self { mode, owner: Owner::ROOT, content: Content::Bytes(text.as_ref().into()) }
    }

    /// Length in bytes; 0 for a directory or a link.
    pub fn size(&self) -> u64 {
        match &self.content {
            Content::Directory | Content::Link(_) => 0,
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::Secret(secret) => secret.expose().len() as u64,
            Content::Blob(blob) => blob.size(),
            Content::WrittenFile(file) => file.size(),
        }
    }

    /// Digest of a file's content; `None` for a directory or a link. A blob's is known already and not computed again.
    pub fn sha256(&self) -> Option<Sha256> {
        match &self.content {
            Content::Directory | Content::Link(_) => None,
            Content::Bytes(bytes) => Some(Sha256::of(bytes)),
            Content::Secret(secret) => Some(Sha256::of(secret.expose())),
            Content::Blob(blob) => Some(blob.sha256()),
            Content::WrittenFile(file) => Some(file.sha256()),
        }
    }

    /// Where a link leads to; `None` for anything else.
    pub fn link_target(&self) -> Option<&str> {
        match &self.content {
            Content::Link(target) => Some(target),
            _ => None,
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

    /// Removes files that `keep` says no to; directories stay.
    pub fn retain(&mut self, keep: impl Fn(&Entry) -> bool) {
        self.0.retain(|_, entry| entry.is_directory() || keep(entry));
    }

    /// The entry at `path`.
    pub fn get(&self, path: &InstallPath) -> Option<&Entry> {
        self.0.get(path)
    }

    /// Entries by path; a directory comes before what lies in it.
    pub fn iter(&self) -> impl Iterator<Item = (&InstallPath, &Entry)> {
        self.0.iter()
    }

    /// Entries that are no directories.
    pub fn files(&self) -> impl Iterator<Item = (&InstallPath, &Entry)> {
        self.iter().filter(|(_, entry)| !entry.is_directory())
    }

    /// Whether anything in it is for its owner's eyes alone.
    pub fn holds_secrets(&self) -> bool {
        self.files().any(|(_, entry)| match &entry.content {
            Content::Secret(_) => true,
            Content::WrittenFile(file) => file.mode() == Mode::SECRET,
            Content::Directory | Content::Link(_) | Content::Bytes(_) | Content::Blob(_) => false,
        })
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
