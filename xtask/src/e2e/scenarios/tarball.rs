//! Archives: installed, upgraded and uninstalled with install.sh.

use anyhow::{Context, Result, ensure};

use crate::e2e::bundle::Bundle;
use crate::e2e::cluster::{Cluster, ETCDCTL, on_all};
use crate::e2e::environment::ScenarioContext;
use crate::e2e::files::ensure_same_files;
use crate::e2e::machine::Machine;
use crate::e2e::units::{UNITS, invocation_ids, restarted, wait_units_active, wait_well};
use crate::e2e::{STAND_INS, report_ok, report_skipped};

/// Copies a machine's archive to its directory `/root/BELOW` and unpacks it there; returns the directory of install.sh.
pub(super) fn unpack(bundle: &Bundle, machine: &Machine, below: &str) -> Result<String> {
    let archive = bundle.archive(&machine.name)?;
    machine.copy_in(&archive, &format!("root/{below}"))?;
    let file = archive.file_name().context("an archive has a name")?.to_string_lossy().into_owned();
    machine.sh(&format!("cd /root/{below} && tar -xzf {file}"))?;
    Ok(format!("/root/{below}/{}", file.trim_end_matches(".tar.gz")))
}

pub(super) fn one_master(context: &ScenarioContext) -> Result<()> {
    let cluster = Cluster::new(context, 1)?;
    let bundle = cluster.build("one", &[])?;
    let mut machine = cluster.machines(context)?.remove(0);
    let before = machine.files()?;
    let units = machine.sh("systemctl list-unit-files --no-legend | sort")?;
    let there = unpack(&bundle, &machine, "one")?;

    machine.sh(&format!("cd {there} && ./install.sh --dry-run"))?;
    ensure_same_files(&before, &machine.files()?)?;
    let output = machine.sh(&format!("cd {there} && ./install.sh"))?;
    ensure!(output.contains("Up: etcd.service kube-etcd-backup.timer kube-apiserver.service"), "{output}");
    bundle.wait_healthy(&machine)?;
    report_ok("tar -x and ./install.sh: exit 0, API server well; --dry-run changed nothing");
    let first = invocation_ids(&machine, UNITS)?;
    let output = machine.sh(&format!("{there}/install.sh"))?;
    ensure!(
        output.contains("no file changed") && restarted(&first, &invocation_ids(&machine, UNITS)?).is_empty(),
        "{output}"
    );
    report_ok("again: no file changed, nothing restarted");
    wait_well(&machine)?;
    report_ok("--status: all is well");

    machine.sh(&format!("{ETCDCTL} put /registry/configmaps/default/kept a >/dev/null"))?;
    let output = machine.sh("/var/lib/kube-bundle/installed/install.sh --uninstall")?;
    ensure!(output.contains("Kept: /var/lib/etcd, which holds data"), "{output}");
    machine.sh("test ! -e /var/lib/kube-etcd && test -d /var/lib/etcd/data/member")?;
    machine.sh(&format!("{there}/install.sh"))?;
    let kept = machine.sh(&format!("{ETCDCTL} get --prefix --keys-only /registry/configmaps/default"))?;
    ensure!(kept.contains("/registry/configmaps/default/kept"), "etcd lost it: {kept}");
    report_ok("--uninstall and installed again: etcd still has what was stored");
    machine.sh("/var/lib/kube-bundle/installed/install.sh --purge")?;
    ensure_same_files(&before, &machine.files()?)?;
    machine.sh("test ! -e /var/lib/etcd && test ! -e /var/backups/etcd")?;
    ensure!(units == machine.sh("systemctl list-unit-files --no-legend | sort")?, "other units than before");
    report_ok("--purge: every file, mode, owner and unit as before, and no data; the system user etcd stays");
    machine.sh(&format!("{there}/install.sh"))?;
    machine.reboot()?;
    bundle.wait_healthy(&machine)?;
    wait_units_active(&machine)?;
    report_ok("installed again and rebooted: everything returned by itself");
    Ok(())
}

