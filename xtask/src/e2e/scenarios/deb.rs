//! Debian packages: installed, upgraded and removed with dpkg and apt-get.

use anyhow::{Result, ensure};

use crate::e2e::bundle::Bundle;
use crate::e2e::cluster::{Cluster, ETCDCTL, on_all};
use crate::e2e::environment::ScenarioContext;
use crate::e2e::files::ensure_same_files;
use crate::e2e::machine::Machine;
use crate::e2e::units::{UNITS, invocation_ids, restarted, wait_units_active};
use crate::e2e::{STAND_INS, report_ok, report_skipped};

/// Installs the packages in /root/one.
pub(super) const DPKG: &str = "dpkg -i /root/one/*.deb";
pub(super) const PURGE: &str = "apt-get purge -y -q 'roc-master-*' 'kube-bundle-*'";
/// A shell expression: the names of the bundle's installed packages.
pub(super) const INSTALLED_PACKAGES: &str =
    "$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\\n' 'roc-*' 'kube-bundle-*' | sed -n 's/^ii *//p')";

/// A booted machine, and the bundle's packages in its /root/one.
pub(super) fn one_master(context: &ScenarioContext) -> Result<(Cluster, Bundle, Machine)> {
    let cluster = Cluster::new(context, 1)?;
    let bundle = cluster.build("one", &[])?;
    let machine = cluster.machines(context)?.remove(0);
    bundle.copy_packages_to(&machine, "one")?;
    Ok((cluster, bundle, machine))
}

pub(super) fn three_masters(context: &ScenarioContext) -> Result<()> {
    let cluster = Cluster::new(context, 3)?;
    let bundle = cluster.build("one", &[])?;
    let machines = cluster.machines(context)?;
    let [first, second, third] = &machines[..] else { unreachable!("three masters were asked for") };

    // At the same time, since members of etcd wait for each other.
    on_all(&machines, |machine| {
        if machine.name == second.name {
            return install_from_repository(&bundle, machine);
        }
        bundle.copy_packages_to(machine, "one")?;
        // In the reverse order, the machine's package comes before those that it depends on.
        let by_dpkg = machine.name == first.name;
        let command =
            if by_dpkg { "dpkg -i $(ls -r /root/one/*.deb)" } else { "apt-get install -y -q /root/one/*.deb" };
        machine.sh(command).map(drop)
    })?;
    ensure!(first.sh("dpkg -l 'roc-*' 'kube-bundle-*' | grep -c '^ii'")?.trim() == "6", "not all are configured");
    bundle.wait_healthy(first)?;
    report_ok("dpkg -i, the machine's package before those it depends on: configured, API server well");
    bundle.wait_healthy(second)?;
    report_ok("apt-get install roc-master-2 from the repository in a directory: API server well");
    bundle.wait_healthy(third)?;
    report_ok("apt-get install ./*.deb: API server well");
    upgrade_from_repository(&cluster, second)?;

    for machine in &machines {
        wait_units_active(machine)?;
        ensure_clean(machine)?;
    }
    report_ok(
        "all units active on all three; debsums and dpkg --verify find nothing; keys 0600, none in dpkg's files or a log",
    );
    bundle.wait_healthy(first)?;
    if !context.real {
        report_skipped("the bootstrap objects are there once", STAND_INS);
        return Ok(());
    }
    let roles = bundle.kubectl(first, "get clusterrolebindings -o name")?.stdout;
    for name in ["create-csrs-for-bootstrapping", "auto-approve-csrs-for-group", "auto-approve-renewals-for-nodes"] {
        ensure!(roles.matches(name).count() == 1, "{name} in:\n{roles}");
    }
    report_ok("the bootstrap objects are there once, though three masters applied them");
    Ok(())
}

/// Options of apt-get for the bundle's own repository alone.
const OFFLINE: &str =
    "-o Dir::Etc::sourcelist=/etc/apt/sources.list.d/roc.list -o Dir::Etc::sourceparts=- -o APT::Sandbox::User=root";

