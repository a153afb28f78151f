//! An artifact as a list of segments: short runs of bytes in memory, and whole files by reference.
//!
//! Programs never are in memory as a whole, and compression can replace the segment of a program by its cached pieces.

use std::io::{self, Write as _};

use super::pieces::Pieces;
use crate::fetch::Blob;
use crate::hash::{HashingReader, Sha256};
use crate::object::{Composition, Object};
use crate::out::{AtomicFileWriter, WrittenFile};
use crate::progress::Task;
use crate::secret::Secret;
use crate::target::InstallPath;
use crate::tree::{Content, Entry, Tree};

/// The text of a file of so many bytes is an object of its own, which all artifacts with that text share. An object costs
/// some 500 bytes in lists, so smaller files are literals of each artifact.
const MIN_TEXT: usize = 4096;

/// How many of its first bytes a file has for itself: all of a small one, and the variables that scripts begin with, up to
/// the first empty line. What follows is the same on other machines.
fn own_length(bytes: &[u8]) -> usize {
    if bytes.len() < MIN_TEXT {
        return bytes.len();
    }
    let empty_line = bytes[..MIN_TEXT].windows(2).position(|it| it == b"\n\n");
    empty_line.filter(|_| bytes.starts_with(b"#!")).map_or(0, |at| at + 2)
}

/// Consecutive bytes of an artifact.
pub enum Segment {
    /// Headers, padding, and files of a few bytes.
    Bytes(Vec<u8>),
    /// Content of a small file with a secret; zeroed in memory when dropped.
    Secret(Secret),
    /// Content of a larger file, or its compressed form.
    Text(Text),
    /// A file of the store. If its bytes no longer match its digest, writing fails.
    Blob(Blob),
    /// A file of the store in compressed form.
    Pieces(Pieces),
    /// An artifact packed earlier, which this one carries.
    WrittenFile(WrittenFile),
}

/// Bytes that other artifacts may have, too.
pub enum Text {
    Public(Vec<u8>),
    /// Zeroed in memory when dropped.
    Secret(Secret),
}

impl Text {
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Public(bytes) => bytes,
            Self::Secret(secret) => secret.expose(),
        }
    }

    /// Other bytes in its place, as secret as these.
    #[must_use]
    pub fn with(&self, bytes: Vec<u8>) -> Self {
        match self {
            Self::Public(_) => Self::Public(bytes),
            Self::Secret(_) => Self::Secret(Secret::new(bytes)),
        }
    }

    fn object(&self) -> Object {
        let bytes = self.bytes();
        let secret = matches!(self, Self::Secret(_));
        Object { secret, ..Object::plain(Sha256::of(bytes), bytes.len() as u64) }
    }
}

impl Segment {
    /// The content of an entry; nothing for a directory or a link.
    pub fn of(entry: &Entry) -> Vec<Self> {
        let segments = match &entry.content {
            Content::Directory | Content::Link(_) => Vec::new(),
            Content::Bytes(bytes) => {
                let (own, text) = bytes.split_at(own_length(bytes));
                let is_secret = entry.mode.hides();
                let text = if is_secret { Text::Secret(Secret::new(text)) } else { Text::Public(text.to_vec()) };
                vec![Self::Bytes(own.to_vec()), Self::Text(text)]
            }
            Content::Secret(secret) => {
                let (own, text) = secret.expose().split_at(own_length(secret.expose()));
                vec![Self::Secret(Secret::new(own)), Self::Text(Text::Secret(Secret::new(text)))]
            }
            Content::Blob(blob) => vec![Self::Blob(blob.clone())],
            Content::WrittenFile(file) => vec![Self::WrittenFile(file.clone())],
        };
        segments.into_iter().filter(|segment| segment.size() > 0).collect()
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Secret(secret) => secret.expose().len() as u64,
            Self::Text(text) => text.bytes().len() as u64,
            Self::Blob(blob) => blob.size(),
            Self::Pieces(pieces) => pieces.size(),
            Self::WrittenFile(file) => file.size(),
        }
    }

    /// Its bytes, unless they are in a file.
    pub fn in_memory(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Secret(secret) => Some(secret.expose()),
            Self::Text(text) => Some(text.bytes()),
            Self::Blob(_) | Self::Pieces(_) | Self::WrittenFile(_) => None,
        }
    }

    /// Padding of `count` zero bytes.
    pub fn zeros(count: usize) -> Self {
        Self::Bytes(vec![0; count])
    }
}

/// The files of a tree for a volume that has a root directory only. It is an error if the tree has directories.
pub fn files_of_root(tree: &Tree) -> io::Result<Vec<(&str, &Entry)>> {
    if let Some((path, _)) = tree.iter().find(|(_, entry)| entry.link_target().is_some()) {
        return Err(io::Error::other(format!("`{path}` is a symbolic link, and the volume holds none")));
    }
    let is_below_root = |(path, entry): &(&InstallPath, &Entry)| entry.is_directory() || path.parent().is_some();
    match tree.iter().find(is_below_root) {
        Some((path, _)) => Err(io::Error::other(format!("`{path}` does not lie in the root of the volume"))),
        None => Ok(tree.iter().map(|(path, entry)| (path.as_str(), entry)).collect()),
    }
}

/// Writes the segments in their order, and says what was written. An error of [`Blob::damaged`] means that the store is
/// damaged, and not the output.
pub fn write_all(segments: &[Segment], to: &mut AtomicFileWriter, task: &dyn Task) -> io::Result<Composition> {
    let mut written = Composition::default();
    let put = |bytes: &[u8], to: &mut AtomicFileWriter, written: &mut Composition| {
        task.advance(bytes.len() as u64);
        written.literals(bytes);
        to.write_all(bytes)
    };
    for segment in segments {
        match segment {
            Segment::Bytes(bytes) => put(bytes, to, &mut written)?,
            Segment::Secret(secret) => put(secret.expose(), to, &mut written)?,
            Segment::Text(text) => {
                to.write_all(text.bytes())?;
                written.object(text.object());
                task.advance(segment.size());
            }
            Segment::Blob(blob) => {
                let mut reader = HashingReader::new(blob.open()?);
                io::copy(&mut reader, to)?;
                // The archive's header, with the length, is written already, and the manifest will have the digest.
                if reader.finish() != (blob.sha256(), blob.size()) {
                    return Err(blob.damaged());
                }
                written.object(Object::plain(blob.sha256(), blob.size()));
                task.advance(blob.size());
            }
            // These were hashed when they were written or opened by this process.
            Segment::Pieces(pieces) => {
                pieces.append_to(to, |count| task.advance(count))?;
                written.object(pieces.object());
            }
            Segment::WrittenFile(file) => {
                to.copy(&file.open()?, 0, file.size(), |count| task.advance(count))?;
                written.file(file.runs());
            }
        }
    }
    Ok(written)
}
