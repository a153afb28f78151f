//! `cargo xtask docs`: man pages and completions in `docs/`, generated from the definition of the command line.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Command, CommandFactory};
use clap_complete::env::Shells;
use kube_bundle::cli::Cli;
use kube_bundle::commands::VARIABLE;

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
    for (shell, name) in [("bash", "kube-bundle.bash"), ("zsh", "_kube-bundle"), ("fish", "kube-bundle.fish")] {
        let shells = Shells::builtins();
        let completer = shells.completer(shell).with_context(|| format!("no completions for {shell}"))?;
        let mut bytes = Vec::new();
        completer.write_registration(VARIABLE, "kube-bundle", "kube-bundle", "kube-bundle", &mut bytes)?;
        let mut script = String::from_utf8(bytes)?;
        for (of, old, new) in MENDED.iter().filter(|(of, ..)| *of == shell) {
            if !script.contains(old) {
                bail!("what `clap_complete` writes for {of} has changed: no longer {old:?}");
            }
            script = script.replacen(old, new, 1);
        }
        files.insert(PathBuf::from("docs/completions").join(name), script.into_bytes());
    }
    Ok(files)
}

/// What the scripts of `clap_complete` lack: the shell, the text, and what takes its place.
const MENDED: &[(&str, &str, &str)] = &[
    // bash takes `=` for a word of its own in `--color=always`, and replaces what follows it.
    (
        "bash",
        "    COMPREPLY=( $( \\\n",
        "    local i kept=()
    for i in \"${!words[@]}\"; do
        if [[ \"${words[i]}\" != '=' || $i -eq $COMP_CWORD ]]; then
            kept+=(\"${words[i]}\")
        elif [[ $i -lt $COMP_CWORD ]]; then
            _CLAP_COMPLETE_INDEX=$((_CLAP_COMPLETE_INDEX - 1))
        fi
    done
    words=(\"${kept[@]}\")
    COMPREPLY=( $( \\\n",
    ),
    // Loaded from a directory of functions, the file is the function, and has to answer at the first key press.
    (
        "zsh",
        "compdef _clap_dynamic_completer_kube_bundle kube-bundle\n",
        "if [[ \"$funcstack[1]\" == _kube-bundle ]]; then
    _clap_dynamic_completer_kube_bundle \"$@\"
else
    compdef _clap_dynamic_completer_kube_bundle kube-bundle
fi\n",
    ),
];

/// A page for each command; subcommands are joined with hyphens, as in git's pages: `kube-bundle-pki-renew.1`.
fn pages(command: &Command, name: &str, files: &mut BTreeMap<PathBuf, Vec<u8>>) -> Result<()> {
    let mut bytes = Vec::new();
    // Without the version, a release does not change every page.
    clap_mangen::Man::new(command.clone().name(name.to_owned())).source("kube-bundle").render(&mut bytes)?;
    let mut page = with_sections(&String::from_utf8(bytes)?, command);
    if name == "kube-bundle" {
        page += OF_PROGRAM;
    }
    files.insert(PathBuf::from("docs/man").join(format!("{name}.1")), page.into_bytes());
    for subcommand in command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help") {
        pages(subcommand, &format!("{name}-{}", subcommand.get_name()), files)?;
    }
    Ok(())
}

/// Sections of the program's own page that no definition of an option holds.
const OF_PROGRAM: &str = "\
.SH FILES
.TP
cluster.toml
Describes the cluster. `kube\\-bundle explain` lists its keys.
.TP
pki/
Beside cluster.toml: all keys, the certificates, and the number of builds. Back it up, and keep it secret.
.TP
out/CLUSTER/
The bundle. README.txt in it says what to do with it.
.TP
~/.cache/kube\\-bundle/
The store: downloads and compressed programs that all builds share. It may be deleted.
.SH ENVIRONMENT
.TP
XDG_CACHE_HOME
The directory of the store, instead of ~/.cache.
.TP
HTTPS_PROXY, HTTP_PROXY, NO_PROXY
Proxies for downloads.
.TP
SOURCE_DATE_EPOCH
Modification time of packed files in seconds since 1970, instead of the release's date.
.TP
NO_COLOR
If set, nothing is coloured unless \\-\\-color says so.
";

/// Replaces the section `EXTRA`, in which `clap_mangen` joins all lines that follow the options in `--help`, with
/// sections of the names that `man-pages(7)` gives them.
fn with_sections(page: &str, command: &Command) -> String {
    let Some((head, rest)) = page.split_once(".SH EXTRA\n") else { return page.to_owned() };
    let tail = rest.find(".SH ").map_or("", |at| &rest[at..]);
    let extra = command.get_after_long_help().or_else(|| command.get_after_help()).map(ToString::to_string);
    let sections = extra.unwrap_or_default().split("\n\n").map(section).collect::<String>();
    format!("{head}{sections}{tail}")
}

/// A paragraph of `--help`, `Title: text` or a title above indented lines, as a section.
fn section(paragraph: &str) -> String {
    let escaped = paragraph.replace('\\', "\\\\").replace('-', "\\-");
    match escaped.split_once(":\n") {
        Some((_, lines)) => format!(".SH EXAMPLES\n.nf\n{lines}\n.fi\n"),
        None => format!(".SH \"EXIT STATUS\"\n{escaped}\n"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_page_has_examples_line_by_line_and_the_exit_status_under_its_name() {
        let files = super::generated().expect("generated files");
        let page = String::from_utf8_lossy(&files[std::path::Path::new("docs/man/kube-bundle.1")]).into_owned();
        assert!(page.contains(".SH EXAMPLES\n.nf\n  kube\\-bundle init"), "{page}");
        assert!(page.contains(".SH \"EXIT STATUS\"\n") && !page.contains(".SH EXTRA"), "{page}");
    }

    #[test]
    fn man_pages_and_completions_are_current() {
        super::check().expect("run `cargo xtask docs`");
    }
}
