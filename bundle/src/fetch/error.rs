//! Errors of fetching, with everything that was tried for each file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::hash::{Pin, Sha256};

/// Why fetching failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store can't be read or written.
    #[error("could not {verb} `{}`", path.display())]
    Store {
        /// Completes "could not …".
        verb: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    /// Files are missing, and the network is forbidden.
    #[error("{} not in the store{}, and `--offline` forbids the network:{}", count(missing.len()), nor_in(searched), list(missing))]
    Offline {
        /// Name, size and digest of each.
        missing: Vec<String>,
        /// Directories that were searched for files of these names.
        searched: Vec<PathBuf>,
    },
    /// No source had the right bytes.
    #[error("could not fetch {}:{}", count(failed.len()), reasons(failed))]
    Failed {
        /// Each file with what was tried.
        failed: Vec<FailedDownload>,
    },
    /// A component from a verified archive has another digest than the recipe says of it.
    #[error("`{component}` from `{file}` is not the published one: expected sha256 {expected}, got {got}")]
    Contradiction {
        /// The component.
        component: String,
        /// The archive.
        file: String,
        /// The one in the recipe.
        expected: Sha256,
        /// Of the file in the archive.
        got: Sha256,
    },
}

fn count(files: usize) -> String {
    if files == 1 { "1 file".to_owned() } else { format!("{files} files") }
}

fn list(lines: &[String]) -> String {
    lines.iter().map(|line| format!("\n  {line}")).collect()
}

fn nor_in(searched: &[PathBuf]) -> String {
    searched.iter().map(|directory| format!(", nor by its name in `{}`", directory.display())).collect()
}

/// What was tried for each file; or, if the network is missing, that alone.
fn reasons(failed: &[FailedDownload]) -> String {
    let Some(why) = without_network(failed) else { return failed.iter().map(ToString::to_string).collect() };
    let files = failed.iter().map(|download| format!("{} ({})", download.file, download.pin)).collect::<Vec<_>>();
    format!(" there is no network: {why}{}", list(&files))
}

/// If nothing failed for another reason: the reason, and all hosts that it is true of.
fn without_network(failed: &[FailedDownload]) -> Option<String> {
    let mut hosts = BTreeMap::new();
    for (place, fault) in failed.iter().flat_map(|download| &download.tried) {
        let Fault::NoNetwork(why) = fault else { return None };
        let host = place.split_once("://").map_or(place.as_str(), |(_, rest)| rest.split('/').next().unwrap_or(rest));
        hosts.entry(host).or_insert(why.as_str());
    }
    let all: Vec<_> = hosts.iter().map(|(host, why)| format!("{host}: {why}")).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

/// What to do where the certificate of a server can't be verified.
pub const AUTHORITIES_HINT: &str = "install the package `ca-certificates`; for a CA of your own, `update-ca-certificates` \
     adds it, or name a file of it with SSL_CERT_FILE";

impl Error {
    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Offline { searched, .. } if !searched.is_empty() => Some(
                "for programs of your own, whatever they are called: `kube-bundle recipe export`, then `recipe pin` with `--from DIR`; for images, `kube-bundle images pin`",
            ),
            Self::Failed { failed } if without_network(failed).is_some() => Some(
                "name another source with `--from DIR|URL`, or a proxy with HTTPS_PROXY; `--offline` builds from the store alone; a directory with programs of your own, whose digests are others, is for `recipe pin --from DIR` first",
            ),
            Self::Offline { .. } => Some(
                "run `kube-bundle fetch` where there is a network, or name a directory that holds them with `--from DIR`",
            ),
            Self::Failed { failed } if failed.iter().any(FailedDownload::is_full) => {
                Some("make room on the store's disk, or name another with XDG_CACHE_HOME")
            }
            Self::Failed { failed } if failed.iter().any(FailedDownload::is_wrong) => Some(
                "a source served other bytes than the release's; for binaries of your own, `kube-bundle recipe export` and `recipe pin` them",
            ),
            Self::Failed { .. } if self.is_untrusted() => Some(AUTHORITIES_HINT),
            Self::Failed { .. } => Some(
                "run the same command again: what arrived is kept and resumed; `--from DIR|URL` names another source",
            ),
            Self::Contradiction { .. } => {
                Some("one of the two pins in the recipe is wrong; `kube-bundle recipe show` lists where they come from")
            }
            Self::Store { .. } => None,
        }
    }

    /// Whether a server wanted a password, or another one.
    pub fn is_denied(&self) -> bool {
        self.any(|fault| matches!(fault, Fault::Denied(_)))
    }

    /// Whether the certificate of a server could not be verified.
    pub fn is_untrusted(&self) -> bool {
        self.any(|fault| matches!(fault, Fault::Untrusted(_)))
    }

    /// Whether files are in none of the places that should have them.
    pub fn is_absence(&self) -> bool {
        self.any(|fault| matches!(fault, Fault::Absent(_)))
    }

    fn any(&self, is: impl Fn(&Fault) -> bool) -> bool {
        matches!(self, Self::Failed { failed } if failed.iter().flat_map(|it| &it.tried).any(|(_, fault)| is(fault)))
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

/// A file that no place had, with the fault of each.
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

/// Why one place failed.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The place does not have the file (404).
    #[error("{0}")]
    Absent(String),
    /// The host's name is not known, or no route leads to it: trying again at once is of no use.
    #[error("{0}")]
    NoNetwork(String),
    /// The server does not prove that it is who it should be. It is not asked again.
    #[error("{0}")]
    Untrusted(String),
    /// The server wants to know who asks, or does not let them.
    #[error("{0}")]
    Denied(String),
    /// No connection, an error status, or too slow. What arrived is kept.
    #[error("{0}")]
    Unreachable(String),
    /// A web page came instead, as from a captive portal. What arrived before may be right, and is kept.
    #[error("{0}")]
    Page(String),
    /// The bytes are wrong, and none are kept.
    #[error("{0}")]
    Wrong(String),
    /// A local file can't be read or written.
    #[error("could not {verb} `{}`: {source}", path.display())]
    Disk {
        /// Completes "could not …".
        verb: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
}
