//! Directories that are read together: which bundle they are of, and what is missing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::directory::Directory;
use super::error::Error;
use super::export_list::EXPORT_LIST;
use super::index::{IndexedObject, object_path};
use super::place::Place;
use crate::hash::Sha256;
use crate::manifest::SUMS;
use crate::progress::bytes;

/// Directories that have all objects of a bundle among them. Where an object lies was looked up; its bytes were not read.
#[derive(Debug)]
pub struct Set {
    /// Those of the bundle first; then bases, whose objects it shares.
    directories: Vec<Directory>,
    /// How many are of the bundle.
    own: usize,
    /// Number of the directory that has an object.
    found: BTreeMap<Sha256, usize>,
}

impl Set {
    /// Reads the lists of all directories. A directory of parts stands for these.
    ///
    /// # Errors
    /// Directories of several bundles, or objects that are in none of them.
    pub fn open(paths: &[PathBuf]) -> Result<Self, Error> {
        let paths = paths.iter().map(|path| parts(path)).collect::<Result<Vec<_>, _>>()?;
        let directories = paths.iter().flatten().map(|path| Directory::open(path)).collect::<Result<Vec<_>, _>>()?;
        let target = target(&directories)?;
        let (own, bases): (Vec<_>, Vec<_>) = directories.into_iter().partition(|it| it.bundle == target);
        let mut set = Self { own: own.len(), directories: own, found: BTreeMap::new() };
        set.directories.extend(bases);
        let missing = set.look_up();
        if missing.is_empty() { Ok(set) } else { Err(set.without(&missing)) }
    }

    /// The directory whose lists are those of the bundle.
    pub fn first(&self) -> &Directory {
        // There is one, since one has the digest that was chosen.
        &self.directories[0]
    }

    /// All directories of the bundle, without bases.
    pub fn own(&self) -> &[Directory] {
        &self.directories[..self.own]
    }

    /// Where an object is.
    pub fn place(&self, object: Sha256) -> Option<(&Directory, &Place)> {
        let directory = &self.directories[*self.found.get(&object)?];
        Some((directory, directory.find(object)?))
    }

    /// Looks for every object, and returns the numbers of those that are nowhere.
    fn look_up(&mut self) -> Vec<usize> {
        let mut missing = Vec::new();
        for (number, object) in self.directories[0].index.carried() {
            let found = self.directories.iter().position(|directory| directory.find(object.sha256).is_some());
            match found {
                Some(directory) => drop(self.found.insert(object.sha256, directory)),
                None => missing.push(number),
            }
        }
        missing
    }

    /// Says where what is missing should be.
    fn without(&self, missing: &[usize]) -> Error {
        let has = |base: Sha256| self.directories.iter().any(|it| it.objects == base);
        let base = |it: &Directory| it.export.as_ref().and_then(|export| export.base);
        let alone = self.directories.iter().find_map(|it| Some((it, base(it).filter(|base| !has(*base))?)));
        if let Some((delta, wants)) = alone
            && missing.iter().any(|number| self.holder(*number).is_none())
        {
            let delta = delta.path.display();
            return Error::Unfit(format!("`{delta}` is a {}, which is not among the directories", to(wants)));
        }
        let mut faults = Vec::new();
        let mut absent: BTreeMap<(usize, usize), Vec<&IndexedObject>> = BTreeMap::new();
        for number in missing {
            let object = &self.first().index.objects()[*number];
            match self.holder(*number) {
                Some(Holder::Given(directory)) => {
                    let path = directory.path.join(object_path(object.sha256));
                    faults.push(format!("`{}`: missing, or of another size", path.display()));
                }
                Some(Holder::Part(part)) => absent.entry(part).or_default().push(object),
                None => faults.push(format!("{}: in none of the directories", object_path(object.sha256))),
            }
        }
        for ((part, count), objects) in absent {
            let size = bytes(objects.iter().map(|object| object.size).sum());
            let number = objects.len();
            faults.push(format!("part {part} of {count}: not among the directories; it has {number} objects, {size}"));
        }
        let hint = "name all parts, in any order; copy again what is damaged";
        let path = self.first().path.clone();
        Error::Faults { verb: "import", path, faults, hint }
    }

    /// What should have an object, if a list of the bundle's own says so.
    fn holder(&self, number: usize) -> Option<Holder<'_>> {
        let exports = || self.own().iter().filter_map(|it| Some((it, it.export.as_ref()?)));
        let given = exports().find(|(_, export)| export.held().contains(&number));
        let part = || exports().find_map(|(_, export)| Some((export.part_of(number)?, export.parts.len())));
        let whole = || self.own().iter().find(|it| it.export.is_none());
        let given = given.map(|(directory, _)| directory).or_else(whole).map(Holder::Given);
        given.or_else(|| part().map(Holder::Part))
    }
}

/// What should have an object.
enum Holder<'s> {
    Given(&'s Directory),
    /// A part that was not named, of how many.
    Part((usize, usize)),
}

/// The directories of parts below one that holds nothing else; or the directory itself.
#[expect(clippy::disallowed_methods, reason = "looks at the directories that the user named")]
fn parts(path: &Path) -> Result<Vec<PathBuf>, Error> {
    if path.join(SUMS).exists() || path.join(EXPORT_LIST).exists() {
        return Ok(vec![path.to_owned()]);
    }
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let entries = path.read_dir().map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let is_part = |path: &PathBuf| path.join(EXPORT_LIST).is_file();
    let mut parts: Vec<_> = entries.into_iter().map(|entry| entry.path()).filter(is_part).collect();
    parts.sort();
    // Without any, the error is about what was named.
    Ok(if parts.is_empty() { vec![path.to_owned()] } else { parts })
}

/// The bundle that is no base of another one here.
fn target(directories: &[Directory]) -> Result<Sha256, Error> {
    let base = |it: &Directory| it.export.as_ref().and_then(|export| export.base);
    let is_base =
        |it: &Directory| directories.iter().any(|other| other.bundle != it.bundle && base(other) == Some(it.objects));
    let mut tops = directories.iter().filter(|it| !is_base(it));
    let mixed = |one: &Directory, other: &Directory| {
        let [(one, its), (other, others)] = [one, other].map(|it| (it.path.display(), it.bundle));
        let text = "are of different bundles: their SHA256SUMS have the digests";
        Error::Unfit(format!("`{one}` and `{other}` {text} {its} and {others}"))
    };
    // Two that are each other's base.
    let Some(first) = tops.next() else { return Err(mixed(&directories[0], &directories[1])) };
    let Some(other) = tops.find(|it| it.bundle != first.bundle) else { return Ok(first.bundle) };
    let delta =
        [(first, other), (other, first)].into_iter().find_map(|(delta, given)| Some((delta, base(delta)?, given)));
    Err(match delta {
        Some((delta, wants, given)) => {
            let (delta, given, has) = (delta.path.display(), given.path.display(), given.objects);
            Error::Unfit(format!("`{delta}` is a {}; `{given}` is the one with {has}", to(wants)))
        }
        None => mixed(first, other),
    })
}

fn to(base: Sha256) -> String {
    format!("delta to the bundle whose bundle.index has SHA-256 {base}")
}
