//! The texts of a recipe by path, and the one place that reads and writes a recipe directory.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Error, Recipe, embedded};
use crate::out::{self, Staging};
use crate::regular::{self, Links};
use crate::target::Mode;

/// Bytes of one text; the largest of ours has a thousandth.
const LARGEST_TEXT: u64 = 4 << 20;

/// What failed if the directory is not there, completing "could not …".
pub(super) const LIST: &str = "list recipe directory";

/// Texts by their path in the directory, such as `units/kube-apiserver.service`.
#[derive(Debug, Clone, Default)]
pub struct RecipeFiles(BTreeMap<String, String>);

impl FromIterator<(String, String)> for RecipeFiles {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(texts: I) -> Self {
        Self(texts.into_iter().collect())
    }
}

impl RecipeFiles {
    /// One text.
    pub fn get(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }

    /// All texts, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Fills what is missing from the embedded recipe that `recipe.toml` names as its base.
    pub fn with_base(mut self) -> Result<Self, Error> {
        if let Some(base) = self.get(embedded::RECIPE_TOML).and_then(embedded::base) {
            for (path, text) in embedded::complete(&base)? {
                self.0.entry(path.to_owned()).or_insert_with(|| text.to_owned());
            }
        }
        Ok(self)
    }
}

/// Reads a recipe directory; `name` is how the user named it.
pub fn load(name: &str, directory: &Path) -> Result<Recipe, Error> {
    let mut files = RecipeFiles::default();
    collect(directory, "", &mut files)?;
    Recipe::from_files(name, files.with_base()?)
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads a recipe from disk")]
fn collect(directory: &Path, prefix: &str, files: &mut RecipeFiles) -> Result<(), Error> {
    let failed = |verb, path: &Path| {
        let path = path.to_owned();
        move |source| Error::Io { verb, path, source }
    };
    for entry in std::fs::read_dir(directory).map_err(failed(LIST, directory))? {
        let entry = entry.map_err(failed(LIST, directory))?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        // Editors leave such files beside the ones they edit.
        if name.starts_with('.') || name.ends_with('~') {
            continue;
        }
        let inner = format!("{prefix}{name}");
        if path.is_dir() {
            collect(&path, &format!("{inner}/"), files)?;
        } else {
            let bytes = regular::read(&path, Links::Follow, LARGEST_TEXT).map_err(failed("read", &path))?;
            let text = String::from_utf8(bytes).map_err(std::io::Error::other).map_err(failed("read", &path))?;
            files.0.insert(inner, text);
        }
    }
    Ok(())
}

/// Writes every text of `recipe` into `directory`, which must be new or empty, and appears only when it is complete.
#[expect(clippy::disallowed_methods, reason = "looks at the directory that it writes")]
pub fn export(recipe: &Recipe, directory: &Path) -> Result<(), Error> {
    let taken = |why: &str| Error::Io {
        verb: "export into",
        path: directory.to_owned(),
        source: std::io::Error::other(why.to_owned()),
    };
    if std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(taken("it exists and is not empty"));
    }
    if directory.file_name().is_none() {
        return Err(taken("it can't be replaced; name a new directory"));
    }
    let nothing_is_replaced = |there: &Path| Err(out::Error::Foreign(there.to_owned()));
    let staging = Staging::begin(directory, &nothing_is_replaced)?;
    for (path, text) in recipe.files.iter() {
        let path = staging.place(path, Mode::EXECUTABLE)?;
        let written = out::write_atomically(&path, text.as_bytes(), Mode::PUBLIC);
        written.map_err(|source| Error::Io { verb: "write", path, source })?;
    }
    Ok(staging.finish()?)
}
