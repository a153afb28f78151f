//! `cargo xtask bench`: measures builds beside other tools that do the same work, and writes `docs/performance.md`.
//!
//! No test measures time, because a busy machine would fail it. The report names the machine and the commands, so that
//! every figure can be measured again.

mod carrying;
mod cluster;
mod environment;
mod images;
mod measure;
mod peers;
mod programs;
mod report;
mod tools;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use cluster::Cluster;
use environment::Environment;
use measure::{Figure, compare, measure};
use report::{Point, Report, Row};

/// The numbers of machines that are measured. A build of all formats writes 110 MB for each machine.
const NODES: [u32; 5] = [1, 3, 10, 30, 100];
const FORMATS: &str = "tarball,deb,nocloud";

/// Measures everything. `--pass DIR` is how this program calls itself to measure the codec alone.
#[expect(clippy::print_stderr, reason = "xtask talks to the developer")]
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let (mut binaries, mut nfpm, mut quick, mut check) = (None, None, false, false);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().map(PathBuf::from).with_context(|| format!("`{word}` needs a value"));
        match *word {
            "--pass" => return programs::pass(&value()?),
            "--binaries" => binaries = Some(value()?),
            "--nfpm" => nfpm = Some(value()?),
            "--quick" => quick = true,
            "--check" => check = true,
            _ => bail!("there is no option `{word}`: [--binaries DIR] [--nfpm PROGRAM] [--quick] [--check]"),
        }
    }
    let left_out = tools::missing(nfpm.as_deref());
    for line in &left_out {
        eprintln!("left out: {line}");
    }
    if check {
        return Ok(());
    }
    let environment = Environment::prepare(binaries.as_deref(), nfpm.as_deref())?;
    let mut report = Report::new(&environment, &left_out);
    cold(&environment, &mut report)?;
    nodes(&environment, &mut report, if quick { &NODES[..3] } else { &NODES })?;
    sharing(&environment, &mut report, if quick { 10 } else { 100 })?;
    warm(&environment, &mut report)?;
    images::images(&environment, &mut report)?;
    fetching(&environment, &mut report)?;
    verifying(&environment, &mut report)?;
    carrying::carrying(&environment, &mut report)?;
    report.write()
}

/// Compared with what one pass of the codec and a copy of the output take, and with other tools.
fn cold(environment: &Environment, report: &mut Report) -> Result<()> {
    let cluster = environment.cluster("cold", 3)?;
    let build = cluster.build("out", FORMATS);
    let pass = environment.pass_command();
    // Keys are made before: neither the pass nor the copy makes any.
    build.output("keys")?;
    let limit = compare(&build, || cluster.remove_cache(), &pass, || Ok(()))?;
    let copy = measure(&environment.copy(&cluster.path("out")), || environment.remove_copy())?;
    report.section(
        "A cold build",
        "Three masters, archives, packages, disks; empty store. The limit is one pass of our own codec over the programs on all \
         processors, and the writing of what is written, as `cp` does it.",
    );
    report.row(Row::new("kube-bundle, empty store", &limit.0));
    report.row(Row::new("one pass of the codec over the programs", &limit.1));
    report.row(Row::new("`cp -r` of the output", &copy));
    report.ratio("build / (pass + cp)", limit.0.seconds / (limit.1.seconds + copy.seconds));
    compare_with_others(environment, &cluster, report)
}

fn compare_with_others(environment: &Environment, cluster: &Cluster, report: &mut Report) -> Result<()> {
    if tools::has_pigz() {
        let pigz = measure(
            &environment.shell(&format!(
                "cat {}/* | pigz -6 -p {} >/dev/null",
                environment.binaries.display(),
                environment.processors
            )),
            || Ok(()),
        )?;
        report.row(Row::new("`pigz -6` over the programs, for comparison", &pigz));
    }
    let build = cluster.build("out", FORMATS);
    if let Some(peers) = peers::pipeline(environment)? {
        let (ours, peer) = compare(&build, || cluster.remove_cache_and_keys(), &peers, || environment.reset_peers())?;
        report.row(Row::new("kube-bundle, empty store, new keys", &ours));
        report.row(Row::new("pigz, nfpm, xorriso, cfssl for the same", &peer));
        report.ratio("peers / kube-bundle", peer.seconds / ours.seconds);
        report.line(&format!(
            "One package with all programs: nfpm's {}, ours {}.",
            peers::package_size(environment)?,
            cluster.fat_package_size()?
        ));
    } else {
        report.line("Left out: the peers' pipeline, which needs nfpm, pigz, xorriso and cfssl.");
    }
    Ok(())
}