pub(super) fn three_masters(context: &ScenarioContext) -> Result<()> {
    let cluster = Cluster::new(context, 3)?;
    let bundle = cluster.build("one", &[])?;
    let machines = cluster.machines(context)?;
    on_all(&machines, |machine| {
        let there = unpack(&bundle, machine, "one")?;
        machine.sh(&format!("{there}/install.sh")).map(drop)
    })?;
    for machine in &machines {
        bundle.wait_healthy(machine)?;
        wait_units_active(machine)?;
    }
    report_ok("three archives on three machines: all API servers well, all units stay up");
    if !context.real {
        report_skipped(
            "the bootstrap objects; a write through one master read through another; a kubelet's certificate",
            STAND_INS,
        );
        return Ok(());
    }
    ensure_objects_are_there_once(&bundle, &machines)?;
    report_ok("each of the guide's objects is there once, though three masters applied them; one token");
    let [first, second, third] = &machines[..] else { unreachable!("three masters were asked for") };
    ensure!(bundle.kubectl(first, "create configmap -n default seen --from-literal=a=b")?.success(), "no write");
    for other in [second, third] {
        ensure!(bundle.kubectl(other, "get configmap -n default seen -o jsonpath={.data.a}")?.stdout == "b", "no read");
    }
    report_ok("a write through one master is read through the others");
    let subject = bundle.kubelet_certificate(first, "worker-1")?;
    ensure!(subject.contains("O = system:nodes") && subject.contains("CN = system:node:worker-1"), "{subject}");
    report_ok("a request with bootstrap-kubeconfig: approved and issued, O=system:nodes CN=system:node:worker-1");
    Ok(())
}

/// Fails unless the guide's roles, bindings and the bootstrap token are there, each of them once.
fn ensure_objects_are_there_once(bundle: &Bundle, machines: &[Machine]) -> Result<()> {
    for machine in machines {
        machine.wait_until(
            "its bootstrap",
            60,
            "systemctl show --property=SubState kube-bootstrap | grep -q exited",
        )?;
    }
    let first = &machines[0];
    let listed = bundle.kubectl(first, "get clusterroles,clusterrolebindings -o name")?.stdout;
    for name in [
        "clusterrole.rbac.authorization.k8s.io/system:kube-apiserver-to-kubelet",
        "clusterrolebinding.rbac.authorization.k8s.io/system:kube-apiserver",
        "clusterrolebinding.rbac.authorization.k8s.io/create-csrs-for-bootstrapping",
        "clusterrolebinding.rbac.authorization.k8s.io/auto-approve-csrs-for-group",
        "clusterrolebinding.rbac.authorization.k8s.io/auto-approve-renewals-for-nodes",
    ] {
        ensure!(listed.lines().filter(|line| *line == name).count() == 1, "{name} in:\n{listed}");
    }
    let secrets = bundle.kubectl(first, "get secrets -n kube-system -o name")?.stdout;
    ensure!(secrets.matches("secret/bootstrap-token-").count() == 1, "{secrets}");
    Ok(())
}

