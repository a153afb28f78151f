//! Which files are fetched so that every component is there, each checked against a published digest.

use serde::Serialize;

use crate::hash::{Pin, Sha256};
use crate::recipe::{Component, Recipe};

/// One file to fetch.
#[derive(Debug, Clone, Serialize)]
pub struct Download {
    /// Its name in a flat directory.
    pub file: String,
    /// Where it is, in the order of trying.
    pub urls: Vec<String>,
    /// What it must hash to.
    pub pin: Pin,
    /// Length in bytes, where it is known beforehand.
    pub size: Option<u64>,
    /// What is in it.
    pub content: Content,
}

/// What a download holds.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    /// One component, as it is.
    Binary(Member),
    /// A gzipped tarball with components among its members.
    Archive(Vec<Member>),
}

/// One component in a download.
#[derive(Debug, Clone, Serialize)]
pub struct Member {
    /// The component.
    pub component: String,
    /// Its path in the archive; its file name otherwise.
    pub path: String,
    /// What it must hash to, where somebody published it.
    pub sha256: Option<Sha256>,
}

impl Download {
    /// The components this yields.
    pub fn members(&self) -> &[Member] {
        match &self.content {
            Content::Binary(member) => std::slice::from_ref(member),
            Content::Archive(members) => members,
        }
    }
}

/// A component without a digest comes out of its archive, and takes along whatever else is in there, so that
/// nothing is fetched twice. The others are fetched alone.
pub(super) fn plan(recipe: &Recipe) -> Vec<Download> {
    let components = &recipe.release.components;
    let unpinned = |component: &&Component| component.sha256.is_none();
    let needed: Vec<&String> =
        components.values().filter(unpinned).filter_map(|component| component.archive.as_ref()).collect();
    let comes_in = |archive: &String, component: &Component| component.archive.as_ref() == Some(archive);

    let archives = recipe.release.archives.iter().filter(|(name, _)| needed.contains(name));
    let archives = archives.map(|(name, archive)| {
        let inside = components.iter().filter(|(_, component)| comes_in(name, component));
        let members = inside.map(|(component, described)| Member {
            component: component.clone(),
            path: described.member.clone().unwrap_or_default(),
            sha256: described.sha256,
        });
        Download {
            file: archive.urls.first().and_then(|url| url.rsplit('/').next()).unwrap_or(name).to_owned(),
            urls: archive.urls.clone(),
            pin: Pin::Sha512(archive.sha512),
            size: archive.size,
            content: Content::Archive(members.collect()),
        }
    });
    let alone = components.iter().filter(|(_, component)| !needed.iter().any(|archive| comes_in(archive, component)));
    let alone = alone.filter_map(|(name, component)| {
        let sha256 = component.sha256?;
        Some(Download {
            file: name.clone(),
            urls: component.urls.clone(),
            pin: Pin::Sha256(sha256),
            size: component.size,
            content: Content::Binary(Member { component: name.clone(), path: name.clone(), sha256: Some(sha256) }),
        })
    });
    archives.chain(alone).collect()
}
