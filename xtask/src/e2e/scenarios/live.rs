//! A running cluster: what it survives, and what it keeps from others.
#![expect(clippy::disallowed_methods, reason = "xtask measures time")]

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::tarball::unpack;
use crate::e2e::bundle::Bundle;
use crate::e2e::cluster::{Cluster, ETCDCTL, on_all};
use crate::e2e::environment::ScenarioContext;
use crate::e2e::machine::{Machine, wait};
use crate::e2e::shell::{run_captured, stdout_of};
use crate::e2e::units::wait_units_active;
use crate::e2e::{STAND_INS, balancer, report_ok, report_skipped};

/// The address of the load balancer, which is the host's.
const BALANCER: &str = "10.200.0.1";

/// Boots a machine for each master and installs the archives.
pub(super) fn installed(context: &ScenarioContext, cluster: &Cluster) -> Result<(Bundle, Vec<Machine>)> {
    let bundle = cluster.build("one", &[])?;
    let machines = cluster.machines(context)?;
    on_all(&machines, |machine| {
        let there = unpack(&bundle, machine, "one")?;
        machine.sh(&format!("{there}/install.sh")).map(drop)
    })?;
    Ok((bundle, machines))
}

pub(super) fn health(context: &ScenarioContext) -> Result<()> {
    let cluster = Cluster::with_endpoint(context, 3, BALANCER)?;
    let backends: Vec<_> = cluster.masters.iter().map(|(_, address)| format!("{address}:6443")).collect();
    balancer::start(&format!("{BALANCER}:6443"), &backends)?;
    let (bundle, mut machines) = installed(context, &cluster)?;
    for machine in &machines {
        bundle.wait_healthy(machine)?;
        wait_units_active(machine)?;
    }
    report_ok("three masters behind a load balancer: all API servers well");

    let first = if context.real { leader(&bundle, &machines[0])? } else { "master-1".to_owned() };
    let index = machines.iter().position(|machine| machine.name == first).context("the leader is no master")?;
    let mut off = machines.remove(index);
    off.power_off()?;
    for machine in &machines {
        bundle.wait_healthy(machine)?;
    }
    if context.real {
        wait("another leader", 60, || Ok(leader(&bundle, &machines[0]).is_ok_and(|leader| leader != first)))?;
        report_ok(&format!("{first}, which led, powered off: another leads; the others' API servers well"));
    } else {
        report_skipped("leader election", STAND_INS);
        report_ok(&format!("{first} powered off: the others' API servers well"));
    }
    for machine in &machines {
        wait_units_active(machine)?;
    }
    off.boot()?;
    bundle.wait_healthy(&off)?;
    wait_units_active(&off)?;
    report_ok(&format!("{first} powered on again: its units returned by themselves"));
    Ok(())
}

/// The master whose controller manager holds the lease, as the API server of `through` has it.
fn leader(bundle: &Bundle, through: &Machine) -> Result<String> {
    let query = "get endpoints -n kube-system kube-controller-manager -o jsonpath={.metadata.annotations}";
    let annotations = bundle.kubectl(through, query)?.stdout;
    let holder = annotations.split("holderIdentity").nth(1).and_then(|rest| rest.split("master-").nth(1));
    let number = holder.and_then(|rest| rest.chars().next());
    Ok(format!("master-{}", number.with_context(|| format!("no leader in: {annotations}"))?))
}

pub(super) fn reboot(context: &ScenarioContext) -> Result<()> {
    let cluster = Cluster::new(context, 2)?;
    let (bundle, mut machines) = installed(context, &cluster)?;
    for order in [[0, 1], [1, 0]] {
        for machine in &mut machines {
            machine.power_off()?;
        }
        for index in order {
            machines[index].boot()?;
        }
        for machine in &machines {
            bundle.wait_healthy(machine)?;
            wait_units_active(machine)?;
        }
        report_ok(&format!("both off, {} on first: everything returned by itself", machines[order[0]].name));
    }
    without_etcd(&bundle, &mut machines)
}

/// Boots machines whose etcd does not start, and starts it a minute later.
fn without_etcd(bundle: &Bundle, machines: &mut [Machine]) -> Result<()> {
    for machine in &*machines {
        machine.sh("systemctl disable etcd 2>/dev/null")?;
    }
    for machine in &mut *machines {
        machine.reboot()?;
    }
    let since = Instant::now();
    wait("a minute", 90, || {
        ensure!(bundle.kubectl(&machines[0], "get --raw=/healthz")?.stdout != "ok", "well without etcd");
        Ok(since.elapsed() > Duration::from_mins(1))
    })?;
    for machine in &*machines {
        machine.sh("systemctl start --no-block etcd")?;
    }
    for machine in &*machines {
        bundle.wait_healthy(machine)?;
        wait_units_active(machine)?;
    }
    report_ok("etcd away at boot and back a minute later: healed without a hand");
    Ok(())
}

