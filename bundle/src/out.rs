//! Files that appear whole or not at all, with their rights from the first byte.
//!
//! A file is written under another name in the same directory, synced, given its mode and renamed. An output
//! directory is built beside its place and exchanged with what was there, so a failed or killed run leaves the
//! old one untouched.

use std::collections::BTreeSet;
use std::fs::{DirBuilder, File, Permissions};
use std::io::{self, BufWriter, Write};
use std::num::NonZeroU64;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, CWD, RenameFlags, copy_file_range, fadvise, renameat_with};
use tempfile::{Builder, NamedTempFile};

use crate::hash::{Hasher, Sha256};
use crate::target::Mode;

/// How temporary names begin.
const TEMPORARY: &str = ".kube-bundle-";

/// Writes a small file in one step. It is created 0600, so a secret is never readable for a moment.
pub fn write_atomically(path: &Path, bytes: &[u8], mode: Mode) -> io::Result<()> {
    let mut file = begin(path)?;
    file.write_all(bytes)?;
    complete(file, path, mode)
}

/// A temporary file beside `path`, 0600.
pub fn begin(path: &Path) -> io::Result<NamedTempFile> {
    let parent = parent_of(path);
    Builder::new().prefix(TEMPORARY).tempfile_in(parent)
}

/// A file that is whole and in its place. Only [`AtomicFileWriter::finish`] makes one, after all of it was hashed.
#[derive(Debug, Clone)]
pub struct WrittenFile {
    path: PathBuf,
    size: u64,
    sha256: Sha256,
    mode: Mode,
}

impl WrittenFile {
    /// Length in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Digest.
    pub fn sha256(&self) -> Sha256 {
        self.sha256
    }

    /// Permission bits.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Opens it for reading.
    #[expect(clippy::disallowed_methods, reason = "this is the room that writes files, and reads what it wrote")]
    pub fn open(&self) -> io::Result<File> {
        File::open(&self.path)
    }
}

/// A file in the making, hashed while it is written.
pub struct AtomicFileWriter {
    path: PathBuf,
    file: BufWriter<NamedTempFile>,
    hasher: Hasher,
}

/// How much is read at once of what is copied.
const CHUNK: usize = 1 << 20;
/// What file systems share is whole blocks of so many bytes, or of fewer.
pub const BLOCK_ALIGNMENT: usize = 4096;

impl AtomicFileWriter {
    /// Begins the file that will be at `path`.
    pub fn begin(path: PathBuf) -> io::Result<Self> {
        let file = BufWriter::with_capacity(256 << 10, begin(&path)?);
        Ok(Self { path, file, hasher: Hasher::default() })
    }

    /// Adds the first `length` bytes of another file; `passed` hears of each chunk of them. Where the file system can,
    /// both files share their blocks, if they lie at multiples of [`BLOCK_ALIGNMENT`] in both.
    pub fn copy(&mut self, from: &File, length: u64, passed: impl Fn(u64)) -> io::Result<()> {
        self.file.flush()?;
        let to = self.file.get_mut();
        let mut buffer = vec![0; CHUNK.min(usize::try_from(length).unwrap_or(CHUNK))];
        let mut at = 0;
        while at < length {
            let chunk = buffer.len().min(usize::try_from(length - at).unwrap_or(CHUNK));
            let chunk = &mut buffer[..chunk];
            from.read_exact_at(chunk, at).map_err(|why| match why.kind() {
                io::ErrorKind::UnexpectedEof => io::Error::other("a file became shorter while it was copied"),
                _ => why,
            })?;
            self.hasher.update(chunk);
            let done = share(from, at, to.as_file(), chunk.len() - chunk.len() % BLOCK_ALIGNMENT);
            to.write_all(&chunk[done..])?;
            at += chunk.len() as u64;
            start_writing(to.as_file(), self.hasher.length() - chunk.len() as u64, chunk.len() as u64);
            passed(chunk.len() as u64);
        }
        Ok(())
    }

    /// Gives the file its mode and its name, durably.
    pub fn finish(self, mode: Mode) -> io::Result<WrittenFile> {
        let (sha256, size) = self.hasher.finish();
        complete(self.file.into_inner().map_err(io::IntoInnerError::into_error)?, &self.path, mode)?;
        Ok(WrittenFile { path: self.path, size, sha256, mode })
    }
}

