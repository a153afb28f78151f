//! A release as data: what is fetched and what it must hash to, what lies where, which flags a binary knows.
//!
//! A recipe is a directory of texts, either one that the program carries or one on disk. Loading checks
//! everything that can be checked without a cluster, so a plan fails only over the cluster's own values. No
//! rule of a Kubernetes release is written in code outside such a directory.

pub mod embedded;
pub mod files;
pub mod flags;
pub mod install;
pub mod layout;
pub mod template;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::hash::{Sha256, Sha512};
use files::RecipeFiles;
use flags::FlagTable;
use layout::Layout;

/// A loaded release.
#[derive(Debug)]
pub struct Recipe {
    /// How the user named it.
    pub name: String,
    /// `recipe.toml`.
    pub release: Release,
    /// `layout.toml`.
    pub layout: Layout,
    /// Flag tables by binary.
    pub flags: BTreeMap<String, FlagTable>,
    /// Every text of the recipe, by its path in the directory.
    pub files: RecipeFiles,
}

/// `recipe.toml`: the release and its downloads.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// Kubernetes version, with its `v`.
    pub version: String,
    /// Architecture as Go and Debian name it.
    pub arch: String,
    /// Debian revision of the components' packages: grows whenever their bytes change and `version` does not.
    #[serde(default = "first")]
    pub revision: u32,
    /// The embedded recipe that lends the files this directory lacks.
    #[serde(default)]
    pub base: Option<String>,
    /// Default modification time of packed files, RFC 3339.
    #[serde(deserialize_with = "timestamp")]
    pub released: OffsetDateTime,
    /// Tarballs that components are taken from.
    #[serde(default)]
    pub archives: BTreeMap<String, Archive>,
    /// Binaries.
    pub components: BTreeMap<String, Component>,
    /// Values for this recipe's templates.
    #[serde(default)]
    pub vars: BTreeMap<String, String>,
}

/// A release tarball.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// Where it is, in the order of trying.
    pub urls: Vec<String>,
    /// Its published digest.
    pub sha512: Sha512,
    /// Length in bytes, where somebody published it.
    #[serde(default)]
    pub size: Option<u64>,
    /// Who published the digest.
    pub sources: Vec<String>,
}

/// A binary.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// The tarball it is in.
    #[serde(default)]
    pub archive: Option<String>,
    /// Its path there.
    #[serde(default)]
    pub member: Option<String>,
    /// Where it is as a single file.
    #[serde(default)]
    pub urls: Vec<String>,
    /// Its digest, published or computed from a file the user holds.
    #[serde(default)]
    pub sha256: Option<Sha256>,
    /// Its length in bytes.
    #[serde(default)]
    pub size: Option<u64>,
    /// Who published the digest.
    #[serde(default)]
    pub sources: Vec<String>,
}

fn first() -> u32 {
    1
}

fn timestamp<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<OffsetDateTime, D::Error> {
    let text = String::deserialize(deserializer)?;
    OffsetDateTime::parse(&text, &Rfc3339).map_err(serde::de::Error::custom)
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
        /// What was attempted.
        verb: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file that every recipe has is not there.
    #[error("recipe `{recipe}` has no file `{file}`")]
    Missing {
        /// The recipe.
        recipe: String,
        /// The file.
        file: String,
    },
    /// `recipe.toml` or `layout.toml` doesn't read.
    #[error("`{file}` of recipe `{recipe}`:\n{source}")]
    Syntax {
        /// The recipe.
        recipe: String,
        /// The file.
        file: String,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// Parts that don't fit each other.
    #[error("recipe `{recipe}` contradicts itself:{}", faults.iter().map(|fault| format!("\n  {fault}")).collect::<String>())]
    Inconsistent {
        /// The recipe.
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
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { .. } => {
                Some("`kube-bundle recipe list` names them; a directory is written `./DIR`".to_owned())
            }
            Self::Missing { .. } => {
                Some("`kube-bundle recipe export v1.16.0 ./recipe` writes a complete one to edit".to_owned())
            }
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                Some("`kube-bundle recipe export v1.16.0 ./recipe` makes a directory; an embedded recipe is written without `./`".to_owned())
            }
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
    pub fn from_files(name: &str, files: RecipeFiles) -> Result<Self, Error> {
        let release: Release = parse(name, &files, "recipe.toml")?;
        let layout: Layout = parse(name, &files, "layout.toml")?;
        let mut faults = Vec::new();
        let mut flags = BTreeMap::new();
        for (path, text) in files.iter() {
            let Some(binary) = path.strip_prefix("flags/").and_then(|path| path.strip_suffix(".tsv")) else { continue };
            match FlagTable::parse(text) {
                Ok(table) => drop(flags.insert(binary.to_owned(), table)),
                Err(why) => faults.push(format!("`{path}`: {why}")),
            }
        }
        let recipe = Self { name: name.to_owned(), release, layout, flags, files };
        faults.extend(recipe.contradictions());
        if faults.is_empty() { Ok(recipe) } else { Err(Error::Inconsistent { recipe: name.to_owned(), faults }) }
    }

    /// A digest over every text, so a manifest can say which recipe it was.
    pub fn digest(&self) -> Sha256 {
        let listing: String =
            self.files.iter().map(|(path, text)| format!("{} {path}\n", Sha256::of(text.as_bytes()))).collect();
        Sha256::of(listing.as_bytes())
    }

    fn contradictions(&self) -> Vec<String> {
        let mut faults = Vec::new();
        // Both become parts of file names, and of words that scripts split at white space.
        let plain = |text: &str| {
            !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+' | '~'))
        };
        if !self.release.version.strip_prefix('v').is_some_and(plain) {
            faults.push(format!(
                "`version` is `{}`: expected `v` and letters, digits, `.`, `-`, `+` or `~`",
                self.release.version
            ));
        }
        if self.release.arch != "amd64" {
            faults.push(format!("`arch` is `{}`: expected `amd64`", self.release.arch));
        }
        for (name, component) in &self.release.components {
            match (&component.archive, &component.member) {
                (Some(archive), Some(_)) if !self.release.archives.contains_key(archive) => {
                    faults.push(format!("component `{name}` is in archive `{archive}`, which is not described"));
                }
                (Some(_), None) | (None, Some(_)) => {
                    faults.push(format!("component `{name}` needs both `archive` and `member`, or neither"));
                }
                (None, None) if component.sha256.is_none() => {
                    faults.push(format!("component `{name}` has neither a digest nor an archive with one"));
                }
                _ => {}
            }
        }
        self.layout.contradictions(self, &mut faults);
        faults
    }
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
    /// Its name.
    pub name: String,
    /// The release.
    pub version: String,
    /// The architecture.
    pub arch: String,
    /// Its digest.
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
