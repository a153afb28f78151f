//! A room whose machines reach one of their own only, and that one a registry, once.

use anyhow::Result;

use super::sealed::open_for_people;
use crate::e2e::cluster::{Cluster, boot, on_all};
use crate::e2e::environment::ScenarioContext;
use crate::e2e::machine::Machine;
use crate::e2e::report_ok;
use crate::e2e::shell::stdout_of;
use crate::registry::Registry;

/// Where the registry listens: on the bridge, outside of all machines.
const REGISTRY: &str = "10.200.0.1:5000";
/// The machine of the room that has the bundle.
const MIRROR: &str = "10.200.0.50";
const APT: &str = "apt-get -q -y -o Dir::Etc::sourcelist=/etc/apt/sources.list.d/roc.list -o Dir::Etc::sourceparts=- \
                   -o APT::Sandbox::User=root -o APT::Update::Error-Mode=any";

pub(super) fn mirror(context: &ScenarioContext) -> Result<()> {
    let cluster = Cluster::new(context, 3)?;
    cluster.edit("cluster.toml", "[cluster]\n", "[secrets]\nseal = \"key\"\n[cluster]\n")?;
    let key = cluster.directory().join("key").display().to_string();
    stdout_of("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &key])?;
    cluster.run_kube_bundle(&["trust", "init", "trust", "--key", "key"])?;
    let bundle = cluster.build("one", &["--sign", "key"])?;
    let registry = Registry::start(context.work.join("registry"), REGISTRY)?;
    let reference = format!("oci://{REGISTRY}/site/roc:v1.16.0");
    cluster.run_kube_bundle(&["push", "one", &reference, "--plain-http"])?;
    report_ok("push: sealed and signed, in a registry");

    let mirror = boot(context, "mirror", MIRROR)?;
    mirror.copy_in(cluster.program(), "usr/local/bin")?;
    mirror.copy_in(&cluster.directory().join("trust"), "root")?;
    // It has no CA certificates; plain HTTP needs none.
    mirror.sh(&format!("kube-bundle pull {reference} --plain-http -o /srv/roc --trust /root/trust"))?;
    drop(registry);
    mirror.sh("kube-bundle verify --deep /srv/roc --trust /root/trust")?;
    let there = mirror.path("srv/roc");
    stdout_of("diff", &["-r", &bundle.out.display().to_string(), &there.display().to_string()])?;
    report_ok(
        "pull on a machine of the room: the same bytes, signed by a trusted key; the registry is gone from here on",
    );

    mirror.sh(&format!("systemd-run --quiet --unit=mirror kube-bundle serve /srv/roc --listen {MIRROR}:8000"))?;
    let machines = cluster.machines(context)?;
    open_for_people(&bundle)?;
    on_all(&machines, |machine| install(machine, &cluster))?;
    for machine in &machines {
        bundle.wait_healthy(machine)?;
    }
    report_ok("apt on three machines, from the mirror: all masters well, with nobody there");
    Ok(())
}

/// By apt, with the machine's key handed over by its hypervisor, and trusted keys that were there before.
fn install(machine: &Machine, cluster: &Cluster) -> Result<()> {
    machine.copy_in(&cluster.directory().join("trust"), "etc/kube-bundle")?;
    machine.copy_in(&cluster.directory().join("pki/seal").join(format!("{}.pem", machine.name)), "root")?;
    let source = format!("deb [signed-by=/etc/kube-bundle/trust/apt.gpg] http://{MIRROR}:8000/deb ./\n");
    machine.write("etc/apt/sources.list.d/roc.list", &source)?;
    machine.sh(&format!("{APT} update"))?;
    let name = &machine.name;
    machine.sh(&format!("KUBE_BUNDLE_KEY=/root/{name}.pem {APT} install roc-{name}"))?;
    Ok(())
}
