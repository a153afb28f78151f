//! Files in the root of an ISO 9660 volume (ECMA-119) with Rock Ridge names and modes (IEEE P1282). The same files give the
//! same bytes.
//!
//! ECMA-119 names are eight upper-case letters and digits, so here they are just numbers; Linux and cloud-init read the
//! Rock Ridge ones. Files begin at multiples of 4096 bytes, so that a file system can share their blocks. Section numbers
//! in comments are those of ECMA-119.
#![expect(
    clippy::cast_possible_truncation,
    reason = "every number is checked against its field before, or is small by construction"
)]

use std::io;

use time::OffsetDateTime;

use super::segment::{Segment, files_of_root};
use crate::tree::{Entry, Tree};

const SECTOR: usize = 2048;
/// Numbers of sectors. Sectors 0 to 15 are left to the system.
const VOLUME: u32 = 16;
const PATHS_LITTLE: u32 = 18;
const PATHS_BIG: u32 = 19;
/// The root directory. Behind it is the extension record, which does not fit into the first directory record; it comes
/// before all files, since some programs read a volume as a stream.
const ROOT: u32 = 20;

const IS_DIRECTORY: u8 = 2;

/// The whole volume. `label` is its volume identifier; every file is dated `mtime` (seconds since 1970) and owned by root.
pub fn segments(tree: &Tree, label: &str, mtime: i64) -> io::Result<Vec<Segment>> {
    let date = OffsetDateTime::from_unix_timestamp(mtime).map_err(io::Error::other)?;
    let files = files_of_root(tree)?;
    // The size of the directory does not depend on where the files are, so it is computed without that first.
    let size = directory(&files, &vec![0; files.len()], 0, date)?.len();
    let mut next = aligned(ROOT + sectors(size as u64)? + 1);
    let first = next;
    let mut places = Vec::new();
    for (path, entry) in &files {
        places.push(next);
        let end = sectors(entry.size()).ok().and_then(|count| next.checked_add(count));
        next = aligned(end.ok_or_else(|| io::Error::other(format!("`{path}` is too large for ISO 9660")))?);
    }
    let records = directory(&files, &places, size, date)?;

    let mut head = vec![0; SECTOR * VOLUME as usize];
    head.extend(volume(label, next, size, date));
    head.extend(sector(&[b"\xffCD001\x01"]));
    head.extend(sector(&[&[1, 0], &ROOT.to_le_bytes(), &[1, 0, 0, 0]]));
    head.extend(sector(&[&[1, 0], &ROOT.to_be_bytes(), &[0, 1, 0, 0]]));
    head.extend(records);
    head.extend(sector(&[&extension()]));
    head.resize(SECTOR * first as usize, 0);
    let mut segments = vec![Segment::Bytes(head)];
    for (index, (_, entry)) in files.iter().enumerate() {
        segments.extend(Segment::of(entry));
        let end = places.get(index + 1).unwrap_or(&next);
        let padded = u64::from(end - places[index]) * SECTOR as u64;
        segments.push(Segment::zeros(usize::try_from(padded - entry.size()).map_err(io::Error::other)?));
    }
    Ok(segments)
}

fn sectors(bytes: u64) -> io::Result<u32> {
    // The length of a file is a 32-bit field.
    let bytes = u32::try_from(bytes).map_err(io::Error::other)?;
    Ok(bytes.div_ceil(SECTOR as u32))
}

fn aligned(sector: u32) -> u32 {
    sector.next_multiple_of(2)
}

fn sector(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = parts.concat();
    bytes.resize(SECTOR, 0);
    bytes
}

/// The primary volume descriptor (8.4).
fn volume(label: &str, sectors: u32, directory_size: usize, date: OffsetDateTime) -> Vec<u8> {
    let text = |text: &str, length: usize| format!("{text:length$}").into_bytes();
    let stamp = format!(
        "{:04}{:02}{:02}{:02}{:02}{:02}00\0",
        date.year(),
        u8::from(date.month()),
        date.day(),
        date.hour(),
        date.minute(),
        date.second()
    );
    let never = "0000000000000000\0";
    // Path table: one directory, its record ten bytes long.
    let parts: [&[u8]; 25] = [
        b"\x01CD001\x01\0",
        &text("", 32),
        &text(label, 32),
        &[0; 8],
        &both32(sectors),
        &[0; 32],
        &both16(1),
        &both16(1),
        &both16(SECTOR as u16),
        &both32(10),
        &PATHS_LITTLE.to_le_bytes(),
        &[0; 4],
        &PATHS_BIG.to_be_bytes(),
        &[0; 4],
        &record(&[0], ROOT, directory_size as u32, IS_DIRECTORY, date, &[]),
        &text("", 128),
        &text("", 128),
        &text("KUBE-BUNDLE", 128),
        &text("", 128),
        &text("", 37 * 3),
        stamp.as_bytes(),
        stamp.as_bytes(),
        never.as_bytes(),
        never.as_bytes(),
        &[1],
    ];
    sector(&parts)
}

