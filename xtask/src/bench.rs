//! `cargo xtask bench`: how long things take, side by side with what others take for the same, as ratios in one run.
//!
//! No test measures time, since a busy machine would fail it. This writes `docs/performance.md`, with the machine named
//! as it is, so that whoever doubts a figure can repeat it.

mod ground;
mod measure;
mod peers;
mod report;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use ground::Ground;
use measure::{Figure, compare, measure};
use report::{Point, Report, Row};

/// How many machines a cluster has, at most; a build of all formats writes 110 MB for each.
const NODES: [u32; 5] = [1, 3, 10, 30, 100];
const FORMATS: &str = "tarball,deb,nocloud";

/// Measures everything, or what a pass of our codecs takes, which is how this calls itself.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let (mut binaries, mut nfpm, mut quick) = (None, None, false);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().map(PathBuf::from).with_context(|| format!("`{word}` wants a value"));
        match *word {
            "--pass" => return ground::pass(&value()?),
            "--binaries" => binaries = Some(value()?),
            "--nfpm" => nfpm = Some(value()?),
            "--quick" => quick = true,
            _ => bail!("there is no `{word}`: [--binaries DIR] [--nfpm PROGRAM] [--quick]"),
        }
    }
    let ground = Ground::prepare(binaries.as_deref(), nfpm.as_deref())?;
    let mut report = Report::new(&ground);
    cold(&ground, &mut report)?;
    nodes(&ground, &mut report, if quick { &NODES[..3] } else { &NODES })?;
    sharing(&ground, &mut report, if quick { 10 } else { 100 })?;
    warm(&ground, &mut report)?;
    fetching(&ground, &mut report)?;
    verifying(&ground, &mut report)?;
    report.write()
}

/// Against the limit, and against what others would run.
fn cold(ground: &Ground, report: &mut Report) -> Result<()> {
    let cluster = ground.cluster("cold", 3)?;
    let build = cluster.build("out", FORMATS);
    let pass = ground.pass_command();
    // The limit has no keys in it, so this one finds them there.
    build.output("keys")?;
    let limit = compare(&build, || cluster.forget_store(), &pass, || Ok(()))?;
    let copy = measure(&ground.copy(&cluster.path("out")), || ground.forget_copy())?;
    report.section(
        "A cold build",
        "Three masters, archives, packages, disks; empty store. The limit is one pass of our own codec over the programs on all \
         processors, and the writing of what is written, as `cp` does it.",
    );
    report.row(Row::of("kube-bundle, empty store", &limit.0));
    report.row(Row::of("one pass of the codec over the programs", &limit.1));
    report.row(Row::of("`cp -r` of the output", &copy));
    report.ratio("build / (pass + cp)", limit.0.seconds / (limit.1.seconds + copy.seconds));
    let pigz = measure(
        &ground.shell(&format!("cat {}/* | pigz -6 -p {} >/dev/null", ground.binaries.display(), ground.processors)),
        || Ok(()),
    )?;
    report.row(Row::of("`pigz -6` over the programs, for comparison", &pigz));
    if let Some(peers) = peers::pipeline(ground)? {
        let (ours, peer) = compare(&build, || cluster.forget_store_and_keys(), &peers, || ground.forget_peers())?;
        report.row(Row::of("kube-bundle, empty store, new keys", &ours));
        report.row(Row::of("pigz, nfpm, xorriso, cfssl for the same", &peer));
        report.ratio("peers / kube-bundle", peer.seconds / ours.seconds);
        report.line(&format!(
            "One package with all programs: nfpm's {}, ours {}.",
            peers::package_size(ground)?,
            cluster.fat_package()?
        ));
    } else {
        report.line("The peers' pipeline was left out: nfpm, pigz, xorriso or cfssl is not here.");
    }
    Ok(())
}

