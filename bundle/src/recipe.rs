//! A release as data: what is fetched and what it must hash to, what machines consist of, which flags a program knows.
//!
//! A recipe is a directory of texts, either one that the program carries or one on disk. Loading checks
//! everything that can be checked without a cluster, so a plan fails only over the cluster's own values. No
//! rule of a Kubernetes release is written in code outside such a directory.

pub mod check;
pub mod component;
pub mod description;
pub mod embedded;
pub mod files;
pub mod flags;
pub mod install;
pub mod layout;
pub mod role;
pub mod template;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use crate::hash::Sha256;
use crate::spec::names::RoleName;
use crate::spec::similar::nearest;
use crate::spec::{RoleCatalog, Service};
pub use component::{Component, Release};
use files::RecipeFiles;
use flags::FlagTable;
use layout::{Kubeconfig, Layout, Leaf};
use role::Role;

/// A loaded release.
#[derive(Debug)]
pub struct Recipe {
    /// How the user named it.
    pub name: String,
    /// `recipe.toml`.
    pub release: Release,
    /// `layout.toml`.
    pub layout: Layout,
    /// `roles/NAME/role.toml`, in the order in which their units start on a machine that has several.
    pub roles: Vec<(RoleName, Role)>,
    /// Flag tables by binary.
    pub flags: BTreeMap<String, FlagTable>,
    /// Every text of the recipe, by its path in the directory.
    pub files: RecipeFiles,
}

/// A recipe that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such name.
    #[error("there is no embedded recipe `{name}`")]
    Unknown {
        /// As given.
        name: String,
    },
    /// A file of the directory can't be read or written.
    #[error("could not {verb} `{}`", path.display())]
    Io {
        /// Completes "could not …".
        verb: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(transparent)]
    Out(#[from] crate::out::Error),
    /// A file that every recipe has is not there.
    #[error("recipe `{recipe}` has no file `{file}`")]
    Missing { recipe: String, file: String },
    /// `recipe.toml` or `layout.toml` doesn't read.
    #[error("`{file}` of recipe `{recipe}`:\n{source}")]
    Syntax { recipe: String, file: String, source: Box<toml::de::Error> },
    /// Parts that don't fit each other.
    #[error("recipe `{recipe}` contradicts itself:{}", faults.iter().map(|fault| format!("\n  {fault}")).collect::<String>())]
    Inconsistent {
        recipe: String,
        /// Every contradiction.
        faults: Vec<String>,
    },
    /// Binaries to pin that are not where they should be, or are none.
    #[error("could not pin:{}", faults.iter().map(|fault| format!("\n  {fault}")).collect::<String>())]
    Pin {
        /// Every fault.
        faults: Vec<String>,
    },
}