/// All records of the root directory; none is on two sectors (6.8.1.1).
fn directory(files: &[(&str, &Entry)], places: &[u32], size: usize, date: OffsetDateTime) -> io::Result<Vec<u8>> {
    let mut records = Vec::new();
    let of_root = posix(0o040_755, 2);
    let begin = [&b"SP\x07\x01\xbe\xef\0"[..], &of_root, &modified(date), &continued(size)].concat();
    // Sizes are below the limits that `sectors` has checked.
    records.extend(record(&[0], ROOT, size as u32, IS_DIRECTORY, date, &begin));
    records.extend(record(&[1], ROOT, size as u32, IS_DIRECTORY, date, &[&of_root[..], &modified(date)].concat()));
    for (number, ((name, entry), place)) in files.iter().zip(places).enumerate() {
        let length = u8::try_from(name.len() + 5).map_err(io::Error::other)?;
        let named = [b"NM", &[length, 1, 0][..], name.as_bytes()].concat();
        let system_use = [&posix(0o100_000 | entry.mode.bits(), 1)[..], &modified(date), &named].concat();
        let known = format!("{number:08}.;1");
        let record = record(known.as_bytes(), *place, entry.size() as u32, 0, date, &system_use);
        if record.len() > usize::from(u8::MAX) {
            return Err(io::Error::other(format!("the name `{name}` is too long for a directory record")));
        }
        if records.len() % SECTOR + record.len() > SECTOR {
            records.resize(records.len().next_multiple_of(SECTOR), 0);
        }
        records.extend(record);
    }
    records.resize(records.len().next_multiple_of(SECTOR), 0);
    Ok(records)
}

/// A directory record (9.1).
fn record(name: &[u8], place: u32, size: u32, flags: u8, date: OffsetDateTime, system_use: &[u8]) -> Vec<u8> {
    // A name has at most twelve bytes here, so its length fits into one.
    let mut bytes = vec![0, 0];
    bytes.extend(both32(place));
    bytes.extend(both32(size));
    bytes.extend(stamp(date));
    bytes.extend([flags, 0, 0]);
    bytes.extend(both16(1));
    bytes.push(name.len() as u8);
    bytes.extend(name);
    bytes.resize(bytes.len().next_multiple_of(2), 0);
    bytes.extend(system_use);
    bytes.resize(bytes.len().next_multiple_of(2), 0);
    // The caller refuses a record of more than 255 bytes.
    bytes[0] = bytes.len() as u8;
    bytes
}

/// A date of seven bytes, from years since 1900 to seconds, and the offset from UTC, which is 0 (9.1.5).
fn stamp(date: OffsetDateTime) -> [u8; 7] {
    let year = u8::try_from(date.year() - 1900).unwrap_or_default();
    [year, u8::from(date.month()), date.day(), date.hour(), date.minute(), date.second(), 0]
}

/// Rock Ridge `PX` (mode, links, user, group) in its form of 36 bytes. The one of 44 has a serial number too, and readers
/// take files with equal ones for hard links.
fn posix(mode: u32, links: u32) -> Vec<u8> {
    [b"PX\x24\x01", &both32(mode)[..], &both32(links), &both32(0), &both32(0)].concat()
}

/// Rock Ridge `TF` (times) with the modification time only.
fn modified(date: OffsetDateTime) -> Vec<u8> {
    [b"TF\x0c\x01\x02", &stamp(date)[..]].concat()
}

/// System Use Sharing Protocol `CE`: where [`extension`] is.
fn continued(directory_size: usize) -> Vec<u8> {
    let place = ROOT + (directory_size / SECTOR) as u32;
    let length = extension().len() as u32;
    [b"CE\x1c\x01", &both32(place)[..], &both32(0), &both32(length)].concat()
}

/// System Use Sharing Protocol `ER`: declares Rock Ridge with the texts that its standard prescribes.
fn extension() -> Vec<u8> {
    let id = "RRIP_1991A";
    let about = "THE ROCK RIDGE INTERCHANGE PROTOCOL PROVIDES SUPPORT FOR POSIX FILE SYSTEM SEMANTICS";
    let source = "PLEASE CONTACT DISC PUBLISHER FOR SPECIFICATION SOURCE.  SEE PUBLISHER IDENTIFIER IN PRIMARY VOLUME \
                  DESCRIPTOR FOR CONTACT INFORMATION.";
    let length = 8 + id.len() + about.len() + source.len();
    let head = [length as u8, 1, id.len() as u8, about.len() as u8, source.len() as u8, 1];
    [b"ER", &head[..], id.as_bytes(), about.as_bytes(), source.as_bytes()].concat()
}

fn both16(value: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = (value.to_le_bytes(), value.to_be_bytes());
    [a, b, c, d]
}

fn both32(value: u32) -> [u8; 8] {
    let mut both = [0; 8];
    both[..4].copy_from_slice(&value.to_le_bytes());
    both[4..].copy_from_slice(&value.to_be_bytes());
    both
}
