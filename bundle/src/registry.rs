//! Bundles in registries of container images: each file is a layer, so a registry keeps what bundles share once.
//!
//! Blobs are sent before the manifest that names them, and a tag leads to the manifest at last: what a registry shows is
//! whole. What is fetched is kept beside the output until all of it is there.

mod artifact;
mod compressed;
mod contents;
mod error;
mod files;
mod pull;
mod push;
mod reference;

pub use error::Error;
pub use pull::{Pulled, pull};
pub use push::{PushOptions, Pushed, push};
pub use reference::{Reference, Version};

use crate::fetch::Policy;
use crate::fetch::credentials::Credential;
use crate::fetch::repository::Repository;
use crate::progress::Progress;

/// A bundle in a registry, and how to speak to that.
#[derive(Debug)]
pub struct Remote {
    pub reference: Reference,
    /// Without encryption or with; `None` for what [`Reference::url`] chooses.
    pub plain_http: Option<bool>,
    /// Who asks, if the registry wants to know.
    pub credential: Option<Credential>,
    /// Timeouts and retries.
    pub policy: Policy,
    /// Files at a time.
    pub jobs: usize,
}

impl Remote {
    fn repository<'p>(&self, progress: &'p dyn Progress) -> Repository<'p> {
        let url = self.reference.url(self.plain_http);
        Repository::new(url, self.credential.clone(), self.policy.clone(), progress)
    }
}
