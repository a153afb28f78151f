//! Objects that scenarios store, and a load that goes on storing: through the API, or with stand-ins, which store nothing,
//! as keys of etcd.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::bundle::Bundle;
use super::cluster::ETCDCTL;
use super::environment::ScenarioContext;
use super::machine::Machine;

/// How objects are stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Store {
    real: bool,
}

impl Store {
    pub(super) fn new(context: &ScenarioContext) -> Self {
        Self { real: context.real }
    }

    /// The command that stores an object on a machine.
    fn command(self, machine: &Machine, name: &str) -> String {
        if self.real {
            format!(
                "kubectl --kubeconfig=/root/admin.kubeconfig --server=https://{}:6443 --request-timeout=5s create configmap \
                 {name} -n default --from-literal=a=b",
                machine.address
            )
        } else {
            format!("{ETCDCTL} --command-timeout=5s put /objects/{name} b")
        }
    }

    pub(super) fn put(self, bundle: &Bundle, machine: &Machine, name: &str) -> Result<()> {
        machine.copy_in(&bundle.out.join("operator/admin.kubeconfig"), "root")?;
        machine.sh(&self.command(machine, name)).map(drop)
    }

    /// The names of all objects, as the machine has them; empty if nothing answers.
    fn list(self, bundle: &Bundle, machine: &Machine) -> Result<Vec<String>> {
        let listed = if self.real {
            bundle.kubectl(machine, "get configmaps -n default -o name --request-timeout=10s")?.stdout
        } else {
            machine.try_sh(&format!("{ETCDCTL} --command-timeout=10s get --prefix --keys-only /objects/"))?.stdout
        };
        let last = |line: &str| line.rsplit('/').next().unwrap_or(line).to_owned();
        Ok(listed.lines().filter(|line| !line.is_empty()).map(last).collect())
    }

    pub(super) fn has(self, bundle: &Bundle, machine: &Machine, name: &str) -> Result<bool> {
        Ok(self.list(bundle, machine)?.iter().any(|object| object == name))
    }
}

/// A load that runs on a machine: one object after another, for three minutes at most.
pub(super) struct Load<'a> {
    store: Store,
    machine: &'a Machine,
}

/// What was stored, by the time of each acknowledgement in milliseconds.
pub(super) struct Written {
    store: Store,
    acknowledged: Vec<(String, u64)>,
    end: u64,
}

impl<'a> Load<'a> {
    pub(super) fn start(context: &ScenarioContext, bundle: &Bundle, machine: &'a Machine) -> Result<Self> {
        let store = Store::new(context);
        machine.copy_in(&bundle.out.join("operator/admin.kubeconfig"), "root")?;
        machine.write(
            "root/load.sh",
            &format!(
                "#!/bin/sh\nrm -f /root/acknowledged /root/stop\nend=$(($(date +%s) + 180)) i=0\n\
                 while [ ! -e /root/stop ] && [ \"$(date +%s)\" -lt $end ]; do\ni=$((i + 1))\n\
                 {} >/dev/null 2>&1 && echo \"load-$i $(date +%s%3N)\" >>/root/acknowledged\ndone\n\
                 [ -e /root/stop ] && echo \"end $(date +%s%3N)\" >/root/stopped.new && mv /root/stopped.new /root/stopped\n",
                store.command(machine, "load-$i")
            ),
        )?;
        machine.sh("rm -f /root/stopped; setsid sh /root/load.sh >/dev/null 2>&1 </dev/null &")?;
        machine.wait_until("the first object", 20, "test -s /root/acknowledged")?;
        Ok(Self { store, machine })
    }

    pub(super) fn stop(self) -> Result<Written> {
        self.machine.sh("touch /root/stop")?;
        self.machine.wait_until("the end of the load", 20, "test -e /root/stopped")?;
        // The end counts too: nothing may have been stored for a while before it.
        let lines = self.machine.sh("cat /root/acknowledged /root/stopped")?;
        let line = |line: &str| {
            let (name, time) = line.split_once(' ').context("a name and a time")?;
            Ok((name.to_owned(), time.parse().context("milliseconds")?))
        };
        let mut acknowledged: Vec<(String, u64)> = lines.lines().map(line).collect::<Result<_>>()?;
        let (_, end) = acknowledged.pop().context("the load did not end")?;
        Ok(Written { store: self.store, acknowledged, end })
    }
}

impl Written {
    pub(super) fn len(&self) -> usize {
        self.acknowledged.len()
    }

    /// The longest time between two acknowledgements, or from the last one to the end.
    pub(super) fn longest_gap(&self) -> Duration {
        let times: Vec<_> = self.acknowledged.iter().map(|(_, time)| *time).chain([self.end]).collect();
        let gaps = times.windows(2).map(|pair| pair[1].saturating_sub(pair[0]));
        Duration::from_millis(gaps.max().unwrap_or(0))
    }

    /// Fails unless the machine has every acknowledged object.
    pub(super) fn ensure_there(&self, bundle: &Bundle, machine: &Machine) -> Result<()> {
        let there = self.store.list(bundle, machine)?;
        let lost: Vec<_> =
            self.acknowledged.iter().map(|(name, _)| name).filter(|name| !there.contains(name)).collect();
        ensure!(
            lost.is_empty(),
            "{}: of {} acknowledged objects {} are lost: {lost:?}",
            machine.name,
            self.len(),
            lost.len()
        );
        Ok(())
    }
}
