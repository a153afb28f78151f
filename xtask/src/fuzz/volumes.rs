//! Volumes of a few sectors with one file each. Those that builds write are larger than what a fuzzer changes well.

const CONTENT: &[u8] = b"#cloud-config\n";

/// A number as ISO 9660 has it: with its lowest byte first, and again with its highest.
fn both(number: u32) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    bytes[4..].copy_from_slice(&number.to_be_bytes());
    bytes
}

/// A directory record: where, how many bytes, flags, name, and fields of Rock Ridge behind it.
fn record(sector: u32, size: u32, flags: u8, name: &[u8], fields: &[u8]) -> Vec<u8> {
    let mut record = vec![0, 0];
    record.extend(both(sector));
    record.extend(both(size));
    record.extend([0; 7]);
    record.push(flags);
    record.extend([0, 0, 1, 0, 0, 1]);
    record.push(u8::try_from(name.len()).unwrap_or_default());
    record.extend(name);
    record.resize(record.len().next_multiple_of(2), 0);
    record.extend(fields);
    record[0] = u8::try_from(record.len()).unwrap_or_default();
    record
}

/// ISO 9660 with Rock Ridge: a descriptor, the one that ends them, the root directory, a file.
pub(super) fn iso() -> Vec<u8> {
    let mut volume = vec![0; 16 * 2048];
    volume.extend(b"\x01CD001\x01");
    volume.resize(16 * 2048 + 128, 0);
    // 2048, the size of a block.
    volume.extend(b"\x00\x08\x08\x00");
    volume.resize(16 * 2048 + 156, 0);
    volume.extend(record(18, 2048, 2, &[0], &[]));
    volume.resize(17 * 2048, 0);
    volume.extend(b"\xffCD001\x01");
    volume.resize(18 * 2048, 0);
    let mut fields = b"NM\x0e\x01\x00user-data".to_vec();
    fields.extend(b"PX\x24\x01");
    for number in [0o100_600, 1, 0, 0] {
        fields.extend(both(number));
    }
    volume.extend(record(18, 2048, 2, &[0], &[]));
    volume.extend(record(18, 2048, 2, &[1], &[]));
    volume.extend(record(19, u32::try_from(CONTENT.len()).unwrap_or_default(), 0, b"USER_DAT.;1", &fields));
    volume.resize(19 * 2048, 0);
    volume.extend(CONTENT);
    volume.resize(20 * 2048, 0);
    volume
}

/// FAT16: a boot sector, a table, a root directory of one sector, a file of one cluster. What follows is zeros: with fewer
/// clusters than 2 MB have, it would be FAT12.
pub(super) fn fat() -> Vec<u8> {
    const TABLE: usize = 17;
    let root = (1 + TABLE) * 512;
    let data = root + 512;
    let mut volume = vec![0; data + 512];
    volume[11..13].copy_from_slice(&512u16.to_le_bytes());
    volume[13] = 1;
    volume[14] = 1;
    volume[16] = 1;
    volume[17] = 16;
    volume[19..21].copy_from_slice(&4120u16.to_le_bytes());
    volume[22] = 17;
    volume[54..62].copy_from_slice(b"FAT16   ");
    volume[510..512].copy_from_slice(b"\x55\xaa");
    volume[512..518].copy_from_slice(&[0xf8, 0xff, 0xff, 0xff, 0xff, 0xff]);
    let (long, short) = (root, root + 32);
    let name = b"USER-D~1   ";
    volume[long] = 0x41;
    volume[long + 11] = 0x0f;
    // The checksum of the short name that a long one belongs to.
    volume[long + 13] = name.iter().fold(0u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte));
    let places: Vec<_> = (1..11).chain(14..26).chain(28..32).step_by(2).collect();
    let characters = "user-data\0".encode_utf16().chain(std::iter::repeat(0xffff));
    for (place, character) in places.into_iter().zip(characters) {
        volume[long + place..long + place + 2].copy_from_slice(&character.to_le_bytes());
    }
    volume[short..short + 11].copy_from_slice(name);
    volume[short + 26] = 2;
    volume[short + 28] = u8::try_from(CONTENT.len()).unwrap_or_default();
    volume[data..data + CONTENT.len()].copy_from_slice(CONTENT);
    volume
}

/// cpio: a directory, a file in it, the trailer.
pub(super) fn cpio() -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, mode, content) in
        [("seed", 0o040_700, &b""[..]), ("seed/user-data", 0o100_600, CONTENT), ("TRAILER!!!", 0, b"")]
    {
        let numbers = [0, mode, 0, 0, 1, 0, content.len(), 0, 0, 0, 0, name.len() + 1, 0];
        archive.extend(b"070701");
        archive.extend(numbers.iter().flat_map(|number| format!("{number:08x}").into_bytes()));
        archive.extend(name.bytes().chain([0]));
        archive.resize(archive.len().next_multiple_of(4), 0);
        archive.extend(content);
        archive.resize(archive.len().next_multiple_of(4), 0);
    }
    archive
}

#[cfg(test)]
mod tests {
    /// Inputs that are refused at the first look would lead nowhere.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "tests make files")]
    fn our_readers_find_the_file_in_each() {
        let directory = std::env::temp_dir().join(format!("kube-bundle-volumes-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        for (name, volume) in [("iso", super::iso()), ("fat", super::fat()), ("cpio", super::cpio())] {
            let path = directory.join(name);
            std::fs::write(&path, volume).expect("a file");
            if name == "fat" {
                let file = std::fs::File::options().write(true).open(&path).expect("the file");
                file.set_len(4120 * 512).expect("a file of holes");
            }
            let contents = kube_bundle::inspect::read(&path, &[]).unwrap_or_else(|why| panic!("{name}: {why}"));
            let file = contents.entries.iter().find(|(path, _)| path.ends_with("user-data"));
            assert_eq!(file.and_then(|(_, member)| member.size), Some(super::CONTENT.len() as u64), "{name}");
        }
        std::fs::remove_dir_all(directory).expect("what was made");
    }
}
