//! Writes thin copies: each object once, under its digest.
//!
//! What a killed export has written, the next one uses. `export.json` comes first, so that a directory is known for what it
//! will be; `SHA256SUMS` comes last, and without it nobody takes the directory for whole.
#![expect(clippy::disallowed_methods, reason = "looks at the directory that it writes")]

use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::directory::Directory;
use super::error::Error;
use super::export_list::{EXPORT_LIST, ExportList};
use super::index::{IndexedObject, object_path};
use crate::hash::Sha256;
use crate::manifest::{MANIFEST, Manifest, SUMS};
use crate::out::{self, AtomicFileWriter};
use crate::progress::{Progress, Task};
use crate::regular::{self, Links};
use crate::target::Mode;
use crate::workers;

/// What one directory got.
#[derive(Debug, serde::Serialize)]
pub struct Exported {
    pub path: PathBuf,
    /// Which objects it has.
    #[serde(skip)]
    pub list: ExportList,
    /// How many those are.
    pub objects: usize,
    /// Bytes of these objects.
    pub bytes: u64,
    /// How many were there already.
    pub kept: usize,
}

/// Writes a directory for each of `lists`, on up to `jobs` threads at a time.
///
/// # Errors
/// A directory with something else in it, a bundle with damaged objects, or a file that can't be written.
pub fn export(
    bundle: &Directory,
    lists: &[(PathBuf, ExportList)],
    jobs: usize,
    progress: &dyn Progress,
) -> Result<Vec<Exported>, Error> {
    let missing = missing(bundle, lists);
    if !missing.is_empty() {
        return Err(damaged(bundle, missing));
    }
    for name in foreign(bundle) {
        progress.warn(&format!("`{}` is no file of the bundle, and not exported", bundle.path.join(name).display()));
    }
    let targets = lists.iter().map(|(path, list)| Target::claim(bundle, path, list)).collect::<Result<Vec<_>, _>>()?;
    let total = targets.iter().flat_map(Target::objects).map(|(_, object)| object.size).sum();
    let task = progress.task("exporting", Some(total));
    let all: Vec<_> = targets.iter().flat_map(Target::objects).collect();
    let kept = match workers::each(jobs, &all, |(target, object)| target.write(object, task.as_ref())) {
        Err(why) if why.is_of_full_disk() => return Err(why),
        // It stopped at the first, and whoever copies again wants to know all.
        Err(why) => match all_faults(bundle, &all, jobs) {
            faults if faults.is_empty() => return Err(why),
            faults => return Err(damaged(bundle, faults)),
        },
        Ok(kept) => kept,
    };
    for target in &targets {
        target.finish()?;
    }
    warn_of_rights(&targets, progress);
    let kept: BTreeSet<_> =
        all.iter().zip(kept).filter(|(_, kept)| *kept).map(|((target, it), _)| (&target.path, it.sha256)).collect();
    let exported = |target: &Target<'_>| Exported {
        path: target.path.clone(),
        list: target.list.clone(),
        objects: target.objects().count(),
        bytes: target.objects().map(|(_, object)| object.size).sum(),
        kept: kept.iter().filter(|(path, _)| **path == target.path).count(),
    };
    Ok(targets.iter().map(exported).collect())
}

/// That a directory to write is inside of none that are read: files in them would be taken for theirs.
///
/// # Errors
/// It is.
pub fn expect_outside(target: &Path, read: &[&Path]) -> Result<(), Error> {
    let target_there = real(target);
    let around = |it: &&&Path| it.is_dir() && real(it) != target_there && target_there.starts_with(real(it));
    match read.iter().find(around) {
        Some(around) => {
            let why = format!("is inside of `{}`, which is exported from", around.display());
            Err(Error::Occupied { path: target.to_owned(), why })
        }
        None => Ok(()),
    }
}

/// Where a path leads, as far as it is there.
fn real(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let there = path.ancestors().find_map(|it| Some((it.canonicalize().ok()?, path.strip_prefix(it).ok()?)));
    there.map_or_else(|| path.clone(), |(there, rest)| there.join(rest))
}

/// What is wrong with a bundle that can't be exported.
fn damaged(bundle: &Directory, faults: Vec<String>) -> Error {
    let hint = "`kube-bundle verify` says more; copy it again from where it was built, or build it again";
    Error::Faults { verb: "export", path: bundle.path.clone(), faults, hint }
}

