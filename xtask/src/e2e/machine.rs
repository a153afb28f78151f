//! A machine: an overlay over the Debian root, booted by systemd-nspawn.
#![expect(clippy::disallowed_methods, reason = "chores run programs and touch files")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use kube_bundle::hash::Sha256;

use super::ground::{BRIDGE, Scene};
use super::shell::{Outcome, must};

/// A machine that is on, or off.
pub(super) struct Machine {
    pub(super) name: String,
    pub(super) address: String,
    directory: PathBuf,
    running: Option<Running>,
}

struct Running {
    nspawn: Child,
    /// Process number of its init, as seen from here.
    init: String,
}

impl Machine {
    /// A machine that was never booted.
    pub(super) fn new(scene: &Scene, name: &str, address: &str) -> Result<Self> {
        Self::on(&scene.root, scene, name, address)
    }

    /// The same on another root.
    pub(super) fn on(root: &Path, scene: &Scene, name: &str, address: &str) -> Result<Self> {
        let directory = scene.work.join(name);
        for part in ["changes", "overlay", "root"] {
            fs::create_dir_all(directory.join(part)).context("could not make a machine's directory")?;
        }
        let machine = Self { name: name.to_owned(), address: address.to_owned(), directory, running: None };
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            root.display(),
            machine.directory.join("changes").display(),
            machine.directory.join("overlay").display()
        );
        must("mount", &["-t", "overlay", "overlay", "-o", &options, &machine.path("").display().to_string()])?;
        machine.write("etc/hostname", &format!("{name}\n"))?;
        machine.write(
            "etc/systemd/network/10-host0.network",
            &format!("[Match]\nName=host0\n[Network]\nAddress={address}/16\nLinkLocalAddressing=no\n"),
        )?;
        Ok(machine)
    }

    /// Where everything about it lies.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// A path on the machine, as seen from here.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.directory.join("root").join(path)
    }

    /// Writes a file on the machine.
    pub(super) fn write(&self, path: &str, text: &str) -> Result<()> {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap_or(&path)).context("could not make a directory")?;
        fs::write(&path, text).with_context(|| format!("could not write `{}`", path.display()))
    }

    /// Copies files and directories to a directory of the machine, with their modes.
    pub(super) fn carry(&self, from: &Path, to: &str) -> Result<()> {
        let target = self.path(to);
        fs::create_dir_all(&target).context("could not make a directory")?;
        must("cp", &["-a", &from.display().to_string(), &target.display().to_string()]).map(drop)
    }

    /// Boots it and waits until services are being started: what they wait for may be another machine.
    pub(super) fn boot(&mut self) -> Result<()> {
        let console = File::options().create(true).append(true).open(self.directory.join("console"));
        let console = console.context("could not open the console")?;
        let errors = console.try_clone().context("could not open the console")?;
        let mut nspawn = Command::new("systemd-nspawn");
        nspawn.args(["--quiet", "--register=no", "--keep-unit", "--boot", "--link-journal=no", "--resolv-conf=off"]);
        nspawn.args(["--timezone=off", "--console=read-only"]).arg(format!("--network-bridge={BRIDGE}"));
        nspawn.arg(format!("--machine={}", self.name)).arg(format!("--hostname={}", self.name));
        nspawn.arg(format!("--directory={}", self.path("").display()));
        let nspawn = nspawn.stdin(Stdio::null()).stdout(console).stderr(errors).spawn();
        let nspawn = nspawn.context("could not run systemd-nspawn")?;
        let of = nspawn.id();
        self.running = Some(Running { nspawn, init: String::new() });
        let children = format!("/proc/{of}/task/{of}/children");
        wait("a machine's init", 30, || {
            let init = fs::read_to_string(&children).unwrap_or_default().trim().to_owned();
            let is_init = fs::read_to_string(format!("/proc/{init}/comm")).is_ok_and(|name| name.trim() == "systemd");
            if let Some(running) = &mut self.running {
                running.init = init;
            }
            Ok(is_init)
        })?;
        wait("a machine's start", 60, || Ok(self.try_sh("systemctl is-active basic.target")?.code == Some(0)))
    }

    /// Pulls the plug.
    pub(super) fn power_off(&mut self) -> Result<()> {
        if let Some(mut running) = self.running.take() {
            // Without its init nothing of a machine is left, and nspawn ends by itself.
            must("kill", &["-KILL", &running.init])?;
            running.nspawn.wait().context("could not wait for a machine's end")?;
        }
        Ok(())
    }

    /// Shuts it down in order, and boots it again.
    pub(super) fn reboot(&mut self) -> Result<()> {
        let _ = self.try_sh("systemctl poweroff")?;
        if let Some(mut running) = self.running.take() {
            wait("a machine's shutdown", 90, || Ok(running.nspawn.try_wait().is_ok_and(|status| status.is_some())))?;
        }
        self.boot()
    }

    /// Runs a shell script on the machine, as root.
    pub(super) fn try_sh(&self, script: &str) -> Result<Outcome> {
        let Some(running) = &self.running else { bail!("{} is off", self.name) };
        let mut command = Command::new("nsenter");
        command.args(["-t", &running.init, "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w", "/usr/bin/env", "-i"]);
        command.args(["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C"]);
        command.args(["DEBIAN_FRONTEND=noninteractive", "timeout", "300", "/bin/sh", "-c", script]);
        let output = command.stdin(Stdio::null()).output().context("could not run nsenter")?;
        Ok(output.into())
    }

    /// Runs one on this side, in a directory of a machine that is off.
    pub(super) fn sh_outside(&self, script: &str, directory: &str) -> Result<()> {
        must("sh", &["-c", &format!("cd {} && {script}", self.path(directory).display())]).map(drop)
    }

    /// Runs one that must succeed, and returns its stdout.
    pub(super) fn sh(&self, script: &str) -> Result<String> {
        let outcome = self.try_sh(script)?;
        ensure!(outcome.code == Some(0), "{}: `{script}` ended with {:?}:\n{}", self.name, outcome.code, outcome.text);
        Ok(outcome.stdout)
    }

    /// Runs one that must fail, and say every one of `texts`.
    pub(super) fn refuses(&self, script: &str, texts: &[&str]) -> Result<()> {
        let outcome = self.try_sh(script)?;
        ensure!(outcome.code != Some(0), "{}: `{script}` succeeded:\n{}", self.name, outcome.text);
        for text in texts {
            ensure!(outcome.text.contains(text), "{}: `{script}` does not say {text:?}:\n{}", self.name, outcome.text);
        }
        Ok(())
    }

    /// Waits until a script succeeds.
    pub(super) fn until(&self, what: &str, seconds: u64, script: &str) -> Result<()> {
        let mut last = String::new();
        let waited = wait(what, seconds, || {
            let outcome = self.try_sh(script)?;
            last = outcome.text;
            Ok(outcome.code == Some(0))
        });
        waited.with_context(|| format!("{}: `{script}` says:\n{last}", self.name))
    }

    /// Every file that is not a package manager's or a log's own business, with what tells it from another.
    pub(super) fn files(&self) -> Result<BTreeMap<String, String>> {
        let mut found = BTreeMap::new();
        walk(&self.path(""), Path::new(""), &mut found)?;
        Ok(found)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // The journal is what a failure is understood by.
        if self.running.is_some() {
            let journal = self.try_sh("journalctl --no-pager --unit='kube-*' --unit=etcd | tail -n 400");
            let _ = fs::write(self.directory.join("journal"), journal.map(|said| said.text).unwrap_or_default());
        }
        let _ = self.power_off();
        let _ = must("umount", &["--lazy", &self.path("").display().to_string()]);
        let _ = fs::remove_dir_all(self.directory.join("changes"));
    }
}

