//! Puts a bundle together again from its objects. Each file is compared with the checksum list before it appears.

use std::fs::File;
use std::io::{self, BufReader, Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;

use flate2::bufread::DeflateDecoder;

use super::directory::Directory;
use super::error::Error;
use super::index::{IndexedFile, IndexedObject};
use super::set::Set;
use crate::hash::Sha256;
use crate::manifest::{MANIFEST, SUMS};
use crate::object::Run;
use crate::out::{self, AtomicFileWriter, Permission, Staging};
use crate::progress::{Progress, Task};
use crate::regular;
use crate::target::Mode;
use crate::workers;

/// Runs of fewer bytes are read into memory: they are headers, and there are many.
const SMALL: u64 = 64 << 10;

/// A block that ends a Deflate stream: the last one, with fixed codes, and empty (RFC 1951, 3.2.6).
const LAST_BLOCK: &[u8] = &[3, 0];

/// Writes the bundle of `set` into a directory that [`Staging::finish`] puts at `out`, if `permission` lets it replace what is
/// there, on up to `jobs` threads at a time. Files that an earlier import has left and that are right are not written again.
///
/// # Errors
/// Objects that are damaged, all of which are named; or a file that can't be written. `out` is as it was before, and what was
/// written is left to the next import.
pub fn import<'p>(
    set: &Set,
    out: &Path,
    permission: Permission<'p>,
    jobs: usize,
    progress: &dyn Progress,
) -> Result<Staging<'p>, Error> {
    compare_sizes(set.first())?;
    let staging = Staging::resume(out, permission)?;
    match fill(&staging, set, jobs, progress) {
        Ok(()) => Ok(staging),
        Err(why) => {
            staging.leave();
            Err(why)
        }
    }
}

/// Writes all files of the bundle.
fn fill(staging: &Staging<'_>, set: &Set, jobs: usize, progress: &dyn Progress) -> Result<(), Error> {
    let index = &set.first().index;
    staging.keep_only(|name| index.files().contains_key(name))?;
    let files: Vec<_> = index.files().iter().collect();
    let task = progress.task("importing", Some(files.iter().map(|(_, file)| file.size).sum()));
    let written =
        workers::each(jobs, &files, |(name, file)| FileImport { set, task: task.as_ref(), name }.write(file, staging));
    if let Err(why) = written {
        let faults = if why.is_of_full_disk() { Vec::new() } else { faults(set, jobs) };
        let hint = "copy again what is damaged; the same command then goes on from there";
        let path = set.first().path.clone();
        return Err(if faults.is_empty() { why } else { Error::Faults { verb: "import", path, faults, hint } });
    }
    write_lists(set, staging)?;
    let directory = staging.directory();
    out::sync_file_system(directory).map_err(|source| Error::Write { path: directory.to_owned(), source })
}

/// That no file is larger than the manifest says: zeros can be of any length, and take no room in a thin copy.
fn compare_sizes(first: &Directory) -> Result<(), Error> {
    let manifest = first.manifest()?;
    let is_as_said = |(name, file): &(&String, &IndexedFile)| {
        manifest.files.get(*name).is_some_and(|it| (it.sha256, it.size) == (file.sha256, file.size))
    };
    let other = first.index.files().iter().filter(|file| !is_as_said(file));
    let faults: Vec<_> = other.map(|(name, _)| format!("{name}: not what {MANIFEST} says")).collect();
    if faults.is_empty() {
        return Ok(());
    }
    let hint = "the list of objects does not fit the bundle; export it again";
    Err(Error::Faults { verb: "import", path: first.path.clone(), faults, hint })
}

/// What is wrong with objects, each with the file that it is in.
fn faults(set: &Set, jobs: usize) -> Vec<String> {
    let objects: Vec<_> = set.first().index.carried().collect();
    let fault = |(_, object): &(usize, &IndexedObject)| {
        let fault = set.place(object.sha256).and_then(|(directory, place)| directory.fault(object.sha256, place));
        Ok::<_, std::convert::Infallible>(fault)
    };
    let Ok(faults) = workers::each(jobs, &objects, fault);
    faults.into_iter().flatten().collect()
}

