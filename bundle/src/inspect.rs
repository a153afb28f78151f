//! Reading our own artifacts back, with readers that share no code with the writers.

mod cpio;
mod deb;
mod fat;
mod iso;

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use md5::{Digest as _, Md5};

use crate::hash::HashingReader;
use crate::manifest::{CONTROL, Member};
use crate::target::Mode;

/// Texts worth keeping while an archive streams by; nothing larger than this is one.
const LONGEST_TEXT: u64 = 4 << 20;

/// The longest path that is read.
const LONGEST_NAME: u64 = 4096;

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
    /// What it is.
    pub kind: Kind,
    /// Entries by path; a package's control archive lies below `DEBIAN/`.
    pub entries: BTreeMap<String, Member>,
    /// Text of the files that [`read`] was asked to keep, by their last path part.
    pub kept: BTreeMap<String, String>,
    /// What is not root's.
    pub foreign: Vec<String>,
    /// MD5 of each file of a package, which is all that its own list has.
    pub md5: BTreeMap<String, String>,
}

impl Contents {
    fn directory(&mut self, name: String, mode: Mode) {
        self.entries.insert(name, Member { mode, size: None, sha256: None });
    }

    /// Reads a file to its end.
    fn file(&mut self, name: String, mode: Mode, mut content: impl Read, keep: &[&str]) -> io::Result<()> {
        let last = name.rsplit('/').next().unwrap_or(&name).to_owned();
        let kept = keep.contains(&last.as_str()) && !self.kept.contains_key(&last);
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
            if kept && (text.len() as u64) < LONGEST_TEXT {
                text.extend_from_slice(&buffer[..count]);
            }
        }
        if kept {
            self.kept.insert(last, String::from_utf8(text).map_err(io::Error::other)?);
        }
        if let Some(md5) = md5 {
            self.md5.insert(name.clone(), crate::hash::Md5::from(md5).to_string());
        }
        let (sha256, size) = reader.finish();
        self.entries.insert(name, Member { mode, size: Some(size), sha256: Some(sha256) });
        Ok(())
    }
}

/// Lists an artifact, whatever it is, hashing every file in it. Files whose name is in `keep` are returned as text as
/// well.
#[expect(clippy::disallowed_methods, reason = "reads a file the user named")]
pub fn read(path: &Path, keep: &[&str]) -> io::Result<Contents> {
    let mut file = BufReader::with_capacity(256 << 10, std::fs::File::open(path)?);
    let begin = file.fill_buf()?;
    let kind = if begin.starts_with(deb::MAGIC) {
        Kind::Deb
    } else if begin.starts_with(cpio::MAGIC) {
        Kind::Cpio
    } else if iso::is_one(begin) {
        Kind::Iso
    } else if fat::is_one(begin) {
        Kind::Fat
    } else {
        Kind::Tarball
    };
    let mut contents = Contents { kind, ..Contents::default() };
    match kind {
        Kind::Tarball => tar(MultiGzDecoder::new(file), "", keep, &mut contents)?,
        Kind::Deb => deb::read(file, keep, &mut contents)?,
        Kind::Iso => iso::read(&mut file, keep, &mut contents)?,
        Kind::Fat => fat::read(&mut file, keep, &mut contents)?,
        Kind::Cpio => cpio::read(&mut file, keep, &mut contents)?,
    }
    Ok(contents)
}

/// Lists a tar stream to its end; paths are put below `directory`.
fn tar(stream: impl Read, directory: &str, keep: &[&str], contents: &mut Contents) -> io::Result<()> {
    let mut archive = ::tar::Archive::new(stream);
    let mut long_name = None;
    // Raw, because a long name is read into memory otherwise, however long it says it is.
    for entry in archive.entries()?.raw(true) {
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        if kind.is_gnu_longname() && entry.size() <= LONGEST_NAME {
            let mut text = String::new();
            entry.read_to_string(&mut text)?;
            long_name = Some(text.trim_end_matches('\0').to_owned());
            continue;
        }
        let path = long_name.take().unwrap_or_else(|| String::from_utf8_lossy(&entry.path_bytes()).into_owned());
        let path = path.trim_start_matches("./").trim_end_matches('/');
        let name = format!("{directory}{path}");
        if !(kind.is_file() || kind.is_dir()) {
            return Err(io::Error::other(format!(
                "`{name}` is neither a file nor a directory, and no build writes such"
            )));
        }
        if directory.is_empty() && contents.kind == Kind::Deb && name.split('/').next() == Some(CONTROL) {
            return Err(io::Error::other(format!(
                "`{name}` among the files would pass for a part of the control archive"
            )));
        }
        if entry.header().uid()? != 0 || entry.header().gid()? != 0 {
            contents.foreign.push(name.clone());
        }
        let mode: Mode = format!("{:o}", entry.header().mode()? & 0o7777).parse().map_err(io::Error::other)?;
        match (kind.is_dir(), path) {
            (true, "" | ".") => {}
            (true, _) => contents.directory(name, mode),
            (false, _) => contents.file(name, mode, &mut entry, keep)?,
        }
    }
    // What stands behind the archive's end belongs to nobody, and a cut stream shows only there.
    io::copy(&mut archive.into_inner(), &mut io::sink())?;
    Ok(())
}

fn broken(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.into())
}
