//! `cargo xtask recording`: what a newcomer sees, as a picture for README.md, from a real run.
//!
//! A test (`tests/it/recording.rs`) types the commands of the picture again, so that it never shows what the program
//! does not print any more.
#![expect(clippy::disallowed_methods, reason = "xtask runs programs and touches files")]

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Typed one after another in one empty directory.
const COMMANDS: [&str; 4] = [
    "kube-bundle demo",
    "kube-bundle verify --deep out/demo",
    "kube-bundle init --name plant --node master-1=192.168.7.11 --node worker-1=192.168.7.21:worker",
    "kube-bundle plan | head -n 7",
];

const FILE: &str = "docs/recording.svg";

/// In pixels. Monospaced fonts are about 0.6 of their size wide.
const FONT_SIZE: usize = 13;
const LINE: usize = 19;
const MARGIN: usize = 20;

/// Runs the commands and writes the picture.
pub(crate) fn run() -> Result<()> {
    crate::run("cargo", &["build", "--quiet", "--package", "kube-bundle"])?;
    let programs = std::fs::canonicalize(crate::root().join("target/debug")).context("could not find kube-bundle")?;
    let directory = tempfile::tempdir().context("could not make a directory")?;
    let mut lines = Vec::new();
    for command in COMMANDS {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.push(format!("$ {command}"));
        lines.extend(printed(command, &programs, directory.path())?.lines().map(str::to_owned));
    }
    std::fs::write(crate::root().join(FILE), picture(&lines)).with_context(|| format!("could not write `{FILE}`"))
}

/// What a command prints on a terminal, by both of its streams.
fn printed(command: &str, programs: &Path, directory: &Path) -> Result<String> {
    let path = format!("{}:{}", programs.display(), std::env::var("PATH")?);
    let script = format!("exec 2>&1; {command}");
    let output = Command::new("sh")
        .args(["-c", &script])
        .current_dir(directory)
        .env("PATH", path)
        .env("XDG_CACHE_HOME", directory.join("cache"))
        .output()
        .with_context(|| format!("could not run `{command}`"))?;
    let text = String::from_utf8(output.stdout).context("what was printed is not UTF-8")?;
    ensure!(output.status.success(), "`{command}` failed:\n{text}");
    Ok(text)
}

/// Lines of a terminal as an SVG of plain text.
fn picture(lines: &[String]) -> String {
    let columns = lines.iter().map(|line| line.chars().count()).max().unwrap_or_default();
    let (width, height) = (columns * FONT_SIZE * 62 / 100 + 2 * MARGIN, lines.len() * LINE + 2 * MARGIN);
    let mut body = String::new();
    for (number, line) in lines.iter().enumerate().filter(|(_, line)| !line.is_empty()) {
        let y = MARGIN + number * LINE + FONT_SIZE;
        let class = if line.starts_with("$ ") { " class=\"typed\"" } else { "" };
        let line = line.replace('&', "&amp;").replace('<', "&lt;");
        let _ = writeln!(body, "<text x=\"{MARGIN}\" y=\"{y}\" xml:space=\"preserve\"{class}>{line}</text>");
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" role=\"img\" \
         font-family=\"ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace\" font-size=\"{FONT_SIZE}\">\n\
         <title>A terminal: kube-bundle builds a demonstration, verifies it, and plans a cluster</title>\n\
         <style>text {{ fill: #d1d7e0; white-space: pre }} .typed {{ fill: #fff; font-weight: bold }}</style>\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#151b23\"/>\n{body}</svg>\n"
    )
}
