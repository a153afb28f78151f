//! A cluster: its `cluster.toml`, its bundles, its machines, and the etcd that somebody else runs.
#![expect(clippy::disallowed_methods, reason = "chores run programs and touch files")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube_bundle::manifest::Manifest;

use super::ground::Scene;
use super::machine::{Machine, wait};
use super::shell::{Outcome, must};

/// The guide's own machines.
pub(super) const MASTERS: [(&str, &str); 3] =
    [("master-1", "10.200.16.79"), ("master-2", "10.200.17.6"), ("master-3", "10.200.16.70")];

/// A release engineer's directory.
pub(super) struct Cluster {
    directory: PathBuf,
    binaries: PathBuf,
    pub(super) masters: Vec<(&'static str, &'static str)>,
}

/// A bundle that was built.
pub(super) struct Bundle {
    pub(super) out: PathBuf,
}

impl Cluster {
    /// Writes `cluster.toml` for the first `count` masters, and a recipe pinned to the components. The first master is
    /// the endpoint.
    pub(super) fn new(scene: &Scene, count: usize) -> Result<Self> {
        Self::with_endpoint(scene, count, MASTERS[0].1)
    }

    /// The same with another endpoint, such as a load balancer.
    pub(super) fn with_endpoint(scene: &Scene, count: usize, endpoint: &str) -> Result<Self> {
        let masters = MASTERS[..count].to_vec();
        let nodes: String = masters
            .iter()
            .map(|(name, address)| {
                format!("[[nodes]]\nname = \"{name}\"\naddress = \"{address}\"\nroles = [\"master\"]\n")
            })
            .collect();
        let etcd: Vec<_> = masters.iter().map(|(_, address)| format!("\"https://{address}:2379\"")).collect();
        let text = format!(
            "[cluster]\nname = \"roc\"\nrecipe = \"./recipe\"\nendpoint = \"https://{endpoint}:6443\"\n\
             apiserver_sans = [\"{endpoint}\"]\npod_cidr = \"10.10.0.0/16\"\nservice_cidr = \"10.32.0.0/16\"\n[etcd]\nendpoints = [{}]\n{nodes}",
            etcd.join(", ")
        );
        let directory = scene.work.join("engineer");
        fs::create_dir_all(&directory).context("could not make the engineer's directory")?;
        fs::write(directory.join("cluster.toml"), text).context("could not write cluster.toml")?;
        let cluster = Self { directory, binaries: scene.binaries.clone(), masters };
        cluster.must(&["recipe", "export", "v1.16.0", "recipe"])?;
        cluster.must(&["recipe", "pin", "recipe", "--from", &cluster.binaries.display().to_string()])?;
        Ok(cluster)
    }

    /// Runs kube-bundle as the engineer does.
    pub(super) fn kube_bundle(&self, arguments: &[&str]) -> Result<Outcome> {
        let mut command = Command::new(fs::canonicalize(crate::root().join("target/release/kube-bundle"))?);
        command.args(arguments).current_dir(&self.directory).env("XDG_CACHE_HOME", self.directory.join("cache"));
        let output = command.stdin(Stdio::null()).output().context("could not run kube-bundle")?;
        Ok(output.into())
    }

    fn must(&self, arguments: &[&str]) -> Result<()> {
        let outcome = self.kube_bundle(arguments)?;
        ensure!(outcome.code == Some(0), "kube-bundle {} failed:\n{}", arguments.join(" "), outcome.text);
        Ok(())
    }

    /// Replaces text in a file of the engineer's, which must hold it.
    pub(super) fn edit(&self, file: &str, from: &str, to: &str) -> Result<()> {
        let path = self.directory.join(file);
        let text = fs::read_to_string(&path).with_context(|| format!("could not read `{file}`"))?;
        ensure!(text.contains(from), "`{file}` has no {from:?}");
        fs::write(&path, text.replace(from, to)).with_context(|| format!("could not write `{file}`"))
    }

    /// Builds everything into a directory of that name; `more` are further arguments.
    pub(super) fn build(&self, name: &str, more: &[&str]) -> Result<Bundle> {
        self.build_as("tarball,deb", name, more)
    }

    /// The same in other formats, such as `nocloud,initrd`.
    pub(super) fn build_as(&self, formats: &str, name: &str, more: &[&str]) -> Result<Bundle> {
        let from = self.binaries.display().to_string();
        let build = ["build", "--quiet", "--offline", "--from", &from, "--format", formats, "-o", name];
        self.must(&[&build[..], more].concat())?;
        Ok(Bundle { out: self.directory.join(name) })
    }

    /// Machines for all masters, on, each with its etcd member running.
    pub(super) fn machines(&self, scene: &Scene, bundle: &Bundle) -> Result<Vec<Machine>> {
        let mut machines = Vec::new();
        for (name, address) in &self.masters {
            let mut machine = Machine::new(scene, name, address)?;
            give_etcd(&machine, &self.masters, &bundle.out)?;
            machine.boot()?;
            machine.until("its address", 20, &format!("ip address show host0 | grep -q 'inet {address}/'"))?;
            machines.push(machine);
        }
        for machine in &machines {
            machine.sh("systemctl enable --now --no-block etcd 2>/dev/null")?;
        }
        for machine in &machines {
            machine.until("its etcd", 60, &format!("{ETCDCTL} endpoint health"))?;
            machine.until("the end of its boot", 60, "systemctl is-system-running | grep -qE 'running|degraded'")?;
        }
        Ok(machines)
    }
}

