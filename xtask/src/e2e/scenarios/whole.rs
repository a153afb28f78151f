//! Whole clusters: pods run, and are reached, on machines that had nothing and have no network but their own.
#![expect(clippy::disallowed_methods, reason = "xtask measures how long clusters take")]

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use super::boot;
use super::etcd::Way;
use super::tarball::unpack;
use crate::e2e::bundle::Bundle;
use crate::e2e::cluster::{Cluster, on_all};
use crate::e2e::environment::ScenarioContext;
use crate::e2e::files::ensure_same_files;
use crate::e2e::images::APP;
use crate::e2e::machine::{Machine, wait};
use crate::e2e::units::wait_well;
use crate::e2e::{report_ok, report_skipped};

/// Two pods on different nodes where there are two, and a Service with a port on every node.
fn app(replicas: usize) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{name: app}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: app}}}}
  template:
    metadata: {{labels: {{app: app}}}}
    spec:
      terminationGracePeriodSeconds: 1
      affinity:
        podAntiAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
          - topologyKey: kubernetes.io/hostname
            labelSelector: {{matchLabels: {{app: app}}}}
      containers:
      - name: app
        image: {APP}
        args: [-c, 'mkdir -p /www; echo I am $(hostname) >/www/index.html; echo started; exec httpd -f -p 8080 -h /www']
---
apiVersion: v1
kind: Service
metadata: {{name: app}}
spec:
  type: NodePort
  selector: {{app: app}}
  ports: [{{port: 80, targetPort: 8080, nodePort: 30080}}]
"
    )
}

/// A cluster and whom to ask about it.
pub(super) struct Running<'a> {
    pub(super) bundle: &'a Bundle,
    pub(super) master: &'a Machine,
}

impl Running<'_> {
    pub(super) fn kubectl(&self, arguments: &str) -> Result<String> {
        let outcome = self.bundle.kubectl(self.master, arguments)?;
        ensure!(outcome.success(), "kubectl {arguments}: {}", outcome.text);
        Ok(outcome.stdout)
    }

    pub(super) fn wait_for(
        &self,
        what: &str,
        seconds: u64,
        arguments: &str,
        done: impl Fn(&str) -> bool,
    ) -> Result<()> {
        let mut last = String::new();
        let waited = wait(what, seconds, || {
            last = self.bundle.kubectl(self.master, arguments)?.text;
            Ok(done(&last))
        });
        waited.with_context(|| format!("kubectl {arguments} printed:\n{last}"))
    }

    pub(super) fn wait_ready(&self, nodes: usize, seconds: u64) -> Result<()> {
        let path = "get nodes -o jsonpath='{range .items[*]}{.status.conditions[?(@.type==\"Ready\")].status} {end}'";
        self.wait_for("nodes that are ready", seconds, path, |said| said.matches("True ").count() == nodes)
    }

    /// Starts the pods; returns the name and address of each.
    pub(super) fn start_app(&self, replicas: usize) -> Result<Vec<(String, String)>> {
        self.master.write("root/app.yaml", &app(replicas))?;
        self.kubectl("apply -f /root/app.yaml")?;
        let available = "get deployment app -o jsonpath='{.status.availableReplicas}'";
        self.wait_for("pods that run", 90, available, |said| said.trim() == replicas.to_string())?;
        let pods = self.kubectl(
            "get pods -l app=app -o jsonpath='{range .items[*]}{.metadata.name} {.status.podIP} {.spec.nodeName}{\"\\n\"}{end}'",
        )?;
        let pods: Vec<Vec<&str>> = pods.lines().map(|line| line.split(' ').collect()).collect();
        let nodes: std::collections::BTreeSet<_> = pods.iter().filter_map(|pod| pod.get(2)).collect();
        ensure!(nodes.len() == replicas, "the pods are not spread: {pods:?}");
        Ok(pods.iter().filter_map(|pod| Some((pod.first()?.to_string(), pod.get(1)?.to_string()))).collect())
    }

    /// Asks from inside a pod: the answer of an HTTP server.
    pub(super) fn get_from(&self, pod: &str, host: &str, port: u16) -> Result<()> {
        let script = format!("printf \"GET / HTTP/1.0\\r\\n\\r\\n\" | nc -w 2 {host} {port}");
        self.wait_for("an answer", 30, &format!("exec {pod} -- sh -c '{script}'"), |said| said.contains("I am app-"))
    }
}