/// What changes by itself, or is another's.
const BUSY: &[&str] = &[
    "dev",
    "proc",
    "run",
    "sys",
    "tmp",
    "var/cache",
    "var/lib/apt",
    "var/lib/dpkg",
    "var/lib/etcd",
    "var/lib/systemd/random-seed",
    "var/lib/systemd/timers",
    "var/lib/systemd/catalog",
    "var/lib/private",
    "var/log/apt",
    "var/log/dpkg.log",
    "var/log/journal",
    "var/log/alternatives.log",
    "var/log/wtmp",
    "var/log/lastlog",
    "var/tmp",
    "etc/ld.so.cache",
    "etc/.pwd.lock",
    "etc/machine-id",
    "root",
    "srv",
    "var/log/audit",
    "etc/resolv.conf",
    "var/lib/dbus",
    "etc/.updated",
    "var/.updated",
];

fn walk(root: &Path, path: &Path, found: &mut BTreeMap<String, String>) -> Result<()> {
    for entry in fs::read_dir(root.join(path)).with_context(|| format!("could not list `{}`", path.display()))? {
        let path = path.join(entry?.file_name());
        let name = path.display().to_string();
        // deb-systemd-helper leaves the latter when it is killed while it writes.
        let is_left = name.starts_with("var/lib/systemd/deb-systemd-helper") && name.contains("/.state");
        if BUSY.contains(&name.as_str()) || is_left {
            continue;
        }
        let full = root.join(&path);
        let about = fs::symlink_metadata(&full).with_context(|| format!("could not look at `{name}`"))?;
        let rights = format!("{:o} {}:{}", about.mode(), about.uid(), about.gid());
        if about.is_dir() {
            found.insert(name, rights);
            walk(root, &path, found)?;
        } else if about.is_symlink() {
            found.insert(name, format!("{rights} -> {}", fs::read_link(&full)?.display()));
        } else {
            let content = if about.is_file() { Sha256::of(&fs::read(&full)?).to_string() } else { String::new() };
            found.insert(name, format!("{rights} {content}"));
        }
    }
    Ok(())
}

/// Says what differs between two listings.
pub(super) fn same_files(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Result<()> {
    let gone = before.iter().filter(|(name, _)| !after.contains_key(*name)).map(|(name, _)| format!("gone: {name}"));
    let new = after.iter().filter(|(name, _)| !before.contains_key(*name)).map(|(name, _)| format!("left: {name}"));
    let other = before.iter().filter(|(name, was)| after.get(*name).is_some_and(|is| is != *was));
    let other = other.map(|(name, was)| format!("changed: {name}: {was} became {}", after[name]));
    let differences: Vec<_> = gone.chain(new).chain(other).collect();
    ensure!(differences.is_empty(), "the files are not as they were:\n  {}", differences.join("\n  "));
    Ok(())
}

/// Asks again and again, for a while.
pub(super) fn wait(what: &str, seconds: u64, mut done: impl FnMut() -> Result<bool>) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(seconds);
    while !done()? {
        ensure!(Instant::now() < end, "{what} took longer than {seconds} s");
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}
