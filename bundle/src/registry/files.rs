//! The files of a bundle, as its lists have them: what a push sends, and what a pull has to find.

use std::collections::BTreeMap;
use std::path::Path;

use super::artifact::Layer;
use crate::hash::Sha256;
use crate::manifest::{LARGEST_LIST, MANIFEST, Manifest, SUMS, is_signature};
use crate::out;
use crate::regular::{self, Links};
use crate::target::Mode;

/// The lists of a bundle, which agree.
pub(super) struct Lists {
    pub(super) manifest: Manifest,
    pub(super) manifest_text: Vec<u8>,
    pub(super) sums: Vec<u8>,
}

impl Lists {
    /// Of the texts of `manifest.json` and `SHA256SUMS`.
    pub(super) fn new(manifest_text: Vec<u8>, sums: Vec<u8>) -> Result<Self, String> {
        let manifest = Manifest::parse(&manifest_text).map_err(|why| format!("{MANIFEST}: {why}"))?;
        if manifest.sums(&String::from_utf8_lossy(&manifest_text)).as_bytes() != sums {
            return Err(format!("{SUMS} does not agree with {MANIFEST}"));
        }
        Ok(Self { manifest, manifest_text, sums })
    }

    /// Of a bundle on a disk.
    pub(super) fn read(directory: &Path) -> Result<Self, String> {
        let text = |name: &str| {
            regular::read(&directory.join(name), Links::Refuse, LARGEST_LIST).map_err(|why| format!("{name}: {why}"))
        };
        Self::new(text(MANIFEST)?, text(SUMS)?)
    }

    /// All files but signatures, with their modes.
    pub(super) fn files(&self) -> BTreeMap<String, (Layer, Mode)> {
        let own = [(MANIFEST, &self.manifest_text), (SUMS, &self.sums)].map(|(title, text)| {
            let layer = Layer { title: title.to_owned(), sha256: Sha256::of(text), size: text.len() as u64 };
            (title.to_owned(), (layer, Mode::PUBLIC))
        });
        let listed = self.manifest.files.iter().map(|(title, record)| {
            let layer = Layer { title: title.clone(), sha256: record.sha256, size: record.size };
            (title.clone(), (layer, record.mode))
        });
        listed.chain(own).collect()
    }
}

/// The signatures in a bundle's directory; no list has them.
pub(super) fn signatures(directory: &Path) -> Result<Vec<Layer>, String> {
    let listed = out::list(directory).map_err(|why| why.to_string())?;
    let layer = |title: String| {
        let bytes = regular::open_below(directory, &title)
            .and_then(|_| regular::read(&directory.join(&title), Links::Refuse, LARGEST_LIST))
            .map_err(|why| format!("{title}: {why}"))?;
        Ok(Layer { sha256: Sha256::of(&bytes), size: bytes.len() as u64, title })
    };
    listed.into_iter().filter(|title| is_signature(title)).map(layer).collect()
}
