//! `recipe.toml`: the release, and what each component of it is, where it comes from and who vouches for its digest.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::hash::{Pin, Sha256, Sha512};
use crate::spec::ImageName;

/// The release and its downloads.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// Kubernetes version, with its `v`.
    pub version: String,
    /// Architecture as Go and Debian name it.
    pub arch: String,
    /// Package revision of components that have none of their own: grows whenever their bytes change and `version` does
    /// not.
    #[serde(default = "first")]
    pub revision: u32,
    /// The embedded recipe that lends the files this directory lacks.
    #[serde(default)]
    pub base: Option<String>,
    /// Default modification time of packed files, RFC 3339.
    #[serde(deserialize_with = "timestamp")]
    pub released: OffsetDateTime,
    /// Tarballs that components are taken from.
    #[serde(default)]
    pub archives: BTreeMap<String, Archive>,
    /// What machines get, besides text: programs and plain files.
    pub components: BTreeMap<String, Component>,
    /// Values for this recipe's templates.
    #[serde(default)]
    pub vars: BTreeMap<String, String>,
}

/// A release tarball, or a container image that files are taken out of.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// Where it is, in the order of trying. For an image, repositories: `https://registry.k8s.io/v2/coredns`.
    pub urls: Vec<String>,
    /// The name of the image, if it is one; its digest is that of the manifest, or of a list of manifests.
    #[serde(default)]
    pub image: Option<ImageName>,
    /// SHA-256, where that is what its publisher gives.
    #[serde(default)]
    pub sha256: Option<Sha256>,
    /// SHA-512, likewise.
    #[serde(default)]
    pub sha512: Option<Sha512>,
    /// Length in bytes, where it was published.
    #[serde(default)]
    pub size: Option<u64>,
    /// Publishers of the digest.
    pub sources: Vec<Publisher>,
}

/// Something that machines get.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// Its kind.
    #[serde(default)]
    pub kind: Kind,
    /// Its own version; the release's if left out.
    #[serde(default)]
    pub version: Option<String>,
    /// Package revision; the release's if left out.
    #[serde(default)]
    pub revision: Option<u32>,
    /// The tarball it is in.
    #[serde(default)]
    pub archive: Option<String>,
    /// The path of the file in the archive.
    #[serde(default)]
    pub member: Option<String>,
    /// The name of the container image, if its kind is that.
    #[serde(default)]
    pub image: Option<ImageName>,
    /// Where it is as a single file; for an image, repositories.
    #[serde(default)]
    pub urls: Vec<String>,
    /// Its SHA-256, published or computed from a file the user holds.
    #[serde(default)]
    pub sha256: Option<Sha256>,
    /// Its SHA-512, where only that was published.
    #[serde(default)]
    pub sha512: Option<Sha512>,
    #[serde(default)]
    pub size: Option<u64>,
    /// Publishers of the digest.
    #[serde(default)]
    pub sources: Vec<Publisher>,
    /// SPDX license expression.
    #[serde(default)]
    pub license: Option<String>,
    /// Where its source is developed.
    #[serde(default)]
    pub upstream: Option<String>,
    /// Who supplies it, by name.
    #[serde(default)]
    pub supplier: Option<String>,
    /// The URL by which databases of packages know it (<https://github.com/package-url/purl-spec>); an image needs none.
    #[serde(default)]
    pub purl: Option<String>,
    /// The name by which databases of vulnerabilities know it (CPE 2.3, NIST IR 7695).
    #[serde(default)]
    pub cpe: Option<String>,
    /// The package that carries it; one of its own, under its name, if left out.
    #[serde(default)]
    pub package: Option<String>,
    /// Where it is installed, a template; `{{ bin }}/NAME` if left out.
    #[serde(default)]
    pub path: Option<String>,
}

/// What a component is: which checks it must pass, and with which mode it is installed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// An ELF program for x86-64, installed 0755.
    #[default]
    Program,
    /// Any bytes, installed 0644.
    File,
    /// A container image. It is in the layout of images of each machine whose roles need it.
    Image,
}

/// The publisher of a digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Publisher {
    /// A file in a public repository, as it was at a commit.
    File {
        /// `OWNER/NAME`.
        repository: String,
        /// The file in it.
        path: String,
        /// The commit at which the file was read.
        commit: String,
    },
    /// Said in words, where there is no such file: digests of one's own files, for example.
    Statement(String),
}

impl fmt::Display for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { repository, path, commit } => write!(f, "{repository} {path} @{commit}"),
            Self::Statement(text) => f.write_str(text),
        }
    }
}

impl Release {
    /// Version and package revision of a component.
    pub fn version_of<'a>(&'a self, component: &'a Component) -> (&'a str, u32) {
        (component.version.as_deref().unwrap_or(&self.version), component.revision.unwrap_or(self.revision))
    }
}

impl Archive {
    /// What it must hash to. Loading a recipe makes sure that there is one.
    pub fn pin(&self) -> Option<Pin> {
        pin(self.sha256, self.sha512)
    }
}

impl Component {
    /// What it must hash to; `None` if only its archive has a digest.
    pub fn pin(&self) -> Option<Pin> {
        pin(self.sha256, self.sha512)
    }

    /// The package that carries the component called `name`.
    pub fn package<'a>(&'a self, name: &'a str) -> &'a str {
        self.package.as_deref().unwrap_or(name)
    }
}

/// SHA-256 first: it is what the store names its files by, so nothing has to be hashed to find them.
fn pin(sha256: Option<Sha256>, sha512: Option<Sha512>) -> Option<Pin> {
    sha256.map(Pin::Sha256).or(sha512.map(Pin::Sha512))
}

fn first() -> u32 {
    1
}

fn timestamp<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<OffsetDateTime, D::Error> {
    let text = String::deserialize(deserializer)?;
    OffsetDateTime::parse(&text, &Rfc3339).map_err(serde::de::Error::custom)
}
