//! Debian packages that must not be installed, and installations that are interrupted.

use anyhow::{Context, Result, ensure};

use super::deb::{DPKG, INSTALLED_PACKAGES, PURGE, one_master};
use super::tarball::while_listening;
use crate::e2e::bundle::Bundle;
use crate::e2e::cluster::Cluster;
use crate::e2e::environment::ScenarioContext;
use crate::e2e::files::{Listing, ensure_same_files};
use crate::e2e::machine::Machine;
use crate::e2e::report_ok;
use crate::e2e::units::{UNITS, wait_units_active};

pub(super) fn refusals(context: &ScenarioContext) -> Result<()> {
    let cluster = Cluster::new(context, 2)?;
    // Only the first machine is installed, so it is the only member of etcd.
    cluster.edit(
        "cluster.toml",
        "10.200.17.6\"\nroles = [\"etcd\", \"master\"]",
        "10.200.17.6\"\nroles = [\"master\"]",
    )?;
    let bundle = cluster.build("one", &[])?;
    let machines = cluster.machines(context)?;
    let machine = &machines[0];
    bundle.copy_packages_to(machine, "one")?;
    machine.copy_in(&bundle.package("roc-master-2")?, "root/other")?;

    on_a_bare_machine(machine)?;
    after_an_archive(&bundle, machine)?;
    another_node(machine)?;
    not_started(&bundle, machine)
}

fn on_a_bare_machine(machine: &Machine) -> Result<()> {
    let before = machine.files()?;
    let unpacked = "dpkg -l roc-master-1 roc-master-2 | grep -E '^(i|u)[iUFH]'";

    machine.expect_failure(
        "dpkg -i /root/one/kube-bundle-*.deb /root/other/*.deb",
        &[
            "no interface of this machine has the address 10.200.17.6 of master-2",
            "fix: install the bundle of this machine",
        ],
    )?;
    report_ok("another node's package on a bare machine: refused by its address");
    machine.expect_failure(&while_listening(10259, DPKG), &["port 10259 is in use", "fix: stop what listens there"])?;
    report_ok("a port in use: refused");
    files_in_the_way(machine)?;
    // The clock of a container can't be set, so the scripts get a `date` that is wrong.
    machine
        .write("usr/local/bin/date", "#!/bin/sh\n[ \"$*\" != +%s ] || exec echo 1000000000\nexec /bin/date \"$@\"\n")?;
    machine.sh("chmod 755 /usr/local/bin/date")?;
    machine.expect_failure(DPKG, &["this machine's clock says 2001-09-09T01:46:40Z", "fix: set the clock"])?;
    machine.sh("rm /usr/local/bin/date")?;
    report_ok("a clock outside the certificates' window: refused");
    machine.expect_failure(unpacked, &[])?;
    machine.sh(&format!("{PURGE} >/dev/null"))?;
    ensure_same_files(&before, &machine.files()?)?;
    report_ok("after all of that the files of the machine are as before");
    Ok(())
}

fn files_in_the_way(machine: &Machine) -> Result<()> {
    machine.write("var/lib/kubernetes/ca.pem", "somebody's")?;
    machine.expect_failure(
        DPKG,
        &["/var/lib/kubernetes/ca.pem is in the way: no package put it there", "fix: move it away"],
    )?;
    machine.sh("rm -r /var/lib/kubernetes")?;
    machine.sh(&format!("{PURGE} >/dev/null"))?;
    machine.write("usr/bin/kubectl", "somebody's")?;
    machine.expect_failure(DPKG, &["/usr/bin/kubectl is in the way: no package put it there"])?;
    ensure!(machine.sh("cat /usr/bin/kubectl")? == "somebody's", "it was overwritten");
    machine.expect_failure(&format!("systemctl is-active {UNITS}"), &["inactive"])?;
    machine.sh(&format!("rm /usr/bin/kubectl; {PURGE} >/dev/null"))?;
    report_ok("files that no package owns: refused, and left");
    Ok(())
}

/// An archive that is installed keeps packages out, until it is uninstalled.
fn after_an_archive(bundle: &Bundle, machine: &Machine) -> Result<()> {
    machine.copy_in(&bundle.archive("master-1")?, "root")?;
    machine.sh(
        "cd /root && tar -xzf roc-master-1-v1.16.0-amd64.tar.gz && roc-master-1-v1.16.0-amd64/install.sh --no-start",
    )?;
    machine.expect_failure(
        DPKG,
        &["a control plane was installed here from an archive", "install.sh --uninstall first"],
    )?;
    machine.sh("/var/lib/kube-bundle/installed/install.sh --purge")?;
    report_ok("what an archive installed: refused until it is uninstalled");
    Ok(())
}

/// What is installed keeps out the archive, and the packages of another node.
fn another_node(machine: &Machine) -> Result<()> {
    machine.sh(DPKG)?;
    machine.expect_failure(
        "/root/roc-master-1-v1.16.0-amd64/install.sh",
        &["the package roc-master-1 has installed a control plane here"],
    )?;
    machine.sh("ip address add 10.200.17.6/16 dev host0")?;
    machine.expect_failure(
        "dpkg -i /root/other/*.deb",
        &[
            "this machine is master-1 of cluster roc, and roc-master-2 is for master-2 of cluster roc",
            "purge that of master-1",
        ],
    )?;
    machine.expect_failure("apt-get install -y -q /root/other/*.deb", &["this machine is master-1 of cluster roc"])?;
    machine.sh("ip address del 10.200.17.6/16 dev host0")?;
    wait_units_active(machine)?;
    report_ok("another node's package beside this one's, by dpkg and by apt-get: refused, and this one still runs");
    machine.sh(&format!("{PURGE} >/dev/null"))?;
    Ok(())
}

