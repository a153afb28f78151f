//! Reading our own artifacts back, with readers that share no code with the writers.
//!
//! Names, sizes and counts in a file are claims of whoever made it: every one of them has a limit.

mod cpio;
mod deb;
mod extent;
mod fat;
mod iso;
mod tar;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use md5::{Digest as _, Md5};

use crate::hash::HashingReader;
use crate::manifest::Member;
use crate::printable::printable;
use crate::regular::{self, Links};
use crate::target::Mode;

/// Bytes of a text that is kept while an archive streams by.
const LARGEST_TEXT: u64 = 4 << 20;
/// Texts that are kept, unless more names are asked for, each of which an artifact has once.
const MOST_TEXTS: usize = 16;
/// Bytes of a path; `PATH_MAX` of Linux.
const LONGEST_NAME: u64 = 4096;
/// A node has fewer than a thousand.
const MOST_ENTRIES: usize = 100_000;
/// Bytes of all names together.
const LARGEST_NAMES: usize = 16 << 20;
/// Bytes that an artifact may have when it is unpacked; the largest images of a node are a tenth of this.
pub const LARGEST_CONTENT: u64 = 16 << 30;

/// What kind of file an artifact is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Kind {
    /// A gzipped tar archive.
    #[default]
    Tarball,
    /// A Debian package.
    Deb,
    /// A volume with ISO 9660 and Rock Ridge.
    Iso,
    /// A volume with FAT16.
    Fat,
    /// A cpio archive for an initramfs.
    Cpio,
}

/// What an archive holds.
#[derive(Debug, Default)]
pub struct Contents {
    /// Its kind.
    pub kind: Kind,
    /// Entries by path; a package's control archive lies below `DEBIAN/`.
    pub entries: BTreeMap<String, Member>,
    /// Text of the files that [`read`] was asked to keep, by their path.
    pub kept: BTreeMap<String, String>,
    /// What is not owned by root.
    pub foreign: Vec<String>,
    /// MD5 of each file of a package, which is all that its own list has.
    pub md5: BTreeMap<String, String>,
    /// Name of a volume.
    pub label: Option<String>,
    /// Bytes of all names so far.
    names: usize,
}

impl Contents {
    /// Refuses a path that could lead elsewhere, is there already, or is one too many.
    fn admit(&mut self, name: &str) -> io::Result<()> {
        if !name.split('/').all(|part| !matches!(part, "" | "." | "..")) {
            return Err(broken(format!("{} is not a plain relative path", quoted(name))));
        }
        if self.entries.contains_key(name) {
            return Err(broken(format!("{} is there twice", quoted(name))));
        }
        self.names += name.len();
        if self.entries.len() >= MOST_ENTRIES {
            return Err(broken(format!("it has more than {MOST_ENTRIES} entries")));
        }
        if name.len() as u64 > LONGEST_NAME || self.names > LARGEST_NAMES {
            return Err(broken("its names are too long"));
        }
        Ok(())
    }

    fn directory(&mut self, name: String, mode: Mode) -> io::Result<()> {
        self.admit(&name)?;
        self.entries.insert(name, Member { mode, size: None, sha256: None, link: None, secret: false });
        Ok(())
    }

    /// Adds a symbolic link. Its target is compared with the lists, never followed.
    fn link(&mut self, name: String, mode: Mode, target: String) -> io::Result<()> {
        self.admit(&name)?;
        self.entries.insert(name, Member { mode, size: None, sha256: None, link: Some(target), secret: false });
        Ok(())
    }

