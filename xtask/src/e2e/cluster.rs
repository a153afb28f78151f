//! A cluster: its `cluster.toml`, its bundles and its machines.
#![expect(clippy::disallowed_methods, reason = "xtask runs programs and touches files")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::bundle::Bundle;
use super::environment::ScenarioContext;
use super::files;
use super::images;
use super::machine::Machine;
use super::shell::{Outcome, stdout_of};

/// The names and addresses of the masters, as the guide has them.
pub(super) const MASTERS: [(&str, &str); 3] =
    [("master-1", "10.200.16.79"), ("master-2", "10.200.17.6"), ("master-3", "10.200.16.70")];

/// Machines that run nothing but etcd.
const ETCD_MACHINES: [(&str, &str); 3] =
    [("etcd-1", "10.200.18.1"), ("etcd-2", "10.200.18.2"), ("etcd-3", "10.200.18.3")];

/// Machines that run pods.
pub(super) const WORKERS: [(&str, &str); 2] = [("worker-1", "10.200.20.1"), ("worker-2", "10.200.20.2")];

/// The directory in which a release engineer works: `cluster.toml`, the recipe, `pki/`, and bundles.
pub(super) struct Cluster {
    directory: PathBuf,
    binaries: PathBuf,
    program: PathBuf,
    pub(super) masters: Vec<(&'static str, &'static str)>,
}

impl Cluster {
    /// Writes `cluster.toml` for the first `count` masters, and exports a recipe that is pinned to the components. The
    /// first master is the endpoint of the API server.
    pub(super) fn new(context: &ScenarioContext, count: usize) -> Result<Self> {
        Self::with_endpoint(context, count, MASTERS[0].1)
    }

    /// A cluster whose etcd the operator runs.
    pub(super) fn with_external_etcd(context: &ScenarioContext, count: usize) -> Result<Self> {
        Self::write(context, &MASTERS[..count], MASTERS[0].1, Etcd::External)
    }

    /// A cluster with another endpoint, such as a load balancer.
    pub(super) fn with_endpoint(context: &ScenarioContext, count: usize, endpoint: &str) -> Result<Self> {
        Self::write(context, &MASTERS[..count], endpoint, Etcd::Stacked)
    }

    /// The first two masters, and etcd on three machines of its own; the machines are in this order.
    pub(super) fn with_separate_etcd(context: &ScenarioContext) -> Result<Self> {
        Self::write(context, &[&MASTERS[..2], &ETCD_MACHINES].concat(), MASTERS[0].1, Etcd::Separate)
    }

    /// The first `count` masters with etcd, and the workers; with an image of its own.
    pub(super) fn with_workers(context: &ScenarioContext, count: usize) -> Result<Self> {
        let cluster = Self::write(context, &[&MASTERS[..count], &WORKERS].concat(), MASTERS[0].1, Etcd::Stacked)?;
        cluster.name_an_image()?;
        Ok(cluster)
    }

    /// Names the network plugin in cluster.toml.
    pub(super) fn use_network_plugin(&self, plugin: &str) -> Result<()> {
        self.edit("cluster.toml", "[images]", &format!("[network]\nplugin = \"{plugin}\"\n[images]"))
    }

    /// One machine with all roles.
    pub(super) fn on_one_machine(context: &ScenarioContext) -> Result<Self> {
        let cluster = Self::new(context, 1)?;
        cluster.edit("cluster.toml", "\"etcd\", \"master\"", "\"etcd\", \"master\", \"worker\"")?;
        cluster.name_an_image()?;
        Ok(cluster)
    }

    /// Names the image for tests in `[images]`.
    fn name_an_image(&self) -> Result<()> {
        let table = format!("[images]\nextra = [\"{}\"]\n[[nodes]]\nname = \"master-1\"", images::APP);
        self.edit("cluster.toml", "[[nodes]]\nname = \"master-1\"", &table)?;
        self.run_kube_bundle(&["images", "pin", "--from", &self.binaries.display().to_string()])
    }

    fn write(
        context: &ScenarioContext,
        masters: &[(&'static str, &'static str)],
        endpoint: &str,
        etcd: Etcd,
    ) -> Result<Self> {
        let directory = context.work.join("engineer");
        fs::create_dir_all(&directory).context("could not make the engineer's directory")?;
        let masters = masters.to_vec();
        fs::write(directory.join("cluster.toml"), cluster_toml(&masters, endpoint, etcd))
            .context("could not write cluster.toml")?;
        let program = fs::canonicalize(crate::program("kube-bundle"));
        let program = program.context("could not find kube-bundle")?;
        let cluster = Self { directory, binaries: context.binaries.clone(), program, masters };
        cluster.export_recipe()?;
        Ok(cluster)
    }

