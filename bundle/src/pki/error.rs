//! Why there is no PKI, and what to do about it.

use std::path::PathBuf;

use crate::plan::certificates::CertId;

/// Why there is no PKI.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory is out of order.
    #[error("could not {verb} `{}`", path.display())]
    Io {
        /// What was attempted.
        verb: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file that doesn't read as what it should be.
    #[error("`{}`: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// One half of something that can't be made again.
    #[error("`{id}` has a {there} and no {missing}")]
    Half {
        /// Which.
        id: CertId,
        /// What is there.
        there: &'static str,
        /// What is not.
        missing: &'static str,
    },
    /// Something that can't be made again is gone, and what depends on it is not.
    #[error("`{id}` is gone, and what depends on it is still there, such as `{leaf}`")]
    Lost {
        /// Which.
        id: CertId,
        /// What is still there.
        leaf: CertId,
    },
    /// A CA whose time is over.
    #[error("CA `{id}` expired on {end}")]
    Expired {
        /// Which CA.
        id: CertId,
        /// When.
        end: String,
    },
    /// A certificate made by somebody else that can't serve.
    #[error("`{}`: {why}", path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What it lacks.
        why: String,
    },
    /// The cryptography library refused.
    #[error("could not {verb} `{id}`: {why}")]
    Crypto {
        /// What was attempted.
        verb: &'static str,
        /// For which certificate.
        id: CertId,
        /// Its answer.
        why: String,
    },
    /// `pki renew` was asked for something it doesn't do.
    #[error("`{id}` can't be renewed: {why}")]
    NotRenewable {
        /// As given.
        id: String,
        /// Why.
        why: &'static str,
    },
}

impl Error {
    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Half { .. } | Self::Lost { .. } => Some(
                "restore the missing file from a backup: what it signed or encrypted can't be used without it; to begin anew, move the whole pki directory away and install every node again",
            ),
            Self::Expired { .. } => {
                Some("a new CA means a new cluster trust: move the pki directory away and install every node again")
            }
            Self::NotRenewable { .. } => Some("`kube-bundle pki status` lists what there is"),
            _ => None,
        }
    }
}
