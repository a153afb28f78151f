//! The loss of machines of a whole cluster: masters one after another, a worker, and its images.
#![expect(clippy::disallowed_methods, reason = "xtask measures how long clusters take")]

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::whole::{Running, install};
use crate::e2e::bundle::Bundle;
use crate::e2e::cluster::{Cluster, on_all};
use crate::e2e::environment::ScenarioContext;
use crate::e2e::images::APP;
use crate::e2e::machine::{Machine, wait};
use crate::e2e::{report_ok, report_skipped};

/// How long a node may be without news from it, in seconds, by the issue of every peer: the controller manager waits that
/// long before it calls a node unreachable.
const GRACE: u64 = 40;

/// How a master is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gone {
    /// It gets packets and answers none: a firewall, a kernel that hangs.
    Silent,
    /// Its API server is stopped, so its kernel refuses connections at once.
    Refusing,
    /// It is off.
    Off,
}

pub(super) fn high_availability(context: &ScenarioContext) -> Result<()> {
    if let Some(reason) = context.lacks_pods() {
        report_skipped("the loss of each master", reason);
        return Ok(());
    }
    let cluster = Cluster::with_workers(context, 3)?;
    let bundle = cluster.build("one", &[])?;
    let mut machines = cluster.machines(context)?;
    on_all(&machines, |machine| install(&bundle, machine))?;
    Running { bundle: &bundle, master: &machines[0] }.wait_ready(2, 60)?;
    Running { bundle: &bundle, master: &machines[0] }.start_app(2)?;
    for gone in [Gone::Silent, Gone::Refusing, Gone::Off] {
        for index in 0..3 {
            lose_master(&bundle, &mut machines, index, gone)?;
        }
    }
    reboot_worker(&bundle, &mut machines)?;
    wipe_images(&bundle, &machines)
}

/// A script that lets a machine answer no more, and one that lets it answer again. Its own addresses work all the while.
const SILENCE: &str = "ip route add blackhole default table 100 && ip rule add priority 1 lookup 100";
const END_OF_SILENCE: &str = "ip rule delete priority 1 && ip route flush table 100";

fn lose_master(bundle: &Bundle, machines: &mut [Machine], index: usize, gone: Gone) -> Result<()> {
    let name = machines[index].name.clone();
    match gone {
        Gone::Silent => drop(machines[index].sh(SILENCE)?),
        Gone::Refusing => drop(machines[index].sh("systemctl stop kube-apiserver")?),
        Gone::Off => machines[index].power_off()?,
    }
    let running = Running { bundle, master: &machines[(index + 1) % 3] };
    let service = wait_for_service(&running)?;
    let begin = Instant::now();
    let (mut longest, mut unanswered, mut asked, mut not_ready) = (0, 0, 0, 0);
    while begin.elapsed().as_secs() < 2 * GRACE {
        longest = longest.max(running.seconds_since_renewal()?);
        not_ready += usize::from(!running.all_ready()?);
        let answered = machines[3].try_sh(&format!("curl -sf -m 2 http://{service}/"))?.success();
        (asked, unanswered) = (asked + 1, unanswered + u32::from(!answered));
        std::thread::sleep(Duration::from_secs(1));
    }
    ensure!(longest <= GRACE, "{name} {gone:?}: a node gave no sign for {longest} s");
    ensure!(unanswered == 0, "{name} {gone:?}: the service did not answer {unanswered} of {asked} times");
    let pod = format!("late-{index}-{}", format!("{gone:?}").to_lowercase());
    running.kubectl(&format!("run {pod} --generator=run-pod/v1 --image={APP} --restart=Never -- -c true"))?;
    let phase = format!("get pod {pod} -o jsonpath='{{.status.phase}}'");
    running.wait_for("a new pod", 40, &phase, |said| said.contains("Succeeded"))?;
    match gone {
        Gone::Silent => drop(machines[index].sh(END_OF_SILENCE)?),
        Gone::Refusing => drop(machines[index].sh("systemctl start kube-apiserver")?),
        Gone::Off => machines[index].boot()?,
    }
    bundle.wait_healthy(&machines[index])?;
    let ready = if not_ready == 0 {
        "all nodes stayed ready".to_owned()
    } else {
        format!("not ready {not_ready} times of {asked}")
    };
    report_ok(&format!(
        "{name} {gone:?}: {ready}, longest time without a sign {longest} s; the service answered {asked} of {asked} times; a new pod ran"
    ));
    Ok(())
}

