//! A cluster that runs: what it bears, and what it keeps from others.
#![expect(clippy::disallowed_methods, reason = "chores look at the clock")]

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::tarball::unpack;
use crate::e2e::cluster::{Bundle, Cluster, ETCDCTL};
use crate::e2e::ground::Scene;
use crate::e2e::machine::{Machine, wait};
use crate::e2e::shell::{must, outcome};
use crate::e2e::units::all_active;
use crate::e2e::{balancer, left_out, proved};

/// Where the load balancer listens: this side of the bridge.
const BALANCER: &str = "10.200.0.1";

fn installed(scene: &Scene, cluster: &Cluster) -> Result<(Bundle, Vec<Machine>)> {
    let bundle = cluster.build("one", &[])?;
    let machines = cluster.machines(scene, &bundle)?;
    for machine in &machines {
        let there = unpack(&bundle, machine, "one")?;
        machine.sh(&format!("{there}/install.sh"))?;
    }
    Ok((bundle, machines))
}

pub(super) fn health(scene: &Scene) -> Result<()> {
    let cluster = Cluster::with_endpoint(scene, 3, BALANCER)?;
    let backends: Vec<_> = cluster.masters.iter().map(|(_, address)| format!("{address}:6443")).collect();
    balancer::start(&format!("{BALANCER}:6443"), &backends)?;
    let (bundle, mut machines) = installed(scene, &cluster)?;
    for machine in &machines {
        bundle.healthy(machine)?;
        all_active(machine)?;
    }
    proved("three masters behind a load balancer: all API servers well");

    let leader = |through: &Machine, what: &str| -> Result<String> {
        let query = format!("get endpoints -n kube-system {what} -o jsonpath={{.metadata.annotations}}");
        let said = bundle.kubectl(through, &query)?.stdout;
        let holder = said.split("holderIdentity").nth(1).and_then(|rest| rest.split("master-").nth(1));
        let number = holder.and_then(|rest| rest.chars().next()).with_context(|| format!("no leader in: {said}"))?;
        Ok(format!("master-{number}"))
    };
    let what = "kube-controller-manager";
    let first = if scene.real { leader(&machines[0], what)? } else { "master-1".to_owned() };
    let index = machines.iter().position(|machine| machine.name == first).context("the leader is no master")?;
    let mut off = machines.remove(index);
    off.power_off()?;
    for machine in &machines {
        bundle.healthy(machine)?;
    }
    if scene.real {
        wait("another leader", 60, || Ok(leader(&machines[0], what).is_ok_and(|leader| leader != first)))?;
        proved(&format!("{first}, which led, powered off: another leads; the others' API servers well"));
    } else {
        left_out("leader election");
        proved(&format!("{first} powered off: the others' API servers well"));
    }
    for machine in &machines {
        all_active(machine)?;
    }
    off.boot()?;
    bundle.healthy(&off)?;
    all_active(&off)?;
    proved(&format!("{first} powered on again: its units returned by themselves"));
    Ok(())
}

pub(super) fn reboot(scene: &Scene) -> Result<()> {
    let cluster = Cluster::new(scene, 2)?;
    let (bundle, mut machines) = installed(scene, &cluster)?;
    for order in [[0, 1], [1, 0]] {
        for machine in &mut machines {
            machine.power_off()?;
        }
        for index in order {
            machines[index].boot()?;
        }
        for machine in &machines {
            bundle.healthy(machine)?;
            all_active(machine)?;
        }
        proved(&format!("both off, {} on first: everything returned by itself", machines[order[0]].name));
    }
    for machine in &machines {
        machine.sh("systemctl disable etcd 2>/dev/null")?;
    }
    for machine in &mut machines {
        machine.reboot()?;
    }
    let since = Instant::now();
    wait("a minute", 90, || {
        ensure!(bundle.kubectl(&machines[0], "get --raw=/healthz")?.stdout != "ok", "well without etcd");
        Ok(since.elapsed() > Duration::from_mins(1))
    })?;
    for machine in &machines {
        machine.sh("systemctl start --no-block etcd")?;
    }
    for machine in &machines {
        bundle.healthy(machine)?;
        all_active(machine)?;
    }
    proved("etcd away at boot and back a minute later: healed without a hand");
    Ok(())
}

