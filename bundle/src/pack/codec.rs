//! Compression in pieces that can be put together in any combination.
//!
//! A gzip member, a zstd frame or an xz stream is written as a head, compressed pieces, and a tail. No piece refers to bytes
//! before it, so the compressed form of a program is the same in every archive, and is made once. The pieces always become
//! one member, frame or stream: several joined are legal, but dpkg silently stops after the first.
#![expect(
    clippy::cast_possible_truncation,
    reason = "formats store some lengths modulo 2^32, and the others are small"
)]

use std::io::{self, Write};

use flate2::write::DeflateEncoder;
use liblzma::stream::{Check, Filters, LzmaOptions, Stream};
use liblzma::write::XzEncoder;
use serde::{Deserialize, Serialize};
use zstd::zstd_safe::CParameter;

use crate::spec::Compression;

/// The default of gzip(1). On release binaries 9 takes 2.7 times as long, and saves 2.7 %.
const GZIP: u32 = 6;
/// The default level of zstd(1), and the base-2 logarithm of its window in bytes.
const ZSTD: i32 = 3;
const ZSTD_WINDOW: u32 = 21;
/// The default level of xz(1) and dpkg-deb(1), with a dictionary of 1.5 MiB instead of 8: each thread needs twelve times
/// its size in memory.
const XZ: u32 = 6;
const XZ_DICTIONARY: u32 = 3 << 19;

/// The compressing libraries: another version may give other bytes for the same input. Part of the names in the cache.
pub const LIBRARIES: [(&str, &str); 3] =
    [("zlib-rs", "0.6.8"), ("zstd-sys", "2.1.3+zstd.1.5.7"), ("liblzma-sys", "0.4.9")];

/// What the tail of a stream has to say about one piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Bytes before compression.
    pub plain: u64,
    /// Bytes after compression.
    pub packed: u64,
    /// gzip: CRC-32 of the content. xz: unpadded size of the block, in bytes. zstd: 0.
    pub check: u64,
}

/// A directory name in the cache: codec, settings, block size, library and its version.
pub fn name(how: Compression) -> String {
    let (which, level) = match how {
        Compression::Gzip => (0, format!("gzip-{GZIP}")),
        Compression::Zstd => (1, format!("zstd-{ZSTD}-{ZSTD_WINDOW}")),
        Compression::Xz => (2, format!("xz-{XZ}-{}k", XZ_DICTIONARY >> 10)),
    };
    let (library, version) = LIBRARIES[which];
    format!("{level}-{}-{library}-{version}", block(how))
}

/// Bytes of content in each piece but the last. Larger pieces compress better; each thread holds one in memory.
pub fn block(how: Compression) -> usize {
    match how {
        Compression::Gzip => 1 << 20,
        Compression::Zstd | Compression::Xz => 4 << 20,
    }
}

/// Whether content that begins like this is carried as it is. What is compressed already is, as layers of images are:
/// compressing it again would cost much and save nothing. xz has no short way to say that, and compresses.
pub fn is_stored(how: Compression, head: &[u8]) -> bool {
    let is_compressed = [&b"\x1f\x8b"[..], b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0"].iter().any(|it| head.starts_with(it));
    is_compressed && how != Compression::Xz
}

/// Puts `content`, at most [`block`] bytes, into one piece as it is, unless it is for xz.
pub fn stored(how: Compression, content: &[u8]) -> io::Result<(Vec<u8>, Record)> {
    let (packed, check) = match how {
        Compression::Gzip => (deflate_stored(content), u64::from(crc32fast::hash(content))),
        Compression::Zstd => (zstd_raw(content), 0),
        Compression::Xz => return piece(how, content),
    };
    let record = Record { plain: content.len() as u64, packed: packed.len() as u64, check };
    Ok((packed, record))
}

/// Compresses `content`, at most [`block`] bytes, into one piece.
pub fn piece(how: Compression, content: &[u8]) -> io::Result<(Vec<u8>, Record)> {
    let (packed, check) = match how {
        Compression::Gzip => (deflate_blocks(content)?, u64::from(crc32fast::hash(content))),
        Compression::Zstd => (zstd_blocks(content)?, 0),
        Compression::Xz => xz_block(content)?,
    };
    let record = Record { plain: content.len() as u64, packed: packed.len() as u64, check };
    Ok((packed, record))
}

/// The bytes of a stream before its first piece.
pub fn head(how: Compression) -> Vec<u8> {
    match how {
        // RFC 1952: method deflate, no flags, no time, no extra flags, operating system unknown.
        Compression::Gzip => vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255],
        // RFC 8878, 3.1.1: magic number, no content size, no checksum, window size.
        Compression::Zstd => vec![0x28, 0xb5, 0x2f, 0xfd, 0, ((ZSTD_WINDOW - 10) << 3) as u8],
        // The .xz file format, 2.1.1: magic number, and CRC32 as the check of blocks.
        Compression::Xz => [&b"\xfd7zXZ\0"[..], &XZ_FLAGS, &crc32fast::hash(&XZ_FLAGS).to_le_bytes()].concat(),
    }
}

