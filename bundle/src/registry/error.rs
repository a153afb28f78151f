//! Why a bundle could not be pushed or pulled.

use std::io;
use std::path::PathBuf;

use super::Location;
use crate::fetch::{self, AUTHORITIES_HINT, Fault};
use crate::verify::Cause;
use crate::{out, printable::printable, thin};

/// What went wrong between a bundle and a server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A request failed.
    #[error("could not {verb} `{}` {} {at}: {fault}", printable(what), if *verb == "push" { "to" } else { "from" })]
    Request {
        /// What was attempted: `push`, `pull`.
        verb: &'static str,
        what: String,
        at: Box<Location>,
        fault: Fault,
    },
    /// Files that could not be had, each with the reason.
    #[error("could not pull {from}")]
    Files { from: Box<Location>, source: Box<fetch::Error>, kept: PathBuf },
    /// The name leads nowhere.
    #[error("could not pull {0}: there is nothing of that name")]
    Nothing(Box<Location>),
    /// Something is there, and no bundle.
    #[error("could not pull {from}: {why}")]
    NotABundle { from: Box<Location>, why: String },
    /// Parts of a bundle are not there, or not what its lists say.
    #[error("could not pull {from}: it is not whole:{}", lines(faults))]
    NotWhole { from: Box<Location>, faults: Vec<String> },
    /// What was pulled does not verify.
    #[error("could not pull {from}: its verification failed:{}", lines(faults))]
    Unverified { from: Box<Location>, faults: Vec<String>, cause: Option<Cause> },
    /// Files that were right when they arrived, and were kept for a later run.
    #[error("could not pull {from}: what an earlier run had kept was damaged on this machine:{}", lines(titles))]
    DamagedHere { from: Box<Location>, titles: Vec<String> },
    /// The bundle holds keys, and whoever can read what is pushed would have them.
    #[error("`{}` holds private keys or tokens that nothing encrypts, and they would be on the server:{}", path.display(), lines(files))]
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
            Self::Request { verb: "push", at, .. } => {
                Some(format!("run the same command again: what the {} has is not sent again", kind(at)))
            }
            Self::Request { .. } => Some("run the same command again".to_owned()),
            Self::Files { from, source, kept } => Some(files_hint(from, source, &kept.display().to_string())),
            Self::Nothing(from) => Some(list_hint(from)),
            Self::NotABundle { .. } => {
                Some("name what `kube-bundle push` has pushed, or where a bundle or its thin copy was put".to_owned())
            }
            Self::NotWhole { from, .. } => Some(match **from {
                Location::Web(_) => again(from).to_owned(),
                _ => format!("push it again: `kube-bundle push OUT {from}`"),
            }),
            Self::Unverified { cause: Some(cause @ Cause::TooFew), .. } => Some(cause.hint().to_owned()),
            Self::DamagedHere { .. } => Some(
                "run the same command again: it fetches them again. If it happens twice, check this disk".to_owned(),
            ),
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
            Self::NotWhole { .. } | Self::Unverified { .. } | Self::Damaged { .. } | Self::DamagedHere { .. } => true,
            Self::Thin(error) => error.is_verification(),
            Self::Request { fault, .. } => matches!(fault, Fault::Wrong(_)),
            _ => false,
        }
    }
}

/// Where what proves who asks is looked for.
fn login(at: &Location) -> String {
    match at {
        Location::Registry(reference) => {
            let registry = reference.registry();
            format!("`skopeo login {registry}`, or `docker login {registry}`, keeps a password where it is looked for")
        }
        Location::Bucket(_) => {
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to keys that may list, read and write there, or AWS_PROFILE".to_owned()
        }
        Location::Web(_) => "fetch it with another program, and `kube-bundle import` it".to_owned(),
    }
}

/// What lists what is there instead.
fn list_hint(from: &Location) -> String {
    match from {
        Location::Registry(reference) => {
            format!(
                "`skopeo list-tags docker://{}/{}` lists what there is",
                reference.registry(),
                reference.repository()
            )
        }
        Location::Bucket(_) => format!("`aws s3 ls {from}/` lists what there is; a push puts SHA256SUMS there at last"),
        Location::Web(_) => format!("name the directory that has the SHA256SUMS of a bundle: {from}/SHA256SUMS"),
    }
}

/// What people call what is there.
fn kind(at: &Location) -> &'static str {
    match at {
        Location::Registry(_) => "registry",
        Location::Bucket(_) => "store",
        Location::Web(_) => "server",
    }
}

/// How what is not whole becomes whole.
fn again(from: &Location) -> &'static str {
    match from {
        Location::Web(_) => "copy the bundle there again",
        _ => "push the bundle again",
    }
}

fn files_hint(from: &Location, source: &fetch::Error, kept: &str) -> String {
    let (kind, again) = (kind(from), again(from));
    // A push takes an object of the right size for the right one.
    let before = if matches!(from, Location::Bucket(_)) { "remove them, and " } else { "" };
    if source.is_denied() {
        login(from)
    } else if source.is_verification() {
        format!("the {kind} serves wrong bytes; {before}{again}. What was right is kept in `{kept}`")
    } else if source.is_untrusted() {
        AUTHORITIES_HINT.to_owned()
    } else if source.is_absence() {
        format!("the {kind} has lost them; {again}. What is there is kept in `{kept}`")
    } else {
        format!("run the same command again: what arrived is kept in `{kept}`")
    }
}
