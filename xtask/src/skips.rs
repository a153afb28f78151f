//! `cargo xtask skips`: shows that no test can be left out unseen.
//!
//! The tests run where tools are missing, where namespaces are denied, and where no overlay can be mounted: they pass,
//! and list what they left out. Then, with `CI` set, each test of that list has to fail.
#![expect(clippy::disallowed_methods, clippy::print_stderr, reason = "chores run programs, and say what they find")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail};

/// What every test may take for granted, beside the program itself. Whatever else a test calls, it has to ask for.
const TAKEN_FOR_GRANTED: &[&str] = &[
    "[",
    "basename",
    "bash",
    "cat",
    "chmod",
    "chown",
    "cp",
    "cut",
    "date",
    "dd",
    "dirname",
    "echo",
    "env",
    "expr",
    "false",
    "find",
    "git",
    "grep",
    "gzip",
    "head",
    "id",
    "install",
    "ln",
    "ls",
    "md5sum",
    "mkdir",
    "mkfifo",
    "mktemp",
    "mv",
    "od",
    "printf",
    "readlink",
    "rm",
    "rmdir",
    "sed",
    "seq",
    "sh",
    "sha1sum",
    "sha256sum",
    "sha512sum",
    "sleep",
    "sort",
    "stat",
    "sync",
    "tail",
    "tar",
    "tee",
    "test",
    "timeout",
    "touch",
    "tr",
    "true",
    "truncate",
    "uname",
    "uniq",
    "unshare",
    "wc",
    "xargs",
];

/// A denial, as the kernel gives it.
const DENIED: &str = "#!/bin/sh\necho \"unshare: unshare failed: Operation not permitted\" >&2\nexit 1\n";

/// A script that takes the place of a program, which lies at this path.
type Replacement = fn(&Path) -> String;

/// How a machine can be poorer than the one of CI.
struct Poverty {
    name: &'static str,
    /// Tests that are run; all if there are none.
    tests: &'static [&'static str],
    /// Tools that are there; all if there are none.
    tools: &'static [&'static str],
    /// A program that does something else than it should.
    instead: Option<(&'static str, Replacement)>,
}

const POVERTIES: [Poverty; 3] = [
    Poverty {
        name: "without tools",
        tests: &[],
        tools: TAKEN_FOR_GRANTED,
        instead: Some(("unshare", |_| DENIED.to_owned())),
    },
    Poverty {
        name: "without namespaces",
        tests: &["install::", "dpkg::", "demo::"],
        tools: &[],
        instead: Some(("unshare", |_| DENIED.to_owned())),
    },
    Poverty {
        name: "without overlays",
        tests: &["dpkg::"],
        tools: &[],
        instead: Some(("mount", |real| {
            format!(
                "#!/bin/sh\ncase \"$*\" in *overlay*) echo \"mount: permission denied\" >&2; exit 1 ;; esac\nexec {} \"$@\"\n",
                real.display()
            )
        })),
    },
];

pub(crate) fn run() -> Result<()> {
    let program = program()?;
    let scratch = crate::root().join("target/skips");
    let mut shown = BTreeMap::new();
    for poverty in POVERTIES {
        eprintln!("$ {} {} # {}", program.display(), poverty.tests.join(" "), poverty.name);
        let path = path(&poverty, &scratch)?;
        let left_out = left_out(&program, &poverty, &path, &scratch)?;
        let failed = failed_in_ci(&program, &path, &left_out)?;
        let unseen: Vec<_> = left_out.difference(&failed).cloned().collect();
        if !unseen.is_empty() {
            bail!("{}, with CI set, these pass and have checked nothing: {}", poverty.name, unseen.join(", "));
        }
        shown.insert(poverty.name, left_out);
    }
    for (name, tests) in shown {
        eprintln!("{name}, {} tests fail in CI, and are listed elsewhere:", tests.len());
        eprintln!("  {}", tests.into_iter().collect::<Vec<_>>().join("\n  "));
    }
    Ok(())
}

/// The program with the tests.
fn program() -> Result<PathBuf> {
    let output = Command::new("cargo")
        .args(["test", "--no-run", "--package", "kube-bundle", "--test", "it"])
        .current_dir(crate::root())
        .output()
        .context("could not run `cargo test --no-run`")?;
    let said = String::from_utf8_lossy(&output.stderr);
    let path = said.rsplit_once('(').and_then(|(_, rest)| rest.split_once(')')).map(|(path, _)| path);
    let path = path.filter(|_| output.status.success()).with_context(|| format!("no tests were built:\n{said}"))?;
    Ok(crate::root().join(path).canonicalize()?)
}

/// A directory with what is left of PATH.
fn path(poverty: &Poverty, scratch: &Path) -> Result<PathBuf> {
    let directory = scratch.join(poverty.name.replace(' ', "-"));
    if directory.exists() {
        std::fs::remove_dir_all(&directory)?;
    }
    std::fs::create_dir_all(&directory)?;
    let directory = directory.canonicalize()?;
    let mut real = BTreeMap::new();
    for from in std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()) {
        for entry in std::fs::read_dir(from).into_iter().flatten().flatten() {
            real.entry(entry.file_name().to_string_lossy().into_owned()).or_insert(entry.path());
        }
    }
    for (name, target) in &real {
        let is_other = poverty.instead.is_some_and(|(other, _)| other == name);
        if !is_other && (poverty.tools.is_empty() || poverty.tools.contains(&name.as_str())) {
            std::os::unix::fs::symlink(target, directory.join(name))?;
        }
    }
    if let Some((name, script)) = poverty.instead {
        let path = directory.join(name);
        std::fs::write(&path, script(real.get(name).with_context(|| format!("there is no `{name}` here"))?))?;
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    }
    Ok(directory)
}

fn tests(program: &Path, path: &Path) -> Command {
    let mut command = Command::new(program);
    command.env("PATH", path).env_remove("CI").current_dir(crate::root().join("bundle"));
    command
}

/// Runs the tests outside of CI; they pass, and this is what they have not checked.
fn left_out(program: &Path, poverty: &Poverty, path: &Path, scratch: &Path) -> Result<BTreeSet<String>> {
    let list = scratch.join("left-out");
    std::fs::write(&list, "")?;
    let mut command = tests(program, path);
    // Killing takes time, and needs nothing.
    command.args(poverty.tests).args(["--skip", "kill::"]).env("KUBE_BUNDLE_LEFT_OUT", list.canonicalize()?);
    let output = command.output().context("could not run the tests")?;
    if !output.status.success() {
        bail!("{}, tests fail that are to be left out:\n{}", poverty.name, text(&output));
    }
    let list = std::fs::read_to_string(&list)?;
    let tests: BTreeSet<_> = list.lines().filter_map(|line| Some(line.split_once('\t')?.0.to_owned())).collect();
    if tests.is_empty() {
        bail!("{}, nothing was left out, so this shows nothing", poverty.name);
    }
    Ok(tests)
}

fn failed_in_ci(program: &Path, path: &Path, wanted: &BTreeSet<String>) -> Result<BTreeSet<String>> {
    let output = tests(program, path).arg("--exact").args(wanted).env("CI", "true").output()?;
    let text = text(&output);
    let failed = text.lines().filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"));
    Ok(failed.map(str::to_owned).collect())
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
