//! Compression of a segment stream: one gzip member, one zstd frame or one xz stream, with neither name nor time in
//! it, so the same stream gives the same bytes. Never several joined: dpkg stops after the first.

use std::io::{self, Read, Write};

use flate2::{Compression as Level, GzBuilder};
use liblzma::stream::{Check, Stream};
use liblzma::write::XzEncoder;

use super::tar::Segment;
use crate::hash::Sha256;
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
            copy_all(segments, &mut encoder, task)?;
            encoder.finish()?.flush()
        }
        Compression::Zstd => {
            let mut encoder = zstd::Encoder::new(writer, ZSTD)?;
            // One worker of its own gives the same bytes as many would; none gives others.
            encoder.multithread(1)?;
            encoder.include_checksum(true)?;
            copy_all(segments, &mut encoder, task)?;
            encoder.finish()?.flush()
        }
        Compression::Xz => {
            // dpkg-deb's own check; liblzma's default is unknown to small decoders.
            let mut encoder = XzEncoder::new_stream(writer, Stream::new_easy_encoder(XZ, Check::Crc32)?);
            copy_all(segments, &mut encoder, task)?;
            encoder.finish()?.flush()
        }
    }
}

fn copy_all(segments: &[Segment], encoder: &mut impl Write, task: &dyn Task) -> io::Result<()> {
    for segment in segments {
        match segment {
            Segment::Bytes(bytes) => {
                encoder.write_all(bytes)?;
                task.advance(bytes.len() as u64);
            }
            Segment::Secret(secret) => {
                encoder.write_all(secret.expose())?;
                task.advance(secret.expose().len() as u64);
            }
            Segment::Blob(blob) => {
                let mut reader = crate::hash::HashingReader::new(blob.open()?);
                copy(&mut reader, encoder, task)?;
                let got: (Sha256, u64) = reader.finish();
                // The header with the length is written already; a file that changed since would corrupt the archive.
                if got != (blob.sha256(), blob.size()) {
                    return Err(io::Error::other(format!("`{}` changed while it was packed", blob.path().display())));
                }
            }
        }
    }
    Ok(())
}

fn copy(reader: &mut impl Read, writer: &mut impl Write, task: &dyn Task) -> io::Result<()> {
    let mut buffer = vec![0; 256 << 10];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => {
                writer.write_all(&buffer[..count])?;
                task.advance(count as u64);
            }
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            Err(why) => return Err(why),
        }
    }
}
