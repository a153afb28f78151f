//! Offline bundles that turn bare machines into a Kubernetes cluster.
//!
//! ```text
//! cluster.toml ─parse─▶ ClusterSpec ┐
//!                                   ├─plan─▶ Plan ─┬─fetch─▶ Blobs ┐
//! recipes/v1.16.0 ─load─▶ Recipe ───┘   (pure)     └─issue─▶ Pki ──┼─assemble─▶ inputs ─pack─▶ files ─▶ manifest
//!                                                  (effects)       ┘  (pure)        (effects)
//! ```
//!
//! [`build`] is the whole story. Each stage is a module of that name, in this order; `ARCHITECTURE.md` says
//! what must stay true of them.

mod armor;
pub mod artifact;
pub mod assemble;
pub mod audit;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod debian;
pub mod demo;
mod der;
pub mod diagnostic;
pub mod diff;
pub mod error;
pub mod fetch;
pub mod golang;
pub mod hash;
pub mod inspect;
pub mod manifest;
pub mod message;
pub mod object;
pub mod out;
pub mod pack;
pub mod package;
pub mod pin;
pub mod pki;
pub mod plan;
pub mod printable;
pub mod progress;
pub mod recipe;
pub mod registry;
pub mod regular;
pub mod scripts;
pub mod seal;
pub mod secret;
pub mod serve;
pub mod sign;
pub mod spec;
mod ssh;
pub mod target;
pub mod thin;
pub mod tree;
pub mod trust;
pub mod verify;
pub mod workers;

pub use error::Error;

use std::path::Path;

use artifact::WrittenFiles;
use assemble::Ingredients;
use manifest::Manifest;
use out::Staging;
use pack::{CompressedCache, PackContext};
use pki::revision;
use progress::{Progress, timed};
use recipe::Recipe;
use sign::{Purpose, Signer};
use spec::ClusterSpec;

/// Where a build takes place, and with what.
#[derive(Debug)]
pub struct BuildContext<'a> {
    /// Verified downloads, shared by all builds.
    pub store: fetch::Store,
    /// Where files come from.
    pub sources: fetch::Sources,
    /// Where keys are kept, and the present time.
    pub pki: pki::PkiContext<'a>,
    /// The output directory.
    pub out: &'a Path,
    /// How many artifacts are packed at a time.
    pub jobs: usize,
    /// Modification time of packed files, instead of the recipe's.
    pub date: Option<time::OffsetDateTime>,
    /// Whose signatures the bundle gets; nobody's, if there are none.
    pub signers: &'a [Signer],
}

/// Builds a bundle: plans it, fetches and issues what it is made of, numbers it, writes its outputs one stage after the
/// other, records the number when everything was written, and signs.
///
/// # Errors
/// Whatever stage fails; the output directory is as it was before.
pub fn build(
    spec: &ClusterSpec,
    recipe: &Recipe,
    at: &BuildContext<'_>,
    progress: &dyn Progress,
) -> Result<Manifest, Error> {
    let permission = |there: &Path| Manifest::permit_replacement(there, spec.name.as_str());
    out::check(at.out, &permission)?;
    let plan = timed(progress, "Planning", || plan::plan(spec, recipe, &debian::Dpkg, at.date))?;
    let downloads = &plan.content().downloads;
    let blobs = timed(progress, "Fetching", || fetch::fetch(downloads, &at.store, &at.sources, progress))?;
    let pki = timed(progress, "Issuing", || pki::issue(&plan.content().pki, &at.pki, progress))?;
    let revision = revision::next(&plan, &pki, &at.pki)?;
    let plan = plan.number(revision.as_ref().map_or(1, revision::Revision::number));

    let linked = fetch::linked(&blobs, &at.store)?;
    let signers: Vec<_> =
        at.signers.iter().map(|signer| trust::allowed_signer(signer.public(), Purpose::Bundle)).collect();
    let from = Ingredients { plan: &plan, blobs: &blobs, linked: &linked, pki: &pki, signers: &signers };
    let staging = Staging::begin(at.out, &permission).map_err(pack::Error::from)?;
    let compressed = assemble::compressed_blobs(from);
    let cache = timed(progress, "Compressing", || pack::compress(&compressed, &at.store, at.jobs, progress))?;
    let written = timed(progress, "Packing", || pack_all(from, &staging, &cache, at, progress))?;
    let manifest = artifact::manifest(spec.text, &plan, &blobs, &pki, written);
    // In this order: a number whose bundle never appeared is skipped, but no two bundles have the same.
    if let Some(revision) = revision {
        revision.record(&manifest, &at.pki)?;
    }
    pack::lists(&staging, &manifest)?;
    sign::bundle(staging.directory(), at.signers)?;
    staging.finish().map_err(pack::Error::from)?;
    Ok(manifest)
}

/// Writes the outputs of the plan, stage by stage.
fn pack_all(
    from: Ingredients<'_>,
    staging: &Staging<'_>,
    cache: &CompressedCache,
    at: &BuildContext<'_>,
    progress: &dyn Progress,
) -> Result<WrittenFiles, Error> {
    let mtime = from.plan.content.timestamp.unix_timestamp();
    let mut written = WrittenFiles::new();
    for stage in from.plan.stages() {
        let files = workers::each_in_order(at.jobs, stage, progress, |output, progress| {
            let input = sign::archive(assemble::assemble(output, from, &written)?, at.signers)?;
            let context = PackContext { staging, cache, mtime, progress };
            Ok::<_, Error>(pack::pack(&output.path, &input, &context)?)
        });
        written.extend(files?.into_iter().flatten());
    }
    Ok(written)
}