/// etcd's own client, as whoever runs etcd would call it.
pub(super) const ETCDCTL: &str = "ETCDCTL_API=3 etcdctl --endpoints=https://127.0.0.1:2379 --cacert=/etc/etcd/ca.pem --cert=/etc/etcd/etcd.pem --key=/etc/etcd/etcd-key.pem";

/// What whoever runs etcd does: the files of `operator/etcd/ADDRESS`, and a configuration.
pub(super) fn give_etcd(machine: &Machine, masters: &[(&str, &str)], out: &Path) -> Result<()> {
    let address = &machine.address;
    for file in ["ca.pem", "etcd.pem", "etcd-key.pem"] {
        machine.carry(&out.join("operator/etcd").join(address).join(file), "etc/etcd")?;
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
    // Debian's unit waits for no address and is not tried again: at a boot where etcd is faster it would stay down.
    machine.write(
        "etc/systemd/system/etcd.service.d/again.conf",
        "[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestart=always\nRestartSec=1\n",
    )?;
    // Only inside the root are its users known.
    must("chroot", &[&machine.path("").display().to_string(), "chown", "-R", "etcd:etcd", "/etc/etcd"]).map(drop)
}

impl Bundle {
    /// The Kubernetes version that its manifest names, with its `v`.
    pub(super) fn version(&self) -> Result<String> {
        Ok(Manifest::read(&self.out).context("could not read the manifest")?.version)
    }

    /// The administrator's certificate and key as files below `directory`.
    pub(super) fn admin_certificate(&self, directory: &Path) -> Result<(String, String)> {
        // The engineer has them in pki/; an attacker would take them out of a kubeconfig.
        let pki = self.out.with_file_name("pki");
        let copy = |name: &str| -> Result<String> {
            let to = directory.join(name);
            fs::copy(pki.join(name), &to).with_context(|| format!("could not copy `{name}`"))?;
            Ok(to.display().to_string())
        };
        Ok((copy("admin.pem")?, copy("admin-key.pem")?))
    }

    /// What a new worker's kubelet does: a key, a signing request with the bootstrap token, and the subject of the
    /// certificate that comes back without anybody's hand.
    pub(super) fn kubelet_certificate(&self, machine: &Machine, node: &str) -> Result<String> {
        machine.carry(&self.out.join("operator/bootstrap-kubeconfig"), "root")?;
        let subject = format!("/O=system:nodes/CN=system:node:{node}");
        let key = self.out.with_file_name("kubelet-key.pem").display().to_string();
        let request = must(
            "openssl",
            &[
                "req",
                "-new",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-keyout",
                &key,
                "-subj",
                &subject,
            ],
        )?;
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
        fs::write(&path, STANDARD.decode(certificate).context("no base64")?)
            .context("could not write a certificate")?;
        must("openssl", &["x509", "-noout", "-subject", "-in", &path.display().to_string()])
    }

    /// The one package of this name.
    pub(super) fn package(&self, name: &str) -> Result<PathBuf> {
        let prefix = format!("{name}_");
        let entries = fs::read_dir(self.out.join("deb")).context("could not list the packages")?;
        let found = entries.flatten().map(|entry| entry.path());
        let mut found =
            found.filter(|path| path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(&prefix)));
        found.next().with_context(|| format!("there is no package `{name}`"))
    }

    /// Carries the packages that a machine needs to its `/root/NAME`: the shared ones and its own.
    pub(super) fn carry_packages(&self, machine: &Machine, name: &str) -> Result<()> {
        let to = format!("root/{name}");
        for package in fs::read_dir(self.out.join("deb")).context("could not list the packages")?.flatten() {
            let file = package.file_name().to_string_lossy().into_owned();
            if file.starts_with("kube-bundle-") || file.starts_with(&format!("roc-{}_", machine.name)) {
                machine.carry(&package.path(), &to)?;
            }
        }
        Ok(())
    }

    /// Asks an API server, from outside every machine, with the administrator's certificate.
    pub(super) fn kubectl(&self, machine: &Machine, arguments: &str) -> Result<Outcome> {
        machine.carry(&self.out.join("operator/admin.kubeconfig"), "root")?;
        machine.try_sh(&format!(
            "kubectl --kubeconfig=/root/admin.kubeconfig --server=https://{}:6443 {arguments}",
            machine.address
        ))
    }

    /// Waits until a machine's API server says that it is well.
    pub(super) fn healthy(&self, machine: &Machine) -> Result<()> {
        wait("its API server", 60, || Ok(self.kubectl(machine, "get --raw=/healthz")?.stdout == "ok"))
            .with_context(|| machine.name.clone())
    }
}
