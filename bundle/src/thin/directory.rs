//! A directory with objects: a bundle, a thin copy of one, or a part of that.
#![expect(clippy::disallowed_methods, reason = "looks at the directories that the user named")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::error::Error;
use super::export_list::{EXPORT_LIST, ExportList};
use super::index::Index;
use super::place::{Place, places};
use crate::hash::{HashingReader, Sha256};
use crate::manifest::{LARGEST_LIST, MANIFEST, Manifest, OBJECT_INDEX, SUMS, is_signature};
use crate::out;
use crate::regular::{self, Links};

/// A directory whose lists were read.
#[derive(Debug)]
pub struct Directory {
    pub path: PathBuf,
    /// Digest of `SHA256SUMS`; it identifies the bundle.
    pub bundle: Sha256,
    /// What `SHA256SUMS` says of every file.
    pub sums: BTreeMap<String, Sha256>,
    pub index: Index,
    /// Digest of `bundle.index`; it identifies the objects.
    pub objects: Sha256,
    /// `None` for a whole bundle.
    pub export: Option<ExportList>,
    places: BTreeMap<Sha256, Place>,
}

impl Directory {
    /// Reads the lists of a bundle, a thin copy, a delta or a part.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let export = read_list(path, EXPORT_LIST)?;
        let export = export.map(|text| ExportList::parse(&text).map_err(|why| malformed(path, EXPORT_LIST, &why)));
        let export = export.transpose()?;
        let Some(sums) = read_list(path, SUMS)? else { return Err(no_sums(path, export.is_some())) };
        let bundle = Sha256::of(&sums);
        if export.as_ref().is_some_and(|export| export.bundle != bundle) {
            return Err(malformed(path, SUMS, "it is of another bundle than export.json"));
        }
        let sums = parse_sums(&String::from_utf8_lossy(&sums)).map_err(|why| malformed(path, SUMS, &why))?;
        let Some(text) = read_list(path, OBJECT_INDEX)? else { return Err(no_index(path)) };
        let objects = Sha256::of(&text);
        if sums.get(OBJECT_INDEX) != Some(&objects) {
            return Err(malformed(path, OBJECT_INDEX, &format!("it has not the digest that {SUMS} says")));
        }
        let index = Index::parse(&text).map_err(|why| malformed(path, OBJECT_INDEX, &why))?;
        if let Some((name, _)) = index.files().iter().find(|(name, file)| sums.get(*name) != Some(&file.sha256)) {
            return Err(malformed(path, OBJECT_INDEX, &format!("{SUMS} says something else of `{name}`")));
        }
        let places = places(&index, export.as_ref());
        Ok(Self { path: path.to_owned(), bundle, sums, index, objects, export, places })
    }

    /// Where an object lies here, if the file is there and long enough.
    pub fn find(&self, object: Sha256) -> Option<&Place> {
        let place = self.places.get(&object)?;
        let length = regular::open_below(&self.path, &place.file).and_then(|file| file.metadata()).ok()?.len();
        let is_whole = place.stretches.iter().all(|(at, count)| at + count <= length);
        (is_whole && (self.export.is_none() || length == place.size)).then_some(place)
    }

    /// Opens the file that an object lies in.
    pub fn open_place(&self, place: &Place) -> Result<File, Error> {
        regular::open_below(&self.path, &place.file)
            .map_err(|source| Error::Read { path: self.path.join(&place.file), source })
    }

    /// Reads a whole object.
    pub fn read_object(&self, place: &Place) -> Result<ObjectReader, Error> {
        Ok(ObjectReader { file: self.open_place(place)?, stretches: place.stretches.clone(), next: 0 })
    }

    /// What is wrong with an object here, if anything is.
    pub fn fault(&self, object: Sha256, place: &Place) -> Option<String> {
        let name = self.path.join(&place.file).display().to_string();
        // An object with a file of its own has its digest in the name.
        let of = if self.export.is_some() { String::new() } else { format!(" in the object {object}") };
        let read = self.read_object(place).and_then(|reader| {
            let mut reader = HashingReader::new(reader);
            io::copy(&mut reader, &mut io::sink())
                .map_err(|source| Error::Read { path: self.path.join(&place.file), source })?;
            Ok(reader.finish().0)
        });
        match read {
            Ok(got) if got == object => None,
            Ok(got) => Some(format!("`{name}`: damaged{of}: expected sha256 {object}, got {got}")),
            Err(Error::Read { source, .. }) => Some(format!("`{name}`: could not be read{of}: {source}")),
            Err(why) => Some(format!("`{name}`: {why}")),
        }
    }

    /// Names of files that no objects are listed of, with their digests; those of signatures are in no list.
    pub fn loose(&self) -> Result<Vec<(String, Option<Sha256>)>, Error> {
        let listed = self.sums.iter().filter(|(name, _)| !self.index.files().contains_key(*name));
        let mut loose: Vec<_> = listed.map(|(name, sha256)| (name.clone(), Some(*sha256))).collect();
        let there = out::list(&self.path).map_err(|source| Error::Read { path: self.path.clone(), source })?;
        loose.extend(there.into_iter().filter(|name| is_signature(name)).map(|name| (name, None)));
        Ok(loose)
    }

    /// The cluster whose bundle it is, by the manifest.
    pub fn cluster(&self) -> Result<String, Error> {
        Ok(self.manifest()?.cluster)
    }

    /// The manifest of the bundle.
    pub fn manifest(&self) -> Result<Manifest, Error> {
        let text = self.read_loose(MANIFEST, self.sums.get(MANIFEST).copied())?;
        Manifest::parse(&text).map_err(|why| malformed(&self.path, MANIFEST, &why.to_string()))
    }

    /// Reads a file of [`Self::loose`]; one that has another digest is an error.
    pub fn read_loose(&self, name: &str, sha256: Option<Sha256>) -> Result<Vec<u8>, Error> {
        let path = self.path.join(name);
        let file =
            regular::open_below(&self.path, name).map_err(|source| Error::Read { path: path.clone(), source })?;
        let mut bytes = Vec::new();
        let read = file.take(LARGEST_LIST + 1).read_to_end(&mut bytes);
        read.map_err(|source| Error::Read { path: path.clone(), source })?;
        match sha256 {
            _ if bytes.len() as u64 > LARGEST_LIST => Err(malformed(&self.path, name, "it is too large for a list")),
            Some(sha256) if Sha256::of(&bytes) != sha256 => {
                Err(malformed(&self.path, name, &format!("it has not the digest that {SUMS} says")))
            }
            _ => Ok(bytes),
        }
    }
}

