//! Files that appear whole or not at all, with their rights from the first byte.
//!
//! A file is written under another name in the same directory, synced, given its mode and renamed. How a whole
//! directory is replaced, `staging` says.
#![expect(clippy::disallowed_methods, reason = "this module writes files")]

mod kept;
mod staging;

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, Write};
use std::num::NonZeroU64;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, OFlags, copy_file_range, fadvise};
use tempfile::{Builder, NamedTempFile};

use crate::hash::{Hasher, Sha256};
use crate::object::Runs;
use crate::target::Mode;
pub use kept::Kept;
pub use staging::{Error, Permission, Staging, check};

/// How temporary names begin.
const TEMPORARY: &str = ".kube-bundle-";

/// Writes a small file in one step. It is created 0600, so a secret is never readable for a moment.
pub fn write_atomically(path: &Path, bytes: &[u8], mode: Mode) -> io::Result<()> {
    let mut file = begin(path)?;
    file.write_all(bytes)?;
    complete(file, path, mode)
}

/// Replaces the content of a file in one step. Its mode stays, and so does a link that leads to it.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = path.canonicalize()?;
    let mut file = begin(&path)?;
    file.write_all(bytes)?;
    file.as_file().set_permissions(path.metadata()?.permissions())?;
    file.as_file().sync_all()?;
    file.persist(&path).map_err(|failed| failed.error)?;
    sync_parent(&path)
}

/// A temporary file in the directory of `path`, readable by its owner only (0600), which [`complete`] renames to `path`.
pub fn begin(path: &Path) -> io::Result<NamedTempFile> {
    let parent = parent_of(path);
    Builder::new().prefix(TEMPORARY).tempfile_in(parent)
}

/// A file that is complete and in its place. Only [`AtomicFileWriter::finish`] makes one, after all of it was hashed.
#[derive(Debug, Clone)]
pub struct WrittenFile {
    path: PathBuf,
    size: u64,
    sha256: Sha256,
    mode: Mode,
    runs: Runs,
}

impl WrittenFile {
    /// Bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Of all its bytes, taken while they were written.
    pub fn sha256(&self) -> Sha256 {
        self.sha256
    }

    /// As it was set, whatever the umask.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// What it consists of.
    pub fn runs(&self) -> &Runs {
        &self.runs
    }

    /// For reading.
    pub fn open(&self) -> io::Result<File> {
        File::open(&self.path)
    }
}

/// Writes a file that appears under its name in [`AtomicFileWriter::finish`], and hashes it on the way. Dropped before
/// that, it leaves nothing.
pub struct AtomicFileWriter {
    path: PathBuf,
    file: BufWriter<NamedTempFile>,
    hasher: Hasher,
}

/// Bytes that are copied at a time.
const CHUNK: usize = 1 << 20;
/// Block size in bytes of the file systems that let two files share blocks (btrfs, XFS), or a multiple of it.
pub const BLOCK_ALIGNMENT: usize = 4096;

impl AtomicFileWriter {
    /// Begins the file that will be at `path`, whose directory must exist.
    pub fn begin(path: PathBuf) -> io::Result<Self> {
        let file = BufWriter::with_capacity(256 << 10, begin(&path)?);
        Ok(Self { path, file, hasher: Hasher::default() })
    }

    /// Appends `length` bytes of another file from offset `begin` on, and calls `copied` with the number of bytes after each
    /// chunk. If the file system supports it, the two files share blocks, provided that the bytes begin at a multiple of
    /// [`BLOCK_ALIGNMENT`] in both.
    pub fn copy(&mut self, from: &File, begin: u64, length: u64, copied: impl Fn(u64)) -> io::Result<()> {
        self.file.flush()?;
        let to = self.file.get_mut();
        let mut buffer = vec![0; CHUNK.min(usize::try_from(length).unwrap_or(CHUNK))];
        let mut at = 0;
        while at < length {
            let chunk = buffer.len().min(usize::try_from(length - at).unwrap_or(CHUNK));
            let chunk = &mut buffer[..chunk];
            from.read_exact_at(chunk, begin + at).map_err(|why| match why.kind() {
                io::ErrorKind::UnexpectedEof => io::Error::other("a file became shorter while it was copied"),
                _ => why,
            })?;
            self.hasher.update(chunk);
            let done = copy_blocks(from, begin + at, to.as_file(), chunk.len() - chunk.len() % BLOCK_ALIGNMENT);
            to.write_all(&chunk[done..])?;
            at += chunk.len() as u64;
            start_writeback(to.as_file(), self.hasher.length() - chunk.len() as u64, chunk.len() as u64);
            copied(chunk.len() as u64);
        }
        Ok(())
    }

    /// Digest and length of what was written up to now.
    pub fn so_far(&self) -> (Sha256, u64) {
        self.hasher.clone().finish()
    }

