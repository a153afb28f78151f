//! `kube-bundle export`

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Console;
use super::cluster::jobs;
use crate::Error;
use crate::cli::ExportArgs;
use crate::hash::Sha256;
use crate::manifest::Manifest;
use crate::progress::bytes;
use crate::regular::{self, Links};
use crate::thin::export::{Exported, expect_outside, export as write};
use crate::thin::{Directory, ExportList, delta, parts};

pub(super) fn export(args: &ExportArgs, console: &Console) -> Result<(), Error> {
    let bundle = Directory::open(&args.bundle)?;
    let read: Vec<_> = [Some(args.bundle.as_path()), args.since.as_deref()].into_iter().flatten().collect();
    expect_outside(&args.dir, &read)?;
    let base = args.since.as_deref().map(delta::open).transpose()?;
    let objects = delta::objects(&bundle.index, base.as_ref().map(|base| &base.index));
    let lists = lists(args, &bundle, base.map(|base| base.sha256), objects)?;
    let exported = write(&bundle, &lists, jobs(args.jobs), console.progress())?;
    warn_of_secrets(args, console);
    report(&bundle, &exported, console)
}

/// A stick is lost sooner than a machine.
fn warn_of_secrets(args: &ExportArgs, console: &Console) {
    let Ok(manifest) = Manifest::read(&args.bundle) else { return };
    let files = manifest.unsealed_secrets().len();
    if files > 0 {
        console.progress().warn(&format!(
            "{} holds private keys that nothing encrypts, in {files} of the bundle's files; `seal` in cluster.toml encrypts them",
            args.dir.display()
        ));
    }
}

/// The directories to write, and what each holds.
fn lists(
    args: &ExportArgs,
    bundle: &Directory,
    base: Option<Sha256>,
    objects: Vec<usize>,
) -> Result<Vec<(PathBuf, ExportList)>, Error> {
    let whole = ExportList::whole(bundle.bundle, base, objects);
    let Some(most) = args.max_size else { return Ok(vec![(args.dir.clone(), whole)]) };
    let divided = parts::divide(&bundle.index, whole.held(), &sizes(bundle)?, most)?;
    let count = divided.len();
    let path = |part: usize| args.dir.join(format!("part-{part:02}-of-{count:02}"));
    expect_only(&args.dir, &(1..=count).map(path).collect::<Vec<_>>())?;
    Ok((1..=count).map(|part| (path(part), whole.part(part, &divided))).collect())
}

/// Sizes of the files that every part has.
fn sizes(bundle: &Directory) -> Result<Vec<u64>, Error> {
    let names = bundle.loose()?.into_iter().map(|(name, _)| name).chain([crate::manifest::SUMS.to_owned()]);
    let size = |name: String| {
        let path = bundle.path.join(name);
        let length = regular::open(&path, Links::Refuse).and_then(|file| Ok(file.metadata()?.len()));
        length.map_err(|source| Error::Io { verb: "read", path, source })
    };
    names.map(size).collect()
}

/// That a directory of parts has no other files: parts of two sets would be mixed.
#[expect(clippy::disallowed_methods, reason = "looks at the directory that it writes")]
fn expect_only(directory: &Path, parts: &[PathBuf]) -> Result<(), Error> {
    let Ok(entries) = directory.read_dir() else { return Ok(()) };
    match entries.flatten().map(|entry| entry.path()).find(|path| !parts.contains(path)) {
        Some(path) => Err(crate::thin::Error::Occupied {
            path: directory.to_owned(),
            why: format!("has `{}`, which is no part of this", path.file_name().unwrap_or_default().display()),
        }
        .into()),
        None => Ok(()),
    }
}

fn report(bundle: &Directory, exported: &[Exported], console: &Console) -> Result<(), Error> {
    #[derive(Serialize)]
    struct Report<'a> {
        bundle: Sha256,
        base: Option<Sha256>,
        directories: &'a [Exported],
    }
    let whole: u64 = bundle.index.files().values().map(|file| file.size).sum();
    for it in exported {
        let kept = if it.kept == 0 { String::new() } else { format!("; {} were there already", it.kept) };
        let (path, what, count) = (it.path.display(), it.list.describe(), it.objects);
        console.note(&format!("Wrote {path}: {what}, {count} objects, {}{kept}", bytes(it.bytes)));
    }
    console.note(&format!(
        "The bundle is {}; next, where it arrives: `kube-bundle import DIR... -o OUT --trust TRUST`",
        bytes(whole)
    ));
    let base = exported.first().and_then(|it| it.list.base);
    console.result(&Report { bundle: bundle.bundle, base, directories: exported }, || {
        exported.iter().map(|it| format!("{}\n", it.path.display())).collect()
    })
}
