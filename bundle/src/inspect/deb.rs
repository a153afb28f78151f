//! A package as dpkg reads it: three members in this order, and in each one compressed stream that ends with it.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::GzDecoder;
use liblzma::bufread::XzDecoder;
use liblzma::stream::Stream;

use super::{Bounded, Contents, broken, quoted, tar};
use crate::manifest::CONTROL;

/// What a package, as any ar archive, begins with.
pub(super) const MAGIC: &[u8] = b"!<arch>\n";

/// Bytes that a decoder of xz may take; the largest preset needs 65 MiB.
const XZ_MEMORY: u64 = 80 << 20;
/// As a power of two, the window that a decoder of zstd may take: 8 MiB, as zstd's own default presets need.
const ZSTD_WINDOW: u32 = 23;

/// `most` bounds the bytes of all files together.
pub(super) fn read(mut file: impl BufRead, most: u64, keep: &[&str], contents: &mut Contents) -> io::Result<()> {
    let mut magic = [0; 8];
    file.read_exact(&mut magic)?;
    let mut version = [0; 4];
    let (name, size) = header(&mut file)?;
    if size == 4 {
        file.read_exact(&mut version)?;
    }
    if name != "debian-binary" || version != *b"2.0\n" {
        return Err(broken(format!("it begins with {} instead of `debian-binary` of format 2.0", quoted(&name))));
    }
    for (stem, directory) in [("control.tar", format!("{CONTROL}/")), ("data.tar", String::new())] {
        let (name, size) = header(&mut file)?;
        let Some(ending) = name.strip_prefix(stem) else {
            return Err(broken(format!("expected `{stem}.*`, got {}", quoted(&name))));
        };
        let member = Member { name: &name, ending, stream: BufReader::new((&mut file).take(size)) };
        member.read(&directory, most, keep, contents)?;
        if size % 2 == 1 {
            file.read_exact(&mut [0])?;
        }
    }
    match file.fill_buf()?.len() {
        0 => Ok(()),
        _ => Err(broken("trailing data after `data.tar.*`")),
    }
}

/// A compressed archive inside.
struct Member<'n, R> {
    name: &'n str,
    ending: &'n str,
    stream: BufReader<R>,
}

impl<R: Read> Member<'_, R> {
    /// dpkg stops where the first gzip member, frame or stream ends, and so does this; what is left is an error.
    fn read(self, directory: &str, most: u64, keep: &[&str], contents: &mut Contents) -> io::Result<()> {
        let Self { name, ending, stream } = self;
        let mut rest = match ending {
            ".gz" => {
                let mut decoder = GzDecoder::new(stream);
                tar::read(Bounded::new(&mut decoder, most), directory, keep, contents)?;
                decoder.into_inner()
            }
            ".zst" => {
                let mut decoder = zstd::Decoder::with_buffer(stream)?.single_frame();
                decoder.window_log_max(ZSTD_WINDOW)?;
                tar::read(Bounded::new(&mut decoder, most), directory, keep, contents)?;
                decoder.finish()
            }
            ".xz" => {
                let decoder = Stream::new_stream_decoder(XZ_MEMORY, 0)?;
                let mut decoder = XzDecoder::new_stream(stream, decoder);
                tar::read(Bounded::new(&mut decoder, most), directory, keep, contents)?;
                decoder.into_inner()
            }
            _ => return Err(broken(format!("the compression of {} is not known here", quoted(name)))),
        };
        match rest.fill_buf()?.len() {
            0 => Ok(()),
            _ => Err(broken(format!("{} goes on behind its first stream, where dpkg stops reading", quoted(name)))),
        }
    }
}

/// Name and size of the next member.
fn header(file: &mut impl Read) -> io::Result<(String, u64)> {
    let mut bytes = [0; 60];
    file.read_exact(&mut bytes)?;
    let field = |range: std::ops::Range<usize>| String::from_utf8_lossy(&bytes[range]).trim_end().to_owned();
    let size = field(48..58).parse().ok().filter(|_| &bytes[58..] == b"`\n");
    let size = size.ok_or_else(|| broken("a member's header is damaged"))?;
    Ok((field(0..16).trim_end_matches('/').to_owned(), size))
}
