//! The tasks of this repository: `cargo xtask ci`, `docs`, `e2e`, `bench`. Each has a file of its own.

mod bench;
mod ci;
mod docs;
mod e2e;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

const USAGE: &str = "\
usage: cargo xtask ci            format, lints, tests, documents: what a change has to pass
       cargo xtask docs          write man pages and completions
       cargo xtask docs --check  fail if they are not current
       cargo xtask e2e [SCENARIO]... [--without SCENARIO]... [--binaries DIR] [--previous PROGRAM] [--suite NAME]
                                 install on systemd machines, as root
       cargo xtask e2e --list    print the scenarios
       cargo xtask bench [--binaries DIR] [--nfpm PROGRAM] [--quick]
                                 measure beside other tools, and write docs/performance.md
       cargo xtask bench --check print which tools are missing, and measure nothing
";

#[expect(clippy::print_stderr, reason = "xtask talks to the developer")]
fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        ["ci"] => ci::run(),
        ["docs"] => docs::write(),
        ["docs", "--check"] => docs::check(),
        ["e2e", ref rest @ ..] => e2e::run(rest),
        ["bench", ref rest @ ..] => bench::run(rest),
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

/// Runs a command in the root directory; its output goes to the terminal.
#[expect(clippy::disallowed_methods, clippy::print_stderr, reason = "xtask runs programs, and prints which")]
fn run(program: &str, arguments: &[&str]) -> Result<()> {
    eprintln!("$ {program} {}", arguments.join(" "));
    let status = Command::new(program).args(arguments).current_dir(root()).status();
    let status = status.with_context(|| format!("could not run `{program}`"))?;
    if !status.success() {
        bail!("`{program} {}` ended with {status}", arguments.join(" "));
    }
    Ok(())
}
