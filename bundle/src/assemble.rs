//! Plan, blobs and keys become file trees. Pure: nothing is read or written here.
//!
//! Text that holds a secret is built here, from structs; text that holds none came rendered with the plan.

mod installer;
pub mod kubeconfig;
mod manifests;
pub mod package;
mod restarts;
pub mod seed;
mod shell;

use std::collections::BTreeMap;
use std::io::Write as _;

use flate2::{Compression, GzBuilder};

use crate::fetch::{Blob, Blobs};
use crate::out::WrittenFile;
use crate::pki::Pki;
use crate::plan::{FilePlan, NodePlan, Output, OutputKind, PackagePlan, Plan, Source};
use crate::secret::Secret;
use crate::spec::{self, names::NodeName};
use crate::tree::{Conflict, Content, Entry, Package, Tree};
use seed::Seed;

/// What every output holds. It is put together when somebody asks for it, so that a hundred machines need no more memory
/// than one.
#[derive(Clone, Copy)]
pub struct Trees<'a> {
    plan: &'a Plan,
    blobs: &'a Blobs,
    pki: &'a Pki,
}

/// What one artifact is made from.
#[derive(Debug)]
pub enum ArtifactInput {
    /// An archive.
    Archive(Tree),
    /// A package.
    Package(Box<Package>),
    /// What a first boot reads.
    Seed(Seed),
}

/// A plan that doesn't add up. Loading a recipe finds most of these earlier.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Two files at one place.
    #[error("{node}: {source}")]
    Conflict {
        /// Whose tree.
        node: String,
        /// Which place.
        source: Conflict,
    },
    /// A file wants something that was neither fetched nor issued.
    #[error("`{path}` wants {what}, which is not there")]
    MissingInput {
        /// The file.
        path: String,
        /// What it wants.
        what: String,
    },
}

/// The trees of all outputs of a plan.
pub fn assemble<'a>(plan: &'a Plan, blobs: &'a Blobs, pki: &'a Pki) -> Trees<'a> {
    Trees { plan, blobs, pki }
}

impl Trees<'_> {
    /// What is packed into `output`. `packed` are outputs that are finished, by their paths: seeds carry some of them, and
    /// name their digests.
    pub fn artifact_input(
        &self,
        output: &Output,
        packed: &BTreeMap<String, WrittenFile>,
    ) -> Result<ArtifactInput, Error> {
        let Self { plan, blobs, pki } = *self;
        Ok(match &output.kind {
            OutputKind::Tarball { node } => {
                let node = node_plan(plan, node).ok_or_else(|| lacking(&output.path, format!("node `{node}`")))?;
                let installed = tree(node.name.as_str(), &node.files, blobs, pki)?;
                let packed = installer::wrap(&installed, &output.path, plan, node, pki.window());
                ArtifactInput::Archive(packed.map_err(|source| conflict(&node.name, source))?)
            }
            OutputKind::Deb(package) => ArtifactInput::Package(Box::new(assemble_package(plan, package, blobs, pki)?)),
            OutputKind::Seed(of) => {
                let node = of.node.as_ref().and_then(|node| node_plan(plan, node));
                ArtifactInput::Seed(seed::seed(of, plan, node, pki.window(), packed)?)
            }
        })
    }

    /// What lies below `operator/`.
    pub fn operator(&self) -> Result<Tree, Error> {
        tree("operator", &self.plan.operator, self.blobs, self.pki)
    }

    /// Every program that some output holds compressed, and how.
    pub fn programs(&self) -> Vec<(Blob, spec::Compression)> {
        let packed = self.plan.outputs.iter().filter_map(|output| match &output.kind {
            OutputKind::Tarball { node } => Some((&node_plan(self.plan, node)?.files, spec::Compression::Gzip)),
            OutputKind::Deb(package) => Some((&package.files, package.compression)),
            OutputKind::Seed(_) => None,
        });
        let programs = packed.flat_map(|(files, how)| {
            files.iter().filter_map(move |file| match &file.source {
                Source::Component(name) => Some((self.blobs.get(name)?.clone(), how)),
                _ => None,
            })
        });
        programs.collect()
    }
}

