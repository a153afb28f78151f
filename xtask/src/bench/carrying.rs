//! Thin copies, deltas and registries: how long they take and what they send, beside tools that find equal bytes by themselves.
#![expect(clippy::disallowed_methods, reason = "xtask looks at files")]

use std::fmt::Write as _;

use anyhow::{Context, Result};

use super::cluster::{Cluster, remove_directory, size};
use super::environment::Environment;
use super::measure::{Figure, Run, compare, measure, megabytes};
use super::report::{Report, Row};
use super::{FORMATS, tools};
use crate::e2e::stdout_of;
use crate::registry::Registry;

const REGISTRY: &str = "127.0.0.1:18017";
const REFERENCE: &str = "oci://127.0.0.1:18017/site/roc:1";

pub(super) fn carrying(environment: &Environment, report: &mut Report) -> Result<()> {
    report.section(
        "Carrying",
        "Three masters, archives, packages, disks, and the same with one more name of the API server. casync and rsync know \
         nothing of what a bundle consists of; skopeo copies the whole files.",
    );
    if !tools::can_carry() {
        report.line("Left out: a tool is missing.");
        return Ok(());
    }
    let cluster = environment.cluster("carrying", 3)?;
    cluster.build("out", FORMATS).output("a bundle")?;
    cluster.add_server_name()?;
    cluster.build("new", FORMATS).output("another bundle")?;
    let mut bytes = vec![("the bundle".to_owned(), cluster.size("out")?)];
    thin_copies(environment, &cluster, report, &mut bytes)?;
    deltas(environment, &cluster, report, &mut bytes)?;
    registries(environment, &cluster, report, &mut bytes)?;
    let mut table = "| | written or sent |\n|---|---|\n".to_owned();
    for (what, count) in bytes {
        let _ = writeln!(table, "| {what} | {} |", megabytes(count));
    }
    report.line(table.trim_end());
    cluster.remove()
}

type Bytes = Vec<(String, u64)>;

/// The first time, where nothing of the bundle is.
fn thin_copies(environment: &Environment, cluster: &Cluster, report: &mut Report, bytes: &mut Bytes) -> Result<()> {
    let export = cluster.kube_bundle("export", &["export", "-q", "out", "thin"]);
    export.output("a thin copy")?;
    let copy = environment.copy(&cluster.path("thin"));
    let (exported, copied) =
        compare(&export, || remove_directory(&cluster.path("thin")), &copy, || environment.remove_copy())?;
    report.row(Row::new("`kube-bundle export`", &exported));
    report.row(Row::new("`cp -r` of the thin copy", &copied));
    bytes.push(("a thin copy".to_owned(), cluster.size("thin")?));
    let import = cluster.kube_bundle("import", &["import", "-q", "thin", "-o", "imported"]);
    let whole = environment.copy(&cluster.path("out"));
    let (imported, copied_whole) =
        compare(&import, || remove_directory(&cluster.path("imported")), &whole, || environment.remove_copy())?;
    report.row(Row::new("`kube-bundle import`", &imported));
    report.row(Row::new("`cp -r` of the bundle", &copied_whole));
    let casync = casync(cluster, "out", "store");
    let figure = measure(&casync, || cluster.empty("store"))?;
    report.row(Row::new("`casync make` of the bundle", &figure));
    bytes.push(("casync's store of the bundle".to_owned(), cluster.size("store")?));
    report.ratio("cp of the thin copy / export", copied.seconds / exported.seconds);
    report.ratio("cp of the bundle / import", copied_whole.seconds / imported.seconds);
    report.ratio("casync / export", figure.seconds / exported.seconds);
    Ok(())
}

fn casync(cluster: &Cluster, from: &str, store: &str) -> Run {
    let [from, index, store] =
        [from.to_owned(), format!("{store}/{from}.caidx"), format!("{store}/chunks.castr")].map(|it| cluster.path(&it));
    let [from, index, store] = [from, index, store].map(|path| path.display().to_string());
    let arguments = ["make", "--digest=sha256", "--without=privileged", "--store", &store, &index, &from];
    Run { program: "casync".to_owned(), ..cluster.kube_bundle("casync", &arguments) }
}

