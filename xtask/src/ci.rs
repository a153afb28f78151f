//! What a change has to pass, in the order that fails soonest.

use anyhow::Result;

/// Runs everything.
pub(crate) fn run() -> Result<()> {
    crate::run("cargo", &["fmt", "--all", "--check"])?;
    crate::run("cargo", &["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    crate::docs::check()?;
    deny()?;
    crate::run("cargo", &["test", "--workspace"])
}

/// Licences and duplicates, where `cargo deny` is installed.
#[expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "chores look at the machine, and say what they leave out"
)]
fn deny() -> Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|directory| directory.join("cargo-deny").is_file()) {
        return crate::run("cargo", &["deny", "check", "licenses", "bans", "sources"]);
    }
    eprintln!("left out: `cargo deny check`; `cargo install cargo-deny` brings it");
    Ok(())
}