/// Copies what no objects are listed of. Parts may have been signed at different times, so signatures of all are taken.
fn write_lists(set: &Set, staging: &Staging<'_>) -> Result<(), Error> {
    let mut names = std::collections::BTreeSet::new();
    for directory in set.own() {
        for (name, sha256) in directory.loose()? {
            if names.insert(name.clone()) {
                put(staging, &name, &directory.read_loose(&name, sha256)?)?;
            }
        }
    }
    put(staging, SUMS, &set.first().read_loose(SUMS, Some(set.first().bundle))?)
}

fn put(staging: &Staging<'_>, name: &str, bytes: &[u8]) -> Result<(), Error> {
    let path = staging.place(name, Mode::PRIVATE)?;
    out::write_atomically(&path, bytes, Mode::PUBLIC).map_err(|source| Error::Write { path, source })
}

/// Whether an earlier run has written a file, and it is right.
fn is_there(name: &str, file: &IndexedFile, staging: &Staging<'_>) -> bool {
    let right = |there: File| -> io::Result<bool> {
        let about = there.metadata()?;
        let is_like_it = about.len() == file.size && about.mode() & 0o7777 == file.mode.bits();
        Ok(is_like_it && Sha256::of_reader(there)? == (file.sha256, file.size))
    };
    regular::open_below(staging.directory(), name).and_then(right).unwrap_or(false)
}

/// One file that is put together.
struct FileImport<'s> {
    set: &'s Set,
    task: &'s dyn Task,
    name: &'s str,
}

impl FileImport<'_> {
    fn write(&self, file: &IndexedFile, staging: &Staging<'_>) -> Result<(), Error> {
        if is_there(self.name, file, staging) {
            self.task.advance(file.size);
            return Ok(());
        }
        let path = staging.place(self.name, Mode::PRIVATE)?;
        let failed = |source| Error::Write { path: path.clone(), source };
        let mut writer = AtomicFileWriter::begin(path.clone()).map_err(failed)?;
        for run in &file.runs {
            match *run {
                Run::Zeros(length) => {
                    io::copy(&mut io::repeat(0).take(length), &mut writer).map_err(failed)?;
                }
                Run::Part { object, offset, length } => self.append(object, offset, length, &mut writer)?,
            }
        }
        if writer.so_far() != (file.sha256, file.size) {
            let hint = "the list of objects does not fit the bundle; export it again";
            let faults = vec![format!("`{}`: not what {SUMS} says", self.name)];
            return Err(Error::Faults { verb: "import", path: self.set.first().path.clone(), faults, hint });
        }
        writer.finish_unsynced(file.mode).map_err(failed)
    }

    /// Appends a part of an object.
    fn append(&self, object: usize, offset: u64, length: u64, to: &mut AtomicFileWriter) -> Result<(), Error> {
        let objects = &self.set.first().index.objects();
        if let Some(from) = objects[object].inflated_from {
            return self.inflate(&objects[from], offset, length, to);
        }
        let missing = || self.failed(io::Error::other("an object is gone"));
        let (directory, place) = self.set.place(objects[object].sha256).ok_or_else(missing)?;
        let file = directory.open_place(place)?;
        let failed = |source| Error::Read { path: directory.path.join(&place.file), source };
        for (at, count) in place.part(offset, length) {
            if count < SMALL {
                // It is less than that, so it fits.
                let mut bytes = vec![0; usize::try_from(count).unwrap_or_default()];
                file.read_exact_at(&mut bytes, at).map_err(failed)?;
                to.write_all(&bytes).map_err(|source| self.failed(source))?;
                self.task.advance(count);
            } else {
                to.copy(&file, at, count, |count| self.task.advance(count)).map_err(|source| self.failed(source))?;
            }
        }
        Ok(())
    }

    /// Appends a part of what an object is the compressed form of.
    fn inflate(&self, from: &IndexedObject, offset: u64, length: u64, to: &mut AtomicFileWriter) -> Result<(), Error> {
        let missing = || self.failed(io::Error::other("an object is gone"));
        let (directory, place) = self.set.place(from.sha256).ok_or_else(missing)?;
        let reader = BufReader::with_capacity(256 << 10, directory.read_object(place)?.chain(LAST_BLOCK));
        let mut plain = DeflateDecoder::new(reader);
        let done = io::copy(&mut plain.by_ref().take(offset), &mut io::sink())
            .and_then(|_| io::copy(&mut plain.take(length), to));
        done.map_err(|source| self.failed(source))?;
        self.task.advance(length);
        Ok(())
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::Write { path: self.name.into(), source }
    }
}