/// TCP ports that answer from outside.
fn open_ports(machine: &Machine) -> Result<BTreeSet<u16>> {
    let address: std::net::IpAddr = machine.address.parse().context("an address")?;
    let is_open =
        |port: u16| TcpStream::connect_timeout(&SocketAddr::new(address, port), Duration::from_secs(1)).is_ok();
    Ok((1..=u16::MAX).filter(|port| is_open(*port)).collect())
}

pub(super) fn security(scene: &Scene) -> Result<()> {
    let cluster = Cluster::new(scene, 1)?;
    let (bundle, machines) = installed(scene, &cluster)?;
    let machine = &machines[0];
    all_active(machine)?;
    let address = &machine.address;

    let open = open_ports(machine)?;
    // etcd is whoever's runs it.
    ensure!(open == BTreeSet::from([2379, 2380, 6443]), "open to the network: {open:?}");
    machine.sh("ss -Hltn | grep -q '127.0.0.1:10257' && ss -Hltn | grep -q '127.0.0.1:10259'")?;
    proved("of 65535 ports only 6443 (and etcd's 2379, 2380) answer from outside; 10257 and 10259 on loopback");

    let status = |arguments: &[&str]| {
        let url = format!("https://{address}:6443/api/v1/secrets");
        must("curl", &[&["-k", "-s", "-o", "/dev/null", "-w", "%{http_code}"], arguments, &[&url]].concat())
    };
    ensure!(status(&[])? == "401", "anonymous got {}", status(&[])?);
    let insecure = outcome("curl", &["-s", "--max-time", "3", &format!("http://{address}:8080/healthz")])?;
    ensure!(insecure.code != Some(0), "8080 answers: {}", insecure.text);
    proved("anonymous is refused with 401; nothing answers on 8080");

    // A certificate of the cluster's CA, as every kubelet and the administrator has one.
    let (certificate, key) = bundle.admin_certificate(&scene.work)?;
    let members = format!("--endpoints=https://{address}:2379");
    let ca = bundle.out.join("operator/etcd").join(address).join("ca.pem").display().to_string();
    let read = outcome(
        "env",
        &[
            "ETCDCTL_API=3",
            "etcdctl",
            &members,
            "--dial-timeout=3s",
            "--command-timeout=5s",
            &format!("--cacert={ca}"),
            &format!("--cert={certificate}"),
            &format!("--key={key}"),
            "get",
            "--prefix",
            "--keys-only",
            "/",
        ],
    )?;
    ensure!(read.code != Some(0) && !read.stdout.contains("/registry"), "etcd let it in: {}", read.text);
    proved("a certificate of the cluster's CA opens no etcd");

    ensure!(
        machine.sh("stat -c '%a %U' /var/log/kubernetes/audit.log")?.trim() == "600 root",
        "the audit log's rights"
    );
    machine.sh("test -s /var/log/kubernetes/audit.log")?;
    proved("the audit log is written, and root's alone");
    for file in [
        "/var/lib/kubernetes/ca-key.pem",
        "/var/lib/kubernetes/kube-bootstrap.kubeconfig",
        "/var/log/kubernetes/audit.log",
    ] {
        machine.refuses(
            &format!("setpriv --reuid=65534 --regid=65534 --clear-groups cat {file}"),
            &["Permission denied"],
        )?;
    }
    proved("another user reads no key, no kubeconfig and no audit log");
    if !scene.real {
        left_out("secrets in etcd are encrypted; a kubelet's certificate opens no etcd");
        return Ok(());
    }
    let stored =
        machine.sh(&format!("{ETCDCTL} get --prefix /registry/secrets/kube-system/bootstrap-token | head -c 300"))?;
    ensure!(stored.contains("k8s:enc:aescbc:v1:key1:"), "{stored:?}");
    proved("secrets in etcd are encrypted (k8s:enc:aescbc:v1:key1:)");
    Ok(())
}