/// Empty blocks that pad offset `at` to a multiple of `alignment`; a decoder reads no content from them. xz has no such
/// blocks, so its pieces are not aligned.
pub fn filler(how: Compression, at: u64, alignment: usize) -> Vec<u8> {
    // Any length is a sum of these two, if it is long enough: `long` has one byte more than `short`.
    let (short, long): (&[u8], &[u8]) = match how {
        // An empty stored block; an empty block of fixed codes, then the same (RFC 1951, 3.2.4 and 3.2.6).
        Compression::Gzip => (&[0, 0, 0, 0xff, 0xff], &[2, 0, 0, 0, 0xff, 0xff]),
        // A raw block of no bytes; a byte repeated no times (RFC 8878, 3.1.1.2).
        Compression::Zstd => (&[0, 0, 0], &[2, 0, 0, 0]),
        Compression::Xz => return Vec::new(),
    };
    let mut count = (alignment - (at % alignment as u64) as usize) % alignment;
    let longs = |count: usize| count % short.len();
    while count < longs(count) * long.len() {
        count += alignment;
    }
    let longs = longs(count);
    let shorts = (count - longs * long.len()) / short.len();
    [long.repeat(longs), short.repeat(shorts)].concat()
}

/// The bytes of a stream after its last piece, which `records` describe in their order.
pub fn tail(how: Compression, records: &[Record]) -> Vec<u8> {
    match how {
        Compression::Gzip => {
            let mut crc = crc32fast::Hasher::new();
            let mut length = 0u64;
            for record in records {
                // With gzip it is a CRC-32.
                crc.combine(&crc32fast::Hasher::new_with_initial_len(record.check as u32, record.plain));
                length += record.plain;
            }
            // An empty last block, then the checksum and the length in 32 bits.
            [&[3, 0], &crc.finalize().to_le_bytes()[..], &(length as u32).to_le_bytes()].concat()
        }
        // A last block that is raw and empty.
        Compression::Zstd => vec![1, 0, 0],
        Compression::Xz => xz_tail(records),
    }
}

/// Blocks of which none is marked as the last one. The flush ends them at a whole byte (RFC 1951, 3.2.4), so that others can
/// follow, and a new encoder knows nothing that came before.
fn deflate_blocks(content: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = DeflateEncoder::new(Vec::new(), flate2::Compression::new(GZIP));
    encoder.write_all(content)?;
    encoder.flush()?;
    Ok(std::mem::take(encoder.get_mut()))
}

/// Stored blocks, of at most 65535 bytes each (RFC 1951, 3.2.4), none of them the last one.
fn deflate_stored(content: &[u8]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(content.len() + content.len() / 8192 + 8);
    for block in content.chunks(usize::from(u16::MAX)) {
        let length = block.len() as u16;
        packed.push(0);
        packed.extend(length.to_le_bytes());
        packed.extend((!length).to_le_bytes());
        packed.extend(block);
    }
    packed
}