    /// Reads a file to its end, which has to be `size` bytes away.
    fn file(&mut self, name: String, mode: Mode, size: u64, mut content: impl Read, keep: &[&str]) -> io::Result<()> {
        self.admit(&name)?;
        let kept = keep.contains(&name.rsplit('/').next().unwrap_or(&name));
        if kept && (size > LARGEST_TEXT || self.kept.len() >= MOST_TEXTS.max(keep.len())) {
            return Err(broken(format!("{} is larger than any list, or one list too many", quoted(&name))));
        }
        let mut reader = HashingReader::new(&mut content);
        let mut md5 = (self.kind == Kind::Deb).then(Md5::new);
        let mut text = Vec::new();
        let mut buffer = vec![0; 128 << 10];
        loop {
            let count = reader.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            if let Some(md5) = &mut md5 {
                md5.update(&buffer[..count]);
            }
            if kept {
                text.extend_from_slice(&buffer[..count]);
            }
        }
        let (sha256, length) = reader.finish();
        if length != size {
            return Err(broken(format!("{} is truncated: expected {size} bytes, got {length}", quoted(&name))));
        }
        if kept {
            let text = String::from_utf8(text).map_err(|_| broken(format!("{} is not text", quoted(&name))))?;
            self.kept.insert(name.clone(), text);
        }
        if let Some(md5) = md5 {
            self.md5.insert(name.clone(), crate::hash::Md5::from(md5).to_string());
        }
        self.entries.insert(name, Member { mode, size: Some(size), sha256: Some(sha256), link: None, secret: false });
        Ok(())
    }
}

/// Lists an artifact, whatever it is, hashing every file in it. Files whose name is in `keep` are returned as text as
/// well.
///
/// The error is [`io::ErrorKind::Unsupported`] for a file of another kind.
pub fn read(path: &Path, keep: &[&str]) -> io::Result<Contents> {
    read_at_most(path, keep, LARGEST_CONTENT)
}

/// The same; what has more than `most` bytes when it is unpacked is an error.
pub fn read_at_most(path: &Path, keep: &[&str], most: u64) -> io::Result<Contents> {
    list(&regular::open(path, Links::Follow)?, keep, most)
}

/// Lists an artifact that is open already.
pub fn list(file: &File, keep: &[&str], most: u64) -> io::Result<Contents> {
    let mut stream = BufReader::with_capacity(256 << 10, file);
    let kind = kind(stream.fill_buf()?)?;
    let mut contents = Contents { kind, ..Contents::default() };
    match kind {
        Kind::Tarball => tar::read(Bounded::new(MultiGzDecoder::new(stream), most), "", keep, &mut contents)?,
        Kind::Deb => deb::read(stream, most, keep, &mut contents)?,
        Kind::Iso => iso::read(file, keep, &mut contents)?,
        Kind::Fat => fat::read(file, keep, &mut contents)?,
        Kind::Cpio => cpio::read(Bounded::new(stream, most), keep, &mut contents)?,
    }
    Ok(contents)
}

fn kind(begin: &[u8]) -> io::Result<Kind> {
    if begin.starts_with(deb::MAGIC) {
        Ok(Kind::Deb)
    } else if begin.starts_with(cpio::MAGIC) {
        Ok(Kind::Cpio)
    } else if iso::is_one(begin) {
        Ok(Kind::Iso)
    } else if fat::is_one(begin) {
        Ok(Kind::Fat)
    } else if begin.starts_with(b"\x1f\x8b") {
        Ok(Kind::Tarball)
    } else {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "not a file that kube-bundle packs: expected a .tar.gz, a .deb, an image with ISO 9660 or FAT16, or a cpio archive",
        ))
    }
}

/// A stream that is an error once it has yielded more than it may.
struct Bounded<R> {
    inner: R,
    most: u64,
    left: u64,
}

impl<R> Bounded<R> {
    fn new(inner: R, most: u64) -> Self {
        Self { inner, most, left: most }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or_else(|| broken(format!("it has more than {} bytes when it is unpacked", self.most)))?;
        Ok(count)
    }
}

/// Reads what is left, which has to be zeros.
fn only_zeros(mut reader: impl Read, after: &str) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(()),
            count if buffer[..count].iter().any(|byte| *byte != 0) => {
                return Err(broken(format!("trailing data after {after}")));
            }
            _ => {}
        }
    }
}

/// The permission bits of a mode.
fn rights(mode: u32) -> io::Result<Mode> {
    format!("{:o}", mode & 0o7777).parse().map_err(io::Error::other)
}

fn utf8(name: &[u8]) -> io::Result<String> {
    String::from_utf8(name.to_vec())
        .map_err(|_| broken(format!("{} is not UTF-8", quoted(&String::from_utf8_lossy(name)))))
}

fn quoted(name: &str) -> String {
    format!("`{}`", printable(name))
}

fn broken(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.into())
}
