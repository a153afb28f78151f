//! Which files of a bundle give away private keys or tokens.

use std::collections::{BTreeMap, BTreeSet};

use super::{Manifest, Member, SEALED};
use crate::target::Mode;

impl Manifest {
    /// Files of the bundle that hold private keys or tokens which nothing encrypts: by path, the names of those inside, or
    /// nothing for a file that is one itself.
    pub fn unsealed_secrets(&self) -> BTreeMap<&str, Vec<&str>> {
        let loose = self.files.iter().filter(|(path, record)| {
            record.mode == Mode::SECRET && !self.artifacts.contains_key(*path) && !path.ends_with(SEALED)
        });
        let mut found: BTreeMap<&str, Vec<&str>> = loose.map(|(path, _)| (path.as_str(), Vec::new())).collect();
        // Images carry packages, and packages are listed before them or after: until nothing is added.
        loop {
            let digests: BTreeSet<_> =
                found.keys().filter_map(|path| self.files.get(*path)).map(|record| record.sha256).collect();
            let is_secret =
                |member: &Member| member.secret || member.sha256.is_some_and(|sha256| digests.contains(&sha256));
            let before = found.len();
            for (path, artifact) in &self.artifacts {
                let inside: Vec<_> =
                    artifact.entries.iter().filter(|(_, it)| is_secret(it)).map(|(name, _)| name.as_str()).collect();
                if !inside.is_empty() {
                    found.insert(path, inside);
                }
            }
            if found.len() == before {
                return found;
            }
        }
    }
}
