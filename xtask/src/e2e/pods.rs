//! What a machine made of namespaces needs so that containers run inside it. None of it is the product's: a machine with a
//! kernel of its own has it already.
#![expect(clippy::disallowed_methods, reason = "xtask touches files")]

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::machine::Machine;

/// Becomes systemd-nspawn in cgroups of its own: `sh -c THIS NAME ARGUMENT…`. nspawn makes none in most hierarchies, and
/// kubelets of several machines would share theirs.
pub(super) const IN_OWN_CGROUPS: &str = r#"
for hierarchy in /sys/fs/cgroup/*; do
  [ -e "$hierarchy/cgroup.procs" ] || continue
  for directory in "$hierarchy/kube-bundle-e2e" "$hierarchy/kube-bundle-e2e/$0"; do
    mkdir -p "$directory"
    for file in cpuset.cpus cpuset.mems; do
      [ ! -e "$directory/$file" ] || cat "$directory/../$file" >"$directory/$file"
    done
  done
  echo $$ >"$hierarchy/kube-bundle-e2e/$0/cgroup.procs"
done
exec systemd-nspawn "$@"
"#;

/// Directories that must not lie on an overlay: containers mount overlays of their own there, and the kubelet asks for the
/// device.
const ON_DISK: [&str; 2] = ["var/lib/containerd", "var/lib/kubelet"];

/// Kernel parameters that belong to the host: each machine has a file of its own in the place of each.
const PARAMETERS: &str = "vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops \
                          kernel/keys/root_maxkeys kernel/keys/root_maxbytes";

/// Arguments of systemd-nspawn besides the usual ones.
pub(super) fn arguments(directory: &Path) -> Vec<String> {
    let binds = ON_DISK.iter().map(|path| format!("--bind={}:/{path}", directory.join(disk_name(path)).display()));
    // runc makes a keyring for each container; the kubelet opens the kernel's log.
    ["--system-call-filter=@keyring", "--bind=/dev/null:/dev/kmsg"]
        .map(str::to_owned)
        .into_iter()
        .chain(binds)
        .collect()
}

fn disk_name(path: &str) -> String {
    format!("disk-{}", path.replace('/', "-"))
}

/// Writes what is needed on a machine that is not booted yet.
pub(super) fn prepare(machine: &Machine) -> Result<()> {
    for path in ON_DISK {
        fs::create_dir_all(machine.directory().join(disk_name(path))).context("could not make a disk's directory")?;
    }
    machine.write(
        "usr/local/sbin/e2e-prepare",
        &format!(
            "#!/bin/sh\n\
         for hierarchy in /sys/fs/cgroup/*; do mountpoint -q $hierarchy && mount -o remount,bind,rw $hierarchy; done\n\
         mkdir -p /run/e2e\n\
         for parameter in {PARAMETERS}; do\n\
         echo 77 >/run/e2e/${{parameter##*/}}; mount --bind /run/e2e/${{parameter##*/}} /proc/sys/$parameter\n\
         done\n"
        ),
    )?;
    machine.write(
        "etc/systemd/system/e2e-prepare.service",
        "[Unit]\nDefaultDependencies=no\nBefore=sysinit.target\n[Service]\nType=oneshot\nRemainAfterExit=yes\n\
         ExecStart=/bin/sh /usr/local/sbin/e2e-prepare\n[Install]\nWantedBy=sysinit.target\n",
    )?;
    let wants = machine.path("etc/systemd/system/sysinit.target.wants");
    fs::create_dir_all(&wants).context("could not make a directory")?;
    std::os::unix::fs::symlink("../e2e-prepare.service", wants.join("e2e-prepare.service"))
        .context("could not make a link")?;
    // The kernel lets no namespace change how likely a process is killed for lack of memory,
    machine.write(
        "etc/systemd/system/containerd.service.d/e2e.conf",
        "[Service]\nExecStart=\nExecStart=/bin/sh -c 'sed \"s/^sandbox_image.*/&\\\\nrestrict_oom_score_adj = true/\" \
         /etc/kubernetes/config/containerd.toml >/run/containerd.toml && \
         exec containerd --config /run/containerd.toml'\n",
    )?;
    // or how many connections are tracked.
    let options = ["max-per-core=0", "min=0", "tcp-timeout-established=0", "tcp-timeout-close-wait=0"];
    let options = options.map(|option| format!("--conntrack-{option}")).join(" ");
    // The disk is the host's, and may be fuller than a kubelet allows.
    let thresholds = "memory.available<100Mi,nodefs.available<1Gi,imagefs.available<1Gi,nodefs.inodesFree<1%";
    machine.write("etc/default/kubelet", &format!("KUBELET_EXTRA_ARGS=--eviction-hard={thresholds}\n"))?;
    machine.write("etc/default/kube-proxy", &format!("KUBE_PROXY_EXTRA_ARGS={options}\n"))
}

/// Removes the cgroups that a machine has left when it was powered off: they are in no namespace.
pub(super) fn remove_cgroups(machine: &str) {
    let script =
        format!("find /sys/fs/cgroup/*/kube-bundle-e2e/{machine} -depth -type d -exec rmdir {{}} + 2>/dev/null");
    // What can't be removed is empty, and used by the next run.
    let _ = super::shell::run_captured("sh", &["-c", &script]);
}
