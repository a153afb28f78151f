//! A small cluster for chores that read or damage what kube-bundle writes: one master, ECDSA keys, stand-ins for programs.
#![expect(clippy::disallowed_methods, reason = "chores run programs and touch files")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use kube_bundle::hash::Sha256;
use kube_bundle::recipe::component::Kind;
use kube_bundle::recipe::embedded;

/// The same as the tests'.
const CLUSTER: &str = include_str!("../../tests/fixtures/small.toml");

/// The directory of a release engineer, who builds with `program`.
pub(crate) struct SmallCluster {
    directory: PathBuf,
    program: PathBuf,
}

impl SmallCluster {
    /// Writes `cluster.toml`, with `more` at its end, and a recipe that is pinned to stand-ins of `size` bytes.
    pub(crate) fn prepare(directory: &Path, program: &Path, more: &str, size: usize) -> Result<Self> {
        let cluster = Self { directory: directory.to_owned(), program: program.to_owned() };
        fs::create_dir_all(cluster.path("files")).context("could not make the directory of the stand-ins")?;
        let components = embedded::load("v1.16.0")?.release.components.into_iter();
        for (name, _) in components.filter(|(_, component)| component.kind != Kind::Image) {
            fs::write(cluster.path("files").join(&name), stand_in(&name, size))?;
        }
        fs::write(cluster.path("cluster.toml"), format!("{CLUSTER}{more}"))?;
        cluster.run(&["recipe", "export", "v1.16.0", "recipe"])?;
        cluster.run(&["recipe", "pin", "recipe", "--from", "files"])?;
        Ok(cluster)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Builds into the directory `out`, with more arguments.
    pub(crate) fn build(&self, out: &str, more: &[&str]) -> Result<()> {
        self.run(&[&["build", "--offline", "--from", "files", "-q", "-o", out], more].concat())
    }

    fn run(&self, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.args(arguments).current_dir(&self.directory).env("XDG_CACHE_HOME", self.path("cache"));
        let output = command.stdin(Stdio::null()).output().context("could not run kube-bundle")?;
        ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }
}

/// A file that passes for a program of x86-64, and is hard to compress.
fn stand_in(name: &str, size: usize) -> Vec<u8> {
    let mut bytes = vec![0x7f, b'E', b'L', b'F', 2, 1, 1];
    bytes.resize(18, 0);
    bytes.extend([62, 0]);
    bytes.extend(name.bytes());
    let mut digest = Sha256::of(&bytes);
    while bytes.len() < size {
        bytes.extend(digest.as_bytes());
        digest = Sha256::of(digest.as_bytes());
    }
    bytes.truncate(size);
    bytes
}
