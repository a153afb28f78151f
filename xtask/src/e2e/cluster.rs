//! A cluster: its `cluster.toml`, its bundles, its machines, and the etcd that its operator runs.
#![expect(clippy::disallowed_methods, reason = "xtask runs programs and touches files")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::environment::ScenarioContext;
use super::files;
use super::machine::{Machine, wait};
use super::shell::{Outcome, stdout_of};

/// The names and addresses of the masters, as the guide has them.
pub(super) const MASTERS: [(&str, &str); 3] =
    [("master-1", "10.200.16.79"), ("master-2", "10.200.17.6"), ("master-3", "10.200.16.70")];

/// The directory in which a release engineer works: `cluster.toml`, the recipe, `pki/`, and bundles.
pub(super) struct Cluster {
    directory: PathBuf,
    binaries: PathBuf,
    program: PathBuf,
    pub(super) masters: Vec<(&'static str, &'static str)>,
}

/// The output directory of a build.
pub(super) struct Bundle {
    pub(super) out: PathBuf,
}

impl Cluster {
    /// Writes `cluster.toml` for the first `count` masters, and exports a recipe that is pinned to the components. The
    /// first master is the endpoint of the API server.
    pub(super) fn new(context: &ScenarioContext, count: usize) -> Result<Self> {
        Self::with_endpoint(context, count, MASTERS[0].1)
    }

