//! Files in the root of a FAT16 volume without partitions (Microsoft's "FAT: General Overview of On-Disk Format", 1.03).
//! The same files give the same bytes; unused space is zeros.
//!
//! FAT16 spans the sizes needed here, 2 MB to 2 GiB: FAT32 volumes begin at 33 MB, and FAT12 ones end at 128 MiB.
#![expect(
    clippy::cast_possible_truncation,
    reason = "every number is checked against its field before, or is small by construction"
)]

use std::io;

use time::OffsetDateTime;

use super::segment::{Segment, files_of_root};
use crate::hash::Sha256;
use crate::tree::{Entry, Tree};

const SECTOR: u64 = 512;
/// Number of root directory entries, of 32 bytes each.
const ENTRIES: u64 = 512;
/// Readers tell FAT12, FAT16 and FAT32 apart by the number of clusters: 4085 to 65,524 are FAT16. A margin of 16 is kept, as
/// the document advises.
const FEWEST: u64 = 4085 + 16;
const MOST: u64 = 65_525 - 16;
/// Sectors per track; mtools refuses a volume that is not a whole number of tracks.
const TRACK: u64 = 32;
/// Sectors per cluster: 4 KiB, which lets a file system share blocks, unless the volume is too small or too large for it;
/// at most 32 KiB, the largest that every reader takes.
const PAGE: u64 = 8;
const LARGEST: u64 = 64;

const VOLUME_LABEL: u8 = 0x08;
const LONG_NAME: u8 = 0x0f;
const ARCHIVE: u8 = 0x20;

/// Sizes in sectors: of a cluster, of the reserved area, of one allocation table, of the volume.
struct Layout {
    cluster: u64,
    reserved: u64,
    table: u64,
    total: u64,
}

/// The whole volume. `label` has at most 11 characters; every file is dated `mtime` (seconds since 1970).
pub fn segments(tree: &Tree, label: &str, mtime: i64) -> io::Result<Vec<Segment>> {
    let date = OffsetDateTime::from_unix_timestamp(mtime).map_err(io::Error::other)?;
    let files = files_of_root(tree)?;
    let layout = layout(&files)?;
    let bytes_of_cluster = layout.cluster * SECTOR;
    let mut table: Vec<u16> = vec![0xfff8, 0xffff];
    let mut directory = entry_of(&short_label(label), VOLUME_LABEL, date, 0, 0);
    for (number, (name, entry)) in files.iter().enumerate() {
        let count = entry.size().div_ceil(bytes_of_cluster);
        // `layout` has checked that all clusters have 16-bit numbers.
        let first = if count == 0 { 0 } else { table.len() as u16 };
        table.extend((1..count).map(|next| first + next as u16));
        table.extend((count > 0).then_some(0xffff));
        let size = u32::try_from(entry.size()).map_err(io::Error::other)?;
        let short = short_name(number);
        directory.extend(long_names(name, &short)?);
        directory.extend(entry_of(&short, ARCHIVE, date, first, size));
    }
    if directory.len() as u64 > ENTRIES * 32 {
        return Err(io::Error::other("there are more files than the root directory has entries"));
    }
    directory.resize((ENTRIES * 32) as usize, 0);
    let mut table: Vec<u8> = table.iter().flat_map(|cluster| cluster.to_le_bytes()).collect();
    table.resize((layout.table * SECTOR) as usize, 0);

    let mut head = boot_sector(&layout, label, serial(&files));
    head.resize((layout.reserved * SECTOR) as usize, 0);
    head.extend([&table[..], &table, &directory].concat());
    let mut written = head.len() as u64;
    let mut segments = vec![Segment::Bytes(head)];
    for (_, entry) in &files {
        let padded = entry.size().next_multiple_of(bytes_of_cluster);
        segments.extend(Segment::of(entry));
        segments.push(Segment::zeros((padded - entry.size()) as usize));
        written += padded;
    }
    segments.push(Segment::zeros((layout.total * SECTOR - written) as usize));
    Ok(segments)
}