/// The cost of a further machine.
fn nodes(environment: &Environment, report: &mut Report, counts: &[u32]) -> Result<()> {
    report.section(
        "More machines",
        "All formats, seeds split; the programs are compressed already, and no earlier output is removed. `cp` copies the same output on the same disk.",
    );
    let alone = environment.cluster("alone", 1)?;
    alone.build("out", FORMATS).output("keys")?;
    let first = measure(&alone.build("out", FORMATS), || alone.remove_cache())?;
    report.row(Row::new("1 master, and the programs are compressed for it", &first));
    alone.remove()?;
    let mut points = Vec::new();
    let mut figures = Vec::new();
    for count in counts {
        let cluster = environment.cluster(&format!("nodes-{count}"), *count)?;
        let build = cluster.build("out", FORMATS);
        // Keys are made once in the life of a cluster, so they are not measured.
        build.output("keys")?;
        let (figure, copy) = compare(
            &build,
            || cluster.remove_output(),
            &environment.copy(&cluster.path("out")),
            || environment.remove_copy(),
        )?;
        let bytes = cluster.written()?;
        report.row(Row::new(&format!("{}, {} written", masters(*count), measure::megabytes(bytes)), &figure));
        report.row(Row::new(&format!("`cp -r` of the output of {count}"), &copy));
        points.push(Point { machines: *count, build: figure.seconds, copy: copy.seconds });
        figures.push((*count, figure, copy));
        cluster.remove()?;
    }
    if let (Some((few, one, _)), Some((many, last, copy))) = (figures.first(), figures.last()) {
        let further = (last.cpu - one.cpu) / f64::from(many - few);
        report.ratio("CPU time of a further machine / of the first one", further / first.cpu);
        report.ratio(&format!("build / cp for {many} machines"), last.seconds / copy.seconds);
    }
    let sizes = [1, 100].map(|count| -> Result<u64> {
        let cluster = environment.cluster(&format!("split-{count}"), count)?;
        cluster.build("out", "deb").output("a repository")?;
        let size = cluster.written()?;
        cluster.remove()?;
        Ok(size)
    });
    let [one, hundred] = sizes;
    report
        .line(&format!("A repository of packages grows by {} a machine.", measure::kilobytes((hundred? - one?) / 99)));
    report.plot(points);
    Ok(())
}

fn masters(count: u32) -> String {
    if count == 1 { "1 master".to_owned() } else { format!("{count} masters") }
}

/// On a file system whose files can share blocks.
fn sharing(environment: &Environment, report: &mut Report, machines: u32) -> Result<()> {
    report.section(
        "Where files share blocks",
        "A disk with XFS, in a file; btrfs does the same. Programs in archives, packages and images are the store's own blocks.",
    );
    let Some(shared) = environment.with_shared_blocks()? else {
        report.line("Left out: no XFS could be made and mounted.");
        return Ok(());
    };
    let cluster = shared.environment.cluster("shared", machines)?;
    let build = cluster.build("out", FORMATS);
    build.output("keys and pieces")?;
    let figure = measure(&build, || cluster.remove_output())?;
    report
        .row(Row::new(&format!("{}, {} written", masters(machines), measure::megabytes(cluster.written()?)), &figure));
    let with = shared.used()?;
    cluster.remove_output()?;
    report.line(&format!("The output takes {} of the disk.", measure::megabytes(with - shared.used()?)));
    Ok(())
}

/// A second build after nothing, a flag, or the number of machines has changed.
fn warm(environment: &Environment, report: &mut Report) -> Result<()> {
    report.section("A warm rebuild", "Three masters, all formats, after a first build.");
    let cluster = environment.cluster("warm", 3)?;
    let build = cluster.build("out", FORMATS);
    build.output("a first build")?;
    report.row(Row::new("nothing has changed", &measure(&build, || Ok(()))?));
    report.row(Row::new("a flag has changed", &measure(&build, || cluster.change_flag())?));
    report.row(Row::new("the same, packages alone", &measure(&cluster.build("out", "deb"), || cluster.change_flag())?));
    report.row(Row::new("a machine was added", &measure(&build, || cluster.add_node())?));
    cluster.remove()
}

fn fetching(environment: &Environment, report: &mut Report) -> Result<()> {
    report.section("Fetching", "Four programs over HTTP from loopback, compared with their digests.");
    if !tools::can_fetch() {
        report.line("Left out: curl or python3 is missing.");
        return Ok(());
    }
    let server = environment.serve()?;
    let cluster = environment.cluster("fetch", 1)?;
    let ours = cluster.fetch(&server.url);
    let names = programs::COMPONENTS.map(|name| format!("curl -sSO {}/{name}", server.url)).join(" && ");
    let theirs = environment.shell(&format!(
        "cd {} && {names} && sha256sum kube* >/dev/null && sync kube*",
        cluster.path("curl").display()
    ));
    let (one, other) = compare(&ours, || cluster.remove_cache(), &theirs, || cluster.empty("curl"))?;
    report.row(Row::new("`kube-bundle fetch`, which stores them", &one));
    report.row(Row::new("`curl`, `sha256sum`, `sync`", &other));
    report.ratio("kube-bundle / curl", one.seconds / other.seconds);
    Ok(())
}

fn verifying(environment: &Environment, report: &mut Report) -> Result<()> {
    report.section("Verifying", "The output of three masters in all formats.");
    let cluster = environment.cluster("verify", 3)?;
    cluster.build("out", FORMATS).output("a bundle")?;
    let theirs = environment.shell(&format!("cd {} && sha256sum --quiet -c SHA256SUMS", cluster.path("out").display()));
    let (one, other) = compare(&cluster.verify(&["out"]), || Ok(()), &theirs, || Ok(()))?;
    report.row(Row::new("`kube-bundle verify`", &one));
    report.row(Row::new("`sha256sum -c`", &other));
    report.ratio("kube-bundle / sha256sum", one.seconds / other.seconds);
    report.row(Row::new(
        "`kube-bundle verify --deep`, inside every artifact",
        &measure(&cluster.verify(&["--deep", "out"]), || Ok(()))?,
    ));
    cluster.remove()
}

/// Prints each figure as soon as it is measured.
#[expect(clippy::print_stderr, reason = "xtask talks to the developer")]
fn show(what: &str, figure: &Figure) {
    eprintln!("{what}: {:.2} s, {:.2} s of CPU, {} MB", figure.seconds, figure.cpu, figure.memory >> 20);
}

/// The path of a file in the repository.
fn repository(path: &str) -> PathBuf {
    Path::new(&crate::root()).join(path)
}
