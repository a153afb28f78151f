//! What all scenarios stand on: tools, a Debian root, a bridge, and a directory to work in.
#![expect(clippy::disallowed_methods, reason = "chores run programs and touch files")]

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::shell::{must, outcome, run};

/// The bridge that the machines hang on.
pub(super) const BRIDGE: &str = "kb0";
/// This side's address on it.
pub(super) const HERE: &str = "10.200.0.1/16";

/// Commands that are needed, and the packages that bring them.
const TOOLS: &[(&str, &str)] = &[
    ("mmdebstrap", "mmdebstrap"),
    ("systemd-nspawn", "systemd-container"),
    ("ip", "iproute2"),
    ("unshare", "util-linux"),
    ("curl", "curl"),
    ("openssl", "openssl"),
    ("etcdctl", "etcd-client"),
    ("tar", "tar"),
];

/// The same for machines that boot a kernel of their own.
const CLOUD_TOOLS: &[(&str, &str)] = &[
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("mke2fs", "e2fsprogs"),
    ("debugfs", "e2fsprogs"),
    ("python3", "python3"),
];

/// What a machine has besides the essentials.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,iproute2,procps,debsums,etcd-server,etcd-client,libnss-myhostname";

/// What a machine has that boots as those of clouds do: cloud-init, a kernel, and what two kinds of initramfs are made
/// with.
const CLOUD_PACKAGES: &str = "systemd,systemd-sysv,dbus,udev,iproute2,procps,kmod,e2fsprogs,etcd-server,etcd-client,\
                              libnss-myhostname,cloud-init,linux-image-cloud-amd64,initramfs-tools,dracut-core,zstd";

/// Installs, by name, what this machine lacks.
pub(super) fn install_what_is_missing(cloud: bool) -> Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |tool: &str| std::env::split_paths(&path).any(|directory| directory.join(tool).is_file());
    let tools = TOOLS.iter().chain(if cloud { CLOUD_TOOLS } else { &[] });
    let missing: Vec<_> = tools.filter(|(tool, _)| !is_there(tool)).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    run("apt-get", &["update", "-q"])?;
    run("apt-get", &[&["install", "-q", "-y", "--no-install-recommends"], &missing[..]].concat())
}

fn directory() -> PathBuf {
    crate::root().join("target/e2e")
}

const COMPONENTS: [&str; 4] = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"];

fn stand_ins() -> PathBuf {
    directory().join("stand-ins")
}

/// One program under the name of every component.
pub(super) fn make_stand_ins() -> Result<()> {
    fs::create_dir_all(stand_ins()).context("could not make the directory of the stand-ins")?;
    for name in COMPONENTS {
        fs::copy(crate::root().join("target/release/stand-in"), stand_ins().join(name))
            .context("could not copy a stand-in")?;
    }
    Ok(())
}

/// Makes the root that machines of this suite begin with, unless it is there.
pub(super) fn make_root(suite: &str) -> Result<()> {
    let root = directory().join("roots").join(suite);
    let whole = root.with_extension("whole");
    if whole.exists() {
        return Ok(());
    }
    let _ = fs::remove_dir_all(&root);
    fs::create_dir_all(&root).context("could not make the directory of the roots")?;
    let include = format!("--include={PACKAGES}");
    // etcd starts when it has its certificates; the network is up when an address is told.
    let settle =
        "--customize-hook=chroot \"$1\" systemctl disable etcd && chroot \"$1\" systemctl enable systemd-networkd";
    let target = root.display().to_string();
    run("mmdebstrap", &["--quiet", "--variant=minbase", &include, settle, suite, &target])?;
    fs::write(&whole, "").with_context(|| format!("could not write `{}`", whole.display()))
}

