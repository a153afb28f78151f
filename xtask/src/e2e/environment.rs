//! What scenarios share: the network bridge, the components, and a working directory for each.
#![expect(clippy::disallowed_methods, reason = "xtask runs programs and touches files")]

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use super::images;
use super::options::Options;
use super::roots;
use super::shell::{run_captured, stdout_of};

/// The bridge that all machines are connected to.
pub(super) const BRIDGE: &str = "kb0";
/// The host's own address on it.
pub(super) const HOST_ADDRESS: &str = "10.200.0.1/16";

/// Components that a stand-in can take the place of.
const COMPONENTS: [&str; 4] = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"];
/// Components that are Debian's programs unless `--binaries` has others, and the packages that they are in.
const OF_DEBIAN: [(&str, &str, &str); 2] =
    [("etcd", "etcd-server", "usr/bin/etcd"), ("etcdctl", "etcd-client", "usr/bin/etcdctl")];
/// What nodes with pods need besides, and no stand-in can take the place of.
const OF_NODES: [&str; 2] = ["kubelet", "kube-proxy"];
/// Components of such nodes that are Debian's programs unless `--binaries` has others.
const OF_DEBIAN_FOR_NODES: [(&str, &str, &str); 8] = [
    ("containerd", "containerd", "usr/bin/containerd"),
    ("containerd-shim-runc-v2", "containerd", "usr/bin/containerd-shim-runc-v2"),
    ("ctr", "containerd", "usr/bin/ctr"),
    ("runc", "runc", "usr/sbin/runc"),
    ("cni-bridge", "containernetworking-plugins", "usr/lib/cni/bridge"),
    ("cni-host-local", "containernetworking-plugins", "usr/lib/cni/host-local"),
    ("cni-loopback", "containernetworking-plugins", "usr/lib/cni/loopback"),
    ("cni-portmap", "containernetworking-plugins", "usr/lib/cni/portmap"),
];
/// Is used if `--binaries` has it: no stand-in can take its place, and Debian does not have it.
const ONLY_IF_GIVEN: &str = "flanneld";
/// Components of a whole cluster that stand-ins take the place of where `--binaries` lacks them.
const REPLACEABLE: [&str; 2] = ["coredns", "crictl"];

/// Where the components of a run are collected.
fn components() -> PathBuf {
    roots::directory().join("components")
}

/// Collects the components: from `--binaries`, or stand-ins, and what is missing from Debian.
pub(super) fn collect_components(options: &Options) -> Result<()> {
    let to = components();
    let _ = fs::remove_dir_all(&to);
    fs::create_dir_all(&to).context("could not make the directory of the components")?;
    let copy = |from: PathBuf, name: &str| {
        fs::copy(&from, to.join(name)).with_context(|| format!("could not copy `{}`", from.display()))
    };
    let stand_in = crate::program("stand-in");
    for name in COMPONENTS {
        copy(options.binaries.as_ref().map_or_else(|| stand_in.clone(), |binaries| binaries.join(name)), name)?;
    }
    let given = |name: &str| options.binaries.as_ref().map(|it| it.join(name)).filter(|given| given.exists());
    let of_debian = |list: &[(&str, &str, &str)]| {
        list.iter().try_for_each(|(name, package, path)| {
            let from = given(name).map_or_else(|| roots::program_of(package, path), Ok)?;
            copy(from, name).map(drop)
        })
    };
    of_debian(&OF_DEBIAN)?;
    let Some(of_nodes) = OF_NODES.iter().map(|name| Some((given(name)?, name))).collect::<Option<Vec<_>>>() else {
        return Ok(());
    };
    for (from, name) in of_nodes {
        copy(from, name)?;
    }
    of_debian(&OF_DEBIAN_FOR_NODES)?;
    if let Some(flanneld) = given(ONLY_IF_GIVEN) {
        copy(flanneld, ONLY_IF_GIVEN)?;
    }
    for name in REPLACEABLE {
        copy(given(name).unwrap_or_else(|| stand_in.clone()), name)?;
    }
    images::write(&to, &roots::program_of("busybox-static", "bin/busybox")?)
}

/// Lives as long as the run.
pub(super) struct Environment {
    root: PathBuf,
    cloud_root: PathBuf,
    pod_root: PathBuf,
    binaries: PathBuf,
    real: bool,
    previous: Option<PathBuf>,
    previous_etcd: Option<PathBuf>,
    work: PathBuf,
}

