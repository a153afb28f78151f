//! The tools of the host, and the Debian root directories that machines are started from.
#![expect(clippy::disallowed_methods, reason = "xtask runs programs and touches files")]

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::shell::run;

/// Commands that every scenario needs, with the Debian packages they are in.
const TOOLS: &[(&str, &str)] = &[
    ("mmdebstrap", "mmdebstrap"),
    ("systemd-nspawn", "systemd-container"),
    ("ip", "iproute2"),
    ("unshare", "util-linux"),
    ("curl", "curl"),
    ("openssl", "openssl"),
    ("etcdctl", "etcd-client"),
    ("tar", "tar"),
    ("python3", "python3"),
];

/// Commands that the `boot-` scenarios need besides.
const CLOUD_TOOLS: &[(&str, &str)] =
    &[("qemu-system-x86_64", "qemu-system-x86"), ("mke2fs", "e2fsprogs"), ("debugfs", "e2fsprogs")];

/// The packages of a container, besides the essential ones.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,iproute2,procps,debsums,libnss-myhostname,openssl";

/// What a machine needs besides, so that pods run on it.
const POD_PACKAGES: &str = "conntrack,iptables,kmod,curl,iputils-ping";

/// The packages of a machine that boots with cloud-init: a kernel too, and the tools for both kinds of initramfs.
const CLOUD_PACKAGES: &str = "systemd,systemd-sysv,dbus,udev,iproute2,procps,kmod,e2fsprogs,libnss-myhostname,\
                              cloud-init,linux-image-cloud-amd64,initramfs-tools,dracut-core,zstd,conntrack,iptables,curl";

/// The Debian releases that the static program is started on, with little more than a C library and CA certificates.
pub(super) const BARE_SUITES: [&str; 3] = ["bullseye", "bookworm", "trixie"];

/// networkd gives the machine its address.
const SETTINGS: &str = "chroot \"$1\" systemctl enable systemd-networkd";

/// Turns off only what would take time at each boot; the rest stays as it is in a stock image.
const CLOUD_SETTINGS: &str = "chroot \"$1\" sh -c '
    systemctl enable systemd-networkd && systemctl mask systemd-networkd-wait-online
    systemctl disable apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer
    echo LANG=C.UTF-8 >/etc/default/locale
    echo /dev/vda / ext4 rw,relatime 0 0 >/etc/fstab
    kernel=$(ls /lib/modules)
    dracut --quiet --force --no-hostonly --omit \"network network-legacy network-manager nfs iscsi plymouth\" /boot/dracut.img $kernel'";

/// Installs the packages of the tools that this host lacks.
pub(super) fn install_missing_tools(cloud: bool) -> Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_installed = |tool: &str| std::env::split_paths(&path).any(|directory| directory.join(tool).is_file());
    let tools = TOOLS.iter().chain(if cloud { CLOUD_TOOLS } else { &[] });
    let missing: Vec<_> = tools.filter(|(tool, _)| !is_installed(tool)).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    run("apt-get", &["update", "-q"])?;
    run("apt-get", &[&["install", "-q", "-y", "--no-install-recommends"], &missing[..]].concat())
}

/// Where what scenarios share is kept between runs, and what they leave behind.
pub(super) fn directory() -> PathBuf {
    crate::root().join("target/e2e")
}

/// The root directory of containers.
pub(super) fn root_path(suite: &str) -> PathBuf {
    directory().join("roots").join(suite)
}

/// The root directory of containers that run pods.
pub(super) fn pod_root_path(suite: &str) -> PathBuf {
    directory().join("roots").join(format!("pods-{suite}"))
}

/// The root directory of machines that boot with cloud-init.
pub(super) fn cloud_root_path(suite: &str) -> PathBuf {
    directory().join("roots").join(format!("cloud-{suite}"))
}

/// The root directory of a release with hardly any packages.
pub(super) fn bare_root_path(suite: &str) -> PathBuf {
    directory().join("roots").join(format!("bare-{suite}"))
}

pub(super) fn build_bare_root(suite: &str) -> Result<()> {
    debootstrap(&bare_root_path(suite), suite, "ca-certificates", "true", &[])
}

pub(super) fn build_root(suite: &str) -> Result<()> {
    debootstrap(&root_path(suite), suite, PACKAGES, SETTINGS, &[])
}

pub(super) fn build_pod_root(suite: &str) -> Result<()> {
    debootstrap(&pod_root_path(suite), suite, &format!("{PACKAGES},{POD_PACKAGES}"), SETTINGS, &[])
}

pub(super) fn build_cloud_root(suite: &str) -> Result<()> {
    let without_manuals = "--dpkgopt=path-exclude=/usr/share/man/*";
    debootstrap(&cloud_root_path(suite), suite, CLOUD_PACKAGES, CLOUD_SETTINGS, &[without_manuals])
}

/// The path of a program, which lies at `program` in a Debian package; the package is fetched and unpacked, not installed.
pub(super) fn program_of(package: &str, program: &str) -> Result<PathBuf> {
    let unpacked = directory().join("debian").join(package);
    let path = unpacked.join(program);
    if !path.exists() {
        fs::create_dir_all(&unpacked).context("could not make the directory of a package")?;
        let script = format!(
            "cd '{}' && apt-get download -qq -o APT::Sandbox::User=root {package} && dpkg-deb --extract {package}_*.deb .",
            unpacked.display()
        );
        run("sh", &["-c", &script])?;
    }
    Ok(path)
}

/// Makes a root directory, unless an earlier run has completed the same one: a file beside it says what is in it.
fn debootstrap(root: &Path, suite: &str, packages: &str, settings: &str, options: &[&str]) -> Result<()> {
    let complete = root.with_extension("whole");
    let made_of = format!("{packages}\n{settings}\n");
    if fs::read_to_string(&complete).is_ok_and(|text| text == made_of) {
        return Ok(());
    }
    let _ = fs::remove_dir_all(root);
    fs::create_dir_all(root).context("could not make the directory of the roots")?;
    let (include, hook) = (format!("--include={packages}"), format!("--customize-hook={settings}"));
    let target = root.display().to_string();
    let command = [&["--quiet", "--variant=minbase"], options, &[&include, &hook, suite, &target]].concat();
    run("mmdebstrap", &command)?;
    fs::write(&complete, made_of).with_context(|| format!("could not write `{}`", complete.display()))
}
