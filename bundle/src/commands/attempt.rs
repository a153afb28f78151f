//! A path that may be no bundle, and what the user may have meant instead.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::ExitCode;
use crate::manifest::{MANIFEST, Manifest, SUMS};
use crate::{Error, verify as verifier};

/// What the user wants of which path, for errors that say what may have been meant.
pub(super) struct Attempt<'p> {
    pub(super) path: &'p Path,
    pub(super) command: &'static str,
    pub(super) exit: ExitCode,
}

impl Attempt<'_> {
    pub(super) fn expect_bundle(&self) -> Result<(), Error> {
        if verifier::is_bundle(self.path) {
            return Ok(());
        }
        let hint = bundle_inside(self.path).map_or_else(
            || "name the directory that `kube-bundle build` wrote, or a file in it".to_owned(),
            |inside| format!("`kube-bundle {} {}`", self.command, inside.display()),
        );
        Err(self.not_a_bundle(format!("it has neither {MANIFEST} nor {SUMS}: not a bundle"), hint))
    }

    /// The manifest of the bundle that the path has to be.
    #[expect(clippy::disallowed_methods, reason = "a command looks at the path that it is given")]
    pub(super) fn manifest(&self) -> Result<Manifest, Error> {
        let kind = self.path.metadata().map_err(|source| self.failed(source))?;
        if !kind.is_dir() {
            let hint = "name the directories that `kube-bundle build` wrote, such as `out/CLUSTER`".to_owned();
            return Err(self.not_a_bundle("it is a file, not a bundle".to_owned(), hint));
        }
        self.expect_bundle()?;
        Manifest::read(self.path).map_err(|source| Error::Io { verb: "read", path: self.path.join(MANIFEST), source })
    }

    pub(super) fn failed(&self, source: io::Error) -> Error {
        let path = self.path.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => Error::NoSuchPath(path),
            io::ErrorKind::Unsupported => {
                let hint = format!(
                    "user data, keys and lists are compared by `kube-bundle {} DIR`, with the output directory as DIR",
                    self.command
                );
                self.not_a_bundle(source.to_string(), hint)
            }
            _ => Error::Io { verb: "read", path, source },
        }
    }

    fn not_a_bundle(&self, why: String, hint: String) -> Error {
        Error::NotABundle { path: self.path.to_owned(), why, hint, exit: self.exit }
    }
}

/// A bundle right below a directory: its parent is named easily instead of it.
#[expect(clippy::disallowed_methods, reason = "looks where the user may have meant")]
fn bundle_inside(directory: &Path) -> Option<PathBuf> {
    // A directory that is none of ours may be large.
    let entries = std::fs::read_dir(directory).ok()?.flatten().take(1000);
    let mut bundles: Vec<_> = entries.map(|entry| entry.path()).filter(|path| verifier::is_bundle(path)).collect();
    bundles.sort();
    bundles.into_iter().next()
}
