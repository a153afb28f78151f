//! Files that somebody else may have put there: only regular ones are opened, and no more of them is read than a limit.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

use crate::printable::printable;

/// Whether a symbolic link may be the last part of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// The user named it, and may name a link.
    Follow,
    /// It lies inside a bundle, where no build writes links.
    Refuse,
}

/// Opens a regular file. Everything else is an error and is not read: a FIFO would wait for a writer, a device may have
/// no end.
#[expect(clippy::disallowed_methods, reason = "this module is what opens files that others may have put there")]
pub fn open(path: &Path, links: Links) -> io::Result<File> {
    let flags = match links {
        Links::Follow => OFlags::NONBLOCK,
        Links::Refuse => OFlags::NONBLOCK | OFlags::NOFOLLOW,
    };
    // Looked at before it is opened, since opening some devices has effects, and again after, since it may be exchanged.
    let before = match links {
        Links::Follow => path.metadata()?,
        Links::Refuse => path.symlink_metadata()?,
    };
    if !before.is_file() {
        return Err(not_regular());
    }
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(not_regular()) }
}

/// Whether a path that somebody else has written down stays below the directory that it is joined to, and is printed as it
/// is.
pub fn is_relative(path: &str) -> bool {
    path.split('/').all(|part| !matches!(part, "" | "." | "..")) && !path.chars().any(char::is_control)
}

/// Opens a regular file below a directory, where somebody else may have chosen its name: `..`, and symbolic links on the
/// way, are errors.
#[expect(clippy::disallowed_methods, reason = "this module is what opens files that others may have put there")]
pub fn open_below(directory: &Path, name: &str) -> io::Result<File> {
    let refuse = || io::Error::new(io::ErrorKind::InvalidInput, format!("`{}` leads elsewhere", printable(name)));
    if !is_relative(name) {
        return Err(refuse());
    }
    let mut path = directory.to_owned();
    let mut parts = name.split('/').peekable();
    while let Some(part) = parts.next() {
        path.push(part);
        if parts.peek().is_some() && !path.symlink_metadata()?.is_dir() {
            return Err(refuse());
        }
    }
    open(&path, Links::Refuse)
}

fn not_regular() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")
}

/// Reads a regular file of at most `limit` bytes. A larger one is an error.
pub fn read(path: &Path, links: Links, limit: u64) -> io::Result<Vec<u8>> {
    let file = open(path, links)?;
    let too_large = |size: u64| {
        io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("too large: {size} bytes, and at most {limit} are read of such a file"),
        )
    };
    let size = file.metadata()?.len();
    if size > limit {
        return Err(too_large(size));
    }
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(too_large(bytes.len() as u64)) } else { Ok(bytes) }
}
