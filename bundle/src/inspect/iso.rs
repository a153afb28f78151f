//! An ISO 9660 volume as the kernel reads it: the root directory, with Rock Ridge's names and rights.

use std::io::{self, Read, Seek, SeekFrom};

use super::{Contents, broken};
use crate::target::Mode;

const SECTOR: u64 = 2048;
const DESCRIPTOR: usize = 16 * 2048;
/// More than any seed has; a damaged length must not fill the memory.
const LARGEST_DIRECTORY: u32 = 1 << 20;

/// Whether a file that begins like this is one.
pub(super) fn is_one(begin: &[u8]) -> bool {
    begin.get(DESCRIPTOR..DESCRIPTOR + 6) == Some(b"\x01CD001")
}

pub(super) fn read(file: &mut (impl Read + Seek), keep: &[&str], contents: &mut Contents) -> io::Result<()> {
    let mut descriptor = [0; 2048];
    file.seek(SeekFrom::Start(DESCRIPTOR as u64))?;
    file.read_exact(&mut descriptor)?;
    let root = &descriptor[156..190];
    let (place, size) = (number(root, 2)?, number(root, 10)?);
    if size > LARGEST_DIRECTORY {
        return Err(broken("the root directory's length is damaged"));
    }
    let mut directory = vec![0; size as usize];
    file.seek(SeekFrom::Start(u64::from(place) * SECTOR))?;
    file.read_exact(&mut directory)?;
    // Files may lie over each other, but there is no more than this in all of them.
    let mut left = file.seek(SeekFrom::End(0))?;
    for sector in directory.chunks(2048) {
        let mut rest = sector;
        // No record crosses a sector, and zeros fill up what is left of one.
        while let Some(length) = rest.first().map(|length| usize::from(*length)).filter(|length| *length > 0) {
            let record = rest.get(..length).filter(|record| record.len() > 33).ok_or_else(damaged)?;
            rest = &rest[length..];
            file_of(record, &mut left, file, keep, contents)?;
        }
    }
    Ok(())
}

fn file_of(
    record: &[u8],
    left: &mut u64,
    file: &mut (impl Read + Seek),
    keep: &[&str],
    contents: &mut Contents,
) -> io::Result<()> {
    let length = usize::from(record[32]);
    // `.` and `..` have names of one byte that is no letter.
    if length == 1 && record[33] < 2 {
        return Ok(());
    }
    if record[25] & 2 != 0 {
        return Err(broken("it has a directory in it, and no build writes such"));
    }
    let (place, size) = (number(record, 2)?, number(record, 10)?);
    *left = left.checked_sub(size.into()).ok_or_else(|| broken("its files are larger than it is"))?;
    let (mut name, mut mode, mut owner) = (Vec::new(), None, 0);
    let mut fields = record.get((33 + length).next_multiple_of(2)..).unwrap_or_default();
    while let [first, second, size, _, ..] = *fields {
        let field = fields.get(..usize::from(size)).filter(|field| field.len() >= 4).ok_or_else(damaged)?;
        fields = &fields[field.len()..];
        match &[first, second] {
            b"NM" => name.extend_from_slice(field.get(5..).unwrap_or_default()),
            b"PX" => {
                mode = Some(number(field, 4)?);
                owner = number(field, 20)? | number(field, 28)?;
            }
            _ => {}
        }
    }
    let name = String::from_utf8(name).map_err(|_| damaged())?;
    let mode = mode.filter(|mode| mode >> 12 == 0o10 && !name.is_empty()).ok_or_else(damaged)?;
    let mode: Mode = format!("{:o}", mode & 0o7777).parse().map_err(io::Error::other)?;
    if owner != 0 {
        contents.foreign.push(name.clone());
    }
    file.seek(SeekFrom::Start(u64::from(place) * SECTOR))?;
    let whole = contents.entries.len();
    contents.file(name.clone(), mode, (&mut *file).take(size.into()), keep)?;
    if contents.entries.len() == whole || contents.entries[&name].size != Some(size.into()) {
        return Err(broken(format!("`{name}` is cut off, or is there twice")));
    }
    Ok(())
}

/// A number that is written twice, with its lowest and with its highest byte first.
fn number(bytes: &[u8], at: usize) -> io::Result<u32> {
    let part = |from: usize| bytes.get(from..from + 4)?.try_into().ok();
    let (Some(little), Some(big)) = (part(at).map(u32::from_le_bytes), part(at + 4).map(u32::from_be_bytes)) else {
        return Err(damaged());
    };
    if little == big { Ok(little) } else { Err(damaged()) }
}

fn damaged() -> io::Error {
    broken("a directory record is damaged")
}
