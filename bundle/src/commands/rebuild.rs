//! `kube-bundle rebuild` and `kube-bundle attest`

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;

use super::Console;
use super::attempt::Attempt;
use super::cluster::{Cluster, Overrides, jobs, sources, store};
use crate::cli::{ClusterArgs, SourceArgs};
use crate::error::ExitCode;
use crate::hash::Sha256;
use crate::manifest::{LARGEST_LIST, Manifest, PUBLIC_SUMS};
use crate::pki::PkiContext;
use crate::progress::WithoutNotes;
use crate::regular::{self, Links};
use crate::secret::Secret;
use crate::sign::{KeyReference, Signer};
use crate::spec::ClusterSpec;
use crate::verify::public::{self, PublicFiles};
use crate::{BuildContext, Error, sign as signing, verify};

/// What `--json` prints.
#[derive(Serialize)]
struct Rebuilt<'a> {
    out: &'a Path,
    /// Public files that are the same.
    files: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    attestation: Option<String>,
}

pub(super) fn rebuild(out: &Path, args: &ClusterArgs, from: &SourceArgs, console: &Console) -> Result<(), Error> {
    let files = compare(out, args, from, console)?;
    console.result(&Rebuilt { out, files, attestation: None }, || same(out, files))
}

pub(super) fn attest(
    out: &Path,
    key: &KeyReference,
    args: &ClusterArgs,
    from: &SourceArgs,
    console: &Console,
) -> Result<(), Error> {
    // Before the work: the key may be missing.
    let signer = Signer::open(key)?;
    let files = compare(out, args, from, console)?;
    let name = signing::attest(out, &signer)?;
    console.note(&format!("Attested with the key {}", signer.public()));
    let path = out.join(&name).display().to_string();
    console.result(&Rebuilt { out, files, attestation: Some(name) }, || format!("{}{path}\n", same(out, files)))
}

fn same(out: &Path, files: usize) -> String {
    format!("{}: all {files} public files are as they were built here\n", out.display())
}

/// Builds a cluster again, with keys that are thrown away, and counts the public files of `out`, which must be the same.
fn compare(out: &Path, args: &ClusterArgs, from: &SourceArgs, console: &Console) -> Result<usize, Error> {
    let command = Attempt { path: out, command: "rebuild", exit: ExitCode::Failed };
    command.expect_bundle()?;
    let report = verify::directory(out, true, None).map_err(|source| command.failed(source))?;
    if let Some(cause) = report.cause() {
        return Err(Error::Verification { path: out.to_owned(), faults: report.faults, cause });
    }
    let theirs = list(out)?;
    let of = Manifest::read(out).map_err(|source| command.failed(source))?;
    let cluster = cluster(&of, args)?;
    same_cluster(out, &of, &cluster.spec)?;
    for warning in other_input(&of, &cluster) {
        console.progress().warn(&warning);
    }
    console.note(&format!("Building cluster {} again, with keys that are thrown away", of.cluster));
    let scratch = tempfile::tempdir().map_err(|source| Error::Io {
        verb: "make a directory in",
        path: std::env::temp_dir(),
        source,
    })?;
    let again = scratch.path().join("out");
    build(&again, scratch.path(), &cluster, from, console)?;
    let differences = differences(&theirs, &list(&again)?);
    if differences.is_empty() {
        Ok(theirs.len())
    } else {
        Err(Error::NotReproduced { path: out.to_owned(), differences })
    }
}

/// The cluster that the arguments name, in the formats that a bundle has.
fn cluster(of: &Manifest, args: &ClusterArgs) -> Result<Cluster, Error> {
    let formats: BTreeSet<_> = of.artifacts.values().filter_map(|artifact| artifact.format.parse().ok()).collect();
    let formats: Vec<_> = formats.into_iter().collect();
    Cluster::load(args, &Overrides { formats: &formats, ..Overrides::default() })
}

/// No build of one cluster gives the bundle of another.
fn same_cluster(out: &Path, of: &Manifest, spec: &ClusterSpec) -> Result<(), Error> {
    if of.cluster == spec.name.as_str() {
        return Ok(());
    }
    let difference = format!("it is of cluster `{}`, and this cluster.toml is of `{}`", of.cluster, spec.name);
    Err(Error::NotReproduced { path: out.to_owned(), differences: vec![difference] })
}

/// What was another when the bundle was built, which is known before any work. The public files may be the same even so:
/// a comment changes none.
fn other_input(of: &Manifest, cluster: &Cluster) -> Vec<String> {
    let mut found = Vec::new();
    if of.cluster_toml.is_some_and(|theirs| theirs != cluster.spec.text) {
        found.push("this cluster.toml is not to the letter what the bundle was built from".to_owned());
    }
    let recipe = &cluster.recipe;
    if of.recipe.sha256 != recipe.digest() {
        found.push(format!(
            "recipe `{}` has sha256 {}, and the bundle was built with recipe `{}`, sha256 {}",
            recipe.name,
            recipe.digest(),
            of.recipe.name,
            of.recipe.sha256
        ));
    }
    if of.kube_bundle.as_ref().is_some_and(|theirs| theirs != env!("CARGO_PKG_VERSION")) {
        found.push(format!(
            "this is kube-bundle {}, and the bundle was built by another version",
            env!("CARGO_PKG_VERSION")
        ));
    }
    found
}

/// Builds a cluster with new keys in `scratch`. Messages would speak of these, and of files that nobody keeps.
fn build(to: &Path, scratch: &Path, cluster: &Cluster, from: &SourceArgs, console: &Console) -> Result<(), Error> {
    let jobs = jobs(from.jobs);
    let (keys, renew) = (scratch.join("pki"), BTreeSet::new());
    // Nobody will open what it protects.
    let passphrase = Secret::new("thrown away");
    let context = BuildContext {
        store: store()?,
        sources: sources(from)?,
        pki: PkiContext { directory: &keys, passphrase: Some(&passphrase), ..cluster.pki(jobs, &renew) },
        out: to,
        jobs,
        date: cluster.date,
        signers: &[],
    };
    crate::build(&cluster.spec, &cluster.recipe, &context, &WithoutNotes(console.progress()))?;
    Ok(())
}

fn list(out: &Path) -> Result<PublicFiles, Error> {
    let path = out.join(PUBLIC_SUMS);
    let failed = |source| Error::Io { verb: "read", path: path.clone(), source };
    let bytes = regular::read(&path, Links::Refuse, LARGEST_LIST).map_err(failed)?;
    public::parse(&String::from_utf8_lossy(&bytes)).map_err(|why| failed(std::io::Error::other(why)))
}

/// What the bundle has, and what was built here instead.
fn differences(theirs: &PublicFiles, ours: &PublicFiles) -> Vec<String> {
    let all: BTreeMap<_, _> =
        theirs.keys().chain(ours.keys()).map(|path| (path, (theirs.get(path), ours.get(path)))).collect();
    let difference = |(path, pair): (&String, (Option<&Sha256>, Option<&Sha256>))| match pair {
        (Some(theirs), Some(ours)) if theirs == ours => None,
        (Some(theirs), Some(ours)) => Some(format!("{path}: built here: sha256 {ours}; in the bundle: {theirs}")),
        (Some(_), None) => Some(format!("{path}: only in the bundle")),
        (None, _) => Some(format!("{path}: only in what was built here")),
    };
    all.into_iter().filter_map(difference).collect()
}
