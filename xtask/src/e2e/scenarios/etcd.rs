//! Clusters of etcd that start and grow without a hand.
#![expect(clippy::disallowed_methods, reason = "xtask lets time pass")]

use std::time::Duration;

use anyhow::{Result, ensure};

use super::boot;
use super::tarball::unpack;
use crate::e2e::bundle::Bundle;
use crate::e2e::cluster::{self, Cluster, ETCDCTL, on_all};
use crate::e2e::environment::ScenarioContext;
use crate::e2e::machine::Machine;
use crate::e2e::report_ok;
use crate::e2e::units::wait_units_active;

/// How a machine gets its bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Archive,
    Packages,
    FirstBoot,
}

/// When the machines get it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    AtOnce,
    MinutesApart,
}

/// Longer than any installer waits for its units.
const PAUSE: Duration = Duration::from_secs(100);

pub(super) fn stacked(context: &ScenarioContext) -> Result<()> {
    let cluster = Cluster::new(context, 3)?;
    let bundle = cluster.build_as("tarball,deb,nocloud", "one", &[])?;
    for way in [Way::Archive, Way::Packages, Way::FirstBoot] {
        for when in [When::AtOnce, When::MinutesApart] {
            start(context, &cluster, &bundle, way, when)?;
        }
    }
    Ok(())
}

fn start(context: &ScenarioContext, cluster: &Cluster, bundle: &Bundle, way: Way, when: When) -> Result<()> {
    let mut machines = Vec::new();
    for (name, address) in &cluster.masters {
        machines.push(match way {
            Way::FirstBoot => boot::machine_of(context, bundle, name, address)?,
            Way::Archive | Way::Packages => cluster::boot(context, name, address)?,
        });
    }
    for (index, machine) in machines.iter_mut().enumerate() {
        if when == When::MinutesApart && index > 0 {
            std::thread::sleep(PAUSE);
        }
        if way == Way::FirstBoot {
            machine.boot()?;
        } else if when == When::MinutesApart {
            install(bundle, machine, way, index)?;
        }
    }
    if way != Way::FirstBoot && when == When::AtOnce {
        on_all(&machines, |machine| install(bundle, machine, way, 2))?;
    }
    for machine in &machines {
        if way == Way::FirstBoot {
            boot::ensure_installed(machine)?;
        }
        bundle.wait_healthy(machine)?;
        wait_units_active(machine)?;
        let status = machine.try_sh("kube-etcd status")?;
        ensure!(status.success(), "{}", status.text);
    }
    ensure_ids(&machines[0])?;
    report_ok(&format!("{way:?}, {when:?}: three members and three API servers healthy"));
    machines.into_iter().try_for_each(Machine::discard)
}

/// Installs as the machine `index`, counted from 0, of those that wait for each other.
fn install(bundle: &Bundle, machine: &Machine, way: Way, index: usize) -> Result<()> {
    let outcome = if way == Way::Archive {
        let there = unpack(bundle, machine, "one")?;
        machine.try_sh(&format!("{there}/install.sh"))?
    } else {
        bundle.copy_packages_to(machine, "one")?;
        machine.try_sh("dpkg -i /root/one/*.deb 2>&1")?
    };
    if index > 0 {
        ensure!(outcome.success(), "{}: {}", machine.name, outcome.text);
        return Ok(());
    }
    // Alone, it has no quorum, and says whom it waits for. The packages are configured all the same.
    ensure!(outcome.code == Some(if way == Way::Archive { 75 } else { 0 }), "{:?}: {}", outcome.code, outcome.text);
    for line in ["etcd.service waits for master-2 (10.200.17.6)", "etcd.service waits for master-3 (10.200.16.70)"] {
        ensure!(outcome.text.contains(line), "no {line:?} in {}", outcome.text);
    }
    ensure!(!outcome.text.contains("waits for master-1"), "{}", outcome.text);
    report_ok(&format!(
        "{way:?}: alone, it waits with a bound and names the two that are missing, with their addresses"
    ));
    Ok(())
}

