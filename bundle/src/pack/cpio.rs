//! A tree as the kernel unpacks it into an initramfs: cpio in the `newc` format
//! (Documentation/driver-api/early-userspace/buffer-format.rst). It is not compressed and a multiple of 512 bytes long, so
//! that it can be appended to another archive, and another to it.

use std::io;

use cpio::newc::{self, Builder};

use super::segment::Segment;
use crate::target::Mode;
use crate::tree::{Content, Entry, Tree};

/// Bytes that an archive is a multiple of, so that another can follow it: the block size of cpio(1).
const BLOCK: usize = 512;

const FILE: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;
const LINK: u32 = 0o120_000;

/// The whole archive, every entry dated `mtime` (seconds since 1970) and owned by root. Files that only root may read come
/// last, so that the bytes before them are the same for all machines.
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
        segments.extend(target.map(Segment::Bytes));
        segments.extend(Segment::of(entry));
        segments.push(Segment::zeros(padding));
    }
    let end = newc::trailer(Vec::new())?;
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
    let builder = Builder::new(path).ino(number).mode(kind | entry.mode.bits()).nlink(links).mtime(mtime);
    // With no content written, this is the header alone: the content is a segment of its own.
    builder.write(Vec::new(), size).finish()
}

/// Bytes from `length` to the next multiple of `block`.
fn padding(length: u64, block: u64) -> usize {
    // It is less than a block, so it fits.
    usize::try_from(length.next_multiple_of(block) - length).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The thirteen numbers of a header after the magic (buffer-format.rst), then the name.
    fn by_hand(numbers: [u32; 13], name: &str) -> Vec<u8> {
        let numbers: String = numbers.iter().map(|number| format!("{number:08x}")).collect();
        let mut bytes = format!("070701{numbers}{name}\0").into_bytes();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    /// The `cpio` crate is asked to finish an entry whose content it never saw, and must not complain or add anything.
    #[test]
    fn an_entry_begins_with_header_and_padding_and_nothing_else() {
        for size in [0, 1, 4095, 4096, u32::MAX] {
            for name in ["a", "ab", "abc", "abcd", &"d/".repeat(150)] {
                let builder = Builder::new(name).ino(7).mode(0o100_600).nlink(1).mtime(1_568_764_800);
                let header = builder.write(Vec::new(), size).finish().expect("memory takes everything");
                let length = u32::try_from(name.len()).expect("short") + 1;
                let numbers = [7, 0o100_600, 0, 0, 1, 1_568_764_800, size, 0, 0, 0, 0, length, 0];
                assert_eq!(header, by_hand(numbers, name), "{size} {name}");
            }
        }
        let trailer = newc::trailer(Vec::new()).expect("memory takes everything");
        assert_eq!(trailer, by_hand([0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 11, 0], "TRAILER!!!"));
    }
}
