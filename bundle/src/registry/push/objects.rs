//! From a bundle to a bucket: the files of its thin copy, each an object.

use std::path::Path;

use super::{Pushed, each, refuse_secrets, request, unsent};
use crate::fetch::Fault;
use crate::fetch::object_store::ObjectStore;
use crate::fetch::patient::{Outcome, Upload};
use crate::manifest::{IN_RELEASE, PROVENANCE, PUBLIC_SUMS, SUMS, is_signature};
use crate::progress::Progress;
use crate::registry::artifact::Layer;
use crate::registry::contents::{Contents, Piece};
use crate::registry::{BucketPrefix, Error, Remote};
use crate::thin::index::object_path;

/// Sends what a bucket lacks of a bundle: first its objects, then its lists, and at last `SHA256SUMS`, which leads to them.
///
/// # Errors
/// Secrets that are not to be sent, a damaged bundle, or a store that does not take it.
pub fn push_objects(
    out: &Path,
    to: &Remote,
    at: &BucketPrefix,
    include_secrets: bool,
    progress: &dyn Progress,
) -> Result<Pushed, Error> {
    let contents = Contents::thin(out)?;
    if !include_secrets {
        refuse_secrets(out, &contents.manifest)?;
    }
    let sender = Sender { out, to, store: to.objects(at, progress), contents: &contents };
    let is_object = |piece: &&Piece| piece.layer.title == object_path(piece.layer.sha256);
    let (mut objects, mut lists): (Vec<_>, Vec<_>) = contents.pieces.iter().partition(is_object);
    // Whoever may not write learns it by a small one: of a large one, the connection may be all that is seen to break.
    objects.sort_by_key(|piece| piece.layer.size);
    let mut outcomes = each(to.jobs, &objects, |piece| sender.object(piece))?;
    lists.sort_by_key(|piece| piece.layer.title == SUMS);
    sender.forget_signatures(&lists)?;
    for piece in lists {
        outcomes.push((piece.layer.size, sender.list(piece)?));
    }
    Ok(Pushed::of(&to.location, &outcomes))
}

/// A push that goes on.
struct Sender<'s> {
    out: &'s Path,
    to: &'s Remote,
    store: ObjectStore<'s>,
    contents: &'s Contents,
}

impl Sender<'_> {
    fn object(&self, piece: &Piece) -> Result<Outcome, Error> {
        let Layer { title, sha256, size } = &piece.layer;
        let upload = Upload { title, sha256: *sha256, size: *size, open: &|| self.contents.open(piece) };
        self.store.upload(&upload).map_err(|fault| unsent(self.out, &self.to.location, title, fault))
    }

    /// Lists have the same names in every bundle, so they are always sent.
    fn list(&self, piece: &Piece) -> Result<Outcome, Error> {
        let title = &piece.layer.title;
        let put = self.contents.open(piece).and_then(|mut reader| {
            let mut text = Vec::new();
            let read = reader.read_to_end(&mut text);
            read.map_err(|source| Fault::Disk { verb: "read", path: self.out.join(title), source })?;
            self.store.put(title, &text)
        });
        put.map(|()| Outcome::Sent).map_err(|fault| request(&self.to.location, title, fault))
    }

    /// Removes signatures that are there and not in the bundle: they are of another one.
    fn forget_signatures(&self, lists: &[&Piece]) -> Result<(), Error> {
        let failed = |name: &str, fault| request(&self.to.location, name, fault);
        let is_own = |name: &str| lists.iter().any(|piece| piece.layer.title == name);
        let mut there = Vec::new();
        for list in [SUMS, PUBLIC_SUMS] {
            there.extend(self.store.list(&format!("{list}.")).map_err(|fault| failed(list, fault))?);
        }
        for name in [IN_RELEASE, PROVENANCE] {
            if !is_own(name) && self.store.has(name).map_err(|fault| failed(name, fault))? {
                there.push(name.to_owned());
            }
        }
        for name in there.iter().filter(|name| is_signature(name) && !is_own(name)) {
            self.store.remove(name).map_err(|fault| failed(name, fault))?;
        }
        Ok(())
    }
}
