//! What will exist: pure, complete, printable, free of secrets.
//!
//! Planning needs no network, no key and no clock. Text that holds no secret is rendered here already, and its flags are
//! checked, so a mistake in a template costs no download.
//!
//! A plan is made in two steps, because packages carry a number that is known only when all keys exist: [`plan()`] makes
//! an [`UnnumberedPlan`], and [`UnnumberedPlan::number`] turns it into the [`Plan`] that is built. The digest of a plan
//! stands in the manifest of what was built from it.

pub mod certificates;
mod completeness;
pub mod downloads;
pub mod files;
pub mod guide;
pub mod output;
mod packages;
pub(crate) mod seeds;
mod values;

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::Serialize;
use time::OffsetDateTime;

use crate::hash::Sha256;
use crate::package::{Directories, PackageManager, PackageName};
use crate::recipe::Recipe;
use crate::recipe::install::Install;
use crate::spec::names::{ClusterName, Endpoint, NodeName, RoleName};
use crate::spec::{ClusterSpec, Format, Node, Service};
pub use certificates::{CertId, CertPlan, PkiPlan};
pub use downloads::Download;
pub use files::{FilePlan, Source};
pub use output::{OBJECT_INDEX, OBJECT_SUMS, Output, OutputKind, PUBLIC_SUMS};
pub use packages::PackagePlan;
pub use seeds::{Medium, SeedPlan};
use values::{Holder, Templates, holds};

/// Everything a build will do.
#[derive(Debug, Serialize)]
pub struct Plan {
    /// What the bundle is made of.
    #[serde(flatten)]
    pub content: Content,
    /// Which build of this cluster it is: the revision of the machines' packages.
    pub revision: u32,
    /// What is written, besides the manifest and the checksums, in the order of writing.
    pub outputs: Vec<Output>,
}

/// What a bundle is made of, however it is packed and numbered.
#[derive(Debug, Serialize)]
pub struct Content {
    /// Name of the cluster.
    pub cluster: ClusterName,
    /// URL that components and users dial.
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
    /// Files to download.
    pub downloads: Vec<Download>,
    /// Keys and certificates to issue.
    pub pki: PkiPlan,
    /// The machines.
    pub nodes: Vec<NodePlan>,
    /// What people get, below `operator/`.
    pub operator: Vec<FilePlan>,
}

/// One machine.
#[derive(Debug, Serialize)]
pub struct NodePlan {
    pub name: NodeName,
    pub address: IpAddr,
    /// Its roles, in the order in which their units start.
    pub roles: Vec<RoleName>,
    /// What the rest of the cluster relies on it for.
    pub provides: BTreeSet<Service>,
    /// Units, ports and directories that the installer looks after.
    pub install: Install,
    /// Files, sorted by path.
    pub files: Vec<FilePlan>,
}

impl NodePlan {
    /// Its roles as people read them: `etcd, master`.
    pub fn role_names(&self) -> String {
        let names: Vec<_> = self.roles.iter().map(RoleName::as_str).collect();
        names.join(", ")
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

    /// The files that an archive or a package installs, by its path in the output directory.
    pub fn files_of(&self, output: &str) -> Option<&[FilePlan]> {
        let output = self.outputs.iter().find(|other| other.path == output)?;
        match &output.kind {
            OutputKind::Archive { node } => {
                self.content.nodes.iter().find(|other| other.name == *node).map(|node| &node.files[..])
            }
            OutputKind::Package(package) => Some(&package.files),
            _ => None,
        }
    }

    /// The outputs in groups that can be written one after the other: those of a group need none of the same group.
    pub fn stages(&self) -> impl Iterator<Item = &[Output]> {
        self.outputs.chunk_by(|one, next| one.kind.stage() == next.kind.stage())
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

/// A plan whose packages have no number yet.
#[derive(Debug)]
pub struct UnnumberedPlan<'a> {
    spec: &'a ClusterSpec,
    manager: &'a dyn PackageManager,
    content: Content,
    packages: Vec<PackagePlan>,
}

/// Plans a cluster. `manager` is asked about its packages. `date` is the modification time of packed files instead of the recipe's.
///
/// # Errors
/// All errors of the recipe's templates, flags and certificates for this cluster.
pub fn plan<'a>(
    spec: &'a ClusterSpec,
    recipe: &Recipe,
    manager: &'a dyn PackageManager,
    date: Option<OffsetDateTime>,
) -> Result<UnnumberedPlan<'a>, Error> {
    let refuse = |mut faults: Vec<String>| {
        // Three masters have the same fault three times.
        faults.sort();
        faults.dedup();
        Error { recipe: recipe.name.clone(), faults }
    };
    let templates = Templates::new(spec, recipe, Directories::LOCAL).map_err(|why| refuse(vec![why]))?;
    let (mut nodes, mut faults) = (Vec::new(), Vec::new());
    for node in &spec.nodes {
        match files::of_node(&templates, node) {
            Ok(files) => nodes.push(node_plan(node, spec, recipe, files)),
            Err(more) => faults.extend(more),
        }
    }
    let operator = files::of_operator(&templates).unwrap_or_else(|more| {
        faults.extend(more);
        Vec::new()
    });
    if faults.is_empty() {
        faults = completeness::missing(&nodes);
    }
    if !faults.is_empty() {
        return Err(refuse(faults));
    }
    let timestamp = date.unwrap_or(recipe.release.released);
    // Without packages they are planned for the number alone, so that it doesn't depend on what a build writes.
    let packages = match packages::plan(spec, recipe, manager, timestamp) {
        Err(faults) if spec.packs(Format::Deb) => return Err(refuse(faults)),
        planned => planned.unwrap_or_default(),
    };
    let content = Content {
        cluster: spec.name.clone(),
        endpoint: spec.endpoint.clone(),
        version: recipe.release.version.clone(),
        arch: recipe.release.arch.clone(),
        recipe: recipe.name.clone(),
        recipe_digest: recipe.digest(),
        timestamp,
        downloads: downloads::plan(recipe, nodes.iter().flat_map(|node| &node.files).chain(&operator)),
        pki: certificates::plan(&templates).map_err(refuse)?,
        nodes,
        operator,
    };
    Ok(UnnumberedPlan { spec, manager, content, packages })
}

