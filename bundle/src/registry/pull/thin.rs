//! Objects that were pushed: they become a thin copy beside the output, and that is imported.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::{Error, Lists, Received, Receiver, plain};
use crate::fetch::Blob;
use crate::hash::Sha256;
use crate::manifest::{OBJECT_INDEX, SUMS};
use crate::out::{self, Permission, Staging};
use crate::registry::artifact::Layer;
use crate::registry::compressed;
use crate::target::Mode;
use crate::thin::export_list::EXPORT_LIST;
use crate::thin::import::import;
use crate::thin::index::{Index, IndexedObject, object_path};
use crate::thin::{Directory, ExportList, Set};
use crate::workers;

impl Receiver<'_> {
    /// Fetches the objects that are not in the bundle at `out`, and puts the new one together.
    pub(super) fn thin<'p>(
        &self,
        out: &Path,
        permission: Permission<'p>,
        received: &Received,
        index: &[u8],
    ) -> Result<Staging<'p>, Error> {
        let malformed = |why: String| self.not_whole(vec![format!("{OBJECT_INDEX}: {why}")]);
        let index = Index::parse(index).map_err(malformed)?;
        let expected = expected(&received.lists, &index);
        self.compare(&expected, &received.layers)?;
        let old = Old::find(out, &index, self.from.jobs);
        let is_old = |layer: &Layer| {
            let object = plain(layer, &expected).filter(|plain| old.objects.contains(&plain.sha256));
            object.is_some_and(|object| object.title == object_path(object.sha256))
        };
        let is_wanted = |layer: &&Layer| layer.title != EXPORT_LIST && !is_old(layer);
        let wanted: Vec<_> = received.layers.iter().filter(is_wanted).collect();
        let blobs = self.fetch(wanted.iter().copied())?;
        let put_together = || {
            let copy = self.copy(&wanted, &blobs, &expected)?;
            write_export_list(&copy, &received.lists, &index, &old)?;
            let mut directories = vec![copy];
            directories.extend(old.directory.as_ref().map(|old| old.path.clone()));
            Ok(import(&Set::open(&directories)?, out, permission, self.from.jobs, self.progress)?)
        };
        put_together().map_err(|why| self.damaged_since(&wanted, &blobs).unwrap_or(why))
    }

    /// Gives what was fetched the names that it has in a thin copy.
    fn copy(
        &self,
        wanted: &[&Layer],
        blobs: &BTreeMap<Sha256, Blob>,
        expected: &BTreeMap<String, Layer>,
    ) -> Result<PathBuf, Error> {
        let copy = self.kept.empty("copy")?;
        for layer in wanted {
            let Some(blob) = blobs.get(&layer.sha256) else { continue };
            let plain = plain(layer, expected).unwrap_or(layer);
            let path = copy.join(&plain.title);
            if plain.title == layer.title {
                out::link(blob.path(), &path).map_err(|source| Error::Io { verb: "write", path, source })?;
            } else {
                self.inflate(blob, plain, &path)?;
            }
        }
        Ok(copy)
    }

    /// What was right when it arrived and is not any more, if there is any; the next run fetches it again.
    fn damaged_since(&self, wanted: &[&Layer], blobs: &BTreeMap<Sha256, Blob>) -> Option<Error> {
        let is_right =
            |blob: &Blob| blob.open().and_then(Sha256::of_reader).is_ok_and(|(sha256, _)| sha256 == blob.sha256());
        let mut titles = Vec::new();
        for layer in wanted {
            if let Some(blob) = blobs.get(&layer.sha256).filter(|blob| !is_right(blob)) {
                let _ = blob.damaged();
                titles.push(layer.title.clone());
            }
        }
        (!titles.is_empty()).then(|| Error::DamagedHere { from: self.name().into(), titles })
    }
}

fn write_export_list(copy: &Path, lists: &Lists, index: &Index, old: &Old) -> Result<(), Error> {
    let sums = Sha256::of(&lists.sums);
    let held = index.carried().filter(|(_, object)| !old.objects.contains(&object.sha256));
    let base = old.directory.as_ref().filter(|old| old.bundle != sums).map(|old| old.objects);
    let list = ExportList::whole(sums, base, held.map(|(number, _)| number).collect()).to_json();
    let path = copy.join(EXPORT_LIST);
    out::write_atomically(&path, list.as_bytes(), Mode::PUBLIC).map_err(|source| Error::Io {
        verb: "write",
        path,
        source,
    })
}

impl Receiver<'_> {
    /// Writes what is in a compressed layer; it may be secret.
    fn inflate(&self, blob: &Blob, plain: &Layer, path: &Path) -> Result<(), Error> {
        let read = blob.open().and_then(|file| compressed::inflate(BufReader::new(file), plain.size));
        match read {
            Ok(text) if Sha256::of(&text) == plain.sha256 => {
                let written = out::make_parent(path).and_then(|()| out::write_atomically(path, &text, Mode::SECRET));
                written.map_err(|source| Error::Io { verb: "write", path: path.to_owned(), source })
            }
            _ => Err(self.not_whole(vec![format!("{}: not as {SUMS} says", compressed::title(&plain.title))])),
        }
    }
}

/// All that a thin copy consists of, by title.
pub(super) fn expected(lists: &Lists, index: &Index) -> BTreeMap<String, Layer> {
    let objects = index.carried().map(|(_, object)| {
        let title = object_path(object.sha256);
        (title.clone(), Layer { title, sha256: object.sha256, size: object.size })
    });
    let files = lists.files().into_iter().filter(|(title, _)| !index.files().contains_key(title));
    objects.chain(files.map(|(title, (layer, _))| (title, layer))).collect()
}

/// The bundle that is at the output, and those of its objects that need not be fetched.
struct Old {
    directory: Option<Directory>,
    objects: BTreeSet<Sha256>,
}

impl Old {
    /// One that is damaged, or was built without objects, is only replaced.
    fn find(out: &Path, index: &Index, jobs: usize) -> Self {
        let Ok(directory) = Directory::open(out) else { return Self { directory: None, objects: BTreeSet::new() } };
        let objects: Vec<_> = index.carried().map(|(_, object)| object).collect();
        let right = |object: &&IndexedObject| {
            let place = directory.find(object.sha256).filter(|place| directory.fault(object.sha256, place).is_none());
            Ok::<_, std::convert::Infallible>(place.map(|_| object.sha256))
        };
        let Ok(right) = workers::each(jobs, &objects, right);
        let objects: BTreeSet<_> = right.into_iter().flatten().collect();
        Self { directory: Some(directory).filter(|_| !objects.is_empty()), objects }
    }
}
