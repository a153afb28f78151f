//! What all measurements share: the working directory, the programs, and the machine's properties.
#![expect(clippy::disallowed_methods, reason = "xtask runs programs and touches files")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::cluster::{Cluster, remove_directory};
use super::measure::Run;
use super::{programs, tools};

/// Where the web server listens on loopback.
const PORT: &str = "18016";

pub(super) struct Environment {
    pub(super) work: PathBuf,
    pub(super) binaries: PathBuf,
    /// Whether the programs are Kubernetes.
    pub(super) real: bool,
    /// The nfpm program.
    pub(super) nfpm: Option<PathBuf>,
    pub(super) processors: usize,
}

impl Environment {
    pub(super) fn prepare(binaries: Option<&Path>, nfpm: Option<&Path>) -> Result<Self> {
        ensure!(Path::new("/usr/bin/time").exists(), "`/usr/bin/time` is missing; its package is `time`");
        crate::run("cargo", &["build", "--quiet", "--release", "--package", "kube-bundle", "--package", "xtask"])?;
        let work = super::repository("target/bench");
        // A run that was killed leaves its XFS disk mounted.
        let _ = Command::new("umount").arg(work.join("xfs")).stderr(Stdio::null()).status();
        let _ = fs::remove_dir_all(&work);
        fs::create_dir_all(&work).context("could not make the working directory")?;
        // Some tools refuse paths with `..` in them.
        let work = fs::canonicalize(work).context("could not find the working directory")?;
        let real = binaries.is_some();
        let binaries = match binaries {
            Some(from) => programs::copy(from, &work)?,
            None => programs::write_stand_ins(&work)?,
        };
        let nfpm = nfpm.map(std::path::absolute).transpose()?.or_else(|| tools::find("nfpm"));
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self { work, binaries, real, nfpm, processors })
    }

    /// The path of a program of this repository, as `cargo build --release` leaves it.
    pub(super) fn program(name: &str) -> Result<String> {
        Ok(std::path::absolute(super::repository("target/release").join(name))?.display().to_string())
    }

    fn run(&self, what: &str, program: &str, arguments: &[&str]) -> Run {
        Run {
            what: what.to_owned(),
            program: program.to_owned(),
            arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
            directory: self.work.clone(),
            variables: Vec::new(),
        }
    }

    pub(super) fn shell(&self, script: &str) -> Run {
        self.run(script, "sh", &["-c", script])
    }

    /// One pass of the codec over the programs, in a process of its own so that it can be measured like others.
    pub(super) fn pass_command(&self) -> Run {
        let program = Self::program("xtask").unwrap_or_default();
        self.run("one pass", &program, &["bench", "--pass", &self.binaries.display().to_string()])
    }

    /// Copies a directory and waits until the disk has it, as a build does.
    pub(super) fn copy(&self, from: &Path) -> Run {
        let to = self.work.join("copy");
        self.shell(&format!("cp -r {} {to} && sync -f {to}", from.display(), to = to.display()))
    }

    pub(super) fn remove_copy(&self) -> Result<()> {
        remove_directory(&self.work.join("copy"))
    }

    pub(super) fn reset_peers(&self) -> Result<()> {
        remove_directory(&self.work.join("peers"))?;
        fs::create_dir_all(self.work.join("peers")).context("could not make a directory")
    }

    /// A cluster of so many masters, with a recipe that is pinned to the programs.
    pub(super) fn cluster(&self, name: &str, nodes: u32) -> Result<Cluster> {
        Cluster::new(self.work.join(name), &self.binaries, self.work.join("cache"), nodes)
    }

    /// The same environment on an XFS file system, whose files can share blocks; nothing if none can be made.
    pub(super) fn with_shared_blocks(&self) -> Result<Option<XfsDisk>> {
        let (image, work) = (self.work.join("xfs.img"), self.work.join("xfs"));
        fs::create_dir_all(&work).context("could not make a directory")?;
        fs::File::create(&image).and_then(|file| file.set_len(8 << 30)).context("could not make a disk")?;
        let succeeds = |program: &str, arguments: &[&std::ffi::OsStr]| {
            Command::new(program).args(arguments).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
        };
        let made = succeeds("mkfs.xfs", &["-q".as_ref(), image.as_ref()])
            && succeeds("mount", &["-o".as_ref(), "loop".as_ref(), image.as_ref(), work.as_ref()]);
        if !made {
            return Ok(None);
        }
        let Self { binaries, real, nfpm, processors, .. } = self;
        let environment =
            Self { work, binaries: binaries.clone(), real: *real, nfpm: nfpm.clone(), processors: *processors };
        Ok(Some(XfsDisk { environment }))
    }

    /// Starts a web server that serves the programs.
    pub(super) fn serve(&self) -> Result<WebServer> {
        let mut python = Command::new("python3");
        python.args(["-m", "http.server", "--bind", "127.0.0.1", PORT]).current_dir(&self.binaries);
        let child = python.stdout(Stdio::null()).stderr(Stdio::null()).spawn().context("could not run python3")?;
        let server = WebServer { child, url: format!("http://127.0.0.1:{PORT}") };
        // The server must be listening before anything is measured.
        std::thread::sleep(std::time::Duration::from_secs(2));
        Ok(server)
    }
}

/// An XFS file system in a file, mounted until this is dropped.
pub(super) struct XfsDisk {
    pub(super) environment: Environment,
}

impl XfsDisk {
    /// Bytes of the file system that are in use.
    pub(super) fn used(&self) -> Result<u64> {
        let work = self.environment.work.display().to_string();
        let output = crate::e2e::stdout_of("df", &["--output=used", "--block-size=1", &work])?;
        output.lines().last().unwrap_or_default().trim().parse().context("df printed no number")
    }
}

impl Drop for XfsDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.environment.work).status();
    }
}

/// Serves the programs until it is dropped.
pub(super) struct WebServer {
    child: Child,
    pub(super) url: String,
}

impl Drop for WebServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
