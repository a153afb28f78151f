//! Trees become files of the output directory, each whole, hashed while it is written, the manifest last.

pub mod apt;
pub mod ar;
pub mod compress;
pub mod deb;
pub mod tar;

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use crate::assemble::{Parcel, Trees};
use crate::hash::{HashingWriter, Sha256};
use crate::manifest::{Artifact, FileRecord, MANIFEST, Manifest, SUMS};
use crate::out::{self, Staging};
use crate::plan::{Output, Plan};
use crate::progress::{Progress, Task, bytes};
use crate::spec::Compression;
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
    Artifact { output: &'a Output, parcel: &'a Parcel },
    File { path: String, entry: &'a Entry },
}

impl Job<'_> {
    fn path(&self) -> &str {
        match self {
            Self::Artifact { output, .. } => &output.path,
            Self::File { path, .. } => path,
        }
    }
}

/// What became of a job.
struct Written {
    record: FileRecord,
    /// The files of a package's control archive.
    control: Tree,
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
        let parcel = trees.outputs.get(&output.path)?;
        Some(Job::Artifact { output, parcel })
    });
    let operator = trees.operator.files().map(|(path, entry)| Job::File { path: format!("operator/{path}"), entry });
    let jobs: Vec<_> = artifacts.chain(operator).collect();
    let written = write_all(&jobs, plan, &staging, to.jobs, progress)?;

    let mut records: BTreeMap<_, _> = written.iter().map(|(path, file)| (path.clone(), file.record.clone())).collect();
    records.extend(write_repository(plan, &written, &staging)?);
    let artifacts = plan.outputs.iter().filter_map(|output| {
        let control = &written.get(&output.path)?.control;
        let entries = Artifact::describe(trees.outputs.get(&output.path)?.tree(), control);
        let node = output.kind.node().map(ToString::to_string);
        Some((output.path.clone(), Artifact { node, format: output.kind.format().to_string(), entries }))
    });
    let manifest = Manifest::new(plan, window, records, artifacts.collect());
    let text = manifest.to_json();
    write_small(&staging, SUMS, manifest.sums(&text).as_bytes(), Mode::EXECUTABLE)?;
    write_small(&staging, MANIFEST, text.as_bytes(), Mode::EXECUTABLE)?;
    staging.finish()?;
    Ok(manifest)
}

/// Where packages and their lists lie.
const REPOSITORY: &str = "deb";

/// What apt wants to find beside packages, if there are any.
fn write_repository(
    plan: &Plan,
    written: &BTreeMap<String, Written>,
    staging: &Staging,
) -> Result<Vec<(String, FileRecord)>, Error> {
    let stanza = |file: &Written| {
        let (_, entry) = file.control.files().find(|(path, _)| path.as_str() == "control")?;
        match &entry.content {
            Content::Bytes(text) => Some(String::from_utf8_lossy(text).into_owned()),
            _ => None,
        }
    };
    let packages: Vec<_> = written
        .iter()
        .filter_map(|(path, file)| Some((path.rsplit('/').next()?, stanza(file)?, &file.record)))
        .collect();
    let indexed: Vec<_> =
        packages.iter().map(|(file_name, stanza, record)| apt::Indexed { file_name, stanza, record }).collect();
    if indexed.is_empty() {
        return Ok(Vec::new());
    }
    let files = apt::repository(&indexed, plan.cluster.as_str(), plan.revision)
        .map_err(|source| Error::Write { path: REPOSITORY.into(), source })?;
    let write = |(name, bytes): (String, Vec<u8>)| {
        let path = format!("{REPOSITORY}/{name}");
        write_small(staging, &path, &bytes, Mode::PRIVATE)?;
        let record = FileRecord { size: bytes.len() as u64, sha256: Sha256::of(&bytes), mode: Mode::PUBLIC };
        Ok((path, record))
    };
    files.into_iter().map(write).collect()
}

fn write_small(staging: &Staging, name: &str, bytes: &[u8], directory: Mode) -> Result<(), Error> {
    let path = staging.place(name, directory)?;
    out::write_atomically(&path, bytes, Mode::PUBLIC).map_err(|source| Error::Write { path, source })
}

fn write_all(
    jobs: &[Job<'_>],
    plan: &Plan,
    staging: &Staging,
    threads: usize,
    progress: &dyn Progress,
) -> Result<BTreeMap<String, Written>, Error> {
    let written = workers::each(threads, jobs, |job| write(job, plan, staging, progress));
    let named = jobs.iter().zip(written).filter_map(|(job, record)| Some((job.path().to_owned(), record?)));
    named.map(|(path, record)| Ok((path, record?))).collect()
}

fn write(job: &Job<'_>, plan: &Plan, staging: &Staging, progress: &dyn Progress) -> Result<Written, Error> {
    // Everything that a job writes holds keys, or lies among files that do.
    let path = staging.place(job.path(), Mode::PRIVATE)?;
    let failed = |source| Error::Write { path: path.clone(), source };
    let file = out::begin(&path).map_err(failed)?;
    let mut writer = HashingWriter::new(BufWriter::with_capacity(256 << 10, file));
    let (mode, control) = match job {
        Job::Artifact { output, parcel } => {
            let name = output.path.rsplit('/').next().unwrap_or(&output.path);
            let task = progress.task(name, Some(parcel.tree().size()));
            let control = write_artifact(parcel, plan, staging, &mut writer, task.as_ref()).map_err(failed)?;
            (if parcel.tree().holds_secrets() { Mode::SECRET } else { Mode::PUBLIC }, control)
        }
        Job::File { entry, .. } => {
            write_entry(entry, &mut writer).map_err(failed)?;
            (entry.mode, Tree::default())
        }
    };
    let (buffer, sha256, size) = writer.finish();
    let file = buffer.into_inner().map_err(|why| failed(why.into_error()))?;
    out::complete(file, &path, mode).map_err(failed)?;
    if let Job::Artifact { output, parcel } = job {
        progress.note(&format!("Packed {} ({} of {})", output.path, bytes(size), bytes(parcel.tree().size())));
    }
    Ok(Written { record: FileRecord { size, sha256, mode }, control })
}

fn write_artifact(
    parcel: &Parcel,
    plan: &Plan,
    staging: &Staging,
    writer: &mut impl Write,
    task: &dyn Task,
) -> io::Result<Tree> {
    match parcel {
        Parcel::Archive(tree) => {
            let mtime = plan.timestamp.unix_timestamp();
            let segments = tar::segments(tree, mtime, tar::Names::Bare)?;
            compress::write(Compression::Gzip, &segments, writer, task)?;
            Ok(Tree::default())
        }
        Parcel::Package(package) => {
            let control = deb::control(package)?;
            deb::write(package, &control, &mut staging.scratch()?, writer, task)?;
            Ok(control)
        }
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
