//! First boots of virtual machines: from disks, from an initramfs, with a network card, and refused ones.
#![expect(clippy::disallowed_methods, reason = "xtask touches files")]

use std::fs;

use anyhow::{Context, Result, ensure};

use super::boot::{machine, node};
use crate::e2e::bundle::Bundle;
use crate::e2e::cluster::{Cluster, MASTERS};
use crate::e2e::environment::ScenarioContext;
use crate::e2e::report_ok;
use crate::e2e::units::UNITS;
use crate::e2e::vm::{Boot, Vm};

/// What the console shows when an installation succeeds.
pub(super) const SUCCESS: [&str; 4] = [
    "kube-bundle: Verified: 6 files",
    "kube-bundle: Installed master-1 of cluster roc",
    "kube-bundle: Up: ",
    "kube-bundle: Done.",
];

pub(super) fn ensure_console_shows(console: &str, lines: &[&str]) -> Result<()> {
    for line in lines {
        ensure!(console.contains(line), "the console does not show {line:?}");
    }
    Ok(())
}

/// Fails unless the report on the console is that of a healthy master whose first boot ran once.
pub(super) fn ensure_healthy_master(console: &str) -> Result<()> {
    for unit in UNITS.split(' ') {
        ensure_console_shows(console, &[&format!("e2e: {unit} is active")])?;
    }
    ensure_console_shows(console, &["e2e: stamp: installed v1.16.0", "e2e: API server: ok", "e2e: first boots: 1"])
}

fn vm(context: &ScenarioContext, bundle: &Bundle, name: &str, has_card: bool) -> Result<Vm> {
    Vm::new(&machine(context, bundle, name)?, has_card)
}

/// Boots two machines: stand-ins at the same time. Emulated machines with real components need both processors each, or they
/// are not up when the installer stops waiting.
pub(super) fn run_both<T: Send>(
    context: &ScenarioContext,
    one: impl FnOnce() -> Result<T> + Send,
    other: impl FnOnce() -> Result<T> + Send,
) -> Result<[T; 2]> {
    if context.real {
        return Ok([one()?, other()?]);
    }
    std::thread::scope(|scope| {
        let other = scope.spawn(other);
        let one = one();
        let other = other.join().unwrap_or_else(|_| anyhow::bail!("a boot panicked"));
        Ok([one?, other?])
    })
}

pub(super) fn disks(context: &ScenarioContext) -> Result<()> {
    let cluster = Cluster::new(context, 1)?;
    let iso = cluster.build_as("nocloud", "iso", &[])?;
    let vfat = cluster.build_as("nocloud", "vfat", &["--seed-image", "vfat"])?;
    let split = cluster.build_as("nocloud", "split", &["--seed", "split"])?;
    let (mut one, mut two, mut three) =
        (vm(context, &iso, "iso", false)?, vm(context, &vfat, "vfat", false)?, vm(context, &split, "split", false)?);
    let iso_disks = [node(&iso).join("cidata.iso")];
    let boot = Boot { disks: &iso_disks, ..Boot::default() };

    let vfat_disks = [node(&vfat).join("cidata.img")];
    let consoles = run_both(context, || one.boot(&boot), || two.boot(&Boot { disks: &vfat_disks, ..Boot::default() }))?;
    for (console, what) in consoles.iter().zip(["an ISO", "vfat"]) {
        ensure_console_shows(console, &["kube-bundle: Found /dev/vdb, labelled cidata"])
            .with_context(|| what.to_owned())?;
        ensure_console_shows(console, &SUCCESS)
            .and_then(|()| ensure_healthy_master(console))
            .with_context(|| what.to_owned())?;
        report_ok(&format!("{what}: found, verified, installed, units active, on the console"));
    }
    let split_disks = [node(&split).join("cidata.iso"), split.out.join("programs.iso")];
    let [again, console] =
        run_both(context, || one.boot(&boot), || three.boot(&Boot { disks: &split_disks, ..Boot::default() }))?;
    ensure_healthy_master(&again)?;
    ensure!(!again.contains("kube-bundle: First boot"), "the second boot did it again");
    report_ok("the second boot does nothing again, and all is up");
    ensure_console_shows(
        &console,
        &["kube-bundle: Found /dev/vdb, labelled cidata", "kube-bundle: Found /dev/vdc, labelled kube-bundle"],
    )?;
    ensure_console_shows(&console, &SUCCESS)?;
    ensure_healthy_master(&console)?;
    report_ok("two disks, keys on one and programs on the other: found, verified, installed, units active");
    Ok(())
}

