//! What a change has to pass, in the order that fails soonest.

use anyhow::{Context, Result};

/// Runs everything. Slow tests run when they are asked for, and in CI.
#[expect(clippy::disallowed_methods, reason = "chores look at their environment")]
pub(crate) fn run(slow: bool) -> Result<()> {
    let list = crate::root().join("target/left-out");
    if list.exists() {
        std::fs::remove_file(&list).context("could not forget what was left out the last time")?;
    }
    let checked = check(slow || std::env::var_os("CI").is_some(), &list);
    report(&std::fs::read_to_string(&list).unwrap_or_default());
    checked
}

fn check(slow: bool, list: &std::path::Path) -> Result<()> {
    crate::run("cargo", &["fmt", "--all", "--check"])?;
    crate::run("cargo", &["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    crate::docs::check()?;
    deny(list)?;
    let doc = ["doc", "--quiet", "--no-deps", "--workspace", "--document-private-items"];
    // Comments of cli.rs are what `--help` prints, where `<cluster>` is no tag.
    crate::run_with("cargo", &doc, &[("RUSTDOCFLAGS", "-D warnings -A rustdoc::invalid-html-tags")])?;
    let list = list.display().to_string();
    crate::run_with("cargo", &["test", "--workspace"], &[("KUBE_BUNDLE_LEFT_OUT", &list)])?;
    if slow {
        crate::run("cargo", &["test", "--package", "kube-bundle", "--", "--ignored"])?;
        crate::skips::run()?;
    }
    Ok(())
}

/// Licences and duplicates, where `cargo deny` is installed. In CI it is a job of its own.
#[expect(clippy::disallowed_methods, reason = "chores note what they leave out")]
fn deny(list: &std::path::Path) -> Result<()> {
    if crate::is_installed("cargo-deny") {
        return crate::run("cargo", &["deny", "check", "licenses", "bans", "sources"]);
    }
    std::fs::create_dir_all(crate::root().join("target"))?;
    std::fs::write(list, "cargo deny check\t`cargo-deny` is not installed (`cargo install cargo-deny` brings it)\n")?;
    Ok(())
}

/// The last words of a run: what it has not checked.
#[expect(clippy::print_stderr, reason = "chores talk to the developer")]
fn report(list: &str) {
    let lines: std::collections::BTreeSet<_> = list.lines().collect();
    if lines.is_empty() {
        eprintln!("No check was left out.");
        return;
    }
    eprintln!("{} checks were LEFT OUT on this machine; `.ci/run` installs what they need:", lines.len());
    for (check, reason) in lines.iter().filter_map(|line| line.split_once('\t')) {
        eprintln!("  {check}: {reason}");
    }
}
