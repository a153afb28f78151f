//! Archives, packages and cpio archives whose members a test changes, and packs again.

use std::io::{Read as _, Write as _};

/// One entry of a tar or cpio archive, with everything that a test may change.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) kind: u8,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) user: &'static str,
    pub(crate) links: u32,
    pub(crate) bytes: Vec<u8>,
}

impl Member {
    pub(crate) fn file(name: &str, bytes: &str) -> Self {
        let bytes = bytes.as_bytes().to_vec();
        Self { name: name.to_owned(), kind: b'0', mode: 0o644, uid: 0, user: "root", links: 1, bytes }
    }

    pub(crate) fn directory(name: &str) -> Self {
        Self { kind: b'5', mode: 0o755, links: 2, ..Self::file(name, "") }
    }
}

pub(crate) type Members = Vec<Member>;

pub(crate) fn of<'m>(members: &'m mut Members, name: &str) -> &'m mut Member {
    members.iter_mut().find(|member| member.name.trim_end_matches('/').ends_with(name)).expect(name)
}

pub(crate) fn tar_members(stream: &[u8]) -> Members {
    let mut archive = tar::Archive::new(stream);
    let read = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let kind = entry.header().entry_type().as_byte();
        Member { kind, mode: entry.header().mode().unwrap(), bytes, ..Member::file(&name, "") }
    };
    archive.entries().unwrap().map(read).collect()
}

pub(crate) fn tar_stream(members: &Members) -> Vec<u8> {
    let mut stream = Vec::new();
    for member in members {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..member.name.len()].copy_from_slice(member.name.as_bytes());
        header.set_entry_type(tar::EntryType::new(member.kind));
        header.set_mode(member.mode);
        header.set_uid(member.uid.into());
        header.set_gid(0);
        header.set_username(member.user).unwrap();
        header.set_size(member.bytes.len() as u64);
        header.set_cksum();
        stream.extend_from_slice(header.as_bytes());
        stream.extend_from_slice(&member.bytes);
        stream.resize(stream.len().next_multiple_of(512), 0);
    }
    stream.resize(stream.len() + 1024, 0);
    stream
}

pub(crate) fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut plain).unwrap();
    plain
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A gzipped tar archive with other members.
pub(crate) fn with_members(archive: &[u8], change: &dyn Fn(&mut Members)) -> Vec<u8> {
    let mut members = tar_members(&gunzip(archive));
    change(&mut members);
    gzip(&tar_stream(&members))
}

/// A package with another control archive and other files.
pub(crate) fn with_package(package: &[u8], control: &dyn Fn(&mut Members), data: &dyn Fn(&mut Members)) -> Vec<u8> {
    let mut changed = b"!<arch>\n".to_vec();
    let mut at = 8;
    while at < package.len() {
        let header = &package[at..at + 60];
        let size: usize = String::from_utf8_lossy(&header[48..58]).trim().parse().unwrap();
        let member = &package[at + 60..at + 60 + size];
        let member = match &header[..7] {
            b"control" => with_members(member, control),
            b"data.ta" => with_members(member, data),
            _ => member.to_vec(),
        };
        changed.extend_from_slice(&header[..48]);
        changed.extend(format!("{:<10}`\n", member.len()).bytes());
        changed.extend_from_slice(&member);
        changed.resize(changed.len().next_multiple_of(2), b'\n');
        at += 60 + size.next_multiple_of(2);
    }
    changed
}

pub(crate) fn cpio_members(archive: &[u8]) -> Members {
    let (mut members, mut at) = (Vec::new(), 0);
    loop {
        let number = |index: usize| {
            let digits = std::str::from_utf8(&archive[at + 6 + 8 * index..][..8]).unwrap();
            usize::from_str_radix(digits, 16).unwrap()
        };
        let (mode, size, length) = (u32::try_from(number(1)).unwrap(), number(6), number(11));
        let name = String::from_utf8(archive[at + 110..at + 109 + length].to_vec()).unwrap();
        if name == "TRAILER!!!" {
            return members;
        }
        let begin = (at + 110 + length).next_multiple_of(4);
        let bytes = archive[begin..begin + size].to_vec();
        let kind = if mode >> 12 == 4 { b'5' } else { b'0' };
        members.push(Member {
            kind,
            mode: mode & 0o7777,
            links: u32::try_from(number(4)).unwrap(),
            bytes,
            ..Member::file(&name, "")
        });
        at = (begin + size).next_multiple_of(4);
    }
}

pub(crate) fn cpio_archive(members: &Members) -> Vec<u8> {
    let mut archive = Vec::new();
    let trailer = Member { mode: 0, ..Member::file("TRAILER!!!", "") };
    for (number, member) in (1..).zip(members.iter().chain([&trailer])) {
        let kind = if member.kind == b'5' { 0o040_000 } else { 0o100_000 };
        let mode = if member.name == "TRAILER!!!" { 0 } else { kind | member.mode };
        let size = u32::try_from(member.bytes.len()).unwrap();
        let name = u32::try_from(member.name.len() + 1).unwrap();
        archive.extend(b"070701");
        for field in [number, mode, member.uid, 0, member.links, 1, size, 0, 0, 0, 0, name, 0] {
            archive.extend(format!("{field:08X}").bytes());
        }
        archive.extend(member.name.bytes().chain([0]));
        archive.resize(archive.len().next_multiple_of(4), 0);
        archive.extend_from_slice(&member.bytes);
        archive.resize(archive.len().next_multiple_of(4), 0);
    }
    archive.resize(archive.len().next_multiple_of(512), 0);
    archive
}