pub(super) fn runs_kubelet(machine: &Machine) -> bool {
    machine.path("etc/kubernetes/config/kubelet.yaml").exists()
}

/// Reaches pods from pods, from nodes and from outside the cluster.
fn check_cluster(running: &Running<'_>, machines: &[Machine], replicas: usize) -> Result<()> {
    let pods = running.start_app(replicas)?;
    let (first, other) = (&pods[0].0, &pods[replicas - 1].1);
    running.get_from(first, other, 8080).context("from pod to pod")?;
    let service = running.kubectl("get service app -o jsonpath='{.spec.clusterIP}'")?;
    running.get_from(first, &service, 80).context("from a pod to a service")?;
    let name = format!("exec {first} -- nslookup app.default.svc.cluster.local");
    running.wait_for("a name", 30, &name, |said| said.contains(&service))?;
    report_ok("from pod to pod, from a pod to a service, and a service's name from a pod");
    for machine in machines.iter().filter(|machine| runs_kubelet(machine)) {
        machine.wait_until("the service", 30, &format!("curl -sf -m 2 http://{service}/ | grep -q 'I am app-'"))?;
    }
    // As an API server does that asks a webhook.
    let request =
        format!("exec 3<>/dev/tcp/{other}/8080; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; grep -q 'I am app-' <&3");
    running.master.wait_until("a pod", 60, &format!("timeout 2 bash -c \"{request}\""))?;
    for machine in machines.iter().filter(|machine| runs_kubelet(machine)) {
        let url = format!("http://{}:30080/", machine.address);
        wait("a node port", 30, || {
            Ok(crate::e2e::shell::run_captured("curl", &["-sf", "-m", "2", &url])?.stdout.contains("I am app-"))
        })?;
    }
    report_ok("a pod from a master; the service from every node without a default route; its node port from outside");
    check_kubectl(running, first)
}

/// Everything of kubectl that reaches a kubelet.
fn check_kubectl(running: &Running<'_>, first: &str) -> Result<()> {
    running.wait_for("the log", 10, &format!("logs {first}"), |said| said.contains("started"))?;
    // A master has no curl; bash can connect by itself.
    let request = "exec 3<>/dev/tcp/127.0.0.1/18080; printf \"GET / HTTP/1.0\\r\\n\\r\\n\" >&3; cat <&3";
    let forward = format!(
        "kubectl --kubeconfig=/root/admin.kubeconfig port-forward {first} 18080:8080 >/dev/null 2>&1 & sleep 2; \
         timeout 2 bash -c '{request}'; kill $!"
    );
    running.master.wait_until("a forwarded port", 30, &format!("{{ {forward}; }} 2>&1 | grep 'I am app-'"))?;
    report_ok("kubectl logs, exec and port-forward, with kubelets' certificates verified");
    // No metrics-server is installed; what it would ask the kubelets for is served.
    let top = running.bundle.kubectl(running.master, "top node")?;
    ensure!(top.text.contains("could not find the requested resource"), "top node: {}", top.text);
    let node = running.kubectl("get nodes -o jsonpath='{.items[0].metadata.name}'")?;
    let summary = format!("get --raw /api/v1/nodes/{node}/proxy/stats/summary");
    running.wait_for("a kubelet's figures", 30, &summary, |said| said.contains("usageNanoCores"))?;
    report_ok("kubectl top needs a metrics-server, and says so; the figures it would show are served by the kubelet");
    Ok(())
}