/// Objects that the bundle should have and does not.
fn missing(bundle: &Directory, lists: &[(PathBuf, ExportList)]) -> Vec<String> {
    let wanted: BTreeSet<_> = lists.iter().flat_map(|(_, list)| list.held()).collect();
    let objects = wanted.into_iter().filter_map(|number| bundle.index.objects().get(*number));
    objects.filter(|object| bundle.find(object.sha256).is_none()).map(|it| no_object(bundle, it.sha256)).collect()
}

/// Names the file that should have an object.
fn no_object(bundle: &Directory, object: Sha256) -> String {
    let path = object_path(object);
    let holds = |(name, file): (&String, &super::index::IndexedFile)| {
        let has = |run: &crate::object::Run<usize>| match run {
            crate::object::Run::Part { object: number, .. } => bundle.index.objects()[*number].sha256 == object,
            crate::object::Run::Zeros(_) => false,
        };
        file.runs.iter().any(has).then(|| name.clone())
    };
    match bundle.index.files().iter().find_map(holds) {
        Some(file) if bundle.export.is_none() => format!("`{file}`: missing or too short, and has the object {object}"),
        _ => format!("`{path}`: missing or of another size"),
    }
}

/// Every object that has other bytes than it should.
fn all_faults(bundle: &Directory, all: &[(&Target<'_>, &IndexedObject)], jobs: usize) -> Vec<String> {
    let fault = |(_, object): &(&Target<'_>, &IndexedObject)| {
        let fault = match bundle.find(object.sha256) {
            Some(place) => bundle.fault(object.sha256, place),
            None => Some(no_object(bundle, object.sha256)),
        };
        Ok::<_, std::convert::Infallible>(fault)
    };
    let Ok(faults) = workers::each(jobs, all, fault);
    faults.into_iter().flatten().collect()
}

/// Files that neither a build nor a signer wrote.
fn foreign(bundle: &Directory) -> Vec<String> {
    if bundle.export.is_some() {
        return Vec::new();
    }
    let found = Manifest::read(&bundle.path).ok().and_then(|manifest| manifest.foreign_files(&bundle.path).ok());
    found.unwrap_or_default()
}

/// On file systems without modes everybody reads everything.
fn warn_of_rights(targets: &[Target<'_>], progress: &dyn Progress) {
    for target in targets {
        let mut secret = target.objects().filter(|(_, object)| object.secret);
        let mode = secret.next().and_then(|(_, object)| target.path.join(object_path(object.sha256)).metadata().ok());
        if mode.is_some_and(|it| it.permissions().mode() & 0o077 != 0) {
            let path = target.path.display();
            progress
                .warn(&format!("`{path}` holds keys, and its file system can't hide them: whoever has it reads them"));
        }
    }
}

/// A directory that is written.
struct Target<'b> {
    bundle: &'b Directory,
    path: PathBuf,
    list: ExportList,
    _lock: File,
}

impl<'b> Target<'b> {
    /// Makes the directory, or takes one where an earlier export of the same was killed.
    fn claim(bundle: &'b Directory, path: &Path, list: &ExportList) -> Result<Self, Error> {
        let failed = |source| Error::Write { path: path.to_owned(), source };
        out::make_directory(path, Mode::EXECUTABLE).map_err(failed)?;
        let lock = lock(path)?;
        out::sweep(path);
        let occupied = |why: &str| Error::Occupied { path: path.to_owned(), why: why.to_owned() };
        let there = regular::read(&path.join(EXPORT_LIST), Links::Refuse, crate::manifest::LARGEST_LIST);
        match there.map(|text| ExportList::parse(&text)) {
            Ok(Ok(there)) if there == *list => {}
            Ok(Ok(there)) if there.bundle != bundle.bundle => return Err(occupied("is an export of another bundle")),
            Ok(Ok(there)) => {
                return Err(occupied(&format!("is another export of the same bundle: {}", there.describe())));
            }
            Ok(Err(_)) => return Err(occupied("has an export.json that no export writes")),
            Err(why) if why.kind() == io::ErrorKind::NotFound => {
                if path.read_dir().map_err(failed)?.next().is_some() {
                    return Err(occupied("has files that no export wrote"));
                }
                let place = path.join(EXPORT_LIST);
                put(&place, list.to_json().as_bytes())?;
            }
            Err(source) => return Err(Error::Read { path: path.join(EXPORT_LIST), source }),
        }
        let target = Self { bundle, path: path.to_owned(), list: list.clone(), _lock: lock };
        target.make_directories().map_err(failed)?;
        Ok(target)
    }

    /// Those of objects: private where one of them is.
    fn make_directories(&self) -> io::Result<()> {
        let parent = |object: &IndexedObject| {
            let path = self.path.join(object_path(object.sha256));
            path.parent().map(Path::to_owned).unwrap_or_default()
        };
        let secret: BTreeSet<_> = self.objects().filter(|(_, it)| it.secret).map(|(_, it)| parent(it)).collect();
        let all: BTreeSet<_> = self.objects().map(|(_, object)| parent(object)).collect();
        // First, since what makes it as a parent would give it the mode of the first of these.
        if !all.is_empty() {
            out::make_directory(&self.path.join("pieces"), Mode::EXECUTABLE)?;
        }
        for directory in all {
            let mode = if secret.contains(&directory) { Mode::PRIVATE } else { Mode::EXECUTABLE };
            out::make_directory(&directory, mode)?;
            out::sweep(&directory);
        }
        Ok(())
    }

    fn objects(&self) -> impl Iterator<Item = (&Self, &'b IndexedObject)> {
        self.list.held().iter().filter_map(move |number| Some((self, self.bundle.index.objects().get(*number)?)))
    }

    /// Copies an object, unless it is there already; says whether it is.
    fn write(&self, object: &IndexedObject, task: &dyn Task) -> Result<bool, Error> {
        let path = self.path.join(object_path(object.sha256));
        if is_there(&path, object) {
            task.advance(object.size);
            return Ok(true);
        }
        let missing = || damaged(self.bundle, vec![no_object(self.bundle, object.sha256)]);
        let place = self.bundle.find(object.sha256).ok_or_else(missing)?;
        let file = self.bundle.open_place(place)?;
        let failed = |source| Error::Write { path: path.clone(), source };
        let mut writer = AtomicFileWriter::begin(path.clone()).map_err(failed)?;
        for (at, length) in &place.stretches {
            writer.copy(&file, *at, *length, |count| task.advance(count)).map_err(failed)?;
        }
        if writer.so_far() != (object.sha256, object.size) {
            return Err(damaged(self.bundle, Vec::new()));
        }
        let mode = if object.secret { Mode::SECRET } else { Mode::PUBLIC };
        writer.finish_unsynced(mode).map_err(failed)?;
        Ok(false)
    }

    /// Writes the lists, `SHA256SUMS` when everything else is on the disk.
    fn finish(&self) -> Result<(), Error> {
        let mut loose = self.bundle.loose()?;
        loose.sort_by_key(|(name, _)| name == MANIFEST);
        for (name, sha256) in loose {
            let bytes = self.bundle.read_loose(&name, sha256)?;
            put(&self.path.join(&name), &bytes)?;
        }
        let failed = |source| Error::Write { path: self.path.clone(), source };
        out::sync_file_system(&self.path).map_err(failed)?;
        put(&self.path.join(SUMS), &self.bundle.read_loose(SUMS, Some(self.bundle.bundle))?)?;
        out::sync_file_system(&self.path).map_err(failed)
    }
}

/// Whether an object was written before, and is whole.
fn is_there(path: &Path, object: &IndexedObject) -> bool {
    let Ok(file) = regular::open(path, Links::Refuse) else { return false };
    let has_size = file.metadata().is_ok_and(|about| about.len() == object.size);
    has_size && Sha256::of_reader(file).is_ok_and(|(sha256, _)| sha256 == object.sha256)
}

/// Writes a list.
fn put(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let failed = |source| Error::Write { path: path.to_owned(), source };
    out::make_parent(path).map_err(failed)?;
    out::write_portable(path, bytes).map_err(failed)
}

/// Locks a directory. A file system without locks gives none.
fn lock(path: &Path) -> Result<File, Error> {
    let file = File::open(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(Error::Busy(path.to_owned())),
        Ok(()) | Err(TryLockError::Error(_)) => Ok(file),
    }
}
