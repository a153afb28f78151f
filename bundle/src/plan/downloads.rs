//! Which files are fetched so that every component is there, each checked against a published digest.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{FilePlan, Source};
use crate::hash::{Pin, Sha256};
use crate::recipe::component::{Kind, Publisher};
use crate::recipe::{Component, Recipe};
use crate::spec::{ImageName, ImageReference};

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
    /// Who published the digest; nobody but the user, if it is empty.
    pub publishers: Vec<Publisher>,
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
    /// A container image; the digest is that of its manifest, or of a list of manifests. URLs are repositories.
    Image(ImageContent),
}

/// A container image.
#[derive(Debug, Clone, Serialize)]
pub struct ImageContent {
    /// The complete name, with registry and tag.
    pub name: ImageName,
    /// The components that are files of it. Empty: it is wanted as it is.
    pub members: Vec<Member>,
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
    /// Its own version.
    pub version: String,
    /// What the recipe says of it.
    #[serde(flatten)]
    pub identity: Identity,
}

/// By what a component is known elsewhere, as far as the recipe says it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Identity {
    /// SPDX license expression.
    pub license: Option<String>,
    /// Where its source is developed.
    pub upstream: Option<String>,
    /// Who supplies it.
    pub supplier: Option<String>,
    /// Package URL.
    pub purl: Option<String>,
    /// CPE 2.3.
    pub cpe: Option<String>,
}

impl Identity {
    fn of(component: &Component) -> Self {
        let Component { license, upstream, supplier, purl, cpe, .. } = component.clone();
        Self { license, upstream, supplier, purl, cpe }
    }
}

impl Member {
    fn of(recipe: &Recipe, name: &str, component: &Component, path: String) -> Self {
        Self {
            component: name.to_owned(),
            path,
            kind: component.kind,
            sha256: component.sha256,
            version: recipe.release.version_of(component).0.to_owned(),
            identity: Identity::of(component),
        }
    }
}

impl Download {
    /// The components this yields.
    pub fn members(&self) -> &[Member] {
        match &self.content {
            Content::Binary(member) => std::slice::from_ref(member),
            Content::Archive(members) => members,
            Content::Image(image) => &image.members,
        }
    }

    /// The name in messages.
    pub fn title(&self) -> String {
        match &self.content {
            Content::Image(image) => image.name.to_string(),
            Content::Binary(member) => member.component.clone(),
            Content::Archive(_) => self.file.clone(),
        }
    }

    /// A file that is no component; `title` is what messages call it.
    pub fn of_file(title: String, file: String, urls: Vec<String>, sha256: Sha256, size: Option<u64>) -> Self {
        let content = Content::Binary(Member {
            component: title,
            path: String::new(),
            kind: Kind::File,
            sha256: None,
            version: String::new(),
            identity: Identity::default(),
        });
        Self { file, urls, pin: Pin::Sha256(sha256), size, publishers: Vec::new(), content }
    }

    /// The file of this digest in a directory with an OCI image layout.
    pub fn file_in_layout(sha256: Sha256) -> String {
        format!("blobs/sha256/{sha256}")
    }
}

/// What `files` need. A component without a digest comes out of its archive, and takes along what else
/// is needed of it, so that nothing is fetched twice. The others are fetched alone.
pub(super) fn plan<'f>(recipe: &Recipe, files: impl Iterator<Item = &'f FilePlan> + Clone) -> Vec<Download> {
    let carried: BTreeSet<&ImageReference> = files
        .clone()
        .filter_map(|file| match &file.source {
            Source::Images(images) => Some(images),
            _ => None,
        })
        .flatten()
        .collect();
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
        let members = inside.map(|(component, described)| {
            Member::of(recipe, component, described, described.member.clone().unwrap_or_default())
        });
        let members = members.collect();
        if let Some(name) = &archive.image {
            return Some(image(name, archive.sha256?, &archive.urls, &archive.sources, members));
        }
        Some(Download {
            file: archive.urls.first().and_then(|url| url.rsplit('/').next()).unwrap_or(name).to_owned(),
            urls: archive.urls.clone(),
            pin: archive.pin()?,
            size: archive.size,
            publishers: archive.sources.clone(),
            content: Content::Archive(members),
        })
    });
    let comes_in_archive = |component: &Component| component.archive.as_ref().is_some_and(|name| needed.contains(name));
    let alone = components.iter().filter(|(_, component)| !comes_in_archive(component));
    let alone = alone.filter_map(|(name, component)| {
        let pin = component.pin()?;
        Some(Download {
            file: (*name).clone(),
            urls: component.urls.clone(),
            pin,
            size: component.size,
            publishers: component.sources.clone(),
            content: Content::Binary(Member::of(recipe, name, component, (*name).clone())),
        })
    });
    archives.chain(alone).chain(images(recipe, &carried)).collect()
}

/// The images that machines get: those of the recipe come from where it says, others from the registry in their name.
fn images<'r>(recipe: &'r Recipe, carried: &'r BTreeSet<&ImageReference>) -> impl Iterator<Item = Download> {
    carried.iter().map(|reference| {
        let known =
            recipe.release.components.values().find(|component| component.image.as_ref() == Some(&reference.name));
        let urls = known.map(|component| component.urls.clone()).filter(|urls| !urls.is_empty());
        let urls = urls.unwrap_or_else(|| vec![reference.name.repository_url()]);
        // What somebody published of one digest says nothing of another.
        let published = known.filter(|component| component.sha256 == Some(reference.digest));
        let publishers = published.map(|component| component.sources.as_slice()).unwrap_or_default();
        image(&reference.name, reference.digest, &urls, publishers, Vec::new())
    })
}

fn image(
    name: &ImageName,
    sha256: Sha256,
    urls: &[String],
    publishers: &[Publisher],
    members: Vec<Member>,
) -> Download {
    Download {
        file: Download::file_in_layout(sha256),
        urls: urls.to_vec(),
        pin: Pin::Sha256(sha256),
        size: None,
        publishers: publishers.to_vec(),
        content: Content::Image(ImageContent { name: name.clone(), members }),
    }
}
