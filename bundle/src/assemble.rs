//! Plan, blobs and keys become file trees, one output after the other. Pure: nothing is read or written here.
//!
//! Text that holds a secret is built here, from structs; text that holds none came rendered with the plan.

mod about;
mod guide;
mod images;
mod installer;
pub mod kubeconfig;
mod manifests;
mod packages;
mod public;
mod restarts;
mod sbom;
pub mod seed;

use crate::artifact::{ArtifactInput, Written, WrittenFiles};
use crate::debian::repository::{self, Indexed};
use crate::fetch::{Blob, Blobs, LinkedPrograms};
use crate::pki::Pki;
use crate::plan::{FilePlan, NodePlan, Output, OutputKind, Plan, Source};
use crate::seal::{self, Sealed};
use crate::secret::Secret;
use crate::spec::{self, names::NodeName};
use crate::target::{InstallPath, Mode};
use crate::thin::index::Index;
use crate::tree::{Conflict, Content, Entry, Tree};
use about::About;

/// The plan, and everything that its outputs are made from.
#[derive(Clone, Copy)]
pub struct Ingredients<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Downloads.
    pub blobs: &'a Blobs,
    /// Go packages and modules that are linked into downloaded programs.
    pub linked: &'a LinkedPrograms,
    /// Keys and certificates.
    pub pki: &'a Pki,
    /// Who will sign the bundle, as lines of `allowed_signers`.
    pub signers: &'a [String],
}

/// A plan that doesn't add up. Loading a recipe finds most of these earlier.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Two files at one place.
    #[error("{node}: {source}")]
    Conflict { node: String, source: Conflict },
    /// Secrets that can't be encrypted.
    #[error("{path}: {source}")]
    Seal { path: String, source: seal::Error },
    /// A file needs something that was neither fetched nor issued.
    #[error("`{path}` needs {what}, which does not exist")]
    MissingInput {
        path: String,
        /// The component, certificate or output that is missing.
        what: String,
    },
}

/// What `output` is made from. Seeds carry files of `written`, and name their digests; an index lists them.
///
/// It is put together when it is needed, and dropped when it is packed, so that a hundred machines take no more memory
/// than one.
///
/// # Errors
/// [`Error`], where the plan asks for something that is not there.
pub fn assemble(output: &Output, from: Ingredients<'_>, written: &WrittenFiles) -> Result<ArtifactInput, Error> {
    let plan = from.plan;
    Ok(match &output.kind {
        OutputKind::Operator => ArtifactInput::Directory(operator(from)?),
        OutputKind::Archive { node } => {
            let node = node_plan(plan, node).ok_or_else(|| missing(&output.path, format!("node `{node}`")))?;
            let installed = tree(node.name.as_str(), &node.files, from)?;
            let readme = guide::machine(about(node, from), true)?;
            let sealed = sealed(&installed, Some(&node.name), &output.path, from)?;
            let wrapped = installer::wrap(&installed, &output.path, about(node, from), readme, sealed.as_ref());
            ArtifactInput::Archive(wrapped.map_err(|source| conflict(&node.name, source))?)
        }
        OutputKind::Package(package) => packages::package(package, from)?,
        OutputKind::Index => {
            let packages: Vec<_> = written.iter().filter_map(indexed).collect();
            let index = repository::index(&packages, plan.content.cluster.as_str(), plan.revision);
            ArtifactInput::Directory(index.map_err(|source| conflict_at(&output.path, source))?)
        }
        OutputKind::Checksum { of, .. } => {
            let file = &written.get(of).ok_or_else(|| missing(&output.path, format!("`{of}`")))?.file;
            let name = of.rsplit('/').next().unwrap_or(of);
            ArtifactInput::File(Entry::text(Mode::PUBLIC, format!("{}  {name}\n", file.sha256())))
        }
        OutputKind::Guide { language, form } => {
            ArtifactInput::File(Entry::text(Mode::PUBLIC, guide::bundle(*language, *form, from)?))
        }
        OutputKind::PublicSums => ArtifactInput::File(Entry::text(Mode::PUBLIC, public::list(from, written)?)),
        OutputKind::Sbom { standard } => {
            ArtifactInput::File(Entry::text(Mode::PUBLIC, sbom::document(*standard, from, written)))
        }
        OutputKind::ObjectIndex => ArtifactInput::File(Entry::text(Mode::PUBLIC, index(written).to_json())),
        OutputKind::ObjectSums => ArtifactInput::File(Entry::text(Mode::PUBLIC, index(written).sums())),
        OutputKind::Seed(seed) => {
            let node = seed.node.as_ref().and_then(|node| node_plan(plan, node));
            seed::seed(seed, node.map(|node| about(node, from)), from.signers, written)?
        }
    })
}

fn index(written: &WrittenFiles) -> Index {
    Index::of(written.iter().map(|(path, it)| (path, &it.file)))
}