pub(super) fn install(bundle: &Bundle, machine: &Machine) -> Result<()> {
    let there = unpack(bundle, machine, "one")?;
    machine.sh(&format!("{there}/install.sh")).map(drop)
}

/// Of pods, containerd, the kubelet and kube-proxy, outside of files.
pub(super) fn ensure_nothing_is_left(machine: &Machine) -> Result<()> {
    machine.sh("! iptables-save | grep -e KUBE- -e CNI- -e 10.10.0.0/16 && ! pgrep containerd-shim")?;
    machine.sh("! ip link show cni0 && ! ip link show flannel.1")?;
    machine
        .sh("! grep -e /var/lib/kubelet/ -e /run/containerd /proc/mounts && ! ip route show proto 116 | grep .")
        .map(drop)
}

pub(super) fn single_node(context: &ScenarioContext) -> Result<()> {
    if let Some(reason) = context.lacks_pods() {
        report_skipped("a cluster on one machine", reason);
        return Ok(());
    }
    let cluster = Cluster::on_one_machine(context)?;
    let bundle = cluster.build("one", &[])?;
    let begin = Instant::now();
    let machines = cluster.machines(context)?;
    let before = machines[0].files()?;
    install(&bundle, &machines[0])?;
    let running = Running { bundle: &bundle, master: &machines[0] };
    running.wait_ready(1, 60)?;
    check_cluster(&running, &machines, 1)?;
    report_ok(&format!("one machine, one archive, one command: a cluster in {:.0?}", begin.elapsed()));
    wait_well(&machines[0])?;
    let node = "/usr/local/lib/kube-bundle/kube-node status";
    machines[0].sh(&format!("systemctl stop kube-apiserver; ! {node}; systemctl start kube-apiserver"))?;
    machines[0].wait_until("its node to be ready again", 60, node)?;
    report_ok("--status: all is well; without an API server, the node is not");
    machines[0].sh("/var/lib/kube-bundle/installed/install.sh --purge")?;
    ensure_same_files(&before, &machines[0].files()?)?;
    ensure_nothing_is_left(&machines[0])?;
    report_ok("--purge: files as before; no pod, mount, packet filter rule, route or interface is left");
    Ok(())
}

pub(super) fn cluster(context: &ScenarioContext) -> Result<()> {
    if let Some(reason) = context.lacks_pods() {
        report_skipped("a whole cluster", reason);
        return Ok(());
    }
    let cluster = Cluster::with_workers(context, 3)?;
    let bundle = cluster.build_as("tarball,deb,nocloud", "one", &[])?;
    for way in [Way::Archive, Way::Packages, Way::FirstBoot] {
        let begin = Instant::now();
        let machines = start(context, &cluster, &bundle, way)?;
        let running = Running { bundle: &bundle, master: &machines[0] };
        running.wait_ready(2, 60)?;
        report_ok(&format!("{way:?}: three masters, two workers: both ready {:.0?} after power-on", begin.elapsed()));
        running.start_app(2)?;
        report_ok(&format!("the first pods run {:.0?} after power-on", begin.elapsed()));
        check_cluster(&running, &machines, 2)?;
        on_all(&machines, wait_well)?;
        report_ok("--status: all is well on each machine");
        if way == Way::Packages {
            machines[4].sh("dpkg --purge roc-worker-2 2>&1")?;
            ensure_nothing_is_left(&machines[4])?;
            report_ok("a worker's package purged: nothing of its pods is left");
        }
        machines.into_iter().try_for_each(Machine::discard)?;
    }
    if network_plugins(context).contains(&"flannel") {
        cluster.use_network_plugin("flannel")?;
        let bundle = cluster.build("flannel", &[])?;
        let machines = start(context, &cluster, &bundle, Way::Archive)?;
        let running = Running { bundle: &bundle, master: &machines[0] };
        running.wait_ready(2, 60)?;
        report_ok("with flannel: both workers are ready");
        check_cluster(&running, &machines, 2)?;
        machines[4].sh("/var/lib/kube-bundle/installed/install.sh --uninstall")?;
        ensure_nothing_is_left(&machines[4])?;
        report_ok("a worker uninstalled: nothing of flannel or its pods is left");
    }
    Ok(())
}

