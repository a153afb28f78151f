//! Compression in pieces that can stand behind each other: one gzip member, one zstd frame or one xz stream is a head, the
//! pieces of its content in their order, and a tail. Never several joined: dpkg stops after the first.
//!
//! A piece knows nothing of what comes before it, so it is the same wherever it stands, and whoever makes it.
#![expect(clippy::cast_possible_truncation, reason = "formats want some lengths modulo, and the others are small")]

use std::io::{self, Write};

use flate2::write::DeflateEncoder;
use liblzma::stream::{Check, Filters, LzmaOptions, Stream};
use liblzma::write::XzEncoder;
use serde::{Deserialize, Serialize};
use zstd::zstd_safe::CParameter;

use crate::spec::Compression;

/// The default of gzip(1). On release binaries 9 takes 2.7 times as long, and saves 2.7 %.
const GZIP: u32 = 6;
/// dpkg-deb's own default for zstd, and the window that goes with it.
const ZSTD: i32 = 3;
const ZSTD_WINDOW: u32 = 21;
/// The default of xz and of dpkg-deb, with a smaller dictionary: it takes twelve times its size in memory on each thread.
const XZ: u32 = 6;
const XZ_DICTIONARY: u32 = 3 << 19;

/// The versions of what compresses: with others the same input may give other bytes.
pub const LIBRARIES: [(&str, &str); 3] =
    [("zlib-rs", "0.6.8"), ("zstd-sys", "2.1.3+zstd.1.5.7"), ("liblzma-sys", "0.4.9")];

/// What a decoder is told about content, besides the compressed bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Bytes of content.
    pub plain: u64,
    /// Bytes that it became.
    pub packed: u64,
    /// What else the end of the whole says of it: its CRC-32 with gzip, the unpadded size of its block with xz.
    pub check: u64,
}

/// How content is cut and compressed, as a name for files.
pub fn name(how: Compression) -> String {
    let (which, level) = match how {
        Compression::Gzip => (0, format!("gzip-{GZIP}")),
        Compression::Zstd => (1, format!("zstd-{ZSTD}-{ZSTD_WINDOW}")),
        Compression::Xz => (2, format!("xz-{XZ}-{}k", XZ_DICTIONARY >> 10)),
    };
    let (library, version) = LIBRARIES[which];
    format!("{level}-{}-{library}-{version}", block(how))
}

/// Bytes of content in each piece but the last: enough that threads have work, and few enough that it fits in memory.
pub fn block(how: Compression) -> usize {
    match how {
        Compression::Gzip => 1 << 20,
        Compression::Zstd | Compression::Xz => 4 << 20,
    }
}

/// One piece.
pub fn piece(how: Compression, content: &[u8]) -> io::Result<(Vec<u8>, Record)> {
    let (packed, check) = match how {
        Compression::Gzip => (deflate_blocks(content)?, u64::from(crc32fast::hash(content))),
        Compression::Zstd => (zstd_blocks(content)?, 0),
        Compression::Xz => xz_block(content)?,
    };
    let record = Record { plain: content.len() as u64, packed: packed.len() as u64, check };
    Ok((packed, record))
}

/// What comes before all pieces.
pub fn head(how: Compression) -> Vec<u8> {
    match how {
        // RFC 1952: deflate, no name, no time, nothing on the level, an unknown system.
        Compression::Gzip => vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255],
        // RFC 8878, 3.1.1: the magic number, neither size nor checksum, and the window.
        Compression::Zstd => vec![0x28, 0xb5, 0x2f, 0xfd, 0, ((ZSTD_WINDOW - 10) << 3) as u8],
        // The .xz file format, 2.1.1: the magic number, and CRC32 as the check of blocks.
        Compression::Xz => [&b"\xfd7zXZ\0"[..], &XZ_FLAGS, &crc32fast::hash(&XZ_FLAGS).to_le_bytes()].concat(),
    }
}

/// What stands for nothing, and makes `at` a multiple of `border`. With xz there is no such thing.
pub fn filler(how: Compression, at: u64, border: usize) -> Vec<u8> {
    let (short, long): (&[u8], &[u8]) = match how {
        // A stored block of no bytes, alone and behind a block of fixed codes that holds nothing (RFC 1951, 3.2.4, 3.2.6).
        Compression::Gzip => (&[0, 0, 0, 0xff, 0xff], &[2, 0, 0, 0, 0xff, 0xff]),
        // A raw block of no bytes, and one that repeats a byte as often (RFC 8878, 3.1.1.2).
        Compression::Zstd => (&[0, 0, 0], &[2, 0, 0, 0]),
        Compression::Xz => return Vec::new(),
    };
    let mut count = (border - (at % border as u64) as usize) % border;
    let longs = |count: usize| count % short.len();
    while count < longs(count) * long.len() {
        count += border;
    }
    let longs = longs(count);
    let shorts = (count - longs * long.len()) / short.len();
    [long.repeat(longs), short.repeat(shorts)].concat()
}

/// What comes behind all pieces.
pub fn tail(how: Compression, records: &[Record]) -> Vec<u8> {
    match how {
        Compression::Gzip => {
            let mut crc = crc32fast::Hasher::new();
            let mut length = 0u64;
            for record in records {
                // It was made from 32 bits.
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

/// Blocks that refer to nothing before them. libzstd makes such for every job but the first when it works with several,
/// so the first one gets a byte that nobody wants.
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
    let unwanted = encoder.get_ref().len();
    encoder.write_all(content)?;
    encoder.flush()?;
    Ok(encoder.get_ref()[unwanted..].to_vec())
}

/// Stream flags: CRC32.
const XZ_FLAGS: [u8; 2] = [0, 1];
/// Bytes of a stream's header, and of its footer.
const XZ_END: usize = 12;

/// The one block of a stream, and its unpadded size, which the index of that stream has.
fn xz_block(content: &[u8]) -> io::Result<(Vec<u8>, u64)> {
    if content.is_empty() {
        return Ok((Vec::new(), 0));
    }
    let mut options = LzmaOptions::new_preset(XZ)?;
    // Memory is taken for what is told here, and cleared.
    let length = u32::try_from(content.len()).map_err(io::Error::other)?;
    options.dict_size(length.next_power_of_two().clamp(4096, XZ_DICTIONARY));
    let stream = Stream::new_stream_encoder(Filters::new().lzma2(&options), Check::Crc32)?;
    let mut encoder = XzEncoder::new_stream(Vec::new(), stream);
    encoder.write_all(content)?;
    let mut bytes = encoder.finish()?;
    let broken = || io::Error::other("liblzma wrote a stream that is none");
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

/// Seven bits a byte, the lowest first (the .xz file format, 1.2).
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
