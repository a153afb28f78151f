//! Trees become files of the output directory, each whole, hashed while it is written, the manifest last.

pub mod compress;
pub mod tar;

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use crate::assemble::Trees;
use crate::hash::HashingWriter;
use crate::manifest::{Artifact, FileRecord, MANIFEST, Manifest, SUMS};
use crate::out::{self, Staging};
use crate::plan::Plan;
use crate::progress::{Progress, Task, bytes};
use crate::spec::Format;
use crate::target::Mode;
use crate::tree::{Content, Entry, Tree};
use crate::workers;

/// What went wrong while packing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The output directory can't be made.
    #[error(transparent)]
    Out(#[from] out::Error),
    /// An artifact can't be written.
    #[error("could not write `{}`", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl Error {
    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Out(error) => error.hint(),
            Self::Write { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Some("make room, or choose another disk with `-o`; the old output is untouched")
            }
            Self::Write { .. } => Some("the old output is untouched"),
        }
    }
}

/// Where and how to write.
#[derive(Debug)]
pub struct Destination<'a> {
    /// The output directory.
    pub out: &'a std::path::Path,
    /// How many artifacts at a time.
    pub jobs: usize,
}

/// One file to write.
enum Job<'a> {
    Artifact { path: &'a str, format: Format, tree: &'a Tree },
    File { path: String, entry: &'a Entry },
}

impl Job<'_> {
    fn path(&self) -> &str {
        match self {
            Self::Artifact { path, .. } => path,
            Self::File { path, .. } => path,
        }
    }
}

/// Writes everything, then the manifest, then puts the directory in place.
pub fn pack(
    plan: &Plan,
    trees: &Trees,
    window: crate::manifest::Validity,
    to: &Destination<'_>,
    progress: &dyn Progress,
) -> Result<Manifest, Error> {
    let staging = Staging::begin(to.out, Manifest::own_files)?;
    let artifacts = plan.outputs.iter().filter_map(|output| {
        let tree = trees.outputs.get(&output.path)?;
        Some(Job::Artifact { path: &output.path, format: output.format, tree })
    });
    let operator = trees.operator.files().map(|(path, entry)| Job::File { path: format!("operator/{path}"), entry });
    let jobs: Vec<_> = artifacts.chain(operator).collect();
    let records = write_all(&jobs, plan, &staging, to.jobs, progress)?;

    let artifacts = plan.outputs.iter().filter_map(|output| {
        let entries = Artifact::describe(trees.outputs.get(&output.path)?);
        Some((
            output.path.clone(),
            Artifact { node: output.node.to_string(), format: output.format.to_string(), entries },
        ))
    });
    let manifest = Manifest::new(plan, window, records, artifacts.collect());
    let text = manifest.to_json();
    write_small(&staging, SUMS, manifest.sums(&text).as_bytes())?;
    write_small(&staging, MANIFEST, text.as_bytes())?;
    staging.finish()?;
    Ok(manifest)
}

fn write_small(staging: &Staging, name: &str, bytes: &[u8]) -> Result<(), Error> {
    let path = staging.place(name, Mode::EXECUTABLE)?;
    out::write_atomically(&path, bytes, Mode::PUBLIC).map_err(|source| Error::Write { path, source })
}

fn write_all(
    jobs: &[Job<'_>],
    plan: &Plan,
    staging: &Staging,
    threads: usize,
    progress: &dyn Progress,
) -> Result<BTreeMap<String, FileRecord>, Error> {
    let written = workers::each(threads, jobs, |job| write(job, plan, staging, progress));
    let named = jobs.iter().zip(written).filter_map(|(job, record)| Some((job.path().to_owned(), record?)));
    named.map(|(path, record)| Ok((path, record?))).collect()
}

fn write(job: &Job<'_>, plan: &Plan, staging: &Staging, progress: &dyn Progress) -> Result<FileRecord, Error> {
    // Everything that a job writes holds keys, or lies among files that do.
    let path = staging.place(job.path(), Mode::PRIVATE)?;
    let failed = |source| Error::Write { path: path.clone(), source };
    let file = out::begin(&path).map_err(failed)?;
    let mut writer = HashingWriter::new(BufWriter::with_capacity(256 << 10, file));
    let mode = match job {
        Job::Artifact { format, tree, path } => {
            let task = progress.task(path.rsplit('/').next().unwrap_or(path), Some(tree.size()));
            write_artifact(*format, tree, plan, &mut writer, task.as_ref()).map_err(failed)?;
            Mode::SECRET
        }
        Job::File { entry, .. } => {
            write_entry(entry, &mut writer).map_err(failed)?;
            entry.mode
        }
    };
    let (buffer, sha256, size) = writer.finish();
    let file = buffer.into_inner().map_err(|why| failed(why.into_error()))?;
    out::complete(file, &path, mode).map_err(failed)?;
    if let Job::Artifact { path, tree, .. } = job {
        progress.note(&format!("Packed {path} ({} of {})", bytes(size), bytes(tree.size())));
    }
    Ok(FileRecord { size, sha256, mode })
}

fn write_artifact(
    format: Format,
    tree: &Tree,
    plan: &Plan,
    writer: &mut impl Write,
    task: &dyn Task,
) -> io::Result<()> {
    match format {
        Format::Tarball => {
            let segments = tar::segments(tree, plan.timestamp.unix_timestamp())?;
            compress::gzip(&segments, writer, task)
        }
        Format::Deb | Format::Nocloud => Err(io::Error::other("this format has no packer")),
    }
}

fn write_entry(entry: &Entry, writer: &mut impl Write) -> io::Result<()> {
    match &entry.content {
        Content::Directory => Ok(()),
        Content::Bytes(bytes) => writer.write_all(bytes),
        Content::Secret(secret) => writer.write_all(secret.expose()),
        Content::Blob(blob) => io::copy(&mut blob.open()?, writer).map(drop),
    }
}
