//! Raw deflate (RFC 1951) that other raw deflate can stand behind.
//!
//! libdeflate compresses best for its time, but always says that its last block is the last one of all. Where that is
//! said is known to whoever reads the stream up to there, so it is read once, code by code, without what it stands for.

use std::io;

use libdeflater::{CompressionLvl, Compressor};

/// Compresses at `level`, from 1 to 12. The result ends at the border of a byte, and none of its blocks is a last one.
pub fn without_end(level: i32, content: &[u8]) -> io::Result<Vec<u8>> {
    let level = CompressionLvl::new(level).map_err(|_| io::Error::other("there is no such level of compression"))?;
    let mut encoder = Compressor::new(level);
    let mut packed = vec![0; encoder.deflate_compress_bound(content.len())];
    let length = encoder.deflate_compress(content, &mut packed).map_err(io::Error::other)?;
    packed.truncate(length);
    let last = last_block(&packed).ok_or_else(|| io::Error::other("libdeflate wrote a stream that is none"))?;
    packed[last.begin / 8] &= !(1 << (last.begin % 8));
    // An empty stored block: three bits of zeros, zeros up to the next byte, and its length twice.
    packed.resize((last.end + 3).div_ceil(8), 0);
    packed.extend([0, 0, 0xff, 0xff]);
    Ok(packed)
}

/// Where a stream ends, in bits from its beginning, for the fuzz target, which compares it with another decoder.
#[cfg(fuzzing)]
pub fn end_of(stream: &[u8]) -> Option<usize> {
    last_block(stream).map(|last| last.end)
}

/// The last block of a stream, in bits from its beginning.
#[derive(Debug, PartialEq, Eq)]
struct Last {
    /// Where the bit is that makes it the last one.
    begin: usize,
    /// Behind its last code.
    end: usize,
}

/// Reads a stream up to its end; nothing, if it has none or is none.
fn last_block(stream: &[u8]) -> Option<Last> {
    let mut bits = Bits { bytes: stream, at: 0, buffer: 0, count: 0 };
    loop {
        let begin = bits.position();
        let is_last = bits.take(1)? == 1;
        match bits.take(2)? {
            0 => bits.skip_stored()?,
            1 => {
                // RFC 1951, 3.2.6.
                let lengths: Vec<u8> = [(8, 144), (9, 112), (7, 24), (8, 8)].iter().flat_map(runs).collect();
                skip_codes(&mut bits, &lengths, &[5; 30])?;
            }
            2 => {
                let (lengths, literals) = read_lengths(&mut bits)?;
                skip_codes(&mut bits, lengths.get(..literals)?, &lengths[literals..])?;
            }
            _ => return None,
        }
        if is_last {
            return Some(Last { begin, end: bits.position() });
        }
    }
}

fn runs(run: &(u8, usize)) -> impl Iterator<Item = u8> + use<> {
    std::iter::repeat_n(run.0, run.1)
}

/// What a code of literals and lengths begins.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Literal,
    /// A distance comes next.
    Match,
    End,
}

/// Reads up to the end of a block whose codes have these lengths.
fn skip_codes(bits: &mut Bits<'_>, literals: &[u8], distances: &[u8]) -> Option<()> {
    // RFC 1951, 3.2.5: so many bits follow the code of that symbol.
    let literals = Codes::new(literals, |symbol| match symbol {
        0..=255 => Some((0, Kind::Literal)),
        256 => Some((0, Kind::End)),
        257..=264 | 285 => Some((0, Kind::Match)),
        265..=284 => Some(((symbol - 261) / 4, Kind::Match)),
        _ => None,
    })?;
    let distances = Codes::new(distances, |symbol| match symbol {
        0..=3 => Some((0, ())),
        4..=29 => Some((symbol / 2 - 1, ())),
        _ => None,
    })?;
    loop {
        // A length and a distance have 48 bits at most.
        bits.fill();
        match literals.read(bits)? {
            Kind::Literal => {}
            Kind::Match => distances.read(bits)?,
            Kind::End => return Some(()),
        }
    }
}

/// The lengths of a block's own codes, and how many of them are literals' and lengths' (RFC 1951, 3.2.7).
fn read_lengths(bits: &mut Bits<'_>) -> Option<(Vec<u8>, usize)> {
    const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
    let literals = bits.take(5)? + 257;
    let distances = bits.take(5)? + 1;
    let count = bits.take(4)? + 4;
    let mut of_lengths = [0; 19];
    for place in ORDER.iter().take(count) {
        of_lengths[*place] = u8::try_from(bits.take(3)?).ok()?;
    }
    let codes = Codes::new(&of_lengths, |symbol| Some((0, u8::try_from(symbol).ok()?)))?;
    let mut lengths: Vec<u8> = Vec::with_capacity(literals + distances);
    while lengths.len() < literals + distances {
        bits.fill();
        let (length, times) = match codes.read(bits)? {
            16 => (*lengths.last()?, bits.take(2)? + 3),
            17 => (0, bits.take(3)? + 3),
            18 => (0, bits.take(7)? + 11),
            length => (length, 1),
        };
        lengths.resize(lengths.len() + times, length);
    }
    (lengths.len() == literals + distances).then_some((lengths, literals))
}

/// The codes of an alphabet: what stands at the bits that come next, whatever follows them, is how many of these belong
/// to the symbol, with the bits behind its code, and what it is.
struct Codes<T>(Vec<Option<(u8, T)>>);

