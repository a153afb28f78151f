//! A machine: an overlay over the Debian root, booted by systemd-nspawn.
#![expect(clippy::disallowed_methods, reason = "xtask runs programs and touches files")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::disk;
use super::environment::{BRIDGE, ScenarioContext};
use super::files::{self, Listing};
use super::pods;
use super::shell::{Outcome, stdout_of};

/// The credential with the key that opens a machine's secrets, and its file beside the machine.
const KEY: &str = "kube-bundle.key";

/// A machine, running or powered off.
pub(super) struct Machine {
    pub(super) name: String,
    pub(super) address: String,
    /// The directory that its own root lies over.
    root: PathBuf,
    directory: PathBuf,
    /// Whether pods can run on it; see [`pods`].
    runs_pods: bool,
    /// Whether it has a [`disk`] of its own.
    has_disk: bool,
    running: Option<Running>,
}

struct Running {
    nspawn: Child,
    /// The process ID of its init, in the namespace of this process.
    init: String,
}

impl Machine {
    /// A machine on the root of containers, not booted yet.
    pub(super) fn new(context: &ScenarioContext, name: &str, address: &str) -> Result<Self> {
        Self::with_root(&context.root, context, name, address)
    }

    /// A machine on which pods can run, not booted yet.
    pub(super) fn with_pods(context: &ScenarioContext, name: &str, address: &str) -> Result<Self> {
        Self::with_root(&context.pod_root, context, name, address)?.for_pods()
    }

    /// The same machine, not booted yet, with what pods need of it.
    pub(super) fn for_pods(mut self) -> Result<Self> {
        self.runs_pods = true;
        pods::prepare(&self)?;
        Ok(self)
    }

    /// A machine on another root.
    pub(super) fn with_root(root: &Path, context: &ScenarioContext, name: &str, address: &str) -> Result<Self> {
        Self::make(root, context, (name, address), false)
    }

    /// The same with a disk of its own, for [`Self::cut_power`].
    pub(super) fn with_disk(root: &Path, context: &ScenarioContext, name: &str, address: &str) -> Result<Self> {
        Self::make(root, context, (name, address), true)
    }

    fn make(root: &Path, context: &ScenarioContext, (name, address): (&str, &str), has_disk: bool) -> Result<Self> {
        let directory = context.work.join(name);
        for part in ["changes", "root"] {
            fs::create_dir_all(directory.join(part)).context("could not make a machine's directory")?;
        }
        if has_disk {
            disk::make(&directory)?;
        }
        let machine = Self {
            name: name.to_owned(),
            address: address.to_owned(),
            root: root.to_owned(),
            directory,
            runs_pods: false,
            has_disk,
            running: None,
        };
        machine.mount_root()?;
        machine.write("etc/hostname", &format!("{name}\n"))?;
        machine.write(
            "etc/systemd/network/10-host0.network",
            &format!("[Match]\nName=host0\n[Network]\nAddress={address}/16\nLinkLocalAddressing=no\n"),
        )?;
        Ok(machine)
    }

    fn mount_root(&self) -> Result<()> {
        let [upper, work] = ["changes/upper", "changes/overlay"].map(|name| self.directory.join(name));
        for directory in [&upper, &work] {
            fs::create_dir_all(directory).context("could not make a machine's directory")?;
        }
        let options =
            format!("lowerdir={},upperdir={},workdir={}", self.root.display(), upper.display(), work.display());
        stdout_of("mount", &["-t", "overlay", "overlay", "-o", &options, &self.path("").display().to_string()])
            .map(drop)
    }

