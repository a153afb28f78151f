//! The whole pipeline with nothing from outside: an embedded cluster, stand-in programs, a mirror on loopback.
//!
//! Nothing is short-cut: the recipe is pinned to the stand-ins' digests, the programs travel over HTTP, and
//! everything that checks a real release checks them.

mod mirror;
mod stand_in;

use std::collections::BTreeSet;
use std::path::Path;

use crate::fetch::mirror::Mirror;
use crate::fetch::{Policy, Sources, Store};
use crate::hash::Sha256;
use crate::manifest::Manifest;
use crate::progress::Progress;
use crate::recipe::{Recipe, embedded};
use crate::spec::{ClusterSpec, TEMPLATE};
use crate::{Error, Workplace, clock, pack, pin, pki, plan};

/// The release that is played.
const RECIPE: &str = "v1.16.0";

/// Builds the demonstration bundle into `out`.
pub fn run(out: &Path, jobs: usize, progress: &dyn Progress) -> Result<Manifest, Error> {
    let failed = |source| Error::Io { verb: "make", path: "a temporary directory".into(), source };
    let scratch = tempfile::tempdir().map_err(failed)?;
    let programs: Vec<_> = embedded::load(RECIPE)?
        .release
        .components
        .into_keys()
        .map(|name| {
            let program = stand_in::program(&name);
            (name, program)
        })
        .collect();
    let (spec, _) = ClusterSpec::parse("the embedded cluster.toml", TEMPLATE).map_err(Error::Spec)?;
    let plan = plan::plan(&spec, &recipe(&programs)?, None)?;
    let mirror = mirror::Served::start(programs).map_err(|source| Error::Io {
        verb: "listen on",
        path: "127.0.0.1".into(),
        source,
    })?;
    let workplace = Workplace {
        store: Store::open(scratch.path().join("store"))?,
        sources: Sources {
            mirrors: vec![Mirror::Url(mirror.url())],
            offline: false,
            jobs,
            policy: Policy { proxies: false, ..Policy::default() },
        },
        pki: pki::Workplace {
            directory: &scratch.path().join("pki"),
            base: scratch.path(),
            now: clock::now(),
            jobs,
            renew: &BTreeSet::new(),
        },
        destination: pack::Destination { out, jobs },
    };
    crate::build(&plan, &workplace, progress)
}

/// The embedded recipe, pinned to the stand-ins.
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
    Ok(pin::pinned(&embedded::load(RECIPE)?, "stand-ins", &pins)?)
}
