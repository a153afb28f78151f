//! Upgrades of machines that an earlier kube-bundle program made the bundle for.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::tarball::unpack;
use crate::e2e::bundle::Bundle;
use crate::e2e::cluster::Cluster;
use crate::e2e::environment::ScenarioContext;
use crate::e2e::external_etcd::{self, ETCDCTL};
use crate::e2e::files::{Compare, Listing, differences, ensure_same_files};
use crate::e2e::machine::Machine;
use crate::e2e::shell::stdout_of;
use crate::e2e::units::{UNITS, invocation_ids, restarted, wait_units_active};
use crate::e2e::{report_ok, report_skipped};

/// Where a master has its keys and certificates.
const CREDENTIALS: &str = "var/lib/kubernetes/";
/// Where units write while they run, and where an upgrade keeps the files that it replaced: not what was installed.
const NOT_INSTALLED: &[&str] = &[
    "var/lib/kube-bootstrap/",
    "var/lib/kube-controller-manager/",
    "var/log/kubernetes/",
    "var/lib/kube-bundle/previous",
];

/// How a bundle is installed and removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Archive,
    Packages,
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Self::Archive => "archive",
            Self::Packages => "packages",
        }
    }

    fn install(self, bundle: &Bundle, machine: &Machine, below: &str) -> Result<()> {
        match self {
            Self::Archive => {
                let directory = unpack(bundle, machine, below)?;
                machine.sh(&format!("{directory}/install.sh"))?;
            }
            Self::Packages => {
                bundle.copy_packages_to(machine, below)?;
                machine.sh(&format!("dpkg -i /root/{below}/*.deb"))?;
            }
        }
        wait_units_active(machine)?;
        bundle.wait_healthy(machine)
    }

    fn purge(self, machine: &Machine) -> Result<()> {
        let purge = match self {
            Self::Archive => "/var/lib/kube-bundle/installed/install.sh --purge",
            Self::Packages => "apt-get purge -y -q 'roc-master-*' 'kube-bundle-*'",
        };
        machine.sh(purge).map(drop)
    }
}

pub(super) fn from_release(context: &ScenarioContext) -> Result<()> {
    let Some(previous) = &context.previous else {
        report_skipped("everything", "it upgrades what an earlier kube-bundle built; --previous PROGRAM names one");
        return Ok(());
    };
    let mut cluster = Cluster::with_external_etcd(context, 1)?;
    let present = cluster.program().to_owned();
    cluster.use_program(previous)?;
    let old = cluster.build("old", &[])?;
    // The same directory, so the same pki/ and the same count of builds.
    cluster.use_program(&present)?;
    // One change that is meant, so that a restart is seen to be counted.
    cluster.edit_recipe("kube-scheduler.service", "--v=2", "--v=3")?;
    let new = cluster.build("new", &[])?;
    report_ok(&format!(
        "{}, then this one, built from the same cluster.toml and pki/",
        stdout_of(&previous.display().to_string(), &["--version"])?.trim()
    ));
    for format in [Format::Archive, Format::Packages] {
        // The machines have the same name and address; each is gone before the next one boots.
        let machine = external_etcd::machines(context, &cluster, &old)?.remove(0);
        upgrade(context, format, &machine, &old, &new).with_context(|| format!("by {}", format.name()))?;
        machine.discard()?;
    }
    Ok(())
}

fn upgrade(context: &ScenarioContext, format: Format, machine: &Machine, old: &Bundle, new: &Bundle) -> Result<()> {
    let name = format.name();
    let bare = machine.files()?;
    format.install(old, machine, "old")?;
    let object = StoredObject::create(context, old, machine)?;
    let old_files = machine.files()?;
    let failed = failed_units(machine)?;

    let before = invocation_ids(machine, UNITS)?;
    format.install(new, machine, "new")?;
    let restarted = restarted(&before, &invocation_ids(machine, UNITS)?);
    ensure!(restarted.contains("kube-scheduler"), "kube-scheduler did not restart, but: {restarted}");
    let failed_now = failed_units(machine)?;
    ensure!(failed_now == failed, "failed units: {failed_now:?}, before the upgrade {failed:?}");
    object.ensure_kept(new, machine)?;
    // The administrator's old file stays valid.
    old.wait_healthy(machine)?;
    report_ok(&format!("{name}: API server well, what was stored is there, no unit failed; restarted: {restarted}"));
    let new_files = machine.files()?;
    credentials(name, machine, &old_files, &new_files)?;
    report_differences(&format!("{name}: installed by the earlier bundle, then upgraded"), &old_files, &new_files);

    format.purge(machine)?;
    ensure_same_files(&bare, &machine.files()?).context("after the upgrade and a purge")?;
    format.install(new, machine, "new")?;
    let fresh = machine.files()?;
    let left = differences(&installed(&fresh), &installed(&new_files), Compare::AttributesOnly);
    ensure!(left.is_empty(), "an upgraded machine is not as a new one:\n  {}", left.join("\n  "));
    report_ok(&format!(
        "{name}: a purge leaves nothing; an upgraded machine has the files, modes and owners of a new one"
    ));
    Ok(())
}

