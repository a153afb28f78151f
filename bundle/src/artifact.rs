//! What `assemble` hands to `pack`, and what comes back: one output as trees, and the files that were written for it.

use std::collections::BTreeMap;

use crate::manifest::Member;
use crate::out::WrittenFile;
use crate::package::debian::DebianPackage;
use crate::tree::{Entry, Tree};

/// What one output is made from.
#[derive(Debug)]
pub enum ArtifactInput {
    /// The files of a directory, as they are.
    Directory(Tree),
    /// One file, as it is.
    File(Entry),
    /// A compressed tar archive.
    Archive(Tree),
    /// A Debian package.
    Debian(Box<DebianPackage>),
    /// A file system, or an archive that the kernel unpacks.
    Image {
        /// Which kind.
        kind: ImageKind,
        /// The name of its file system.
        label: &'static str,
        /// Its files.
        tree: Tree,
    },
}

/// Kinds of image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageKind {
    /// ISO 9660 with Rock Ridge.
    Iso,
    /// FAT16 with long names.
    Vfat,
    /// cpio, `newc`.
    Cpio,
}

/// One file that was written for an output.
#[derive(Debug)]
pub struct Written {
    /// The file itself.
    pub file: WrittenFile,
    /// What is inside, where something was packed.
    pub entries: Option<BTreeMap<String, Member>>,
    /// What an index of packages says of it.
    pub stanza: Option<String>,
}

/// Everything that was written so far, by its path in the output directory.
pub type WrittenFiles = BTreeMap<String, Written>;