/// The TCP ports that accept a connection from outside the machine.
fn open_ports(machine: &Machine) -> Result<BTreeSet<u16>> {
    let address: std::net::IpAddr = machine.address.parse().context("an address")?;
    let is_open =
        |port: u16| TcpStream::connect_timeout(&SocketAddr::new(address, port), Duration::from_secs(1)).is_ok();
    Ok((1..=u16::MAX).filter(|port| is_open(*port)).collect())
}

pub(super) fn security(context: &ScenarioContext) -> Result<()> {
    let cluster = Cluster::new(context, 1)?;
    let (bundle, machines) = installed(context, &cluster)?;
    let machine = &machines[0];
    wait_units_active(machine)?;
    ensure_ports_closed(machine)?;
    ensure_anonymous_refused(machine)?;
    ensure_etcd_closed(context, &bundle, machine)?;
    ensure_files_unreadable(machine)?;
    if !context.real {
        report_skipped("secrets in etcd are encrypted", STAND_INS);
        return Ok(());
    }
    let stored =
        machine.sh(&format!("{ETCDCTL} get --prefix /registry/secrets/kube-system/bootstrap-token | head -c 300"))?;
    ensure!(stored.contains("k8s:enc:aescbc:v1:key1:"), "{stored:?}");
    report_ok("secrets in etcd are encrypted (k8s:enc:aescbc:v1:key1:)");
    Ok(())
}

fn ensure_ports_closed(machine: &Machine) -> Result<()> {
    let open = open_ports(machine)?;
    ensure!(open == BTreeSet::from([2379, 2380, 6443]), "open to the network: {open:?}");
    machine.sh("for port in 2381 10257 10259; do ss -Hltn | grep -q \"127.0.0.1:$port\" || exit 1; done")?;
    report_ok("of 65535 ports only 6443, 2379 and 2380 answer from outside; 2381, 10257 and 10259 on loopback");
    Ok(())
}

fn ensure_anonymous_refused(machine: &Machine) -> Result<()> {
    let address = &machine.address;
    let status = |arguments: &[&str]| {
        let url = format!("https://{address}:6443/api/v1/secrets");
        stdout_of("curl", &[&["-k", "-s", "-o", "/dev/null", "-w", "%{http_code}"], arguments, &[&url]].concat())
    };
    ensure!(status(&[])? == "401", "anonymous got {}", status(&[])?);
    let insecure = run_captured("curl", &["-s", "--max-time", "3", &format!("http://{address}:8080/healthz")])?;
    ensure!(insecure.code != Some(0), "8080 answers: {}", insecure.text);
    report_ok("anonymous is refused with 401; nothing answers on 8080");
    Ok(())
}

/// etcd has a CA of its own, so a certificate of the cluster's CA, which every kubelet has, must not open it.
fn ensure_etcd_closed(context: &ScenarioContext, bundle: &Bundle, machine: &Machine) -> Result<()> {
    let address = &machine.address;
    let (certificate, key) = bundle.admin_certificate(&context.work)?;
    let ca = bundle.out.with_file_name("pki").join("etcd-ca.pem");
    let options = [
        format!("--endpoints=https://{address}:2379"),
        format!("--cacert={}", ca.display()),
        format!("--cert={certificate}"),
        format!("--key={key}"),
    ];
    let options: Vec<_> = options.iter().map(String::as_str).collect();
    let etcdctl = ["ETCDCTL_API=3", "etcdctl", "--dial-timeout=3s", "--command-timeout=5s"];
    let read = run_captured("env", &[&etcdctl, &options[..], &["get", "--prefix", "--keys-only", "/"]].concat())?;
    ensure!(!read.success() && !read.stdout.contains("/registry"), "etcd let it in: {}", read.text);
    report_ok("a certificate of the cluster's CA opens no etcd");
    Ok(())
}

fn ensure_files_unreadable(machine: &Machine) -> Result<()> {
    ensure!(
        machine.sh("stat -c '%a %U' /var/log/kubernetes/audit.log")?.trim() == "600 root",
        "the audit log's rights"
    );
    machine.sh("test -s /var/log/kubernetes/audit.log")?;
    report_ok("the audit log is written, and root's alone");
    for file in [
        "/var/lib/kubernetes/ca-key.pem",
        "/var/lib/kubernetes/kube-bootstrap.kubeconfig",
        "/var/lib/kube-etcd/etcd-key.pem",
        "/var/lib/etcd/data",
        "/var/log/kubernetes/audit.log",
    ] {
        machine.expect_failure(
            &format!("setpriv --reuid=65534 --regid=65534 --clear-groups cat {file}"),
            &["Permission denied"],
        )?;
    }
    report_ok("another user reads no key, no kubeconfig, no audit log and nothing of etcd");
    Ok(())
}