/// What a further machine costs.
fn nodes(ground: &Ground, report: &mut Report, counts: &[u32]) -> Result<()> {
    report.section(
        "More machines",
        "All formats, seeds split; the programs are compressed already, and no earlier output is removed. `cp` copies the same output on the same disk.",
    );
    let alone = ground.cluster("alone", 1)?;
    alone.build("out", FORMATS).output("keys")?;
    let first = measure(&alone.build("out", FORMATS), || alone.forget_store())?;
    report.row(Row::of("1 master, and the programs are compressed for it", &first));
    alone.forget()?;
    let mut points = Vec::new();
    let mut figures = Vec::new();
    for count in counts {
        let cluster = ground.cluster(&format!("nodes-{count}"), *count)?;
        let build = cluster.build("out", FORMATS);
        // Keys are made once in a cluster's life.
        build.output("keys")?;
        let (figure, copy) =
            compare(&build, || cluster.forget_output(), &ground.copy(&cluster.path("out")), || ground.forget_copy())?;
        let bytes = cluster.written()?;
        report.row(Row::of(&format!("{}, {} written", masters(*count), measure::megabytes(bytes)), &figure));
        report.row(Row::of(&format!("`cp -r` of the output of {count}"), &copy));
        points.push(Point { machines: *count, build: figure.seconds, copy: copy.seconds });
        figures.push((*count, figure, copy));
        cluster.forget()?;
    }
    if let (Some((few, one, _)), Some((many, last, copy))) = (figures.first(), figures.last()) {
        let further = (last.cpu - one.cpu) / f64::from(many - few);
        report.ratio("CPU time of a further machine / of the first one", further / first.cpu);
        report.ratio(&format!("build / cp for {many} machines"), last.seconds / copy.seconds);
    }
    let sizes = [1, 100].map(|count| -> Result<u64> {
        let cluster = ground.cluster(&format!("split-{count}"), count)?;
        cluster.build("out", "deb").output("a repository")?;
        let size = cluster.written()?;
        cluster.forget()?;
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

/// Where the file system lets files share their blocks.
fn sharing(ground: &Ground, report: &mut Report, machines: u32) -> Result<()> {
    report.section(
        "Where files share blocks",
        "A disk with XFS, in a file; btrfs does the same. Programs in archives, packages and images are the store's own blocks.",
    );
    let Some(shared) = ground.where_blocks_are_shared()? else {
        report.line("This was left out: there is no XFS here.");
        return Ok(());
    };
    let cluster = shared.ground.cluster("shared", machines)?;
    let build = cluster.build("out", FORMATS);
    build.output("keys and pieces")?;
    let figure = measure(&build, || cluster.forget_output())?;
    report.row(Row::of(&format!("{}, {} written", masters(machines), measure::megabytes(cluster.written()?)), &figure));
    let with = shared.used()?;
    cluster.forget_output()?;
    report.line(&format!("The output takes {} of the disk.", measure::megabytes(with - shared.used()?)));
    Ok(())
}

/// After a first build: nothing, a flag, a machine.
fn warm(ground: &Ground, report: &mut Report) -> Result<()> {
    report.section("A warm rebuild", "Three masters, all formats, after a first build.");
    let cluster = ground.cluster("warm", 3)?;
    let build = cluster.build("out", FORMATS);
    build.output("a first build")?;
    report.row(Row::of("nothing has changed", &measure(&build, || Ok(()))?));
    report.row(Row::of("a flag has changed", &measure(&build, || cluster.change_flag())?));
    report.row(Row::of("the same, packages alone", &measure(&cluster.build("out", "deb"), || cluster.change_flag())?));
    report.row(Row::of("a machine was added", &measure(&build, || cluster.add_node())?));
    cluster.forget()
}

fn fetching(ground: &Ground, report: &mut Report) -> Result<()> {
    report.section("Fetching", "Four programs over HTTP from loopback, compared with their digests.");
    let server = ground.serve()?;
    let cluster = ground.cluster("fetch", 1)?;
    let ours = cluster.fetch(&server.url);
    let names = ground::COMPONENTS.map(|name| format!("curl -sSO {}/{name}", server.url)).join(" && ");
    let theirs = ground.shell(&format!(
        "cd {} && {names} && sha256sum kube* >/dev/null && sync kube*",
        cluster.path("curl").display()
    ));
    let (one, other) = compare(&ours, || cluster.forget_store(), &theirs, || cluster.empty("curl"))?;
    report.row(Row::of("`kube-bundle fetch`, which stores them", &one));
    report.row(Row::of("`curl`, `sha256sum`, `sync`", &other));
    report.ratio("kube-bundle / curl", one.seconds / other.seconds);
    Ok(())
}

fn verifying(ground: &Ground, report: &mut Report) -> Result<()> {
    report.section("Verifying", "The output of three masters in all formats.");
    let cluster = ground.cluster("verify", 3)?;
    cluster.build("out", FORMATS).output("a bundle")?;
    let theirs = ground.shell(&format!("cd {} && sha256sum --quiet -c SHA256SUMS", cluster.path("out").display()));
    let (one, other) = compare(&cluster.verify(&["out"]), || Ok(()), &theirs, || Ok(()))?;
    report.row(Row::of("`kube-bundle verify`", &one));
    report.row(Row::of("`sha256sum -c`", &other));
    report.ratio("kube-bundle / sha256sum", one.seconds / other.seconds);
    report.row(Row::of(
        "`kube-bundle verify --deep`, inside every artifact",
        &measure(&cluster.verify(&["--deep", "out"]), || Ok(()))?,
    ));
    cluster.forget()
}

/// A figure and where it is from are shown while they are made.
#[expect(clippy::print_stderr, reason = "chores talk to the developer")]
fn show(what: &str, figure: &Figure) {
    eprintln!("{what}: {:.2} s, {:.2} s of CPU, {} MB", figure.seconds, figure.cpu, figure.memory >> 20);
}

/// A path of the repository.
fn repository(path: &str) -> PathBuf {
    Path::new(&crate::root()).join(path)
}
