//! `kube-bundle verify` and `kube-bundle inspect`

use std::io;
use std::path::{Path, PathBuf};

use time::format_description::well_known::Rfc3339;

use super::Console;
use super::console::{print, table};
use crate::error::ExitCode;
use crate::manifest::{MANIFEST, Manifest, SUMS};
use crate::printable::printable;
use crate::progress::bytes;
use crate::{Error, inspect as reader, verify as verifier};

#[expect(clippy::disallowed_methods, reason = "a command looks at the path that it is given")]
pub(super) fn verify(path: &Path, deep: bool, console: &Console) -> Result<(), Error> {
    let command = Attempt { path, command: "verify", exit: ExitCode::Verification };
    let report = if path.is_dir() {
        command.expect_bundle()?;
        verifier::directory(path, deep)
    } else {
        verifier::file(path)
    };
    let report = report.map_err(|source| command.failed(source))?;
    report.warnings.iter().for_each(|warning| console.progress().warn(&printable(warning)));
    if console.json() {
        console.result(&report, String::new)?;
    }
    if !report.faults.is_empty() {
        return Err(Error::Verification { path: path.to_owned(), faults: report.faults });
    }
    if console.json() { Ok(()) } else { print(&result(path, &report)) }
}

/// What was found. Checksums say that nothing was damaged, and not who made them.
fn result(path: &Path, report: &verifier::Report) -> String {
    let path = path.display().to_string();
    let (path, files) = (printable(&path), report.files);
    let mut text = format!("{path}: {files} files, {}, all checksums match\n", bytes(report.bytes));
    if !report.not_compared.is_empty() {
        let names = report.not_compared.join(", ");
        text += &format!(
            "not compared: {} (in no list of this file; `verify OUT --deep` compares all)\n",
            printable(&names)
        );
    }
    text + "origin not checked"
}

#[expect(clippy::disallowed_methods, reason = "a command looks at the path that it is given")]
pub(super) fn inspect(path: &Path, console: &Console) -> Result<(), Error> {
    let command = Attempt { path, command: "inspect", exit: ExitCode::Failed };
    if path.is_dir() {
        command.expect_bundle()?;
        let manifest =
            Manifest::read(path).map_err(|source| Error::Io { verb: "read", path: path.join(MANIFEST), source })?;
        return console.result(&manifest, || summary(&manifest));
    }
    let contents = reader::read(path, &[]).map_err(|source| command.failed(source))?;
    console.result(&contents.entries, || {
        let rows: Vec<_> = contents
            .entries
            .iter()
            .map(|(name, member)| {
                let size = member.size.map_or_else(|| "-".to_owned(), |size| size.to_string());
                let sha256 = member.sha256.map_or_else(|| "-".to_owned(), |sha256| sha256.to_string());
                vec![member.mode.to_string(), size, sha256, name.clone()]
            })
            .collect();
        table(&["MODE", "SIZE", "SHA256", "PATH"], &rows)
    })
}

fn summary(manifest: &Manifest) -> String {
    let rows: Vec<_> = manifest
        .files
        .iter()
        .map(|(name, record)| {
            vec![record.mode.to_string(), bytes(record.size).to_string(), record.sha256.to_string(), name.clone()]
        })
        .collect();
    let date = |date: time::OffsetDateTime| date.format(&Rfc3339).unwrap_or_else(|_| date.to_string());
    let head = format!(
        "Cluster {}, Kubernetes {}, recipe {} ({})\nCertificates valid from {} to {}\n\n",
        printable(&manifest.cluster),
        printable(&manifest.version),
        printable(&manifest.recipe.name),
        manifest.recipe.sha256,
        date(manifest.validity.not_before),
        date(manifest.validity.not_after),
    );
    head + &table(&["MODE", "SIZE", "SHA256", "PATH"], &rows)
}

/// What the user wants of which path, for errors that say what may have been meant.
struct Attempt<'p> {
    path: &'p Path,
    command: &'static str,
    exit: ExitCode,
}

impl Attempt<'_> {
    fn expect_bundle(&self) -> Result<(), Error> {
        if verifier::is_bundle(self.path) {
            return Ok(());
        }
        let hint = bundle_inside(self.path).map_or_else(
            || "name the directory that `kube-bundle build` wrote, or a file in it".to_owned(),
            |inside| format!("`kube-bundle {} {}`", self.command, inside.display()),
        );
        Err(self.not_a_bundle(format!("it has neither {MANIFEST} nor {SUMS}: not a bundle"), hint))
    }

    fn failed(&self, source: io::Error) -> Error {
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
