//! A private directory beside an output, for what a command that failed or was killed may go on with:
//!
//! ```text
//! .roc.pulled/lock     held by the command that goes on with it
//! .roc.pulled/…        files that arrived, by their digests
//! ```
//!
//! It is removed when `roc` is complete.
#![expect(clippy::disallowed_methods, reason = "this module makes and removes the directory")]

use std::fs::File;
use std::path::{Path, PathBuf};

use super::staging::{beside, failed, lock, make, remove, resolve};
use super::{Error, parent_of, set_mode};
use crate::target::Mode;

/// The directory, which is locked.
#[derive(Debug)]
pub struct Kept {
    path: PathBuf,
    _lock: File,
}

impl Kept {
    /// Makes the directory for the output `target`, or finds what an earlier run has left. Only its owner may enter it, since
    /// files in it may hold keys.
    pub fn beside(target: &Path) -> Result<Self, Error> {
        let path = beside(&resolve(target)?, "pulled");
        make(parent_of(&path), Mode::EXECUTABLE)?;
        make(&path, Mode::PRIVATE)?;
        // A link would lead to where somebody else reads along.
        if path.is_symlink() {
            return Err(Error::LockIsLink(path));
        }
        set_mode(&path, Mode::PRIVATE).map_err(failed("set the mode of", &path))?;
        let lock = lock(&path.join("lock"), target)?;
        Ok(Self { path, _lock: lock })
    }

    /// Its path.
    pub fn directory(&self) -> &Path {
        &self.path
    }

    /// An empty directory in it.
    pub fn empty(&self, name: &str) -> Result<PathBuf, Error> {
        let path = self.path.join(name);
        remove(&path)?;
        make(&path, Mode::PRIVATE)?;
        Ok(path)
    }

    /// Removes it, when nothing in it is needed any more. What can't be removed is found by the next run.
    pub fn remove(self) {
        let _ = remove(&self.path);
    }
}
