//! What is shown, each by its name.

mod deb;

use anyhow::Result;

use super::ground::Scene;

/// One promise, kept on machines.
#[derive(Debug)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) play: fn(&Scene) -> Result<()>,
}

pub(super) const SCENARIOS: &[Scenario] = &[
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
];
