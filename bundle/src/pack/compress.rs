//! Compression of segments into segments: small bytes are compressed here, a file's pieces come from the shelf.

use std::io;

use super::codec::{self, Record};
use super::pieces::Shelf;
use super::segment::Segment;
use crate::out::SHARED;
use crate::secret::Secret;
use crate::spec::Compression;

/// Pieces of fewer bytes are not worth the filler before them.
const WORTH_IT: u64 = 16 * SHARED as u64;

/// One gzip member, zstd frame or xz stream of all that `plain` holds. It will stand at that place in its file, in bytes:
/// pieces come to lie where a file system can share them with other files.
pub fn segments(how: Compression, plain: Vec<Segment>, at: u64, shelf: &Shelf) -> io::Result<Vec<Segment>> {
    let mut whole = Whole { how, at, records: Vec::new(), packed: Vec::new() };
    whole.push(Segment::Bytes(codec::head(how)));
    let mut run = Run::default();
    for segment in plain {
        match segment {
            Segment::Bytes(bytes) => run.bytes.extend(bytes),
            Segment::Secret(secret) => {
                run.bytes.extend(secret.expose());
                run.is_secret = true;
            }
            Segment::Blob(blob) => {
                whole.add(&run)?;
                run = Run::default();
                let pieces = shelf.get(&blob, how)?;
                if pieces.size() >= WORTH_IT {
                    whole.push(Segment::Bytes(codec::filler(how, whole.at, SHARED)));
                }
                whole.records.extend(pieces.records());
                whole.push(Segment::Pieces(pieces.clone()));
            }
            Segment::Pieces(_) | Segment::Finished(_) => {
                return Err(io::Error::other("what is compressed already is not compressed again"));
            }
        }
    }
    whole.add(&run)?;
    whole.push(Segment::Bytes(codec::tail(how, &whole.records)));
    Ok(whole.packed)
}

/// What is small, up to the next file.
#[derive(Default)]
struct Run {
    bytes: zeroize::Zeroizing<Vec<u8>>,
    is_secret: bool,
}

struct Whole {
    how: Compression,
    /// Where the next segment will be.
    at: u64,
    records: Vec<Record>,
    packed: Vec<Segment>,
}

impl Whole {
    fn add(&mut self, run: &Run) -> io::Result<()> {
        for content in run.bytes.chunks(codec::block(self.how)) {
            let (packed, record) = codec::piece(self.how, content)?;
            self.records.push(record);
            self.push(if run.is_secret { Segment::Secret(Secret::new(packed)) } else { Segment::Bytes(packed) });
        }
        Ok(())
    }

    fn push(&mut self, segment: Segment) {
        self.at += segment.size();
        self.packed.push(segment);
    }
}
