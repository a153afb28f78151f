//! Every error that can end a command: its message, its hint and its exit code.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::diagnostic::{Fault, Faults};
use crate::message::Message;
use crate::printable::{heading, printable, printable_lines};
use crate::{assemble, fetch, out, pack, pki, plan, recipe, registry, sign, thin, trust, verify};

/// Any failure of a command. The message says what was attempted, and on what; [`Error::hint`] what to do next.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `cluster.toml` is invalid. The message holds all of its errors.
    #[error("{}", .0.render(false))]
    Spec(Faults),
    /// Arguments that are valid each, but not together.
    #[error("{0}")]
    Usage(String),
    /// `cluster.toml` can't be read.
    #[error("could not read `{}`", path.display())]
    ReadSpec { path: PathBuf, source: std::io::Error },
    /// What was named as `cluster.toml` can't be one.
    #[error("`{}` {why}", path.display())]
    NotASpec {
        path: PathBuf,
        /// Completes the sentence that begins with the path.
        why: &'static str,
        hint: String,
    },
    /// A file that belongs to no stage: one that the user named, or stdout.
    #[error("could not {verb} `{}`", path.display())]
    Io {
        /// Completes "could not …".
        verb: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    /// `init` never overwrites a file.
    #[error("`{}` exists already", .0.display())]
    Exists(PathBuf),
    #[error(transparent)]
    Recipe(#[from] recipe::Error),
    #[error(transparent)]
    Plan(#[from] plan::Error),
    #[error(transparent)]
    Fetch(#[from] fetch::Error),
    #[error(transparent)]
    Pki(#[from] pki::Error),
    #[error(transparent)]
    Assemble(#[from] assemble::Error),
    #[error(transparent)]
    Pack(#[from] pack::Error),
    #[error(transparent)]
    Out(#[from] out::Error),
    #[error(transparent)]
    Sign(#[from] sign::Error),
    #[error(transparent)]
    Trust(#[from] trust::Error),
    #[error(transparent)]
    Registry(#[from] registry::Error),
    #[error(transparent)]
    Credentials(#[from] fetch::credentials::Unreadable),
    #[error(transparent)]
    Keys(#[from] fetch::aws::Unreadable),
    #[error(transparent)]
    Thin(#[from] thin::Error),
    /// Images that `images pin` did not find, or could not read.
    #[error("could not pin images in `{}`:{}", cluster.display(), faults.iter().map(|fault| format!("\n  {fault}")).collect::<String>())]
    PinImages {
        /// The file that names them.
        cluster: PathBuf,
        /// Every fault.
        faults: Vec<String>,
    },
    /// What `pki status --check` found.
    #[error("certificates end within {days} days:{}", .certificates.iter().map(|line| format!("\n  {line}")).collect::<String>())]
    Expiring {
        /// As the user gave it.
        days: u16,
        /// One line for each: ID and date.
        certificates: Vec<String>,
    },
    /// A bundle that is not what its manifest says.
    #[error("verification of `{}` failed:{}", path.display(), faults.iter().map(|fault| format!("\n  {}", printable(fault))).collect::<String>())]
    Verification {
        /// The bundle's directory, or one artifact.
        path: PathBuf,
        /// One line for each error.
        faults: Vec<String>,
        /// What decides what to do next.
        cause: verify::Cause,
    },
    /// A bundle that has other public files than the same `cluster.toml` and recipe give here.
    #[error("`{}` is not what is built here:{}", path.display(), differences.iter().map(|line| format!("\n  {}", printable(line))).collect::<String>())]
    NotReproduced {
        /// The bundle's directory.
        path: PathBuf,
        /// One line for each file.
        differences: Vec<String>,
    },
    /// A path that is there and holds neither a bundle nor an artifact.
    #[error("`{}`: {why}", path.display())]
    NotABundle {
        /// The path as the user gave it.
        path: PathBuf,
        why: String,
        /// The path that the user may have meant, or what else to do.
        hint: String,
        /// Whether it should have been verified or only listed.
        exit: ExitCode,
    },
    /// `serve` got no port, or lost it.
    #[error("could not serve at {address}")]
    Listen {
        /// As the user gave it.
        address: std::net::SocketAddr,
        source: std::io::Error,
    },
    /// The path that `verify`, `inspect` or `diff` was given does not exist.
    #[error("could not read `{}`: no such file or directory", path.display())]
    NoSuchPath {
        /// The path as the user gave it.
        path: PathBuf,
        /// The path that the user may have meant.
        hint: String,
    },
}

/// Exit codes of the process, documented in the README and in `--help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCode {
    Success = 0,
    /// Any failure that is none of the others.
    Failed = 1,
    /// Arguments, `cluster.toml` or the recipe are wrong.
    Usage = 2,
    /// Bytes do not match their digest, or a bundle does not match its manifest.
    Verification = 3,
}

impl Error {
    /// The next command to type, or what else to do.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::ReadSpec { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                Some("`kube-bundle init` writes a cluster.toml to start from; `-c FILE` names another")
            }
            Self::Exists(_) => Some("edit it, or choose another name: `kube-bundle init PATH`"),
            Self::Recipe(error) => return error.hint(),
            Self::Plan(error) => return Some(error.hint()),
            Self::Fetch(error) => error.hint(),
            Self::Pki(error) => error.hint(),
            Self::Pack(error) => error.hint(),
            Self::Out(error) => error.hint(),
            Self::Sign(error) => error.hint(),
            Self::Trust(error) => error.hint(),
            Self::Registry(error) => return error.hint(),
            Self::Credentials(_) => Some("`skopeo login --authfile FILE HOST`, then REGISTRY_AUTH_FILE=FILE"),
            Self::Keys(_) => Some(
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; `aws configure export-credentials --format env` prints them",
            ),
            Self::Thin(error) => error.hint(),
            Self::NotABundle { hint, .. } | Self::NoSuchPath { hint, .. } | Self::NotASpec { hint, .. } => {
                return Some(printable(hint).into_owned());
            }
            Self::Listen { .. } => {
                Some("choose an address of this machine and a free port with `--listen ADDRESS:PORT`")
            }
            Self::Expiring { .. } => {
                Some("`kube-bundle pki renew`, `kube-bundle build`, then install again; CAs can't be renewed")
            }
            Self::NotReproduced { .. } => Some(
                "ask for the `cluster.toml` and the recipe that it was built from; `kube-bundle --version` is to be the same",
            ),
            Self::PinImages { .. } => Some(
                "name what pods need, such as `extra = [\"registry.example/name:1.0\"]`, and what holds it with `--from DIR|FILE`",
            ),
            Self::Verification { cause, .. } => Some(cause.hint()),
            Self::Spec(_) | Self::Usage(_) | Self::ReadSpec { .. } | Self::Io { .. } | Self::Assemble(_) => None,
        };
        text.map(str::to_owned)
    }

    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Spec(_)
            | Self::Usage(_)
            | Self::ReadSpec { .. }
            | Self::NotASpec { .. }
            | Self::Recipe(_)
            | Self::Plan(_)
            | Self::Pki(pki::Error::NotRenewable { .. })
            | Self::Registry(registry::Error::Secrets { .. })
            | Self::Thin(thin::Error::TooSmall { .. }) => ExitCode::Usage,
            Self::Fetch(error) if error.is_verification() => ExitCode::Verification,
            Self::Registry(error) if error.is_verification() => ExitCode::Verification,
            Self::Thin(error) if error.is_verification() => ExitCode::Verification,
            Self::Verification { .. } | Self::NotReproduced { .. } | Self::Pack(pack::Error::Damaged(_)) => {
                ExitCode::Verification
            }
            Self::NotABundle { exit, .. } => *exit,
            _ => ExitCode::Failed,
        }
    }

    /// One word for programs; `docs/json.md` lists them.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Spec(_) | Self::NotASpec { .. } => "cluster-toml",
            Self::Usage(_) => "usage",
            Self::ReadSpec { .. } | Self::Io { .. } => "io",
            Self::Exists(_) => "exists",
            Self::Recipe(_) => "recipe",
            Self::Plan(_) => "plan",
            Self::Fetch(_) => "fetch",
            Self::Pki(_) => "pki",
            Self::Assemble(_) => "assemble",
            Self::Pack(_) => "pack",
            Self::Out(_) => "output",
            Self::Sign(_) => "sign",
            Self::Trust(_) => "trust",
            Self::Registry(_) | Self::Credentials(_) | Self::Keys(_) => "registry",
            Self::Thin(_) => "thin",
            Self::PinImages { .. } => "images",
            Self::Listen { .. } => "listen",
            Self::Expiring { .. } => "expiring",
            Self::Verification { .. } => "verification",
            Self::NotReproduced { .. } => "not-reproduced",
            Self::NotABundle { .. } => "not-a-bundle",
            Self::NoSuchPath { .. } => "no-such-path",
        }
    }

    /// What `--json` prints of it.
    pub fn message(&self, exit: ExitCode) -> Message {
        let (message, faults) = match self {
            Self::Spec(faults) => (faults.summary().unwrap_or_default(), faults.list()),
            Self::Verification { path, faults, .. } => (
                format!("verification of `{}` failed", path.display()),
                faults.iter().map(|fault| Fault::nowhere(fault)).collect(),
            ),
            Self::Thin(thin::Error::Faults { verb, path, faults, .. }) => (
                format!("could not {verb} `{}`", path.display()),
                faults.iter().map(|fault| Fault::nowhere(fault)).collect(),
            ),
            Self::NotReproduced { path, differences } => (
                format!("`{}` is not what is built here", path.display()),
                differences.iter().map(|line| Fault::nowhere(line)).collect(),
            ),
            Self::Expiring { days, certificates } => (
                format!("certificates end within {days} days"),
                certificates.iter().map(|line| Fault::nowhere(line)).collect(),
            ),
            _ => (self.to_string(), Vec::new()),
        };
        let causes = std::iter::successors(std::error::Error::source(self), |why| why.source());
        Message::Error {
            kind: self.kind(),
            exit_code: exit as u8,
            message,
            hint: self.hint(),
            causes: causes.map(ToString::to_string).collect(),
            faults,
        }
    }

    /// The whole text for the terminal: message, causes, and the hint, each on its own line.
    pub fn render(&self, colour: bool) -> String {
        if let Self::Spec(faults) = self {
            return faults.render(colour);
        }
        let text = self.to_string();
        let mut text = format!("{}: {}", heading("error", colour), printable_lines(&text));
        let mut cause = std::error::Error::source(self);
        while let Some(why) = cause {
            // Writing to a string can't fail.
            let _ = write!(text, "\n  caused by: {}", printable_lines(&why.to_string()));
            cause = why.source();
        }
        if let Some(hint) = self.hint() {
            let _ = write!(text, "\n{}: {hint}", heading("hint", colour));
        }
        text
    }
}