impl<T: Copy> Codes<T> {
    /// From the lengths of the codes of all symbols (RFC 1951, 3.2.2), and what each symbol means.
    fn new(lengths: &[u8], meaning: impl Fn(usize) -> Option<(usize, T)>) -> Option<Self> {
        let mut steps = vec![None];
        let mut code = 0u16;
        for length in 1..=lengths.iter().copied().max().unwrap_or(0) {
            // One bit more tells nothing of shorter codes.
            steps.extend_from_within(..);
            code <<= 1;
            for (symbol, _) in lengths.iter().enumerate().filter(|(_, other)| **other == length) {
                let step = meaning(symbol).and_then(|(more, what)| Some((length + u8::try_from(more).ok()?, what)));
                // Codes begin with their highest bit.
                *steps.get_mut(usize::from(code.reverse_bits() >> (16 - length)))? = step;
                code = code.checked_add(1)?;
            }
        }
        Some(Self(steps))
    }

    /// The next symbol; [`Bits::fill`] was there before.
    fn read(&self, bits: &mut Bits<'_>) -> Option<T> {
        // A code is 15 bits long at most.
        let next = (bits.buffer & 0x7fff) as usize;
        let (count, what) = (*self.0.get(next & (self.0.len() - 1))?)?;
        bits.skip(u32::from(count))?;
        Some(what)
    }
}

/// A stream of bits, the lowest of each byte first.
struct Bits<'a> {
    bytes: &'a [u8],
    /// Of the next byte that is not in the buffer.
    at: usize,
    /// Bits that come next; zeros behind the end.
    buffer: u64,
    /// How many of them are counted as taken from the bytes.
    count: u32,
}

impl Bits<'_> {
    fn position(&self) -> usize {
        self.at * 8 - self.count as usize
    }

    /// Sees to it that 56 bits or more are there, or what is left.
    fn fill(&mut self) {
        if let Some(bytes) = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk) {
            // What is over is read again next time, and is the same.
            self.buffer |= u64::from_le_bytes(*bytes) << self.count;
            self.at += ((63 - self.count) / 8) as usize;
            self.count |= 0b11_1000;
        } else {
            while let (true, Some(byte)) = (self.count < 56, self.bytes.get(self.at)) {
                self.buffer |= u64::from(*byte) << self.count;
                self.at += 1;
                self.count += 8;
            }
        }
    }

    fn skip(&mut self, count: u32) -> Option<()> {
        self.count = self.count.checked_sub(count)?;
        self.buffer >>= count;
        Some(())
    }

    fn take(&mut self, count: u32) -> Option<usize> {
        self.fill();
        let bits = self.buffer & ((1 << count) - 1);
        self.skip(count)?;
        usize::try_from(bits).ok()
    }

    /// The rest of a block that is not compressed (RFC 1951, 3.2.4).
    fn skip_stored(&mut self) -> Option<()> {
        let at = self.position().div_ceil(8);
        let [low, high] = *self.bytes.get(at..)?.first_chunk()?;
        let next = at + 4 + usize::from(u16::from_le_bytes([low, high]));
        (self.at, self.buffer, self.count) = (next, 0, 0);
        (next <= self.bytes.len()).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// Some of each: text, noise, zeros.
    fn content(size: usize) -> Vec<u8> {
        let mut state = 1u32;
        let noise = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        });
        let text = b"kube-apiserver kube-controller-manager kube-scheduler ".iter().copied().cycle();
        let parts = noise.take(size / 3).chain(text.take(size / 3));
        parts.chain(std::iter::repeat(0)).take(size).collect()
    }

    #[test]
    fn the_last_block_of_any_encoder_is_found() {
        for size in [0, 1, 20, 5000, 400_000] {
            for level in [0, 1, 6, 9] {
                let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::new(level));
                encoder.write_all(&content(size)).unwrap();
                let stream = encoder.finish().unwrap();
                let last = last_block(&stream).unwrap_or_else(|| panic!("{size} bytes at level {level}"));
                assert_eq!(last.end.div_ceil(8), stream.len());
                assert_eq!(stream[last.begin / 8] >> (last.begin % 8) & 1, 1);
            }
        }
    }

    #[test]
    fn the_end_is_found_whatever_kind_of_block_has_it() {
        // Noise is stored, a short text has fixed codes, noise of few letters has codes of its own.
        let noise = &content(30_000)[..9000];
        let letters: Vec<u8> = noise.iter().map(|byte| byte & 0x1f).collect();
        for (content, kind) in [(noise, 0), (&b"kubelet ".repeat(6)[..], 1), (&letters, 2)] {
            let mut encoder = Compressor::new(CompressionLvl::new(7).unwrap());
            let mut stream = vec![0; encoder.deflate_compress_bound(content.len())];
            let length = encoder.deflate_compress(content, &mut stream).unwrap();
            let last = last_block(&stream[..length]).unwrap();
            let bits =
                u16::from_le_bytes([stream[last.begin / 8], stream.get(last.begin / 8 + 1).copied().unwrap_or(0)]);
            assert_eq!(bits >> (last.begin % 8) & 0b111, kind << 1 | 1);
            assert_eq!(last.end.div_ceil(8), length);
        }
    }

    #[test]
    fn a_stream_without_an_end_is_none() {
        let mut stream = without_end(6, &content(50_000)).unwrap();
        assert_eq!(last_block(&stream), None);
        let end = stream.len() * 8;
        stream.extend([3, 0]);
        assert_eq!(last_block(&stream), Some(Last { begin: end, end: end + 10 }));
        for length in 0..stream.len() {
            assert_eq!(last_block(&stream[..length]), None);
        }
    }

    #[test]
    fn noise_is_read_without_harm() {
        let noise = content(30_000);
        for begin in 0..500 {
            let _ = last_block(&noise[begin..begin + 4000]);
        }
    }
}
