//! `kube-bundle verify` and `kube-bundle inspect`

use std::path::Path;

use super::Console;
use super::console::{print, table};
use crate::manifest::{MANIFEST, Manifest};
use crate::progress::bytes;
use crate::{Error, inspect as reader, verify as verifier};

#[expect(clippy::disallowed_methods, reason = "a command looks at the path that it is given")]
pub(super) fn verify(path: &Path, deep: bool, console: &Console) -> Result<(), Error> {
    let report = if path.is_dir() { verifier::directory(path, deep) } else { verifier::file(path) };
    let report = report.map_err(|source| Error::Io { verb: "read", path: path.to_owned(), source })?;
    report.warnings.iter().for_each(|warning| console.progress().warn(warning));
    if console.json() {
        console.result(&report, String::new)?;
    }
    if !report.faults.is_empty() {
        return Err(Error::Verification { path: path.to_owned(), faults: report.faults });
    }
    if console.json() {
        return Ok(());
    }
    print(&format!("{}: {} files, {}, all as they were built", path.display(), report.files, bytes(report.bytes)))
}

#[expect(clippy::disallowed_methods, reason = "a command looks at the path that it is given")]
pub(super) fn inspect(path: &Path, console: &Console) -> Result<(), Error> {
    let failed = |source| Error::Io { verb: "read", path: path.to_owned(), source };
    if path.is_dir() {
        let manifest =
            Manifest::read(path).map_err(|source| Error::Io { verb: "read", path: path.join(MANIFEST), source })?;
        return console.result(&manifest, || summary(&manifest));
    }
    let contents = reader::read(path, &[]).map_err(failed)?;
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
    let head = format!(
        "Cluster {}, Kubernetes {}, recipe {} ({})\nCertificates valid from {} to {}\n\n",
        manifest.cluster,
        manifest.version,
        manifest.recipe.name,
        manifest.recipe.sha256,
        manifest.validity.not_before,
        manifest.validity.not_after,
    );
    head + &table(&["MODE", "SIZE", "SHA256", "PATH"], &rows)
}
