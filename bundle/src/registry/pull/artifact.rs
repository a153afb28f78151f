//! The lists of a bundle in a registry, by the manifest that a tag or digest leads to.

use std::collections::BTreeMap;
use std::io::{BufReader, Read as _};

use super::{Error, Received, Receiver};
use crate::fetch::repository::Repository;
use crate::fetch::{Blob, Fault};
use crate::hash::Sha256;
use crate::manifest::{LARGEST_LIST, MANIFEST, OBJECT_INDEX, SUMS, is_signature};
use crate::registry::artifact::{Artifact, Layer};
use crate::registry::files::Lists;
use crate::registry::{Reference, Version, compressed};

impl Receiver<'_> {
    pub(super) fn find_artifact(&self, reference: &Reference, repository: &Repository<'_>) -> Result<Received, Error> {
        let (digest, layers) = self.layers(reference, repository)?;
        self.lists(reference.with_digest(digest), layers)
    }

    /// What the manifest lists, and its digest.
    fn layers(&self, from: &Reference, repository: &Repository<'_>) -> Result<(Sha256, Vec<Layer>), Error> {
        let found = repository.manifest(&from.version().to_string());
        let text = found.map_err(|fault| self.request("the manifest", fault))?;
        let text = text.ok_or_else(|| Error::Nothing(self.name().into()))?;
        let digest = Sha256::of(&text);
        if let Version::Digest(expected) = from.version()
            && *expected != digest
        {
            let why = format!("expected sha256:{expected}, got sha256:{digest}");
            return Err(self.request("the manifest", Fault::Wrong(why)));
        }
        let layers = Artifact::layers(&text).map_err(|why| self.not_a_bundle(why))?;
        Ok((digest, layers))
    }

    /// The lists among the layers.
    fn lists(&self, exact: Reference, layers: Vec<Layer>) -> Result<Received, Error> {
        let is_list = |it: &&Layer| {
            let title = compressed::inside(&it.title).unwrap_or(&it.title);
            [SUMS, MANIFEST, OBJECT_INDEX].contains(&title) || is_signature(&it.title)
        };
        let lists: Vec<_> = layers.iter().filter(is_list).cloned().collect();
        if let Some(large) = lists.iter().find(|layer| layer.size > LARGEST_LIST) {
            let why = format!("`{}` is too large for a list: {} bytes", large.title, large.size);
            return Err(self.not_a_bundle(why));
        }
        let blobs = self.fetch(lists.iter())?;
        let find = |title: &str| {
            lists.iter().find(|layer| layer.title == title || compressed::inside(&layer.title) == Some(title))
        };
        let text = |title: &str| {
            let layer = find(title).ok_or_else(|| self.not_a_bundle(format!("it has no {title}")))?;
            self.text(layer, &blobs)
        };
        let (manifest, sums) = (text(MANIFEST)?, text(SUMS)?);
        let signatures: Vec<_> = lists.iter().filter(|layer| is_signature(&layer.title)).cloned().collect();
        let named =
            |layer: &Layer| Ok((layer.title.clone(), String::from_utf8_lossy(&self.text(layer, &blobs)?).into_owned()));
        self.check_signatures(&sums, &signatures.iter().map(named).collect::<Result<_, Error>>()?)?;
        let index = find(OBJECT_INDEX).map(|layer| self.text(layer, &blobs)).transpose()?;
        let lists = Lists::new(manifest, sums).map_err(|why| self.not_whole(vec![why]))?;
        Ok(Received { exact: Some(exact), layers, lists, signatures, index })
    }

    /// The text of a list, which is not longer than lists are.
    fn text(&self, layer: &Layer, blobs: &BTreeMap<Sha256, Blob>) -> Result<Vec<u8>, Error> {
        let Some(blob) = blobs.get(&layer.sha256) else { return Ok(Vec::new()) };
        let mut bytes = Vec::new();
        let read = match compressed::inside(&layer.title) {
            Some(_) => blob.open().and_then(|file| compressed::inflate(BufReader::new(file), LARGEST_LIST)),
            None => blob.open().and_then(|file| file.take(LARGEST_LIST).read_to_end(&mut bytes)).map(|_| bytes),
        };
        read.map_err(|why| self.not_whole(vec![format!("{}: {why}", layer.title)]))
    }
}
