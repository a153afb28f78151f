//! Other programs, run to their end.
#![expect(clippy::disallowed_methods, reason = "chores run programs and touch files")]

use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};

/// What a command did.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) code: Option<i32>,
    /// Both outputs, the errors last.
    pub(super) text: String,
    pub(super) stdout: String,
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Self {
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let text = format!("{stdout}{}", String::from_utf8_lossy(&output.stderr));
        Self { code: output.status.code(), text, stdout }
    }
}

/// Runs a program whose output is the developer's to read.
pub(super) fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let status =
        Command::new(program).args(arguments).status().with_context(|| format!("could not run `{program}`"))?;
    if status.success() { Ok(()) } else { bail!("`{program}` ended with {status}") }
}

/// Runs a program to the end, whatever that is.
pub(super) fn outcome(program: &str, arguments: &[&str]) -> Result<Outcome> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    Ok(output.with_context(|| format!("could not run `{program}`"))?.into())
}

/// Runs a program that must succeed, and returns its stdout.
pub(super) fn must(program: &str, arguments: &[&str]) -> Result<String> {
    let outcome = outcome(program, arguments)?;
    if outcome.code == Some(0) {
        return Ok(outcome.stdout);
    }
    bail!("`{program} {}` ended with {:?}:\n{}", arguments.join(" "), outcome.code, outcome.text)
}
