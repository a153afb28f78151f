//! Other programs that measurements need, and what is left out where one is not installed.
#![expect(clippy::disallowed_methods, reason = "xtask looks for programs")]

use std::path::{Path, PathBuf};

/// A program that some measurement needs.
struct Tool {
    program: &'static str,
    /// How to get it.
    origin: &'static str,
    /// What can't be measured without it.
    measurement: &'static str,
}

const PEERS: &str = "the peers' pipeline";
const FETCHING: &str = "fetching";
const CARRYING: &str = "carrying a bundle";

const TOOLS: &[Tool] = &[
    Tool { program: "pigz", origin: "apt-get install pigz", measurement: "`pigz -6` over the programs" },
    Tool { program: "pigz", origin: "apt-get install pigz", measurement: PEERS },
    Tool { program: "nfpm", origin: "https://nfpm.goreleaser.com, and --nfpm PROGRAM", measurement: PEERS },
    Tool { program: "xorriso", origin: "apt-get install xorriso", measurement: PEERS },
    Tool { program: "cfssl", origin: "apt-get install golang-cfssl", measurement: PEERS },
    Tool { program: "cfssljson", origin: "apt-get install golang-cfssl", measurement: PEERS },
    Tool { program: "mkfs.xfs", origin: "apt-get install xfsprogs", measurement: "files that share blocks" },
    Tool { program: "curl", origin: "apt-get install curl", measurement: FETCHING },
    Tool { program: "python3", origin: "apt-get install python3", measurement: FETCHING },
    Tool { program: "docker-registry", origin: "apt-get install docker-registry", measurement: CARRYING },
    Tool { program: "skopeo", origin: "apt-get install skopeo", measurement: CARRYING },
    Tool { program: "casync", origin: "apt-get install casync", measurement: CARRYING },
    Tool { program: "rsync", origin: "apt-get install rsync", measurement: CARRYING },
];

/// The path of a program. Debian keeps some in directories that only root has in its PATH.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    directories.map(|directory| directory.join(program)).find(|path| path.is_file())
}

/// One line for each missing tool: what is left out, and how to install it.
pub(super) fn missing(nfpm: Option<&Path>) -> Vec<String> {
    missing_where(|program| find(program).is_some() || (program == "nfpm" && nfpm.is_some()))
}

fn missing_where(is_installed: impl Fn(&str) -> bool) -> Vec<String> {
    let missing = TOOLS.iter().filter(|tool| !is_installed(tool.program));
    missing.map(|tool| format!("{}: `{}` is missing ({})", tool.measurement, tool.program, tool.origin)).collect()
}

pub(super) fn has_pigz() -> bool {
    find("pigz").is_some()
}

/// Whether the peers' pipeline can run; nfpm is looked for by the caller.
pub(super) fn has_peers() -> bool {
    let of_peers = TOOLS.iter().filter(|tool| tool.measurement == PEERS && tool.program != "nfpm");
    of_peers.into_iter().all(|tool| find(tool.program).is_some())
}

pub(super) fn can_fetch() -> bool {
    has_all(FETCHING)
}

pub(super) fn can_carry() -> bool {
    has_all(CARRYING)
}

fn has_all(measurement: &str) -> bool {
    TOOLS.iter().filter(|tool| tool.measurement == measurement).all(|tool| find(tool.program).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_missing_tool_leaves_out_is_named() {
        assert!(missing_where(|_| true).is_empty());
        let missing = missing_where(|program| program != "mkfs.xfs");
        assert_eq!(missing, ["files that share blocks: `mkfs.xfs` is missing (apt-get install xfsprogs)"]);
        assert_eq!(missing_where(|program| program != "pigz").len(), 2);
    }
}
