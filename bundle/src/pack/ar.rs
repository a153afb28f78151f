//! The common archive format as deb(5) takes it: a magic line, then members behind headers of 60 bytes.

use std::io::{self, Read, Write};

/// What an archive begins with.
const MAGIC: &[u8] = b"!<arch>\n";
/// Ten digits are all that a header has for a size.
const LARGEST: u64 = 9_999_999_999;

/// Begins an archive.
pub fn begin(writer: &mut impl Write) -> io::Result<()> {
    writer.write_all(MAGIC)
}

/// Writes one member of exactly `size` bytes, dated `mtime` (seconds since 1970), owned by root.
pub fn member(writer: &mut impl Write, name: &str, mtime: u64, size: u64, content: &mut impl Read) -> io::Result<()> {
    writer.write_all(header(name, mtime, size)?.as_bytes())?;
    let copied = io::copy(&mut content.take(size), writer)?;
    if copied != size {
        return Err(io::Error::other(format!("`{name}` ended after {copied} of {size} bytes")));
    }
    // dpkg 1.23 looks at the byte that makes a size even.
    if size % 2 == 1 { writer.write_all(b"\n") } else { Ok(()) }
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
            assert_eq!(header.len(), 60);
            assert_eq!(header[48..58].trim_end(), size.to_string());
        }
        assert!(header("data.tar.gz", 0, LARGEST + 1).is_err());
    }

    #[test]
    fn members_begin_at_even_places_and_none_is_short() {
        let mut bytes = Vec::new();
        member(&mut bytes, "a", 0, 3, &mut &b"abc"[..]).expect("three bytes");
        assert_eq!(bytes.len(), 64);
        assert!(bytes.ends_with(b"abc\n"));
        assert!(member(&mut Vec::new(), "a", 0, 4, &mut &b"abc"[..]).is_err());
    }
}
