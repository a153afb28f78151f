//! Why there is no PKI, and what to do about it.

use std::path::PathBuf;

use crate::hash::Sha256;
use crate::plan::certificates::CertId;

/// Why there is no PKI.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory is out of order.
    #[error("could not {verb} `{}`", path.display())]
    Io {
        /// Completes "could not …".
        verb: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    /// A file that doesn't read as what it should be.
    #[error("`{}`: {why}", path.display())]
    Unreadable { path: PathBuf, why: String },
    /// One half of something that can't be made again.
    #[error("`{id}` has a {there} and no {missing}")]
    Half { id: CertId, there: &'static str, missing: &'static str },
    /// Something that can't be made again is gone, and what depends on it is not.
    #[error("`{id}` is gone, and what depends on it is still there, such as `{leaf}`")]
    Lost { id: CertId, leaf: CertId },
    /// A file that can't be made again is listed in `SHA256SUMS`, and is not there.
    #[error("`{}` is gone, and `SHA256SUMS` beside it lists it", path.display())]
    Gone { path: PathBuf },
    /// A file that can't be made again is another one than `SHA256SUMS` says.
    #[error("`{}` has changed: its SHA-256 digest was {}…, and is {}…", path.display(), short(expected), short(got))]
    Changed {
        path: PathBuf,
        /// The digest in the list.
        expected: Sha256,
        /// The file's.
        got: Sha256,
    },
    /// `SHA256SUMS` can't be read.
    #[error("`{}`: line {number} is not of the form `DIGEST  FILE`", path.display())]
    Checksums {
        /// The list.
        path: PathBuf,
        /// Which line, from 1.
        number: usize,
    },
    /// A public and a private key that are no pair.
    #[error("`{}` does not belong to `{}`", public.display(), private.display())]
    Mismatch {
        /// The public key.
        public: PathBuf,
        /// The private key.
        private: PathBuf,
    },
    /// A CA certificate that is not what was signed.
    #[error("`{}`: its signature does not fit what it says", path.display())]
    Damaged {
        /// The certificate.
        path: PathBuf,
    },
    /// The certificate of one ID and the key of another would be the same file.
    #[error("`{certificate}` and the key of `{key}` would both be the file `{certificate}.pem`")]
    SharedFile { certificate: CertId, key: CertId },
    /// A CA whose time is over.
    #[error("CA `{id}` expired on {end}")]
    Expired {
        id: CertId,
        /// When.
        end: String,
    },
    /// A CA whose time has not come.
    #[error("CA `{id}` is not valid before {begin}")]
    NotYetValid {
        id: CertId,
        /// When it begins.
        begin: String,
    },
    /// A certificate that can't serve for what it is meant for.
    #[error("`{}`: {why}", path.display())]
    Unfit { path: PathBuf, why: String },
    /// The cryptography library refused.
    #[error("could not {verb} `{id}`: {why}")]
    Crypto {
        /// Completes "could not …".
        verb: &'static str,
        /// For which certificate.
        id: CertId,
        why: String,
    },
    /// Two builds at a time: their bundles would have the same number.
    #[error("another build of this cluster was numbered meanwhile, in `{}`", path.display())]
    Numbered { path: PathBuf },
    /// Keys are to be encrypted, and there is nothing to do it with.
    #[error(
        "no passphrase of at least {} characters was given, and keys of machines are to be encrypted with one",
        super::locked::SHORTEST
    )]
    Passphrase,
    /// `pki renew` was asked for something it doesn't do.
    #[error("`{id}` can't be renewed: {why}")]
    NotRenewable {
        /// As given.
        id: String,
        /// Why.
        why: &'static str,
    },
}

/// As many digits as tell two digests apart for a person.
fn short(digest: &Sha256) -> String {
    digest.to_string()[..12].to_owned()
}

impl Error {
    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Half { .. } | Self::Lost { .. } => Some(
                "restore the missing file from a backup: what it signed or encrypted can't be used without it; to begin anew, move the whole pki directory away and install every node again",
            ),
            Self::Gone { .. } | Self::Changed { .. } => Some(
                "restore it from a backup; if you replaced it on purpose, delete its line from `SHA256SUMS` in the pki directory and build again",
            ),
            Self::Checksums { .. } => Some(
                "restore it from a backup; if the files it lists are known to be right, delete it, and the next build writes it again",
            ),
            Self::Mismatch { .. } => Some(
                "restore both from a backup; if the private key is known to be right, delete the public one, and the next build writes it again",
            ),
            Self::Damaged { .. } => Some("restore it from a backup, or copy it again from where it was made"),
            Self::SharedFile { .. } => Some("rename one of them: no name may be another's with `-key` behind it"),
            Self::NotYetValid { .. } => Some(
                "check this machine's clock; if it is right, the CA was made by a clock that was not: move the pki directory away and install every node again, or give another CA",
            ),
            Self::Expired { .. } => {
                Some("a new CA means a new cluster trust: move the pki directory away and install every node again")
            }
            Self::Passphrase => Some(
                "write it on the first line of a file that only you can read, and build with `--passphrase-file FILE`",
            ),
            Self::Numbered { .. } => Some("build again: the next build gets the next number"),
            Self::NotRenewable { .. } => Some("`kube-bundle pki status` lists what there is"),
            _ => None,
        }
    }
}
