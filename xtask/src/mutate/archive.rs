//! Changes inside archives, which are packed again so that only their meaning is wrong.

use std::io::{Read as _, Write as _};

use anyhow::{Context, Result};

use super::random::{Random, damage, damage_text};

const BLOCK: usize = 512;
const NAMES: [&str; 8] = ["evil", "../evil", "/etc/evil", "usr/bin/evil", "user-data", "root", "./x", "a//b"];

/// Header and content of an entry; in cpio the header has its name.
type Entry = (Vec<u8>, Vec<u8>);

/// One compressed tar stream with a change in it. `ending` says how it is compressed.
pub(super) fn compressed_tar(random: &mut Random, packed: &[u8], ending: &str) -> Result<Vec<u8>> {
    let mut plain = Vec::new();
    match ending {
        "gz" => drop(flate2::read::MultiGzDecoder::new(packed).read_to_end(&mut plain)?),
        "zst" => plain = zstd::decode_all(packed)?,
        _ => drop(liblzma::read::XzDecoder::new(packed).read_to_end(&mut plain)?),
    }
    let plain = if random.below(6) == 0 {
        damage(random, &mut plain);
        plain
    } else {
        tar(random, &plain)
    };
    Ok(match ending {
        "gz" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&plain)?;
            encoder.finish()?
        }
        "zst" => zstd::encode_all(&plain[..], 1)?,
        _ => {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 0);
            encoder.write_all(&plain)?;
            encoder.finish()?
        }
    })
}

fn octal(field: &[u8]) -> usize {
    let text: String = field.iter().map(|byte| char::from(*byte)).filter(|c| ('0'..='7').contains(c)).collect();
    usize::from_str_radix(&text, 8).unwrap_or(0)
}

