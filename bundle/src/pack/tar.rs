//! A tree as a tar stream (POSIX ustar with GNU long names), the same bytes for the same tree everywhere.

use std::io;

use tar::{EntryType, Header};

use super::segment::Segment;
use crate::target::Mode;
use crate::tree::{Content, Entry, Tree};

const BLOCK: usize = 512;

/// Whether the names of entries begin with `./`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// `usr/bin/kubectl`.
    Bare,
    /// `./usr/bin/kubectl` behind an entry for `./` itself, as dpkg-deb(1) does it.
    Dotted,
}

/// The whole stream of `tree`, every entry dated `mtime` (seconds since 1970) and owned by root.
pub fn segments(tree: &Tree, mtime: i64, names: Names) -> io::Result<Vec<Segment>> {
    let mtime = u64::try_from(mtime).map_err(|_| io::Error::other("tar has no time before 1970"))?;
    let (mut segments, prefix) = match names {
        Names::Bare => (Vec::new(), ""),
        Names::Dotted => {
            let root = header("./", &Entry::directory(Mode::EXECUTABLE), mtime)?;
            (vec![Segment::Bytes(root)], "./")
        }
    };
    for (path, entry) in tree.iter() {
        let slash = if entry.is_directory() { "/" } else { "" };
        segments.push(Segment::Bytes(header(&format!("{prefix}{path}{slash}"), entry, mtime)?));
        segments.extend(Segment::of(entry));
        segments.push(Segment::Bytes(padding(entry.size())));
    }
    // Two zero blocks mark the end of the archive.
    segments.push(Segment::Bytes(vec![0; 2 * BLOCK]));
    Ok(segments)
}

fn header(name: &str, entry: &Entry, mtime: u64) -> io::Result<Vec<u8>> {
    let kind = match &entry.content {
        Content::Directory => EntryType::Directory,
        Content::Link(_) => EntryType::Symlink,
        _ => EntryType::Regular,
    };
    let mut header = blank(kind, entry.mode.bits(), entry.size(), mtime)?;
    if let Some(target) = entry.link_target() {
        header.set_link_name_literal(target)?;
    }
    // A longer name is in an entry of its own before this one. Readers that don't know such see the first 100 bytes.
    let mut bytes = if set_name(&mut header, name) { Vec::new() } else { long_name(name, mtime)? };
    header.set_cksum();
    bytes.extend_from_slice(header.as_bytes());
    Ok(bytes)
}

/// Writes as much of the name as a header holds, byte for byte; `Header::set_path` would drop a leading `./`.
fn set_name(header: &mut Header, name: &str) -> bool {
    let field = &mut header.as_old_mut().name;
    let length = name.len().min(field.len());
    field[..length].copy_from_slice(&name.as_bytes()[..length]);
    length == name.len()
}

fn blank(kind: EntryType, mode: u32, size: u64, mtime: u64) -> io::Result<Header> {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(mtime);
    header.set_uid(0);
    header.set_gid(0);
    header.set_username("root")?;
    header.set_groupname("root")?;
    Ok(header)
}

/// GNU `@LongLink`: an entry whose content is the name of the next one.
fn long_name(name: &str, mtime: u64) -> io::Result<Vec<u8>> {
    let mut content = name.as_bytes().to_vec();
    content.push(0);
    let size = content.len() as u64;
    let mut header = blank(EntryType::GNULongName, 0o644, size, mtime)?;
    set_name(&mut header, "././@LongLink");
    header.set_cksum();
    Ok([header.as_bytes().to_vec(), content, padding(size)].concat())
}

fn padding(size: u64) -> Vec<u8> {
    let over = usize::try_from(size % BLOCK as u64).unwrap_or(0);
    vec![0; (BLOCK - over) % BLOCK]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    fn bytes(tree: &Tree) -> Vec<u8> {
        let segments = segments(tree, 1_568_764_800, Names::Bare).expect("a tree that can be packed");
        segments.into_iter().flat_map(|segment| segment.in_memory().expect("no file in these trees").to_vec()).collect()
    }

    #[test]
    fn another_reader_finds_names_modes_and_contents() {
        let long = format!("etc/{}/{}", "d".repeat(90), "f".repeat(120));
        let mut tree = Tree::default();
        for (path, mode, text) in
            [("etc/a", "0600", ""), ("usr/bin/b", "0755", "exactly"), (&long, "0644", &"x".repeat(512))]
        {
            tree.insert(path.parse().expect("a path"), Entry::text(mode.parse().expect("a mode"), text)).expect("free");
        }
        tree.insert("var/keys".parse().expect("a path"), Entry::directory(Mode::PRIVATE)).expect("free");
        tree.insert("var/latest".parse().expect("a path"), Entry::link("../etc/a")).expect("free");
        let stream = bytes(&tree);
        assert_eq!(stream.len() % BLOCK, 0);
        let mut archive = ::tar::Archive::new(&stream[..]);
        let mut found = Vec::new();
        for entry in archive.entries().expect("an archive") {
            let mut entry = entry.expect("an entry");
            let (path, mode) =
                (entry.path().expect("a path").display().to_string(), entry.header().mode().expect("a mode"));
            let target = entry.link_name().expect("a target").map(|target| target.display().to_string());
            assert_eq!(target.as_deref(), path.ends_with("latest").then_some("../etc/a"));
            let mut text = String::new();
            entry.read_to_string(&mut text).expect("text");
            found.push((path.trim_end_matches('/').to_owned(), mode, text.len()));
        }
        let expected: Vec<_> = tree
            .iter()
            .map(|(path, entry)| (path.to_string(), entry.mode.bits(), usize::try_from(entry.size()).expect("small")))
            .collect();
        assert_eq!(found, expected);
    }
}