/// Every download that some output holds compressed, and how.
pub fn compressed_blobs(from: Ingredients<'_>) -> Vec<(Blob, spec::Compression)> {
    let packed = from.plan.outputs.iter().filter_map(|output| match &output.kind {
        OutputKind::Archive { node } => Some((&node_plan(from.plan, node)?.files, spec::Compression::Gzip)),
        OutputKind::Package(package) => Some((&package.files, package.compression)),
        _ => None,
    });
    let blobs = packed.flat_map(|(files, how)| {
        files.iter().flat_map(|file| blobs_of(&file.source, from.blobs)).map(move |blob| (blob, how))
    });
    blobs.collect()
}

fn blobs_of(source: &Source, blobs: &Blobs) -> Vec<Blob> {
    match source {
        Source::Component(name) => blobs.get(name).cloned().into_iter().collect(),
        Source::Images(references) => {
            let images = references.iter().filter_map(|reference| blobs.image(reference));
            images.flat_map(|image| std::iter::once(&image.manifest).chain(&image.content)).cloned().collect()
        }
        _ => Vec::new(),
    }
}

/// The files for people.
fn operator(from: Ingredients<'_>) -> Result<Tree, Error> {
    let mut files = tree("operator", &from.plan.content.operator, from)?;
    if let Some(sealed) = sealed(&files, None, "operator", from)? {
        (files, _) = seal::without_secrets(files);
        for (name, entry) in sealed.files() {
            files.insert(InstallPath::known(name), entry).map_err(|source| conflict_at("operator", source))?;
        }
    }
    Ok(files)
}

fn about<'a>(node: &'a NodePlan, from: Ingredients<'a>) -> About<'a> {
    let authority = node.install.data_of.as_deref();
    let data_of = from.pki.infos().find(|(id, _)| Some(*id) == authority).map(|(_, info)| info.public_key);
    About { plan: from.plan, node, window: from.pki.window(), seal: from.pki.seal().map(|keys| keys.by), data_of }
}

/// The secrets among `files`, encrypted for a machine and for people; `None` if that is not wanted.
fn sealed(files: &Tree, node: Option<&NodeName>, path: &str, from: Ingredients<'_>) -> Result<Option<Sealed>, Error> {
    let sealed = from.pki.seal().map(|keys| seal::seal(files, node, keys)).transpose();
    sealed.map_err(|source| Error::Seal { path: path.to_owned(), source })
}

fn indexed<'w>((path, written): (&'w String, &'w Written)) -> Option<Indexed<'w>> {
    let stanza = written.stanza.as_deref()?;
    Some(Indexed { file_name: path.rsplit('/').next()?, stanza, file: &written.file })
}

fn node_plan<'p>(plan: &'p Plan, name: &NodeName) -> Option<&'p NodePlan> {
    plan.content.nodes.iter().find(|node| node.name == *name)
}

fn conflict(node: &NodeName, source: Conflict) -> Error {
    conflict_at(node.as_str(), source)
}

fn conflict_at(place: &str, source: Conflict) -> Error {
    Error::Conflict { node: place.to_owned(), source }
}

fn missing(path: &str, what: String) -> Error {
    Error::MissingInput { path: path.to_owned(), what }
}

fn tree(whose: &str, files: &[FilePlan], from: Ingredients<'_>) -> Result<Tree, Error> {
    let mut tree = Tree::default();
    for file in files {
        if let Source::Images(references) = &file.source {
            for (path, entry) in images::layout(file, references, from)? {
                tree.insert(path, entry).map_err(|source| conflict_at(whose, source))?;
            }
            continue;
        }
        let content = content(file, from)?;
        let entry = Entry { mode: file.mode, owner: file.owner.clone(), content };
        tree.insert(file.path.clone(), entry).map_err(|source| conflict_at(whose, source))?;
    }
    Ok(tree)
}

fn content(file: &FilePlan, Ingredients { blobs, pki, .. }: Ingredients<'_>) -> Result<Content, Error> {
    let missing = |what: String| missing(file.path.as_str(), what);
    let credential = |id: &str| pki.certificate(id).ok_or_else(|| missing(format!("certificate `{id}`")));
    let key = |id: &str| credential(id)?.key.clone().ok_or_else(|| missing(format!("the key of `{id}`")));
    let public = |text: &str| Content::Bytes(text.as_bytes().into());
    let secret = |text: Vec<u8>| Content::Secret(Secret::new(text));
    Ok(match &file.source {
        // The images of a machine are several files; `tree` makes them.
        Source::Directory | Source::Images(_) => Content::Directory,
        Source::Text(text) => public(text),
        Source::Link(target) => Content::Link(target.clone()),
        Source::Component(name) => {
            Content::Blob(blobs.get(name).cloned().ok_or_else(|| missing(format!("component `{name}`")))?)
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
                .map_err(missing)?,
            )
        }
        Source::BootstrapToken => secret(manifests::bootstrap_token(pki.token()).map_err(missing)?),
        Source::EncryptionConfig => secret(manifests::encryption_config(pki.encryption_key()).map_err(missing)?),
    })
}
