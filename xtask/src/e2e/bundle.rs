//! A bundle: its archives and packages on machines, and kubectl as its administrator.
#![expect(clippy::disallowed_methods, reason = "xtask runs programs and touches files")]

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::machine::{Machine, wait};
use super::shell::{Outcome, stdout_of};

/// The output directory of a build.
pub(super) struct Bundle {
    pub(super) out: PathBuf,
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
            if file.starts_with("kube-bundle-")
                || file.starts_with("roc-images_")
                || file.starts_with(&format!("roc-{}_", machine.name))
            {
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