    /// Gives the file its mode and its name, before it is on the disk; [`sync_file_system`] waits for many files at once.
    pub fn finish_unsynced(self, mode: Mode) -> io::Result<()> {
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        set_mode_if_any(file.path(), mode)?;
        file.persist(&self.path).map_err(|failed| failed.error)?;
        Ok(())
    }

    /// Gives the file its mode and its name, durably. `runs` are what was written.
    pub fn finish(self, mode: Mode, runs: Runs) -> io::Result<WrittenFile> {
        let (sha256, size) = self.so_far();
        complete(self.file.into_inner().map_err(io::IntoInnerError::into_error)?, &self.path, mode)?;
        Ok(WrittenFile { path: self.path, size, sha256, mode, runs })
    }
}

impl Write for AtomicFileWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        if count >= CHUNK {
            let end = self.hasher.length();
            start_writeback(self.file.get_ref().as_file(), end - count as u64, count as u64);
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Lets the kernel begin to write `length` bytes from offset `from` on to the disk, so that a later sync waits for less.
pub fn start_writeback(file: &File, from: u64, length: u64) {
    // Only advice: without it, the sync takes longer.
    let _ = fadvise(file, from, NonZeroU64::new(length), Advice::DontNeed);
}

/// Lets the kernel copy `length` bytes from offset `at` to the end of `to`, and returns how many it did. The caller writes
/// the rest itself, which also reports an error such as a full disk.
fn copy_blocks(from: &File, at: u64, to: &File, length: usize) -> usize {
    let mut done = 0;
    while done < length {
        let mut offset = at + done as u64;
        match copy_file_range(from, Some(&mut offset), to, None, length - done) {
            Ok(0) | Err(_) => break,
            Ok(count) => done += count,
        }
    }
    done
}

/// Makes `to`, whose directory is made, another name of the file `from`, or a copy where the file system has no such names.
pub fn link(from: &Path, to: &Path) -> io::Result<()> {
    make_directory(parent_of(to), Mode::PRIVATE)?;
    if std::fs::hard_link(from, to).is_err() {
        std::fs::copy(from, to)?;
    }
    Ok(())
}

/// Removes temporary files of killed runs from `directory`. The caller holds a lock against other writers.
pub fn sweep(directory: &Path) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
            // What can't be removed now is tried again next time.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Gives a file from [`begin`] its mode and its name, durably.
pub fn complete(file: NamedTempFile, path: &Path, mode: Mode) -> io::Result<()> {
    set_mode(file.path(), mode)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|failed| failed.error)?;
    sync_parent(path)
}

/// Makes the directory that `path` is to lie in, and those above it: 0755 or less, whatever the umask.
pub fn make_parent(path: &Path) -> io::Result<()> {
    make_directory(parent_of(path), Mode::EXECUTABLE)
}

/// Makes `path` and the directories above it that don't exist, each with `mode` less the umask.
pub fn make_directory(path: &Path, mode: Mode) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(mode.bits()).create(path)
}

/// Opens a file to be locked, making it 0600 if need be. A file that is there keeps its content, and a symbolic link is the
/// error `ELOOP`: in a directory that all can write to, either may be somebody else's trap.
pub fn open_lock_file(path: &Path) -> io::Result<File> {
    // The flag fits: it is one of open(2).
    let no_follow = OFlags::NOFOLLOW.bits().cast_signed();
    OpenOptions::new().read(true).write(true).create(true).mode(0o600).custom_flags(no_follow).open(path)
}

/// Sets permission bits whatever the umask (chmod(2)).
pub fn set_mode(path: &Path, mode: Mode) -> io::Result<()> {
    std::fs::set_permissions(path, Permissions::from_mode(mode.bits()))
}

/// The same, if the file system has modes: FAT allows few or none, and sticks are of that kind.
fn set_mode_if_any(path: &Path, mode: Mode) -> io::Result<()> {
    match set_mode(path, mode) {
        Err(why) if why.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        done => done,
    }
}

/// Writes a small public file in one step, on a file system that may have no modes; [`sync_file_system`] waits for it.
pub fn write_portable(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = begin(path)?;
    file.write_all(bytes)?;
    set_mode_if_any(file.path(), Mode::PUBLIC)?;
    file.persist(path).map_err(|failed| failed.error)?;
    Ok(())
}

/// Waits until everything that was written to the file system of `directory` is on its disk.
pub fn sync_file_system(directory: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(File::open(directory)?)?)
}

/// Makes the rename of `path` survive a power cut.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = parent_of(path);
    File::open(parent)?.sync_all()
}

fn parent_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Every file below `directory`, as sorted paths relative to it. Links are listed, and not followed.
pub fn list(directory: &Path) -> io::Result<Vec<String>> {
    fn walk(directory: &Path, prefix: &str, files: &mut Vec<String>) -> io::Result<()> {
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                walk(&entry.path(), &format!("{name}/"), files)?;
            } else {
                files.push(name);
            }
        }
        Ok(())
    }
    let mut files = Vec::new();
    walk(directory, "", &mut files)?;
    files.sort();
    Ok(files)
}
