//! A virtual machine: the root of a machine as a disk, booted by qemu with a kernel of its own.
#![expect(clippy::disallowed_methods, reason = "xtask runs programs and touches files")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::cluster::MASTERS;
use super::machine::Machine;
use super::shell::stdout_of;
use super::units::UNITS;

/// Seconds after which a boot is given up; without KVM, one takes minutes.
const LIMIT: &str = "900";

/// A virtual machine. It is powered off between two calls of [`Vm::boot`].
pub(super) struct Vm {
    name: String,
    directory: PathBuf,
    disk: PathBuf,
    kernel: PathBuf,
    boots: usize,
}

/// What a boot is given besides the machine's disk.
#[derive(Default)]
pub(super) struct Boot<'a> {
    /// Further disks, read-only.
    pub(super) disks: &'a [PathBuf],
    /// A cpio archive to append to the initramfs.
    pub(super) overlay: Option<&'a Path>,
    /// Whether to use dracut's initramfs instead of that of initramfs-tools.
    pub(super) dracut: bool,
    /// Further kernel parameters.
    pub(super) parameters: &'a str,
    /// The initial time of the hardware clock.
    pub(super) clock: Option<&'a str>,
    /// The MAC address of a network card; qemu's DHCP server offers it the first master's address. Without one, a dummy
    /// interface has the machine's address.
    pub(super) mac: Option<&'a str>,
}

