//! A worker that joins a cluster later, and leaves it again.

use anyhow::{Context as _, Result, ensure};

use super::whole::{Running, ensure_nothing_is_left, install, network_plugins};
use crate::e2e::cluster::{Cluster, MASTERS, WORKERS, boot, boot_with_pods, on_all};
use crate::e2e::environment::ScenarioContext;
use crate::e2e::machine::Machine;
use crate::e2e::units::{invocation_ids, restarted};
use crate::e2e::{report_ok, report_skipped};

/// The units of machines with the roles etcd, master and worker; a machine has some of them.
const UNITS: &str = "etcd kube-apiserver kube-controller-manager kube-scheduler kube-bootstrap coredns containerd \
                     kubelet kube-proxy kube-api-gateway flanneld kube-routes.timer";

pub(super) fn grown(context: &ScenarioContext) -> Result<()> {
    if let Some(reason) = context.lacks_pods() {
        report_skipped("a worker that joins and leaves", reason);
        return Ok(());
    }
    network_plugins(context).iter().try_for_each(|plugin| grown_with(context, plugin))
}

fn grown_with(context: &ScenarioContext, plugin: &str) -> Result<()> {
    let affected = if plugin == "routes" { "kube-routes.timer" } else { "" };
    let (name, address) = WORKERS[1];
    let joining = format!("[[nodes]]\nname = \"{name}\"\naddress = \"{address}\"\nroles = [\"worker\"]\n");
    let cluster = Cluster::with_workers(context, 1)?;
    cluster.use_network_plugin(plugin)?;
    cluster.edit("cluster.toml", &joining, "")?;
    let machines = [boot(context, MASTERS[0].0, MASTERS[0].1)?, boot_with_pods(context, WORKERS[0].0, WORKERS[0].1)?];
    let bundle = cluster.build("one", &[])?;
    on_all(&machines, |machine| install(&bundle, machine))?;
    let running = Running { bundle: &bundle, master: &machines[0] };
    running.wait_ready(1, 60)?;
    let (first, _) = running.start_app(1)?.remove(0);
    let before = state_of(&running, &machines[1], &first)?;

    cluster.edit("cluster.toml", "[network]", &format!("{joining}[network]"))?;
    let bundle = cluster.build("two", &[])?;
    let joined = boot_with_pods(context, name, address)?;
    install(&bundle, &joined)?;
    let running = Running { bundle: &bundle, master: &machines[0] };
    running.wait_ready(2, 60)?;
    let pods = running.start_app(2)?;
    let (pod, address) = pods.iter().find(|(pod, _)| *pod != first).context("there is no second pod")?;
    let api = format!("exec {pod} -- sh -c 'nc -w 2 10.32.0.1 443 </dev/null && echo reached'");
    running.wait_for("the API server from its pod", 30, &api, |said| said.contains("reached"))?;
    report_ok(&format!(
        "{plugin}: a worker joins by its own bundle alone, and runs a pod, which reaches the API server"
    ));
    if plugin == "flannel" {
        running.get_from(&first, address, 8080)?;
        report_ok("pods reach each other at once");
    }
    install_on_others(&running, &machines, affected)?;
    running.get_from(&first, address, 8080)?;
    ensure!(state_of(&running, &machines[1], &first)? == before, "the first pod or its node's range changed");
    report_ok("the others have the new bundle: pods reach each other, the first pod and its node's range stayed");

    running.kubectl(&format!("drain {name} --ignore-daemonsets --force"))?;
    running.kubectl(&format!("delete node {name}"))?;
    joined.sh("/var/lib/kube-bundle/installed/install.sh --uninstall")?;
    ensure_nothing_is_left(&joined)?;
    cluster.edit("cluster.toml", &joining, "")?;
    let bundle = cluster.build("three", &[])?;
    let running = Running { bundle: &bundle, master: &machines[0] };
    install_on_others(&running, &machines, affected)?;
    for machine in &machines {
        let left = format!("! ip route | grep -q 'via {} '", joined.address);
        machine.wait_until("the end of the routes to the removed node", 60, &left)?;
    }
    ensure!(state_of(&running, &machines[1], &first)? == before, "the first pod or its node's range changed");
    report_ok("drained, deleted, uninstalled: nothing is left on it, nobody has a route to it, the first pod stayed");
    machines.into_iter().chain([joined]).try_for_each(Machine::discard)?;
    cluster.discard()
}

/// Installs the bundle on machines that have an earlier one; of the units that matter, only `affected` restart.
fn install_on_others(running: &Running<'_>, machines: &[Machine], affected: &str) -> Result<()> {
    for machine in machines {
        let before = invocation_ids(machine, UNITS)?;
        install(running.bundle, machine)?;
        let restarted = restarted(&before, &invocation_ids(machine, UNITS)?);
        ensure!(restarted == affected, "{}: `{restarted}` restarted, and not `{affected}`", machine.name);
    }
    Ok(())
}

/// What must not change: the pod, whether its container was restarted, and the range of its node.
fn state_of(running: &Running<'_>, worker: &Machine, pod: &str) -> Result<String> {
    let of_pod = "-o jsonpath='{.metadata.uid} {.status.podIP} {.status.containerStatuses[0].restartCount}'";
    let of_pod = running.kubectl(&format!("get pod {pod} {of_pod}"))?;
    Ok(of_pod + &worker.sh("ip -o -4 address show cni0 | grep -o 'inet [^ ]*'")?)
}
