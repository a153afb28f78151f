//! An etcd that the cluster's operator runs: Debian's program, in a unit of the operator's own.

use anyhow::Result;

use super::bundle::Bundle;
use super::cluster::Cluster;
use super::environment::ScenarioContext;
use super::machine::Machine;

/// The etcdctl command on such a machine, with the member's own certificate.
pub(super) const ETCDCTL: &str = "ETCDCTL_API=3 /opt/etcd/etcdctl --endpoints=https://127.0.0.1:2379 --cacert=/opt/etcd/ca.pem --cert=/opt/etcd/etcd.pem --key=/opt/etcd/etcd-key.pem";

/// Boots a machine for each master and starts a member of etcd there, with the certificates of `operator/etcd/ADDRESS`.
pub(super) fn machines(context: &ScenarioContext, cluster: &Cluster, bundle: &Bundle) -> Result<Vec<Machine>> {
    let machines = cluster.machines(context)?;
    for machine in &machines {
        configure(context, machine, &cluster.masters, bundle)?;
        machine.sh("systemctl daemon-reload && systemctl enable --now --no-block operators-etcd 2>/dev/null")?;
    }
    for machine in &machines {
        machine.wait_until("its etcd", 60, &format!("{ETCDCTL} endpoint health"))?;
    }
    Ok(machines)
}

fn configure(context: &ScenarioContext, machine: &Machine, masters: &[(&str, &str)], bundle: &Bundle) -> Result<()> {
    for program in ["etcd", "etcdctl"] {
        machine.copy_in(&context.binaries.join(program), "opt/etcd")?;
    }
    let address = &machine.address;
    for file in ["ca.pem", "etcd.pem", "etcd-key.pem"] {
        machine.copy_in(&bundle.out.join("operator/etcd").join(address).join(file), "opt/etcd")?;
    }
    let members: Vec<_> = masters.iter().map(|(name, address)| format!("{name}=https://{address}:2380")).collect();
    let secure = |prefix: &str| {
        format!(
            "--{prefix}cert-file=/opt/etcd/etcd.pem --{prefix}key-file=/opt/etcd/etcd-key.pem \
             --{prefix}trusted-ca-file=/opt/etcd/ca.pem --{prefix}client-cert-auth"
        )
    };
    let command = format!(
        "/opt/etcd/etcd --name={} --data-dir=/opt/etcd/data \
         --listen-client-urls=https://{address}:2379,https://127.0.0.1:2379 \
         --advertise-client-urls=https://{address}:2379 --listen-peer-urls=https://{address}:2380 \
         --initial-advertise-peer-urls=https://{address}:2380 --initial-cluster={} {} {}",
        machine.name,
        members.join(","),
        secure(""),
        secure("peer-")
    );
    machine.write(
        "etc/systemd/system/operators-etcd.service",
        &format!(
            "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=notify\nExecStart={command}\nRestart=always\nRestartSec=1\n\
             [Install]\nWantedBy=multi-user.target\n"
        ),
    )
}
