//! An artifact as a list of runs: small bytes, and whole files by reference. Nothing large is in memory, and whoever
//! compresses can treat a file's bytes as a run of their own.

use std::io::{self, Read, Write};

use super::pieces::Pieces;
use crate::fetch::Blob;
use crate::hash::HashingReader;
use crate::out::Finished;
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
    Finished(Finished),
}

impl Segment {
    /// What is in an entry; nothing for a directory.
    pub fn of(entry: &Entry) -> Option<Self> {
        match &entry.content {
            Content::Directory => None,
            Content::Bytes(bytes) => Some(Self::Bytes(bytes.to_vec())),
            Content::Secret(secret) => Some(Self::Secret(secret.clone())),
            Content::Blob(blob) => Some(Self::Blob(blob.clone())),
            Content::Finished(file) => Some(Self::Finished(file.clone())),
        }
    }

    /// Length in bytes.
    pub fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Secret(secret) => secret.expose().len() as u64,
            Self::Blob(blob) => blob.size(),
            Self::Pieces(pieces) => pieces.size(),
            Self::Finished(file) => file.size(),
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
    match tree.iter().find(is_elsewhere) {
        Some((path, _)) => Err(io::Error::other(format!("`{path}` does not lie in the root of the volume"))),
        None => Ok(tree.iter().map(|(path, entry)| (path.as_str(), entry)).collect()),
    }
}

/// Writes all of them, one behind the other.
pub fn write_all(segments: &[Segment], writer: &mut impl Write, task: &dyn Task) -> io::Result<()> {
    for segment in segments {
        match segment {
            Segment::Bytes(bytes) => {
                writer.write_all(bytes)?;
                task.advance(bytes.len() as u64);
            }
            Segment::Secret(secret) => {
                writer.write_all(secret.expose())?;
                task.advance(secret.expose().len() as u64);
            }
            Segment::Blob(blob) => {
                let mut reader = HashingReader::new(blob.open()?);
                copy(&mut reader, writer, task)?;
                // The header with the length is written already; a file that changed since would corrupt the archive.
                if reader.finish() != (blob.sha256(), blob.size()) {
                    return Err(io::Error::other(format!("`{}` changed while it was packed", blob.path().display())));
                }
            }
            Segment::Pieces(pieces) => {
                if copy(&mut pieces.read(), writer, task)? != pieces.size() {
                    return Err(io::Error::other("the store changed while it was packed from"));
                }
            }
            Segment::Finished(file) => {
                // Nobody else writes there, and it was hashed a moment ago.
                if copy(&mut file.open()?, writer, task)? != file.size() {
                    return Err(io::Error::other(format!("`{}` changed while it was packed", file.path().display())));
                }
            }
        }
    }
    Ok(())
}

fn copy(reader: &mut impl Read, writer: &mut impl Write, task: &dyn Task) -> io::Result<u64> {
    let mut copied = 0;
    let mut buffer = vec![0; 256 << 10];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(copied),
            Ok(count) => {
                writer.write_all(&buffer[..count])?;
                task.advance(count as u64);
                copied += count as u64;
            }
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            Err(why) => return Err(why),
        }
    }
}
