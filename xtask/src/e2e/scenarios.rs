//! The scenarios, in the order in which they run.

mod boot;
mod cis;
mod cloud_init;
mod deb;
mod deb_failures;
mod etcd;
mod etcd_days;
mod etcd_interrupted;
mod forged;
mod live;
mod power_cut;
mod sealed;
mod site;
mod static_binary;
mod tarball;
mod upgrade;
mod vm_sealed;
mod vms;
mod whole;
mod whole_grown;
mod whole_ha;

use anyhow::Result;

use super::environment::ScenarioContext;

/// A promise to operators, checked on machines.
#[derive(Debug)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    /// One line for `--list`.
    pub(super) about: &'static str,
    pub(super) run: fn(&ScenarioContext) -> Result<()>,
}

impl Scenario {
    /// Whether pods run on its machines, which need a root of their own.
    pub(super) fn runs_pods(&self) -> bool {
        [WHOLE_CLUSTER, "whole-cluster-grown", "whole-cluster-ha", "single-node", "worker-refusals", "cis"]
            .contains(&self.name)
    }
}

/// The prefix of the scenarios whose machines boot with cloud-init: these need tools and a root of their own.
pub(super) const CLOUD_PREFIX: &str = "boot-";

/// Some machines of these scenarios boot with cloud-init as well.
pub(super) const ETCD_STACKED: &str = "etcd-stacked";
pub(super) const FORGED: &str = "forged";
pub(super) const WHOLE_CLUSTER: &str = "whole-cluster";

/// The scenario that needs the program of `cargo xtask dist`.
pub(super) const STATIC_BINARY: &str = "static-binary";

