//! Runs other programs to their end.
#![expect(clippy::disallowed_methods, reason = "xtask runs programs")]

use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};

/// How a program ended, and what it printed.
#[derive(Debug)]
pub(super) struct Outcome {
    /// Nothing if a signal ended it.
    pub(super) code: Option<i32>,
    /// Standard output, followed by standard error.
    pub(super) text: String,
    pub(super) stdout: String,
}

impl Outcome {
    pub(super) fn success(&self) -> bool {
        self.code == Some(0)
    }
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Self {
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let text = format!("{stdout}{}", String::from_utf8_lossy(&output.stderr));
        Self { code: output.status.code(), text, stdout }
    }
}

/// Runs a program whose output goes to the terminal; fails if the program does.
pub(super) fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let status =
        Command::new(program).args(arguments).status().with_context(|| format!("could not run `{program}`"))?;
    if status.success() { Ok(()) } else { bail!("`{program}` ended with {status}") }
}

/// Runs a program and captures its output; that the program fails is no error.
pub(super) fn run_captured(program: &str, arguments: &[&str]) -> Result<Outcome> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    Ok(output.with_context(|| format!("could not run `{program}`"))?.into())
}

/// The standard output of a program; fails if the program does.
pub(crate) fn stdout_of(program: &str, arguments: &[&str]) -> Result<String> {
    let outcome = run_captured(program, arguments)?;
    if outcome.success() {
        return Ok(outcome.stdout);
    }
    bail!("`{program} {}` ended with {:?}:\n{}", arguments.join(" "), outcome.code, outcome.text)
}
