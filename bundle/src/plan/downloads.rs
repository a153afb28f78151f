//! Which files are fetched so that every component is there, each checked against a published digest.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{FilePlan, Source};
use crate::hash::{Pin, Sha256};
use crate::recipe::component::Kind;
use crate::recipe::{Component, Recipe};

/// One file to fetch.
#[derive(Debug, Clone, Serialize)]
pub struct Download {
    /// Its name in a flat directory.
    pub file: String,
    /// Where it is, in the order of trying.
    pub urls: Vec<String>,
    /// Expected digest.
    pub pin: Pin,
    /// Length in bytes, where it is known beforehand.
    pub size: Option<u64>,
    /// The content.
    pub content: Content,
}

/// The content of a download.
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
    /// What it is, and so which checks it must pass.
    pub kind: Kind,
    /// What it must hash to, where that was published.
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

/// What `files` need. A component without a digest comes out of its archive, and takes along what else
/// is needed of it, so that nothing is fetched twice. The others are fetched alone.
pub(super) fn plan<'f>(recipe: &Recipe, files: impl Iterator<Item = &'f FilePlan>) -> Vec<Download> {
    let wanted: BTreeSet<&str> = files
        .filter_map(|file| match &file.source {
            Source::Component(name) => Some(name.as_str()),
            _ => None,
        })
        .collect();
    let components: Vec<_> =
        recipe.release.components.iter().filter(|(name, _)| wanted.contains(name.as_str())).collect();
    let unpinned = components.iter().filter(|(_, component)| component.pin().is_none());
    let needed: BTreeSet<&String> = unpinned.filter_map(|(_, component)| component.archive.as_ref()).collect();

    let archives = recipe.release.archives.iter().filter(|(name, _)| needed.contains(name));
    let archives = archives.filter_map(|(name, archive)| {
        let inside = components.iter().filter(|(_, component)| component.archive.as_ref() == Some(name));
        let members = inside.map(|(component, described)| Member {
            component: (*component).clone(),
            path: described.member.clone().unwrap_or_default(),
            kind: described.kind,
            sha256: described.sha256,
        });
        Some(Download {
            file: archive.urls.first().and_then(|url| url.rsplit('/').next()).unwrap_or(name).to_owned(),
            urls: archive.urls.clone(),
            pin: archive.pin()?,
            size: archive.size,
            content: Content::Archive(members.collect()),
        })
    });
    let comes_in_archive = |component: &Component| component.archive.as_ref().is_some_and(|name| needed.contains(name));
    let alone = components.iter().filter(|(_, component)| !comes_in_archive(component));
    let alone = alone.filter_map(|(name, component)| {
        let pin = component.pin()?;
        let (component_name, path) = ((*name).clone(), (*name).clone());
        let member = Member { component: component_name, path, kind: component.kind, sha256: component.sha256 };
        Some(Download {
            file: (*name).clone(),
            urls: component.urls.clone(),
            pin,
            size: component.size,
            content: Content::Binary(member),
        })
    });
    archives.chain(alone).collect()
}
