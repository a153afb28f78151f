//! Offline bundles that turn bare machines into a Kubernetes control plane.
//!
//! ```text
//! cluster.toml ─parse─▶ ClusterSpec ┐
//!                                   ├─plan─▶ Plan ─┬─fetch─▶ Blobs ┐
//! recipes/v1.16.0 ─load─▶ Recipe ───┘   (pure)     └─issue─▶ Pki ──┼─assemble─▶ Trees ─pack─▶ files + manifest
//!                                                   (effects)      ┘  (pure)          (effects)
//! ```
//!
//! [`build`] is the whole story. Each stage is a module of that name, in this order; `ARCHITECTURE.md` says
//! what must stay true of them.

pub mod assemble;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod demo;
pub mod diagnostic;
pub mod error;
pub mod fetch;
pub mod hash;
pub mod inspect;
pub mod manifest;
pub mod out;
pub mod pack;
pub mod package;
pub mod pin;
pub mod pki;
pub mod plan;
pub mod printable;
pub mod progress;
pub mod recipe;
pub mod regular;
pub mod secret;
pub mod spec;
pub mod target;
pub mod tree;
pub mod verify;
pub mod workers;

pub use error::Error;

use manifest::{Manifest, Validity};
use plan::Plan;
use progress::Progress;

/// Where a build works, and with what.
#[derive(Debug)]
pub struct BuildContext<'a> {
    /// Verified downloads, shared by all builds.
    pub store: fetch::Store,
    /// Where files come from.
    pub sources: fetch::Sources,
    /// Where keys live, and the present time.
    pub pki: pki::PkiContext<'a>,
    /// Where the bundle goes.
    pub destination: pack::Destination<'a>,
}

/// From a plan to a bundle on disk.
pub fn build(plan: &Plan, at: &BuildContext<'_>, progress: &dyn Progress) -> Result<Manifest, Error> {
    let blobs = fetch::fetch(&plan.downloads, &at.store, &at.sources, progress)?;
    let pki = pki::issue(&plan.pki, &at.pki, progress)?;
    let trees = assemble::assemble(plan, &blobs, &pki);
    let (not_before, not_after) = pki.window();
    Ok(pack::pack(plan, &trees, Validity { not_before, not_after }, &at.store, &at.destination, progress)?)
}
