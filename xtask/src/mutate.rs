//! `cargo xtask mutate`: whether `verify` and `inspect` survive damaged files, and notice the damage.
//!
//! A small bundle is built with stand-ins. Each case is one change of it, the same for the same seed and number. The library
//! judges every case, the program itself some of them, so that exit codes and memory are seen.
#![expect(clippy::disallowed_methods, reason = "chores run programs, touch files, and this one has a watch")]

mod archive;
mod random;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use kube_bundle::manifest::{Member, is_signature};
use kube_bundle::sign::{KeyReference, Signer};
use kube_bundle::trust::{self, Trust};
use kube_bundle::{clock, inspect, verify};

use crate::small::SmallCluster;
pub(crate) use random::Random;
use random::{damage, damage_text};

/// One case of so many is judged by the program as well.
const SAMPLE: u64 = 100;
/// At the end of `cluster.toml`: user data alone wants a mirror.
const MIRROR: &str = "[output.mirror]\nurl = \"http://192.0.2.9/small/\"\n";
/// The key that signs, in the directory of the cluster.
const KEY: &str = "key";
/// Directory, and how it is built.
const BUILDS: [(&str, &[&str]); 4] = [
    ("out", &["--format", "tarball,deb,nocloud,initrd,user-data", "--sign", KEY]),
    ("zstd", &["--format", "deb", "--deb-compression", "zstd"]),
    ("xz", &["--format", "deb", "--deb-compression", "xz"]),
    ("vfat", &["--format", "nocloud,initrd", "--seed-image", "vfat", "--seed", "split"]),
];

/// Reads the arguments, and mutates artifacts one by one or a whole bundle.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let (mut count, mut seed, mut artifacts) = (1000, 1, false);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match *word {
            "--count" => count = crate::number(word, &mut words)?,
            "--seed" => seed = crate::number(word, &mut words)?,
            "--artifacts" => artifacts = true,
            _ => bail!("there is no `{word}`: --count N --seed S [--artifacts]"),
        }
    }
    let ground = Ground::prepare()?;
    // A panic is counted; its text would only be in the way.
    std::panic::set_hook(Box::new(|_| {}));
    let mut tally = Tally::default();
    if artifacts {
        ground.artifacts(count, seed, &mut tally)?;
    } else {
        ground.bundles(count, seed, &mut tally)?;
    }
    tally.report(if artifacts { "artifacts" } else { "bundles" }, count, seed)
}

/// What the cases did.
#[derive(Default)]
struct Tally {
    panics: Vec<String>,
    /// Exit codes of the program that it has not.
    exits: Vec<String>,
    /// Changes that were not noticed, though what is listed differs.
    unnoticed: Vec<String>,
    /// By subject: cases, changes without a fault, and those of them that are only in what the report calls not compared.
    accepted: BTreeMap<String, [u64; 3]>,
    slowest: (f64, String),
    /// KiB of the largest process.
    memory: u64,
}

impl Tally {
    #[expect(clippy::print_stdout, reason = "the figures are the result")]
    fn report(&self, what: &str, count: u64, seed: u64) -> Result<()> {
        println!("{count} mutations of {what}, seed {seed}");
        for (subject, [cases, accepted, apart]) in &self.accepted {
            println!("  {subject}: {cases} cases, {accepted} without a fault, {apart} of them in what is not compared");
        }
        println!("panics: {}, exits other than 0, 1, 3: {}", self.panics.len(), self.exits.len());
        println!("not noticed, with another listing: {}", self.unnoticed.len());
        println!("slowest: {:.2} s ({}), most memory: {} MB", self.slowest.0, self.slowest.1, self.memory >> 10);
        let bad: Vec<_> = [&self.panics, &self.exits, &self.unnoticed].into_iter().flatten().take(20).collect();
        ensure!(bad.is_empty(), "found:\n  {}", bad.iter().map(|case| case.as_str()).collect::<Vec<_>>().join("\n  "));
        Ok(())
    }

    /// Runs something that may panic.
    fn attempt<T>(&mut self, case: &str, of: impl FnOnce() -> T + std::panic::UnwindSafe) -> Option<T> {
        let begin = Instant::now();
        let done = catch_unwind(of);
        let seconds = begin.elapsed().as_secs_f64();
        if seconds > self.slowest.0 {
            self.slowest = (seconds, case.to_owned());
        }
        if done.is_err() {
            self.panics.push(case.to_owned());
        }
        done.ok()
    }

