//! The tasks of this repository: `cargo xtask ci`, `dist`, `docs`, `recording`, `e2e`, `bench`, `fuzz`, `skips`, `mutate`, `kill`. Each has a file of its own.

mod bench;
mod ci;
mod dist;
mod docs;
mod e2e;
mod fuzz;
mod kill;
mod mutate;
mod recording;
mod registry;
mod skips;
mod small;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

const USAGE: &str = "\
usage: cargo xtask ci [--slow]     format, lints, documents, tests: what a change has to pass; --slow: what takes minutes, too
       cargo xtask skips           show that tests whose tool is missing are listed here, and fail in CI
       cargo xtask docs            write man pages and completions
       cargo xtask docs --check    fail if they are not current
       cargo xtask recording       run commands, and write docs/recording.svg, the picture of a terminal in README.md
       cargo xtask dist            build a static program, an archive and a package of it, in target/dist
       cargo xtask dist --twice    build it here and in another directory, and compare all bytes
       cargo xtask e2e [SCENARIO]... [--without SCENARIO]... [--binaries DIR] [--previous PROGRAM] [--suite NAME]
                                   install on systemd machines, as root
       cargo xtask e2e --list      print the scenarios
       cargo xtask bench [--binaries DIR] [--nfpm PROGRAM] [--quick]
                                   measure beside other tools, and write docs/performance.md
       cargo xtask bench --check   print which tools are missing, and measure nothing
       cargo xtask fuzz [TARGET]... [--seconds N] [--jobs N]
                                   feed parsers with changed input, each for N seconds (10), with cargo-fuzz
       cargo xtask fuzz --seed     only write the inputs that this begins with
       cargo xtask fuzz --list     name the targets
       cargo xtask mutate [--count N] [--seed S] [--artifacts]
                                   change a small bundle, or its artifacts, and see whether verify notices
       cargo xtask kill [--count N] [--seed S]
                                   kill export, import, push and pull at random moments, N times in all (1000)
";

#[expect(clippy::print_stderr, reason = "xtask talks to the developer")]
fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        ["ci"] => ci::run(false),
        ["ci", "--slow"] => ci::run(true),
        ["dist"] => dist::run(),
        ["dist", "--twice"] => dist::run_twice(),
        ["docs"] => docs::write(),
        ["docs", "--check"] => docs::check(),
        ["e2e", ref rest @ ..] => e2e::run(rest),
        ["bench", ref rest @ ..] => bench::run(rest),
        ["fuzz", ref rest @ ..] => fuzz::run(rest),
        ["mutate", ref rest @ ..] => mutate::run(rest),
        ["kill", ref rest @ ..] => kill::run(rest),
        ["recording"] => recording::run(),
        ["skips"] => skips::run(),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The root directory of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Compiles kube-bundle and the programs that stand in for components, for chores that run them. What is measured or
/// released is compiled in other ways.
fn build_programs() -> Result<()> {
    run("cargo", &["build", "--quiet", "--profile", "scenarios", "--package", "kube-bundle", "--package", "stand-in"])
}

/// The path of a program that [`build_programs`] has compiled.
fn program(name: &str) -> PathBuf {
    root().join("target/scenarios").join(name)
}

/// The number behind an option.
fn number<T: std::str::FromStr>(option: &str, words: &mut std::slice::Iter<'_, &str>) -> Result<T> {
    words.next().and_then(|text| text.parse().ok()).with_context(|| format!("`{option}` wants a number"))
}

/// Runs a command in the root directory; its output goes to the terminal.
fn run(program: &str, arguments: &[&str]) -> Result<()> {
    run_with(program, arguments, &[])
}

/// The same, with these in its environment.
fn run_with(program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Result<()> {
    run_in(&root(), program, arguments, environment)
}

/// The same in another directory.
#[expect(clippy::disallowed_methods, clippy::print_stderr, reason = "xtask runs programs, and prints which")]
fn run_in(directory: &Path, program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Result<()> {
    let shown: String = environment.iter().map(|(name, value)| format!("{name}='{value}' ")).collect();
    eprintln!("$ {shown}{program} {}", arguments.join(" "));
    let mut command = Command::new(program);
    command.args(arguments).envs(environment.iter().copied()).current_dir(directory);
    let status = command.status().with_context(|| format!("could not run `{program}`"))?;
    if !status.success() {
        bail!("`{program} {}` ended with {status}", arguments.join(" "));
    }
    Ok(())
}

/// Whether PATH leads to a program.
#[expect(clippy::disallowed_methods, reason = "chores look at the machine")]
fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}
