//! An initramfs archive as the kernel reads it: `newc` headers, one behind the other, and zeros at the end.

use std::io::{self, BufRead, Read};

use super::{Contents, broken};
use crate::target::Mode;

/// What a header begins with.
pub(super) const MAGIC: &[u8] = b"070701";

const DIRECTORY: u32 = 0o4;
const REGULAR: u32 = 0o10;
const LINK: u32 = 0o12;
/// `PATH_MAX` of Linux.
const LONGEST_NAME: u32 = 4096;

pub(super) fn read(file: &mut impl BufRead, keep: &[&str], contents: &mut Contents) -> io::Result<()> {
    loop {
        let mut header = [0; 110];
        file.read_exact(&mut header)?;
        if !header.starts_with(MAGIC) {
            return Err(broken("a header is damaged"));
        }
        let number = |index: usize| {
            let digits = std::str::from_utf8(&header[6 + 8 * index..14 + 8 * index]).unwrap_or_default();
            u32::from_str_radix(digits, 16).map_err(|_| broken("a header is damaged"))
        };
        let (mode, size, length) = (number(1)?, number(6)?, number(11)?);
        if !(2..=LONGEST_NAME).contains(&length) {
            return Err(broken("a name is damaged"));
        }
        let mut name = vec![0; length as usize];
        file.read_exact(&mut name)?;
        let name = String::from_utf8_lossy(&name[..name.len() - 1]).into_owned();
        skip(file, 110 + u64::from(length))?;
        if name == "TRAILER!!!" {
            break;
        }
        if number(2)? != 0 || number(3)? != 0 {
            contents.foreign.push(name.clone());
        }
        if contents.entries.contains_key(&name) {
            return Err(broken(format!("`{name}` is there twice")));
        }
        let rights: Mode = format!("{:o}", mode & 0o7777).parse().map_err(io::Error::other)?;
        match mode >> 12 {
            DIRECTORY => contents.directory(name, rights),
            REGULAR => contents.file(name, rights, file.take(size.into()), keep)?,
            LINK if size <= LONGEST_NAME => {
                let mut target = String::new();
                file.take(size.into()).read_to_string(&mut target)?;
                contents.link(name, rights, target);
            }
            _ => return Err(broken(format!("`{name}` is neither a file, a link nor a directory"))),
        }
        skip(file, size.into())?;
    }
    let mut rest = Vec::new();
    // Less than the block that archives are filled up to.
    file.take(513).read_to_end(&mut rest)?;
    if rest.len() > 512 || rest.iter().any(|byte| *byte != 0) {
        return Err(broken("something stands behind the archive"));
    }
    Ok(())
}

/// To the next multiple of four.
fn skip(file: &mut impl Read, length: u64) -> io::Result<()> {
    let mut padding = [0; 3];
    let count = (4 - length % 4) % 4;
    file.read_exact(&mut padding[..usize::try_from(count).unwrap_or_default()])
}
