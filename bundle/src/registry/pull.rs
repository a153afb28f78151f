//! From a registry to a bundle.

mod thin;
mod whole;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Read as _};
use std::path::Path;

use serde::Serialize;

use super::artifact::{Artifact, Layer};
use super::files::Lists;
use super::{Error, Reference, Remote, Version, compressed};
use crate::fetch::repository::{Repository, Wanted};
use crate::fetch::{Blob, Fault, Store};
use crate::hash::Sha256;
use crate::manifest::{LARGEST_LIST, MANIFEST, Manifest, OBJECT_INDEX, SUMS, is_signature};
use crate::out::{self, Kept};
use crate::progress::{Progress, WithoutNotes};
use crate::thin::export_list::EXPORT_LIST;
use crate::trust::Trust;
use crate::verify;

/// What was pulled.
#[derive(Debug, Serialize)]
pub struct Pulled {
    pub reference: String,
    /// The same with the digest of the manifest, which always leads to these bytes.
    pub exact: String,
    /// What its verification said.
    pub verified: verify::Report,
}

/// Fetches a bundle, and puts it in its place when all of it is there and right. With `trust`, its signature is checked
/// before any file gets a name.
///
/// # Errors
/// A registry that has not all of it or serves something else, or a bundle that is not signed by who is trusted. What arrived
/// is kept beside `out`, which is as it was before.
pub fn pull(from: &Remote, out: &Path, trust: Option<&Trust>, progress: &dyn Progress) -> Result<Pulled, Error> {
    // Whoever may not replace what is there learns it before anything is fetched.
    out::check(out, &is_bundle)?;
    let kept = Kept::beside(out)?;
    // Of each of many files a note would be one too many.
    let details = WithoutNotes(progress);
    let store = Store::open(kept.directory()).map_err(|error| Error::Store(Box::new(error)))?;
    let receiver = Receiver { from, repository: from.repository(&details), kept: &kept, store, trust, progress };
    let (digest, layers) = receiver.layers()?;
    let bundle = receiver.lists(layers)?;
    let permission = |there: &Path| Manifest::permit_replacement(there, &bundle.lists.manifest.cluster);
    out::check(out, &permission)?;
    let staging = match &bundle.index {
        Some(index) if bundle.is_thin() => receiver.thin(out, &permission, &bundle, index)?,
        _ => receiver.whole(out, &permission, &bundle)?,
    };
    let verified = receiver.verify(staging.directory())?;
    staging.finish()?;
    drop(receiver);
    kept.remove();
    let exact = from.reference.with_digest(digest).to_string();
    Ok(Pulled { reference: from.reference.to_string(), exact, verified })
}

/// Of which cluster the bundle has to be that is replaced is known later.
fn is_bundle(there: &Path) -> Result<(), out::Error> {
    Manifest::read(there).map(drop).map_err(|_| out::Error::Foreign(there.to_owned()))
}

/// What is known of a bundle before its files are fetched.
struct Received {
    layers: Vec<Layer>,
    lists: Lists,
    signatures: Vec<Layer>,
    /// The text of `bundle.index`.
    index: Option<Vec<u8>>,
}

impl Received {
    /// Whether objects were pushed, and not files.
    fn is_thin(&self) -> bool {
        self.layers.iter().any(|layer| layer.title == EXPORT_LIST)
    }
}

/// What has to be in a layer, compressed or not.
fn plain<'e>(layer: &Layer, expected: &'e BTreeMap<String, Layer>) -> Option<&'e Layer> {
    expected.get(&layer.title).or_else(|| expected.get(compressed::inside(&layer.title)?))
}

/// A pull that goes on.
struct Receiver<'r> {
    from: &'r Remote,
    repository: Repository<'r>,
    kept: &'r Kept,
    store: Store,
    trust: Option<&'r Trust>,
    progress: &'r dyn Progress,
}