fn wait_for_service(running: &Running<'_>) -> Result<String> {
    let mut service = String::new();
    wait("the API server", 30, || {
        let outcome = running.bundle.kubectl(running.master, "get service app -o jsonpath='{.spec.clusterIP}'")?;
        service.clone_from(&outcome.stdout);
        Ok(outcome.success())
    })?;
    Ok(service)
}

impl Running<'_> {
    /// How long ago the node that has been silent longest renewed its lease.
    fn seconds_since_renewal(&self) -> Result<u64> {
        let path = "get leases -n kube-node-lease -o jsonpath='{range .items[*]}{.spec.renewTime}{\"\\n\"}{end}'";
        let said = self.bundle.kubectl(self.master, path)?;
        if !said.success() {
            return Ok(0);
        }
        let script = said.stdout.lines().map(|time| format!("date -d {time} +%s; ")).collect::<String>();
        let times = self.master.sh(&format!("{script} date +%s"))?;
        let times: Vec<u64> = times.lines().filter_map(|line| line.parse().ok()).collect();
        let now = times.last().copied().unwrap_or_default();
        Ok(times.iter().map(|time| now.saturating_sub(*time)).max().unwrap_or_default())
    }

    fn all_ready(&self) -> Result<bool> {
        let path = "get nodes -o jsonpath='{range .items[*]}{.status.conditions[?(@.type==\"Ready\")].status} {end}'";
        let said = self.bundle.kubectl(self.master, path)?;
        Ok(!said.success() || said.stdout.matches("True ").count() == 2)
    }
}

fn reboot_worker(bundle: &Bundle, machines: &mut [Machine]) -> Result<()> {
    machines[4].power_off()?;
    machines[4].boot()?;
    let begin = Instant::now();
    let running = Running { bundle, master: &machines[0] };
    let on_node = "get pods -l app=app --field-selector=spec.nodeName=worker-2 -o jsonpath='{.items[0].status.podIP}'";
    wait("the pod of a worker that was off", 120, || {
        let address = bundle.kubectl(running.master, on_node)?.stdout;
        let url = format!("http://{}:8080/", address.trim());
        Ok(!address.trim().is_empty() && machines[3].try_sh(&format!("curl -sf -m 2 {url}"))?.success())
    })?;
    report_ok(&format!("a worker loses its power: its pod answers again {:.0?} after its boot", begin.elapsed()));
    Ok(())
}

fn wipe_images(bundle: &Bundle, machines: &[Machine]) -> Result<()> {
    let worker = &machines[4];
    worker.sh("systemctl stop kubelet containerd kube-images.timer; /usr/local/lib/kube-bundle/kube-node cleanup")?;
    worker.sh("test -z \"$(ls /var/lib/containerd)\" && systemctl start containerd kube-images.timer kubelet")?;
    let running = Running { bundle, master: &machines[0] };
    running.kubectl("delete pods -l app=app --wait=false")?;
    running.wait_for(
        "pods on a worker without images",
        120,
        "get deployment app -o jsonpath='{.status.availableReplicas}'",
        |said| said.trim() == "2",
    )?;
    let said = worker.sh("journalctl --no-pager --unit=kube-images | grep -c Importing")?;
    report_ok(&format!("a worker's images were wiped: imported again ({} imports in all), and pods run", said.trim()));
    Ok(())
}