/// What one scenario is given.
pub(super) struct ScenarioContext {
    /// The Debian root of containers. Machines write to an overlay above it.
    pub(super) root: PathBuf,
    /// The Debian root with what pods need.
    pub(super) pod_root: PathBuf,
    /// The Debian root with a kernel and cloud-init.
    pub(super) cloud_root: PathBuf,
    /// The directory of the components: Kubernetes or stand-ins, and etcd.
    pub(super) binaries: PathBuf,
    /// Whether the components are Kubernetes.
    pub(super) real: bool,
    /// An earlier kube-bundle program.
    pub(super) previous: Option<PathBuf>,
    /// A directory with an earlier etcd.
    pub(super) previous_etcd: Option<PathBuf>,
    /// The scenario's own working directory.
    pub(super) work: PathBuf,
}

impl Environment {
    /// Makes the bridge and an empty working directory. Must run inside the namespaces.
    pub(super) fn prepare(options: &Options) -> Result<Self> {
        for line in [
            "link set lo up".to_owned(),
            format!("link add {BRIDGE} type bridge"),
            format!("link set {BRIDGE} up"),
            format!("address add {HOST_ADDRESS} dev {BRIDGE}"),
        ] {
            stdout_of("ip", &line.split(' ').collect::<Vec<_>>())?;
        }
        let directory = fs::canonicalize(roots::directory()).context("could not find target/e2e")?;
        let work = directory.join("work");
        let _ = fs::remove_dir_all(&work);
        fs::create_dir_all(&work).context("could not make the working directory")?;
        let binaries = fs::canonicalize(components()).context("could not find the components")?;
        Ok(Self {
            root: roots::root_path(&options.suite),
            cloud_root: roots::cloud_root_path(&options.suite),
            pod_root: roots::pod_root_path(&options.suite),
            binaries,
            real: options.binaries.is_some(),
            previous: options.previous.clone(),
            previous_etcd: options.previous_etcd.clone(),
            work,
        })
    }

    /// Whether the components are real, with the version that the API server reports.
    pub(super) fn components(&self) -> Result<String> {
        let program = self.binaries.join("kube-apiserver").display().to_string();
        let outcome = run_captured(&program, &["--version"])?;
        ensure!(outcome.success(), "`{program} --version` failed: {}", outcome.text);
        let kind = if self.real { "real" } else { "stand-ins" };
        Ok(format!("{kind}: {} ({})", outcome.stdout.trim(), self.binaries.display()))
    }

    pub(super) fn scenario_context(&self, name: &str) -> Result<ScenarioContext> {
        let work = self.work.join(name);
        fs::create_dir_all(&work).with_context(|| format!("could not make `{}`", work.display()))?;
        Ok(ScenarioContext {
            root: self.root.clone(),
            cloud_root: self.cloud_root.clone(),
            pod_root: self.pod_root.clone(),
            binaries: self.binaries.clone(),
            real: self.real,
            previous: self.previous.clone(),
            previous_etcd: self.previous_etcd.clone(),
            work,
        })
    }
}

impl ScenarioContext {
    /// Why no pod can run in this run, if so.
    pub(super) fn lacks_pods(&self) -> Option<&'static str> {
        if self.binaries.join("kubelet").exists() {
            return None;
        }
        Some("--binaries DIR, with a kubelet and a kube-proxy of Kubernetes v1.16.0, runs it")
    }

    /// Whether flannel can be shown in this run.
    pub(super) fn has_flannel(&self) -> bool {
        self.binaries.join(ONLY_IF_GIVEN).exists()
    }

    /// The last lines of each machine's journal. They are printed because a CI service may keep nothing but the output.
    pub(super) fn journal_tail(&self) -> String {
        let machines = fs::read_dir(&self.work).into_iter().flatten().flatten();
        let journals = machines.filter_map(|machine| {
            let text = fs::read_to_string(machine.path().join("journal")).ok()?;
            let lines: Vec<_> = text.lines().collect();
            let tail = lines[lines.len().saturating_sub(40)..].join("\n    ");
            Some(format!("  the journal of {} ends:\n    {tail}", machine.file_name().display()))
        });
        journals.collect::<Vec<_>>().join("\n")
    }
}
