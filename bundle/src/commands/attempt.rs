//! A path that may be no bundle, and what the user may have meant instead.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::ExitCode;
use crate::manifest::{MANIFEST, Manifest, SUMS};
use crate::{Error, verify as verifier};

/// Bundles that a hint names.
const MOST_BUNDLES: usize = 5;

/// What the user wants of which path, for errors that say what may have been meant.
pub(super) struct Attempt<'p> {
    pub(super) path: &'p Path,
    pub(super) command: &'static str,
    pub(super) exit: ExitCode,
}

impl Attempt<'_> {
    /// That a directory is a bundle.
    pub(super) fn expect_bundle(&self) -> Result<(), Error> {
        if has_manifest(self.path) {
            return Ok(());
        }
        if let Some(hint) = known_directory(self.path) {
            return Err(self.not_a_bundle(format!("it has no {MANIFEST}: not a bundle"), hint));
        }
        // After that, since `pki/` has a list of checksums too.
        if verifier::is_bundle(self.path) {
            return Ok(());
        }
        let why = format!("it has neither {MANIFEST} nor {SUMS}: not a bundle");
        let inside = bundles_inside(self.path);
        if !inside.is_empty() {
            return Err(self.not_a_bundle(format!("{why}, but it has some inside"), self.instead(&inside)));
        }
        Err(self.not_a_bundle(why, self.nearby()))
    }

    /// The command with a bundle that was found, or the names of several.
    fn instead(&self, bundles: &[PathBuf]) -> String {
        match bundles {
            [one] if self.command != "diff" => format!("`kube-bundle {} {}`", self.command, one.display()),
            _ => {
                let names: Vec<_> = bundles.iter().map(|bundle| format!("`{}`", bundle.display())).collect();
                format!("name one of the bundles instead: {}", names.join(", "))
            }
        }
    }

    /// What to type where the path leads to nothing that is known.
    fn nearby(&self) -> String {
        let bundles = bundles_inside(Path::new("out"));
        if bundles.is_empty() {
            "name an output directory of `kube-bundle build`, such as `out/CLUSTER`, or a file in it".to_owned()
        } else {
            self.instead(&bundles)
        }
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
            io::ErrorKind::NotFound => Error::NoSuchPath { path, hint: self.nearby() },
            io::ErrorKind::Unsupported => {
                let (why, hint) = self.known_file().unwrap_or_else(|| (source.to_string(), self.nearby()));
                self.not_a_bundle(why, hint)
            }
            _ => Error::Io { verb: "read", path, source },
        }
    }

    /// What a file is that no artifact can be, and what to type instead.
    fn known_file(&self) -> Option<(String, String)> {
        let name = self.path.file_name()?.to_str()?;
        if name == "recipe.toml" {
            let directory = self.path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
            return Some(("it belongs to a recipe, and is nothing that was built".to_owned(), recipe_hint(directory)));
        }
        if self.path.extension().is_some_and(|ending| ending == "toml") {
            let hint = format!("`kube-bundle plan -c {}` shows what a build of it would make", self.path.display());
            return Some(("it describes a cluster, and is nothing that was built".to_owned(), hint));
        }
        let bundle = self.path.ancestors().skip(1).find(|directory| has_manifest(directory))?;
        let bundle = if bundle.as_os_str().is_empty() { Path::new(".") } else { bundle };
        let hint = format!("`kube-bundle {} {}`", self.command, bundle.display());
        Some(("it is a file of a bundle, but no archive, package or image".to_owned(), hint))
    }

    fn not_a_bundle(&self, why: String, hint: String) -> Error {
        Error::NotABundle { path: self.path.to_owned(), why, hint, exit: self.exit }
    }
}

#[expect(clippy::disallowed_methods, reason = "looks where the user may have meant")]
fn has_manifest(directory: &Path) -> bool {
    directory.join(MANIFEST).symlink_metadata().is_ok()
}

fn recipe_hint(directory: &Path) -> String {
    let directory = directory.display().to_string();
    let begins = if directory.starts_with(['.', '/']) { "" } else { "./" };
    format!("`kube-bundle recipe show {begins}{directory}` shows the recipe")
}

/// What to type for directories of ours that are no bundles.
#[expect(clippy::disallowed_methods, reason = "looks where the user may have meant")]
fn known_directory(directory: &Path) -> Option<String> {
    let has = |name: &str| directory.join(name).symlink_metadata().is_ok();
    if has("recipe.toml") {
        Some(recipe_hint(directory))
    } else if has("ca-key.pem") && has("encryption-key") {
        Some("it holds the keys of a cluster: `kube-bundle pki status` shows its certificates".to_owned())
    } else {
        None
    }
}

/// Bundles right below a directory, or in `out` below it: a parent is named easily instead of them.
#[expect(clippy::disallowed_methods, reason = "looks where the user may have meant")]
fn bundles_inside(directory: &Path) -> Vec<PathBuf> {
    let list = |directory: &Path| {
        // A directory that is none of ours may be large.
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten().take(1000);
        let mut found: Vec<_> = entries.map(|entry| entry.path()).filter(|path| has_manifest(path)).collect();
        found.sort();
        found.truncate(MOST_BUNDLES);
        found
    };
    let here = list(directory);
    if here.is_empty() { list(&directory.join("out")) } else { here }
}
