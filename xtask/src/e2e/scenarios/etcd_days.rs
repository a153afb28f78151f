//! The bad days of etcd: members that are lost, a quorum that is lost, and upgrades.
#![expect(clippy::disallowed_methods, reason = "xtask copies files and lets time pass")]

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::live::installed;
use super::tarball::unpack;
use crate::e2e::bundle::Bundle;
use crate::e2e::cluster::{Cluster, ETCDCTL, on_all};
use crate::e2e::environment::ScenarioContext;
use crate::e2e::files::ensure_same_files;
use crate::e2e::load::{Load, Store};
use crate::e2e::machine::Machine;
use crate::e2e::report_ok;
use crate::e2e::units::wait_units_active;

/// Fails unless every machine's API server and all members are healthy.
fn ensure_whole(bundle: &Bundle, machines: &[Machine]) -> Result<()> {
    for machine in machines {
        bundle.wait_healthy(machine)?;
        wait_units_active(machine)?;
        machine.wait_until("all members", 60, "kube-etcd status")?;
    }
    Ok(())
}

pub(super) fn loss(context: &ScenarioContext) -> Result<()> {
    let cluster = Cluster::new(context, 3)?;
    let (bundle, mut machines) = installed(context, &cluster)?;
    ensure_whole(&bundle, &machines)?;
    // The member that leads is the hardest to lose.
    let leads = machines[0].sh("kube-etcd status | awk '$4 == \"leader\" { print $1 }'")?;
    let index = machines.iter().position(|machine| machine.name == leads.trim()).context("no leader")?;
    let mut lost = machines.remove(index);
    let load = Load::start(context, &bundle, &machines[0])?;
    std::thread::sleep(Duration::from_secs(5));
    lost.power_off()?;
    std::thread::sleep(Duration::from_secs(15));
    let written = load.stop()?;
    written.ensure_there(&bundle, &machines[1])?;
    let gap = written.longest_gap();
    ensure!(gap < Duration::from_secs(10), "for {gap:?} nothing was stored");
    report_ok(&format!(
        "{} powered off, which led, under load: all {} acknowledged objects are there; the longest gap was {:.1} s",
        lost.name,
        written.len(),
        gap.as_secs_f64()
    ));
    lost.boot()?;
    machines.push(lost);
    ensure_whole(&bundle, &machines)?;
    written.ensure_there(&bundle, &machines[2])?;
    report_ok("powered on again: it caught up, and its API server has all of them");

    let lost = machines.remove(2).wipe(context)?;
    let there = unpack(&bundle, &lost, "one")?;
    lost.expect_failure(&format!("{there}/install.sh --wait 15"), &["etcd.service is not up"])?;
    lost.wait_until("its reason", 30, "journalctl --unit=etcd | grep -q 'kube-etcd replace-member'")?;
    lost.expect_failure("kube-etcd replace-member", &["add --yes"])?;
    lost.sh("kube-etcd replace-member --yes")?;
    machines.push(lost);
    ensure_whole(&bundle, &machines)?;
    written.ensure_there(&bundle, &machines[2])?;
    report_ok("its disk wiped and installed again: etcd refuses to start, and says why; replace-member makes it whole");
    Ok(())
}

pub(super) fn restore(context: &ScenarioContext) -> Result<()> {
    let cluster = Cluster::new(context, 3)?;
    let (bundle, mut machines) = installed(context, &cluster)?;
    ensure_whole(&bundle, &machines)?;
    let store = Store::new(context);
    store.put(&bundle, &machines[0], "early")?;
    // What the timer starts.
    machines[1].sh("systemctl is-active kube-etcd-backup.timer && systemctl start kube-etcd-backup.service")?;
    let newest = machines[1].sh("ls /var/backups/etcd/*.db | tail -n 1")?;
    let snapshot = context.work.join("snapshot.db");
    fs::copy(machines[1].path(newest.trim().trim_start_matches('/')), &snapshot)
        .context("could not copy a snapshot")?;
    store.put(&bundle, &machines[0], "late")?;

    for _ in 0..2 {
        let wiped = machines.remove(1).wipe(context)?;
        let there = unpack(&bundle, &wiped, "one")?;
        wiped.sh(&format!("{there}/install.sh --no-start"))?;
        machines.push(wiped);
    }
    ensure!(!store.has(&bundle, &machines[0], "early")?, "there is a quorum still");
    report_ok("two disks wiped: no quorum, nothing answers");
    for machine in &machines {
        machine.copy_in(&snapshot, "root")?;
        machine.expect_failure("kube-etcd restore /root/snapshot.db", &["is lost.", "add --yes"])?;
        let output = machine.sh("kube-etcd restore /root/snapshot.db --yes")?;
        ensure!(output.contains("What the cluster roc has stored after that is lost."), "{output}");
    }
    ensure_whole(&bundle, &machines)?;
    for machine in &machines {
        ensure!(store.has(&bundle, machine, "early")?, "{}: the snapshot's object is not there", machine.name);
        ensure!(!store.has(&bundle, machine, "late")?, "{}: what came later is there", machine.name);
    }
    report_ok("restored on all three from the same file: what the snapshot has is there, what came later is gone");
    machines[0].expect_failure(
        "kube-etcd restore /root/snapshot.db --yes --again 2",
        &["a quorum of the cluster roc still works", "add --discard roc"],
    )?;
    report_ok("a restore while the cluster works: refused without its exact words");
    Ok(())
}