fn node_plan(node: &Node, spec: &ClusterSpec, recipe: &Recipe, files: Vec<FilePlan>) -> NodePlan {
    let roles = recipe.roles.iter().map(|(name, _)| name).filter(|name| node.roles.contains(name)).cloned().collect();
    let install = install_of(node, spec, recipe);
    NodePlan { name: node.name.clone(), address: node.address, roles, provides: node.provides.clone(), install, files }
}

/// Units, ports, directories and requirements of all roles of a machine.
fn install_of(node: &Node, spec: &ClusterSpec, recipe: &Recipe) -> Install {
    let mut install = Install::default();
    for (_, role) in recipe.roles.iter().filter(|(name, _)| node.roles.contains(name)) {
        install.add(&role.install);
        for optional in role.optional.iter().filter(|it| holds(Some(it.when), spec, Holder::Node(node))) {
            install.add(&optional.install);
        }
    }
    install
}

impl UnnumberedPlan<'_> {
    /// What the bundle is made of.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// Whether the number is not fixed by `cluster.toml`.
    pub fn wants_number(&self) -> bool {
        self.spec.deb.revision.is_none()
    }

    /// A digest over all that packages and archives are made of, keys and certificates apart.
    pub fn digest(&self) -> Sha256 {
        let scripts = self.manager.scripts_digest();
        let text = serde_json::to_string(&(&self.content, &self.packages, scripts, env!("CARGO_PKG_VERSION")));
        let text = text.unwrap_or_else(|why| unreachable!("a plan has string keys only: {why}"));
        Sha256::of(text.as_bytes())
    }

    /// The plan of the build with this number; `cluster.toml` may fix another.
    #[must_use]
    pub fn number(self, revision: u32) -> Plan {
        let Self { spec, manager, content, packages } = self;
        let revision = spec.deb.revision.unwrap_or(revision);
        let mut outputs = vec![Output { path: "operator".to_owned(), kind: OutputKind::Operator }];
        if spec.packs(Format::Tarball) {
            outputs.extend(content.nodes.iter().map(|node| archive(&content, &node.name)));
        }
        let packages = if spec.packs(Format::Deb) { packages } else { Vec::new() };
        let of_cluster =
            packages.iter().filter(|package| package.is_numbered).map(|package| package.about.name.clone());
        let of_cluster: BTreeSet<_> = of_cluster.collect();
        let index = Output { path: manager.repository().to_owned(), kind: OutputKind::Index };
        let index = (!packages.is_empty()).then_some(index);
        let packages = packages.into_iter();
        outputs.extend(packages.map(|package| numbered(package, &of_cluster, revision, manager)));
        let seeds = seeds::plan(spec, &outputs);
        let checksums: Vec<_> = outputs.iter().filter_map(checksum).collect();
        let public = Output { path: PUBLIC_SUMS.to_owned(), kind: OutputKind::PublicSums };
        let explained = guide::outputs().chain(output::sboms()).chain(output::objects());
        outputs.extend(checksums.into_iter().chain(index).chain(seeds).chain([public]).chain(explained));
        Plan { content, revision, outputs }
    }
}

fn archive(content: &Content, node: &NodeName) -> Output {
    let Content { cluster, version, arch, .. } = content;
    let name = Format::archive_name(&format!("{cluster}-{node}-{version}-{arch}"));
    Output { path: format!("nodes/{node}/{name}"), kind: OutputKind::Archive { node: node.clone() } }
}

fn checksum(output: &Output) -> Option<Output> {
    let OutputKind::Archive { node } = &output.kind else { return None };
    let kind = OutputKind::Checksum { of: output.path.clone(), node: node.clone() };
    Some(Output { path: format!("{}.sha256", output.path), kind })
}

/// A package of this cluster gets the number of the build, and so do relations to one; others have a number that follows
/// from what is in them.
fn numbered(
    mut package: PackagePlan,
    of_cluster: &BTreeSet<PackageName>,
    revision: u32,
    manager: &dyn PackageManager,
) -> Output {
    if package.is_numbered {
        package.about.version = package.about.version.with_revision(revision);
    }
    for relation in package.about.depends.iter_mut().filter(|relation| of_cluster.contains(&relation.package)) {
        relation.exactly = relation.exactly.take().map(|version| version.with_revision(revision));
    }
    let path = format!("{}/{}", manager.repository(), manager.file_name(&package.about));
    Output { path, kind: OutputKind::Package(Box::new(package)) }
}
