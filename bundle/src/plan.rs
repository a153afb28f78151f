//! What will exist: pure, complete, printable, free of secrets.
//!
//! Planning needs no network, no key and no clock. Text that holds no secret is rendered here already, and
//! its flags are checked, so a mistake in a template costs no download. The digest of a plan stands in the
//! manifest of what was built from it.

pub mod certificates;
pub mod downloads;
pub mod files;
mod packages;
mod seeds;

use std::net::IpAddr;

use serde::Serialize;
use time::OffsetDateTime;

use crate::hash::Sha256;
use crate::recipe::Recipe;
use crate::recipe::layout::Install;
use crate::spec::names::{ClusterName, Endpoint, NodeName};
use crate::spec::{ClusterSpec, Format};
pub use certificates::{CertId, CertPlan, PkiPlan};
pub use downloads::Download;
pub use files::{FilePlan, Source};
pub use packages::PackagePlan;
pub use seeds::{Medium, SeedPlan};

/// Everything a build will do.
#[derive(Debug, Serialize)]
pub struct Plan {
    /// Name of the cluster.
    pub cluster: ClusterName,
    /// What every component and user dials.
    pub endpoint: Endpoint,
    /// Kubernetes version, with its `v`.
    pub version: String,
    /// Architecture as Debian and Go name it.
    pub arch: String,
    /// How the user named the recipe.
    pub recipe: String,
    /// Digest over every text of the recipe.
    pub recipe_digest: Sha256,
    /// Modification time of every packed file.
    #[serde(with = "time::serde::rfc3339")]
    pub timestamp: OffsetDateTime,
    /// Which build of this cluster it is: the Debian revision of the machines' packages.
    pub revision: u32,
    /// What is fetched.
    pub downloads: Vec<Download>,
    /// What is issued.
    pub pki: PkiPlan,
    /// What each machine gets.
    pub nodes: Vec<NodePlan>,
    /// What people get, below `operator/`.
    pub operator: Vec<FilePlan>,
    /// What is written, besides `operator/`, the manifest and the checksums.
    pub outputs: Vec<Output>,
}

/// One machine.
#[derive(Debug, Serialize)]
pub struct NodePlan {
    /// Its host name.
    pub name: NodeName,
    /// Its address.
    pub address: IpAddr,
    /// Units, ports and directories that the installer looks after.
    pub install: Install,
    /// Files, sorted by path.
    pub files: Vec<FilePlan>,
}

/// One artifact.
#[derive(Debug, Serialize)]
pub struct Output {
    /// Path in the output directory.
    pub path: String,
    /// What it is.
    #[serde(flatten)]
    pub kind: OutputKind,
}

/// What an artifact is.
#[derive(Debug, Serialize)]
#[serde(tag = "format", rename_all = "lowercase")]
pub enum OutputKind {
    /// An archive of one machine, with `install.sh`.
    Tarball {
        /// For which machine.
        node: NodeName,
    },
    /// A Debian package.
    Deb(Box<PackagePlan>),
    /// What a machine's first boot reads.
    Seed(Box<SeedPlan>),
}

impl OutputKind {
    /// For which machine it is, unless it is for all.
    pub fn node(&self) -> Option<&NodeName> {
        match self {
            Self::Tarball { node } => Some(node),
            Self::Deb(package) => package.node.as_ref(),
            Self::Seed(seed) => seed.node.as_ref(),
        }
    }

    /// How it is packed.
    pub fn format(&self) -> Format {
        match self {
            Self::Tarball { .. } => Format::Tarball,
            Self::Deb(_) => Format::Deb,
            Self::Seed(seed) => seed.medium.format(),
        }
    }
}

/// What sets one build apart from another of the same spec and recipe.
#[derive(Debug, Clone, Copy)]
pub struct BuildInfo {
    /// `SOURCE_DATE_EPOCH`, where the environment has it.
    pub epoch: Option<OffsetDateTime>,
    /// Which build of this cluster it is, from 1: the Debian revision of the machines' packages.
    pub revision: u32,
}

impl Default for BuildInfo {
    fn default() -> Self {
        Self { epoch: None, revision: 1 }
    }
}

/// A plan that can't be made, though the spec alone and the recipe alone are right.
#[derive(Debug, thiserror::Error)]
#[error("recipe `{recipe}` can't be planned for this cluster:{}", faults.iter().map(|fault| format!("\n  {fault}")).collect::<String>())]
pub struct Error {
    recipe: String,
    faults: Vec<String>,
}

impl Error {
    /// What to do next.
    pub fn hint(&self) -> String {
        "correct the recipe; `kube-bundle recipe show` lists its files".to_owned()
    }
}

/// Plans a cluster.
pub fn plan(spec: &ClusterSpec, recipe: &Recipe, build: BuildInfo) -> Result<Plan, Error> {
    let refuse = |faults| Error { recipe: recipe.name.clone(), faults };
    let files = files::plan(spec, recipe).map_err(refuse)?;
    let pki = certificates::plan(spec, recipe);
    let unsigned = pki.unsigned();
    if !unsigned.is_empty() {
        return Err(refuse(unsigned));
    }
    let timestamp = build.epoch.unwrap_or(recipe.release.released);
    let revision = spec.deb.revision.unwrap_or(build.revision);
    let mut outputs = Vec::new();
    if spec.packs(Format::Tarball) {
        outputs.extend(files.nodes.iter().map(|node| tarball(spec, recipe, &node.name)));
    }
    if spec.packs(Format::Deb) {
        let packages = packages::plan(spec, recipe, revision, timestamp);
        outputs.extend(packages.map_err(refuse)?);
    }
    outputs.extend(seeds::plan(spec, &outputs));
    Ok(Plan {
        cluster: spec.name.clone(),
        endpoint: spec.endpoint.clone(),
        version: recipe.release.version.clone(),
        arch: recipe.release.arch.clone(),
        recipe: recipe.name.clone(),
        recipe_digest: recipe.digest(),
        timestamp,
        revision,
        downloads: downloads::plan(recipe),
        pki,
        nodes: files.nodes,
        operator: files.operator,
        outputs,
    })
}

fn tarball(spec: &ClusterSpec, recipe: &Recipe, node: &NodeName) -> Output {
    let (version, arch) = (&recipe.release.version, &recipe.release.arch);
    Output {
        path: format!("nodes/{node}/{}-{node}-{version}-{arch}.tar.gz", spec.name),
        kind: OutputKind::Tarball { node: node.clone() },
    }
}

impl Plan {
    /// The plan as `plan --json` prints it.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_else(|why| unreachable!("a plan has string keys only: {why}"))
    }

    /// Digest of everything but the outputs: what a build of other formats, or another revision, has in common.
    pub fn content_digest(&self) -> Sha256 {
        let mut plan =
            serde_json::to_value(self).unwrap_or_else(|why| unreachable!("a plan has string keys only: {why}"));
        if let Some(plan) = plan.as_object_mut() {
            plan.remove("outputs");
            plan.remove("revision");
        }
        Sha256::of(plan.to_string().as_bytes())
    }

    /// Digest of the printed plan.
    pub fn digest(&self) -> Sha256 {
        Sha256::of(self.to_json().as_bytes())
    }
}