/// Reads an object, stretch after stretch.
pub struct ObjectReader {
    file: File,
    stretches: Vec<(u64, u64)>,
    /// The stretch that is read.
    next: usize,
}

impl Read for ObjectReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some((at, left)) = self.stretches.get_mut(self.next) {
            if *left == 0 {
                self.next += 1;
                continue;
            }
            let wanted = buffer.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
            let count = self.file.read_at(&mut buffer[..wanted], *at)?;
            (*at, *left) = (*at + count as u64, *left - count as u64);
            return Ok(count);
        }
        Ok(0)
    }
}

/// The text of a list, or `None` if there is none.
fn read_list(directory: &Path, name: &str) -> Result<Option<Vec<u8>>, Error> {
    let path = directory.join(name);
    match regular::read(&path, Links::Refuse, LARGEST_LIST) {
        Ok(text) => Ok(Some(text)),
        Err(why) if why.kind() == io::ErrorKind::NotFound && directory.is_dir() => Ok(None),
        Err(source) => Err(Error::Read { path, source }),
    }
}

/// What a checksum list says, by path.
pub fn parse_sums(text: &str) -> Result<BTreeMap<String, Sha256>, String> {
    let line = |(index, line): (usize, &str)| {
        let parts = line.split_once("  ").and_then(|(sha256, name)| Some((name.to_owned(), sha256.parse().ok()?)));
        parts.ok_or_else(|| format!("line {} is no digest and path", index + 1))
    };
    text.lines().enumerate().map(line).collect()
}

fn malformed(path: &Path, name: &str, why: &str) -> Error {
    let hint = "copy it again from where it was built, or build it again";
    let faults = vec![format!("{name}: {why}")];
    Error::Faults { verb: "use", path: path.to_owned(), faults, hint }
}

fn no_sums(path: &Path, is_export: bool) -> Error {
    let (why, hint) = if is_export {
        ("is an export that was not finished", "run the same `kube-bundle export` again: it goes on from there")
    } else {
        ("is neither a bundle nor a thin copy of one", "name what `kube-bundle build` or `kube-bundle export` wrote")
    };
    Error::Unusable { path: path.to_owned(), why: why.to_owned(), hint }
}

fn no_index(path: &Path) -> Error {
    let (why, hint) = if path.join(format!("{OBJECT_INDEX}.gz")).is_file() {
        ("is compressed", "unpack what a registry keeps compressed: `gunzip --recursive DIR`")
    } else if path.join(MANIFEST).is_file() {
        ("was built by a kube-bundle without `export`", "build it again with this one")
    } else {
        ("has checksums, but is no bundle", "name what `kube-bundle build` or `kube-bundle export` wrote")
    };
    Error::Unusable { path: path.to_owned(), why: format!("{why}: it has no {OBJECT_INDEX}"), hint }
}