/// IDs follow from the peer URLs and the cluster's name, so those of a new cluster are known: with the guide's token these
/// addresses give the guide's IDs, which a test of kube-etcd holds.
fn ensure_ids(machine: &Machine) -> Result<()> {
    let listed = machine.sh(&format!("{ETCDCTL} member list"))?;
    for (_, address) in cluster::MASTERS {
        let id = machine.sh(&format!("printf %s https://{address}:2380roc | sha1sum | cut -c1-16 | sed 's/^0*//'"))?;
        ensure!(listed.contains(id.trim()), "no {id} in {listed}");
    }
    Ok(())
}

pub(super) fn separate(context: &ScenarioContext) -> Result<()> {
    let cluster = Cluster::with_separate_etcd(context)?;
    let bundle = cluster.build("one", &[])?;
    // Places in the list of machines: two masters, then three members.
    for order in [[0, 3, 1, 2, 4], [4, 2, 3, 1, 0]] {
        let machines = cluster.machines(context)?;
        let mut names = Vec::new();
        for index in order {
            let machine = &machines[index];
            let there = unpack(&bundle, machine, "one")?;
            let outcome = machine.try_sh(&format!("{there}/install.sh --wait 3"))?;
            ensure!(matches!(outcome.code, Some(0 | 75)), "{:?}: {}", outcome.code, outcome.text);
            names.push(machine.name.clone());
        }
        for master in &machines[..2] {
            bundle.wait_healthy(master)?;
            wait_units_active(master)?;
        }
        for member in &machines[2..] {
            member.wait_until("all members", 30, "kube-etcd status")?;
            member.sh("! test -e /usr/local/bin/kube-apiserver && ! test -e /var/lib/kubernetes")?;
        }
        machines[0].sh("! test -e /usr/local/bin/etcd && ! test -e /var/lib/kube-etcd")?;
        report_ok(&format!("{}: all healthy, each with its own role alone", names.join(", ")));
        machines.into_iter().try_for_each(Machine::discard)?;
    }
    Ok(())
}

/// The names and addresses of the two that come later.
const LATER: [(&str, &str); 2] = [("etcd-4", "10.200.18.4"), ("etcd-5", "10.200.18.5")];

pub(super) fn grown(context: &ScenarioContext) -> Result<()> {
    let cluster = Cluster::new(context, 3)?;
    let bundle = cluster.build("one", &[])?;
    let mut machines = cluster.machines(context)?;
    on_all(&machines, |machine| install(&bundle, machine, Way::Archive, 2))?;
    machines[0].sh(&format!("{ETCDCTL} put /kept a >/dev/null"))?;
    let nodes: String = LATER
        .iter()
        .map(|(name, address)| format!("[[nodes]]\nname = \"{name}\"\naddress = \"{address}\"\nroles = [\"etcd\"]\n"))
        .collect();
    cluster.edit(
        "cluster.toml",
        "[[nodes]]\nname = \"master-1\"",
        &format!("{nodes}[[nodes]]\nname = \"master-1\""),
    )?;
    let larger = cluster.build("two", &[])?;
    let mut later = Vec::new();
    for (name, address) in LATER {
        later.push(cluster::boot(context, name, address)?);
    }
    on_all(&later, |machine| install(&larger, machine, Way::Archive, 2))?;
    for machine in &later {
        machine.wait_until("all members", 60, "kube-etcd status")?;
        let kept = machine.sh(&format!("{ETCDCTL} get --print-value-only /kept"))?;
        ensure!(kept.trim() == "a", "{kept}");
    }
    report_ok("two more machines installed at the same moment: five members, and what was stored before is there");
    // The first three learn of them one after another.
    for machine in &machines {
        let there = unpack(&larger, machine, "two")?;
        machine.sh(&format!("{there}/install.sh"))?;
        larger.wait_healthy(machine)?;
    }
    machines.append(&mut later);
    for machine in &machines {
        machine.wait_until("all members", 30, "kube-etcd status")?;
    }
    report_ok("the first three upgraded to the larger bundle, one after another: all five healthy");
    Ok(())
}
