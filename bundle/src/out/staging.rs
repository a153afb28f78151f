//! An output directory that is replaced as a whole.
//!
//! It is built beside its place and exchanged with what was there, so a failed or killed run leaves the old one untouched.
//! Beside an output `roc` these may be seen while a build runs, or after it was killed:
//!
//! ```text
//! .roc.lock       held by the build that writes there; two at a time would mix their files
//! .roc.building   the new directory; a failed import leaves it, too, and the next one goes on with it
//! .roc.old        the old one, on file systems that can't exchange two names in one step
//! ```
#![expect(clippy::disallowed_methods, reason = "this module replaces output directories")]

use std::fmt;
use std::fs::{DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::{make_directory, open_lock_file, parent_of, set_mode, sync_parent};
use crate::regular::is_relative;
use crate::target::Mode;

/// Why an output directory can't be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error("could not {verb} `{}`", path.display())]
    Io {
        /// Completes "could not …".
        verb: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// The output path exists, and no build wrote it.
    #[error("`{}` exists and is no bundle", .0.display())]
    Foreign(PathBuf),
    /// The bundle at the output path holds files that its manifest doesn't list.
    #[error("`{}` holds files that no build wrote:{}", path.display(), files.iter().map(|file| format!("\n  {file}")).collect::<String>())]
    Extra {
        /// The bundle.
        path: PathBuf,
        files: Vec<String>,
    },
    /// The bundle at the output path is another one than that which is built.
    #[error("`{}` holds the bundle of {there}, and this is a build of {this}", path.display())]
    OtherBundle {
        /// The bundle.
        path: PathBuf,
        /// Complete "the bundle of …" and "a build of …".
        there: String,
        this: String,
    },
    /// Another build holds the lock of this output path.
    #[error("another build is writing `{}`", .0.display())]
    Busy(PathBuf),
    /// Somebody put a symbolic link where the lock file belongs, or a directory of ours.
    #[error("could not lock `{}`: it is a symbolic link, and no build makes one there", .0.display())]
    LockIsLink(PathBuf),
}

impl Error {
    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Foreign(path) if path.file_name().is_none() => Some("choose another directory with `-o`"),
            Self::Foreign(_) => Some("choose another directory with `-o`, or move this one away"),
            Self::Extra { .. } => Some("move them elsewhere, or choose another directory with `-o`"),
            Self::OtherBundle { .. } => {
                Some("choose another directory with `-o`, or remove this one if nobody needs it any more")
            }
            Self::Busy(_) => Some("wait for it, or choose another directory with `-o`"),
            Self::LockIsLink(_) => Some("remove the link, or choose another directory with `-o`"),
            Self::Io { .. } => None,
        }
    }
}

pub(super) fn failed(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { verb, path, source }
}

/// Whether a directory that is not empty may be replaced: the error says why not.
pub type Permission<'p> = &'p (dyn Fn(&Path) -> Result<(), Error> + Sync);

/// Whether a build may begin, before it has made anything. [`Staging`] asks again, since that may be much later.
pub fn check(target: &Path, permission: Permission<'_>) -> Result<(), Error> {
    may_be_replaced(&resolve(target)?, permission)
}

/// An output directory that is being built. Dropped before [`Staging::finish`], it leaves the old output as it was.
pub struct Staging<'p> {
    target: PathBuf,
    building: PathBuf,
    permission: Permission<'p>,
    /// Whether what was written stays for [`Staging::resume`] when this is dropped.
    is_left: bool,
    _lock: File,
}

impl fmt::Debug for Staging<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Staging")
            .field("target", &self.target)
            .field("building", &self.building)
            .finish_non_exhaustive()
    }
}

impl<'p> Staging<'p> {
    /// Makes an empty directory beside `target`, after checking that `target` may be replaced. If `target` is a symbolic
    /// link, the directory that it leads to is replaced.
    pub fn begin(target: &Path, permission: Permission<'p>) -> Result<Self, Error> {
        Self::start(target, permission, |_| false)
    }

    /// The same with what an earlier run has left there that was killed, or called [`Self::leave`]. Nothing is known of that;
    /// [`Self::keep_only`] removes what is not wanted.
    pub fn resume(target: &Path, permission: Permission<'p>) -> Result<Self, Error> {
        Self::start(target, permission, is_own)
    }

    fn start(target: &Path, permission: Permission<'p>, is_kept: impl Fn(&Path) -> bool) -> Result<Self, Error> {
        let target = resolve(target)?;
        let parent = parent_of(&target);
        make(parent, Mode::EXECUTABLE)?;
        let lock = lock(&beside(&target, "lock"), &target)?;
        recover(&target)?;
        may_be_replaced(&target, permission)?;
        let building = beside(&target, "building");
        if !is_kept(&building) {
            remove(&building)?;
            DirBuilder::new().create(&building).map_err(failed("create", &building))?;
        }
        // Whatever the umask: private files and directories inside have modes of their own.
        set_mode(&building, Mode::EXECUTABLE).map_err(failed("set the mode of", &building))?;
        Ok(Self { target, building, permission, is_left: false, _lock: lock })
    }

