//! Debian's registry, `docker-registry`, for chores that push and pull.
#![expect(clippy::disallowed_methods, reason = "chores run programs and touch files")]

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use crate::e2e::wait;

/// It runs until it is dropped.
pub(crate) struct Registry {
    child: Child,
    directory: PathBuf,
}

impl Registry {
    /// Listens at `address`, and keeps its files in `directory`. `NAME.yml` beside that is its configuration.
    pub(crate) fn start(directory: PathBuf, address: &str) -> Result<Self> {
        let config = directory.with_extension("yml");
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '{address}'}}\n",
            directory.display()
        );
        fs::write(&config, text).context("could not configure the registry")?;
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().context("could not run docker-registry; its package has that name")?;
        let registry = Self { child, directory };
        wait("the registry", 20, || Ok(TcpStream::connect(address).is_ok()))?;
        Ok(registry)
    }

    /// Where its files are. It looks at them for each request, so they may be removed.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