    /// Removes the engineer's directory, so that another cluster can have its place.
    pub(super) fn discard(self) -> Result<()> {
        fs::remove_dir_all(self.directory).context("could not remove the engineer's directory")
    }

    /// The engineer's directory.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The kube-bundle program that builds.
    pub(super) fn program(&self) -> &Path {
        &self.program
    }

    /// Lets another kube-bundle program do everything from now on, with a recipe of its own.
    pub(super) fn use_program(&mut self, program: &Path) -> Result<()> {
        program.clone_into(&mut self.program);
        fs::remove_dir_all(self.directory.join("recipe")).context("could not remove the recipe")?;
        self.export_recipe()
    }

    /// Lets other components be built in from now on.
    pub(super) fn use_binaries(&mut self, binaries: &Path) -> Result<()> {
        binaries.clone_into(&mut self.binaries);
        fs::remove_dir_all(self.directory.join("recipe")).context("could not remove the recipe")?;
        self.export_recipe()
    }

    fn export_recipe(&self) -> Result<()> {
        self.run_kube_bundle(&["recipe", "export", "v1.16.0", "recipe"])?;
        self.run_kube_bundle(&["recipe", "pin", "recipe", "--from", &self.binaries.display().to_string()])?;
        self.set_etcd_version()
    }

    /// The recipe says which etcd it is: Debian's is another one. An earlier kube-bundle has none.
    fn set_etcd_version(&self) -> Result<()> {
        let version = stdout_of(&self.binaries.join("etcd").display().to_string(), &["--version"])?;
        let version =
            version.lines().next().and_then(|line| line.strip_prefix("etcd Version: ")).context("no version")?;
        self.set_version("etcd", "3.4.13", version)
    }

    /// Writes another version of a product into the recipe: its names in lists of software say the version, too.
    pub(super) fn set_version(&self, product: &str, from: &str, to: &str) -> Result<()> {
        let recipe = self.directory.join("recipe/recipe.toml");
        let text = fs::read_to_string(&recipe).context("could not read the recipe")?;
        let text = text
            .replace(&format!("version = \"v{from}\""), &format!("version = \"v{to}\""))
            .replace(&format!("{product}@v{from}"), &format!("{product}@v{to}"))
            .replace(&format!("{product}:{from}:"), &format!("{product}:{to}:"));
        fs::write(&recipe, text).context("could not write the recipe")
    }

    /// Runs kube-bundle in the engineer's directory; that it fails is no error.
    pub(super) fn kube_bundle(&self, arguments: &[&str]) -> Result<Outcome> {
        let mut command = Command::new(&self.program);
        command.args(arguments).current_dir(&self.directory).env("XDG_CACHE_HOME", self.directory.join("cache"));
        let output = command.stdin(Stdio::null()).output().context("could not run kube-bundle")?;
        Ok(output.into())
    }

    /// Runs kube-bundle in the engineer's directory; fails if it does.
    pub(super) fn run_kube_bundle(&self, arguments: &[&str]) -> Result<()> {
        let outcome = self.kube_bundle(arguments)?;
        ensure!(outcome.success(), "kube-bundle {} failed:\n{}", arguments.join(" "), outcome.text);
        Ok(())
    }

    /// Replaces text in a file of the engineer's directory; fails if the file does not contain it.
    pub(super) fn edit(&self, file: &str, from: &str, to: &str) -> Result<()> {
        replace(&self.directory.join(file), from, to)
    }

    /// Replaces text in the file of the recipe that has this name, in whichever directory.
    pub(super) fn edit_recipe(&self, name: &str, from: &str, to: &str) -> Result<()> {
        replace(&files::find(&self.directory.join("recipe"), name)?, from, to)
    }

    /// Builds archives and packages into the directory `name`; `more` are further arguments.
    pub(super) fn build(&self, name: &str, more: &[&str]) -> Result<Bundle> {
        self.build_as("tarball,deb", name, more)
    }

    /// Builds other formats, such as `nocloud,initrd`.
    pub(super) fn build_as(&self, formats: &str, name: &str, more: &[&str]) -> Result<Bundle> {
        let from = self.binaries.display().to_string();
        let build = ["build", "--quiet", "--offline", "--from", &from, "--format", formats, "-o", name];
        self.run_kube_bundle(&[&build[..], more].concat())?;
        Ok(Bundle { out: self.directory.join(name) })
    }

