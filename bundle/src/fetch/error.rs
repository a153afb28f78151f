//! Why a file could not be had, place by place.

use std::path::PathBuf;

use crate::hash::{Pin, Sha256};

/// Files that could not be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store's directory is out of order.
    #[error("could not {verb} `{}`", path.display())]
    Store {
        /// What was attempted.
        verb: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Offline, and not everything is there.
    #[error("{} not in the store, and `--offline` forbids the network:{}", count(missing.len()), list(missing))]
    Offline {
        /// Name and size of each.
        missing: Vec<String>,
    },
    /// No source had the right bytes.
    #[error("could not fetch {}:{}", count(failed.len()), failed.iter().map(ToString::to_string).collect::<String>())]
    Failed {
        /// Each file with what was tried.
        failed: Vec<FailedDownload>,
    },
    /// What an archive holds is not what somebody published.
    #[error("`{component}` from `{file}` is not the published one: expected sha256 {expected}, got {got}")]
    Contradiction {
        /// The component.
        component: String,
        /// The archive.
        file: String,
        /// Published.
        expected: Sha256,
        /// In the archive.
        got: Sha256,
    },
}

fn count(files: usize) -> String {
    if files == 1 { "1 file".to_owned() } else { format!("{files} files") }
}

fn list(lines: &[String]) -> String {
    lines.iter().map(|line| format!("\n  {line}")).collect()
}

impl Error {
    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Offline { .. } => Some(
                "run `kube-bundle fetch` where there is a network, or name a directory that holds them with `--from DIR`",
            ),
            Self::Failed { failed } if failed.iter().any(FailedDownload::is_full) => {
                Some("make room on the store's disk, or name another with XDG_CACHE_HOME")
            }
            Self::Failed { failed } if failed.iter().any(FailedDownload::is_wrong) => Some(
                "a source served other bytes than the release's; for binaries of your own, `kube-bundle recipe export` and `recipe pin` them",
            ),
            Self::Failed { .. } => Some(
                "run the same command again: what arrived is kept and resumed; `--from DIR|URL` names another source",
            ),
            Self::Contradiction { .. } => {
                Some("one of the two pins in the recipe is wrong; `kube-bundle recipe show` lists where they come from")
            }
            Self::Store { .. } => None,
        }
    }

    /// Whether bytes were there and were wrong, rather than not there.
    pub fn is_verification(&self) -> bool {
        match self {
            Self::Failed { failed } => failed.iter().any(FailedDownload::is_wrong),
            Self::Contradiction { .. } => true,
            _ => false,
        }
    }
}

/// One file that no source had.
#[derive(Debug)]
pub struct FailedDownload {
    pub(super) file: String,
    pub(super) pin: Pin,
    pub(super) tried: Vec<(String, Fault)>,
}

impl FailedDownload {
    fn is_full(&self) -> bool {
        let full = |fault: &Fault| matches!(fault, Fault::Disk { source, .. } if source.kind() == std::io::ErrorKind::StorageFull);
        self.tried.iter().any(|(_, fault)| full(fault))
    }

    fn is_wrong(&self) -> bool {
        self.tried.iter().any(|(_, fault)| matches!(fault, Fault::Wrong(_) | Fault::Page(_)))
    }
}

impl std::fmt::Display for FailedDownload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\n  `{}` ({})", self.file, self.pin)?;
        if self.tried.is_empty() {
            return write!(f, "\n    the recipe names no source for it, and no `--from` has it");
        }
        self.tried.iter().try_for_each(|(place, fault)| write!(f, "\n    {place}: {fault}"))
    }
}

/// Why one place gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It isn't there: the next place may have it.
    #[error("{0}")]
    Absent(String),
    /// The way there is broken, now or for good.
    #[error("{0}")]
    Unreachable(String),
    /// Something else answered in the file's place; what arrived before may still be right.
    #[error("{0}")]
    Page(String),
    /// Bytes came, and they are the wrong ones.
    #[error("{0}")]
    Wrong(String),
    /// The store can't take it.
    #[error("could not {verb} `{}`: {source}", path.display())]
    Disk {
        /// What was attempted.
        verb: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}
