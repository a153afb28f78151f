//! An ISO 9660 volume as the kernel reads it (`fs/isofs`): the root directory, with Rock Ridge's names and rights.
//!
//! What would make another reader see other files is refused: a second directory tree (Joliet), continued or relocated
//! records, and anything in the area that belongs to other file systems.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use super::extent::{Extent, Extents};
use super::{Contents, broken, quoted, rights, utf8};

const SECTOR: u64 = 2048;
const DESCRIPTOR: usize = 16 * 2048;
/// More than any seed has; a damaged length must not fill the memory.
const LARGEST_DIRECTORY: u32 = 1 << 20;
/// The type of the descriptor that ends their list.
const TERMINATOR: &[u8] = b"\xffCD001";
const IS_DIRECTORY: u8 = 2;

/// Whether a file that begins like this is one.
pub(super) fn is_one(begin: &[u8]) -> bool {
    begin.get(DESCRIPTOR..DESCRIPTOR + 6) == Some(b"\x01CD001")
}

pub(super) fn read(file: &File, keep: &[&str], contents: &mut Contents) -> io::Result<()> {
    let mut head = vec![0; DESCRIPTOR + 2 * 2048];
    file.read_exact_at(&mut head, 0)?;
    let (system, descriptors) = head.split_at(DESCRIPTOR);
    let (volume, second) = descriptors.split_at(2048);
    if system.iter().any(|byte| *byte != 0) {
        return Err(broken("the system area is not empty"));
    }
    if !second.starts_with(TERMINATOR) {
        return Err(broken("it has a second volume descriptor, and no build writes such"));
    }
    let length = file.metadata()?.len();
    if u64::from(number(volume, 80)?) * SECTOR > length {
        return Err(broken("the volume is truncated"));
    }
    if volume[128..132] != *b"\x00\x08\x08\x00" {
        return Err(broken("its blocks are not 2048 bytes large"));
    }
    contents.label = Some(String::from_utf8_lossy(&volume[40..72]).trim_end().to_owned());
    let root = &volume[156..190];
    let (place, size) = (number(root, 2)?, number(root, 10)?);
    if size > LARGEST_DIRECTORY {
        return Err(broken("the root directory's length is damaged"));
    }
    let mut directory = vec![0; size as usize];
    file.read_exact_at(&mut directory, u64::from(place) * SECTOR)?;
    // Files may lie over each other, but there is no more than this in all of them.
    let mut left = length;
    for sector in directory.chunks(2048) {
        let mut rest = sector;
        // No record crosses a sector, and zeros fill up what is left of one.
        while let Some(length) = rest.first().map(|length| usize::from(*length)).filter(|length| *length > 0) {
            let record = rest.get(..length).filter(|record| record.len() > 33).ok_or_else(damaged)?;
            rest = &rest[length..];
            let Some(found) = Record::parse(record)? else { continue };
            left = left.checked_sub(found.extent.length).ok_or_else(|| broken("its files are larger than it is"))?;
            if found.is_foreign {
                contents.foreign.push(found.name.clone());
            }
            let bytes = Extents::new(file, vec![found.extent]);
            contents.file(found.name, rights(found.mode)?, found.extent.length, bytes, keep)?;
        }
        if rest.iter().any(|byte| *byte != 0) {
            return Err(damaged());
        }
    }
    Ok(())
}

/// A file of the root directory.
struct Record {
    name: String,
    mode: u32,
    is_foreign: bool,
    extent: Extent,
}

impl Record {
    /// A directory record (ECMA-119, 9.1); none for those of the directory itself and of its parent.
    fn parse(record: &[u8]) -> io::Result<Option<Self>> {
        let length = usize::from(record[32]);
        // `.` and `..` have names of one byte that is no letter.
        if length == 1 && record[33] < 2 {
            return Ok(None);
        }
        if record[25] & IS_DIRECTORY != 0 {
            return Err(broken("it has a directory in it, and no build writes such"));
        }
        // Extended attributes, flags, interleaving.
        if record[1] != 0 || record[25..28] != [0, 0, 0] {
            return Err(damaged());
        }
        let extent = Extent { at: u64::from(number(record, 2)?) * SECTOR, length: number(record, 10)?.into() };
        let (mut name, mut mode, mut owner) = (None, None, 0);
        let mut fields = record.get((33 + length).next_multiple_of(2)..).unwrap_or_default();
        while let [first, second, size, _, ..] = *fields {
            let field = fields.get(..usize::from(size)).filter(|field| field.len() >= 4).ok_or_else(damaged)?;
            fields = &fields[field.len()..];
            match &[first, second] {
                // Its flags say that it goes on, or that it is not a name.
                b"NM" if name.is_none() && field.get(4) == Some(&0) => name = Some(utf8(&field[5..])?),
                b"PX" if mode.is_none() => {
                    mode = Some(number(field, 4)?);
                    owner = number(field, 20)? | number(field, 28)?;
                }
                b"TF" => {}
                // Links, continuations, relocations, compression: other readers would see something else.
                other => {
                    return Err(broken(format!(
                        "a file has the unknown field {}",
                        quoted(&String::from_utf8_lossy(other))
                    )));
                }
            }
        }
        let name = name.ok_or_else(damaged)?;
        let mode = mode.filter(|mode| mode >> 12 == 0o10).ok_or_else(damaged)?;
        Ok(Some(Self { name, mode, is_foreign: owner != 0, extent }))
    }
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
