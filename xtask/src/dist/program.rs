//! The static program: from which commit, with which flags, in which directory.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use time::OffsetDateTime;

/// Linked with musl: it needs no library of the machine that it runs on.
pub(crate) const TARGET: &str = "x86_64-unknown-linux-musl";

/// What is built, by git.
pub(crate) struct Head {
    /// The first twelve digits of the commit.
    pub(crate) commit: String,
    /// The day of the commit.
    pub(crate) day: String,
    pub(crate) date: OffsetDateTime,
}

impl Head {
    pub(crate) fn read(sources: &Path) -> Result<Self> {
        let of_head = git(sources, &["show", "--no-patch", "--format=%h %cs %ct", "--abbrev=12", "HEAD"])?;
        let mut words = of_head.split_whitespace().map(str::to_owned);
        let mut next = || words.next().context("git show printed less than a commit, a day and a time");
        let (commit, day, seconds) = (next()?, next()?, next()?);
        Ok(Self { commit, day, date: OffsetDateTime::from_unix_timestamp(seconds.parse()?)? })
    }

    /// The same, if nothing differs from it: a release says which commit it was built from.
    pub(crate) fn of_release(sources: &Path) -> Result<Self> {
        let changes = git(sources, &["status", "--porcelain"])?;
        ensure!(changes.is_empty(), "a release is built from a commit, and there are changes:\n{changes}");
        Self::read(sources)
    }
}

fn git(directory: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new("git").args(arguments).current_dir(directory).output();
    let output = output.context("could not run git")?;
    ensure!(output.status.success(), "git: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// Where a release is built. Its bytes must not depend on it.
pub(crate) struct Place {
    /// The repository.
    pub(crate) sources: PathBuf,
    /// Where cargo keeps the sources of dependencies.
    cargo_home: PathBuf,
    /// What a process here may see besides.
    environment: &'static [(&'static str, &'static str)],
    umask: &'static str,
}

impl Place {
    /// This repository, as it is.
    pub(crate) fn here() -> Result<Self> {
        let sources = fs::canonicalize(crate::root()).context("could not find the repository")?;
        let home = |home| PathBuf::from(home).join(".cargo");
        let cargo_home =
            std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| std::env::var_os("HOME").map(home));
        let cargo_home = cargo_home.context("neither CARGO_HOME nor HOME is set")?;
        let cargo_home = fs::canonicalize(cargo_home).context("could not find the directory of cargo")?;
        Ok(Self { sources, cargo_home, environment: &[], umask: "022" })
    }

    /// A clone of it in an empty directory, for somebody with other habits: another path, also of the dependencies,
    /// another umask, time zone and user name.
    pub(crate) fn elsewhere(&self) -> Result<Self> {
        let directory = self.sources.join("target/built-elsewhere");
        let _ = fs::remove_dir_all(&directory);
        let cargo_home = directory.join("home/cargo");
        fs::create_dir_all(cargo_home.join("registry")).context("could not make the other directory")?;
        // The same downloads, which cargo unpacks there anew. They are copied, since a compiler is told where links lead.
        for kind in ["index", "cache"] {
            let (from, to) = (self.cargo_home.join("registry").join(kind), cargo_home.join("registry"));
            crate::run("cp", &["-a", &from.display().to_string(), &to.display().to_string()])?;
        }
        for settings in ["config.toml", "config"] {
            let from = self.cargo_home.join(settings);
            if from.exists() {
                symlink(from, cargo_home.join(settings)).context("could not link the settings of cargo")?;
            }
        }
        let sources = directory.join("sources");
        let [from, to] = [&self.sources, &sources].map(|path| path.display().to_string());
        crate::run("git", &["clone", "--quiet", &from, &to])?;
        let environment =
            &[("TZ", "Pacific/Kiritimati"), ("USER", "somebody"), ("LOGNAME", "somebody"), ("LC_ALL", "C")];
        Ok(Self { sources, cargo_home, environment, umask: "077" })
    }

    /// Builds the program; returns its path.
    pub(crate) fn build(&self, head: &Head) -> Result<PathBuf> {
        let target = self.sources.join("target");
        let maps =
            [(&self.sources, "/kube-bundle"), (&self.cargo_home, "/cargo")].map(|(path, to)| (path.display(), to));
        let for_rust: Vec<_> = maps.iter().map(|(from, to)| format!("--remap-path-prefix={from}={to}")).collect();
        let for_c: Vec<_> = maps.iter().map(|(from, to)| format!("-ffile-prefix-map={from}={to}")).collect();
        let (target_dir, cargo_home) = (target.display().to_string(), self.cargo_home.display().to_string());
        let (for_rust, for_c) = (for_rust.join("\x1f"), for_c.join(" "));
        let environment = [
            ("CARGO_HOME", cargo_home.as_str()),
            ("CARGO_TARGET_DIR", &target_dir),
            ("CARGO_ENCODED_RUSTFLAGS", &for_rust),
            ("CC_x86_64_unknown_linux_musl", "musl-gcc"),
            ("CFLAGS_x86_64_unknown_linux_musl", &for_c),
            ("KUBE_BUNDLE_COMMIT", &head.commit),
            ("KUBE_BUNDLE_DATE", &head.day),
        ];
        let with_umask = format!("umask {}; exec cargo \"$@\"", self.umask);
        let build = ["build", "--quiet", "--locked", "--release", "--package", "kube-bundle", "--target", TARGET];
        let command = [&["-c", with_umask.as_str(), "cargo"], &build[..]].concat();
        crate::run_in(&self.sources, "sh", &command, &[&environment, self.environment].concat())
            .context("a build needs `rustup target add x86_64-unknown-linux-musl` and `apt-get install musl-tools`")?;
        Ok(self.program())
    }

    /// Where [`Self::build`] leaves the program.
    pub(crate) fn program(&self) -> PathBuf {
        self.sources.join("target").join(TARGET).join("release/kube-bundle")
    }

    /// The content of a file of the repository.
    pub(crate) fn read(&self, path: impl AsRef<Path>) -> Result<Vec<u8>> {
        let path = self.sources.join(path);
        fs::read(&path).with_context(|| format!("could not read `{}`", path.display()))
    }
}