    /// Runs the program, for its exit code and its memory.
    fn program(&mut self, ground: &Ground, case: &str, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new("/usr/bin/time");
        command.args(["--quiet", "--format", "%M"]).arg(&ground.program).args(arguments).stdout(Stdio::null());
        let output = command.output().context("could not run /usr/bin/time")?;
        let said = String::from_utf8_lossy(&output.stderr);
        let memory = said.lines().last().and_then(|line| line.parse().ok()).unwrap_or(0);
        self.memory = self.memory.max(memory);
        if !matches!(output.status.code(), Some(0 | 1 | 3)) {
            self.exits.push(format!("{case}: {:?} {arguments:?}", output.status));
        }
        Ok(())
    }
}

/// An artifact, and what it holds.
struct Subject {
    name: String,
    bytes: Vec<u8>,
    entries: BTreeMap<String, Member>,
}

/// Where bundles are built and changed.
struct Ground {
    work: tempfile::TempDir,
    program: PathBuf,
    trust: Trust,
}

impl Ground {
    fn prepare() -> Result<Self> {
        ensure!(Path::new("/usr/bin/time").exists(), "`/usr/bin/time` is missing; its package is `time`");
        crate::build_programs()?;
        let program = fs::canonicalize(crate::program("kube-bundle"))?;
        // Where no disk is worn.
        let place = Some(PathBuf::from("/dev/shm")).filter(|path| path.is_dir()).unwrap_or_else(std::env::temp_dir);
        let work = tempfile::Builder::new().prefix("kube-bundle-mutate-").tempdir_in(place)?;
        let cluster = SmallCluster::prepare(work.path(), &program, MIRROR, 3000)?;
        let key = work.path().join(KEY);
        crate::run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &key.display().to_string()])?;
        let trusted = work.path().join("trust");
        trust::write(&trusted, &[Signer::open(&KeyReference::File(key))?], &[], &[], &[])?;
        let trust = Trust::read(&trusted, clock::now())?;
        for (directory, more) in BUILDS {
            cluster.build(directory, more)?;
        }
        Ok(Self { work, program, trust })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.work.path().join(name)
    }

    /// Whose signature an artifact must have: archives alone have one.
    fn trust_in(&self, name: &str) -> Option<&Trust> {
        (name.starts_with("out/") && name.ends_with(".tar.gz")).then_some(&self.trust)
    }

    /// Every file of the builds that has a reader.
    fn subjects(&self) -> Result<Vec<Subject>> {
        let mut subjects = Vec::new();
        for (directory, _) in BUILDS {
            for name in files(&self.path(directory))? {
                let path = self.path(directory).join(&name);
                let Ok(contents) = inspect::read(&path, &[]) else { continue };
                // One program's package is like another's.
                if name.contains("kube-bundle-") && !name.contains("kubectl") {
                    continue;
                }
                let report = verify::file(&path, self.trust_in(&format!("{directory}/{name}")))?;
                ensure!(report.faults.is_empty(), "{}: {:?}", path.display(), report.faults);
                let (name, bytes) = (format!("{directory}/{name}"), fs::read(&path)?);
                subjects.push(Subject { name, bytes, entries: contents.entries });
            }
        }
        Ok(subjects)
    }

    fn artifacts(&self, count: u64, seed: u64, tally: &mut Tally) -> Result<()> {
        let subjects = self.subjects()?;
        let path = self.path("case");
        for case in 0..count {
            let mut random = Random::of_case(seed, case);
            let subject = random.pick(&subjects);
            let changed = mutate(&mut random, &subject.name, &subject.bytes)?;
            if changed == subject.bytes {
                continue;
            }
            fs::write(&path, &changed)?;
            let name = format!("case {case}, {}", subject.name);
            let trust = std::panic::AssertUnwindSafe(self.trust_in(&subject.name));
            let found = tally.attempt(&name, || (verify::file(&path, *trust), inspect::read(&path, &[])));
            let figures = tally.accepted.entry(subject.name.clone()).or_default();
            figures[0] += 1;
            if let Some((Ok(report), listed)) = found
                && report.faults.is_empty()
            {
                figures[1] += 1;
                let mut entries = listed.map(|contents| contents.entries).unwrap_or_default();
                if entries != subject.entries {
                    for path in &report.not_compared {
                        entries.extend(subject.entries.get(path).map(|member| (path.clone(), member.clone())));
                    }
                    if entries == subject.entries { figures[2] += 1 } else { tally.unnoticed.push(name.clone()) }
                }
            }
            if case % SAMPLE == 0 {
                for command in ["verify", "inspect"] {
                    tally.program(self, &name, &[command, &path.display().to_string()])?;
                }
            }
        }
        Ok(())
    }

    fn bundles(&self, count: u64, seed: u64, tally: &mut Tally) -> Result<()> {
        let out = self.path("out");
        let all = files(&out)?;
        for case in 0..count {
            let mut random = Random::of_case(seed, case);
            let name = match case % 3 {
                0 => "manifest.json".to_owned(),
                1 => "SHA256SUMS".to_owned(),
                _ => random.pick(&all).clone(),
            };
            let path = out.join(&name);
            let whole = fs::read(&path)?;
            let Some(undo) = change(&mut random, &out, &path, &whole)? else { continue };
            let deep = case / 3 % 3 == 0;
            let label = format!("case {case}, {name}");
            // Who trusts a key sees every change. Checksums alone show all but those of signatures, which are in no list.
            let trust = std::panic::AssertUnwindSafe(&self.trust);
            let signed = tally.attempt(&label, || verify::directory(&out, deep, Some(*trust)));
            let found = if is_clean(signed.as_ref()) || is_signature(&name) {
                signed
            } else {
                tally.attempt(&label, || verify::directory(&out, deep, None))
            };
            let figures = tally
                .accepted
                .entry(["manifest.json", "SHA256SUMS", "any file"][(case % 3) as usize].to_owned())
                .or_default();
            figures[0] += 1;
            if is_clean(found.as_ref()) {
                figures[1] += 1;
                tally.unnoticed.push(format!("{label}: {}", describe(&path, &whole)));
            }
            if case % SAMPLE == 0 {
                let out = out.display().to_string();
                tally.program(self, &label, &["verify", &out, "--deep"])?;
                tally.program(self, &label, &["inspect", &out])?;
            }
            if undo != path {
                if undo.is_dir() { fs::remove_dir(&undo)? } else { fs::remove_file(&undo)? }
            }
            if path.is_dir() {
                fs::remove_dir(&path)?;
            } else if path.is_symlink() {
                fs::remove_file(&path)?;
            }
            fs::write(&path, &whole)?;
        }
        Ok(())
    }
}

