//! What a build got: files and images that were verified.

use std::collections::BTreeMap;

use super::{Blob, Image};
use crate::spec::ImageReference;

/// Verified components by name, and verified images by name and digest.
#[derive(Debug, Default)]
pub struct Blobs(pub(super) BTreeMap<String, Blob>, pub(super) BTreeMap<String, Image>);

impl Blobs {
    /// The file of one component.
    pub fn get(&self, component: &str) -> Option<&Blob> {
        self.0.get(component)
    }

    /// The image of this name and digest.
    pub fn image(&self, reference: &ImageReference) -> Option<&Image> {
        self.1.get(&reference.to_string())
    }

    pub(super) fn extend(&mut self, more: Self) {
        self.0.extend(more.0);
        self.1.extend(more.1);
    }
}
