//! Why a bundle could not be pushed or pulled.

use std::io;
use std::path::PathBuf;

use super::Reference;
use crate::fetch::{self, AUTHORITIES_HINT, Fault};
use crate::{out, printable::printable, thin};

/// What went wrong between a bundle and a registry.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A request failed.
    #[error("could not {verb} `{}` {} {at}: {fault}", printable(what), if *verb == "push" { "to" } else { "from" })]
    Request {
        /// What was attempted: `push`, `pull`.
        verb: &'static str,
        what: String,
        at: Box<Reference>,
        fault: Fault,
    },
    /// Files that could not be had, each with the reason.
    #[error("could not pull {from}")]
    Files { from: Box<Reference>, source: Box<fetch::Error>, kept: PathBuf },
    /// The name leads nowhere.
    #[error("could not pull {0}: there is nothing of that name")]
    Nothing(Box<Reference>),
    /// It is in the registry, and no bundle.
    #[error("could not pull {from}: {why}")]
    NotABundle { from: Box<Reference>, why: String },
    /// Parts of a bundle are not there, or not what its lists say.
    #[error("could not pull {from}: it is not whole:{}", lines(faults))]
    NotWhole { from: Box<Reference>, faults: Vec<String> },
    /// What was pulled does not verify.
    #[error("could not pull {from}: its verification failed:{}", lines(faults))]
    Unverified { from: Box<Reference>, faults: Vec<String> },
    /// The bundle holds keys, and whoever can read the repository would have them.
    #[error("`{}` holds private keys or tokens that nothing encrypts, and they would be in the registry:{}", path.display(), lines(files))]
    Secrets {
        path: PathBuf,
        /// One line for each file: its path, and how many it holds.
        files: Vec<String>,
    },
    /// The bundle on this machine is not what its lists say.
    #[error("could not push `{}`: {why}", path.display())]
    Damaged { path: PathBuf, why: String },
    #[error("could not {verb} `{}`", path.display())]
    Io {
        /// Completes "could not …".
        verb: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error(transparent)]
    Thin(Box<thin::Error>),
    #[error(transparent)]
    Out(#[from] out::Error),
    #[error(transparent)]
    Store(Box<fetch::Error>),
}

impl From<thin::Error> for Error {
    fn from(error: thin::Error) -> Self {
        Self::Thin(Box::new(error))
    }
}

fn lines(texts: &[String]) -> String {
    texts.iter().map(|text| format!("\n  {}", printable(text))).collect()
}

impl Error {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Request { at, fault: Fault::Denied(_), .. } => Some(login(at)),
            Self::Request { fault: Fault::NoNetwork(_), .. } => {
                Some("check the name, or name a proxy with HTTPS_PROXY".to_owned())
            }
            Self::Request { fault: Fault::Untrusted(_), .. } => Some(AUTHORITIES_HINT.to_owned()),
            Self::Request { verb: "push", .. } => {
                Some("run the same command again: what the registry has is not sent again".to_owned())
            }
            Self::Request { .. } => Some("run the same command again".to_owned()),
            Self::Files { from, source, kept } => Some(files_hint(from, source, &kept.display().to_string())),
            Self::Nothing(from) => Some(format!(
                "`skopeo list-tags docker://{}/{}` lists what there is",
                from.registry(),
                from.repository()
            )),
            Self::NotABundle { .. } => Some("name what `kube-bundle push` has pushed".to_owned()),
            Self::NotWhole { from, .. } => Some(format!("push it again: `kube-bundle push OUT {from}`")),
            Self::Unverified { .. } => Some("ask whoever pushed it; nothing was written".to_owned()),
            Self::Secrets { .. } => Some(
                "encrypt them with `seal` in cluster.toml and build again; `--include-secrets` pushes them as they are"
                    .to_owned(),
            ),
            Self::Damaged { path, .. } => Some(format!("`kube-bundle verify {}` says more", path.display())),
            Self::Thin(error) => error.hint().map(str::to_owned),
            Self::Out(error) => error.hint().map(str::to_owned),
            Self::Io { .. } => None,
            Self::Store(error) => error.hint().map(str::to_owned),
        }
    }

    /// Whether bytes were there and were wrong, rather than not there.
    pub fn is_verification(&self) -> bool {
        match self {
            Self::Files { source, .. } => source.is_verification(),
            Self::NotWhole { .. } | Self::Unverified { .. } | Self::Damaged { .. } => true,
            Self::Thin(error) => error.is_verification(),
            Self::Request { fault, .. } => matches!(fault, Fault::Wrong(_)),
            _ => false,
        }
    }
}

fn login(at: &Reference) -> String {
    format!("`skopeo login {0}`, or `docker login {0}`, keeps a password where it is looked for", at.registry())
}

fn files_hint(from: &Reference, source: &fetch::Error, kept: &str) -> String {
    if source.is_denied() {
        login(from)
    } else if source.is_verification() {
        format!("the registry serves wrong bytes; push the bundle again. What was right is kept in `{kept}`")
    } else if source.is_untrusted() {
        AUTHORITIES_HINT.to_owned()
    } else if source.is_absence() {
        format!("the registry has lost them; push the bundle again. What is there is kept in `{kept}`")
    } else {
        format!("run the same command again: what arrived is kept in `{kept}`")
    }
}