/// The scenario that needs `--previous`.
pub(super) const UPGRADE_FROM_RELEASE: &str = "upgrade-from-release";

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "tarball-one-master",
        about: "tar -x and install.sh on a bare machine; uninstalled, etcd's data stay; purged, it is as it was",
        run: tarball::one_master,
    },
    Scenario {
        name: "tarball-three-masters",
        about: "three healthy masters from three archives; a kubelet gets its certificate without a hand",
        run: tarball::three_masters,
    },
    Scenario {
        name: "tarball-upgrade",
        about: "a changed flag, another recipe version, a renewed certificate, and back: what changed restarts",
        run: tarball::upgrade,
    },
    Scenario {
        name: "tarball-refusals",
        about: "a flipped byte, a full disk, a wrong clock, a port in use: refused before anything changes",
        run: tarball::refusals,
    },
    Scenario {
        name: "power-cut",
        about: "the power is cut at each moment at which install.sh has written to the disk: the next run completes it",
        run: power_cut::archive,
    },
    Scenario {
        name: "sealed",
        about: "encrypted secrets: an archive and packages open them with a key of the hypervisor, and nobody is there",
        run: sealed::nobody_there,
    },
    Scenario {
        name: "health",
        about: "behind a load balancer a master is powered off, and comes back",
        run: live::health,
    },
    Scenario { name: "security", about: "what can be reached and read by those who should not", run: live::security },
    Scenario {
        name: "reboot",
        about: "everything returns by itself, whichever machine is first, and though etcd comes a minute later",
        run: live::reboot,
    },
    Scenario {
        name: "cis",
        about: "the scored master and etcd items of the CIS benchmark, on a running machine",
        run: cis::check,
    },
    Scenario {
        name: "deb-three-masters",
        about: "dpkg in any order, apt-get from the repository and from files: three healthy masters",
        run: deb::three_masters,
    },
    Scenario {
        name: "deb-upgrade",
        about: "upgrade, downgrade, renewal: what changed restarts, and nothing else",
        run: deb::upgrade,
    },
    Scenario {
        name: "deb-removal",
        about: "remove and purge leave the machine as it was, and etcd's data alone",
        run: deb::removal,
    },
    Scenario {
        name: "deb-refusals",
        about: "what does not fit is refused before anything is unpacked",
        run: deb_failures::refusals,
    },
    Scenario {
        name: "deb-interrupted",
        about: "a full disk, a damaged file, a killed dpkg: the next run completes it",
        run: deb_failures::interrupted,
    },
    Scenario {
        name: ETCD_STACKED,
        about: "three machines with etcd and master, at the same moment and minutes apart: archive, packages, first boot",
        run: etcd::stacked,
    },
    Scenario {
        name: "etcd-separate",
        about: "three machines with etcd and two masters, installed in any order",
        run: etcd::separate,
    },
    Scenario {
        name: "etcd-grown",
        about: "a cluster of three members becomes one of five by installing two more machines",
        run: etcd::grown,
    },
    Scenario {
        name: "etcd-loss",
        about: "a member is powered off while objects are written, comes back, then loses its disk and is replaced",
        run: etcd_days::loss,
    },
    Scenario {
        name: "etcd-restore",
        about: "two of three disks are wiped; the cluster is restored from a snapshot of the timer",
        run: etcd_days::restore,
    },
    Scenario {
        name: "etcd-upgrade",
        about: "another etcd rolls through three members while keys are written; an unhealthy peer stops it",
        run: etcd_days::upgrade,
    },
    Scenario {
        name: "etcd-interrupted",
        about: "kube-etcd's commands killed twenty times each: the next run completes them, or refuses",
        run: etcd_interrupted::commands,
    },
    Scenario {
        name: FORGED,
        about: "a bundle by another key, with every list right: refused by verify, install.sh, apt and a first boot",
        run: forged::forged,
    },
    Scenario {
        name: UPGRADE_FROM_RELEASE,
        about: "a bundle of an earlier kube-bundle, then one of this one with the same pki/: by archive, by packages",
        run: upgrade::from_release,
    },
    Scenario {
        name: "single-node",
        about: "one machine with all roles from one archive: a pod, a service, a name; removed, nothing is left",
        run: whole::single_node,
    },
    Scenario {
        name: WHOLE_CLUSTER,
        about: "three masters and two workers, in each of three ways: pods, services, names, logs, exec, without any network",
        run: whole::cluster,
    },
    Scenario {
        name: "whole-cluster-grown",
        about: "a worker joins a cluster and leaves it: nothing else restarts, and pods stay",
        run: whole_grown::grown,
    },
    Scenario {
        name: "whole-cluster-ha",
        about: "each master silent, then off; a worker without power; its images wiped: nodes stay, services answer",
        run: whole_ha::high_availability,
    },
    Scenario {
        name: "worker-refusals",
        about: "cgroup version 2, swap, a missing command, another host name: refused at once, nothing changed",
        run: whole::refusals,
    },
    Scenario {
        name: "boot-directory",
        about: "cloud-init in a container: packages, the archive, a web server; once, again after a change, or refused",
        run: boot::directory,
    },
    Scenario {
        name: "boot-disks",
        about: "virtual machines without a network card: a master at first boot from an ISO, from vfat, from two disks",
        run: vms::disks,
    },
    Scenario {
        name: "boot-initrd",
        about: "the same with no disk but the root: from the initramfs of initramfs-tools and of dracut, and from /run",
        run: vms::initrd,
    },
    Scenario {
        name: "boot-network",
        about: "a network card, told by its address, set up as cluster.toml says before anything is installed",
        run: vms::network,
    },
    Scenario {
        name: "boot-refusals",
        about: "a flipped byte, a clock years off: refused on the console, and the system as it was",
        run: vms::refusals,
    },
    Scenario {
        name: "boot-sealed",
        about: "encrypted secrets, and a disk with the key: installed with nobody there; with another key nothing is planted",
        run: vm_sealed::key_disk,
    },
    Scenario {
        name: "site-mirror",
        about: "a bundle pulled from a registry onto one machine, and three masters that apt installs from there, with no other network",
        run: site::mirror,
    },
    Scenario {
        name: STATIC_BINARY,
        about: "the program of `cargo xtask dist` in an empty root and on three releases of Debian: builds, and finds a mirror",
        run: static_binary::everywhere,
    },
];
