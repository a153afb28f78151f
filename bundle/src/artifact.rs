//! What `assemble` hands to `pack`, and what comes back: one output as trees, and the files that were written for it.

use std::collections::BTreeMap;

use crate::debian::DebianPackage;
use crate::fetch::Blobs;
use crate::hash::Sha256;
use crate::manifest::origin::ComponentRecord;
use crate::manifest::{Artifact, Built, FileRecord, Manifest, Member};
use crate::out::WrittenFile;
use crate::pki::Pki;
use crate::plan::Plan;
use crate::tree::{Entry, Tree};

/// The content of one output, ready to be packed.
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
        kind: ImageKind,
        /// The name of its file system.
        label: &'static str,
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
    /// Entries of an archive, package or image; `None` for a file that is written as it is.
    pub entries: Option<BTreeMap<String, Member>>,
    /// The control fields of a package, for the index.
    pub stanza: Option<String>,
}

/// Everything that was written so far, by its path in the output directory.
pub type WrittenFiles = BTreeMap<String, Written>;

/// The manifest of everything that was written; `cluster_toml` is the digest of that file.
pub fn manifest(cluster_toml: Sha256, plan: &Plan, blobs: &Blobs, pki: &Pki, mut written: WrittenFiles) -> Manifest {
    let artifacts = plan.outputs.iter().filter_map(|output| {
        let entries = written.get_mut(&output.path)?.entries.take()?;
        let node = output.kind.node().map(ToString::to_string);
        Some((output.path.clone(), Artifact { node, format: output.kind.format()?.to_string(), entries }))
    });
    let artifacts = artifacts.collect();
    let find = |component: &str| blobs.get(component).map(|blob| (blob.sha256(), blob.size()));
    let built = Built {
        cluster_toml: Some(cluster_toml),
        window: pki.window(),
        certificates: pki.records(&plan.content.pki),
        bootstrap_token_expires: Some(pki.token().expiration),
        components: plan.content.downloads.iter().flat_map(|it| ComponentRecord::of(it, find)).collect(),
        files: written.iter().map(|(path, it)| (path.clone(), FileRecord::of(&it.file))).collect(),
        artifacts,
    };
    Manifest::new(plan, built)
}
