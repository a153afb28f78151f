//! From a server to a bundle.

mod artifact;
mod site;
mod thin;
mod whole;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;

use super::artifact::Layer;
use super::files::Lists;
use super::{Error, Location, Reference, Remote, compressed};
use crate::fetch::patient::Wanted;
use crate::fetch::repository::Repository;
use crate::fetch::site::Site;
use crate::fetch::{Blob, Fault, Store};
use crate::hash::Sha256;
use crate::manifest::{Manifest, SUMS, is_signature};
use crate::out::{self, Kept};
use crate::progress::{Progress, WithoutNotes};
use crate::thin::export_list::EXPORT_LIST;
use crate::trust::Trust;
use crate::verify;

/// What was pulled.
#[derive(Debug, Serialize)]
pub struct Pulled {
    pub reference: String,
    /// The same with the digest of the manifest, which always leads to these bytes; only registries have such names.
    pub exact: Option<String>,
    /// What its verification said.
    pub verified: verify::Report,
}

/// Fetches a bundle, and puts it in its place when all of it is there and right. With `trust`, its signature is checked
/// before any file gets a name, and so many of the keys have to vouch for it.
///
/// # Errors
/// A server that has not all of it or serves something else, or a bundle that is not signed by who is trusted. What arrived
/// is kept beside `out`, which is as it was before.
pub fn pull(
    from: &Remote,
    out: &Path,
    trust: Option<(&Trust, usize)>,
    progress: &dyn Progress,
) -> Result<Pulled, Error> {
    // Whoever may not replace what is there learns it before anything is fetched.
    out::check(out, &is_bundle)?;
    let kept = Kept::beside(out)?;
    // Of each of many files a note would be one too many.
    let details = WithoutNotes(progress);
    let store = Store::open(kept.directory()).map_err(|error| Error::Store(Box::new(error)))?;
    let source = Source::of(from, &details);
    let receiver = Receiver { from, source, kept: &kept, store, trust, progress };
    let bundle = receiver.find()?;
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
    let exact = bundle.exact.map(|reference| reference.to_string());
    Ok(Pulled { reference: from.location.to_string(), exact, verified })
}

/// Of which cluster the bundle has to be that is replaced is known later.
fn is_bundle(there: &Path) -> Result<(), out::Error> {
    Manifest::read(there).map(drop).map_err(|_| out::Error::Foreign(there.to_owned()))
}

/// Where files come from.
enum Source<'p> {
    /// From a repository, each by its digest.
    Registry(Reference, Repository<'p>),
    /// From a bucket or a web server, each by its path.
    Site(Site<'p>),
}

impl<'p> Source<'p> {
    fn of(from: &Remote, progress: &'p dyn Progress) -> Self {
        match &from.location {
            Location::Registry(reference) => Self::Registry(reference.clone(), from.repository(reference, progress)),
            Location::Bucket(at) => Self::Site(from.objects(at, progress).into_site()),
            Location::Web(at) => Self::Site(Site::new(at.url().to_owned(), from.policy.clone(), progress)),
        }
    }
}

/// What is known of a bundle before its files are fetched.
struct Received {
    /// The name that always leads to it, where it has one.
    exact: Option<Reference>,
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
    source: Source<'r>,
    kept: &'r Kept,
    store: Store,
    trust: Option<(&'r Trust, usize)>,
    progress: &'r dyn Progress,
}

impl Receiver<'_> {
    fn name(&self) -> Location {
        self.from.location.clone()
    }

    fn request(&self, what: &str, fault: Fault) -> Error {
        Error::Request { verb: "pull", what: what.to_owned(), at: self.name().into(), fault }
    }

    fn not_a_bundle(&self, why: String) -> Error {
        Error::NotABundle { from: self.name().into(), why }
    }

    /// The lists that say what the bundle is, and its signatures, which are checked.
    fn find(&self) -> Result<Received, Error> {
        match &self.source {
            Source::Registry(reference, repository) => self.find_artifact(reference, repository),
            Source::Site(site) => self.find_on_site(site),
        }
    }

    /// Compares what was signed with the signatures, by their names.
    fn check_signatures(&self, sums: &[u8], signatures: &BTreeMap<String, String>) -> Result<(), Error> {
        let Some((trust, _)) = self.trust else { return Ok(()) };
        self.refuse_faults(verify::signed(trust, sums, signatures)).map(drop)
    }

    fn not_whole(&self, faults: Vec<String>) -> Error {
        Error::NotWhole { from: self.name().into(), faults }
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
        let (store, jobs) = (&self.store, self.from.jobs);
        let fetched = match &self.source {
            Source::Registry(_, repository) => repository.fetch(&wanted, store, jobs),
            Source::Site(site) => site.fetch(&wanted, store, jobs),
        };
        let blobs = fetched.map_err(|source| Error::Files {
            from: self.name().into(),
            source: Box::new(source),
            kept: self.kept.directory().to_owned(),
        })?;
        Ok(blobs.into_iter().map(|blob| (blob.sha256(), blob)).collect())
    }

    /// Says of what was written whatever `verify` says.
    fn verify(&self, directory: &Path) -> Result<verify::Report, Error> {
        let read = verify::directory(directory, false, self.trust.map(|(trust, _)| trust));
        let mut report = read.map_err(|source| Error::Io { verb: "read", path: directory.to_owned(), source })?;
        if let Some((_, threshold)) = self.trust.filter(|_| report.faults.is_empty()) {
            report.want_keys(threshold);
        }
        self.refuse_faults(report)
    }

    fn refuse_faults(&self, report: verify::Report) -> Result<verify::Report, Error> {
        match report.cause() {
            None => Ok(report),
            cause => Err(Error::Unverified { from: self.name().into(), faults: report.faults, cause }),
        }
    }
}
