//! A tar archive whose members are listed once, and then read in any order where they lie. Nothing is unpacked, so a member's
//! name is never a path on the disk.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::Fault;
use super::store::open_local;

const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Where the content of a member lies in the archive, after decompression; in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Span {
    offset: u64,
    pub(super) size: u64,
    /// Whether the member itself is compressed.
    pub(super) is_gzip: bool,
}

impl Span {
    /// Reads it from the archive at `path`. A compressed one is decompressed from its beginning, since there is no other way.
    pub(super) fn open(self, path: &Path, is_gzip: bool) -> Result<Box<dyn Read>, Fault> {
        let failed = |source| Fault::Disk { verb: "read", path: path.to_owned(), source };
        let (mut file, _) = open_local(path)?;
        if is_gzip {
            let mut plain = MultiGzDecoder::new(file);
            io::copy(&mut (&mut plain).take(self.offset), &mut io::sink()).map_err(failed)?;
            return Ok(Box::new(plain.take(self.size)));
        }
        file.seek(SeekFrom::Start(self.offset)).map_err(failed)?;
        Ok(Box::new(file.take(self.size)))
    }
}

enum Member {
    File(Span),
    /// The member that is meant.
    Link(String),
}

pub(super) struct TarFile {
    path: PathBuf,
    is_gzip: bool,
    members: BTreeMap<String, Member>,
}

impl TarFile {
    /// Lists the members. The answer is `None` if `is_wanted` says so of the first one.
    pub(super) fn list(path: &Path, is_wanted: fn(&str) -> bool) -> Result<Option<Self>, String> {
        let (mut file, length) = open_local(path).map_err(|fault| fault.to_string())?;
        let (mut head, broken) = (Vec::new(), |why: io::Error| format!("not a complete tar archive: {why}"));
        (&mut file).take(2).read_to_end(&mut head).and_then(|_| file.rewind()).map_err(broken)?;
        let is_gzip = head == GZIP;
        let members = if is_gzip {
            let mut archive = tar::Archive::new(MultiGzDecoder::new(file));
            members(archive.entries().map_err(broken)?, u64::MAX, is_wanted)?
        } else {
            let mut archive = tar::Archive::new(file);
            members(archive.entries_with_seek().map_err(broken)?, length, is_wanted)?
        };
        Ok(members.map(|members| Self { path: path.to_owned(), is_gzip, members }))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the archive as a whole is compressed.
    pub(super) fn is_gzip(&self) -> bool {
        self.is_gzip
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// The member of this name, or the one that a link of this name leads to.
    pub(super) fn file(&self, name: &str) -> Result<Span, String> {
        let found = match self.members.get(name) {
            Some(Member::Link(to)) => self.members.get(to),
            found => found,
        };
        match found {
            Some(Member::File(span)) => Ok(*span),
            _ => Err(format!("there is no `{name}` in the archive")),
        }
    }

    pub(super) fn files(&self) -> impl Iterator<Item = (&str, Span)> {
        self.members.iter().filter_map(|(name, member)| match member {
            Member::File(span) => Some((name.as_str(), *span)),
            Member::Link(_) => None,
        })
    }
}

/// `length` is that of the archive in bytes, as far as it is known: the reader skips contents by seeking, and a seek does not
/// notice the end.
fn members<R: Read>(
    entries: tar::Entries<'_, R>,
    length: u64,
    is_wanted: fn(&str) -> bool,
) -> Result<Option<BTreeMap<String, Member>>, String> {
    let broken = |why: io::Error| format!("not a complete tar archive: {why}");
    let (mut members, mut is_first) = (BTreeMap::new(), true);
    for entry in entries {
        let mut entry = entry.map_err(broken)?;
        let name = inside(&entry.path().map_err(broken)?)?;
        if name.is_empty() {
            continue;
        }
        if std::mem::take(&mut is_first) && !is_wanted(&name) {
            return Ok(None);
        }
        let kind = entry.header().entry_type();
        let target = entry.link_name().map_err(broken)?;
        let member = match target {
            Some(target) if kind.is_symlink() => {
                Member::Link(inside(&Path::new(&name).parent().unwrap_or(Path::new("")).join(target))?)
            }
            Some(target) if kind.is_hard_link() => Member::Link(inside(&target)?),
            _ if kind.is_file() => {
                let (offset, size) = (entry.raw_file_position(), entry.size());
                if offset.saturating_add(size) > length {
                    return Err(format!("the archive ends in the middle of `{name}`"));
                }
                let mut head = Vec::new();
                entry.by_ref().take(2).read_to_end(&mut head).map_err(broken)?;
                Member::File(Span { offset, size, is_gzip: head == GZIP })
            }
            _ => continue,
        };
        members.insert(name, member);
    }
    if is_first { Err("not a tar archive, or an empty one".to_owned()) } else { Ok(Some(members)) }
}

/// A path in the archive without `.` and `..`. It is an error if it leads out of the archive.
fn inside(path: &Path) -> Result<String, String> {
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::Normal(part) => parts.push(part.to_string_lossy()),
            Component::ParentDir if parts.pop().is_some() => {}
            _ => return Err(format!("`{}` leads out of the archive", path.display())),
        }
    }
    Ok(parts.join("/"))
}
