//! Why a bundle can't be carried.

use std::io;
use std::path::PathBuf;

use crate::out;

/// What went wrong in an export or an import.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file can't be read.
    #[error("could not read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// A file can't be written.
    #[error("could not write `{}`", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// A directory that has no objects of a bundle, or none that can be found.
    #[error("`{}` {why}", path.display())]
    Unusable {
        path: PathBuf,
        /// Completes the sentence.
        why: String,
        hint: &'static str,
    },
    /// What is to be written belongs where something else is.
    #[error("`{}` {why}", path.display())]
    Occupied {
        path: PathBuf,
        /// Completes the sentence.
        why: String,
    },
    /// Another export has locked the directory.
    #[error("another export is writing `{}`", .0.display())]
    Busy(PathBuf),
    /// Objects or lists that are missing or damaged.
    #[error("could not {verb} `{}`:{}", path.display(), faults.iter().map(|fault| format!("\n  {fault}")).collect::<String>())]
    Faults {
        /// What was attempted.
        verb: &'static str,
        /// On what.
        path: PathBuf,
        /// One line for each.
        faults: Vec<String>,
        hint: &'static str,
    },
    /// Directories of several bundles, or a delta without what it is to: the sentence names both, by their digests.
    #[error("{0}")]
    Unfit(String),
    /// Parts that would not hold what does not fit into two.
    #[error("parts of {limit} bytes are too small: the largest object and the lists take {least}")]
    TooSmall { limit: u64, least: u64 },
    #[error(transparent)]
    Out(#[from] out::Error),
}

impl Error {
    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unusable { hint, .. } | Self::Faults { hint, .. } => Some(hint),
            Self::Occupied { .. } => Some("choose a new directory; an export removes nothing"),
            Self::Busy(_) => Some("wait for it, or choose another directory"),
            Self::Unfit(_) => Some(
                "name directories of one bundle; for a delta, that bundle or its thin copy too: `kube-bundle import DELTA BASE -o OUT`",
            ),
            Self::TooSmall { .. } => Some("choose a larger `--max-size`"),
            Self::Write { .. } if self.is_of_full_disk() => {
                Some("make room, or choose another disk; the same command then goes on from there")
            }
            Self::Out(error) => error.hint(),
            Self::Read { .. } | Self::Write { .. } => None,
        }
    }

    /// Whether there is no room left.
    pub fn is_of_full_disk(&self) -> bool {
        matches!(self, Self::Write { source, .. } if source.kind() == io::ErrorKind::StorageFull)
    }

    /// Whether something is not what it should be, as opposed to what a disk or a user did.
    pub fn is_verification(&self) -> bool {
        matches!(self, Self::Faults { .. } | Self::Unfit(_))
    }
}