fn layout(files: &[(&str, &Entry)]) -> io::Result<Layout> {
    let clusters = |sectors: u64| files.iter().map(|(_, entry)| entry.size().div_ceil(sectors * SECTOR)).sum::<u64>();
    let mut cluster = PAGE;
    while cluster > 1 && clusters(cluster) < FEWEST {
        cluster /= 2;
    }
    while cluster < LARGEST && clusters(cluster) > MOST {
        cluster *= 2;
    }
    let count = clusters(cluster).max(FEWEST);
    if count > MOST {
        return Err(io::Error::other("a FAT16 volume holds 2 GiB at most; an ISO image holds more"));
    }
    // The first two entries are reserved, and rounding up to a track adds up to 32 clusters.
    let table = ((count + 2 + TRACK) * 2).div_ceil(SECTOR);
    let fixed = 2 * table + ENTRIES * 32 / SECTOR;
    // Files begin at a multiple of 4 KiB.
    let reserved = (fixed + 1).next_multiple_of(PAGE) - fixed;
    let total = (reserved + fixed + count * cluster).next_multiple_of(TRACK);
    Ok(Layout { cluster, reserved, table, total })
}

/// The volume serial number, derived from names and digests, so that volumes with other files have another one.
fn serial(files: &[(&str, &Entry)]) -> [u8; 4] {
    let text: String = files.iter().map(|(name, entry)| format!("{name} {:?}\n", entry.sha256())).collect();
    let digest = Sha256::of(text.as_bytes()).to_string();
    u32::from_str_radix(&digest[..8], 16).unwrap_or_default().to_le_bytes()
}

fn boot_sector(layout: &Layout, label: &str, serial: [u8; 4]) -> Vec<u8> {
    let small = u16::try_from(layout.total).unwrap_or(0);
    let large = if small == 0 { layout.total as u32 } else { 0 };
    let parts: [&[u8]; 20] = [
        b"\xeb\x3c\x90",
        b"mkfs.fat",
        &(SECTOR as u16).to_le_bytes(),
        &[layout.cluster as u8],
        &(layout.reserved as u16).to_le_bytes(),
        &[2],
        &(ENTRIES as u16).to_le_bytes(),
        &small.to_le_bytes(),
        // Media: fixed disk.
        &[0xf8],
        &(layout.table as u16).to_le_bytes(),
        &(TRACK as u16).to_le_bytes(),
        // Number of heads; hidden sectors before the volume.
        &[64, 0],
        &[0; 4],
        &large.to_le_bytes(),
        // Drive number of the first fixed disk; signature of the three fields that follow.
        &[0x80, 0],
        &[0x29],
        &serial,
        &short_label(label),
        b"FAT16   ",
        &[0; 448],
    ];
    [&parts.concat()[..], &[0x55, 0xaa]].concat()
}

fn short_label(label: &str) -> [u8; 11] {
    let mut name = [b' '; 11];
    name.iter_mut().zip(label.bytes()).for_each(|(to, from)| *to = from);
    name
}

/// A unique 8.3 name. Readers show the long name instead.
fn short_name(number: usize) -> [u8; 11] {
    short_label(&format!("FILE{number:04}"))
}

fn entry_of(name: &[u8; 11], attributes: u8, date: OffsetDateTime, cluster: u16, size: u32) -> Vec<u8> {
    let time = u16::from(date.hour()) << 11 | u16::from(date.minute()) << 5 | u16::from(date.second() / 2);
    let year = u16::try_from(date.year() - 1980).unwrap_or_default().min(127);
    let day = year << 9 | u16::from(u8::from(date.month())) << 5 | u16::from(date.day());
    let parts: [&[u8]; 10] = [
        name,
        &[attributes, 0, 0],
        &time.to_le_bytes(),
        &day.to_le_bytes(),
        &day.to_le_bytes(),
        &[0; 2],
        &time.to_le_bytes(),
        &day.to_le_bytes(),
        &cluster.to_le_bytes(),
        &size.to_le_bytes(),
    ];
    parts.concat()
}

/// The entries for the long name of a file, which come before its own entry, last part of the name first.
fn long_names(name: &str, short: &[u8; 11]) -> io::Result<Vec<u8>> {
    let mut units: Vec<u16> = name.encode_utf16().collect();
    if units.len() > 255 {
        return Err(io::Error::other(format!("the name `{name}` is too long for FAT")));
    }
    let sum = short.iter().fold(0u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte));
    if !units.len().is_multiple_of(13) {
        units.push(0);
        units.resize(units.len().next_multiple_of(13), 0xffff);
    }
    let count = units.len() / 13;
    let mut entries = Vec::new();
    for (index, part) in units.chunks(13).enumerate().rev() {
        let last = if index + 1 == count { 0x40 } else { 0 };
        let bytes: Vec<u8> = part.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        entries.push(last | (index + 1) as u8);
        entries.extend(&bytes[..10]);
        entries.extend([LONG_NAME, 0, sum]);
        entries.extend(&bytes[10..22]);
        entries.extend([0, 0]);
        entries.extend(&bytes[22..]);
    }
    Ok(entries)
}
