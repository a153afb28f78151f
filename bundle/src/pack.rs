//! Trees become files of the output directory, each whole, hashed while it is written, the manifest last.

pub mod apt;
pub mod ar;
pub mod codec;
pub mod compress;
pub mod cpio;
pub mod deb;
pub mod deflate;
pub mod fat;
pub mod iso;
pub mod pieces;
pub mod prune;
pub mod segment;
pub mod tar;

use std::collections::BTreeMap;
use std::io::{self, BufWriter};
use std::path::PathBuf;

use crate::assemble::seed::Seed;
use crate::assemble::{self, Parcel, Trees};
use crate::fetch::Store;
use crate::hash::{HashingWriter, Sha256};
use crate::manifest::{Artifact, FileRecord, MANIFEST, Manifest, Member, SUMS};
use crate::out::{self, Finished, Staging};
use crate::plan::{Medium, Output, Plan};
use crate::progress::{Progress, bytes};
use crate::spec::Compression;
use crate::target::Mode;
use crate::tree::{Content, Entry, Tree};
use crate::workers;
use pieces::Shelf;
use segment::Segment;

/// What went wrong while packing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The output directory can't be made.
    #[error(transparent)]
    Out(#[from] out::Error),
    /// A seed can't be put together.
    #[error(transparent)]
    Seed(#[from] assemble::Error),
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
            Self::Seed(_) => None,
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
    Parcel { output: &'a Output, parcel: &'a Parcel },
    Image { path: &'a str, seed: &'a Seed, tree: &'a Tree },
    File { path: String, entry: &'a Entry },
}

impl Job<'_> {
    fn path(&self) -> &str {
        match self {
            Self::Parcel { output, .. } => &output.path,
            Self::Image { path, .. } => path,
            Self::File { path, .. } => path,
        }
    }

    /// What is packed into it; none for a file that is itself.
    fn tree(&self) -> Option<&Tree> {
        match self {
            Self::Parcel { parcel, .. } => Some(parcel.tree()),
            Self::Image { tree, .. } => Some(tree),
            Self::File { .. } => None,
        }
    }
}

/// What became of a job.
struct Written {
    file: Finished,
    /// The files of a package's control archive.
    control: Tree,
    /// What is inside, if anything was packed.
    entries: Option<BTreeMap<String, Member>>,
}

/// Writes everything, then the manifest, then puts the directory in place.
pub fn pack(
    plan: &Plan,
    trees: &Trees,
    window: crate::manifest::Validity,
    store: &Store,
    to: &Destination<'_>,
    progress: &dyn Progress,
) -> Result<Manifest, Error> {
    let staging = Staging::begin(to.out, Manifest::own_files)?;
    let parcels = plan.outputs.iter().filter_map(|output| {
        let parcel = trees.outputs.get(&output.path)?;
        Some(Job::Parcel { output, parcel })
    });
    let operator = trees.operator.files().map(|(path, entry)| Job::File { path: format!("operator/{path}"), entry });
    let jobs: Vec<_> = parcels.chain(operator).collect();
    let shelf = stock(trees, store, to.jobs, progress)?;
    let around = Around { plan, staging: &staging, shelf: &shelf };
    let mut written = write_all(&jobs, &around, to.jobs, progress)?;

    // Seeds carry what is packed now, and name its digests.
    let packed = written.iter().map(|(path, written)| (path.clone(), written.file.clone())).collect();
    let seeds = trees.seeds.iter().map(|(path, seed)| Ok((path, seed, seed.tree(&packed)?)));
    let seeds = seeds.collect::<Result<Vec<_>, assemble::Error>>()?;
    let jobs: Vec<_> = seeds.iter().flat_map(|(path, seed, tree)| jobs_of_seed(path, seed, tree)).collect();
    written.extend(write_all(&jobs, &around, to.jobs, progress)?);

    let record = |file: &Finished| FileRecord { size: file.size(), sha256: file.sha256(), mode: file.mode() };
    let mut records: BTreeMap<_, _> = written.iter().map(|(path, file)| (path.clone(), record(&file.file))).collect();
    records.extend(write_repository(plan, &written, &records, &staging)?);
    let artifacts = plan.outputs.iter().filter_map(|output| {
        let entries = written.get(&output.path)?.entries.clone()?;
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

/// Compresses every program that some artifact wants compressed.
fn stock(trees: &Trees, store: &Store, threads: usize, progress: &dyn Progress) -> Result<Shelf, Error> {
    let wanted = trees.outputs.values().flat_map(|parcel| {
        let how = match parcel {
            Parcel::Archive(_) => Compression::Gzip,
            Parcel::Package(package) => package.compression,
        };
        parcel.tree().files().filter_map(move |(_, entry)| match &entry.content {
            Content::Blob(blob) => Some((blob.clone(), how)),
            _ => None,
        })
    });
    let path = store.root().to_owned();
    pieces::stock(&wanted.collect::<Vec<_>>(), store, threads, progress).map_err(|source| Error::Write { path, source })
}

/// What all jobs share.
struct Around<'a> {
    plan: &'a Plan,
    staging: &'a Staging,
    shelf: &'a Shelf,
}

/// An image, or its files one by one.
fn jobs_of_seed<'a>(path: &'a str, seed: &'a Seed, tree: &'a Tree) -> Vec<Job<'a>> {
    let file = |path: String, entry| Job::File { path, entry };
    match seed.medium {
        Medium::Iso | Medium::Vfat | Medium::Cpio => vec![Job::Image { path, seed, tree }],
        Medium::Directory => tree.files().map(|(name, entry)| file(format!("{path}/{name}"), entry)).collect(),
        Medium::File => tree.files().map(|(_, entry)| file(path.to_owned(), entry)).collect(),
    }
}

/// Where packages and their lists lie.
const REPOSITORY: &str = "deb";

/// What apt wants to find beside packages, if there are any.
fn write_repository(
    plan: &Plan,
    written: &BTreeMap<String, Written>,
    records: &BTreeMap<String, FileRecord>,
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
        .filter_map(|(path, file)| Some((path.rsplit('/').next()?, stanza(file)?, records.get(path)?)))
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
    around: &Around<'_>,
    threads: usize,
    progress: &dyn Progress,
) -> Result<BTreeMap<String, Written>, Error> {
    let written = workers::each(threads, jobs, |job| write(job, around, progress));
    let named = jobs.iter().zip(written).filter_map(|(job, record)| Some((job.path().to_owned(), record?)));
    named.map(|(path, record)| Ok((path, record?))).collect()
}

fn write(job: &Job<'_>, around: &Around<'_>, progress: &dyn Progress) -> Result<Written, Error> {
    // Everything that a job writes holds keys, or lies among files that do.
    let path = around.staging.place(job.path(), Mode::PRIVATE)?;
    let failed = |source| Error::Write { path: path.clone(), source };
    let file = out::begin(&path).map_err(failed)?;
    let mut writer = HashingWriter::new(BufWriter::with_capacity(256 << 10, file));
    let name = job.path().rsplit('/').next().unwrap_or_default();
    let size = job.tree().map(Tree::size);
    let (segments, control) = match job {
        Job::Parcel { parcel, .. } => parcel_segments(parcel, around),
        Job::Image { seed, tree, .. } => image_segments(seed, tree, around.plan).map(|image| (image, Tree::default())),
        Job::File { entry, .. } => Ok((Segment::of(entry).into_iter().collect(), Tree::default())),
    }
    .map_err(failed)?;
    let task = progress.task(name, Some(segments.iter().map(Segment::size).sum()));
    segment::write_all(&segments, &mut writer, task.as_ref()).map_err(failed)?;
    let mode = match (job, job.tree()) {
        (Job::File { entry, .. }, _) => entry.mode,
        (_, Some(tree)) if tree.holds_secrets() => Mode::SECRET,
        _ => Mode::PUBLIC,
    };
    let file = out::finish(writer, path.clone(), mode).map_err(failed)?;
    if let Some(size) = size {
        progress.note(&format!("Packed {} ({} of {})", job.path(), bytes(file.size()), bytes(size)));
    }
    let mut entries = job.tree().map(|tree| Artifact::describe(tree, &control));
    if let Job::Image { seed: Seed { medium: Medium::Vfat, .. }, .. } = job {
        // FAT knows no modes, and this is what Linux shows instead.
        entries.iter_mut().flatten().for_each(|(_, member)| member.mode = Mode::EXECUTABLE);
    }
    Ok(Written { file, control, entries })
}

/// An archive or a package, and the control archive of the latter.
fn parcel_segments(parcel: &Parcel, around: &Around<'_>) -> io::Result<(Vec<Segment>, Tree)> {
    match parcel {
        Parcel::Archive(tree) => {
            let segments = tar::segments(tree, around.plan.timestamp.unix_timestamp(), tar::Names::Bare)?;
            Ok((compress::segments(Compression::Gzip, segments, around.shelf)?, Tree::default()))
        }
        Parcel::Package(package) => {
            let control = deb::control(package, around.shelf)?;
            Ok((deb::segments(package, &control, around.shelf)?, control))
        }
    }
}

fn image_segments(seed: &Seed, tree: &Tree, plan: &Plan) -> io::Result<Vec<Segment>> {
    let mtime = plan.timestamp.unix_timestamp();
    match seed.medium {
        Medium::Iso => iso::segments(tree, seed.label, mtime),
        Medium::Vfat => fat::segments(tree, seed.label, mtime),
        Medium::Cpio => cpio::segments(tree, mtime),
        Medium::Directory | Medium::File => Err(io::Error::other("loose files are no image")),
    }
}
