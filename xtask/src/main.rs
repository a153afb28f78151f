//! The chores of this repository: `cargo xtask ci`, `docs`, `e2e`, `bench`, `mutate`. One file for each.

mod bench;
mod ci;
mod docs;
mod e2e;
mod mutate;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

#[expect(clippy::print_stderr, reason = "chores talk to the developer")]
fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["ci"] => ci::run(),
        ["docs"] => docs::write(),
        ["docs", "--check"] => docs::check(),
        ["e2e", ref wanted @ ..] => e2e::run(wanted),
        ["bench", ref wanted @ ..] => bench::run(wanted),
        ["mutate", ref wanted @ ..] => mutate::run(wanted),
        _ => {
            eprintln!("usage: cargo xtask ci            format, lints, tests, documents: what a change has to pass");
            eprintln!("       cargo xtask docs          write man pages and completions");
            eprintln!("       cargo xtask docs --check  say whether they are current");
            eprintln!("       cargo xtask e2e [SCENARIO]... [--without SCENARIO]... [--binaries DIR] [--suite NAME]");
            eprintln!(
                "                                 install on systemd machines, as root; --list names the scenarios"
            );
            eprintln!("       cargo xtask bench [--binaries DIR] [--nfpm PROGRAM] [--quick]");
            eprintln!("                                 measure beside other tools, and write docs/performance.md");
            eprintln!("       cargo xtask mutate [--count N] [--seed S] [--artifacts]");
            eprintln!(
                "                                 change a small bundle, or its artifacts, and see whether verify notices"
            );
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The top of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Runs a command in the repository; its output is the developer's to read.
#[expect(clippy::disallowed_methods, clippy::print_stderr, reason = "chores run programs, and say which")]
fn run(program: &str, arguments: &[&str]) -> Result<()> {
    eprintln!("$ {program} {}", arguments.join(" "));
    let status = Command::new(program).args(arguments).current_dir(root()).status();
    let status = status.with_context(|| format!("could not run `{program}`"))?;
    if !status.success() {
        bail!("`{program} {}` ended with {status}", arguments.join(" "));
    }
    Ok(())
}
