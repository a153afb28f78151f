//! Trees become files of the output directory, each whole, hashed while it is written, the manifest last.

pub mod apt;
pub mod ar;
pub mod codec;
pub mod compress;
pub mod cpio;
pub mod deb;
pub mod fat;
pub mod iso;
pub mod pieces;
pub mod prune;
pub mod segment;
pub mod tar;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;

use crate::assemble::seed::Seed;
use crate::assemble::{self, ArtifactInput, Trees};
use crate::fetch::{Damaged, Store};
use crate::hash::Sha256;
use crate::manifest::{Artifact, FileRecord, MANIFEST, Manifest, Member, SUMS};
use crate::out::{self, AtomicFileWriter, Staging, WrittenFile};
use crate::plan::{Medium, Output, OutputKind, Plan};
use crate::progress::{Progress, bytes};
use crate::spec::Compression;
use crate::target::Mode;
use crate::tree::{Entry, Tree};
use crate::workers;
use pieces::CompressedCache;
use segment::Segment;

/// What went wrong while packing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The output directory can't be made.
    #[error(transparent)]
    Out(#[from] out::Error),
    /// The plan doesn't add up.
    #[error(transparent)]
    Assemble(#[from] assemble::Error),
    /// A stored file has other bytes than its digest says.
    #[error(transparent)]
    Damaged(Damaged),
    /// The store can't be read, or not be written.
    #[error("could not keep compressed programs in `{}`", path.display())]
    Store {
        /// The store.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
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
            Self::Damaged(damaged) => Some(damaged.hint()),
            Self::Store { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Some("make room on the store's disk, or name another with XDG_CACHE_HOME")
            }
            Self::Assemble(_) | Self::Store { .. } => None,
            Self::Write { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Some("make room, or choose another disk with `-o`; the old output is untouched")
            }
            Self::Write { .. } => Some("the old output is untouched"),
        }
    }
}

/// Reports a damaged blob as such, not as an error of what was being written.
fn failed(why: io::Error, other: impl FnOnce(io::Error) -> Error) -> Error {
    why.downcast().map_or_else(other, Error::Damaged)
}

fn unwritten(path: PathBuf) -> impl Fn(io::Error) -> Error {
    move |why| failed(why, |source| Error::Write { path: path.clone(), source })
}

/// Where and how to write.
#[derive(Debug)]
pub struct Destination<'a> {
    /// The output directory.
    pub out: &'a std::path::Path,
    /// How many artifacts at a time.
    pub jobs: usize,
}

/// What is done at once, by one thread.
enum Job<'a> {
    Output(&'a Output),
    Operator,
}

/// One file of the output directory.
struct Written {
    file: WrittenFile,
    /// What is inside, if anything was packed.
    entries: Option<BTreeMap<String, Member>>,
    /// What a package says of itself.
    stanza: Option<String>,
}

