//! What one bundle has and another lacks.

use std::collections::BTreeSet;
use std::path::Path;

use super::directory::Directory;
use super::error::Error;
use super::index::Index;
use crate::hash::Sha256;
use crate::manifest::LARGEST_LIST;
use crate::regular::{self, Links};

/// The objects of a bundle that is there already.
#[derive(Debug)]
pub struct Base {
    pub index: Index,
    /// Of the text of the index. It identifies the objects, and who has only the index knows it too.
    pub sha256: Sha256,
}

/// Reads what identifies the objects of a bundle: its directory, a thin copy, or its `bundle.index`.
///
/// # Errors
/// None of these, or one that can't be read.
#[expect(clippy::disallowed_methods, reason = "looks at the path that the user named")]
pub fn open(path: &Path) -> Result<Base, Error> {
    if path.is_dir() {
        let Directory { index, objects, .. } = Directory::open(path)?;
        return Ok(Base { index, sha256: objects });
    }
    let text = regular::read(path, Links::Follow, LARGEST_LIST);
    let text = text.map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let index = Index::parse(&text).map_err(|why| Error::Unusable {
        path: path.to_owned(),
        why: format!("is no list of objects: {why}"),
        hint: "name a bundle, its thin copy, or its bundle.index",
    })?;
    Ok(Base { index, sha256: Sha256::of(&text) })
}

/// Numbers of the objects of `new` that `old` lacks; of all that are carried, if there is no old one.
pub fn objects(new: &Index, old: Option<&Index>) -> Vec<usize> {
    let old: BTreeSet<_> = old.into_iter().flat_map(Index::carried).map(|(_, object)| object.sha256).collect();
    new.carried().filter(|(_, object)| !old.contains(&object.sha256)).map(|(number, _)| number).collect()
}

/// Some objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Count {
    pub objects: usize,
    pub bytes: u64,
}

/// What it costs to bring a bundle to where another one is.
#[derive(Debug, serde::Serialize)]
pub struct Cost {
    /// What the older one lacks.
    pub new: Count,
    /// What both have.
    pub both: Count,
}

/// Compares two bundles by their objects.
pub fn cost(old: &Index, new: &Index) -> Cost {
    let size = |number: &usize| new.objects()[*number].size;
    let count = |numbers: &[usize]| Count { objects: numbers.len(), bytes: numbers.iter().map(size).sum() };
    let (all, lacks) = (count(&objects(new, None)), count(&objects(new, Some(old))));
    Cost { new: lacks, both: Count { objects: all.objects - lacks.objects, bytes: all.bytes - lacks.bytes } }
}