    /// Removes files that an earlier run has left and this one does not want, and directories without files.
    pub fn keep_only(&self, is_wanted: impl Fn(&str) -> bool) -> Result<(), Error> {
        let building = &self.building;
        let there = super::list(building).map_err(failed("list", building))?;
        let mut unwanted = there.iter().filter(|name| !is_wanted(name)).map(|name| building.join(name));
        unwanted.try_for_each(|path| std::fs::remove_file(&path).map_err(failed("remove", &path)))?;
        remove_empty(building).map_err(failed("clean", building))
    }

    /// Gives up, and leaves what was written to the next run.
    pub fn leave(mut self) {
        self.is_left = true;
    }

    /// The directory in the making.
    pub fn directory(&self) -> &Path {
        &self.building
    }

    /// Where to write the file that will be `path` in the output. Its directories are made with `directory_mode`, so those
    /// for keys are 0700 before anything is in them.
    ///
    /// # Errors
    /// A directory that can't be made, and a path that leads out of the output.
    pub fn place(&self, path: &str, directory_mode: Mode) -> Result<PathBuf, Error> {
        let full = self.building.join(path);
        if !is_relative(path) {
            return Err(failed("write", &full)(io::Error::other("it would lie outside of the output directory")));
        }
        if let Some(parent) = full.parent().filter(|parent| *parent != self.building) {
            make(parent, directory_mode)?;
        }
        Ok(full)
    }

    /// Puts the directory in its place and removes the old one, unless somebody has put files of their own into that since
    /// the build began.
    pub fn finish(self) -> Result<(), Error> {
        let (building, target) = (&self.building, &self.target);
        may_be_replaced(target, self.permission)?;
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

impl Drop for Staging<'_> {
    fn drop(&mut self) {
        // After a success there is nothing left; after a failure the next run would remove it as well.
        if !self.is_left {
            let _ = remove(&self.building);
        }
        let _ = std::fs::remove_file(beside(&self.target, "lock"));
    }
}

/// Whether it is a directory that nobody else can write to: files in it may become part of an output.
fn is_own(directory: &Path) -> bool {
    let about = std::fs::symlink_metadata(directory);
    about.is_ok_and(|it| it.is_dir() && it.uid() == geteuid().as_raw() && it.mode() & 0o022 == 0)
}

/// A hidden name beside an output directory; they are listed above.
pub(super) fn beside(target: &Path, ending: &str) -> PathBuf {
    target.with_file_name(format!(".{}.{ending}", target.file_name().unwrap_or_default().to_string_lossy()))
}

pub(super) fn resolve(target: &Path) -> Result<PathBuf, Error> {
    match std::fs::symlink_metadata(target) {
        Ok(there) if there.is_symlink() => std::fs::canonicalize(target).map_err(failed("follow the link", target)),
        _ if target.file_name().is_none() => Err(Error::Foreign(target.to_owned())),
        _ => Ok(target.to_owned()),
    }
}

/// After a kill between the two renames of a file system without exchange, the old output is the only one.
fn recover(target: &Path) -> Result<(), Error> {
    let old = beside(target, "old");
    match (old.exists(), target.exists()) {
        (true, false) => std::fs::rename(&old, target).map_err(failed("put back", target)),
        (true, true) => remove(&old),
        _ => Ok(()),
    }
}

/// Takes the lock at `path`. Its holder removes the file, which may happen between opening and locking it here; then the
/// lock is of a file that nobody else will find, and a new one is made.
pub(super) fn lock(path: &Path, target: &Path) -> Result<File, Error> {
    loop {
        let file = open_lock_file(path).map_err(|why| match why.raw_os_error() {
            Some(code) if code == Errno::LOOP.raw_os_error() => Error::LockIsLink(path.to_owned()),
            _ => failed("lock", path)(why),
        })?;
        file.try_lock().map_err(|why| match why {
            TryLockError::WouldBlock => Error::Busy(target.to_owned()),
            TryLockError::Error(why) => failed("lock", path)(why),
        })?;
        let held = file.metadata().map_err(failed("look at", path))?.ino();
        if std::fs::metadata(path).is_ok_and(|there| there.ino() == held) {
            return Ok(file);
        }
    }
}

pub(super) fn make(path: &Path, mode: Mode) -> Result<(), Error> {
    make_directory(path, mode).map_err(failed("create", path))
}

pub(super) fn remove(path: &Path) -> Result<(), Error> {
    match std::fs::remove_dir_all(path) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(why)),
        _ => Ok(()),
    }
}

/// Removes the directories below one that have no files below them.
fn remove_empty(directory: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_empty(&entry.path())?;
            // One with files stays: that is the error.
            let _ = std::fs::remove_dir(entry.path());
        }
    }
    Ok(())
}

/// Only a complete bundle without other files is replaced, so that nothing a person put there is lost.
fn may_be_replaced(target: &Path, permission: Permission<'_>) -> Result<(), Error> {
    match std::fs::read_dir(target).map(|mut entries| entries.next().is_some()) {
        Ok(true) => permission(target),
        Ok(false) => Ok(()),
        Err(_) if target.is_file() => Err(Error::Foreign(target.to_owned())),
        // Whoever makes it finds what is in its way.
        Err(why) if matches!(why.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(()),
        Err(why) => Err(failed("list", target)(why)),
    }
}