impl Write for AtomicFileWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Has the kernel begin to write a part of a file to the disk, so that less is left to wait for when it is synced.
pub fn start_writing(file: &File, from: u64, length: u64) {
    // It is advice: what the kernel makes of it, it may.
    let _ = fadvise(file, from, NonZeroU64::new(length), Advice::DontNeed);
}

/// Lets the kernel copy `length` bytes; says how many it did. What it does not do, whatever its reason, is written by hand,
/// and a disk that is full says so then.
fn share(from: &File, at: u64, to: &File, length: usize) -> usize {
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

/// Removes what [`begin`] made in `directory` for a run that was killed. The caller sees to it that nobody
/// else is writing there.
#[expect(clippy::disallowed_methods, reason = "this is the room that writes files")]
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

/// Makes the directory that `path` is to lie in.
#[expect(clippy::disallowed_methods, reason = "this is the room that writes files")]
pub fn make_parent(path: &Path) -> io::Result<()> {
    std::fs::create_dir_all(parent_of(path))
}

/// `chmod(2)`.
#[expect(clippy::disallowed_methods, reason = "this is the room that writes files")]
pub fn set_mode(path: &Path, mode: Mode) -> io::Result<()> {
    std::fs::set_permissions(path, Permissions::from_mode(mode.bits()))
}

/// Makes the rename of `path` survive a power cut.
#[expect(clippy::disallowed_methods, reason = "this is the room that writes files")]
pub fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = parent_of(path);
    File::open(parent)?.sync_all()
}

/// Why an output directory can't be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk refused.
    #[error("could not {verb} `{}`", path.display())]
    Io {
        /// What was attempted.
        verb: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Something else lies there.
    #[error("`{}` exists and is no bundle", .0.display())]
    Foreign(PathBuf),
    /// The bundle there has files that are not its own.
    #[error("`{}` holds files that no build wrote:{}", path.display(), files.iter().map(|file| format!("\n  {file}")).collect::<String>())]
    Extra {
        /// The bundle.
        path: PathBuf,
        /// Which files.
        files: Vec<String>,
    },
    /// Another build writes to the same place.
    #[error("another build is writing `{}`", .0.display())]
    Busy(PathBuf),
}

impl Error {
    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Foreign(_) => Some("choose another directory with `-o`, or move this one away"),
            Self::Extra { .. } => Some("move them elsewhere, or choose another directory with `-o`"),
            Self::Busy(_) => Some("wait for it, or choose another directory with `-o`"),
            Self::Io { .. } => None,
        }
    }
}

fn failed(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { verb, path, source }
}

/// Which files of a directory an earlier build wrote; `None` if no build wrote it.
pub type Own = fn(&Path) -> Option<BTreeSet<String>>;

/// An output directory in the making.
#[derive(Debug)]
pub struct Staging {
    target: PathBuf,
    building: PathBuf,
    own: Own,
    _lock: File,
}

impl Staging {
    /// Makes an empty directory beside `target`, after checking that `target` may be replaced. A `target` that is
    /// a link stands for what it leads to.
    pub fn begin(target: &Path, own: Own) -> Result<Self, Error> {
        let target = resolve(target)?;
        let parent = parent_of(&target);
        make_directory(parent, Mode::EXECUTABLE)?;
        let lock = lock(&beside(&target, "lock"), &target)?;
        recover(&target)?;
        may_be_replaced(&target, own)?;
        let building = beside(&target, "building");
        remove(&building)?;
        make_directory(&building, Mode::EXECUTABLE)?;
        // Whatever the umask: what is private inside has rights of its own.
        set_mode(&building, Mode::EXECUTABLE).map_err(failed("set the mode of", &building))?;
        Ok(Self { target, building, own, _lock: lock })
    }

    /// Where `path` is being made, with its directories: those that hold keys are 0700 before anything is in them.
    pub fn place(&self, path: &str, directory_mode: Mode) -> Result<PathBuf, Error> {
        let full = self.building.join(path);
        if let Some(parent) = full.parent().filter(|parent| *parent != self.building) {
            make_directory(parent, directory_mode)?;
        }
        Ok(full)
    }

