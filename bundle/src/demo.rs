//! `kube-bundle demo`: the whole pipeline without network or files, from an embedded `cluster.toml`, stand-in
//! programs and a mirror on loopback.
//!
//! No stage is skipped: the recipe is pinned to the stand-ins' digests, they are downloaded over HTTP, and all
//! checks of a real build run.

mod mirror;
mod stand_in;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::fetch::mirror::Mirror;
use crate::fetch::{Policy, Sources, Store};
use crate::hash::Sha256;
use crate::manifest::Manifest;
use crate::progress::Progress;
use crate::recipe::component::Kind;
use crate::recipe::{Recipe, embedded};
use crate::spec::{ClusterSpec, EXAMPLE_PREFIX, TEMPLATE};
use crate::target::Mode;
use crate::{BuildContext, Error, clock, out, pin, pki};

/// The recipe whose programs the stand-ins replace.
const RECIPE: &str = "v1.16.0";
/// The name of the recipe that is pinned to stand-ins.
const STAND_INS: &str = "stand-ins";

/// Builds the demonstration bundle into `to`, with new keys each time: nothing but the bundle is kept.
pub fn run(to: &Path, jobs: usize, progress: &dyn Progress) -> Result<Manifest, Error> {
    replaces_no_real_bundle(to)?;
    let failed = |source| Error::Io { verb: "make", path: "a temporary directory".into(), source };
    // An empty container has no directory for temporary files.
    let scratch = tempfile::tempdir().or_else(|_| tempfile::tempdir_in(".")).map_err(failed)?;
    let programs: Vec<_> = embedded::load(RECIPE)?
        .release
        .components
        .into_iter()
        // Its cluster runs no pods.
        .filter(|(_, component)| component.kind != Kind::Image)
        .map(|(name, _)| {
            let program = stand_in::program(&name);
            (name, program)
        })
        .collect();
    let recipe = recipe(&programs)?;
    // The template's own addresses are examples, which no build takes.
    let text = TEMPLATE.replace(EXAMPLE_PREFIX, "192.0.2.");
    let parsed = ClusterSpec::parse("the embedded cluster.toml", &text, &recipe.role_catalog());
    let (spec, _) = parsed.map_err(Error::Spec)?;
    let served = mirror::Served::start(&programs);
    let mirror = match &served {
        Ok(served) => Mirror::Url(served.url()),
        Err(why) => {
            progress
                .note(&format!("There is no loopback network here ({why}): the stand-ins are read from a directory."));
            Mirror::Directory(directory(&programs, scratch.path())?)
        }
    };
    let context = BuildContext {
        store: Store::open(scratch.path().join("store"))?,
        sources: Sources {
            mirrors: vec![mirror],
            offline: false,
            jobs,
            policy: Policy { proxies: false, ..Policy::default() },
        },
        pki: pki::PkiContext {
            directory: &scratch.path().join("pki"),
            base: scratch.path(),
            now: clock::now(),
            jobs,
            renew: &BTreeSet::new(),
            passphrase: None,
        },
        out: to,
        jobs,
        date: None,
        signers: &[],
    };
    crate::build(&spec, &recipe, &context, progress)
}

/// A real cluster may have the name of the demo's, which is that of the template.
fn replaces_no_real_bundle(to: &Path) -> Result<(), Error> {
    match Manifest::read(to) {
        Ok(there) if there.recipe.name != STAND_INS => {
            let is_there = format!("cluster `{}` by recipe `{}`", there.cluster, there.recipe.name);
            Err(out::Error::OtherBundle { path: to.to_owned(), there: is_there, this: "the demo".to_owned() }.into())
        }
        _ => Ok(()),
    }
}

/// Writes the programs as files, for a machine whose loopback device is down.
fn directory(programs: &[(String, Vec<u8>)], scratch: &Path) -> Result<PathBuf, Error> {
    for (name, program) in programs {
        let path = scratch.join(name);
        out::write_atomically(&path, program, Mode::EXECUTABLE).map_err(|source| Error::Io {
            verb: "write",
            path,
            source,
        })?;
    }
    Ok(scratch.to_owned())
}

/// The embedded recipe, with the stand-ins' digests in place of the release's.
fn recipe(programs: &[(String, Vec<u8>)]) -> Result<Recipe, Error> {
    let pins: Vec<_> = programs
        .iter()
        .map(|(name, program)| pin::Pinned {
            component: name.clone(),
            file: name.into(),
            sha256: Sha256::of(program),
            size: program.len() as u64,
        })
        .collect();
    Ok(pin::pinned(&embedded::load(RECIPE)?, STAND_INS, &pins)?)
}
