//! What will exist: pure, complete, printable, free of secrets.
//!
//! Planning needs no network, no key and no clock. Text that holds no secret is rendered here already, and
//! its flags are checked, so a mistake in a template costs no download. The digest of a plan stands in the
//! manifest of what was built from it.

pub mod certificates;
pub mod downloads;
pub mod files;

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
    /// How it is packed.
    pub format: Format,
    /// For which machine.
    pub node: NodeName,
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

/// Plans a cluster. `epoch` is `SOURCE_DATE_EPOCH`, where the environment has it.
pub fn plan(spec: &ClusterSpec, recipe: &Recipe, epoch: Option<OffsetDateTime>) -> Result<Plan, Error> {
    let refuse = |faults| Error { recipe: recipe.name.clone(), faults };
    let files = files::plan(spec, recipe).map_err(refuse)?;
    let pki = certificates::plan(spec, recipe);
    let unsigned = pki.unsigned();
    if !unsigned.is_empty() {
        return Err(refuse(unsigned));
    }
    let outputs = files.nodes.iter().map(|node| tarball(spec, recipe, &node.name)).collect();
    Ok(Plan {
        cluster: spec.name.clone(),
        endpoint: spec.endpoint.clone(),
        version: recipe.release.version.clone(),
        arch: recipe.release.arch.clone(),
        recipe: recipe.name.clone(),
        recipe_digest: recipe.digest(),
        timestamp: epoch.unwrap_or(recipe.release.released),
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
        format: Format::Tarball,
        node: node.clone(),
    }
}

impl Plan {
    /// The plan as `plan --json` prints it.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_else(|why| unreachable!("a plan has string keys only: {why}"))
    }

    /// Digest of the printed plan.
    pub fn digest(&self) -> Sha256 {
        Sha256::of(self.to_json().as_bytes())
    }
}
