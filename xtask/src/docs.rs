//! Man pages and completions, generated from the command line's own definition and kept in `docs/`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use kube_bundle::cli::Cli;

/// Writes what is missing or old.
#[expect(clippy::disallowed_methods, reason = "chores write files")]
pub(crate) fn write() -> Result<()> {
    for (path, bytes) in generated()? {
        let path = crate::root().join(path);
        let parent = path.parent().context("generated files lie in a directory")?;
        std::fs::create_dir_all(parent)?;
        std::fs::write(&path, bytes).with_context(|| format!("could not write `{}`", path.display()))?;
    }
    Ok(())
}

/// Fails if anything is missing or old.
#[expect(clippy::disallowed_methods, reason = "chores read files")]
pub(crate) fn check() -> Result<()> {
    let old =
        |(path, bytes): &(&PathBuf, &Vec<u8>)| std::fs::read(crate::root().join(path)).ok().as_ref() != Some(*bytes);
    let generated = generated()?;
    let old: Vec<_> = generated.iter().filter(old).map(|(path, _)| path.display().to_string()).collect();
    if !old.is_empty() {
        bail!("not current: {}; run `cargo xtask docs`", old.join(", "));
    }
    Ok(())
}

fn generated() -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let mut command = Cli::command();
    // Without it the order of global arguments would depend on who asked first.
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

/// One page for each command, named as git names its own: `kube-bundle-pki-renew.1`.
fn pages(command: &Command, name: &str, files: &mut BTreeMap<PathBuf, Vec<u8>>) -> Result<()> {
    let mut bytes = Vec::new();
    // The version is left out of the head line, or every release would change every page.
    clap_mangen::Man::new(command.clone().name(name.to_owned())).source("kube-bundle").render(&mut bytes)?;
    files.insert(PathBuf::from("docs/man").join(format!("{name}.1")), bytes);
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        pages(below, &format!("{name}-{}", below.get_name()), files)?;
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
