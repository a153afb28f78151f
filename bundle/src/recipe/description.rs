//! A recipe for programs: what is fetched, from where, who vouches for it, and every text.

use std::collections::BTreeMap;

use serde::Serialize;
use time::OffsetDateTime;

use super::Recipe;
use super::component::{Archive, Component, Kind, Publisher, Release};
use crate::hash::{Pin, Sha256};
use crate::spec::ImageName;

/// What `recipe show --json` prints.
#[derive(Debug, Serialize)]
pub struct Description<'r> {
    pub name: &'r str,
    /// The release.
    pub version: &'r str,
    pub arch: &'r str,
    #[serde(with = "time::serde::rfc3339")]
    pub released: OffsetDateTime,
    /// Digest over all texts, as `recipe list` and manifests have it.
    pub digest: Sha256,
    pub archives: BTreeMap<&'r str, ArchiveDescription<'r>>,
    /// Programs and files.
    pub components: BTreeMap<&'r str, ComponentDescription<'r>>,
    /// Container images that machines get.
    pub images: BTreeMap<&'r str, ComponentDescription<'r>>,
    /// Every text by its path in the recipe.
    pub files: BTreeMap<&'r str, &'r str>,
}

/// Where bytes come from.
#[derive(Debug, Serialize)]
pub struct Origin<'r> {
    /// In the order of trying; of an image, repositories. Empty where the recipe names none.
    pub urls: &'r [String],
    /// `null` for what only its archive has a digest of.
    pub digest: Option<Pin>,
    /// Bytes; `null` where it was not published.
    pub size: Option<u64>,
    /// Who published the digest.
    pub publishers: &'r [Publisher],
    /// The name of the image, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<&'r ImageName>,
}

/// A tarball, or an image that files are taken out of.
#[derive(Debug, Serialize)]
pub struct ArchiveDescription<'r> {
    #[serde(flatten)]
    pub origin: Origin<'r>,
    /// Components that are in it.
    pub components: Vec<&'r str>,
}

#[derive(Debug, Serialize)]
pub struct ComponentDescription<'r> {
    pub kind: Kind,
    pub version: &'r str,
    #[serde(flatten)]
    pub origin: Origin<'r>,
    /// The archive that it is in, and its path there; its bytes have the archive's origin.
    pub archive: Option<&'r str>,
    pub member: Option<&'r str>,
    /// The package that carries it.
    pub package: &'r str,
    /// SPDX expression.
    pub license: Option<&'r str>,
    /// Where its source is developed.
    pub upstream: Option<&'r str>,
    /// Who supplies it.
    pub supplier: Option<&'r str>,
    /// Package URL.
    pub purl: Option<&'r str>,
    /// CPE 2.3.
    pub cpe: Option<&'r str>,
}

impl<'r> Description<'r> {
    pub fn of(recipe: &'r Recipe) -> Self {
        let release = &recipe.release;
        let all = || release.components.iter().map(|(name, it)| (name.as_str(), component(release, name, it)));
        Self {
            name: &recipe.name,
            version: &release.version,
            arch: &release.arch,
            released: release.released,
            digest: recipe.digest(),
            archives: release.archives.iter().map(|(name, it)| (name.as_str(), archive(release, name, it))).collect(),
            components: all().filter(|(_, it)| it.kind != Kind::Image).collect(),
            images: all().filter(|(_, it)| it.kind == Kind::Image).collect(),
            files: recipe.files.iter().collect(),
        }
    }
}

fn archive<'r>(release: &'r Release, name: &str, archive: &'r Archive) -> ArchiveDescription<'r> {
    let Archive { urls, image, size, sources, .. } = archive;
    let inside = release.components.iter().filter(|(_, component)| component.archive.as_deref() == Some(name));
    ArchiveDescription {
        origin: Origin { urls, digest: archive.pin(), size: *size, publishers: sources, image: image.as_ref() },
        components: inside.map(|(component, _)| component.as_str()).collect(),
    }
}

fn component<'r>(release: &'r Release, name: &'r str, component: &'r Component) -> ComponentDescription<'r> {
    let Component { urls, image, size, sources, .. } = component;
    ComponentDescription {
        kind: component.kind,
        version: release.version_of(component).0,
        origin: Origin { urls, digest: component.pin(), size: *size, publishers: sources, image: image.as_ref() },
        archive: component.archive.as_deref(),
        member: component.member.as_deref(),
        package: component.package(name),
        license: component.license.as_deref(),
        upstream: component.upstream.as_deref(),
        supplier: component.supplier.as_deref(),
        purl: component.purl.as_deref(),
        cpe: component.cpe.as_deref(),
    }
}