    /// Whether cluster.toml gives a node the role `worker`.
    fn runs_pods(&self, node: &str) -> Result<bool> {
        let text = fs::read_to_string(self.directory.join("cluster.toml")).context("could not read cluster.toml")?;
        let own = text.split("[[nodes]]").find(|own| own.contains(&format!("name = \"{node}\"")));
        Ok(own.is_some_and(|own| own.contains("\"worker\"")))
    }

    /// Boots a machine for each node; returns when all have their addresses and have booted.
    pub(super) fn machines(&self, context: &ScenarioContext) -> Result<Vec<Machine>> {
        let mut machines = Vec::new();
        for (name, address) in &self.masters {
            machines.push(if self.runs_pods(name)? {
                boot_with_pods(context, name, address)?
            } else {
                boot(context, name, address)?
            });
        }
        for machine in &machines {
            machine.wait_until(
                "the end of its boot",
                60,
                "systemctl is-system-running | grep -qE 'running|degraded'",
            )?;
        }
        Ok(machines)
    }
}

/// A machine that is on and has its address, and on which pods can run.
pub(super) fn boot_with_pods(context: &ScenarioContext, name: &str, address: &str) -> Result<Machine> {
    has_address(Machine::with_pods(context, name, address)?)
}

/// A machine that is on and has its address.
pub(super) fn boot(context: &ScenarioContext, name: &str, address: &str) -> Result<Machine> {
    has_address(Machine::new(context, name, address)?)
}

fn has_address(mut machine: Machine) -> Result<Machine> {
    machine.boot()?;
    let script = format!("ip address show host0 | grep -q 'inet {}/'", machine.address);
    machine.wait_until("its address", 20, &script)?;
    Ok(machine)
}

/// Does the same on several machines at the same time; members of etcd wait for each other.
pub(super) fn on_all(machines: &[Machine], work: impl Fn(&Machine) -> Result<()> + Sync) -> Result<()> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = machines.iter().map(|machine| scope.spawn(|| work(machine))).collect();
        let ended = threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| bail!("a thread panicked")));
        ended.collect::<Vec<_>>().into_iter().collect()
    })
}

fn replace(path: &Path, from: &str, to: &str) -> Result<()> {
    let text = fs::read_to_string(path).with_context(|| format!("could not read `{}`", path.display()))?;
    ensure!(text.contains(from), "`{}` does not contain {from:?}", path.display());
    fs::write(path, text.replace(from, to)).with_context(|| format!("could not write `{}`", path.display()))
}

/// Where the members of etcd are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Etcd {
    /// On the masters, by the role `etcd`.
    Stacked,
    /// On machines of their own, whose names say so.
    Separate,
    /// On the masters too, but the cluster's operator runs it.
    External,
}

/// The text of `cluster.toml`.
fn cluster_toml(masters: &[(&str, &str)], endpoint: &str, etcd: Etcd) -> String {
    let roles = |name: &str| match etcd {
        Etcd::Stacked if name.starts_with("worker") => "\"worker\"",
        Etcd::Stacked => "\"etcd\", \"master\"",
        Etcd::Separate if name.starts_with("etcd") => "\"etcd\"",
        Etcd::Separate | Etcd::External => "\"master\"",
    };
    let urls: Vec<_> = masters.iter().map(|(_, address)| format!("\"https://{address}:2379\"")).collect();
    let table = match etcd {
        Etcd::External => format!("[etcd]\nendpoints = [{}]\n", urls.join(", ")),
        Etcd::Stacked | Etcd::Separate => String::new(),
    };
    let node = |(name, address): &(&str, &str)| {
        format!("[[nodes]]\nname = \"{name}\"\naddress = \"{address}\"\nroles = [{}]\n", roles(name))
    };
    let nodes: String = masters.iter().map(node).collect();
    format!(
        "[cluster]\nname = \"roc\"\nrecipe = \"./recipe\"\nendpoint = \"https://{endpoint}:6443\"\n\
         apiserver_sans = [\"{endpoint}\"]\npod_cidr = \"10.10.0.0/16\"\nservice_cidr = \"10.32.0.0/16\"\n{table}{nodes}"
    )
}

/// The etcdctl command on a machine with the role `etcd`, with the member's own certificate.
pub(super) const ETCDCTL: &str = "ETCDCTL_API=3 etcdctl --endpoints=https://127.0.0.1:2379 --cacert=/var/lib/kube-etcd/ca.pem --cert=/var/lib/kube-etcd/etcd.pem --key=/var/lib/kube-etcd/etcd-key.pem";
