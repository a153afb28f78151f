//! Trees become files of the output directory, each whole, and hashed while it is written. Nothing here knows what a bundle
//! consists of, or in which order its files are made.

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

use std::io;
use std::path::PathBuf;

use crate::artifact::{ArtifactInput, ImageKind, Written};
use crate::fetch::{Blob, Damaged, Store};
use crate::manifest::{Artifact, MANIFEST, Manifest, SUMS};
use crate::out::{self, AtomicFileWriter, Staging};
use crate::progress::{Progress, bytes};
use crate::spec::Compression;
use crate::target::Mode;
use crate::tree::{Entry, Tree};
pub use pieces::CompressedCache;
use segment::Segment;

/// What went wrong while packing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The output directory can't be made.
    #[error(transparent)]
    Out(#[from] out::Error),
    /// A stored file has other bytes than its digest says.
    #[error(transparent)]
    Damaged(Damaged),
    /// The store can't be read, or not be written.
    #[error("could not keep compressed programs in `{}`", path.display())]
    Store {
        /// The store.
        path: PathBuf,
        source: io::Error,
    },
    /// An artifact can't be written.
    #[error("could not write `{}`", path.display())]
    Write { path: PathBuf, source: io::Error },
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
            Self::Store { .. } => None,
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

/// Compresses what no build has compressed before, on up to `jobs` threads at a time.
///
/// # Errors
/// A corrupt blob, or a store that can't be read or written.
pub fn compress(
    blobs: &[(Blob, Compression)],
    store: &Store,
    jobs: usize,
    progress: &dyn Progress,
) -> Result<CompressedCache, Error> {
    pieces::ensure_compressed(blobs, store, jobs, progress)
        .map_err(|why| failed(why, |source| Error::Store { path: store.root().to_owned(), source }))
}

/// What all outputs of a build have in common.
pub struct PackContext<'a> {
    /// The output directory in the making.
    pub staging: &'a Staging<'a>,
    /// Compressed blobs.
    pub cache: &'a CompressedCache,
    /// Modification time of packed files, seconds since 1970.
    pub mtime: i64,
    /// Receives progress and messages.
    pub progress: &'a dyn Progress,
}

/// Writes one output. Every file that comes of it is returned by its path in the output directory.
///
/// # Errors
/// A corrupt blob, or a file that can't be written.
pub fn pack(path: &str, input: &ArtifactInput, context: &PackContext<'_>) -> Result<Vec<(String, Written)>, Error> {
    let failed = unwritten(path.into());
    let PackContext { cache, mtime, .. } = *context;
    let written = match input {
        ArtifactInput::Directory(tree) => return context.write_loose(path, tree),
        ArtifactInput::File(entry) => context.write_file(path, entry)?,
        ArtifactInput::Archive(tree) => {
            let plain = tar::segments(tree, mtime, tar::Names::Bare).map_err(&failed)?;
            let segments = compress::segments(Compression::Gzip, plain, 0, cache).map_err(&failed)?;
            Written { entries: Some(Artifact::describe(tree)), ..context.write_packed(path, tree, &segments)? }
        }
        ArtifactInput::Debian(package) => {
            let control = deb::control(package, cache).map_err(&failed)?;
            let segments = deb::segments(package, &control, cache).map_err(&failed)?;
            let written = context.write_packed(path, &package.tree, &segments)?;
            Written {
                stanza: deb::stanza(&control),
                entries: Some(Artifact::describe_package(&package.tree, &control)),
                ..written
            }
        }
        ArtifactInput::Image { kind, label, tree } => {
            let segments = match kind {
                ImageKind::Iso => iso::segments(tree, label, mtime),
                ImageKind::Vfat => fat::segments(tree, label, mtime),
                ImageKind::Cpio => cpio::segments(tree, mtime),
            };
            let written = context.write_packed(path, tree, &segments.map_err(&failed)?)?;
            let mut entries = Artifact::describe(tree);
            if *kind == ImageKind::Vfat {
                // FAT knows no modes, and this is what Linux shows instead.
                for member in entries.values_mut() {
                    member.mode = Mode::EXECUTABLE;
                }
            }
            Written { entries: Some(entries), ..written }
        }
    };
    Ok(vec![(path.to_owned(), written)])
}

/// Writes checksums and manifest, the manifest last.
///
/// # Errors
/// A file that can't be written.
pub fn lists(staging: &Staging<'_>, manifest: &Manifest) -> Result<(), Error> {
    let text = manifest.to_json();
    for (name, text) in [(SUMS, manifest.sums(&text)), (MANIFEST, text)] {
        let path = staging.place(name, Mode::EXECUTABLE)?;
        out::write_atomically(&path, text.as_bytes(), Mode::PUBLIC).map_err(unwritten(path))?;
    }
    Ok(())
}

impl PackContext<'_> {
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
        if entry.link_target().is_some() {
            return Err(unwritten(path.into())(io::Error::other(
                "it is a symbolic link, and only archives hold those",
            )));
        }
        self.write_segments(path, entry.mode, &Segment::of(entry))
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
        let written = segment::write_all(segments, &mut writer, task.as_ref()).map_err(&failed)?;
        let file = writer.finish(mode, written.finish(mode.hides())).map_err(&failed)?;
        Ok(Written { file, entries: None, stanza: None })
    }
}
