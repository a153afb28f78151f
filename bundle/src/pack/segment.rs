//! An artifact as a list of runs: small bytes, and whole files by reference. Nothing large is in memory, and whoever
//! compresses can treat a file's bytes as a run of their own.

use std::io::{self, Write as _};

use super::pieces::Pieces;
use crate::fetch::Blob;
use crate::hash::HashingReader;
use crate::out::{AtomicFileWriter, WrittenFile};
use crate::progress::Task;
use crate::secret::Secret;
use crate::target::InstallPath;
use crate::tree::{Content, Entry, Tree};

/// One run of bytes.
pub enum Segment {
    /// Headers, padding, public text.
    Bytes(Vec<u8>),
    /// A file that only its owner may read.
    Secret(Secret),
    /// A file of the store; its length is as promised or the packing fails.
    Blob(Blob),
    /// A file of the store, compressed.
    Pieces(Pieces),
    /// An artifact that another one carries.
    WrittenFile(WrittenFile),
}

impl Segment {
    /// What is in an entry; nothing for a directory or a link.
    pub fn of(entry: &Entry) -> Option<Self> {
        match &entry.content {
            Content::Directory | Content::Link(_) => None,
            Content::Bytes(bytes) => Some(Self::Bytes(bytes.to_vec())),
            Content::Secret(secret) => Some(Self::Secret(secret.clone())),
            Content::Blob(blob) => Some(Self::Blob(blob.clone())),
            Content::WrittenFile(file) => Some(Self::WrittenFile(file.clone())),
        }
    }

    /// Length in bytes.
    pub fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Secret(secret) => secret.expose().len() as u64,
            Self::Blob(blob) => blob.size(),
            Self::Pieces(pieces) => pieces.size(),
            Self::WrittenFile(file) => file.size(),
        }
    }

    /// Zeros.
    pub fn zeros(count: usize) -> Self {
        Self::Bytes(vec![0; count])
    }
}

/// The files of a tree that has no directory, as a volume with nothing but a root wants them.
pub fn files_of_root(tree: &Tree) -> io::Result<Vec<(&str, &Entry)>> {
    let is_elsewhere = |(path, entry): &(&InstallPath, &Entry)| entry.is_directory() || path.parent().is_some();
    if let Some((path, _)) = tree.iter().find(|(_, entry)| entry.link_target().is_some()) {
        return Err(io::Error::other(format!("`{path}` is a symbolic link, and the volume holds none")));
    }
    match tree.iter().find(is_elsewhere) {
        Some((path, _)) => Err(io::Error::other(format!("`{path}` does not lie in the root of the volume"))),
        None => Ok(tree.iter().map(|(path, entry)| (path.as_str(), entry)).collect()),
    }
}

/// Writes all of them, one behind the other.
pub fn write_all(segments: &[Segment], to: &mut AtomicFileWriter, task: &dyn Task) -> io::Result<()> {
    let put = |bytes: &[u8], to: &mut AtomicFileWriter| {
        task.advance(bytes.len() as u64);
        to.write_all(bytes)
    };
    for segment in segments {
        match segment {
            Segment::Bytes(bytes) => put(bytes, to)?,
            Segment::Secret(secret) => put(secret.expose(), to)?,
            Segment::Blob(blob) => {
                let mut reader = HashingReader::new(blob.open()?);
                io::copy(&mut reader, to)?;
                // The header with the length is written already; a file with other bytes would corrupt the archive.
                if reader.finish() != (blob.sha256(), blob.size()) {
                    return Err(blob.damaged());
                }
                task.advance(blob.size());
            }
            // These were hashed a moment ago, and nobody else writes there.
            Segment::Pieces(pieces) => to.copy(pieces.file(), pieces.size(), |count| task.advance(count))?,
            Segment::WrittenFile(file) => to.copy(&file.open()?, file.size(), |count| task.advance(count))?,
        }
    }
    Ok(())
}
