//! kube-etcd's commands, killed at any moment.

use anyhow::{Context, Result, ensure};

use super::live::installed;
use crate::e2e::cluster::{Cluster, ETCDCTL};
use crate::e2e::environment::ScenarioContext;
use crate::e2e::machine::Machine;
use crate::e2e::report_ok;

/// How often each command is killed.
const TIMES: u64 = 20;

/// Starts a command and kills it, with all that it started, after a moment that is another one each time. Returns whether it
/// was running then.
fn kill_during(machine: &Machine, command: &str, time: u64, longest: u64) -> Result<bool> {
    // Spreads the moments over the whole duration.
    let milliseconds = (time * 617 + 131) % longest;
    let killed = machine.sh(&format!(
        "setsid {command} >/tmp/killed 2>&1 </dev/null & pid=$!; sleep $(printf '%d.%03d' $(({milliseconds} / 1000)) \
         $(({milliseconds} % 1000))); env kill -KILL -- -$pid 2>/dev/null && echo killed; wait $pid 2>/dev/null; true"
    ))?;
    // Data are whole, or a marker keeps etcd from starting without them, or the cluster knows that they are lost.
    machine.sh("test -d /var/lib/etcd/data/member || test -e /var/lib/etcd/operation")?;
    Ok(killed.trim() == "killed")
}

/// Runs a command to its end; returns how many milliseconds it takes, so that kills come while it runs.
fn duration(machine: &Machine, command: &str) -> Result<u64> {
    let taken =
        machine.sh(&format!("since=$(date +%s%3N); {command} >/dev/null && echo $(($(date +%s%3N) - since))"))?;
    taken.trim().parse().context("milliseconds")
}

/// Fails if too many of the kills came when the command had ended already.
fn report(hits: u32, what: &str) -> Result<()> {
    ensure!(u64::from(hits) * 2 >= TIMES, "only {hits} of {TIMES} kills found the command running");
    report_ok(&format!("{what} ({hits} of {TIMES} kills found it running)"));
    Ok(())
}

pub(super) fn commands(context: &ScenarioContext) -> Result<()> {
    let cluster = Cluster::new(context, 3)?;
    let (_, machines) = installed(context, &cluster)?;
    let last = &machines[2];
    last.sh(&format!("{ETCDCTL} put /kept a >/dev/null"))?;
    let mut hits = 0;
    let longest = duration(last, "kube-etcd backup")?;
    for time in 0..TIMES {
        hits += u32::from(kill_during(last, "kube-etcd backup", time, longest)?);
        last.sh("kube-etcd backup")?;
        last.sh("test -z \"$(ls -A /var/backups/etcd | grep -v '^etcd-master-3-.*Z.db$')\"")?;
    }
    report(hits, "backup killed twenty times: the next one is whole, and nothing is left over")?;
    hits = 0;
    let damage = "systemctl stop etcd; rm -rf /var/lib/etcd/data/member/wal";
    last.sh(damage)?;
    let longest = duration(last, "kube-etcd replace-member --yes")?;
    for time in 0..TIMES {
        last.sh(damage)?;
        hits += u32::from(kill_during(last, "kube-etcd replace-member --yes", time, longest)?);
        last.sh("kube-etcd replace-member --yes")?;
        ensure_kept(last)?;
    }
    report(hits, "replace-member killed twenty times: the next run makes the member whole")?;
    machines.into_iter().try_for_each(Machine::discard)?;

    cluster.discard()?;
    let (_, machines) = installed(context, &Cluster::new(context, 1)?)?;
    let only = &machines[0];
    only.sh(&format!(
        "{ETCDCTL} put /kept a >/dev/null && kube-etcd backup && cp /var/backups/etcd/*.db /root/snapshot"
    ))?;
    hits = 0;
    let longest = duration(only, "kube-etcd restore /root/snapshot --yes --discard roc")?;
    only.wait_until("etcd", 60, &format!("{ETCDCTL} endpoint health"))?;
    for time in 0..TIMES {
        let command = format!("kube-etcd restore /root/snapshot --yes --discard roc --again {}", time + 2);
        hits += u32::from(kill_during(only, &command, time, longest)?);
        only.sh(&command)?;
        only.wait_until("etcd", 60, &format!("{ETCDCTL} endpoint health"))?;
        ensure_kept(only)?;
        only.sh("rm -rf /var/lib/etcd/data.before-restore-*")?;
    }
    report(hits, "restore killed twenty times: the next run completes it, and what was stored is there")
}

fn ensure_kept(machine: &Machine) -> Result<()> {
    let kept = machine.sh(&format!("{ETCDCTL} get --print-value-only /kept"))?;
    ensure!(kept.trim() == "a", "lost: {kept:?}");
    Ok(())
}
