//! `cargo xtask docs`: man pages and completions in `docs/`, generated from the definition of the command line.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use kube_bundle::cli::Cli;

/// Writes all generated files.
#[expect(clippy::disallowed_methods, reason = "xtask writes files")]
pub(crate) fn write() -> Result<()> {
    for (path, bytes) in generated()? {
        let path = crate::root().join(path);
        let parent = path.parent().context("generated files lie in a directory")?;
        std::fs::create_dir_all(parent)?;
        std::fs::write(&path, bytes).with_context(|| format!("could not write `{}`", path.display()))?;
    }
    Ok(())
}

/// Fails with the names of generated files that are missing or out of date.
#[expect(clippy::disallowed_methods, reason = "xtask reads files")]
pub(crate) fn check() -> Result<()> {
    let is_old =
        |(path, bytes): &(&PathBuf, &Vec<u8>)| std::fs::read(crate::root().join(path)).ok().as_ref() != Some(*bytes);
    let generated = generated()?;
    let old: Vec<_> = generated.iter().filter(is_old).map(|(path, _)| path.display().to_string()).collect();
    if !old.is_empty() {
        bail!("out of date: {}; run `cargo xtask docs`", old.join(", "));
    }
    Ok(())
}

/// Paths below the root directory, with their contents.
fn generated() -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let mut command = Cli::command();
    // clap adds global arguments when a command is built; unbuilt, their order would depend on what was rendered first.
    command.build();
    pages(&command, "kube-bundle", &mut files)?;
    for (shell, name) in
        [(Shell::Bash, "kube-bundle.bash"), (Shell::Zsh, "_kube-bundle"), (Shell::Fish, "kube-bundle.fish")]
    {
        let mut bytes = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "kube-bundle", &mut bytes);
        files.insert(PathBuf::from("docs/completions").join(name), bytes);
    }
    Ok(files)
}

/// A page for each command; subcommands are joined with hyphens, as in git's pages: `kube-bundle-pki-renew.1`.
fn pages(command: &Command, name: &str, files: &mut BTreeMap<PathBuf, Vec<u8>>) -> Result<()> {
    let mut bytes = Vec::new();
    // Without the version, a release does not change every page.
    clap_mangen::Man::new(command.clone().name(name.to_owned())).source("kube-bundle").render(&mut bytes)?;
    files.insert(PathBuf::from("docs/man").join(format!("{name}.1")), bytes);
    for subcommand in command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help") {
        pages(subcommand, &format!("{name}-{}", subcommand.get_name()), files)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn man_pages_and_completions_are_current() {
        super::check().expect("run `cargo xtask docs`");
    }
}
