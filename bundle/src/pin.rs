//! `recipe pin`: digests of binaries and images that the user built or holds, written into `recipe.toml`.
//!
//! The file is edited, not written anew: comments and order are the user's.

pub mod images;

use std::path::{Path, PathBuf};

use serde::Serialize;
use toml_edit::{DocumentMut, value};

use crate::fetch::image_archive::{HeldImage, images_in};
use crate::fetch::mirror;
use crate::hash::Sha256;
use crate::out;
use crate::recipe::component::Kind;
use crate::recipe::files::load;
use crate::recipe::{Error, Recipe};
use crate::target::Mode;

/// A component whose digest was written into a recipe.
#[derive(Debug, Serialize)]
pub struct Pinned {
    /// The component.
    pub component: String,
    /// The file it was computed from.
    pub file: PathBuf,
    pub sha256: Sha256,
    pub size: u64,
}

/// The components that were pinned, and those without a file.
#[derive(Debug)]
pub struct Outcome {
    /// Components whose digest was computed from a file and is in the recipe now.
    pub pinned: Vec<Pinned>,
    /// Components without a file, whose pins are as before.
    pub missing: Vec<String>,
    /// Those whose file is another one than the recipe had, with the version that the recipe still gives them.
    pub other: Vec<(String, String)>,
}

/// Computes the digests of components from files below `from` and writes them into the recipe at `directory`. Components
/// without a file there keep their pins.
///
/// # Errors
/// Files that are no programs, or no file of any component; then nothing is written.
pub fn pin(directory: &Path, from: &Path) -> Result<Outcome, Error> {
    let recipe = load(&directory.display().to_string(), directory)?;
    let (mut pinned, mut missing, mut faults) = (Vec::new(), Vec::new(), Vec::new());
    let (held, unreadable) = images_in(from);
    for (name, component) in &recipe.release.components {
        if let (Kind::Image, Some(image)) = (component.kind, &component.image) {
            let named = held.iter().find(|held| held.name.as_ref() == Some(image));
            if let Some(HeldImage { from: file, sha256, size, .. }) = named.cloned() {
                pinned.push(Pinned { component: name.clone(), file, sha256, size });
            } else {
                missing.push(name.clone());
                faults.extend(unreadable.iter().cloned());
            }
            continue;
        }
        match mirror::find_local(from, name, &component.urls) {
            Some(file) => match mirror::digest_local(&file, component.kind) {
                Ok((sha256, size)) => pinned.push(Pinned { component: name.clone(), file, sha256, size }),
                Err(why) => faults.push(format!("`{}`: {why}", file.display())),
            },
            None => missing.push(name.clone()),
        }
    }
    if pinned.is_empty() && faults.is_empty() {
        let names: Vec<_> = missing.iter().map(|name| format!("`{name}`")).collect();
        faults.push(format!("below `{}` is none of {}", from.display(), names.join(", ")));
    }
    if !faults.is_empty() {
        return Err(Error::Pin { faults });
    }
    let other = pinned.iter().filter(|pin| has_changed(&recipe, pin)).map(|pin| {
        let (version, _) = recipe.release.version_of(&recipe.release.components[&pin.component]);
        (pin.component.clone(), version.to_owned())
    });
    let other = other.collect();
    let text = recipe.files.get("recipe.toml").unwrap_or_default();
    let path = directory.join("recipe.toml");
    out::write_atomically(&path, edit(&recipe, text, &pinned)?.as_bytes(), Mode::PUBLIC)
        .map_err(|source| Error::Io { verb: "write", path, source })?;
    Ok(Outcome { pinned, missing, other })
}

/// The same recipe in memory, under another name and with these pins.
pub fn pinned(recipe: &Recipe, name: &str, pins: &[Pinned]) -> Result<Recipe, Error> {
    let text = edit(recipe, recipe.files.get("recipe.toml").unwrap_or_default(), pins)?;
    let files = recipe
        .files
        .iter()
        .map(|(path, old)| (path.to_owned(), if path == "recipe.toml" { text.clone() } else { old.to_owned() }));
    Recipe::from_files(name, files.collect())
}

fn has_changed(recipe: &Recipe, pin: &Pinned) -> bool {
    recipe.release.components[&pin.component].sha256 != Some(pin.sha256)
}

fn edit(recipe: &Recipe, text: &str, pinned: &[Pinned]) -> Result<String, Error> {
    let mut document: DocumentMut =
        text.parse().map_err(|why| Error::Pin { faults: vec![format!("`recipe.toml`: {why}")] })?;
    if pinned.iter().any(|pin| has_changed(recipe, pin)) {
        // Packages with other bytes need another version, or apt would take them for the ones it has.
        document["revision"] = value(i64::from(recipe.release.revision) + 1);
    }
    for pin in pinned {
        let component = &mut document["components"][&pin.component];
        component["sha256"] = value(pin.sha256.to_string());
        if let Some(table) = component.as_table_like_mut() {
            table.remove("sha512");
        }
        component["size"] = value(i64::try_from(pin.size).unwrap_or(i64::MAX));
        if has_changed(recipe, pin) {
            // The digest is no longer the publisher's, and must not look like it; nor can the publisher's
            // servers have such a file.
            component["urls"] = value(toml_edit::Array::new());
            component["sources"] = value(toml_edit::Array::from_iter(["computed by `kube-bundle recipe pin`"]));
        }
    }
    Ok(document.to_string())
}