/// The components with an earlier etcd, and what that is.
fn with_earlier_etcd(context: &ScenarioContext) -> Result<(PathBuf, String)> {
    let directory = context.work.join("earlier");
    fs::create_dir_all(&directory).context("could not make a directory")?;
    for entry in fs::read_dir(&context.binaries).context("could not list the components")?.flatten() {
        fs::copy(entry.path(), directory.join(entry.file_name())).context("could not copy a component")?;
    }
    let Some(earlier) = &context.previous_etcd else {
        let mut bytes = fs::read(directory.join("etcd")).context("could not read etcd")?;
        bytes.push(0);
        fs::write(directory.join("etcd"), bytes).context("could not write etcd")?;
        return Ok((
            directory,
            "the same version with other bytes; --previous-etcd DIR names another version".to_owned(),
        ));
    };
    for name in ["etcd", "etcdctl"] {
        fs::copy(earlier.join(name), directory.join(name)).context("could not copy an earlier etcd")?;
    }
    Ok((directory, "another version".to_owned()))
}

pub(super) fn upgrade(context: &ScenarioContext) -> Result<()> {
    let mut cluster = Cluster::new(context, 3)?;
    let (earlier, what) = with_earlier_etcd(context)?;
    cluster.use_binaries(&earlier)?;
    let (bundle, machines) = installed(context, &cluster)?;
    ensure_whole(&bundle, &machines)?;
    let from = running_version(&machines[0])?;

    cluster.use_binaries(&context.binaries)?;
    let newer = cluster.build("two", &[])?;
    let load = Load::start(context, &bundle, &machines[2])?;
    for machine in &machines {
        let there = unpack(&newer, machine, "two")?;
        let output = machine.sh(&format!("{there}/install.sh 2>&1"))?;
        ensure!(
            output.contains("Backup: /var/backups/etcd/") && output.contains("Restarting etcd.service"),
            "{output}"
        );
        machine.wait_until("all members", 30, "kube-etcd status")?;
    }
    let written = load.stop()?;
    written.ensure_there(&newer, &machines[0])?;
    let gap = written.longest_gap();
    // The third machine's own API server restarts its connections when its member does; an election takes 1 to 2 seconds.
    ensure!(gap < Duration::from_secs(5), "for {gap:?} nothing was stored");
    let to = running_version(&machines[0])?;
    report_ok(&format!(
        "etcd {from} to {to} ({what}), one member after another, a snapshot before each: {} objects, none lost, longest gap {:.1} s",
        written.len(),
        gap.as_secs_f64()
    ));
    ensure_whole(&newer, &machines)?;
    let changed = unhealthy_peer(&cluster, &machines)?;
    machines.into_iter().try_for_each(Machine::discard)?;
    unhealthy_peer_of_packages(context, &cluster, &newer, &changed)
}

fn running_version(machine: &Machine) -> Result<String> {
    let answer = machine.sh(&format!("{ETCDCTL} endpoint status --write-out=simple | cut -d, -f3"))?;
    Ok(answer.trim().to_owned())
}

/// An upgrade that would restart etcd is refused while another member is down.
fn unhealthy_peer(cluster: &Cluster, machines: &[Machine]) -> Result<Bundle> {
    cluster.edit_recipe("etcd.service", "--quota-backend-bytes=8589934592", "--quota-backend-bytes=4294967296")?;
    let changed = cluster.build("three", &[])?;
    machines[2].sh("systemctl stop etcd")?;
    let there = unpack(&changed, &machines[0], "three")?;
    // What runs goes on writing its log.
    let files = || -> Result<_> {
        let mut files = machines[0].files()?;
        files.retain(|path, _| !path.starts_with("var/log/"));
        Ok(files)
    };
    let before = files()?;
    for way in ["--dry-run", "--wait 30"] {
        machines[0].expect_failure(
            &format!("{there}/install.sh {way}"),
            &["error: not healthy: master-3 (10.200.16.70)", "or add --force", "Nothing was changed."],
        )?;
    }
    ensure_same_files(&before, &files()?)?;
    report_ok("another member is down: install.sh refuses to restart etcd, names it, and changes nothing");
    machines[0].sh(&format!("{there}/install.sh --force"))?;
    machines[2].sh("systemctl start etcd")?;
    ensure_whole(&changed, machines)?;
    report_ok("--force does it all the same");
    Ok(changed)
}

/// Packages are unpacked by then, so dpkg leaves the machine's one half-configured, and etcd as it runs.
fn unhealthy_peer_of_packages(
    context: &ScenarioContext,
    cluster: &Cluster,
    one: &Bundle,
    changed: &Bundle,
) -> Result<()> {
    let machines = cluster.machines(context)?;
    on_all(&machines, |machine| {
        one.copy_packages_to(machine, "one")?;
        machine.sh("dpkg -i /root/one/*.deb").map(drop)
    })?;
    ensure_whole(one, &machines)?;
    machines[2].sh("systemctl stop etcd")?;
    changed.copy_packages_to(&machines[0], "two")?;
    let runs = || machines[0].sh("systemctl show --property=InvocationID etcd");
    let before = runs()?;
    machines[0].expect_failure(
        "dpkg -i /root/two/*.deb",
        &[
            "error: not healthy: master-3 (10.200.16.70)",
            "roc-master-1 runs with its old files yet; nothing was restarted",
            "dpkg --configure -a",
        ],
    )?;
    ensure!(runs()? == before, "etcd was restarted");
    machines[2].sh("systemctl start etcd")?;
    machines[2].wait_until("all members", 30, "kube-etcd status")?;
    let output = machines[0].sh("dpkg --configure -a")?;
    ensure!(output.contains("Backup: /var/backups/etcd/") && runs()? != before, "{output}");
    ensure_whole(changed, &machines)?;
    report_ok("dpkg refuses likewise, and restarts nothing; with the member back, dpkg --configure -a completes it");
    Ok(())
}