pub(super) fn initrd(context: &ScenarioContext) -> Result<()> {
    let cluster = Cluster::new(context, 1)?;
    let bundle = cluster.build_as("initrd", "initrd", &[])?;
    let overlay = node(&bundle).join("initrd.cpio");
    let (mut one, mut two, mut three) = (
        vm(context, &bundle, "initramfs-tools", false)?,
        vm(context, &bundle, "dracut", false)?,
        vm(context, &bundle, "run", false)?,
    );
    let boot = Boot { overlay: Some(&overlay), ..Boot::default() };
    let consoles = run_both(
        context,
        || one.boot(&boot),
        || two.boot(&Boot { dracut: true, overlay: Some(&overlay), ..Boot::default() }),
    )?;
    for (console, what) in consoles.iter().zip(["initramfs-tools", "dracut"]) {
        ensure_console_shows(console, &["kube-bundle: seeded ", "e2e: seed: 0 packages left"])
            .with_context(|| what.to_owned())?;
        ensure_console_shows(console, &SUCCESS)
            .and_then(|()| ensure_healthy_master(console))
            .with_context(|| what.to_owned())?;
        report_ok(&format!(
            "an archive behind the initramfs of {what}: seeded, found, verified, installed, units active"
        ));
    }
    let parameters = "kube-bundle=run ds=nocloud;s=file:///run/kube-bundle/seed/";
    let [again, console] = run_both(
        context,
        || one.boot(&boot),
        || three.boot(&Boot { overlay: Some(&overlay), parameters, ..Boot::default() }),
    )?;
    ensure_console_shows(&again, &["kube-bundle: the seed in", "is this one already"])?;
    ensure_healthy_master(&again)?;
    ensure!(!again.contains("kube-bundle: First boot"), "the second boot did it again");
    report_ok("the second boot with the same archive does nothing again");
    ensure_console_shows(
        &console,
        &["kube-bundle: seeded /run/kube-bundle/seed", "kube-bundle: Found /run/kube-bundle/seed"],
    )?;
    ensure_console_shows(&console, &SUCCESS)?;
    ensure_healthy_master(&console)?;
    ensure!(!three.list("/var/lib/cloud/seed")?.contains("/nocloud/"), "the root got a seed");
    report_ok("kube-bundle=run: the seed was in memory alone");
    Ok(())
}

/// The address of the network card, in cluster.toml and in qemu.
const MAC: &str = "52:54:00:12:34:56";

pub(super) fn network(context: &ScenarioContext) -> Result<()> {
    let cluster = Cluster::new(context, 1)?;
    let roles = "roles = [\"etcd\", \"master\"]\n";
    let fixed = format!("{roles}[nodes.network]\nmac = \"{MAC}\"\naddress = \"{}/16\"\n", MASTERS[0].1);
    cluster.edit("cluster.toml", roles, &fixed)?;
    let fixed_seed = cluster.build_as("nocloud", "fixed", &[])?;
    let asking = format!("{roles}[nodes.network]\nmac = \"{MAC}\"\ninterface = \"lan0\"\ndhcp = true\n");
    cluster.edit("cluster.toml", &fixed, &asking)?;
    let asking_seed = cluster.build_as("nocloud", "asking", &[])?;
    let (mut one, mut two) = (vm(context, &fixed_seed, "fixed", true)?, vm(context, &asking_seed, "asking", true)?);
    let (fixed_disk, asking_disk) = ([node(&fixed_seed).join("cidata.iso")], [node(&asking_seed).join("cidata.iso")]);
    let consoles = run_both(
        context,
        || one.boot(&Boot { disks: &fixed_disk, mac: Some(MAC), ..Boot::default() }),
        || two.boot(&Boot { disks: &asking_disk, mac: Some(MAC), ..Boot::default() }),
    )?;
    for (console, (card, what)) in consoles.iter().zip([("kube0", "an address"), ("lan0", "dhcp = true")]) {
        ensure_console_shows(console, &SUCCESS)
            .and_then(|()| ensure_healthy_master(console))
            .with_context(|| what.to_owned())?;
        ensure_console_shows(console, &[&format!("e2e: address: {card} ")]).with_context(|| what.to_owned())?;
        report_ok(&format!("{what}: the card is {card}, has the node's address, and the machine is a master"));
    }
    Ok(())
}

pub(super) fn refusals(context: &ScenarioContext) -> Result<()> {
    let cluster = Cluster::new(context, 1)?;
    let bundle = cluster.build_as("nocloud", "one", &[])?;
    let (mut flipped, mut late) = (vm(context, &bundle, "flipped", false)?, vm(context, &bundle, "late", false)?);
    let status =
        fs::read_to_string(context.cloud_root.join("var/lib/dpkg/status")).context("could not read dpkg's list")?;
    let whole = [node(&bundle).join("cidata.iso")];
    let damaged = [context.work.join("damaged.iso")];
    let mut bytes = fs::read(&whole[0]).context("could not read the image")?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&damaged[0], bytes).context("could not write the image")?;

    let consoles = run_both(
        context,
        || flipped.boot(&Boot { disks: &damaged, ..Boot::default() }),
        || late.boot(&Boot { disks: &whole, clock: Some("2041-01-01T00:00:00"), ..Boot::default() }),
    )?;
    let sentences = [
        ["expected sha256 ", "fix: write this machine's seed again, as the bundle has it"],
        ["this machine's clock says 2041-01-01T00:", "fix: set the clock, or, if it is right, build the bundle again"],
    ];
    for (((console, vm), lines), what) in
        consoles.iter().zip([&flipped, &late]).zip(sentences).zip(["one flipped byte", "a clock years off"])
    {
        ensure_console_shows(console, &lines).with_context(|| what.to_owned())?;
        ensure_console_shows(console, &["kube-bundle: Nothing was changed.", "e2e: stamp: failed"])
            .with_context(|| what.to_owned())?;
        ensure!(vm.read("/var/lib/dpkg/status")? == status, "{what}: dpkg's list of packages changed");
        ensure!(!vm.list("/usr/bin")?.contains("/kube"), "{what}: programs were installed");
        for directory in ["/etc", "/var/lib"] {
            let names = vm.list(directory)?;
            ensure!(
                !names.contains("/kubernetes/") && !names.contains("/kube-bundle/"),
                "{what}: files in {directory}"
            );
        }
        report_ok(&format!("{what}: refused on the console with the sentence, the system as it was"));
    }
    Ok(())
}
