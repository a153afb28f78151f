//! A FAT16 volume as the kernel reads it: the root directory with its long names, and the chains of clusters.

use std::io::{self, Read, Seek, SeekFrom};

use super::{Contents, broken};
use crate::target::Mode;

/// Where a volume of this kind says so, which nobody has to believe.
const KIND: std::ops::Range<usize> = 54..62;

/// Whether a file that begins like this is one.
pub(super) fn is_one(begin: &[u8]) -> bool {
    begin.get(KIND) == Some(b"FAT16   ") && begin.get(510..512) == Some(b"\x55\xaa")
}

struct Volume {
    /// Bytes.
    cluster: u64,
    /// Where the first cluster, which has the number 2, begins.
    data: u64,
    table: Vec<u8>,
}

pub(super) fn read(file: &mut (impl Read + Seek), keep: &[&str], contents: &mut Contents) -> io::Result<()> {
    let mut boot = [0; 512];
    file.read_exact(&mut boot)?;
    let sector = short(&boot, 11);
    let (reserved, tables, entries, table) =
        (short(&boot, 14), u64::from(boot[16]), short(&boot, 17), short(&boot, 22));
    let cluster = u64::from(boot[13]) * sector;
    if sector != 512 || cluster == 0 || tables == 0 {
        return Err(broken("the boot sector is damaged"));
    }
    let mut first = vec![0; usize::try_from(table * sector).map_err(io::Error::other)?];
    file.seek(SeekFrom::Start(reserved * sector))?;
    file.read_exact(&mut first)?;
    let root = (reserved + tables * table) * sector;
    let mut directory = vec![0; usize::try_from(entries * 32).map_err(io::Error::other)?];
    file.seek(SeekFrom::Start(root))?;
    file.read_exact(&mut directory)?;
    let volume = Volume { cluster, data: root + entries * 32, table: first };

    // Chains may be tied into knots, but there is no more than this in all of them.
    let mut left = file.seek(SeekFrom::End(0))?;
    let mut long = Vec::new();
    // 0xe5: deleted.
    for entry in directory.chunks_exact(32).take_while(|entry| entry[0] != 0).filter(|entry| entry[0] != 0xe5) {
        match entry[11] {
            // The parts of a long name come last part first.
            0x0f => {
                let units = [&entry[1..11], &entry[14..26], &entry[28..32]].concat();
                let units = units.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
                long.splice(0..0, units.take_while(|unit| *unit != 0 && *unit != 0xffff));
            }
            kind if kind & 0x08 != 0 => {}
            kind if kind & 0x10 != 0 => return Err(broken("it has a directory in it, and no build writes such")),
            _ => {
                let name = String::from_utf16(&std::mem::take(&mut long)).map_err(io::Error::other)?;
                let size = u32::from_le_bytes([entry[28], entry[29], entry[30], entry[31]]);
                if name.is_empty() || contents.entries.contains_key(&name) {
                    return Err(broken("a file has no long name, or the name of another"));
                }
                left = left.checked_sub(size.into()).ok_or_else(|| broken("its files are larger than it is"))?;
                let chain = Chain { file, volume: &volume, next: short(entry, 26), left: size.into(), room: 0 };
                // The kernel gives everything these rights, unless it is told otherwise.
                contents.file(name.clone(), Mode::EXECUTABLE, chain, keep)?;
                if contents.entries[&name].size != Some(size.into()) {
                    return Err(broken(format!("the clusters of `{name}` end before it does")));
                }
            }
        }
    }
    Ok(())
}

fn short(bytes: &[u8], at: usize) -> u64 {
    u64::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]))
}

/// A file's bytes, cluster by cluster. Its length bounds it, so a chain that bites its tail ends all the same.
struct Chain<'v, F> {
    file: &'v mut F,
    volume: &'v Volume,
    next: u64,
    left: u64,
    /// Bytes to the end of the cluster that is being read.
    room: u64,
}

impl<F: Read + Seek> Read for Chain<'_, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Ok(0);
        }
        if self.room == 0 {
            let entry = usize::try_from(2 * self.next).map_err(io::Error::other)?;
            if self.next < 2 || self.next >= 0xfff8 || entry + 2 > self.volume.table.len() {
                return Ok(0);
            }
            self.file.seek(SeekFrom::Start(self.volume.data + (self.next - 2) * self.volume.cluster))?;
            self.next = short(&self.volume.table, entry);
            self.room = self.volume.cluster;
        }
        let most = self.room.min(self.left).min(buffer.len() as u64);
        let count = self.file.read(&mut buffer[..usize::try_from(most).map_err(io::Error::other)?])?;
        self.room -= count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}