fn node_plan<'p>(plan: &'p Plan, name: &NodeName) -> Option<&'p NodePlan> {
    plan.nodes.iter().find(|node| node.name == *name)
}

fn assemble_package(plan: &Plan, package: &PackagePlan, blobs: &Blobs, pki: &Pki) -> Result<Package, Error> {
    let name = package.control.package.as_str();
    let own = tree(name, &package.files, blobs, pki)?;
    let Some(node) = &package.node else { return Ok(package::shared(package, own)) };
    let node = node_plan(plan, node).ok_or_else(|| lacking(name, format!("node `{node}`")))?;
    // It knows the programs that it works with, though others bring them.
    let programs = plan.outputs.iter().flat_map(|output| match &output.kind {
        OutputKind::Deb(other) if other.node.is_none() => &other.files[..],
        _ => &[],
    });
    let programs = programs.filter(|file| matches!(file.source, Source::Component(_)));
    // Administrators tell dpkg to leave documentation out; a machine works without.
    let needed = package.files.iter().filter(|file| !file.path.as_str().starts_with("usr/share/"));
    let everything: Vec<_> = needed.chain(programs).cloned().collect();
    let installed = tree(name, &everything, blobs, pki)?;
    package::node(package, own, &installed, plan, node, pki.window()).map_err(|source| conflict(&node.name, source))
}

fn conflict(node: &NodeName, source: Conflict) -> Error {
    Error::Conflict { node: node.to_string(), source }
}

fn lacking(path: &str, what: String) -> Error {
    Error::MissingInput { path: path.to_owned(), what }
}

fn tree(whose: &str, files: &[FilePlan], blobs: &Blobs, pki: &Pki) -> Result<Tree, Error> {
    let mut tree = Tree::default();
    for file in files {
        let content = content(file, blobs, pki)?;
        let entry = Entry { mode: file.mode, owner: file.owner.clone(), content };
        tree.insert(file.path.clone(), entry).map_err(|source| Error::Conflict { node: whose.to_owned(), source })?;
    }
    Ok(tree)
}

fn content(file: &FilePlan, blobs: &Blobs, pki: &Pki) -> Result<Content, Error> {
    let lacking = |what: String| lacking(file.path.as_str(), what);
    let credential = |id: &str| pki.certificate(id).ok_or_else(|| lacking(format!("certificate `{id}`")));
    let key = |id: &str| credential(id)?.key.clone().ok_or_else(|| lacking(format!("the key of `{id}`")));
    let public = |text: &str| Content::Bytes(text.as_bytes().into());
    let secret = |text: Vec<u8>| Content::Secret(Secret::new(text));
    Ok(match &file.source {
        Source::Directory => Content::Directory,
        Source::Link(target) => Content::Link(target.clone()),
        Source::Text(text) => public(text),
        Source::Gzipped(text) => Content::Bytes(gzipped(text).into()),
        Source::Component(name) => {
            Content::Blob(blobs.get(name).cloned().ok_or_else(|| lacking(format!("component `{name}`")))?)
        }
        Source::Certificate(id) => public(&credential(id)?.public),
        Source::Key(id) => Content::Secret(key(id)?),
        Source::Kubeconfig(plan) => {
            let ca = credential("ca")?;
            secret(
                kubeconfig::render(
                    plan,
                    &ca.public,
                    |id| Some((credential(id).ok()?.public.as_str(), key(id).ok()?)),
                    pki.token(),
                )
                .map_err(lacking)?,
            )
        }
        Source::BootstrapToken => secret(manifests::bootstrap_token(pki.token()).map_err(lacking)?),
        Source::EncryptionConfig => secret(manifests::encryption_config(pki.encryption_key()).map_err(lacking)?),
    })
}

/// As `gzip -9n` does it: neither name nor time (Debian Policy 12.7).
fn gzipped(text: &str) -> Vec<u8> {
    let mut encoder = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    let written = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish());
    written.unwrap_or_else(|why| unreachable!("memory takes all that is written: {why}"))
}
