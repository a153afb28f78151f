//! What cloud-init itself makes of user data and network-config.

use anyhow::{Result, ensure};

use super::boot::node;
use crate::e2e::cluster::{Cluster, MASTERS};
use crate::e2e::environment::ScenarioContext;
use crate::e2e::machine::Machine;
use crate::e2e::report_ok;
use crate::e2e::shell::{run_captured, stdout_of};

const ROLES: &str = "roles = [\"etcd\", \"master\"]\n";
const NETWORK: &str = "[nodes.network]\nmac = \"52:54:00:12:34:56\"\naddress = \"10.200.16.79/16\"\n\
                       gateway = \"10.200.0.1\"\ndns = [\"10.200.0.2\"]\n";
/// Where the machine has the seed.
const USER_DATA: &str = "/root/nocloud/user-data";
const NETWORK_CONFIG: &str = "/root/nocloud/network-config";

/// Validates a seed with `cloud-init schema`, and renders its network as networkd's configuration.
pub(super) fn check_schema(context: &ScenarioContext, cluster: &Cluster) -> Result<()> {
    let with_network = format!("{ROLES}{NETWORK}");
    cluster.edit("cluster.toml", ROLES, &with_network)?;
    let bundle = cluster.build_as("nocloud", "with-network", &[])?;
    cluster.edit("cluster.toml", &with_network, ROLES)?;
    let machine = Machine::with_root(&context.cloud_root, context, "schema", MASTERS[0].1)?;
    machine.copy_in(&node(&bundle).join("nocloud"), "root")?;
    let root = machine.path("").display().to_string();

    let schema = [&root, "cloud-init", "schema"];
    let output = stdout_of("chroot", &[&schema[..], &["--config-file", USER_DATA]].concat())?;
    ensure!(output.contains("Valid"), "{output}");
    let network = ["--schema-type", "network-config", "--config-file", NETWORK_CONFIG];
    let outcome = run_captured("chroot", &[&schema[..], &network].concat())?;
    // cloud-init before 24.1 has no schema of network-config.
    ensure!(outcome.text.contains("Valid") || outcome.text.contains("unrecognized arguments"), "{}", outcome.text);
    ensure_rendered(&root)?;
    report_ok("cloud-init finds user data valid, and makes of network-config what cluster.toml says");
    Ok(())
}

fn ensure_rendered(root: &str) -> Result<()> {
    let input = ["--network-data", NETWORK_CONFIG, "--kind", "yaml"];
    let output = ["--directory", "/tmp/net", "--output-kind", "networkd", "--distro", "debian"];
    let interface = ["-m", "eth0,52:54:00:12:34:56"];
    let command = [&[root, "cloud-init", "devel", "net-convert"][..], &input, &output, &interface].concat();
    let printed = stdout_of("chroot", &command)?;
    let rendered = stdout_of("sh", &["-c", &format!("cat {root}/tmp/net/etc/systemd/network/*")])?;
    for line in ["MACAddress=52:54:00:12:34:56", "Address=10.200.16.79/16", "Gateway=10.200.0.1", "DNS=10.200.0.2"] {
        ensure!(rendered.contains(line), "no {line:?} in {rendered}{printed}");
    }
    Ok(())
}
