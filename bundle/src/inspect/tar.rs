//! A tar stream as GNU tar and dpkg read it, of files, links and directories alone.

use std::io::{self, Read};

use ::tar::{Archive, Header};

use super::{Contents, Kind, LONGEST_NAME, broken, only_zeros, quoted, rights, utf8};
use crate::manifest::CONTROL;

/// Lists a stream to its end; paths are put below `directory`.
pub(super) fn read(stream: impl Read, directory: &str, keep: &[&str], contents: &mut Contents) -> io::Result<()> {
    let mut archive = Archive::new(stream);
    let mut long_name = None;
    // Raw, because a long name is read into memory otherwise, however long it says it is.
    for entry in archive.entries()?.raw(true) {
        let mut entry = entry?;
        let (kind, size) = (entry.header().entry_type(), entry.size());
        if kind.is_gnu_longname() && size <= LONGEST_NAME {
            let mut name = Vec::new();
            entry.read_to_end(&mut name)?;
            let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
            long_name = Some(utf8(&name[..end])?);
            continue;
        }
        let path = long_name.take().map_or_else(|| utf8(&entry.path_bytes()), Ok)?;
        if !(kind.is_file() || kind.is_dir() || kind.is_symlink()) {
            return Err(broken(format!("{} is neither a file, a link nor a directory", quoted(&path))));
        }
        // To some readers such a file is a directory, and others take the content of a directory for headers.
        if !kind.is_dir() && path.ends_with('/') || !kind.is_file() && size != 0 {
            return Err(broken(format!("{} is both a file and a directory", quoted(&path))));
        }
        let path = path.strip_prefix("./").unwrap_or(&path);
        let path = if kind.is_dir() { path.strip_suffix('/').unwrap_or(path) } else { path };
        let name = format!("{directory}{path}");
        if directory.is_empty() && contents.kind == Kind::Deb && name.split('/').next() == Some(CONTROL) {
            return Err(broken(format!(
                "{} among the files would pass for a part of the control archive",
                quoted(&name)
            )));
        }
        if !is_roots(entry.header())? {
            contents.foreign.push(if path.is_empty() { "./".to_owned() } else { name.clone() });
        }
        let mode = rights(entry.header().mode()?)?;
        if kind.is_symlink() {
            let target = utf8(&entry.header().link_name_bytes().unwrap_or_default())?;
            contents.link(name, mode, target)?;
            continue;
        }
        match (kind.is_dir(), path) {
            // The place where it is unpacked.
            (true, "" | ".") => {}
            (true, _) => contents.directory(name, mode)?,
            (false, _) => contents.file(name, mode, size, &mut entry, keep)?,
        }
    }
    // A cut stream shows only there.
    only_zeros(archive.into_inner(), "the end of the tar archive")
}

/// Names count before numbers when root unpacks.
fn is_roots(header: &Header) -> io::Result<bool> {
    let is_root = |name: Option<&[u8]>| matches!(name, None | Some(b"" | b"root"));
    Ok(header.uid()? == 0
        && header.gid()? == 0
        && is_root(header.username_bytes())
        && is_root(header.groupname_bytes()))
}
