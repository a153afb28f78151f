//! Sections of a 64-bit little-endian ELF program (elf(5)), read one at a time: a program has 50 MB, and what is wanted of
//! it is a fraction.

use std::io::{self, Read, Seek, SeekFrom};

/// Bytes of the largest section that is read, and of all headers together.
const LARGEST: u64 = 256 << 20;
const HEADER: usize = 64;

/// A program, and where its sections are.
pub(super) struct Program<'f, F> {
    file: &'f mut F,
    sections: Vec<Section>,
}

struct Section {
    name: String,
    address: u64,
    offset: u64,
    size: u64,
    /// Without bytes in the file (`SHT_NOBITS`).
    is_empty: bool,
}

impl<'f, F: Read + Seek> Program<'f, F> {
    /// `None` if it is no such program, or its sections make no sense.
    pub(super) fn open(file: &'f mut F) -> io::Result<Option<Self>> {
        let Some(header) = read(file, 0, HEADER as u64)? else { return Ok(None) };
        if !header.starts_with(b"\x7fELF\x02\x01") {
            return Ok(None);
        }
        let size = u64::from(u16_at(&header, 58).unwrap_or(0));
        let count = u64::from(u16_at(&header, 60).unwrap_or(0));
        let names = usize::from(u16_at(&header, 62).unwrap_or(0));
        if size != HEADER as u64 {
            return Ok(None);
        }
        let Some(table) = read(file, u64_at(&header, 40).unwrap_or(0), size * count)? else { return Ok(None) };
        let rows: Vec<&[u8]> = table.chunks_exact(HEADER).collect();
        let place = rows.get(names).and_then(|row| Some((u64_at(row, 24)?, u64_at(row, 32)?)));
        let Some((offset, size)) = place else { return Ok(None) };
        let Some(names) = read(file, offset, size)? else { return Ok(None) };
        let sections = rows.iter().filter_map(|row| section(row, &names)).collect();
        Ok(Some(Self { file, sections }))
    }

    /// The bytes of the first section of one of these names.
    pub(super) fn section(&mut self, names: &[&str]) -> io::Result<Option<Vec<u8>>> {
        let found = self.sections.iter().find(|section| !section.is_empty && names.contains(&section.name.as_str()));
        match found.map(|section| (section.offset, section.size)) {
            Some((offset, size)) => read(self.file, offset, size),
            None => Ok(None),
        }
    }

    /// The bytes at an address of the running program.
    pub(super) fn memory(&mut self, address: u64, length: u64) -> io::Result<Option<Vec<u8>>> {
        let place =
            self.sections.iter().filter(|section| !section.is_empty && section.address > 0).find_map(|section| {
                let inside = address.checked_sub(section.address)?;
                (inside.checked_add(length)? <= section.size).then(|| section.offset.checked_add(inside)).flatten()
            });
        match place {
            Some(offset) => read(self.file, offset, length),
            None => Ok(None),
        }
    }
}

fn section(row: &[u8], names: &[u8]) -> Option<Section> {
    let name = names.get(usize::try_from(u32_at(row, 0)?).ok()?..)?;
    let name = name.split(|byte| *byte == 0).next()?;
    Some(Section {
        name: String::from_utf8_lossy(name).into_owned(),
        address: u64_at(row, 16)?,
        offset: u64_at(row, 24)?,
        size: u64_at(row, 32)?,
        is_empty: u32_at(row, 4)? == 8,
    })
}

/// `None` where the file ends before.
fn read(file: &mut (impl Read + Seek), offset: u64, length: u64) -> io::Result<Option<Vec<u8>>> {
    if length > LARGEST {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 == length).then_some(bytes))
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
