//! `kube-bundle explain`, `schema` and `completions`: what is known without a cluster.toml.

use super::Console;
use super::console::print;
use crate::Error;
use crate::cli::Shell;
use crate::spec::schema;

pub(super) fn explain(key: &str, console: &Console) -> Result<(), Error> {
    let found = schema::explain(key).map_err(|why| Error::Usage(why.to_string()))?;
    if console.json() { console.result(&found, String::new) } else { print(&found.text()) }
}

pub(super) fn schema() -> Result<(), Error> {
    print(schema::SCHEMA)
}

/// The files that the repository has, which its tests drive in real shells.
pub(super) fn completions(shell: Shell) -> Result<(), Error> {
    print(match shell {
        Shell::Bash => include_str!("../../../docs/completions/kube-bundle.bash"),
        Shell::Zsh => include_str!("../../../docs/completions/_kube-bundle"),
        Shell::Fish => include_str!("../../../docs/completions/kube-bundle.fish"),
    })
}
