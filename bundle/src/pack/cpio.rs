//! A tree as the kernel unpacks it into an initramfs: cpio in the `newc` format
//! (Documentation/driver-api/early-userspace/buffer-format.rst), not compressed, so that it can stand behind any other
//! archive, and a multiple of 512 bytes long, so that any other can stand behind it.
#![expect(
    clippy::cast_possible_truncation,
    reason = "every number is checked against its field before, or is small by construction"
)]

use std::io;

use super::segment::Segment;
use crate::target::Mode;
use crate::tree::{Content, Entry, Tree};

const TRAILER: &str = "TRAILER!!!";
/// What a boot loader that joins archives leaves aligned.
const BLOCK: usize = 512;

const FILE: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;
const LINK: u32 = 0o120_000;

/// The whole archive, every entry dated `mtime` (seconds since 1970) and owned by root. What only root may read comes
/// last: what is the same for all machines is the same run of bytes in all their archives.
pub fn segments(tree: &Tree, mtime: i64) -> io::Result<Vec<Segment>> {
    let is_private = |entry: &Entry| entry.mode == Mode::SECRET;
    let shared = tree.iter().filter(|(_, entry)| !is_private(entry));
    let entries = shared.chain(tree.iter().filter(|(_, entry)| is_private(entry)));
    let mut segments = Vec::new();
    let mut length = 0;
    for (number, (path, entry)) in (1..).zip(entries) {
        // A link's content is where it leads to.
        let target = entry.link_target().map(|target| target.as_bytes().to_vec());
        let size = target.as_ref().map_or(entry.size(), |target| target.len() as u64);
        let head = header(number, path.as_str(), entry, size, mtime)?;
        let padding = padding(size, 4);
        length += head.len() as u64 + size + padding as u64;
        segments.push(Segment::Bytes(head));
        segments.extend(target.map(Segment::Bytes).or_else(|| Segment::of(entry)));
        segments.push(Segment::zeros(padding));
    }
    let end = fields(0, 0, 1, 0, 0, TRAILER);
    length += end.len() as u64;
    segments.extend([Segment::Bytes(end), Segment::zeros(padding(length, BLOCK as u64))]);
    Ok(segments)
}

fn header(number: u32, path: &str, entry: &Entry, size: u64, mtime: i64) -> io::Result<Vec<u8>> {
    let size = u32::try_from(size).map_err(|_| io::Error::other(format!("`{path}` is too large for cpio")))?;
    let mtime = u32::try_from(mtime).map_err(|_| io::Error::other("cpio has no time before 1970 or after 2106"))?;
    let (kind, links) = match &entry.content {
        Content::Directory => (DIRECTORY, 2),
        Content::Link(_) => (LINK, 1),
        _ => (FILE, 1),
    };
    Ok(fields(number, kind | entry.mode.bits(), links, mtime, size, path))
}

/// The thirteen numbers of a header, and the name, padded.
fn fields(inode: u32, mode: u32, links: u32, mtime: u32, size: u32, name: &str) -> Vec<u8> {
    // A path is at most a few hundred bytes long.
    let name_size = name.len() as u32 + 1;
    let numbers = [inode, mode, 0, 0, links, mtime, size, 0, 0, 0, 0, name_size, 0];
    let mut bytes = b"070701".to_vec();
    bytes.extend(numbers.iter().flat_map(|number| format!("{number:08X}").into_bytes()));
    bytes.extend(name.bytes());
    bytes.push(0);
    bytes.resize(bytes.len() + padding(bytes.len() as u64, 4), 0);
    bytes
}

fn padding(length: u64, block: u64) -> usize {
    // Less than a block.
    usize::try_from(length.next_multiple_of(block) - length).unwrap_or_default()
}