fn install_from_repository(bundle: &Bundle, machine: &Machine) -> Result<()> {
    machine.copy_in(&bundle.out.join("deb"), "srv")?;
    machine.write("etc/apt/sources.list.d/roc.list", "deb [trusted=yes] file:/srv/deb ./\n")?;
    let output = machine.sh(&format!("apt-get {OFFLINE} update 2>&1"))?;
    ensure!(!output.contains("Err:") && !output.contains("W:"), "apt-get update complains:\n{output}");
    let policy = machine.sh(&format!("apt-cache {OFFLINE} policy roc-master-2"))?;
    ensure!(policy.contains("Candidate: 1.16.0-1") && policy.contains("file:/srv/deb"), "{policy}");
    machine.sh(&format!("apt-get {OFFLINE} install -y -q roc-master-2"))?;
    machine.sh("apt-get check").map(drop)
}

/// A rebuilt bundle takes the place of the one that was installed.
fn upgrade_from_repository(cluster: &Cluster, machine: &Machine) -> Result<()> {
    cluster.edit_recipe("kube-scheduler.service", "--v=2", "--v=3")?;
    let rebuilt = cluster.build("two", &[])?;
    machine.sh("rm -r /srv/deb")?;
    machine.copy_in(&rebuilt.out.join("deb"), "srv")?;
    machine.sh(&format!("apt-get {OFFLINE} update && apt-get {OFFLINE} upgrade -y -q"))?;
    let version = machine.sh("dpkg-query -W -f '${Version}' roc-master-2")?;
    ensure!(version == "1.16.0-2", "the rebuilt bundle was not installed: {version}");
    rebuilt.wait_healthy(machine)?;
    report_ok("apt-get upgrade with the rebuilt bundle in the same place: 1.16.0-2, API server well");
    Ok(())
}

/// Installed files are those of the packages, and keys can be read by root only.
fn ensure_clean(machine: &Machine) -> Result<()> {
    machine
        .sh(&format!("debsums --changed {INSTALLED_PACKAGES} && dpkg --verify {INSTALLED_PACKAGES} | (! grep .)"))?;
    machine.sh("test \"$(stat -c '%a %U:%G' /var/lib/kubernetes)\" = '700 root:root'")?;
    machine.sh(
        "test -z \"$(find /var/lib/kubernetes -name '*key*.pem' ! -perm 600 -o -name '*.kubeconfig' ! -perm 600)\"",
    )?;
    machine.sh("! grep -rl 'PRIVATE KEY' /var/lib/dpkg /var/log /var/cache/debconf 2>/dev/null | grep .").map(drop)
}

pub(super) fn upgrade(context: &ScenarioContext) -> Result<()> {
    let (cluster, bundle, machine) = one_master(context)?;
    machine.sh(DPKG)?;
    wait_units_active(&machine)?;
    install(&machine, DPKG, "")?;
    report_ok("the same packages again: nothing restarts");

    changed_flag(&cluster, &machine)?;

    cluster.run_kube_bundle(&["pki", "renew", "kube-controller-manager"])?;
    let renewed = cluster.build("three", &[])?;
    renewed.copy_packages_to(&machine, "three")?;
    install(&machine, "apt-get install -y -q /root/three/*.deb", "kube-controller-manager kube-scheduler")?;
    bundle.wait_healthy(&machine)?;
    report_ok("a renewed certificate and the flag again, by apt-get: the two that they belong to restarted");

    another_version(&cluster, &machine)?;

    machine.sh("systemctl stop kube-scheduler && systemctl disable kube-controller-manager 2>/dev/null")?;
    machine.sh("dpkg -i /root/two/*.deb")?;
    let active = machine.try_sh("systemctl is-active kube-scheduler")?.stdout;
    ensure!(active.trim() == "inactive", "a stopped unit was started");
    let enabled = machine.try_sh("systemctl is-enabled kube-controller-manager")?.stdout;
    ensure!(enabled.trim() == "disabled", "a disabled unit was enabled");
    report_ok("a unit that was stopped, and one that was disabled, by hand stay so through a downgrade to 1.16.0-2");
    Ok(())
}

/// Runs a command that installs packages, and fails unless it restarts the units of `expected`. Returns its output.
fn install(machine: &Machine, command: &str, expected: &str) -> Result<String> {
    let before = invocation_ids(machine, UNITS)?;
    let output = machine.sh(&format!("{command} 2>&1"))?;
    wait_units_active(machine)?;
    let restarted = restarted(&before, &invocation_ids(machine, UNITS)?);
    ensure!(restarted == expected, "`{command}` restarted {restarted:?}, expected {expected:?}");
    Ok(output)
}

