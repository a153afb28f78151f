//! `cargo xtask e2e`: bundles installed on systemd machines that nobody touched by hand.
//!
//! The machines are systemd-nspawn containers on one Debian root. All of it happens inside namespaces of its own (mounts,
//! processes, network), so nothing leaves them, the guide's own addresses can be used, and whatever ends the run, a
//! failure or Ctrl-C, ends the machines with it. Needs root.

mod balancer;
mod cluster;
mod ground;
mod machine;
mod scenarios;
mod shell;
mod units;
mod vm;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use ground::Ground;
use scenarios::{CLOUD, SCENARIOS, Scenario};

/// Set for the process inside the namespaces.
const INSIDE: &str = "KUBE_BUNDLE_E2E_INSIDE";

/// What was asked for.
#[derive(Debug)]
struct Wanted {
    scenarios: Vec<&'static Scenario>,
    /// Kubernetes v1.16.0 components; stand-ins where there are none.
    binaries: Option<PathBuf>,
    suite: String,
}

/// Runs the scenarios that `arguments` name, or all.
#[expect(clippy::disallowed_methods, reason = "chores look at their environment")]
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    if arguments == ["--list"] {
        list();
        return Ok(());
    }
    let wanted = parse(arguments)?;
    if std::env::var_os(INSIDE).is_some() {
        return play(&wanted);
    }
    let cloud = wanted.scenarios.iter().any(|scenario| scenario.name.starts_with(CLOUD));
    ground::install_what_is_missing(cloud)?;
    crate::run("cargo", &["build", "--quiet", "--release", "--package", "kube-bundle", "--package", "stand-in"])?;
    ground::make_stand_ins()?;
    ground::make_root(&wanted.suite)?;
    if cloud {
        ground::make_cloud_root(&wanted.suite)?;
    }
    let program = std::env::current_exe().context("could not find this program")?;
    let program = program.display().to_string();
    // unshare and the first process of its namespace are deaf to Ctrl-C; they go when this process does.
    let end_with_us = ["--pdeathsig", "KILL", "unshare"];
    let namespaces = ["--mount", "--pid", "--net", "--fork", "--kill-child", "--mount-proc"];
    let inside = format!("{INSIDE}=1");
    let again = [&end_with_us[..], &namespaces, &["env", &inside, &program, "e2e"], arguments].concat();
    shell::run("setpriv", &again)
}

fn parse(arguments: &[&str]) -> Result<Wanted> {
    let (mut scenarios, mut without, mut binaries, mut suite) = (Vec::new(), Vec::new(), None, "bookworm".to_owned());
    let scenario = |name: &str| {
        let found = SCENARIOS.iter().find(|scenario| scenario.name == name);
        found.with_context(|| format!("there is no scenario `{name}`; `--list` names them"))
    };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().copied().with_context(|| format!("`{word}` wants a value"));
        match *word {
            "--binaries" => binaries = Some(PathBuf::from(value()?)),
            "--suite" => value()?.clone_into(&mut suite),
            "--without" => without.push(scenario(value()?)?.name),
            name => scenarios.push(scenario(name)?),
        }
    }
    let binaries = binaries.map(std::path::absolute).transpose().context("could not find the binaries")?;
    if scenarios.is_empty() {
        scenarios = SCENARIOS.iter().collect();
    }
    scenarios.retain(|scenario| !without.contains(&scenario.name));
    Ok(Wanted { scenarios, binaries, suite })
}

#[expect(clippy::print_stdout, reason = "this is the result")]
fn list() {
    for scenario in SCENARIOS {
        println!("{:24} {}", scenario.name, scenario.about);
    }
}

/// Inside the namespaces.
#[expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a report with times is what this makes")]
fn play(wanted: &Wanted) -> Result<()> {
    let ground = Ground::prepare(&wanted.suite, wanted.binaries.as_deref())?;
    println!("Components: {}", ground.what_runs()?);
    println!("Machines: Debian {}", wanted.suite);
    let mut failed = Vec::new();
    for scenario in &wanted.scenarios {
        let begin = Instant::now();
        println!("\n== {}: {}", scenario.name, scenario.about);
        let scene = ground.scene(scenario.name)?;
        match (scenario.play)(&scene) {
            Ok(()) => println!("passed in {:.0?}", begin.elapsed()),
            Err(why) => {
                println!("FAILED after {:.0?}: {why:#}", begin.elapsed());
                println!("{}", scene.last_words());
                failed.push(scenario.name);
            }
        }
    }
    let passed = wanted.scenarios.len() - failed.len();
    println!("\n{passed} passed, {} failed", failed.len());
    if failed.is_empty() { Ok(()) } else { bail!("failed: {}; `target/e2e` keeps their journals", failed.join(", ")) }
}

/// What a program prints, if it runs.
pub(crate) fn said(program: &str, arguments: &[&str]) -> Option<String> {
    shell::must(program, arguments).ok()
}

/// Something that only real components can show.
#[expect(clippy::print_stdout, reason = "a report is what this makes")]
fn left_out(what: &str) {
    println!("  left out with stand-ins: {what}");
}

/// Something that was shown.
#[expect(clippy::print_stdout, reason = "a report is what this makes")]
fn proved(what: &str) {
    println!("  {what}");
}
