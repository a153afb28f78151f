//! What shells complete: all that the definition of the command line says, and values that only the program knows. Shells
//! run it at each press of the key, so it looks at files alone, and says nothing when it can't.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::builder::ValueHint;
use clap::{Arg, CommandFactory};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter};
use clap_complete::env::CompleteEnv;

use super::cluster::{Cluster, Overrides};
use crate::cli::{Cli, ClusterArgs};
use crate::pki;
use crate::plan::certificates::CertPlan;
use crate::recipe::embedded;
use crate::spec::schema;

/// The variable that a shell's function sets, to the name of the shell.
pub const VARIABLE: &str = "KUBE_BUNDLE_COMPLETE";

/// Answers a shell, and ends the process; returns if no shell asks.
pub fn complete() {
    CompleteEnv::with_factory(command).var(VARIABLE).complete();
}

fn command() -> clap::Command {
    with_values(Cli::command())
}

fn with_values(command: clap::Command) -> clap::Command {
    command.mut_args(with_value).mut_subcommands(with_values)
}

fn with_value(arg: Arg) -> Arg {
    match arg.get_id().as_str() {
        "recipe" => arg.add(ArgValueCompleter::new(recipes)),
        "id" => arg.add(ArgValueCompleter::new(certificates)),
        "key" => arg.add(ArgValueCompleter::new(keys)),
        "from" | "to" | "out" | "dir" => arg.value_hint(ValueHint::DirPath),
        _ => arg,
    }
}

fn beginning_with(
    current: &OsStr,
    candidates: impl IntoIterator<Item = CompletionCandidate>,
) -> Vec<CompletionCandidate> {
    let current = current.to_string_lossy();
    candidates.into_iter().filter(|it| it.get_value().to_string_lossy().starts_with(&*current)).collect()
}

/// Embedded ones by name, others by directory.
fn recipes(current: &OsStr) -> Vec<CompletionCandidate> {
    let named = embedded::names().map(|name| CompletionCandidate::new(name).help(Some("embedded".into())));
    let mut all = beginning_with(current, named);
    if current.to_string_lossy().starts_with(['.', '/', '~']) {
        all.extend(PathCompleter::dir().complete(current));
    }
    all
}

/// What `pki renew` takes, of the `cluster.toml` that the line names.
fn certificates(current: &OsStr) -> Vec<CompletionCandidate> {
    let args = ClusterArgs { cluster: cluster_on(std::env::args_os()), recipe: None };
    let Ok((cluster, _)) = Cluster::read(&args, &Overrides::default()) else { return Vec::new() };
    let Ok(plan) = cluster.plan() else { return Vec::new() };
    let certificates = &plan.content().pki.certificates;
    let leaves = certificates.iter().filter_map(|(id, planned)| match planned {
        CertPlan::Leaf { issuer, .. } => {
            Some(CompletionCandidate::new(id.clone()).help(Some(format!("signed by {issuer}").into())))
        }
        _ => None,
    });
    let token = CompletionCandidate::new(pki::TOKEN).help(Some("for workers that join later".into()));
    beginning_with(current, leaves.chain([token]))
}

/// The file behind `-c` or `--cluster`.
fn cluster_on(words: impl Iterator<Item = OsString>) -> PathBuf {
    let mut words = words.map(|word| word.to_string_lossy().into_owned());
    let mut found = None;
    while let Some(word) = words.next() {
        found = match word.as_str() {
            "-c" | "--cluster" => words.next(),
            _ => word.strip_prefix("--cluster=").map(str::to_owned).or(found),
        };
    }
    found.map_or_else(|| PathBuf::from("cluster.toml"), PathBuf::from)
}

/// Keys of `cluster.toml`, with the first sentence of their descriptions.
fn keys(current: &OsStr) -> Vec<CompletionCandidate> {
    let key = |(key, about): (String, String)| CompletionCandidate::new(key).help(Some(about.into()));
    beginning_with(current, schema::all_keys().into_iter().map(key))
}
