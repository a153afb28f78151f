//! Reads manifests, which somebody else may have written, and says what else lies beside one.

use std::io;
use std::path::Path;

use super::{FORMAT, LARGEST_LIST, MANIFEST, Manifest, SUMS, is_signature};
use crate::out;
use crate::printable::printable;
use crate::regular::{self, Links};

impl Manifest {
    /// Reads the manifest of an output directory.
    pub fn read(directory: &Path) -> io::Result<Self> {
        let text = regular::read(&directory.join(MANIFEST), Links::Follow, LARGEST_LIST)?;
        Self::parse(&text)
    }

    /// Whether a build of `cluster` may replace a directory: a bundle of that cluster, all of whose files its build or a
    /// signer wrote.
    ///
    /// # Errors
    /// Why it may not.
    pub fn permit_replacement(directory: &Path, cluster: &str) -> Result<(), out::Error> {
        // Whatever else is there may be large, so it is not listed.
        let manifest = Self::read(directory).map_err(|_| out::Error::Foreign(directory.to_owned()))?;
        if manifest.cluster != cluster {
            let [there, this] = [&manifest.cluster, cluster].map(|name| format!("cluster `{name}`"));
            return Err(out::Error::OtherBundle { path: directory.to_owned(), there, this });
        }
        let files = manifest.foreign_files(directory)?;
        if files.is_empty() { Ok(()) } else { Err(out::Error::Extra { path: directory.to_owned(), files }) }
    }

    /// Files in the bundle's directory that neither its build nor a signer wrote.
    ///
    /// # Errors
    /// A directory that can't be listed.
    pub fn foreign_files(&self, directory: &Path) -> Result<Vec<String>, out::Error> {
        let is_own =
            |name: &str| self.files.contains_key(name) || [MANIFEST, SUMS].contains(&name) || is_signature(name);
        let there = out::list(directory);
        let there = there.map_err(|source| out::Error::Io { verb: "list", path: directory.to_owned(), source })?;
        Ok(there.into_iter().filter(|name| !is_own(name)).collect())
    }

    /// Reads the text of a manifest.
    pub fn parse(text: &[u8]) -> io::Result<Self> {
        let manifest: Self = serde_json::from_slice(text)?;
        if manifest.format != FORMAT {
            let why = format!("its format is `{}`, and this program reads `{FORMAT}`", manifest.format);
            return Err(io::Error::other(why));
        }
        let names = manifest.files.keys().chain(manifest.artifacts.keys());
        match names.into_iter().find(|name| !regular::is_relative(name)) {
            Some(name) => Err(io::Error::other(format!("`{}` is no path of a file in a bundle", printable(name)))),
            None => match manifest.files.iter().find(|(_, record)| !record.mode.is_of_output()) {
                Some((name, record)) => {
                    Err(io::Error::other(format!("`{name}` has the mode {}, which no build gives", record.mode)))
                }
                None => Ok(manifest),
            },
        }
    }
}