/// The network plugins that can be shown in this run.
pub(super) fn network_plugins(context: &ScenarioContext) -> &'static [&'static str] {
    if context.has_flannel() {
        return &["routes", "flannel"];
    }
    report_skipped("the same with flannel", "--binaries DIR, with a flanneld, runs it");
    &["routes"]
}

/// Machines on which the bundle was installed, all at the same time.
fn start(context: &ScenarioContext, cluster: &Cluster, bundle: &Bundle, way: Way) -> Result<Vec<Machine>> {
    if way != Way::FirstBoot {
        let machines = cluster.machines(context)?;
        on_all(&machines, |machine| match way {
            Way::Archive | Way::FirstBoot => install(bundle, machine),
            Way::Packages => {
                bundle.copy_packages_to(machine, "one")?;
                machine.sh("dpkg -i /root/one/*.deb 2>&1").map(drop)
            }
        })?;
        return Ok(machines);
    }
    let mut machines = Vec::new();
    for (name, address) in &cluster.masters {
        let machine = boot::machine_of(context, bundle, name, address)?;
        machines.push(if name.starts_with("worker") { machine.for_pods()? } else { machine });
    }
    for machine in &mut machines {
        machine.boot()?;
    }
    for machine in &machines {
        boot::ensure_installed(machine)?;
    }
    Ok(machines)
}

pub(super) fn refusals(context: &ScenarioContext) -> Result<()> {
    if let Some(reason) = context.lacks_pods() {
        report_skipped("machines on which v1.16 can't run pods", reason);
        return Ok(());
    }
    let cluster = Cluster::with_workers(context, 1)?;
    let bundle = cluster.build("one", &[])?;
    let machine = crate::e2e::cluster::boot_with_pods(context, "worker-1", "10.200.20.1")?;
    let there = unpack(&bundle, &machine, "one")?;
    let before = machine.files()?;
    // What such a machine's kernel would say.
    machine.sh("mkdir -p /run/e2e && printf '%s\\n' 'Filename Type Size Used Priority' '/dev/sda2 partition 1 0 -2' >/run/e2e/swaps && mount --bind /run/e2e/swaps /proc/swaps")?;
    machine
        .sh("umount -l /sys/fs/cgroup/memory /sys/fs/cgroup/pids; mv /usr/sbin/conntrack /run/e2e/; hostname other")?;
    machine.sh("systemd-run --quiet --unit=squatter --socket-property=ListenStream=10250 true")?;
    let sentences = [
        "the kubelet of v1.16 needs cgroup version 1, and these controllers are not mounted: memory pids",
        "systemd.unified_cgroup_hierarchy=0",
        "port 10250 is in use",
        "swap is on, and the kubelet does not start with it: /dev/sda2",
        "commands are missing: conntrack",
        "apt-get install conntrack",
        "this machine is called other, and the bundle is for worker-1",
        "hostnamectl set-hostname worker-1",
        "Nothing was changed.",
    ];
    machine.expect_failure(&format!("{there}/install.sh"), &sentences)?;
    machine.sh("mv /run/e2e/conntrack /usr/sbin/")?;
    ensure_same_files(&before, &machine.files()?)?;
    report_ok(
        "cgroup version 2, swap, a used port, a missing command, another host name: all named at once, each with what mends it; nothing changed",
    );
    bundle.copy_packages_to(&machine, "packages")?;
    machine.expect_failure("dpkg -i /root/packages/roc-worker-1_*.deb 2>&1", &sentences[..4])?;
    report_ok("dpkg refuses likewise, before it unpacks anything");
    Ok(())
}
