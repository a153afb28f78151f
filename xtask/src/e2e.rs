//! `cargo xtask e2e`: installs bundles on systemd machines and checks what runs there.
//!
//! The machines are systemd-nspawn containers that share one Debian root. All of them run inside new mount, process and
//! network namespaces: nothing they do is visible outside, the addresses of the guide can be used as they are, and when
//! the run ends, by a failure or by Ctrl-C, the machines end with it. Needs root.

mod balancer;
mod bundle;
mod cluster;
mod disk;
mod environment;
mod external_etcd;
mod files;
mod images;
mod load;
mod machine;
mod name_server;
mod options;
mod pods;
mod roots;
mod scenarios;
mod shell;
mod units;
mod vm;

use std::time::Instant;

use anyhow::{Context, Result, bail};

use environment::Environment;
use options::Options;
use scenarios::{CLOUD_PREFIX, ETCD_STACKED, FORGED, SCENARIOS, STATIC_BINARY, Scenario, WHOLE_CLUSTER};

pub(crate) use files::find as find_file;
pub(crate) use machine::wait;
pub(crate) use shell::stdout_of;

/// Set for the process that runs inside the namespaces.
const INSIDE: &str = "KUBE_BUNDLE_E2E_INSIDE";

/// Runs the scenarios that `arguments` name, or all of them.
#[expect(clippy::disallowed_methods, reason = "xtask reads its environment")]
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    if arguments == ["--list"] {
        list();
        return Ok(());
    }
    let options = Options::parse(arguments, std::env::var_os("CI").is_some())?;
    if std::env::var_os(INSIDE).is_some() {
        return run_inside(&options);
    }
    let boots = |name: &str| name.starts_with(CLOUD_PREFIX) || [ETCD_STACKED, FORGED, WHOLE_CLUSTER].contains(&name);
    let cloud = options.scenarios.iter().any(|scenario| boots(scenario.name));
    roots::install_missing_tools(cloud)?;
    crate::build_programs()?;
    environment::collect_components(&options)?;
    roots::build_root(&options.suite)?;
    if cloud {
        roots::build_cloud_root(&options.suite)?;
    }
    if options.scenarios.iter().any(|scenario| scenario.runs_pods()) && options.binaries.is_some() {
        roots::build_pod_root(&options.suite)?;
    }
    if options.scenarios.iter().any(|scenario| scenario.name == STATIC_BINARY) {
        let here = crate::dist::Place::here()?;
        here.build(&crate::dist::Head::read(&here.sources)?)?;
        roots::BARE_SUITES.into_iter().try_for_each(roots::build_bare_root)?;
    }
    enter_namespaces(arguments)
}

/// Runs this program again, with the same arguments, in namespaces of its own.
fn enter_namespaces(arguments: &[&str]) -> Result<()> {
    let program = std::env::current_exe().context("could not find the path of this program")?;
    let program = program.display().to_string();
    // unshare and the first process of a process namespace ignore Ctrl-C, so they are killed when this process ends.
    let end_with_parent = ["--pdeathsig", "KILL", "unshare"];
    let namespaces = ["--mount", "--pid", "--net", "--fork", "--kill-child", "--mount-proc"];
    let inside = format!("{INSIDE}=1");
    let command = [&end_with_parent[..], &namespaces, &["env", &inside, &program, "e2e"], arguments].concat();
    shell::run("setpriv", &command)
}

#[expect(clippy::print_stdout, reason = "the list is the result")]
fn list() {
    for scenario in SCENARIOS {
        println!("{:24} {}", scenario.name, scenario.about);
    }
}

/// Runs the scenarios one after another, inside the namespaces, and fails if any of them did.
#[expect(clippy::print_stdout, clippy::disallowed_methods, reason = "the report, with times, is the result")]
fn run_inside(options: &Options) -> Result<()> {
    let environment = Environment::prepare(options)?;
    println!("Components: {}", environment.components()?);
    println!("Machines: Debian {}", options.suite);
    let begin = Instant::now();
    let mut failed = Vec::new();
    for scenario in &options.scenarios {
        if !run_scenario(&environment, scenario)? {
            failed.push(scenario.name);
        }
    }
    let passed = options.scenarios.len() - failed.len();
    println!("\n{passed} passed, {} failed in {:.0?}", failed.len(), begin.elapsed());
    if failed.is_empty() { Ok(()) } else { bail!("failed: {}; `target/e2e` keeps their journals", failed.join(", ")) }
}

/// Runs one scenario and prints how it ended; returns whether it passed.
#[expect(clippy::print_stdout, clippy::disallowed_methods, reason = "the report, with times, is the result")]
fn run_scenario(environment: &Environment, scenario: &Scenario) -> Result<bool> {
    let begin = Instant::now();
    println!("\n== {}: {}", scenario.name, scenario.about);
    let context = environment.scenario_context(scenario.name)?;
    let result = (scenario.run)(&context);
    match &result {
        Ok(()) => println!("passed in {:.0?}", begin.elapsed()),
        Err(error) => {
            println!("FAILED after {:.0?}: {error:#}", begin.elapsed());
            println!("{}", context.journal_tail());
        }
    }
    Ok(result.is_ok())
}

/// Reports a check that passed.
#[expect(clippy::print_stdout, reason = "the report is the result")]
fn report_ok(what: &str) {
    println!("  {what}");
}

/// Reports a check that was not made, with the reason.
#[expect(clippy::print_stdout, reason = "the report is the result")]
fn report_skipped(what: &str, reason: &str) {
    println!("  left out ({reason}): {what}");
}

/// The reason for leaving out what only real Kubernetes components can show.
const STAND_INS: &str = "stand-ins run instead of Kubernetes; --binaries DIR takes real components";
