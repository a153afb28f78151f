//! A file of a volume as the places where its bytes lie.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;

/// So many bytes from a place on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    pub(super) at: u64,
    pub(super) length: u64,
}

/// Reads extents one after the other.
pub(super) struct Extents<'f> {
    file: &'f File,
    left: std::vec::IntoIter<Extent>,
    now: Extent,
}

impl<'f> Extents<'f> {
    pub(super) fn new(file: &'f File, extents: Vec<Extent>) -> Self {
        Self { file, left: extents.into_iter(), now: Extent { at: 0, length: 0 } }
    }
}

impl Read for Extents<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.now.length == 0 {
            let Some(next) = self.left.next() else { return Ok(0) };
            self.now = next;
        }
        let most = buffer.len().min(usize::try_from(self.now.length).unwrap_or(buffer.len()));
        let count = self.file.read_at(&mut buffer[..most], self.now.at)?;
        self.now.at += count as u64;
        self.now.length -= count as u64;
        Ok(count)
    }
}