    /// Puts the directory in its place; what was there before goes, unless somebody has put something of their
    /// own into it meanwhile.
    #[expect(clippy::disallowed_methods, reason = "this is the room that writes files")]
    pub fn finish(self) -> Result<(), Error> {
        let (building, target) = (&self.building, &self.target);
        may_be_replaced(target, self.own)?;
        if !target.exists() {
            std::fs::rename(building, target).map_err(failed("rename to", target))?;
        } else if renameat_with(CWD, building, CWD, target, RenameFlags::EXCHANGE).is_ok() {
            remove(building)?;
        } else {
            // A file system without exchange: for a moment neither is in place, and both exist.
            let old = beside(target, "old");
            std::fs::rename(target, &old).map_err(failed("move aside", target))?;
            std::fs::rename(building, target).map_err(failed("rename to", target))?;
            remove(&old)?;
        }
        sync_parent(target).map_err(failed("sync the directory of", target))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // After a success there is nothing left; after a failure the next run would remove it as well.
        let _ = remove(&self.building);
        #[expect(clippy::disallowed_methods, reason = "this is the room that writes files")]
        let _ = std::fs::remove_file(beside(&self.target, "lock"));
    }
}

/// Hidden names beside an output directory: `.roc.lock`, `.roc.building`, `.roc.old`.
fn beside(target: &Path, ending: &str) -> PathBuf {
    target.with_file_name(format!(".{}.{ending}", target.file_name().unwrap_or_default().to_string_lossy()))
}

fn parent_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn resolve(target: &Path) -> Result<PathBuf, Error> {
    match std::fs::symlink_metadata(target) {
        Ok(there) if there.is_symlink() => std::fs::canonicalize(target).map_err(failed("follow the link", target)),
        _ if target.file_name().is_none() => Err(Error::Foreign(target.to_owned())),
        _ => Ok(target.to_owned()),
    }
}

/// After a kill between the two renames of a file system without exchange, the old output is the only one.
#[expect(clippy::disallowed_methods, reason = "this is the room that writes files")]
fn recover(target: &Path) -> Result<(), Error> {
    let old = beside(target, "old");
    match (old.exists(), target.exists()) {
        (true, false) => std::fs::rename(&old, target).map_err(failed("put back", target)),
        (true, true) => remove(&old),
        _ => Ok(()),
    }
}

/// Holds the lock file at `path`. Its holder removes it, so it may vanish between opening and locking.
#[expect(clippy::disallowed_methods, reason = "this is the room that writes files")]
fn lock(path: &Path, target: &Path) -> Result<File, Error> {
    loop {
        let file = File::create(path).map_err(failed("create", path))?;
        file.try_lock().map_err(|_| Error::Busy(target.to_owned()))?;
        let held = file.metadata().map_err(failed("look at", path))?.ino();
        if std::fs::metadata(path).is_ok_and(|there| there.ino() == held) {
            return Ok(file);
        }
    }
}

fn make_directory(path: &Path, mode: Mode) -> Result<(), Error> {
    DirBuilder::new().recursive(true).mode(mode.bits()).create(path).map_err(failed("create", path))?;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "this is the room that writes files")]
fn remove(path: &Path) -> Result<(), Error> {
    match std::fs::remove_dir_all(path) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(why)),
        _ => Ok(()),
    }
}

/// Only a whole bundle without foreign files is replaced: nothing a person put there is lost.
fn may_be_replaced(target: &Path, own: Own) -> Result<(), Error> {
    let files = match list(target) {
        Ok(files) => files,
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(why) => return Err(failed("list", target)(why)),
    };
    if files.is_empty() {
        return Ok(());
    }
    let Some(own) = own(target) else { return Err(Error::Foreign(target.to_owned())) };
    let extra: Vec<_> = files.into_iter().filter(|file| !own.contains(file)).collect();
    if extra.is_empty() { Ok(()) } else { Err(Error::Extra { path: target.to_owned(), files: extra }) }
}

/// Every file below `directory`, by its path in it, sorted.
#[expect(clippy::disallowed_methods, reason = "this is the room that looks after output directories")]
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