pub(super) fn upgrade(context: &ScenarioContext) -> Result<()> {
    let cluster = Cluster::new(context, 1)?;
    let bundle = cluster.build("one", &[])?;
    let machine = cluster.machines(context)?.remove(0);
    let one = unpack(&bundle, &machine, "one")?;
    machine.sh(&format!("{one}/install.sh"))?;
    wait_units_active(&machine)?;
    machine.sh(&format!("{ETCDCTL} put /registry/configmaps/default/kept a >/dev/null"))?;
    let install = |directory: &str, expected: &str| -> Result<()> {
        let before = invocation_ids(&machine, UNITS)?;
        machine.sh(&format!("{directory}/install.sh"))?;
        wait_units_active(&machine)?;
        let restarted = restarted(&before, &invocation_ids(&machine, UNITS)?);
        ensure!(restarted == expected, "restarted: {restarted}");
        bundle.wait_healthy(&machine)
    };

    cluster.edit_recipe("kube-scheduler.service", "--v=2", "--v=3")?;
    let two = unpack(&cluster.build("two", &[])?, &machine, "two")?;
    install(&two, "kube-scheduler")?;
    machine.sh(
        "tr '\\0' ' ' </proc/$(systemctl show --property=MainPID --value kube-scheduler)/cmdline | grep -q -- --v=3",
    )?;
    report_ok("a changed flag: kube-scheduler alone restarted, and runs with it");
    cluster.run_kube_bundle(&["pki", "renew", "kube-controller-manager"])?;
    let three = unpack(&cluster.build("three", &[])?, &machine, "three")?;
    install(&three, "kube-controller-manager")?;
    report_ok("a renewed certificate: kube-controller-manager alone restarted");
    cluster.set_version("kubernetes", "1.16.0", "1.16.15")?;
    let release = cluster.build("four", &[])?;
    let four = unpack(&release, &machine, "four")?;
    install(&four, "")?;
    ensure!(
        machine.sh("grep version= /var/lib/kube-bundle/installed/bundle.conf")?.contains("v1.16.15"),
        "not recorded"
    );
    report_ok("another recipe version (the same programs): recorded, nothing restarted");
    install(&one, "kube-controller-manager kube-scheduler")?;
    report_ok("back to the first bundle: the two that differ restarted");
    let kept = machine.sh(&format!("{ETCDCTL} get --prefix --keys-only /registry/configmaps/default"))?;
    ensure!(kept.contains("/registry/configmaps/default/kept"), "etcd lost it: {kept}");
    report_ok("etcd has what was stored before the first of them");
    Ok(())
}

/// A script that runs `command` while another program listens on `port`.
pub(super) fn while_listening(port: u16, command: &str) -> String {
    let listen = "use IO::Socket; my $s = IO::Socket::INET->new(LocalAddr => shift, Listen => 1) or die; sleep 60";
    format!(
        "perl -e '{listen}' 127.0.0.1:{port} & for i in 1 2 3 4 5 6 7 8 9; do ss -Hltn | grep -q :{port} && break; sleep 1; done
        {command}; code=$?; kill $!; exit $code"
    )
}

pub(super) fn refusals(context: &ScenarioContext) -> Result<()> {
    let cluster = Cluster::new(context, 1)?;
    let bundle = cluster.build("one", &[])?;
    let machine = cluster.machines(context)?.remove(0);
    let there = unpack(&bundle, &machine, "one")?;
    let before = machine.files()?;
    let unchanged = || ensure_same_files(&before, &machine.files()?);

    machine.sh(&format!("cp -a {there} /root/flipped && printf X | dd of=/root/flipped/root/usr/local/bin/kubectl bs=1 seek=5000 conv=notrunc status=none"))?;
    machine.expect_failure(
        "/root/flipped/install.sh",
        &["root/usr/local/bin/kubectl: changed", "fix: copy the archive again", "Nothing was changed."],
    )?;
    unchanged()?;
    report_ok("one flipped byte: refused, nothing changed");
    machine.expect_failure(
        &format!("mount -t tmpfs -o size=20m,mode=755 none /usr/local/bin; {there}/install.sh; code=$?; umount /usr/local/bin; exit $code"),
        &["MB are needed", "fix: make room there", "Nothing was changed."],
    )?;
    unchanged()?;
    report_ok("too small a disk: refused, nothing changed");
    machine
        .write("root/date", "#!/bin/sh\n[ \"$*\" != +%s ] || exec echo 1000000000\nexec /root/date.real \"$@\"\n")?;
    // install.sh sets its own PATH, so the one in its place is replaced.
    machine.sh("chmod 755 /root/date; cp /usr/bin/date /root/date.real; mount --bind /root/date /usr/bin/date")?;
    machine.expect_failure(
        &format!("{there}/install.sh"),
        &["this machine's clock says 2001-09-09T01:46:40Z", "fix: set the clock"],
    )?;
    machine.sh("umount /usr/bin/date; rm /root/date /root/date.real")?;
    unchanged()?;
    report_ok("a clock outside the certificates' window: refused, nothing changed");
    machine.expect_failure(
        &while_listening(10257, &format!("{there}/install.sh")),
        &["port 10257 is in use", "fix: stop what listens there"],
    )?;
    unchanged()?;
    report_ok("a port in use: refused, nothing changed");
    Ok(())
}