fn not_started(bundle: &Bundle, machine: &Machine) -> Result<()> {
    machine.write("usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n")?;
    machine.sh("chmod 755 /usr/sbin/policy-rc.d")?;
    machine.sh(DPKG)?;
    machine.expect_failure(&format!("systemctl is-active {UNITS}"), &["inactive"])?;
    machine.sh("systemctl is-enabled kube-apiserver && rm /usr/sbin/policy-rc.d")?;
    machine.sh("dpkg -i /root/one/roc-*.deb")?;
    bundle.wait_healthy(machine)?;
    machine.sh(&format!("{PURGE} >/dev/null"))?;
    machine.sh(&format!("KUBE_BUNDLE_START=no {DPKG}"))?;
    machine.expect_failure(&format!("systemctl is-active {UNITS}"), &["inactive"])?;
    report_ok("policy-rc.d and KUBE_BUNDLE_START=no: installed and enabled, not started");
    Ok(())
}

pub(super) fn interrupted(context: &ScenarioContext) -> Result<()> {
    let (_cluster, bundle, machine) = one_master(context)?;
    let before = machine.files()?;
    full_disk(&machine, &before)?;
    damaged_package(&machine, &before)?;
    killed(&machine, &before)?;
    changed_program(&bundle, &machine)
}

fn full_disk(machine: &Machine, before: &Listing) -> Result<()> {
    machine.sh("mkdir -p /root/small && mount -t tmpfs -o size=20m none /root/small && mkdir /root/small/up /root/small/work && mount -t overlay overlay -o lowerdir=/usr/bin,upperdir=/root/small/up,workdir=/root/small/work /usr/bin")?;
    machine.expect_failure(DPKG, &["No space left on device"])?;
    machine.sh("umount --lazy /usr/bin && umount --lazy /root/small && rmdir /root/small")?;
    machine.sh(&format!("dpkg --configure -a >/dev/null 2>&1; {PURGE} >/dev/null"))?;
    ensure_same_files(before, &machine.files()?)?;
    report_ok("a disk that fills up while a program is unpacked: an error, and a purge leaves nothing");
    Ok(())
}

fn damaged_package(machine: &Machine, before: &Listing) -> Result<()> {
    machine.sh("mkdir -p /root/bad && cp -a /root/one/*.deb /root/bad/ && cd /root/bad && size=$(stat -c %s roc-*.deb) && printf X | dd of=$(ls roc-*.deb) bs=1 seek=$((size - 9000)) conv=notrunc status=none")?;
    machine.expect_failure("dpkg -i /root/bad/*.deb", &["roc-master-1"])?;
    machine.expect_failure(&format!("systemctl is-active {UNITS}"), &["inactive"])?;
    machine.sh("test ! -e /var/lib/kubernetes/ca-key.pem")?;
    report_ok("one flipped byte in a package: dpkg takes back what it unpacked, nothing is started");
    machine.sh(&format!("{PURGE} >/dev/null"))?;
    ensure_same_files(before, &machine.files()?)?;
    Ok(())
}

/// Kills apt-get and dpkg after so many milliseconds, from their first second to their last.
fn killed(machine: &Machine, before: &Listing) -> Result<()> {
    for delay in [20, 60, 120, 250, 500, 900, 1400] {
        let seconds = f64::from(delay) / 1000.0;
        machine.try_sh(&format!("(setsid apt-get install -y -q /root/one/*.deb >/dev/null 2>&1 &); sleep {seconds}; pkill -9 apt-get; pkill -9 dpkg; sleep 0.2; true"))?;
        machine.sh(&format!("dpkg --configure -a >/dev/null 2>&1; {DPKG}"))?;
        wait_units_active(machine)?;
        machine.sh(&format!("(dpkg --audit; dpkg --verify {INSTALLED_PACKAGES}) | (! grep .)"))?;
        machine.sh(&format!("{PURGE} >/dev/null"))?;
        ensure_same_files(before, &machine.files()?).with_context(|| format!("killed after {delay} ms"))?;
    }
    report_ok("apt-get and dpkg killed at seven moments: dpkg -i completes it each time, and a purge leaves nothing");
    Ok(())
}

fn changed_program(bundle: &Bundle, machine: &Machine) -> Result<()> {
    machine.sh(DPKG)?;
    machine.sh(
        "systemctl stop kube-scheduler; cp /usr/bin/kube-scheduler /root/saved; echo worm >>/usr/bin/kube-scheduler",
    )?;
    machine.expect_failure(
        "dpkg -i /root/one/roc-*.deb",
        &[
            "/usr/bin/kube-scheduler",
            "these files are not the ones that roc-master-1 was built with",
            "fix: install all packages",
        ],
    )?;
    machine.sh("dpkg -l roc-master-1 | grep -q '^iF'")?;
    machine.sh("cp /root/saved /usr/bin/kube-scheduler && dpkg --configure -a")?;
    machine.sh("systemctl start kube-scheduler")?;
    wait_units_active(machine)?;
    bundle.wait_healthy(machine)?;
    report_ok(
        "a program that is another one: half-configured with the reason, and dpkg --configure -a after the repair",
    );
    Ok(())
}
