//! The arguments of `cargo xtask e2e`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::scenarios::{SCENARIOS, Scenario, UPGRADE_FROM_RELEASE};

#[derive(Debug)]
pub(super) struct Options {
    pub(super) scenarios: Vec<&'static Scenario>,
    /// A directory with Kubernetes v1.16.0 components. Without it, stand-ins run in their place.
    pub(super) binaries: Option<PathBuf>,
    /// An earlier kube-bundle program, whose bundles are upgraded.
    pub(super) previous: Option<PathBuf>,
    /// A directory with an earlier etcd, from which machines are upgraded.
    pub(super) previous_etcd: Option<PathBuf>,
    /// The Debian release that the machines run.
    pub(super) suite: String,
}

impl Options {
    /// `in_ci` tells whether a scenario that is asked for by name may be left out: in CI it may not, because nobody
    /// would read that it was.
    pub(super) fn parse(arguments: &[&str], in_ci: bool) -> Result<Self> {
        let (mut scenarios, mut without) = (Vec::new(), Vec::new());
        let (mut binaries, mut previous, mut previous_etcd, mut suite) = (None, None, None, "bookworm".to_owned());
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().copied().with_context(|| format!("`{word}` needs a value"));
            match *word {
                "--binaries" => binaries = Some(existing(value()?)?),
                "--previous" => previous = Some(existing(value()?)?),
                "--previous-etcd" => previous_etcd = Some(existing(value()?)?),
                "--suite" => value()?.clone_into(&mut suite),
                "--without" => without.push(find(value()?)?.name),
                option if option.starts_with('-') => bail!("there is no option `{option}`"),
                name => scenarios.push(find(name)?),
            }
        }
        let named = scenarios.iter().any(|scenario| scenario.name == UPGRADE_FROM_RELEASE);
        ensure!(
            previous.is_some() || !named || !in_ci,
            "`{UPGRADE_FROM_RELEASE}` needs an earlier kube-bundle program: add `--previous PROGRAM`"
        );
        if scenarios.is_empty() {
            scenarios = SCENARIOS.iter().collect();
        }
        scenarios.retain(|scenario| !without.contains(&scenario.name));
        Ok(Self { scenarios, binaries, previous, previous_etcd, suite })
    }
}

fn find(name: &str) -> Result<&'static Scenario> {
    let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name);
    scenario.with_context(|| format!("there is no scenario `{name}`; `cargo xtask e2e --list` prints them"))
}

/// The absolute path: programs run in other directories than the one that `path` is relative to.
#[expect(clippy::disallowed_methods, reason = "asks where a program is that the user named")]
fn existing(path: &str) -> Result<PathBuf> {
    Path::new(path).canonicalize().with_context(|| format!("could not find `{path}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(arguments: &[&str]) -> Vec<&'static str> {
        Options::parse(arguments, false).unwrap().scenarios.iter().map(|scenario| scenario.name).collect()
    }

    #[test]
    fn scenarios_are_chosen_by_name_or_are_all_but_some() {
        assert_eq!(names(&["cis", "health"]), ["cis", "health"]);
        assert_eq!(names(&[]).len(), SCENARIOS.len());
        assert_eq!(names(&["--without", "cis"]).len(), SCENARIOS.len() - 1);
        for unknown in [&["no-such"][..], &["--no-such"], &["--without", "no-such"], &["--suite"]] {
            assert!(Options::parse(unknown, false).is_err(), "{unknown:?} was accepted");
        }
    }

    #[test]
    fn in_ci_an_upgrade_that_is_asked_for_is_not_left_out() {
        let named = [UPGRADE_FROM_RELEASE];
        assert!(Options::parse(&named, true).is_err());
        assert!(Options::parse(&named, false).is_ok());
        assert!(Options::parse(&[], true).is_ok());
        assert!(Options::parse(&[UPGRADE_FROM_RELEASE, "--previous", "/bin/sh"], true).is_ok());
    }
}
