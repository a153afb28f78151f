//! Bundles whose secrets are encrypted, on machines where nobody is.

#![expect(clippy::disallowed_methods, reason = "xtask touches files")]

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};

use super::deb::{DPKG, PURGE};
use super::tarball::unpack;
use crate::e2e::bundle::Bundle;
use crate::e2e::cluster::Cluster;
use crate::e2e::environment::ScenarioContext;
use crate::e2e::files::ensure_same_files;
use crate::e2e::machine::Machine;
use crate::e2e::report_ok;
use crate::e2e::shell::stdout_of;
use crate::e2e::units::wait_units_active;

pub(super) fn nobody_there(context: &ScenarioContext) -> Result<()> {
    let cluster = Cluster::new(context, 1)?;
    cluster.edit("cluster.toml", "[[nodes]]", "[secrets]\nseal = \"key\"\n[[nodes]]")?;
    let bundle = cluster.build("one", &[])?;
    let pki = bundle.out.with_file_name("pki");
    open_for_people(&bundle)?;
    let mut machine = cluster.machines(context)?.remove(0);
    let there = unpack(&bundle, &machine, "one")?;
    let before = machine.files()?;
    let refused = machine.try_sh(&format!("{there}/install.sh"))?;
    ensure!(!refused.success() && refused.text.contains("no key is here that opens"), "{}", refused.text);
    ensure_same_files(&before, &machine.files()?)?;
    report_ok("install.sh without a key: refused, nothing changed");

    let key = Key::hand_over(&mut machine, &pki)?;
    by_archive(&bundle, &machine, &key, &there)?;
    by_packages(&bundle, &mut machine, &key)?;
    with_somebody_there(&bundle, &machine, &pki)?;
    machine.sh(PURGE)?;
    at_a_terminal(&cluster, &machine, &pki)
}

/// How a machine gets its key.
enum Key {
    /// From its hypervisor.
    Credential,
    /// In a file that the next boot removes: before version 252 systemd takes nothing from a hypervisor.
    File,
}

impl Key {
    const PATH: &str = "/run/master-1.pem";

    fn hand_over(machine: &mut Machine, pki: &Path) -> Result<Self> {
        let key = pki.join("seal/master-1.pem");
        let takes_credentials = "test \"$(systemctl --version | sed -n '1s/systemd \\([0-9]*\\).*/\\1/p')\" -ge 252";
        if machine.try_sh(takes_credentials)?.success() {
            machine.hand_over(Some(&key))?;
            machine.reboot()?;
            return Ok(Self::Credential);
        }
        machine.copy_in(&key, "root")?;
        machine.sh(&format!("mv /root/master-1.pem {}", Self::PATH))?;
        Ok(Self::File)
    }

    fn describe(&self) -> &'static str {
        match self {
            Self::Credential => "the key as a credential of the hypervisor",
            Self::File => "the key in a file, since this systemd takes no credentials of a hypervisor",
        }
    }
}

fn by_archive(bundle: &Bundle, machine: &Machine, key: &Key, there: &str) -> Result<()> {
    let option = match key {
        Key::Credential => String::new(),
        Key::File => format!(" --key {}", Key::PATH),
    };
    machine.sh(&format!("{there}/install.sh{option}"))?;
    bundle.wait_healthy(machine)?;
    let openssl = machine.sh("openssl version")?;
    report_ok(&format!("{}: installed, API server well ({})", key.describe(), openssl.trim()));
    machine.sh("/var/lib/kube-bundle/installed/install.sh --purge")?;
    Ok(())
}

/// The key is still handed over when this begins.
fn by_packages(bundle: &Bundle, machine: &mut Machine, key: &Key) -> Result<()> {
    bundle.copy_packages_to(machine, "one")?;
    let variable = match key {
        Key::Credential => String::new(),
        Key::File => format!("export KUBE_BUNDLE_KEY={}; ", Key::PATH),
    };
    machine.sh(&format!("{variable}{DPKG}"))?;
    bundle.wait_healthy(machine)?;
    report_ok("dpkg -i in the same way: API server well");
    if let Key::Credential = key {
        machine.hand_over(None)?;
    }
    machine.reboot()?;
    bundle.wait_healthy(machine)?;
    wait_units_active(machine)?;
    report_ok("rebooted without the key: everything returned by itself");
    machine.sh(PURGE)?;
    machine.sh("test ! -e /var/lib/kubernetes && ! ls -d /run/kube-bundle.*/ 2>/dev/null")?;
    Ok(())
}

fn with_somebody_there(bundle: &Bundle, machine: &Machine, pki: &Path) -> Result<()> {
    machine.sh(DPKG)?;
    ensure!(!machine.try_sh("kube-bundle-status")?.success(), "it should say that secrets are encrypted yet");
    machine.sh("systemctl is-enabled kube-apiserver.service && exit 1 || test ! -e /var/lib/kubernetes/ca-key.pem")?;
    machine.copy_in(&pki.join("seal/master-1.pem"), "root")?;
    machine.sh("kube-bundle-unseal --key /root/master-1.pem")?;
    bundle.wait_healthy(machine)?;
    report_ok("dpkg -i without a key: configured, units off; kube-bundle-unseal --key: API server well");
    Ok(())
}

/// script(1) gives the installer a terminal, where somebody types the same until they are asked.
fn at_a_terminal(cluster: &Cluster, machine: &Machine, pki: &Path) -> Result<()> {
    // A key is replaced on purpose by who moves it away and deletes its line.
    fs::remove_file(pki.join("seal/master-1.pem"))?;
    let sums = fs::read_to_string(pki.join("SHA256SUMS"))?;
    let others = sums.lines().filter(|line| !line.ends_with("  seal/master-1.pem"));
    fs::write(pki.join("SHA256SUMS"), others.map(|line| format!("{line}\n")).collect::<String>())?;
    cluster.edit("cluster.toml", "seal = \"key\"", "seal = \"passphrase\"")?;
    fs::write(cluster.directory().join("passphrase"), "correct horse battery\n")?;
    let bundle = cluster.build("two", &["--passphrase-file", "passphrase"])?;
    open_for_people(&bundle)?;
    let there = unpack(&bundle, machine, "two")?;
    let typed = |text: &str| {
        format!(
            "while sleep 2; do echo '{text}'; done | script --quiet --return --command {there}/install.sh /dev/null"
        )
    };
    let before = machine.files()?;
    let refused = machine.try_sh(&typed("correct horse batterx"))?;
    ensure!(!refused.success(), "another passphrase opens it: {}", refused.text);
    ensure_same_files(&before, &machine.files()?)?;
    machine.sh(&typed("correct horse battery"))?;
    bundle.wait_healthy(machine)?;
    report_ok("at a terminal: another passphrase changes nothing, the right one installs; API server well");
    Ok(())
}

/// Opens what is for people, as the bundle's sheet says.
pub(super) fn open_for_people(bundle: &Bundle) -> Result<()> {
    let script = "cd \"$1\" && openssl cms -decrypt -inform DER -in operator/secrets.cms -inkey ../pki/seal/recovery.key \
        -out secrets.tar && tar -xf secrets.tar -C operator --strip-components=1 root";
    stdout_of("sh", &["-c", script, "open", &bundle.out.display().to_string()]).map(drop)
}
