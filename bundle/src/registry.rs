//! Bundles on servers: in registries of container images, in buckets of object stores, in directories of web servers.
//!
//! In a registry each file is a layer, and in a bucket each object of a bundle is an object, so both keep what bundles share
//! once. What the lists name is sent before them, and last what leads to the lists, a tag or `SHA256SUMS`: what a server shows
//! is whole. What is fetched is kept beside the output until all of it is there.

mod artifact;
mod compressed;
mod contents;
mod error;
mod files;
mod location;
mod pull;
mod push;
mod reference;

pub use error::Error;
pub use location::{BucketPrefix, Location, WebDirectory, is_exposed};
pub use pull::{Pulled, pull};
pub use push::{PushOptions, Pushed, push, push_objects};
pub use reference::{Reference, Version};

use crate::fetch::Policy;
use crate::fetch::aws::Access;
use crate::fetch::credentials::Credential;
use crate::fetch::object_store::ObjectStore;
use crate::fetch::repository::Repository;
use crate::progress::Progress;

/// A bundle on a server, and how to speak to that.
#[derive(Debug)]
pub struct Remote {
    pub location: Location,
    /// Without encryption or with; `None` for what [`Reference::url`] chooses.
    pub plain_http: Option<bool>,
    /// Who asks a registry, if it wants to know.
    pub credential: Option<Credential>,
    /// Who asks an object store, and where it is.
    pub access: Access,
    /// Timeouts and retries.
    pub policy: Policy,
    /// Files at a time.
    pub jobs: usize,
}

impl Remote {
    fn repository<'p>(&self, reference: &Reference, progress: &'p dyn Progress) -> Repository<'p> {
        let url = reference.url(self.plain_http);
        Repository::new(url, self.credential.clone(), self.policy.clone(), progress)
    }

    fn objects<'p>(&self, at: &BucketPrefix, progress: &'p dyn Progress) -> ObjectStore<'p> {
        ObjectStore::new(&at.bucket, &at.prefix, self.access.clone(), self.policy.clone(), progress)
    }
}
