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
        if shell == Shell::Bash {
            bytes = with_matching_labels(&String::from_utf8(bytes)?).into_bytes();
        }
        files.insert(PathBuf::from("docs/completions").join(name), bytes);
    }
    Ok(files)
}

/// Works around a bug of `clap_complete` (clap-rs/clap#6421): the script sets `cmd` to `kube__bundle__subcmd__build`,
/// but its `case` label is `kube__subcmd__bundle__subcmd__build`, because the hyphen of the program's name is taken
/// for the separator of a subcommand. Without matching labels nothing is completed after a subcommand.
fn with_matching_labels(script: &str) -> String {
    script.replace("kube__subcmd__bundle", "kube__bundle")
}

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
    /// What a real bash offers at the end of `line`.
    #[expect(clippy::disallowed_methods, reason = "asks the shell that users type in")]
    fn completed(line: &[&str]) -> Vec<String> {
        let files = super::generated().expect("generated files");
        let script = &files[std::path::Path::new("docs/completions/kube-bundle.bash")];
        let script = str::from_utf8(script).expect("a script is text");
        let (word, before) = line.split_last().expect("a word");
        let driver = format!(
            "COMP_WORDS=({words}); COMP_CWORD={last}; \
             function=$(complete -p kube-bundle | sed 's/.*-F \\([^ ]*\\).*/\\1/'); \
             $function kube-bundle '{word}' '{previous}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            words = line.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
            last = before.len(),
            previous = before.last().expect("the program"),
        );
        let output = std::process::Command::new("bash")
            .args(["--norc", "-c", &format!("{script}\n{driver}")])
            .output()
            .expect("bash");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text").lines().map(str::to_owned).collect()
    }

    #[test]
    fn bash_completes_subcommands_options_and_values() {
        assert_eq!(completed(&["kube-bundle", "bu"]), ["build"]);
        assert_eq!(completed(&["kube-bundle", "build", "--deb-c"]), ["--deb-compression"]);
        assert_eq!(completed(&["kube-bundle", "build", "--deb-compression", ""]), ["gzip", "zstd", "xz"]);
        assert_eq!(completed(&["kube-bundle", "build", "--color", "n"]), ["never"]);
        assert_eq!(completed(&["kube-bundle", "recipe", "ex"]), ["export"]);
        assert_eq!(completed(&["kube-bundle", "pki", "renew", "--rec"]), ["--recipe"]);
    }

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
