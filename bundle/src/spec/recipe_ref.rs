//! `recipe` of `[cluster]`: which recipe a cluster is built from.

use std::ops::Range;
use std::path::PathBuf;
use std::str::FromStr;

use toml::de::DeTable;

use super::similar::nearest;
use crate::diagnostic::Diagnostic;

/// Where a recipe comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecipeRef {
    /// One embedded in the program, by name.
    Embedded(String),
    /// A directory, as written. A relative path in `cluster.toml` is relative to that file.
    Directory(PathBuf),
}

impl FromStr for RecipeRef {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let directory = text.starts_with('.') || text.contains('/');
        Ok(if directory { Self::Directory(text.into()) } else { Self::Embedded(text.to_owned()) })
    }
}

/// Which recipe the text of a `cluster.toml` names, and where: its roles are needed to check the rest. `None` if the text
/// does not say it, which [`super::ClusterSpec::parse`] reports.
pub fn find(text: &str) -> Option<(RecipeRef, Range<usize>)> {
    let document = DeTable::parse(text).ok()?;
    let value = document.get_ref().get("cluster")?.get_ref().get("recipe")?;
    Some((value.get_ref().as_str()?.parse().ok()?, value.span()))
}

/// The error for a recipe that does not exist; `names` are the embedded ones.
pub fn unknown<'n>(reference: &RecipeRef, span: Range<usize>, names: impl Iterator<Item = &'n str>) -> Diagnostic {
    let name = match reference {
        RecipeRef::Embedded(name) => name,
        RecipeRef::Directory(directory) => {
            let message = format!("there is no recipe directory `{}`", directory.display());
            return Diagnostic::error(span, message, "a relative path begins at the directory of this file").help(
                "`kube-bundle recipe export v1.16.0 ./recipe` makes one; an embedded recipe is written without `./`",
            );
        }
    };
    let names: Vec<_> = names.collect();
    let listed: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    let label = format!("expected {}, or a directory such as `./recipe`", listed.join(", "));
    let help = match nearest(name, names) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`kube-bundle recipe list` lists the recipes of this program".to_owned(),
    };
    Diagnostic::error(span, format!("there is no recipe `{name}`"), label).help(help)
}