impl Error {
    /// Whether there is no recipe by that name or in that directory.
    pub fn is_absent(&self) -> bool {
        match self {
            Self::Unknown { .. } => true,
            Self::Io { verb: files::LIST, source, .. } => source.kind() == std::io::ErrorKind::NotFound,
            _ => false,
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { name } => {
                let names: Vec<_> = embedded::names().map(|name| format!("`{name}`")).collect();
                let near = nearest(name, embedded::names()).map(|near| format!(" (did you mean `{near}`?)"));
                let (names, near) = (names.join(" and "), near.unwrap_or_default());
                Some(format!("`kube-bundle recipe list` shows {names}{near}; a directory is written `./DIR`"))
            }
            Self::Missing { .. } => {
                Some("`kube-bundle recipe export v1.16.0 ./recipe` writes a complete one to edit".to_owned())
            }
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                Some("`kube-bundle recipe export v1.16.0 ./recipe` makes a directory; an embedded recipe is written without `./`".to_owned())
            }
            Self::Out(error) => error.hint().map(str::to_owned),
            Self::Pin { .. } => Some(
                "`--from` names a directory that holds the binaries by component name, or as upstream serves them"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

impl Recipe {
    /// Makes sense of the texts. `name` is how the user named the recipe.
    ///
    /// # Errors
    /// A file that is missing or does not parse; else all contradictions between the files.
    pub fn from_files(name: &str, files: RecipeFiles) -> Result<Self, Error> {
        let release: Release = parse(name, &files, "recipe.toml")?;
        let layout: Layout = parse(name, &files, "layout.toml")?;
        let mut faults = Vec::new();
        let roles = read_roles(name, &files, &mut faults)?;
        let mut flags = BTreeMap::new();
        for (path, text) in files.iter() {
            let Some(binary) = path.strip_prefix("flags/").and_then(|path| path.strip_suffix(".tsv")) else { continue };
            match FlagTable::parse(text) {
                Ok(table) => drop(flags.insert(binary.to_owned(), table)),
                Err(why) => faults.push(format!("`{path}`: {why}")),
            }
        }
        let recipe = Self { name: name.to_owned(), release, layout, roles, flags, files };
        faults.extend(check::contradictions(&recipe));
        if faults.is_empty() { Ok(recipe) } else { Err(Error::Inconsistent { recipe: name.to_owned(), faults }) }
    }

    /// What `cluster.toml` may name as roles.
    pub fn role_catalog(&self) -> RoleCatalog {
        self.roles.iter().map(|(name, role)| (name.clone(), role.provides.clone())).collect()
    }

    /// Certificates of the layout and of all roles, by ID.
    pub fn certificates(&self) -> impl Iterator<Item = (&String, &Leaf)> {
        self.layout.certificates.iter().chain(self.roles.iter().flat_map(|(_, role)| &role.certificates))
    }

    /// The certificate of this ID.
    pub fn certificate(&self, id: &str) -> Option<&Leaf> {
        self.certificates().find(|(known, _)| *known == id).map(|(_, leaf)| leaf)
    }

    /// Kubeconfigs of the layout and of all roles, by name.
    pub fn kubeconfigs(&self) -> impl Iterator<Item = (&String, &Kubeconfig)> {
        self.layout.kubeconfigs.iter().chain(self.roles.iter().flat_map(|(_, role)| &role.kubeconfigs))
    }

    /// The kubeconfig of this name.
    pub fn kubeconfig(&self, name: &str) -> Option<&Kubeconfig> {
        self.kubeconfigs().find(|(known, _)| *known == name).map(|(_, kubeconfig)| kubeconfig)
    }

    /// A digest over every text, so a manifest can say which recipe it was.
    pub fn digest(&self) -> Sha256 {
        let listing: String =
            self.files.iter().map(|(path, text)| format!("{} {path}\n", Sha256::of(text.as_bytes()))).collect();
        Sha256::of(listing.as_bytes())
    }
}

/// Every `roles/NAME/role.toml`. A role comes after those that it names in `after`, else they are sorted by name.
fn read_roles(recipe: &str, files: &RecipeFiles, faults: &mut Vec<String>) -> Result<Vec<(RoleName, Role)>, Error> {
    let mut waiting = BTreeMap::new();
    for (path, _) in files.iter() {
        let Some(name) = path.strip_prefix("roles/").and_then(|path| path.strip_suffix("/role.toml")) else { continue };
        match name.parse::<RoleName>() {
            Ok(role) => drop(waiting.insert(role, parse::<Role>(recipe, files, path)?)),
            Err(why) => faults.push(format!("`{path}`: the role's name `{name}` is invalid: {why}")),
        }
    }
    let mut roles = Vec::new();
    while let Some(next) = waiting
        .iter()
        .find(|(_, role)| !role.after.iter().any(|other| waiting.contains_key(other)))
        .map(|(name, _)| name.clone())
    {
        roles.extend(waiting.remove_entry(&next));
    }
    if !waiting.is_empty() {
        let names: Vec<_> = waiting.keys().map(|name| format!("`{name}`")).collect();
        faults.push(format!("roles {} start after each other (`after`)", names.join(", ")));
    }
    Ok(roles)
}

fn parse<T: serde::de::DeserializeOwned>(recipe: &str, files: &RecipeFiles, file: &str) -> Result<T, Error> {
    let text = files.get(file).ok_or_else(|| Error::Missing { recipe: recipe.to_owned(), file: file.to_owned() })?;
    toml::from_str(text).map_err(|source| Error::Syntax {
        recipe: recipe.to_owned(),
        file: file.to_owned(),
        source: Box::new(source),
    })
}

/// A recipe in one line, for `recipe list`.
#[derive(Debug, Serialize)]
pub struct Summary {
    pub name: String,
    /// The release.
    pub version: String,
    /// The architecture.
    pub arch: String,
    pub digest: Sha256,
}

impl From<&Recipe> for Summary {
    fn from(recipe: &Recipe) -> Self {
        Self {
            name: recipe.name.clone(),
            version: recipe.release.version.clone(),
            arch: recipe.release.arch.clone(),
            digest: recipe.digest(),
        }
    }
}