/// Makes the root that machines boot with cloud-init, with an initramfs of either kind.
pub(super) fn make_cloud_root(suite: &str) -> Result<()> {
    let root = directory().join("roots").join(format!("cloud-{suite}"));
    let whole = root.with_extension("whole");
    if whole.exists() {
        return Ok(());
    }
    let _ = fs::remove_dir_all(&root);
    fs::create_dir_all(&root).context("could not make the directory of the roots")?;
    let include = format!("--include={CLOUD_PACKAGES}");
    // Nothing but what takes time while nobody waits for it: what a stock image has stays as it is.
    let settle = "--customize-hook=chroot \"$1\" sh -c '
        systemctl disable etcd && systemctl enable systemd-networkd && systemctl mask systemd-networkd-wait-online
        systemctl disable apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer
        echo LANG=C.UTF-8 >/etc/default/locale
        echo /dev/vda / ext4 rw,relatime 0 0 >/etc/fstab
        kernel=$(ls /lib/modules)
        dracut --quiet --force --no-hostonly --omit \"network network-legacy network-manager nfs iscsi plymouth\" /boot/dracut.img $kernel'";
    let lean = "--dpkgopt=path-exclude=/usr/share/man/*";
    let target = root.display().to_string();
    run("mmdebstrap", &["--quiet", "--variant=minbase", lean, &include, settle, suite, &target])?;
    fs::write(&whole, "").with_context(|| format!("could not write `{}`", whole.display()))
}

/// What all scenarios share.
pub(super) struct Ground {
    root: PathBuf,
    cloud: PathBuf,
    binaries: PathBuf,
    real: bool,
    work: PathBuf,
}

/// Where one scenario plays.
pub(super) struct Scene {
    /// The Debian root, which no machine changes.
    pub(super) root: PathBuf,
    /// The same with a kernel and cloud-init.
    pub(super) cloud: PathBuf,
    /// Kubernetes components, or stand-ins.
    pub(super) binaries: PathBuf,
    /// Whether they are Kubernetes.
    pub(super) real: bool,
    /// A directory of its own.
    pub(super) work: PathBuf,
}

impl Ground {
    /// Makes the bridge. The namespaces are entered already.
    pub(super) fn prepare(suite: &str, binaries: Option<&Path>) -> Result<Self> {
        for line in [
            "link set lo up".to_owned(),
            format!("link add {BRIDGE} type bridge"),
            format!("link set {BRIDGE} up"),
            format!("address add {HERE} dev {BRIDGE}"),
        ] {
            must("ip", &line.split(' ').collect::<Vec<_>>())?;
        }
        let directory = fs::canonicalize(directory()).context("could not find target/e2e")?;
        let work = directory.join("work");
        let _ = fs::remove_dir_all(&work);
        fs::create_dir_all(&work).context("could not make a directory to work in")?;
        let real = binaries.is_some();
        let binaries = match binaries {
            Some(binaries) => binaries.to_owned(),
            None => fs::canonicalize(stand_ins()).context("could not find the stand-ins")?,
        };
        let roots = directory.join("roots");
        Ok(Self { root: roots.join(suite), cloud: roots.join(format!("cloud-{suite}")), binaries, real, work })
    }

    /// What the components say that they are.
    pub(super) fn what_runs(&self) -> Result<String> {
        let program = self.binaries.join("kube-apiserver").display().to_string();
        let said = outcome(&program, &["--version"])?;
        ensure!(said.code == Some(0), "`{program} --version` failed: {}", said.text);
        let what = if self.real { "real" } else { "stand-ins" };
        Ok(format!("{what}: {} ({})", said.stdout.trim(), self.binaries.display()))
    }

    /// A place for one scenario.
    pub(super) fn scene(&self, name: &str) -> Result<Scene> {
        let work = self.work.join(name);
        fs::create_dir_all(&work).with_context(|| format!("could not make `{}`", work.display()))?;
        Ok(Scene {
            root: self.root.clone(),
            cloud: self.cloud.clone(),
            binaries: self.binaries.clone(),
            real: self.real,
            work,
        })
    }
}

impl Scene {
    /// The ends of what its machines logged: where a run was made, nothing but its output may be left.
    pub(super) fn last_words(&self) -> String {
        let machines = fs::read_dir(&self.work).into_iter().flatten().flatten();
        let journals = machines.filter_map(|machine| {
            let text = fs::read_to_string(machine.path().join("journal")).ok()?;
            let lines: Vec<_> = text.lines().collect();
            let last = lines[lines.len().saturating_sub(40)..].join("\n    ");
            Some(format!("  the journal of {} ends:\n    {last}", machine.file_name().display()))
        });
        journals.collect::<Vec<_>>().join("\n")
    }
}
