//! What a registry keeps compressed, under a title that ends as gzip(1) ends names: `gunzip --recursive` makes a thin
//! copy of what was pulled by other tools.

use std::io::{self, BufRead, Read};

use flate2::GzBuilder;
use flate2::bufread::GzDecoder;

use super::artifact::Layer;
use crate::hash::HashingReader;

/// What is added to a title.
const SUFFIX: &str = ".gz";
/// Bytes of the shortest and the longest text that is compressed. It is in memory then.
const SIZES: std::ops::RangeInclusive<u64> = 4096..=64 << 20;
/// So many bytes tell whether it is worth compressing at all.
const SAMPLE: u64 = 64 << 10;
/// The default of gzip(1).
const LEVEL: u32 = 6;

/// The title of the compressed form.
pub(super) fn title(of: &str) -> String {
    format!("{of}{SUFFIX}")
}

/// What is in a layer with that title: the title without the suffix if it is compressed.
pub(super) fn inside(title: &str) -> Option<&str> {
    title.strip_suffix(SUFFIX)
}

/// The compressed form of what `open` opens, if that saves an eighth, and what is opened has the digest that the layer says.
pub(super) fn compress<R: Read>(layer: &Layer, open: impl Fn() -> io::Result<R>) -> io::Result<Option<Vec<u8>>> {
    if !SIZES.contains(&layer.size) {
        return Ok(None);
    }
    let sample = layer.size.min(SAMPLE);
    if gzip(&mut open()?.take(sample))?.len() as u64 > sample - sample / 8 {
        return Ok(None);
    }
    let mut text = HashingReader::new(open()?.take(layer.size));
    let packed = gzip(&mut text)?;
    Ok((text.finish() == (layer.sha256, layer.size)).then_some(packed))
}

/// The same bytes for the same text, whenever and wherever.
fn gzip(text: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut encoder = GzBuilder::new().mtime(0).write(Vec::new(), flate2::Compression::new(LEVEL));
    io::copy(text, &mut encoder)?;
    encoder.finish()
}

/// The text of a compressed layer, of at most `limit` bytes.
pub(super) fn inflate(packed: impl BufRead, limit: u64) -> io::Result<Vec<u8>> {
    let limit = limit.min(*SIZES.end());
    let mut text = Vec::new();
    GzDecoder::new(packed).take(limit + 1).read_to_end(&mut text)?;
    if text.len() as u64 > limit { Err(io::Error::other(format!("more than {limit} bytes"))) } else { Ok(text) }
}