    /// The directory of its root, its console and its journal.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The path, on the host, of a file of the machine.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.directory.join("root").join(path)
    }

    /// Writes a file of the machine, and makes its directory if there is none.
    pub(super) fn write(&self, path: &str, text: &str) -> Result<()> {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap_or(&path)).context("could not make a directory")?;
        fs::write(&path, text).with_context(|| format!("could not write `{}`", path.display()))
    }

    /// Copies a file or directory of the host into a directory of the machine; permissions are kept.
    pub(super) fn copy_in(&self, from: &Path, to: &str) -> Result<()> {
        let target = self.path(to);
        fs::create_dir_all(&target).context("could not make a directory")?;
        stdout_of("cp", &["-a", &from.display().to_string(), &target.display().to_string()]).map(drop)
    }

    /// Hands the private key in a file over to the machine at its next boot, or none, as a hypervisor does: by a credential of
    /// systemd.
    pub(super) fn hand_over(&self, key: Option<&Path>) -> Result<()> {
        let place = self.directory.join(KEY);
        match key {
            Some(key) => fs::copy(key, &place).map(drop).context("could not copy the key"),
            None => fs::remove_file(&place).context("could not remove the key"),
        }
    }

    /// Boots it, and waits for basic.target only: services may wait for another machine that is not on yet.
    pub(super) fn boot(&mut self) -> Result<()> {
        let nspawn = self.spawn_nspawn()?;
        let parent = nspawn.id();
        self.running = Some(Running { nspawn, init: String::new() });
        let children = format!("/proc/{parent}/task/{parent}/children");
        wait("a machine's init", 30, || {
            let init = fs::read_to_string(&children).unwrap_or_default().trim().to_owned();
            let is_init = fs::read_to_string(format!("/proc/{init}/comm")).is_ok_and(|name| name.trim() == "systemd");
            if let Some(running) = &mut self.running {
                running.init = init;
            }
            Ok(is_init)
        })?;
        wait("a machine's start", 60, || Ok(self.try_sh("systemctl is-active basic.target")?.success()))
    }

    fn spawn_nspawn(&self) -> Result<Child> {
        let console = File::options().create(true).append(true).open(self.directory.join("console"));
        let console = console.context("could not open the console")?;
        let errors = console.try_clone().context("could not open the console")?;
        let mut nspawn = Command::new(if self.runs_pods { "sh" } else { "systemd-nspawn" });
        if self.runs_pods {
            nspawn.args(["-c", pods::IN_OWN_CGROUPS, &self.name]);
        }
        nspawn.args(["--quiet", "--register=no", "--keep-unit", "--boot", "--link-journal=no", "--resolv-conf=off"]);
        nspawn.args(["--timezone=off", "--console=read-only"]).arg(format!("--network-bridge={BRIDGE}"));
        nspawn.arg(format!("--machine={}", self.name)).arg(format!("--hostname={}", self.name));
        nspawn.arg(format!("--directory={}", self.path("").display()));
        let key = self.directory.join(KEY);
        if key.exists() {
            nspawn.arg(format!("--load-credential={KEY}:{}", key.display()));
        }
        if self.runs_pods {
            nspawn.args(pods::arguments(&self.directory));
        }
        let nspawn = nspawn.stdin(Stdio::null()).stdout(console).stderr(errors).spawn();
        nspawn.context("could not run systemd-nspawn")
    }

    /// Kills it without a shutdown, as a power failure would.
    pub(super) fn power_off(&mut self) -> Result<()> {
        if let Some(mut running) = self.running.take() {
            // When init is killed, every process of the machine is, and nspawn ends.
            stdout_of("kill", &["-KILL", &running.init])?;
            running.nspawn.wait().context("could not wait for a machine's end")?;
        }
        Ok(())
    }

    /// Kills it, and takes from its disk what was not written to it yet.
    pub(super) fn cut_power(&mut self) -> Result<()> {
        ensure!(self.has_disk, "{} has no disk of its own", self.name);
        self.power_off()?;
        disk::freeze(&self.directory)?;
        let root = self.path("").display().to_string();
        wait("the end of its processes", 20, || Ok(stdout_of("umount", &[&root]).is_ok()))?;
        disk::go_back(&self.directory)?;
        self.mount_root()
    }

    /// Powers it off and removes all of it, so that another one can have its name and address.
    pub(super) fn discard(self) -> Result<()> {
        let directory = self.directory.clone();
        drop(self);
        fs::remove_dir_all(directory).context("could not remove a machine")
    }

    /// Gives it a new, empty disk and boots it.
    pub(super) fn wipe(self, context: &ScenarioContext) -> Result<Self> {
        let (name, address, runs_pods) = (self.name.clone(), self.address.clone(), self.runs_pods);
        self.discard()?;
        let make = if runs_pods { Self::with_pods } else { Self::new };
        let mut machine = make(context, &name, &address)?;
        machine.boot()?;
        Ok(machine)
    }

    /// Shuts it down and boots it again.
    pub(super) fn reboot(&mut self) -> Result<()> {
        let _ = self.try_sh("systemctl poweroff")?;
        if let Some(mut running) = self.running.take() {
            wait("a machine's shutdown", 90, || Ok(running.nspawn.try_wait().is_ok_and(|status| status.is_some())))?;
        }
        self.boot()
    }

    /// Runs a shell script on the machine, as root; that the script fails is no error.
    pub(super) fn try_sh(&self, script: &str) -> Result<Outcome> {
        let Some(running) = &self.running else { bail!("{} is off", self.name) };
        let mut command = Command::new("nsenter");
        command.args(["-t", &running.init, "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w", "/usr/bin/env", "-i"]);
        command.args(["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C"]);
        command.args(["DEBIAN_FRONTEND=noninteractive", "timeout", "300", "/bin/sh", "-c", script]);
        let output = command.stdin(Stdio::null()).output().context("could not run nsenter")?;
        Ok(output.into())
    }

    /// Runs a shell script on the host, in a directory of the machine, which may be off.
    pub(super) fn sh_on_host(&self, script: &str, directory: &str) -> Result<()> {
        stdout_of("sh", &["-c", &format!("cd {} && {script}", self.path(directory).display())]).map(drop)
    }

    /// The standard output of a shell script on the machine; fails if the script does.
    pub(super) fn sh(&self, script: &str) -> Result<String> {
        let outcome = self.try_sh(script)?;
        ensure!(outcome.success(), "{}: `{script}` ended with {:?}:\n{}", self.name, outcome.code, outcome.text);
        Ok(outcome.stdout)
    }

    /// Fails unless the script fails and prints every one of `texts`.
    pub(super) fn expect_failure(&self, script: &str, texts: &[&str]) -> Result<()> {
        let outcome = self.try_sh(script)?;
        ensure!(!outcome.success(), "{}: `{script}` succeeded:\n{}", self.name, outcome.text);
        for text in texts {
            ensure!(
                outcome.text.contains(text),
                "{}: `{script}` does not print {text:?}:\n{}",
                self.name,
                outcome.text
            );
        }
        Ok(())
    }

    /// Runs a script again and again until it succeeds, for at most so many seconds.
    pub(super) fn wait_until(&self, what: &str, seconds: u64, script: &str) -> Result<()> {
        let mut last = String::new();
        let waited = wait(what, seconds, || {
            let outcome = self.try_sh(script)?;
            let success = outcome.success();
            last = outcome.text;
            Ok(success)
        });
        waited.with_context(|| format!("{}: `{script}` printed:\n{last}", self.name))
    }

    /// Lists its files, apart from those that change by themselves.
    pub(super) fn files(&self) -> Result<Listing> {
        files::list(&self.path(""))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Kept for whoever looks for the reason of a failure.
        if self.running.is_some() {
            let journal = self.try_sh(
                "journalctl --no-pager --unit='kube*' --unit=etcd --unit=containerd --unit=coredns | tail -n 400",
            );
            let _ = fs::write(self.directory.join("journal"), journal.map(|said| said.text).unwrap_or_default());
        }
        let _ = self.power_off();
        if self.runs_pods {
            pods::remove_cgroups(&self.name);
        }
        let _ = stdout_of("umount", &["--lazy", &self.path("").display().to_string()]);
        if self.has_disk {
            let _ = disk::unmount(&self.directory);
        }
        let _ = fs::remove_dir_all(self.directory.join("changes"));
    }
}

/// Calls `done` every 200 ms until it returns true, and fails after so many seconds.
pub(crate) fn wait(what: &str, seconds: u64, mut done: impl FnMut() -> Result<bool>) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(seconds);
    while !done()? {
        ensure!(Instant::now() < end, "{what} took longer than {seconds} s");
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}