/// Raw blocks, of at most 128 KiB each (RFC 8878, 3.1.1.2), none of them the last one.
fn zstd_raw(content: &[u8]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(content.len() + content.len() / 8192 + 8);
    for block in content.chunks(128 << 10) {
        packed.extend(&((block.len() as u32) << 3).to_le_bytes()[..3]);
        packed.extend(block);
    }
    packed
}

/// Blocks that refer to nothing before them. libzstd's multi-threaded encoder makes every job but the first independent of
/// what came before, so one byte goes into a first job, whose output is dropped.
fn zstd_blocks(content: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = zstd::Encoder::new(Vec::new(), ZSTD)?;
    for parameter in [
        CParameter::NbWorkers(1),
        CParameter::JobSize(2 * block(Compression::Zstd) as u32),
        CParameter::OverlapSizeLog(1),
        CParameter::WindowLog(ZSTD_WINDOW),
        CParameter::ChecksumFlag(false),
        CParameter::ContentSizeFlag(false),
    ] {
        encoder.set_parameter(parameter)?;
    }
    encoder.write_all(&[0])?;
    encoder.flush()?;
    let first_job = encoder.get_ref().len();
    encoder.write_all(content)?;
    encoder.flush()?;
    Ok(encoder.get_ref()[first_job..].to_vec())
}

/// Stream flags: CRC32.
const XZ_FLAGS: [u8; 2] = [0, 1];
/// Bytes of a stream header, and of a stream footer.
const XZ_END: usize = 12;

/// Takes the only block out of a stream that liblzma made, and its unpadded size out of the index of that stream.
fn xz_block(content: &[u8]) -> io::Result<(Vec<u8>, u64)> {
    if content.is_empty() {
        return Ok((Vec::new(), 0));
    }
    let mut options = LzmaOptions::new_preset(XZ)?;
    // liblzma allocates and clears as much as is said here, so it is no more than the content needs.
    let length = u32::try_from(content.len()).map_err(io::Error::other)?;
    options.dict_size(length.next_power_of_two().clamp(4096, XZ_DICTIONARY));
    let stream = Stream::new_stream_encoder(Filters::new().lzma2(&options), Check::Crc32)?;
    let mut encoder = XzEncoder::new_stream(Vec::new(), stream);
    encoder.write_all(content)?;
    let mut bytes = encoder.finish()?;
    let broken = || io::Error::other("liblzma wrote a malformed stream");
    let footer = bytes.len().checked_sub(XZ_END).ok_or_else(broken)?;
    let backward = bytes[footer + 4..footer + 8].try_into().map_err(io::Error::other)?;
    let index = footer.checked_sub((u32::from_le_bytes(backward) as usize + 1) * 4).ok_or_else(broken)?;
    // An index of one record: a zero, the number one, the unpadded size.
    let unpadded = read_number(bytes.get(index + 2..footer).ok_or_else(broken)?).ok_or_else(broken)?;
    bytes.truncate(index);
    Ok((bytes.split_off(XZ_END), unpadded))
}

/// The index of all blocks, and the stream's footer.
fn xz_tail(records: &[Record]) -> Vec<u8> {
    let records: Vec<_> = records.iter().filter(|record| record.plain > 0).collect();
    let mut index = vec![0];
    write_number(&mut index, records.len() as u64);
    for record in records {
        write_number(&mut index, record.check);
        write_number(&mut index, record.plain);
    }
    index.resize(index.len().next_multiple_of(4), 0);
    index.extend(crc32fast::hash(&index).to_le_bytes());
    let backward = (index.len() / 4 - 1) as u32;
    let footer = [&backward.to_le_bytes()[..], &XZ_FLAGS].concat();
    index.extend(crc32fast::hash(&footer).to_le_bytes());
    index.extend(footer);
    index.extend(b"YZ");
    index
}

/// A variable-length integer: seven bits in each byte, the lowest first (the .xz file format, 1.2).
fn write_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn read_number(bytes: &[u8]) -> Option<u64> {
    let mut number = 0;
    for (index, byte) in bytes.iter().take(9).enumerate() {
        number |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}