/// A script that prints the machine's state on the console at the end of its boot, and powers it off.
const REPORT: &str = "
say() { echo \"e2e: $*\" >/dev/console; }
[ \"$(cat /var/lib/cloud/instance/kube-bundle)\" = failed ] || for try in $(seq 150); do
  systemctl is-active kube-bootstrap >/dev/null && break
  sleep 1
done
for unit in UNITS; do say \"$unit is $(systemctl is-active $unit)\"; done
systemctl is-active kube-apiserver >/dev/null || journalctl --no-pager --output=short-monotonic --unit=kube-apiserver |
  grep -E ' systemd|F[0-9]{4}|panic' | tail -n 12 >/dev/console
say \"stamp: $(cat /var/lib/cloud/instance/kube-bundle)\"
say \"API server: $(kubectl --kubeconfig=/root/admin.kubeconfig get --raw=/healthz 2>&1)\"
say \"first boots: $(grep -c '^First boot' /var/log/kube-bundle-boot.log)\"
say \"address: $(ip -brief address show | grep -w ADDRESS)\"
say \"seed: $(ls -d /var/lib/cloud/seed/nocloud/*.deb /run/kube-bundle/seed/*.deb 2>/dev/null | wc -l) packages left\"
systemctl --no-block poweroff
";

impl Vm {
    /// Makes a disk of the root of a machine that was never booted. Without a network card, a dummy interface gets the
    /// machine's address.
    pub(super) fn new(machine: &Machine, has_card: bool) -> Result<Self> {
        machine
            .write("usr/local/sbin/e2e-report", &REPORT.replace("UNITS", UNITS).replace("ADDRESS", &machine.address))?;
        machine.write(
            "etc/systemd/system/e2e-report.service",
            "[Unit]\nAfter=cloud-final.service multi-user.target\n[Service]\nType=oneshot\nExecStart=/bin/sh /usr/local/sbin/e2e-report\n",
        )?;
        if !has_card {
            machine.write("etc/systemd/network/10-dummy0.netdev", "[NetDev]\nName=dummy0\nKind=dummy\n")?;
            machine.write(
                "etc/systemd/network/10-dummy0.network",
                &format!("[Match]\nName=dummy0\n[Network]\nAddress={}/16\nLinkLocalAddressing=no\n", machine.address),
            )?;
        }
        let directory = machine.directory().to_owned();
        let disk = directory.join("disk");
        let root = machine.path("");
        let kernel = directory.join("kernel");
        copy_kernel(&root.join("boot"), &kernel)?;
        let (from, to) = (root.display().to_string(), disk.display().to_string());
        stdout_of("mke2fs", &["-q", "-t", "ext4", "-m", "0", "-d", &from, &to, "3G"])?;
        Ok(Self { name: machine.name.clone(), directory, disk, kernel, boots: 0 })
    }

    /// Boots it, waits until it powers itself off, and returns the text of the console.
    pub(super) fn boot(&mut self, boot: &Boot<'_>) -> Result<String> {
        self.boots += 1;
        let console = self.directory.join(format!("console-{}", self.boots));
        let mut qemu = self.qemu(boot, &console)?;
        let status = qemu.stdin(Stdio::null()).status().context("could not run qemu")?;
        let text = fs::read(&console).context("could not read the console")?;
        let text = String::from_utf8_lossy(&text).replace('\r', "");
        // Printed if the scenario fails.
        let _ = fs::write(self.directory.join("journal"), &text);
        ensure!(status.success(), "{}: the boot ended with {status}; see {}", self.name, console.display());
        Ok(text)
    }

    fn qemu(&self, boot: &Boot<'_>, console: &Path) -> Result<Command> {
        let initrd = self.initrd(boot)?;
        let append = format!(
            "root=/dev/vda rw console=ttyS0 panic=-1 mitigations=off systemd.wants=e2e-report.service {}",
            boot.parameters
        );
        let mut qemu = Command::new("timeout");
        qemu.args(["--kill-after=5", LIMIT, "qemu-system-x86_64", "-machine", "q35", "-cpu", "max"]);
        // Not KVM, even where its device is: inside some virtual machines qemu aborts instead of trying the next one.
        qemu.args(["-accel", "tcg,thread=multi", "-smp", "2", "-m", "1536", "-nodefaults", "-nic"]);
        qemu.arg(match boot.mac {
            Some(mac) => {
                format!("user,restrict=on,net=10.200.0.0/16,dhcpstart={},model=virtio-net-pci,mac={mac}", MASTERS[0].1)
            }
            None => "none".to_owned(),
        });
        qemu.args(["-display", "none", "-no-reboot", "-append", &append]);
        qemu.arg("-serial").arg(format!("file:{}", console.display()));
        qemu.arg("-kernel").arg(self.kernel.join("vmlinuz")).arg("-initrd").arg(initrd);
        qemu.arg("-drive").arg(format!("if=virtio,format=raw,cache=unsafe,file={}", self.disk.display()));
        for disk in boot.disks {
            qemu.arg("-drive").arg(format!("if=virtio,format=raw,readonly=on,file={}", disk.display()));
        }
        if let Some(clock) = boot.clock {
            qemu.args(["-rtc", &format!("base={clock}")]);
        }
        Ok(qemu)
    }

    /// Appends the archive to the initramfs as a boot loader does, at a multiple of 512 bytes.
    fn initrd(&self, boot: &Boot<'_>) -> Result<PathBuf> {
        let base = self.kernel.join(if boot.dracut { "dracut" } else { "initrd" });
        let Some(overlay) = boot.overlay else { return Ok(base) };
        let joined = self.directory.join("initrd-joined");
        let mut bytes = fs::read(&base).context("could not read the initramfs")?;
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        fs::write(&joined, bytes).context("could not write the initramfs")?;
        let mut to = File::options().append(true).open(&joined).context("could not open the initramfs")?;
        let mut from = File::open(overlay).context("could not open the archive")?;
        std::io::copy(&mut from, &mut to).context("could not join the archives")?;
        Ok(joined)
    }

    /// The content of a file on the disk; empty if there is none.
    pub(super) fn read(&self, path: &str) -> Result<String> {
        stdout_of("debugfs", &["-R", &format!("cat {path}"), &self.disk.display().to_string()])
    }

    /// The entries of a directory on the disk, as debugfs lists them: names between slashes.
    pub(super) fn list(&self, path: &str) -> Result<String> {
        stdout_of("debugfs", &["-R", &format!("ls -p {path}"), &self.disk.display().to_string()])
    }
}

/// Copies the kernel and both kinds of initramfs to names without a version.
fn copy_kernel(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).context("could not make a directory")?;
    for entry in fs::read_dir(from).context("could not list the kernels")?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        for (prefix, short) in [("vmlinuz-", "vmlinuz"), ("initrd.img-", "initrd"), ("dracut.img", "dracut")] {
            if name.starts_with(prefix) {
                fs::copy(entry.path(), to.join(short)).context("could not copy a kernel")?;
            }
        }
    }
    Ok(())
}
