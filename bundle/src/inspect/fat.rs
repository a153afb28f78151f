//! A FAT16 volume as the kernel reads it (`fs/fat`): the root directory with its long names, and the chains of clusters.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use super::extent::{Extent, Extents};
use super::{Contents, broken, quoted};
use crate::target::Mode;

/// Where a volume of this kind says so.
const KIND: std::ops::Range<usize> = 54..62;
const SECTOR: u64 = 512;
/// A volume of fewer clusters is FAT12 to the kernel, one of more FAT32, whatever it says.
const CLUSTERS: std::ops::RangeInclusive<u64> = 4085..=65_524;
/// The first cluster has this number.
const FIRST: u64 = 2;
/// From here on an entry of the table ends a chain.
const END: u16 = 0xfff8;

const DELETED: u8 = 0xe5;
const LONG_NAME: u8 = 0x0f;
const VOLUME_LABEL: u8 = 0x08;
const DIRECTORY: u8 = 0x10;
/// Set in the number of a long name's last part, which comes first.
const LAST_PART: u8 = 0x40;

/// Whether a file that begins like this is one.
pub(super) fn is_one(begin: &[u8]) -> bool {
    begin.get(KIND) == Some(b"FAT16   ") && begin.get(510..512) == Some(b"\x55\xaa")
}

struct Volume {
    /// Bytes.
    cluster: u64,
    /// Where the first cluster begins.
    data: u64,
    clusters: u64,
    table: Vec<u16>,
    used: BTreeSet<u16>,
}

pub(super) fn read(file: &File, keep: &[&str], contents: &mut Contents) -> io::Result<()> {
    let (mut volume, root) = open(file)?;
    let mut long = LongName::default();
    let mut names = BTreeSet::new();
    for entry in root.chunks_exact(32).take_while(|entry| entry[0] != 0) {
        match entry[11] {
            _ if entry[0] == DELETED => long = LongName::default(),
            LONG_NAME => long.add(entry)?,
            kind if kind & VOLUME_LABEL != 0 => {
                if contents.label.is_some() {
                    return Err(broken("it has two labels"));
                }
                contents.label = Some(String::from_utf8_lossy(&entry[..11]).trim_end().to_owned());
            }
            kind if kind & DIRECTORY != 0 => return Err(broken("it has a directory in it, and no build writes such")),
            _ => {
                let name = std::mem::take(&mut long).finish(entry)?;
                // Names that differ in case alone are one name.
                if !names.insert(name.to_lowercase()) {
                    return Err(broken(format!("{} is there twice", quoted(&name))));
                }
                let size = u32::from_le_bytes([entry[28], entry[29], entry[30], entry[31]]);
                let extents = volume.chain(&name, short(entry, 26), size.into())?;
                // The kernel gives everything these rights, unless it is told otherwise.
                contents.file(name, Mode::EXECUTABLE, size.into(), Extents::new(file, extents), keep)?;
            }
        }
    }
    Ok(())
}

/// The volume, and the bytes of its root directory.
fn open(file: &File) -> io::Result<(Volume, Vec<u8>)> {
    let mut boot = [0; 512];
    file.read_exact_at(&mut boot, 0)?;
    let (reserved, tables, entries) = (u64::from(short(&boot, 14)), u64::from(boot[16]), u64::from(short(&boot, 17)));
    let table = u64::from(short(&boot, 22));
    let cluster = u64::from(boot[13]) * SECTOR;
    let small = u64::from(short(&boot, 19));
    let total =
        if small == 0 { u64::from(u32::from_le_bytes([boot[32], boot[33], boot[34], boot[35]])) } else { small };
    let root = (reserved + tables * table) * SECTOR;
    let data = root + entries * 32;
    let clusters = (total * SECTOR).saturating_sub(data).checked_div(cluster).unwrap_or(0);
    let is_good = u64::from(short(&boot, 11)) == SECTOR
        && boot[13].is_power_of_two()
        && (1..=2).contains(&tables)
        && reserved > 0
        && data.is_multiple_of(SECTOR)
        && CLUSTERS.contains(&clusters)
        && table * SECTOR >= (clusters + FIRST) * 2;
    if !is_good {
        return Err(broken("the boot sector is damaged"));
    }
    if file.metadata()?.len() < total * SECTOR {
        return Err(broken("the volume is truncated"));
    }
    let bytes = |at: u64, length: u64| -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        file.read_exact_at(&mut bytes, at)?;
        Ok(bytes)
    };
    let first = bytes(reserved * SECTOR, table * SECTOR)?;
    if tables == 2 && bytes((reserved + table) * SECTOR, table * SECTOR)? != first {
        return Err(broken("the copies of the file allocation table differ"));
    }
    let table = first.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    let volume = Volume { cluster, data, clusters, table, used: BTreeSet::new() };
    let root = bytes(root, entries * 32)?;
    Ok((volume, root))
}

impl Volume {
    /// Where the bytes of a file lie. A cluster belongs to one file, once, so a chain that is tied into a knot ends.
    fn chain(&mut self, name: &str, first: u16, size: u64) -> io::Result<Vec<Extent>> {
        let mut extents: Vec<Extent> = Vec::new();
        let (mut next, mut left) = (first, size);
        while left > 0 {
            let number = u64::from(next);
            if number < FIRST || number >= FIRST + self.clusters {
                return Err(broken(format!("the clusters of {} end before it does", quoted(name))));
            }
            if !self.used.insert(next) {
                return Err(broken(format!("{} and another file share a cluster", quoted(name))));
            }
            let at = self.data + (number - FIRST) * self.cluster;
            let length = left.min(self.cluster);
            match extents.last_mut() {
                Some(last) if last.at + last.length == at => last.length += length,
                _ => extents.push(Extent { at, length }),
            }
            left -= length;
            next = self.table[usize::from(next)];
        }
        let is_over = if size == 0 { first == 0 } else { next >= END };
        if is_over { Ok(extents) } else { Err(broken(format!("the clusters of {} go on after its end", quoted(name)))) }
    }
}

/// A name in parts of 13 characters, the last part first.
#[derive(Default)]
struct LongName {
    units: Vec<u16>,
    /// The number of the part that was read last; 0 before the first.
    part: u8,
    checksum: u8,
}

impl LongName {
    fn add(&mut self, entry: &[u8]) -> io::Result<()> {
        let (number, is_last) = (entry[0] & !LAST_PART, entry[0] & LAST_PART != 0);
        let follows = if is_last {
            // A name has 255 characters at most.
            self.part == 0 && (1..=20).contains(&number)
        } else {
            number + 1 == self.part && number > 0 && entry[13] == self.checksum
        };
        if !follows {
            return Err(broken("the parts of a long name do not follow each other"));
        }
        let units = [&entry[1..11], &entry[14..26], &entry[28..32]].concat();
        let units = units.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
        // Filled up, behind its end, in the last part alone.
        self.units.splice(0..0, units.take_while(|unit| *unit != 0 && !(is_last && *unit == 0xffff)));
        (self.part, self.checksum) = (number, entry[13]);
        Ok(())
    }

    /// The name of the short entry that follows.
    fn finish(self, short: &[u8]) -> io::Result<String> {
        if self.part != 1 {
            return Err(broken("a file has no long name"));
        }
        let sum = short[..11].iter().fold(0u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte));
        if sum != self.checksum {
            return Err(broken("the checksum of a long name is not that of its file"));
        }
        String::from_utf16(&self.units).map_err(|_| broken("a long name is damaged"))
    }
}

fn short(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}