    /// A cluster with another endpoint, such as a load balancer.
    pub(super) fn with_endpoint(context: &ScenarioContext, count: usize, endpoint: &str) -> Result<Self> {
        let directory = context.work.join("engineer");
        fs::create_dir_all(&directory).context("could not make the engineer's directory")?;
        let masters = MASTERS[..count].to_vec();
        fs::write(directory.join("cluster.toml"), cluster_toml(&masters, endpoint))
            .context("could not write cluster.toml")?;
        let program = fs::canonicalize(crate::root().join("target/release/kube-bundle"));
        let program = program.context("could not find kube-bundle")?;
        let cluster = Self { directory, binaries: context.binaries.clone(), program, masters };
        cluster.export_recipe()?;
        Ok(cluster)
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

    fn export_recipe(&self) -> Result<()> {
        self.run_kube_bundle(&["recipe", "export", "v1.16.0", "recipe"])?;
        self.run_kube_bundle(&["recipe", "pin", "recipe", "--from", &self.binaries.display().to_string()])
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

    /// Boots a machine for each master and starts its etcd member; returns when all members are healthy.
    pub(super) fn machines(&self, context: &ScenarioContext, bundle: &Bundle) -> Result<Vec<Machine>> {
        let mut machines = Vec::new();
        for (name, address) in &self.masters {
            let mut machine = Machine::new(context, name, address)?;
            configure_etcd(&machine, &self.masters, &bundle.out)?;
            machine.boot()?;
            machine.wait_until("its address", 20, &format!("ip address show host0 | grep -q 'inet {address}/'"))?;
            machines.push(machine);
        }
        for machine in &machines {
            machine.sh("systemctl enable --now --no-block etcd 2>/dev/null")?;
        }
        for machine in &machines {
            machine.wait_until("its etcd", 60, &format!("{ETCDCTL} endpoint health"))?;
            machine.wait_until(
                "the end of its boot",
                60,
                "systemctl is-system-running | grep -qE 'running|degraded'",
            )?;
        }
        Ok(machines)
    }
}

fn replace(path: &Path, from: &str, to: &str) -> Result<()> {
    let text = fs::read_to_string(path).with_context(|| format!("could not read `{}`", path.display()))?;
    ensure!(text.contains(from), "`{}` does not contain {from:?}", path.display());
    fs::write(path, text.replace(from, to)).with_context(|| format!("could not write `{}`", path.display()))
}

/// The text of `cluster.toml`; every master runs an etcd member.
fn cluster_toml(masters: &[(&str, &str)], endpoint: &str) -> String {
    let nodes: String = masters
        .iter()
        .map(|(name, address)| format!("[[nodes]]\nname = \"{name}\"\naddress = \"{address}\"\nroles = [\"master\"]\n"))
        .collect();
    let etcd: Vec<_> = masters.iter().map(|(_, address)| format!("\"https://{address}:2379\"")).collect();
    format!(
        "[cluster]\nname = \"roc\"\nrecipe = \"./recipe\"\nendpoint = \"https://{endpoint}:6443\"\n\
         apiserver_sans = [\"{endpoint}\"]\npod_cidr = \"10.10.0.0/16\"\nservice_cidr = \"10.32.0.0/16\"\n\
         [etcd]\nendpoints = [{}]\n{nodes}",
        etcd.join(", ")
    )
}

/// The etcdctl command on a master, with the member's own certificate.
pub(super) const ETCDCTL: &str = "ETCDCTL_API=3 etcdctl --endpoints=https://127.0.0.1:2379 --cacert=/etc/etcd/ca.pem --cert=/etc/etcd/etcd.pem --key=/etc/etcd/etcd-key.pem";

/// Installs the certificates of `operator/etcd/ADDRESS` and configures Debian's etcd, as the operator of etcd would.
pub(super) fn configure_etcd(machine: &Machine, masters: &[(&str, &str)], out: &Path) -> Result<()> {
    let address = &machine.address;
    for file in ["ca.pem", "etcd.pem", "etcd-key.pem"] {
        machine.copy_in(&out.join("operator/etcd").join(address).join(file), "etc/etcd")?;
    }
    let peers: Vec<_> = masters.iter().map(|(name, address)| format!("{name}=https://{address}:2380")).collect();
    let secure = "TRUSTED_CA_FILE=/etc/etcd/ca.pem\n";
    let client = format!(
        "ETCD_CERT_FILE=/etc/etcd/etcd.pem\nETCD_KEY_FILE=/etc/etcd/etcd-key.pem\nETCD_{secure}ETCD_CLIENT_CERT_AUTH=true\n"
    );
    let peer = client.replace("ETCD_", "ETCD_PEER_");
    machine.write(
        "etc/default/etcd",
        &format!(
            "ETCD_NAME={}\nETCD_LISTEN_CLIENT_URLS=https://{address}:2379,https://127.0.0.1:2379\n\
             ETCD_ADVERTISE_CLIENT_URLS=https://{address}:2379\nETCD_LISTEN_PEER_URLS=https://{address}:2380\n\
             ETCD_INITIAL_ADVERTISE_PEER_URLS=https://{address}:2380\nETCD_INITIAL_CLUSTER={}\n{client}{peer}",
            machine.name,
            peers.join(",")
        ),
    )?;
    // Debian's unit does not wait for the machine's address and does not restart: an etcd that starts before the address
    // is there would stay down.
    machine.write(
        "etc/systemd/system/etcd.service.d/restart.conf",
        "[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestart=always\nRestartSec=1\n",
    )?;
    // The user etcd exists only inside the machine's root.
    stdout_of("chroot", &[&machine.path("").display().to_string(), "chown", "-R", "etcd:etcd", "/etc/etcd"]).map(drop)
}

/// The first file of a directory whose name is the wanted one.
fn find_file(directory: &Path, is_wanted: impl Fn(&str) -> bool) -> Result<Option<PathBuf>> {
    let entries = fs::read_dir(directory).with_context(|| format!("could not list `{}`", directory.display()))?;
    let mut paths = entries.flatten().map(|entry| entry.path());
    Ok(paths.find(|path| path.file_name().is_some_and(|file| is_wanted(&file.to_string_lossy()))))
}

impl Bundle {
    /// Copies the administrator's certificate and key to `directory`; returns their paths.
    pub(super) fn admin_certificate(&self, directory: &Path) -> Result<(String, String)> {
        // They are in every admin.kubeconfig too; from pki/ they need no decoding.
        let pki = self.out.with_file_name("pki");
        let copy = |name: &str| -> Result<String> {
            let to = directory.join(name);
            fs::copy(pki.join(name), &to).with_context(|| format!("could not copy `{name}`"))?;
            Ok(to.display().to_string())
        };
        Ok((copy("admin.pem")?, copy("admin-key.pem")?))
    }

    /// Requests a client certificate with the bootstrap token, as the kubelet of a new worker does; returns the subject of
    /// the certificate that the cluster approves and issues by itself.
    pub(super) fn kubelet_certificate(&self, machine: &Machine, node: &str) -> Result<String> {
        machine.copy_in(&self.out.join("operator/bootstrap-kubeconfig"), "root")?;
        let key = self.out.with_file_name("kubelet-key.pem").display().to_string();
        let subject = format!("/O=system:nodes/CN=system:node:{node}");
        let new_key = ["-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", &key];
        let request = stdout_of("openssl", &[&["req"][..], &new_key, &["-subj", &subject]].concat())?;
        let object = format!(
            "apiVersion: certificates.k8s.io/v1beta1\nkind: CertificateSigningRequest\nmetadata:\n  name: {node}\nspec:\n  \
             request: {}\n  usages: [digital signature, key encipherment, client auth]\n",
            STANDARD.encode(request)
        );
        machine.write("root/csr.yaml", &object)?;
        machine.sh("kubectl --kubeconfig=/root/bootstrap-kubeconfig create -f /root/csr.yaml")?;
        let mut certificate = String::new();
        wait("a kubelet's certificate", 30, || {
            certificate = self.kubectl(machine, &format!("get csr {node} -o jsonpath={{.status.certificate}}"))?.stdout;
            Ok(!certificate.is_empty())
        })?;
        let path = self.out.with_file_name("kubelet.pem");
        fs::write(&path, STANDARD.decode(certificate).context("the certificate is not base64")?)
            .context("could not write a certificate")?;
        stdout_of("openssl", &["x509", "-noout", "-subject", "-in", &path.display().to_string()])
    }

    /// The path of the package `name`, whatever its version.
    pub(super) fn package(&self, name: &str) -> Result<PathBuf> {
        let prefix = format!("{name}_");
        let package = find_file(&self.out.join("deb"), |file| file.starts_with(&prefix))?;
        package.with_context(|| format!("there is no package `{name}`"))
    }

    /// The path of a node's archive, whatever its version.
    pub(super) fn archive(&self, node: &str) -> Result<PathBuf> {
        let archive = find_file(&self.out.join("nodes").join(node), |file| file.ends_with(".tar.gz"))?;
        archive.with_context(|| format!("there is no archive for `{node}`"))
    }

    /// Copies the packages that a machine needs, the shared ones and its own, to its directory `/root/NAME`.
    pub(super) fn copy_packages_to(&self, machine: &Machine, name: &str) -> Result<()> {
        let to = format!("root/{name}");
        for package in fs::read_dir(self.out.join("deb")).context("could not list the packages")?.flatten() {
            let file = package.file_name().to_string_lossy().into_owned();
            if file.starts_with("kube-bundle-") || file.starts_with(&format!("roc-{}_", machine.name)) {
                machine.copy_in(&package.path(), &to)?;
            }
        }
        Ok(())
    }

    /// Runs kubectl on a machine, against the API server of that machine, as administrator.
    pub(super) fn kubectl(&self, machine: &Machine, arguments: &str) -> Result<Outcome> {
        machine.copy_in(&self.out.join("operator/admin.kubeconfig"), "root")?;
        machine.try_sh(&format!(
            "kubectl --kubeconfig=/root/admin.kubeconfig --server=https://{}:6443 {arguments}",
            machine.address
        ))
    }

    /// Waits until `/healthz` of a machine's API server answers `ok`.
    pub(super) fn wait_healthy(&self, machine: &Machine) -> Result<()> {
        wait("its API server", 60, || Ok(self.kubectl(machine, "get --raw=/healthz")?.stdout == "ok"))
            .with_context(|| machine.name.clone())
    }
}