impl Receiver<'_> {
    fn name(&self) -> Reference {
        self.from.reference.clone()
    }

    fn request(&self, what: &str, fault: Fault) -> Error {
        Error::Request { verb: "pull", what: what.to_owned(), at: self.name().into(), fault }
    }

    /// What the manifest lists, and its digest.
    fn layers(&self) -> Result<(Sha256, Vec<Layer>), Error> {
        let from = &self.from.reference;
        let found = self.repository.manifest(&from.version().to_string());
        let text = found.map_err(|fault| self.request("the manifest", fault))?;
        let text = text.ok_or_else(|| Error::Nothing(self.name().into()))?;
        let digest = Sha256::of(&text);
        if let Version::Digest(expected) = from.version()
            && *expected != digest
        {
            let why = format!("expected sha256:{expected}, got sha256:{digest}");
            return Err(self.request("the manifest", Fault::Wrong(why)));
        }
        let layers = Artifact::layers(&text).map_err(|why| Error::NotABundle { from: self.name().into(), why })?;
        Ok((digest, layers))
    }

    /// The lists that say what the bundle is, and its signatures, which are checked.
    fn lists(&self, layers: Vec<Layer>) -> Result<Received, Error> {
        let not_a_bundle = |why: String| Error::NotABundle { from: self.name().into(), why };
        let is_list = |it: &&Layer| {
            let title = compressed::inside(&it.title).unwrap_or(&it.title);
            [SUMS, MANIFEST, OBJECT_INDEX].contains(&title) || is_signature(&it.title)
        };
        let lists: Vec<_> = layers.iter().filter(is_list).cloned().collect();
        if let Some(large) = lists.iter().find(|layer| layer.size > LARGEST_LIST) {
            return Err(not_a_bundle(format!("`{}` is too large for a list: {} bytes", large.title, large.size)));
        }
        let blobs = self.fetch(lists.iter())?;
        let find = |title: &str| {
            lists.iter().find(|layer| layer.title == title || compressed::inside(&layer.title) == Some(title))
        };
        let text = |title: &str| {
            let layer = find(title).ok_or_else(|| not_a_bundle(format!("it has no {title}")))?;
            self.text(layer, &blobs)
        };
        let (manifest, sums) = (text(MANIFEST)?, text(SUMS)?);
        let signatures: Vec<_> = lists.iter().filter(|layer| is_signature(&layer.title)).cloned().collect();
        if let Some(trust) = self.trust {
            let named = |layer: &Layer| {
                Ok((layer.title.clone(), String::from_utf8_lossy(&self.text(layer, &blobs)?).into_owned()))
            };
            let texts = signatures.iter().map(named).collect::<Result<_, Error>>()?;
            let faults = verify::signed(trust, &sums, &texts).faults;
            if !faults.is_empty() {
                return Err(Error::Unverified { from: self.name().into(), faults });
            }
        }
        let index = find(OBJECT_INDEX).map(|layer| self.text(layer, &blobs)).transpose()?;
        let lists = Lists::new(manifest, sums).map_err(|why| self.not_whole(vec![why]))?;
        Ok(Received { layers, lists, signatures, index })
    }

    fn not_whole(&self, faults: Vec<String>) -> Error {
        Error::NotWhole { from: self.name().into(), faults }
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

    /// Compares the layers with what there has to be, by title. What is in a compressed one, is known when it is inflated.
    fn compare(&self, expected: &BTreeMap<String, Layer>, layers: &[Layer]) -> Result<(), Error> {
        let there: BTreeMap<_, _> =
            layers.iter().map(|layer| (plain(layer, expected).map_or(&layer.title, |it| &it.title), layer)).collect();
        let mut faults = Vec::new();
        for (title, layer) in expected {
            match there.get(title) {
                Some(found) if *found == layer || found.title != *title => {}
                Some(_) => faults.push(format!("{title}: not as {SUMS} says")),
                None => faults.push(format!("{title}: missing")),
            }
        }
        let is_known = |layer: &Layer| {
            plain(layer, expected).is_some() || is_signature(&layer.title) || layer.title == EXPORT_LIST
        };
        let unknown = layers.iter().filter(|layer| !is_known(layer));
        faults.extend(unknown.map(|layer| format!("{}: not in {SUMS}", layer.title)));
        if faults.is_empty() { Ok(()) } else { Err(self.not_whole(faults)) }
    }

    /// Fetches what is not kept yet.
    fn fetch<'l>(&self, layers: impl Iterator<Item = &'l Layer>) -> Result<BTreeMap<Sha256, Blob>, Error> {
        let mut seen = BTreeSet::new();
        let wanted: Vec<_> = layers
            .filter(|layer| seen.insert(layer.sha256))
            .map(|layer| Wanted { title: layer.title.clone(), sha256: layer.sha256, size: layer.size })
            .collect();
        let blobs = self.repository.fetch(&wanted, &self.store, self.from.jobs).map_err(|source| Error::Files {
            from: self.name().into(),
            source: Box::new(source),
            kept: self.kept.directory().to_owned(),
        })?;
        Ok(blobs.into_iter().map(|blob| (blob.sha256(), blob)).collect())
    }

    /// Says of what was written whatever `verify` says.
    fn verify(&self, directory: &Path) -> Result<verify::Report, Error> {
        let read = verify::directory(directory, false, self.trust);
        let report = read.map_err(|source| Error::Io { verb: "read", path: directory.to_owned(), source })?;
        if report.faults.is_empty() {
            return Ok(report);
        }
        Err(Error::Unverified { from: self.name().into(), faults: report.faults })
    }
}