/// What was done to a file.
fn describe(path: &Path, whole: &[u8]) -> String {
    let Ok(changed) = fs::read(path) else { return "removed, or no file".to_owned() };
    let at = changed.iter().zip(whole).take_while(|(one, other)| one == other).count();
    let part = |bytes: &[u8]| bytes[at.min(bytes.len())..].iter().take(24).copied().collect::<Vec<_>>();
    let (was, is) = (part(whole), part(&changed));
    let (was, is) = (String::from_utf8_lossy(&was).into_owned(), String::from_utf8_lossy(&is).into_owned());
    format!("{} -> {} bytes, at {at}: {was:?} -> {is:?}", whole.len(), changed.len())
}

fn is_clean(found: Option<&io::Result<verify::Report>>) -> bool {
    matches!(found, Some(Ok(report)) if report.faults.is_empty())
}

/// Changes a bundle in one place. Returns what is to be removed afterwards, besides the file itself; nothing if nothing is
/// changed.
fn change(random: &mut Random, out: &Path, path: &Path, whole: &[u8]) -> Result<Option<PathBuf>> {
    let mut bytes = whole.to_vec();
    match random.below(12) {
        0 => fs::remove_file(path)?,
        1 => {
            fs::remove_file(path)?;
            fs::create_dir(path)?;
        }
        2 => {
            fs::remove_file(path)?;
            std::os::unix::fs::symlink("/etc/hostname", path)?;
        }
        3 => {
            let added = out.join("added");
            fs::write(&added, "x")?;
            return Ok(Some(added));
        }
        4 => {
            let added = path.with_extension("d");
            fs::create_dir(&added)?;
            return Ok(Some(added));
        }
        5..=7 if path.extension().is_none_or(|ending| ending == "json") => damage_text(random, &mut bytes),
        _ => damage(random, &mut bytes),
    }
    if path.is_file() && !path.is_symlink() {
        if bytes == whole {
            return Ok(None);
        }
        fs::write(path, bytes)?;
    }
    Ok(Some(path.to_owned()))
}

/// Changes an artifact: its bytes, or what they mean.
fn mutate(random: &mut Random, name: &str, bytes: &[u8]) -> Result<Vec<u8>> {
    if random.below(3) == 0 {
        let mut changed = bytes.to_vec();
        damage(random, &mut changed);
        return Ok(changed);
    }
    match name.rsplit('.').next().unwrap_or_default() {
        "gz" => archive::compressed_tar(random, bytes, "gz"),
        "deb" => archive::deb(random, bytes),
        "cpio" => Ok(archive::cpio(random, bytes)),
        _ => Ok(archive::image(random, bytes)),
    }
}

/// Files below a directory, by their path in it.
fn files(directory: &Path) -> Result<Vec<String>> {
    let mut found = kube_bundle::out::list(directory)?;
    found.sort();
    Ok(found)
}
