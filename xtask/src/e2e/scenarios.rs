//! What is shown, each by its name.

mod boot;
mod cis;
mod deb;
mod live;
mod tarball;
mod vms;

use anyhow::Result;

use super::ground::Scene;

/// One promise, kept on machines.
#[derive(Debug)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) play: fn(&Scene) -> Result<()>,
}

/// How the names of those begin that boot machines with cloud-init.
pub(super) const CLOUD: &str = "boot-";

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "tarball-one-master",
        about: "tar -x and install.sh on a bare machine; uninstalled, it is as it was, and etcd's data untouched",
        play: tarball::one_master,
    },
    Scenario {
        name: "tarball-three-masters",
        about: "three healthy masters from three archives; a kubelet gets its certificate without a hand",
        play: tarball::three_masters,
    },
    Scenario {
        name: "tarball-upgrade",
        about: "a changed flag, another recipe version, a renewed certificate, and back: what changed restarts",
        play: tarball::upgrade,
    },
    Scenario {
        name: "tarball-refusals",
        about: "a flipped byte, a full disk, a wrong clock, a port in use: refused before anything changes",
        play: tarball::refusals,
    },
    Scenario {
        name: "health",
        about: "behind a load balancer a master is powered off, and comes back",
        play: live::health,
    },
    Scenario { name: "security", about: "what can be reached and read by those who should not", play: live::security },
    Scenario {
        name: "reboot",
        about: "everything returns by itself, whichever machine is first, and though etcd comes a minute later",
        play: live::reboot,
    },
    Scenario {
        name: "cis",
        about: "the scored master items of the CIS benchmark, on a running machine",
        play: cis::check,
    },
    Scenario {
        name: "deb-three-masters",
        about: "dpkg in any order, apt-get from the repository and from files: three healthy masters",
        play: deb::three_masters,
    },
    Scenario {
        name: "deb-upgrade",
        about: "upgrade, downgrade, renewal: what changed restarts, and nothing else",
        play: deb::upgrade,
    },
    Scenario {
        name: "deb-removal",
        about: "remove and purge leave the machine as it was, and etcd's data alone",
        play: deb::removal,
    },
    Scenario {
        name: "deb-refusals",
        about: "what does not fit is refused before anything is unpacked",
        play: deb::refusals,
    },
    Scenario {
        name: "deb-interrupted",
        about: "a full disk, a damaged file, a killed dpkg: the next run completes it",
        play: deb::interrupted,
    },
    Scenario {
        name: "boot-directory",
        about: "cloud-init in a container: packages, the archive, a web server; once, again after a change, or refused",
        play: boot::directory,
    },
    Scenario {
        name: "boot-disks",
        about: "virtual machines without a network card: a master at first boot from an ISO, from vfat, from two disks",
        play: vms::disks,
    },
    Scenario {
        name: "boot-initrd",
        about: "the same with no disk but the root: from the initramfs of initramfs-tools and of dracut, and from /run",
        play: vms::initrd,
    },
    Scenario {
        name: "boot-network",
        about: "a network card, told by its address, set up as cluster.toml says before anything is installed",
        play: vms::network,
    },
    Scenario {
        name: "boot-refusals",
        about: "a flipped byte, a clock years off: refused on the console, and the system as it was",
        play: vms::refusals,
    },
];
