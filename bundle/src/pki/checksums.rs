//! `pki/SHA256SUMS`: digests of what can't be made again, so that a damaged file is refused before it is packed.
//!
//! The format is that of `sha256sum -c`. A file without a line gets one at the next build: so does a `pki/` of an
//! earlier version, and a file that a person replaced after deleting its line.

use std::collections::BTreeMap;

use super::directory::{CHECKSUMS, ENCRYPTION_KEY, PkiDir};
use super::{Error, Run, seal};
use crate::hash::Sha256;
use crate::plan::certificates::CertPlan;

/// Digests by the file's path in the pki directory.
pub(super) struct Checksums(BTreeMap<String, Sha256>);

impl Checksums {
    pub(super) fn read(directory: &PkiDir) -> Result<Self, Error> {
        let Some(text) = directory.file(CHECKSUMS)? else { return Ok(Self(BTreeMap::new())) };
        let path = directory.path(CHECKSUMS);
        let text = text.expose_text().unwrap_or("\u{fffd}");
        Self::parse(text).map_err(|number| Error::Checksums { path, number })
    }

    /// Fails with the number of the first line that is none, from 1.
    fn parse(text: &str) -> Result<Self, usize> {
        let line = |(index, line): (usize, &str)| {
            let (digest, name) = line.split_once("  ").or_else(|| line.split_once(" *")).ok_or(index + 1)?;
            Ok((name.to_owned(), digest.parse().map_err(|_| index + 1)?))
        };
        text.lines().enumerate().map(line).collect::<Result<_, _>>().map(Self)
    }

    /// Refuses files that are no longer what they were. One without a line passes.
    pub(super) fn check(&self, directory: &PkiDir, names: &[String]) -> Result<(), Error> {
        for name in names {
            let Some(expected) = self.0.get(name) else { continue };
            let path = directory.path(name);
            let Some(bytes) = directory.file(name)? else { return Err(Error::Gone { path }) };
            let got = Sha256::of(bytes.expose());
            if got != *expected {
                return Err(Error::Changed { path, expected: *expected, got });
            }
        }
        Ok(())
    }
}

/// Files of one ID that can't be made again.
pub(super) fn irreplaceable(id: &str, planned: &CertPlan) -> Vec<String> {
    match planned {
        CertPlan::Authority { .. } => vec![format!("{id}.pem"), format!("{id}-key.pem")],
        // Its public half follows from it.
        CertPlan::KeyPair => vec![format!("{id}-key.pem")],
        CertPlan::Leaf { .. } | CertPlan::External { .. } => Vec::new(),
    }
}

impl Run<'_> {
    /// Adds a line for each file that has none. Only for files that passed every check.
    pub(super) fn record_checksums(&self) -> Result<(), Error> {
        let mut checksums = Checksums::read(&self.directory)?;
        let before = checksums.0.len();
        let names = self.plan.certificates.iter().flat_map(|(id, planned)| irreplaceable(id, planned));
        let seal = self.plan.seal.iter().flat_map(seal::irreplaceable);
        for name in names.chain([ENCRYPTION_KEY.to_owned()]).chain(seal) {
            if checksums.0.contains_key(&name) {
                continue;
            }
            if let Some(bytes) = self.directory.file(&name)? {
                checksums.0.insert(name, Sha256::of(bytes.expose()));
            }
        }
        if checksums.0.len() == before {
            return Ok(());
        }
        let text: String = checksums.0.iter().map(|(name, digest)| format!("{digest}  {name}\n")).collect();
        self.directory.write_checksums(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_is_none_is_named() {
        let digest = "0".repeat(64);
        let parse = |text: &str| Checksums::parse(text).map(|sums| sums.0.into_keys().collect::<Vec<_>>());
        assert_eq!(
            parse(&format!("{digest}  ca.pem\n{digest} *a b.pem\n")),
            Ok(vec!["a b.pem".into(), "ca.pem".into()])
        );
        assert_eq!(parse(&format!("{digest}  ca.pem\n{}  b.pem\n", &digest[1..])), Err(2));
        assert_eq!(parse("nonsense"), Err(1));
    }
}
