//! The common archive format as deb(5) takes it: a magic line, then members behind headers of 60 bytes.

use std::io;

use super::segment::Segment;

/// What an archive begins with.
const MAGIC: &[u8] = b"!<arch>\n";
/// Bytes before each member.
pub const HEADER: u64 = 60;
/// Ten digits are all that a header has for a size.
const LARGEST: u64 = 9_999_999_999;

/// The begin of an archive.
pub fn begin() -> Segment {
    Segment::Bytes(MAGIC.to_vec())
}

/// One member, dated `mtime` (seconds since 1970), owned by root.
pub fn member(name: &str, mtime: u64, content: Vec<Segment>) -> io::Result<Vec<Segment>> {
    let size = content.iter().map(Segment::size).sum();
    let mut segments = vec![Segment::Bytes(header(name, mtime, size)?.into_bytes())];
    segments.extend(content);
    if size % 2 == 1 {
        // dpkg 1.23 looks at the byte that makes a size even.
        segments.push(Segment::Bytes(b"\n".to_vec()));
    }
    Ok(segments)
}

fn header(name: &str, mtime: u64, size: u64) -> io::Result<String> {
    if size > LARGEST {
        return Err(io::Error::other(format!(
            "`{name}` has {size} bytes, and a package holds no member of more than {LARGEST}"
        )));
    }
    // dpkg ends names with no slash, and writes a regular file's type into the mode.
    Ok(format!("{name:<16}{mtime:<12}{:<6}{:<6}{:<8o}{size:<10}`\n", 0, 0, 0o100_644))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_60_bytes_up_to_the_largest_size_it_can_tell() {
        for size in [0, 1, 5 << 30, LARGEST] {
            let header = header("control.tar.gz", 1_568_764_800, size).expect("a size that fits");
            assert_eq!(header.len() as u64, HEADER);
            assert_eq!(header[48..58].trim_end(), size.to_string());
        }
        assert!(header("data.tar.gz", 0, LARGEST + 1).is_err());
    }

    #[test]
    fn members_begin_at_even_places() {
        for (content, size) in [("abc", 64), ("abcd", 64), ("", 60)] {
            let segments = member("a", 0, vec![Segment::Bytes(content.into())]).expect("a member");
            assert_eq!(segments.iter().map(Segment::size).sum::<u64>(), size);
        }
    }
}
