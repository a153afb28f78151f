//! What a build writes: artifacts, and what explains or lists them.

use serde::Serialize;

use super::guide::{Form, Language};
use super::{PackagePlan, SeedPlan};
use crate::spec::Format;
use crate::spec::names::NodeName;

/// Name of the list of what depends on no key, so that anybody can build it again and compare.
pub const PUBLIC_SUMS: &str = "public.SHA256SUMS";
/// Name of the list of objects that the other outputs consist of.
pub const OBJECT_INDEX: &str = "bundle.index";
/// Name of the list of digests of those objects, for sha256sum(1).
pub const OBJECT_SUMS: &str = "pieces.SHA256SUMS";

/// One artifact, or a directory of loose files.
#[derive(Debug, Serialize)]
pub struct Output {
    /// Path in the output directory.
    pub path: String,
    /// Its kind.
    #[serde(flatten)]
    pub kind: OutputKind,
}

/// What an artifact is.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum OutputKind {
    /// Loose files for people.
    Operator,
    /// An archive of one machine, with `install.sh`.
    Archive {
        /// For which machine.
        node: NodeName,
    },
    /// A package.
    Package(Box<PackagePlan>),
    /// What a package manager reads to find the packages.
    Index,
    /// The checksum of another output, for sha256sum(1) beside it.
    Checksum {
        /// The path of the other output.
        of: String,
        /// For which machine.
        node: NodeName,
    },
    /// What a machine's first boot reads.
    Seed(Box<SeedPlan>),
    /// The list of what depends on no key.
    PublicSums,
    /// What explains the bundle to people.
    Guide { language: Language, form: Form },
    /// What is in the bundle, for programs that look for vulnerabilities or licences.
    Sbom { standard: Standard },
    /// Of which objects all other outputs consist.
    ObjectIndex,
    /// The digests of these objects.
    ObjectSums,
}

/// How a list of software is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Standard {
    /// `CycloneDX` 1.6, as JSON.
    #[serde(rename = "cyclonedx")]
    CycloneDx,
    /// SPDX 2.3, as JSON.
    #[serde(rename = "spdx")]
    Spdx,
}

/// The lists of everything that the other outputs hold, so they come after these.
pub(super) fn sboms() -> impl Iterator<Item = Output> {
    let lists = [("sbom.cdx.json", Standard::CycloneDx), ("sbom.spdx.json", Standard::Spdx)];
    lists.into_iter().map(|(path, standard)| Output { path: path.to_owned(), kind: OutputKind::Sbom { standard } })
}

/// The lists of what all other outputs consist of, so they come last.
pub(super) fn objects() -> [Output; 2] {
    [(OBJECT_INDEX, OutputKind::ObjectIndex), (OBJECT_SUMS, OutputKind::ObjectSums)]
        .map(|(path, kind)| Output { path: path.to_owned(), kind })
}

impl OutputKind {
    /// For which machine it is, unless it is for all.
    pub fn node(&self) -> Option<&NodeName> {
        match self {
            Self::Archive { node } | Self::Checksum { node, .. } => Some(node),
            Self::Package(package) => package.node.as_ref(),
            Self::Seed(seed) => seed.node.as_ref(),
            Self::Operator
            | Self::Index
            | Self::PublicSums
            | Self::Guide { .. }
            | Self::Sbom { .. }
            | Self::ObjectIndex
            | Self::ObjectSums => None,
        }
    }

    /// The format of `cluster.toml` that asks for it; `None` for what every bundle has.
    pub fn format(&self) -> Option<Format> {
        match self {
            Self::Operator
            | Self::PublicSums
            | Self::Guide { .. }
            | Self::Sbom { .. }
            | Self::ObjectIndex
            | Self::ObjectSums => None,
            Self::Archive { .. } | Self::Checksum { .. } => Some(Format::Tarball),
            Self::Package(_) | Self::Index => Some(Format::Deb),
            Self::Seed(seed) => Some(seed.medium.format()),
        }
    }

    /// When it is written: it may hold, or name the digests of, what an earlier stage has written.
    pub(super) fn stage(&self) -> u8 {
        match self {
            Self::Operator | Self::Archive { .. } | Self::Package(_) => 0,
            Self::Checksum { .. } | Self::Index | Self::Seed(_) => 1,
            Self::PublicSums | Self::Guide { .. } => 2,
            Self::Sbom { .. } => 3,
            Self::ObjectIndex | Self::ObjectSums => 4,
        }
    }
}
