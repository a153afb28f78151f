//! What can end a command, how it is told, and with which exit code.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::diagnostic::Faults;
use crate::printable::{printable, printable_lines};
use crate::{fetch, out, pack, pki, plan, recipe};

/// Any failure of a command. The text says what was attempted on what; [`Error::hint`] what to do next.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Faults in `cluster.toml`.
    #[error("{}", .0.render(false))]
    Spec(Faults),
    /// Arguments that don't fit together.
    #[error("{0}")]
    Usage(String),
    /// `cluster.toml` can't be read.
    #[error("could not read `{}`", path.display())]
    ReadSpec {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file of the user can't be read or written.
    #[error("could not {verb} `{}`", path.display())]
    Io {
        /// What was attempted.
        verb: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// `init` finds something where it would write.
    #[error("`{}` exists already", .0.display())]
    Exists(PathBuf),
    /// The recipe.
    #[error(transparent)]
    Recipe(#[from] recipe::Error),
    /// The plan.
    #[error(transparent)]
    Plan(#[from] plan::Error),
    /// Downloads.
    #[error(transparent)]
    Fetch(#[from] fetch::Error),
    /// Keys and certificates.
    #[error(transparent)]
    Pki(#[from] pki::Error),
    /// Archives.
    #[error(transparent)]
    Pack(#[from] pack::Error),
    /// The output directory.
    #[error(transparent)]
    Out(#[from] out::Error),
    /// A bundle that is not what its manifest says.
    #[error("`{}` is not as it was built:{}", path.display(), faults.iter().map(|fault| format!("\n  {}", printable(fault))).collect::<String>())]
    Verification {
        /// The bundle or the archive.
        path: PathBuf,
        /// Everything that is wrong.
        faults: Vec<String>,
    },
    /// A path that is there and holds neither a bundle nor an artifact.
    #[error("`{}`: {why}", path.display())]
    NotABundle {
        /// What the user named.
        path: PathBuf,
        /// What it lacks.
        why: String,
        /// What may have been meant.
        hint: String,
        /// Whether it should have been verified or only listed.
        exit: ExitCode,
    },
    /// What was to be verified or listed is not there.
    #[error("could not read `{}`: no such file or directory", .0.display())]
    NoSuchPath(PathBuf),
}

/// Exit codes, as documented in the manual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCode {
    /// Something failed.
    Failed = 1,
    /// Arguments, `cluster.toml` or the recipe are wrong.
    Usage = 2,
    /// Bytes are not what they should be.
    Verification = 3,
}

impl Error {
    /// The next command to type, or what else to do.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::ReadSpec { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                Some("`kube-bundle init` writes a cluster.toml to begin with; `-c FILE` names another")
            }
            Self::Exists(_) => Some("edit it, or name another: `kube-bundle init PATH`"),
            Self::Recipe(error) => return error.hint(),
            Self::Plan(error) => return Some(error.hint()),
            Self::Fetch(error) => error.hint(),
            Self::Pki(error) => error.hint(),
            Self::Pack(error) => error.hint(),
            Self::Out(error) => error.hint(),
            Self::NotABundle { hint, .. } => return Some(printable(hint).into_owned()),
            Self::NoSuchPath(_) => Some("name an output directory, such as `out/CLUSTER`, or a file in it"),
            Self::Verification { .. } => Some("copy it again from where it was built, or build it again"),
            Self::Spec(_) | Self::Usage(_) | Self::ReadSpec { .. } | Self::Io { .. } => None,
        };
        text.map(str::to_owned)
    }

    /// What the process says when it ends.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Spec(_)
            | Self::Usage(_)
            | Self::ReadSpec { .. }
            | Self::Recipe(_)
            | Self::Plan(_)
            | Self::Pki(pki::Error::NotRenewable { .. }) => ExitCode::Usage,
            Self::Fetch(error) if error.is_verification() => ExitCode::Verification,
            Self::Verification { .. } | Self::Pack(pack::Error::Damaged(_)) => ExitCode::Verification,
            Self::NotABundle { exit, .. } => *exit,
            _ => ExitCode::Failed,
        }
    }

    /// The whole message: the fact, its causes, the hint on a line of its own.
    pub fn render(&self, colour: bool) -> String {
        if let Self::Spec(faults) = self {
            return faults.render(colour);
        }
        let text = self.to_string();
        let mut text = format!("error: {}", printable_lines(&text));
        let mut cause = std::error::Error::source(self);
        while let Some(why) = cause {
            // Writing to a string can't fail.
            let _ = write!(text, "\n  caused by: {}", printable_lines(&why.to_string()));
            cause = why.source();
        }
        if let Some(hint) = self.hint() {
            let _ = write!(text, "\nhint: {hint}");
        }
        text
    }
}