/// A listing of what was installed.
fn installed(files: &Listing) -> Listing {
    let is_installed = |path: &str| !NOT_INSTALLED.iter().any(|directory| path.starts_with(directory));
    files.iter().filter(|(path, _)| is_installed(path)).map(|(path, entry)| (path.clone(), entry.clone())).collect()
}

fn failed_units(machine: &Machine) -> Result<String> {
    machine.sh("systemctl list-units --state=failed --plain --no-legend | cut -d' ' -f1 | sort")
}

/// An object that is stored before the upgrade: with stand-ins, which store nothing, a key in etcd.
struct StoredObject {
    real: bool,
}

impl StoredObject {
    fn create(context: &ScenarioContext, bundle: &Bundle, machine: &Machine) -> Result<Self> {
        if context.real {
            let create = "create configmap -n default kept --from-literal=a=b";
            let outcome = bundle.kubectl(machine, create)?;
            ensure!(outcome.success(), "could not create an object: {}", outcome.text);
        } else {
            machine.sh(&format!("{ETCDCTL} put /registry/configmaps/default/kept b >/dev/null"))?;
        }
        Ok(Self { real: context.real })
    }

    fn ensure_kept(&self, bundle: &Bundle, machine: &Machine) -> Result<()> {
        let value = if self.real {
            bundle.kubectl(machine, "get configmap -n default kept -o jsonpath={.data.a}")?.stdout
        } else {
            machine.sh(&format!("{ETCDCTL} get --print-value-only /registry/configmaps/default/kept"))?
        };
        ensure!(value.trim() == "b", "what was stored before the upgrade is gone: {value:?}");
        Ok(())
    }
}

/// Every key and certificate of the earlier bundle is still at its path, and each certificate is issued by a CA that is
/// there and belongs to the key beside it.
fn credentials(format: &str, machine: &Machine, old: &Listing, new: &Listing) -> Result<()> {
    let is_pem =
        |path: &str| path.starts_with(CREDENTIALS) && Path::new(path).extension().is_some_and(|it| it == "pem");
    let (mut same, mut renewed) = (Vec::new(), Vec::new());
    for (path, entry) in old.iter().filter(|(path, _)| is_pem(path)) {
        let now = new.get(path).with_context(|| format!("/{path} is gone after the upgrade"))?;
        let list = if entry.content == now.content { &mut same } else { &mut renewed };
        list.push(path.trim_start_matches(CREDENTIALS));
    }
    ensure!(
        !same.is_empty() || !renewed.is_empty(),
        "the earlier bundle installed no certificate below /{CREDENTIALS}"
    );
    ensure_certificates_fit(machine)?;
    report_ok(&format!(
        "{format}: keys and certificates unchanged: {}; with new content: {}",
        words(&same),
        words(&renewed)
    ));
    Ok(())
}

fn words(names: &[&str]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(" ") }
}

/// Checked on the host, because a master may have no openssl.
fn ensure_certificates_fit(machine: &Machine) -> Result<()> {
    let script = "cat *ca.pem >/tmp/e2e-ca.pem
        for key in *-key.pem; do
            certificate=${key%-key.pem}.pem
            grep -q 'BEGIN CERT' \"$certificate\" 2>/dev/null || continue
            openssl verify -CAfile /tmp/e2e-ca.pem \"$certificate\" || exit 1
            [ \"$(openssl x509 -noout -pubkey -in \"$certificate\")\" = \"$(openssl pkey -pubout -in \"$key\")\" ] || {
                echo \"$key is not the key of $certificate\" >&2
                exit 1
            }
        done";
    machine.sh_on_host(script, CREDENTIALS)
}

/// Prints what differs between two installed trees, since a reviewer has to judge whether it is meant.
fn report_differences(what: &str, old: &Listing, new: &Listing) {
    let (old, new) = (installed(old), installed(new));
    let differences = differences(&old, &new, Compare::AttributesOnly);
    if differences.is_empty() {
        report_ok(&format!("{what}: the same paths, modes and owners"));
    }
    for line in differences {
        report_ok(&format!("{what}: {line}"));
    }
    let changed = old.iter().filter(|(path, entry)| new.get(*path).is_some_and(|now| now.content != entry.content));
    let changed: Vec<_> = changed.map(|(path, _)| format!("/{path}")).collect();
    let changed: Vec<_> = changed.iter().map(String::as_str).collect();
    report_ok(&format!("{what}: other content in {}", words(&changed)));
}