fn tar(random: &mut Random, stream: &[u8]) -> Vec<u8> {
    let (mut entries, mut at): (Vec<Entry>, _) = (Vec::new(), 0);
    while at + BLOCK <= stream.len() && stream[at] != 0 {
        let size = octal(&stream[at + 124..at + 136]);
        let end = (at + BLOCK + size.next_multiple_of(BLOCK)).min(stream.len());
        entries.push((stream[at..at + BLOCK].to_vec(), stream[at + BLOCK..end].to_vec()));
        at = end;
    }
    if entries.is_empty() {
        return stream.to_vec();
    }
    shuffle(random, &mut entries);
    let place = random.below(entries.len());
    let (header, content) = &mut entries[place];
    let number = |random: &mut Random, field: &mut [u8]| {
        let digits = format!("{:0width$o}\0", random.below(0o10_000), width = field.len() - 1);
        field.copy_from_slice(digits.as_bytes());
    };
    match random.below(12) {
        0 => number(random, &mut header[100..108]),
        1 => number(random, &mut header[108..116]),
        2 => number(random, &mut header[116..124]),
        3 => number(random, &mut header[124..136]),
        4 => number(random, &mut header[136..148]),
        5 => header[156] = *random.pick(b"0512LKxgS7\0A"),
        6 => header[265..270].copy_from_slice(random.pick(&[b"mail\0", b"root\0", b"\0\0\0\0\0"]).as_slice()),
        7 => {
            let name = random.pick(&NAMES);
            header[..100].fill(0);
            header[..name.len()].copy_from_slice(name.as_bytes());
        }
        8 => {
            let place = random.below(100);
            header[place] ^= 1 << random.below(8);
        }
        9 if !content.is_empty() => {
            let place = random.below(content.len());
            content[place] ^= 1 << random.below(8);
        }
        10 => content.clear(),
        _ => {}
    }
    if random.below(8) > 0 {
        for (header, _) in &mut entries {
            header[148..156].fill(b' ');
            let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
            header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
    let mut changed: Vec<u8> = entries.into_iter().flat_map(|(header, content)| [header, content].concat()).collect();
    changed.extend(vec![0; *random.pick(&[1024, 1024, 1024, 0, 512, 10_240])]);
    if random.below(16) == 0 {
        changed.extend(b"trailing data");
    }
    changed
}

/// An entry goes, comes twice, changes places, or takes another one's content.
fn shuffle(random: &mut Random, entries: &mut Vec<Entry>) {
    let (one, other) = (random.below(entries.len()), random.below(entries.len()));
    match random.below(8) {
        0 if entries.len() > 1 => drop(entries.remove(one)),
        1 => entries.insert(other, entries[one].clone()),
        2 => entries.swap(one, other),
        3 => entries[one].1 = entries[other].1.clone(),
        _ => {}
    }
}

/// A package with a change in one of its members, or in their order.
pub(super) fn deb(random: &mut Random, package: &[u8]) -> Result<Vec<u8>> {
    let (mut members, mut at): (Vec<Entry>, _) = (Vec::new(), 8);
    while at + 60 <= package.len() {
        let size: usize = std::str::from_utf8(&package[at + 48..at + 58])?.trim().parse().context("a member's size")?;
        members.push((package[at..at + 60].to_vec(), package[at + 60..at + 60 + size].to_vec()));
        at += 60 + size.next_multiple_of(2);
    }
    if random.below(8) == 0 {
        shuffle(random, &mut members);
    } else {
        let (header, content) = &mut members[1 + random.below(2)];
        let name = String::from_utf8_lossy(&header[..16]).trim().to_owned();
        *content = compressed_tar(random, content, name.rsplit('.').next().unwrap_or_default())?;
    }
    let mut changed = package[..8].to_vec();
    for (mut header, content) in members {
        header[48..58].copy_from_slice(format!("{:<10}", content.len()).as_bytes());
        changed.extend([header, content].concat());
        if changed.len() % 2 == 1 {
            changed.push(b'\n');
        }
    }
    Ok(changed)
}

/// An initramfs archive with other entries, names, numbers or contents.
pub(super) fn cpio(random: &mut Random, archive: &[u8]) -> Vec<u8> {
    let (mut entries, mut at): (Vec<Entry>, _) = (Vec::new(), 0);
    let field = |at: usize, index: usize| {
        let digits = std::str::from_utf8(&archive[at + 6 + 8 * index..at + 14 + 8 * index]).unwrap_or_default();
        usize::from_str_radix(digits, 16).unwrap_or(0)
    };
    while at + 110 <= archive.len() && archive[at] == b'0' {
        let begin = (at + 110 + field(at, 11)).next_multiple_of(4);
        let end = (begin + field(at, 6).next_multiple_of(4)).min(archive.len());
        entries.push((archive[at..begin].to_vec(), archive[begin..end].to_vec()));
        at = end;
    }
    shuffle(random, &mut entries);
    let place = random.below(entries.len());
    let (header, content) = &mut entries[place];
    match random.below(6) {
        0 | 1 => {
            let index = random.below(13);
            let number = if random.below(2) == 0 { random.below(8) } else { random.below(1 << 32) };
            header[6 + 8 * index..14 + 8 * index].copy_from_slice(format!("{number:08X}").as_bytes());
        }
        2 => {
            let place = 110 + random.below(header.len() - 110);
            header[place] ^= 1 << random.below(8);
        }
        3 => {
            let name = format!("{}\0", random.pick(&NAMES));
            header.truncate(110);
            header[94..102].copy_from_slice(format!("{:08X}", name.len()).as_bytes());
            header.extend(name.bytes());
            header.resize(header.len().next_multiple_of(4) + 2, 0);
        }
        4 if !content.is_empty() => {
            let place = random.below(content.len());
            content[place] ^= 1 << random.below(8);
        }
        _ => {
            let length = content.len();
            damage_text(random, content);
            content.resize(length, 0);
        }
    }
    let mut changed: Vec<u8> = entries.into_iter().flat_map(|(header, content)| [header, content].concat()).collect();
    changed.resize(changed.len().next_multiple_of(*random.pick(&[512, 512, 4, 1024])), 0);
    changed
}

/// An image with other numbers in its directory. FAT's table is changed in both of its copies.
pub(super) fn image(random: &mut Random, image: &[u8]) -> Vec<u8> {
    let mut changed = image.to_vec();
    let is_iso = image.get(32_769..32_774) == Some(b"CD001");
    let short = |at: usize| usize::from(u16::from_le_bytes([image[at], image[at + 1]]));
    let directory = if is_iso {
        20 * 2048..21 * 2048
    } else {
        let root = (short(14) + 2 * short(22)) * 512;
        root..root + 32 * 40
    };
    let place = directory.start + random.below(directory.len() - 8);
    match random.below(6) {
        0 => changed[place] ^= 1 << random.below(8),
        1 => changed[place] = random.byte(),
        2 if is_iso => {
            let number = u32::try_from(random.below(4096)).unwrap_or_default();
            changed[place..place + 4].copy_from_slice(&number.to_le_bytes());
            changed[place + 4..place + 8].copy_from_slice(&number.to_be_bytes());
        }
        2 => {
            let entry = short(14) * 512 + 2 * random.below(80);
            let number = u16::try_from(random.below(80)).unwrap_or_default().to_le_bytes();
            for copy in [0, short(22) * 512] {
                changed[entry + copy..entry + copy + 2].copy_from_slice(&number);
            }
        }
        3 => {
            let from = directory.start + random.below(directory.len() / 32) * 32;
            let to = directory.start + random.below(directory.len() / 32) * 32;
            changed.copy_within(from..from + 32, to);
        }
        4 => {
            let begin = if is_iso { 16 * 2048 } else { 0 };
            changed[begin + random.below(512)] ^= 1 << random.below(8);
        }
        _ => {
            let begin = directory.end + random.below(changed.len() - directory.end);
            let end = (begin + 2000).min(changed.len());
            let mut text = changed[begin..end].to_vec();
            damage_text(random, &mut text);
            text.resize(end - begin, 0);
            changed[begin..end].copy_from_slice(&text);
        }
    }
    changed
}
