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
    // Of `kube-bundle help COMMAND` there is no page.
    let mut command = Cli::command().disable_help_subcommand(true);
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
    let about: Vec<_> = FACTS.iter().filter(|fact| fact.concerns(command)).collect();
    for heading in ["FILES", "ENVIRONMENT"] {
        let facts = about.iter().filter(|fact| fact.heading == heading);
        let text: String = facts.map(|fact| format!(".TP\n{}\n{}\n", escaped(fact.name), escaped(fact.text))).collect();
        if !text.is_empty() {
            page += &format!(".SH {heading}\n{text}");
        }
    }
    files.insert(PathBuf::from("docs/man").join(format!("{name}.1")), page.into_bytes());
    for subcommand in command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help") {
        pages(subcommand, &format!("{name}-{}", subcommand.get_name()), files)?;
    }
    Ok(())
}

/// What no definition of an option says: a file that commands use, or a variable that they obey.
struct Fact {
    heading: &'static str,
    name: &'static str,
    text: &'static str,
    /// The commands with one of these names or arguments are concerned; all are, if there are none.
    arguments: &'static [&'static str],
}

impl Fact {
    /// The page of the program has all of them.
    fn concerns(&self, command: &Command) -> bool {
        let is_known = |id: &&str| command.get_arguments().any(|argument| argument.get_id() == *id);
        let is_named = |name: &&str| [*name, "kube-bundle"].contains(&command.get_name());
        self.arguments.is_empty() || self.arguments.iter().any(|name| is_named(name) || is_known(name))
    }
}

const fn file(name: &'static str, arguments: &'static [&'static str], text: &'static str) -> Fact {
    Fact { heading: "FILES", name, text, arguments }
}

const fn variable(name: &'static str, arguments: &'static [&'static str], text: &'static str) -> Fact {
    Fact { heading: "ENVIRONMENT", name, text, arguments }
}

const FACTS: &[Fact] = &[
    file("cluster.toml", &["cluster"], "Describes the cluster. `kube-bundle explain` lists its keys."),
    file(
        "pki/",
        &["cluster"],
        "Beside cluster.toml: all keys, the certificates, and the number of builds. Back it up, and keep it secret.",
    ),
    file("out/CLUSTER/", &["out"], "The bundle. README.txt in it says what to do with it."),
    file(
        "~/.cache/kube-bundle/",
        &["offline", "days"],
        "The store: downloads and compressed programs that all builds share. It may be deleted.",
    ),
    variable("XDG_CACHE_HOME", &["offline", "days"], "The directory of the store, instead of ~/.cache."),
    variable("HTTPS_PROXY, HTTP_PROXY, NO_PROXY", &["offline"], "Proxies for downloads."),
    variable(
        "SOURCE_DATE_EPOCH",
        &["cluster"],
        "Modification time of packed files in seconds since 1970, instead of the release's date.",
    ),
    variable(
        "SSH_AUTH_SOCK",
        &["sign", "attest"],
        "The socket of ssh-agent, for keys that are given as agent:SHA256:…",
    ),
    variable(
        "REGISTRY_AUTH_FILE, DOCKER_CONFIG",
        &["plain_http"],
        "Where passwords of registries are: a file of `skopeo login --authfile`, or the directory of Docker's `config.json`.",
    ),
    variable(
        "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN",
        &["plain_http"],
        "Keys of object stores, instead of those in ~/.aws/credentials.",
    ),
    variable(
        "AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL",
        &["plain_http"],
        "The profile in ~/.aws, the region of the bucket, and the URL of a store that is not Amazon's.",
    ),
    variable("NO_COLOR", &[], "If set, nothing is coloured unless --color says so."),
    variable("CLICOLOR", &[], "If it is 0, nothing is coloured unless --color says so."),
    variable("CLICOLOR_FORCE", &[], "If set and not 0, output that goes to no terminal is coloured, too."),
];

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('-', "\\-")
}

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
    let escaped = escaped(paragraph);
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
    fn a_page_names_the_files_and_variables_of_its_command() {
        let files = super::generated().expect("generated files");
        let page = |name: &str| String::from_utf8_lossy(&files[std::path::Path::new(name)]).into_owned();
        let fetch = page("docs/man/kube-bundle-fetch.1");
        assert!(fetch.contains(".SH FILES\n.TP\ncluster.toml\n") && fetch.contains("HTTPS_PROXY"), "{fetch}");
        let verify = page("docs/man/kube-bundle-verify.1");
        assert!(!verify.contains(".SH FILES") && verify.contains(".SH ENVIRONMENT\n.TP\nNO_COLOR"), "{verify}");
        assert!(page("docs/man/kube-bundle-store-prune.1").contains("XDG_CACHE_HOME"));
        assert!(
            page("docs/man/kube-bundle-push.1").contains("REGISTRY_AUTH_FILE") && !verify.contains("REGISTRY_AUTH")
        );
        assert!(page("docs/man/kube-bundle-build.1").contains("SSH_AUTH_SOCK"));
        assert!(page("docs/man/kube-bundle-sign.1").contains("SSH_AUTH_SOCK"));
    }

    #[test]
    fn pages_refer_to_pages_that_there_are() {
        let files = super::generated().expect("generated files");
        let pages: Vec<_> = files.iter().filter(|(path, _)| path.starts_with("docs/man")).collect();
        for (path, page) in &pages {
            let text = String::from_utf8_lossy(page).replace('\\', "");
            for (before, _) in text.match_indices("(1)").map(|(at, _)| text.split_at(at)) {
                let name = before.rsplit(|c: char| c.is_whitespace()).next().unwrap_or_default();
                let is_there = pages.iter().any(|(other, _)| other.ends_with(format!("{name}.1")));
                assert!(is_there || !name.starts_with("kube-bundle"), "{} names {name}(1)", path.display());
            }
        }
    }

    #[test]
    fn man_pages_and_completions_are_current() {
        super::check().expect("run `cargo xtask docs`");
    }
}
