//! Compression of a segment stream: one gzip member, one zstd frame or one xz stream, with neither name nor time in
//! it, so the same stream gives the same bytes. Never several joined: dpkg stops after the first.

use std::io::{self, Write};

use flate2::{Compression as Level, GzBuilder};
use liblzma::stream::{Check, Stream};
use liblzma::write::XzEncoder;

use super::segment::{self, Segment};
use crate::progress::Task;
use crate::spec::Compression;

/// gzip's own default: on release binaries, 9 takes three times as long to save 3 %.
const GZIP: Level = Level::new(6);
/// dpkg-deb's own default for zstd.
const ZSTD: i32 = 3;
/// The default of xz and of dpkg-deb.
const XZ: u32 = 6;

/// Writes `segments`, compressed.
pub fn write(how: Compression, segments: &[Segment], writer: impl Write, task: &dyn Task) -> io::Result<()> {
    match how {
        Compression::Gzip => {
            let mut encoder = GzBuilder::new().mtime(0).operating_system(255).write(writer, GZIP);
            segment::write_all(segments, &mut encoder, task)?;
            encoder.finish()?.flush()
        }
        Compression::Zstd => {
            let mut encoder = zstd::Encoder::new(writer, ZSTD)?;
            // One worker of its own gives the same bytes as many would; none gives others.
            encoder.multithread(1)?;
            encoder.include_checksum(true)?;
            segment::write_all(segments, &mut encoder, task)?;
            encoder.finish()?.flush()
        }
        Compression::Xz => {
            // dpkg-deb's own check; liblzma's default is unknown to small decoders.
            let mut encoder = XzEncoder::new_stream(writer, Stream::new_easy_encoder(XZ, Check::Crc32)?);
            segment::write_all(segments, &mut encoder, task)?;
            encoder.finish()?.flush()
        }
    }
}