/// Upgrades to packages with a changed flag, and goes back.
fn changed_flag(cluster: &Cluster, machine: &Machine) -> Result<()> {
    cluster.edit_recipe("kube-scheduler.service", "--v=2", "--v=3")?;
    let changed = cluster.build("two", &[])?;
    changed.copy_packages_to(machine, "two")?;
    install(machine, "dpkg -i /root/two/*.deb", "kube-scheduler")?;
    ensure!(machine.sh("dpkg-query -W -f '${Version}' roc-master-1")? == "1.16.0-2", "the revision did not grow");
    machine.sh(
        "tr '\\0' ' ' </proc/$(systemctl show --property=MainPID --value kube-scheduler)/cmdline | grep -q -- --v=3",
    )?;
    report_ok("a changed flag: version 1.16.0-1 became 1.16.0-2, kube-scheduler alone restarted and has the flag");

    let output = install(machine, DPKG, "kube-scheduler")?;
    ensure!(output.contains("downgrading roc-master-1"), "{output}");
    report_ok("downgrade: kube-scheduler alone restarted");
    Ok(())
}

fn another_version(cluster: &Cluster, machine: &Machine) -> Result<()> {
    cluster.set_version("kubernetes", "1.16.0", "1.16.15")?;
    let release = cluster.build("four", &[])?;
    release.copy_packages_to(machine, "four")?;
    install(machine, "dpkg -i /root/four/*.deb", "")?;
    let versions = machine.sh(&format!("dpkg-query -W -f '${{Version}} ' {INSTALLED_PACKAGES}"))?;
    ensure!(versions.ends_with("-2 1.16.15-2 1.16.15-2 1.16.15-2 1.16.15-2 1.16.15-4 "), "{versions}");
    report_ok("another recipe version (the same programs): versions grow to 1.16.15-*, nothing restarts");
    Ok(())
}

pub(super) fn removal(context: &ScenarioContext) -> Result<()> {
    let (_cluster, bundle, mut machine) = one_master(context)?;
    let before = machine.files()?;
    let units = machine.sh("systemctl list-unit-files --no-legend | sort")?;
    machine.sh(DPKG)?;
    bundle.wait_healthy(&machine)?;
    wait_units_active(&machine)?;
    machine.sh(&format!("{ETCDCTL} put /kept a >/dev/null"))?;

    machine.sh("apt-get remove -y -q roc-master-1")?;
    machine.expect_failure(&format!("systemctl is-active {UNITS}"), &["inactive"])?;
    machine.sh("test -e /etc/kubernetes/config/audit-policy.yaml && test ! -e /var/lib/kubernetes")?;
    report_ok("remove: units stopped, keys gone, conffiles stay");
    machine.sh(DPKG)?;
    bundle.wait_healthy(&machine)?;
    report_ok("installed again after a removal: up again");

    machine.write("var/log/kubernetes/mine", "a person's")?;
    let output = machine.sh(&format!("{PURGE} 2>&1"))?;
    ensure!(output.contains("Kept: /var/log/kubernetes"), "{output}");
    ensure!(output.contains("Kept: /var/lib/etcd, which holds data"), "{output}");
    machine.sh("rm -r /var/log/kubernetes")?;
    ensure_same_files(&before, &machine.files()?)?;
    ensure!(units == machine.sh("systemctl list-unit-files --no-legend | sort")?, "other units than before");
    machine.sh("dpkg -l | (! grep -E 'kube-bundle|roc-')")?;
    report_ok("purge: every file, mode, owner and unit as before; what a person put among the logs stayed");
    machine.sh(DPKG)?;
    bundle.wait_healthy(&machine)?;
    let kept = machine.sh(&format!("{ETCDCTL} get --keys-only /kept"))?;
    ensure!(kept.contains("/kept"), "etcd lost it: {kept}");
    report_ok("installed again after the purge: etcd still has what was stored");
    machine.reboot()?;
    bundle.wait_healthy(&machine)?;
    wait_units_active(&machine)?;
    report_ok("installed again, rebooted: the object is there, everything returned by itself");
    Ok(())
}
