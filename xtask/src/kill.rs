//! `cargo xtask kill`: whether what a killed export, import, push or pull leaves is ever taken for whole, and whether the next
//! run ends in the right bytes.
//!
//! A small bundle is carried in four ways. Each case kills one of the commands at a random moment; the same command then
//! begins where that left it, until one comes to its end.
#![expect(clippy::disallowed_methods, reason = "chores run programs, touch files, and this one has a watch")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use kube_bundle::manifest::SUMS;

use crate::mutate::Random;
use crate::registry::Registry;
use crate::small::SmallCluster;

const ADDRESS: &str = "127.0.0.1:18018";
const REFERENCE: &str = "oci://127.0.0.1:18018/site/small:1";
/// Bytes of each stand-in for a program, so that a run takes more time than its start.
const SIZE: usize = 2_000_000;
const FORMATS: [&str; 2] = ["--format", "tarball,deb,nocloud"];

/// What is killed.
#[derive(Debug, Clone, Copy)]
enum Carry {
    Export,
    Import,
    Push,
    Pull,
}

impl Carry {
    const ALL: [Self; 4] = [Self::Export, Self::Import, Self::Push, Self::Pull];

    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Export => &["export", "-q", "out", "thin"],
            Self::Import => &["import", "-q", "carried", "-o", "imported"],
            Self::Push => &["push", "-q", "out", REFERENCE, "--include-secrets"],
            Self::Pull => &["pull", "-q", REFERENCE, "-o", "pulled"],
        }
    }

    /// Where its result is, in the directory of the cluster.
    fn result(self) -> &'static str {
        match self {
            Self::Export => "thin",
            Self::Import => "imported",
            Self::Push => "registry",
            Self::Pull => "pulled",
        }
    }
}

/// Reads the arguments, and kills.
#[expect(clippy::print_stdout, reason = "the figures are the result")]
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let (mut count, mut seed) = (1000, 1);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match *word {
            "--count" => count = crate::number(word, &mut words)?,
            "--seed" => seed = crate::number(word, &mut words)?,
            _ => bail!("there is no `{word}`: --count N --seed S"),
        }
    }
    crate::build_programs()?;
    let ground = Ground::prepare()?;
    for carry in Carry::ALL {
        let tally = ground.kill(carry, count / 4, seed).with_context(|| format!("{carry:?}"))?;
        println!(
            "{carry:?}: {} kills, {} of them found nothing whole, {} runs came to their end with the right bytes",
            tally.kills, tally.unfinished, tally.ended
        );
    }
    Ok(())
}

#[derive(Default)]
struct Tally {
    kills: u64,
    /// Kills after which nothing that can be used was there.
    unfinished: u64,
    /// Runs that came to their end, after kills or without.
    ended: u64,
}

/// A bundle `out`, its thin copy `carried`, and a registry for it.
struct Ground {
    work: tempfile::TempDir,
    program: PathBuf,
    registry: Registry,
}

impl Ground {
    fn prepare() -> Result<Self> {
        let program = fs::canonicalize(crate::program("kube-bundle"))?;
        let place = Some(PathBuf::from("/dev/shm")).filter(|path| path.is_dir()).unwrap_or_else(std::env::temp_dir);
        let work = tempfile::Builder::new().prefix("kube-bundle-kill-").tempdir_in(place)?;
        let cluster = SmallCluster::prepare(work.path(), &program, "", SIZE)?;
        cluster.build("out", &FORMATS)?;
        let registry = Registry::start(work.path().join("registry"), ADDRESS)?;
        let ground = Self { work, program, registry };
        ground.succeeds(&["export", "-q", "out", "carried"])?;
        Ok(ground)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.work.path().join(name)
    }

    fn start(&self, arguments: &[&str]) -> Result<Child> {
        let mut command = Command::new(&self.program);
        command.args(arguments).current_dir(self.work.path()).env("XDG_CACHE_HOME", self.path("cache"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().context("could not run kube-bundle")
    }

    fn is_success(&self, arguments: &[&str]) -> Result<bool> {
        Ok(self.start(arguments)?.wait()?.success())
    }

    fn succeeds(&self, arguments: &[&str]) -> Result<()> {
        ensure!(self.is_success(arguments)?, "failed: kube-bundle {}", arguments.join(" "));
        Ok(())
    }

    /// Kills it until `count` kills came before its end.
    fn kill(&self, carry: Carry, count: u64, seed: u64) -> Result<Tally> {
        if let Carry::Pull = carry {
            self.succeeds(Carry::Push.arguments())?;
        }
        let begin = Instant::now();
        self.succeeds(carry.arguments())?;
        let longest = begin.elapsed();
        self.forget(carry)?;
        let mut random = Random::of_case(seed, carry as u64);
        let mut tally = Tally::default();
        while tally.kills < count {
            let mut child = self.start(carry.arguments())?;
            // A run that goes on is shorter than the first one.
            thread::sleep(longest * u32::try_from(random.below(1000))? / 1000);
            child.kill().context("could not kill")?;
            let was_killed = !child.wait()?.success();
            tally.kills += u64::from(was_killed);
            let is_whole = self.is_whole(carry)?;
            ensure!(is_whole || was_killed, "it came to its end, and left nothing whole");
            tally.unfinished += u64::from(!is_whole);
            if is_whole {
                tally.ended += 1;
                self.forget(carry)?;
            }
        }
        self.succeeds(carry.arguments())?;
        ensure!(self.is_whole(carry)?, "the run after the last kill left nothing whole");
        self.forget(carry)?;
        Ok(tally)
    }

    /// Whether the result passes for whole. It is an error if it does and has other bytes than the bundle.
    fn is_whole(&self, carry: Carry) -> Result<bool> {
        let result = self.path(carry.result());
        match carry {
            Carry::Import | Carry::Pull => {
                if result.exists() {
                    self.ensure_same(&result)?;
                }
                Ok(result.exists())
            }
            Carry::Export => self.can_be_used(&["import", "-q", "thin", "-o", "checked"]),
            Carry::Push => self.can_be_used(&["pull", "-q", REFERENCE, "-o", "checked"]),
        }
    }

    /// Whether a command makes a bundle at `checked`, which then has to be the right one.
    fn can_be_used(&self, arguments: &[&str]) -> Result<bool> {
        let checked = self.path("checked");
        let succeeded = self.is_success(arguments)?;
        ensure!(succeeded == checked.exists(), "{} and its output disagree", arguments.join(" "));
        if succeeded {
            self.ensure_same(&checked)?;
            fs::remove_dir_all(&checked)?;
        }
        Ok(succeeded)
    }

    fn ensure_same(&self, directory: &Path) -> Result<()> {
        let sums = |of: &Path| fs::read(of.join(SUMS)).context("a bundle has no checksums");
        ensure!(sums(directory)? == sums(&self.path("out"))?, "another bundle is at {}", directory.display());
        self.succeeds(&["verify", "-q", &directory.display().to_string()])
    }

    /// Removes the result, so that the next run begins anew.
    fn forget(&self, carry: Carry) -> Result<()> {
        let result = if let Carry::Push = carry { self.registry.directory() } else { &self.path(carry.result()) };
        fs::remove_dir_all(result).with_context(|| format!("could not remove {}", result.display()))
    }
}
