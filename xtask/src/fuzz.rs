//! `cargo xtask fuzz`: parsers that meet other people's bytes, fed with changed ones by cargo-fuzz.
//!
//! A target is a file in `fuzz/fuzz_targets/`. What it begins with is written by `seeds`, so the repository holds no
//! binary; what is found on the way stays in `fuzz/corpus/`, which git does not see.
#![expect(clippy::disallowed_methods, reason = "chores run programs and touch files")]

mod seeds;
mod volumes;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

/// The longest input: a package of a small machine fits, and a megabyte would be changed where nothing looks.
const LONGEST: &str = "-max_len=131072";
/// Seconds for one input. A reader that needs more can be made to hang.
const SLOWEST: &str = "-timeout=10";
/// Megabytes. Readers of archives keep no more than names and digests.
const LARGEST: &str = "-rss_limit_mb=1024";

pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let all = targets()?;
    if arguments == ["--list"] {
        print(&all);
        return Ok(());
    }
    seeds::write(&root().join("corpus"))?;
    if arguments == ["--seed"] {
        return Ok(());
    }
    let (mut wanted, mut seconds, mut jobs) = (Vec::new(), 10, 1);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut number = || -> Result<u32> {
            let value = words.next().with_context(|| format!("`{word}` wants a number"))?;
            value.parse().with_context(|| format!("`{word}` wants a number, and `{value}` is none"))
        };
        match *word {
            "--seconds" => seconds = number()?,
            "--jobs" => jobs = number()?,
            target if all.iter().any(|known| known == target) => wanted.push(target.to_owned()),
            other => bail!("there is no target `{other}`: {}", all.join(", ")),
        }
    }
    if !crate::is_installed("cargo-fuzz") {
        bail!("`cargo-fuzz` is not installed; `cargo install cargo-fuzz` brings it");
    }
    for target in if wanted.is_empty() { all } else { wanted } {
        fuzz(&target, seconds, jobs).with_context(|| {
            format!(
                "`{target}` found something: the input is in fuzz/artifacts/{target}/, and the lines above say more"
            )
        })?;
    }
    Ok(())
}

fn fuzz(target: &str, seconds: u32, jobs: u32) -> Result<()> {
    let (seconds, jobs) = (format!("-max_total_time={seconds}"), format!("-fork={jobs}"));
    let mut arguments = vec!["fuzz", "run", "--fuzz-dir", "fuzz", "--sanitizer", "none", target, "--"];
    arguments.extend([&*seconds, LONGEST, SLOWEST, LARGEST, "-print_final_stats=1"]);
    if jobs != "-fork=1" {
        arguments.push(&jobs);
    }
    // The compiler of rust-toolchain.toml counts branches as a nightly one does, if it is allowed to. Without `unsafe`
    // in the crate there is nothing for a sanitizer of memory to find that a panic would not show.
    crate::run_with("cargo", &arguments, &[("RUSTC_BOOTSTRAP", "1")])
}

fn root() -> PathBuf {
    crate::root().join("fuzz")
}

fn targets() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(root().join("fuzz_targets")).context("could not list fuzz/fuzz_targets")? {
        names.extend(entry?.file_name().to_string_lossy().strip_suffix(".rs").map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

#[expect(clippy::print_stdout, reason = "a list is a result")]
fn print(targets: &[String]) {
    println!("{}", targets.join("\n"));
}

#[cfg(test)]
mod tests {
    /// A target that cargo does not know is never run.
    #[test]
    fn every_target_is_built() {
        let manifest = std::fs::read_to_string(super::root().join("Cargo.toml")).expect("fuzz/Cargo.toml");
        let targets = super::targets().expect("targets");
        assert!(targets.len() >= 8, "{targets:?}");
        for target in targets {
            assert!(manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")), "{target}");
        }
    }
}