/// Writes everything, then the manifest, then puts the directory in place.
pub fn pack(
    plan: &Plan,
    trees: &Trees<'_>,
    window: crate::manifest::Validity,
    store: &Store,
    to: &Destination<'_>,
    progress: &dyn Progress,
) -> Result<Manifest, Error> {
    let staging = Staging::begin(to.out, Manifest::own_files)?;
    let cache = pieces::ensure_compressed(&trees.programs(), store, to.jobs, progress)
        .map_err(|why| failed(why, |source| Error::Store { path: store.root().to_owned(), source }))?;
    let context = PackContext { plan, trees, staging: &staging, cache: &cache, progress };
    // Seeds carry what is packed before them, and name its digests.
    let in_seeds = plan.outputs.iter().filter_map(|output| match &output.kind {
        OutputKind::Seed(seed) => Some(seed.payload.iter().chain(&seed.carries)),
        _ => None,
    });
    let in_seeds: BTreeSet<_> = in_seeds.flatten().collect();
    let (first, then): (Vec<_>, Vec<_>) = plan
        .outputs
        .iter()
        .map(Job::Output)
        .partition(|job| matches!(job, Job::Output(it) if in_seeds.contains(&it.path)));
    let mut written = context.write_all(&first, &BTreeMap::new(), to.jobs)?;
    let packed = written.iter().map(|(path, written)| (path.clone(), written.file.clone())).collect();
    let then: Vec<_> = then.into_iter().chain([Job::Operator]).collect();
    written.extend(context.write_all(&then, &packed, to.jobs)?);

    let record = |file: &WrittenFile| FileRecord { size: file.size(), sha256: file.sha256(), mode: file.mode() };
    let mut records: BTreeMap<_, _> = written.iter().map(|(path, file)| (path.clone(), record(&file.file))).collect();
    records.extend(write_repository(plan, &written, &records, &staging)?);
    let artifacts = plan.outputs.iter().filter_map(|output| {
        let entries = written.get_mut(&output.path)?.entries.take()?;
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

/// Where files are made, and what of.
struct PackContext<'a> {
    plan: &'a Plan,
    trees: &'a Trees<'a>,
    staging: &'a Staging,
    cache: &'a CompressedCache,
    progress: &'a dyn Progress,
}

impl PackContext<'_> {
    fn write_all(
        &self,
        jobs: &[Job<'_>],
        packed: &BTreeMap<String, WrittenFile>,
        threads: usize,
    ) -> Result<BTreeMap<String, Written>, Error> {
        let written = workers::each(threads, jobs, |job| match job {
            Job::Output(output) => self.write(output, packed),
            Job::Operator => self.write_loose("operator", &self.trees.operator()?),
        });
        Ok(written?.into_iter().flatten().collect())
    }

    fn write(&self, output: &Output, packed: &BTreeMap<String, WrittenFile>) -> Result<Vec<(String, Written)>, Error> {
        let path = &output.path;
        let failed = unwritten(path.into());
        let mtime = self.plan.timestamp.unix_timestamp();
        let written = match self.trees.artifact_input(output, packed)? {
            ArtifactInput::Archive(tree) => {
                let plain = tar::segments(&tree, mtime, tar::Names::Bare).map_err(&failed)?;
                let segments = compress::segments(Compression::Gzip, plain, 0, self.cache).map_err(&failed)?;
                Written { entries: Some(Artifact::describe(&tree)), ..self.write_packed(path, &tree, &segments)? }
            }
            ArtifactInput::Package(package) => {
                let control = deb::control(&package, self.cache).map_err(&failed)?;
                let segments = deb::segments(&package, &control, self.cache).map_err(&failed)?;
                let written = self.write_packed(path, &package.tree, &segments)?;
                Written {
                    stanza: deb::stanza(&control),
                    entries: Some(Artifact::describe_package(&package.tree, &control)),
                    ..written
                }
            }
            ArtifactInput::Seed(Seed { medium, label, tree }) => {
                let segments = match medium {
                    Medium::Iso => iso::segments(&tree, label, mtime),
                    Medium::Vfat => fat::segments(&tree, label, mtime),
                    Medium::Cpio => cpio::segments(&tree, mtime),
                    Medium::Directory => return self.write_loose(path, &tree),
                    Medium::File => {
                        let files = tree.files().map(|(_, entry)| Ok((path.clone(), self.write_file(path, entry)?)));
                        return files.collect();
                    }
                };
                let written = self.write_packed(path, &tree, &segments.map_err(&failed)?)?;
                let mut entries = Artifact::describe(&tree);
                if medium == Medium::Vfat {
                    // FAT knows no modes, and this is what Linux shows instead.
                    for member in entries.values_mut() {
                        member.mode = Mode::EXECUTABLE;
                    }
                }
                Written { entries: Some(entries), ..written }
            }
        };
        Ok(vec![(path.clone(), written)])
    }

    /// The files of a tree, one by one.
    fn write_loose(&self, directory: &str, tree: &Tree) -> Result<Vec<(String, Written)>, Error> {
        let files = tree.files().map(|(name, entry)| {
            let path = format!("{directory}/{name}");
            let written = self.write_file(&path, entry)?;
            Ok((path, written))
        });
        files.collect()
    }

    fn write_file(&self, path: &str, entry: &Entry) -> Result<Written, Error> {
        self.write_segments(path, entry.mode, &Segment::of(entry).into_iter().collect::<Vec<_>>())
    }

    fn write_packed(&self, path: &str, tree: &Tree, segments: &[Segment]) -> Result<Written, Error> {
        let mode = if tree.holds_secrets() { Mode::SECRET } else { Mode::PUBLIC };
        let written = self.write_segments(path, mode, segments)?;
        self.progress.note(&format!("Packed {path} ({} of {})", bytes(written.file.size()), bytes(tree.size())));
        Ok(written)
    }

    fn write_segments(&self, path: &str, mode: Mode, segments: &[Segment]) -> Result<Written, Error> {
        // Everything that is written holds keys, or lies among files that do.
        let place = self.staging.place(path, Mode::PRIVATE)?;
        let failed = unwritten(place.clone());
        let name = path.rsplit('/').next().unwrap_or_default();
        let task = self.progress.task(name, Some(segments.iter().map(Segment::size).sum()));
        let mut writer = AtomicFileWriter::begin(place).map_err(&failed)?;
        segment::write_all(segments, &mut writer, task.as_ref()).map_err(&failed)?;
        let file = writer.finish(mode).map_err(&failed)?;
        Ok(Written { file, entries: None, stanza: None })
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
    let packages: Vec<_> = written
        .iter()
        .filter_map(|(path, file)| Some((path.rsplit('/').next()?, file.stanza.as_deref()?, records.get(path)?)))
        .collect();
    let indexed: Vec<_> =
        packages.iter().map(|(file_name, stanza, record)| apt::Indexed { file_name, stanza, record }).collect();
    if indexed.is_empty() {
        return Ok(Vec::new());
    }
    let files =
        apt::repository(&indexed, plan.cluster.as_str(), plan.revision).map_err(unwritten(REPOSITORY.into()))?;
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
    out::write_atomically(&path, bytes, Mode::PUBLIC).map_err(unwritten(path))
}
