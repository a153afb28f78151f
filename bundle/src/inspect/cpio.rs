//! An initramfs archive as the kernel reads it (`init/initramfs.c`): `newc` headers, one after the other, and zeros at the
//! end.

use std::collections::BTreeSet;
use std::io::{self, Read};

use super::{Contents, LONGEST_NAME, broken, only_zeros, quoted, rights, utf8};

/// What a header begins with.
pub(super) const MAGIC: &[u8] = b"070701";

const DIRECTORY: u32 = 0o4;
const REGULAR: u32 = 0o10;
/// The name that ends an archive.
const TRAILER: &str = "TRAILER!!!";

pub(super) fn read(mut file: impl Read, keep: &[&str], contents: &mut Contents) -> io::Result<()> {
    let mut inodes = BTreeSet::new();
    let mut read = 0;
    loop {
        let mut header = [0; 110];
        file.read_exact(&mut header)?;
        if !header.starts_with(MAGIC) {
            return Err(broken("a header is damaged"));
        }
        let [inode, mode, uid, gid, links, _, size, .., length, check] = numbers(&header)?;
        let name = name(&mut file, length)?;
        skip(&mut file, 110 + u64::from(length))?;
        read += 110 + u64::from(length).next_multiple_of(4) + u64::from(size).next_multiple_of(4);
        if name == TRAILER {
            if size != 0 {
                return Err(broken("the header that ends the archive is damaged"));
            }
            break;
        }
        if check != 0 {
            return Err(broken("a header is damaged"));
        }
        if uid != 0 || gid != 0 {
            contents.foreign.push(name.clone());
        }
        // The kernel makes links of files with one number, and lets the last one's content count.
        if mode >> 12 == REGULAR && (links != 1 || !inodes.insert(inode)) {
            return Err(broken(format!("{} has more than one link", quoted(&name))));
        }
        if let Some((parent, _)) = name.rsplit_once('/').filter(|(parent, _)| !parent.is_empty())
            && !parent.starts_with('.')
            && contents.entries.get(parent).is_none_or(|parent| parent.sha256.is_some())
        {
            return Err(broken(format!("{} lies in no directory of the archive", quoted(&name))));
        }
        match mode >> 12 {
            DIRECTORY if size == 0 => contents.directory(name, rights(mode)?)?,
            REGULAR => contents.file(name, rights(mode)?, size.into(), (&mut file).take(size.into()), keep)?,
            _ => return Err(broken(format!("{} is neither a file nor a directory", quoted(&name)))),
        }
        skip(&mut file, size.into())?;
    }
    // Filled up to a block; an archive behind it would be another one to the kernel.
    let mut rest = file.take(513);
    only_zeros(&mut rest, "the archive")?;
    if rest.limit() == 0 { Err(broken(format!("trailing data after the archive of {read} bytes"))) } else { Ok(()) }
}

/// The thirteen fields of a header, eight hexadecimal digits each.
fn numbers(header: &[u8; 110]) -> io::Result<[u32; 13]> {
    let mut numbers = [0; 13];
    for (number, digits) in numbers.iter_mut().zip(header[MAGIC.len()..].chunks_exact(8)) {
        let digits = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
        *number = digits
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .ok_or_else(|| broken("a header is damaged"))?;
    }
    Ok(numbers)
}

fn name(file: &mut impl Read, length: u32) -> io::Result<String> {
    if !(2..=LONGEST_NAME).contains(&u64::from(length)) {
        return Err(broken("a name is damaged"));
    }
    let mut name = vec![0; length as usize];
    file.read_exact(&mut name)?;
    // The first zero ends it, to the kernel.
    match name.iter().position(|byte| *byte == 0) {
        Some(end) if end + 1 == name.len() => utf8(&name[..end]),
        _ => Err(broken("a name is damaged")),
    }
}

/// To the next multiple of four.
fn skip(file: &mut impl Read, length: u64) -> io::Result<()> {
    let mut padding = [0; 3];
    let count = (4 - length % 4) % 4;
    file.read_exact(&mut padding[..usize::try_from(count).unwrap_or_default()])
}