/// After one name has changed, to where the bundle before is.
fn deltas(environment: &Environment, cluster: &Cluster, report: &mut Report, bytes: &mut Bytes) -> Result<()> {
    let [old, new, copy] = [cluster.path("out"), cluster.path("new"), environment.work.join("copy")];
    let delta = cluster.kube_bundle("delta", &["export", "-q", "new", "delta", "--since", "out"]);
    // As between two machines: checksums of blocks, and not whole files.
    let script = |more: &str| format!("rsync -a --no-whole-file {more} {}/ {}/", new.display(), copy.display());
    let before_rsync = || {
        environment.remove_copy()?;
        stdout_of("cp", &["-r", &old.display().to_string(), &copy.display().to_string()]).map(drop)
    };
    let (ours, theirs) =
        compare(&delta, || remove_directory(&cluster.path("delta")), &environment.shell(&script("")), before_rsync)?;
    report.row(Row::new("`kube-bundle export --since`", &ours));
    report.row(Row::new("`rsync --no-whole-file` over the old bundle", &theirs));
    bytes.push(("a delta".to_owned(), cluster.size("delta")?));
    before_rsync()?;
    bytes.push(("what rsync sends for it".to_owned(), literal_data(&stdout_of("sh", &["-c", &script("--stats")])?)?));
    environment.remove_copy()?;

    cluster.empty("store")?;
    casync(cluster, "out", "store").output("casync's store of the old bundle")?;
    let before = cluster.size("store")?;
    casync(cluster, "new", "store").output("casync's store of both")?;
    bytes.push(("what casync adds for it".to_owned(), cluster.size("store")? - before));
    report.ratio("rsync / export --since", theirs.seconds / ours.seconds);
    Ok(())
}

/// Bytes that rsync found nowhere in the old files.
fn literal_data(said: &str) -> Result<u64> {
    let line = said.lines().find_map(|line| line.strip_prefix("Literal data: ")).context("rsync said no statistics")?;
    let digits: String = line.chars().take_while(|c| *c != ' ').filter(char::is_ascii_digit).collect();
    digits.parse().context("rsync's statistics have no number")
}

fn registries(environment: &Environment, cluster: &Cluster, report: &mut Report, bytes: &mut Bytes) -> Result<()> {
    let registry = Registry::start(environment.work.join("registry"), REGISTRY)?;
    let clear = || remove_directory(registry.directory());
    let push = |name: &str, more: &[&str]| {
        let arguments = ["push", name, REFERENCE, "-q", "--include-secrets"];
        cluster.kube_bundle("push", &[&arguments, more].concat())
    };
    push("out", &["--whole-files"]).output("whole files")?;
    let directory = cluster.path("skopeo").display().to_string();
    let copy = |from: &str, to: &str| {
        let insecure = ["copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false", from, to];
        Run { program: "skopeo".to_owned(), ..cluster.kube_bundle("skopeo", &insecure) }
    };
    let (at, here) = ("docker://127.0.0.1:18017/site/roc:1", format!("dir:{directory}"));
    copy(at, &here).output("whole files of a registry")?;
    let (cold, skopeo) = compare(&push("out", &[]), clear, &copy(&here, at), clear)?;
    clear()?;
    bytes.push(("`push` to an empty registry".to_owned(), grown(&registry, &push("out", &[]))?));
    bytes.push(("`push` after the change".to_owned(), grown(&registry, &push("new", &[]))?));
    let warm = measure(&push("new", &[]), || {
        clear()?;
        push("out", &[]).output("the old bundle")
    })?;
    let again: Figure = measure(&push("new", &[]), || Ok(()))?;
    let pull = cluster.kube_bundle("pull", &["pull", REFERENCE, "-q", "-o", "pulled"]);
    let pulled = measure(&pull, || remove_directory(&cluster.path("pulled")))?;
    report.row(Row::new("`kube-bundle push` to an empty registry", &cold));
    report.row(Row::new("`skopeo copy` of the whole files there", &skopeo));
    report.row(Row::new("`kube-bundle push` after the change", &warm));
    report.row(Row::new("the same again", &again));
    report.row(Row::new("`kube-bundle pull`", &pulled));
    report.ratio("skopeo / push", skopeo.seconds / cold.seconds);
    Ok(())
}

fn size_of(registry: &Registry) -> Result<u64> {
    if registry.directory().exists() { size(registry.directory()) } else { Ok(0) }
}

/// Bytes that a registry has more of after a command.
fn grown(registry: &Registry, run: &Run) -> Result<u64> {
    let before = size_of(registry)?;
    run.output("a push")?;
    Ok(size_of(registry)? - before)
}
