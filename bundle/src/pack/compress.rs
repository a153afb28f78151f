//! Compression of segments into segments: bytes in memory are compressed here, those of blobs come from the cache.

use std::io;

use super::codec::{self, Record};
use super::pieces::CompressedCache;
use super::segment::{Segment, Text};
use crate::out::BLOCK_ALIGNMENT;
use crate::secret::Secret;
use crate::spec::Compression;

/// Pieces of fewer bytes are not aligned: sharing their blocks would save less than the padding costs.
const MIN_ALIGNED_SIZE: u64 = 16 * BLOCK_ALIGNMENT as u64;

/// One gzip member, zstd frame or xz stream with the content of `plain`. `at` is its offset in the file that it will be
/// written to, in bytes; pieces are aligned there, so that a file system can share their blocks with other files.
pub fn segments(how: Compression, plain: Vec<Segment>, at: u64, cache: &CompressedCache) -> io::Result<Vec<Segment>> {
    let mut stream = StreamBuilder { how, at, records: Vec::new(), packed: Vec::new() };
    stream.push(Segment::Bytes(codec::head(how)));
    let mut run = Run::default();
    for segment in plain {
        match segment {
            Segment::Bytes(bytes) => run.bytes.extend(bytes),
            Segment::Secret(secret) => {
                run.bytes.extend(secret.expose());
                run.is_secret = true;
            }
            Segment::Text(text) => {
                stream.add(&std::mem::take(&mut run))?;
                stream.push_text(&text)?;
            }
            Segment::Blob(blob) => {
                stream.add(&std::mem::take(&mut run))?;
                let pieces = cache.get(&blob, how)?;
                if pieces.size() >= MIN_ALIGNED_SIZE {
                    stream.push(Segment::Bytes(codec::filler(how, stream.at, BLOCK_ALIGNMENT)));
                }
                stream.records.extend(pieces.records());
                stream.push(Segment::Pieces(pieces.clone()));
            }
            Segment::Pieces(_) | Segment::WrittenFile(_) => {
                return Err(io::Error::other("a compressed segment can't be compressed again"));
            }
        }
    }
    stream.add(&run)?;
    stream.push(Segment::Bytes(codec::tail(how, &stream.records)));
    Ok(stream.packed)
}

/// Consecutive segments that are literals, up to the next object.
#[derive(Default)]
struct Run {
    bytes: zeroize::Zeroizing<Vec<u8>>,
    is_secret: bool,
}

struct StreamBuilder {
    how: Compression,
    /// Offset of the next segment in the file.
    at: u64,
    records: Vec<Record>,
    packed: Vec<Segment>,
}

impl StreamBuilder {
    fn add(&mut self, run: &Run) -> io::Result<()> {
        for content in run.bytes.chunks(codec::block(self.how)) {
            let (packed, record) = codec::piece(self.how, content)?;
            self.records.push(record);
            self.push(if run.is_secret { Segment::Secret(Secret::new(packed)) } else { Segment::Bytes(packed) });
        }
        Ok(())
    }

    /// The same text becomes the same bytes in each stream.
    fn push_text(&mut self, text: &Text) -> io::Result<()> {
        let mut packed = Vec::new();
        for content in text.bytes().chunks(codec::block(self.how)) {
            let (piece, record) = codec::piece(self.how, content)?;
            self.records.push(record);
            packed.extend(piece);
        }
        self.push(Segment::Text(text.with(packed)));
        Ok(())
    }

    fn push(&mut self, segment: Segment) {
        self.at += segment.size();
        self.packed.push(segment);
    }
}
