//! Unattended first boots in containers: whatever needs neither a disk nor a kernel.
#![expect(clippy::disallowed_methods, reason = "xtask runs programs and touches files")]

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::cloud_init;
use crate::e2e::bundle::Bundle;
use crate::e2e::cluster::{Cluster, MASTERS};
use crate::e2e::environment::{HOST_ADDRESS, ScenarioContext};
use crate::e2e::machine::Machine;
use crate::e2e::report_ok;
use crate::e2e::shell::stdout_of;
use crate::e2e::units::wait_units_active;

/// Where the first boot records how it ended.
const STAMP: &str = "/var/lib/cloud/instance/kube-bundle";
/// Where cloud-init looks for a seed in the root.
pub(super) const SEED: &str = "var/lib/cloud/seed/nocloud";

/// A machine with cloud-init, not booted yet.
pub(super) fn machine(context: &ScenarioContext, bundle: &Bundle, name: &str) -> Result<Machine> {
    let machine = Machine::with_root(&context.cloud_root, context, name, MASTERS[0].1)?;
    machine.copy_in(&bundle.out.join("operator/admin.kubeconfig"), "root")?;
    Ok(machine)
}

/// The same for one of several nodes, with its seed of packages.
pub(super) fn machine_of(context: &ScenarioContext, bundle: &Bundle, node: &str, address: &str) -> Result<Machine> {
    let machine = Machine::with_root(&context.cloud_root, context, node, address)?;
    let seed = machine.path(SEED);
    fs::create_dir_all(&seed).context("could not make the seed's directory")?;
    let images = if node.starts_with("worker") { "deb/roc-images_*.deb" } else { "" };
    let packages =
        format!("cp nodes/{node}/nocloud/* deb/kube-bundle-*.deb {images} deb/roc-{node}_*.deb {}", seed.display());
    stdout_of("sh", &["-c", &format!("cd {} && {packages}", bundle.out.display())])?;
    Ok(machine)
}

/// The output directory of the first master.
pub(super) fn node(bundle: &Bundle) -> PathBuf {
    bundle.out.join("nodes").join(MASTERS[0].0)
}

/// Writes a seed to the root of a machine: the files of cloud-init, and the payload (a pattern below the bundle).
pub(super) fn write_seed(machine: &Machine, bundle: &Bundle, payload: &str) -> Result<()> {
    let seed = machine.path(SEED);
    let _ = fs::remove_dir_all(&seed);
    fs::create_dir_all(&seed).context("could not make the seed's directory")?;
    let from = node(bundle);
    let script = format!("cp {}/nocloud/* {payload} {}", from.display(), seed.display());
    stdout_of("sh", &["-c", &format!("cd {} && {script}", bundle.out.display())]).map(drop)
}

/// Waits until the first boot has ended; returns `installed VERSION` or `failed`.
fn wait_for_stamp(machine: &Machine) -> Result<String> {
    machine.wait_until("its first boot", 400, &format!("grep -qE 'installed|failed' {STAMP}"))?;
    machine.wait_until("cloud-init's end", 60, "test -e /run/cloud-init/result.json")?;
    Ok(machine.sh(&format!("cat {STAMP}"))?.trim().to_owned())
}

fn log(machine: &Machine) -> Result<String> {
    machine.sh("cat /var/log/kube-bundle-boot.log")
}

/// Fails if a package or a file of the bundle is there.
pub(super) fn ensure_untouched(machine: &Machine) -> Result<()> {
    machine.sh("! dpkg -l | grep -E 'kube-bundle|roc-'")?;
    machine.sh("! ls -d /usr/bin/kube* /usr/local/bin/kube* /etc/kubernetes /var/lib/kubernetes /var/lib/kube-bundle 2>/dev/null").map(drop)
}

pub(super) fn ensure_installed(machine: &Machine) -> Result<()> {
    ensure!(wait_for_stamp(machine)? == "installed v1.16.0", "{}", log(machine)?);
    Ok(())
}

/// Fails unless the first boot failed and its log has every one of `lines`.
pub(super) fn ensure_refused(machine: &Machine, lines: &[&str]) -> Result<()> {
    ensure!(wait_for_stamp(machine)? == "failed", "{}", log(machine)?);
    ensure_logged(&log(machine)?, lines)
}

fn ensure_logged(log: &str, lines: &[&str]) -> Result<()> {
    for line in lines {
        ensure!(log.contains(line), "no {line:?} in\n{log}");
    }
    Ok(())
}

pub(super) fn directory(context: &ScenarioContext) -> Result<()> {
    let cluster = Cluster::new(context, 1)?;
    let bundle = cluster.build_as("nocloud", "one", &[])?;
    cloud_init::check_schema(context, &cluster)?;
    packages(context, &cluster, &bundle)?;
    power_failure(context, &bundle)?;
    file_of_another_package(context, &bundle)?;
    damaged_package(context, &bundle)?;
    archive(context, &cluster)?;
    web_server(context, &cluster)
}

fn packages(context: &ScenarioContext, cluster: &Cluster, bundle: &Bundle) -> Result<()> {
    let mut machine = machine(context, bundle, "packages")?;
    write_seed(&machine, bundle, "deb/*.deb")?;
    machine.boot()?;
    ensure_installed(&machine)?;
    bundle.wait_healthy(&machine)?;
    wait_units_active(&machine)?;
    let first_log = log(&machine)?;
    ensure_logged(
        &first_log,
        &[
            "Found /var/lib/cloud/seed/nocloud",
            "Verified: 6 files",
            "Installed master-1 of cluster roc",
            "Up: ",
            "Done.",
        ],
    )?;
    ensure!(machine.sh("hostname")?.trim() == "master-1", "the host has another name");
    machine.sh(&format!("! ls /{SEED}/*.deb 2>/dev/null"))?;
    machine.sh("test $(stat -c %a /var/log/kube-bundle-boot.log) = 600")?;
    report_ok("packages in the seed's directory: found, verified, installed, up; the copies with keys are gone");

    machine.reboot()?;
    bundle.wait_healthy(&machine)?;
    machine.wait_until("cloud-init's end", 60, "test -e /run/cloud-init/result.json")?;
    ensure!(log(&machine)? == first_log, "the second boot did it again");
    report_ok("second boot: nothing is done again");
    other_seeds(cluster, bundle, &mut machine)
}

/// Another seed is another instance for cloud-init: it upgrades, and the first one again goes back.
fn other_seeds(cluster: &Cluster, bundle: &Bundle, machine: &mut Machine) -> Result<()> {
    cluster.edit_recipe("kube-scheduler.service", "--v=2", "--v=3")?;
    cluster.edit_recipe("kube-scheduler.yaml", "leaderElect: true", "leaderElect: true # still")?;
    let changed = cluster.build_as("nocloud", "two", &[])?;
    machine.sh("echo '# mine' >>/etc/kubernetes/config/kube-scheduler.yaml")?;
    write_seed(machine, &changed, "deb/*.deb")?;
    machine.reboot()?;
    machine.wait_until("its upgrade", 200, "dpkg-query -W -f '${Version}' roc-master-1 | grep -q -e '-2$'")?;
    ensure_installed(machine)?;
    machine.sh("systemctl cat kube-scheduler | grep -q -e --v=3")?;
    wait_units_active(machine)?;
    machine.sh("grep -q '# mine' /etc/kubernetes/config/kube-scheduler.yaml")?;
    report_ok(
        "a seed with a changed flag is another instance: the next boot upgrades, and keeps what was changed by hand",
    );
    write_seed(machine, bundle, "deb/*.deb")?;
    machine.reboot()?;
    machine.wait_until("its downgrade", 200, "dpkg-query -W -f '${Version}' roc-master-1 | grep -q -e '-1$'")?;
    ensure_installed(machine)?;
    wait_units_active(machine)?;
    report_ok("the first seed again: the next boot goes back");
    Ok(())
}

fn power_failure(context: &ScenarioContext, bundle: &Bundle) -> Result<()> {
    let mut machine = machine(context, bundle, "cut")?;
    write_seed(&machine, bundle, "deb/*.deb")?;
    machine.boot()?;
    machine.wait_until("the first package", 100, "dpkg-query -W kube-bundle-kube-apiserver >/dev/null 2>&1")?;
    ensure!(machine.sh(&format!("cat {STAMP}"))?.trim() == "started", "it was installed before the power failed");
    machine.power_off()?;
    machine.boot()?;
    machine.wait_until("its first boot", 200, &format!("grep -q installed {STAMP}"))?;
    bundle.wait_healthy(&machine)?;
    wait_units_active(&machine)?;
    report_ok("the power fails while packages are unpacked: the next boot completes it");
    Ok(())
}

fn file_of_another_package(context: &ScenarioContext, bundle: &Bundle) -> Result<()> {
    let mut machine = machine(context, bundle, "taken")?;
    write_seed(&machine, bundle, "deb/*.deb")?;
    machine.write(
        "tmp/other/DEBIAN/control",
        "Package: other\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b.invalid>\nDescription: x\n",
    )?;
    machine.write("tmp/other/usr/bin/kubectl", "another one")?;
    let root = machine.path("").display().to_string();
    let install = "dpkg-deb -b /tmp/other /tmp/other.deb && dpkg -i /tmp/other.deb && rm -r /tmp/other*";
    stdout_of("chroot", &[&root, "sh", "-c", install])?;
    machine.boot()?;
    ensure_refused(&machine, &["/usr/bin/kubectl belongs to the package other"])?;
    machine.sh("! dpkg -l | grep -E 'kube-bundle|roc-'")?;
    report_ok("a file that belongs to another package: refused before anything is unpacked");
    Ok(())
}

fn damaged_package(context: &ScenarioContext, bundle: &Bundle) -> Result<()> {
    let mut machine = machine(context, bundle, "damaged")?;
    write_seed(&machine, bundle, "deb/*.deb")?;
    machine.sh_on_host(
        "f=$(echo kube-bundle-kubectl_*); printf x | dd of=$f bs=1 seek=5000 conv=notrunc status=none",
        SEED,
    )?;
    machine.boot()?;
    ensure_refused(&machine, &["expected sha256", "fix: write this machine's seed again", "Nothing was changed."])?;
    ensure_untouched(&machine)?;
    report_ok("one flipped byte: refused by name, nothing was changed");
    Ok(())
}

fn archive(context: &ScenarioContext, cluster: &Cluster) -> Result<()> {
    cluster.edit("cluster.toml", "[[nodes]]", "[output.seed]\npayload = \"tarball\"\n[[nodes]]")?;
    let bundle = cluster.build_as("nocloud", "three", &[])?;
    let mut machine = machine(context, &bundle, "archive")?;
    write_seed(&machine, &bundle, "nodes/master-1/*.tar.gz")?;
    machine.boot()?;
    ensure_installed(&machine)?;
    bundle.wait_healthy(&machine)?;
    wait_units_active(&machine)?;
    machine.sh("test -x /usr/local/bin/kube-apiserver && ! ls /var/tmp/kube-bundle* 2>/dev/null")?;
    report_ok("payload = \"tarball\", for systems without dpkg: installed by install.sh, up");
    Ok(())
}

/// User data alone, without the other files of a seed: everything else is fetched from a web server.
fn web_server(context: &ScenarioContext, cluster: &Cluster) -> Result<()> {
    let url = format!("http://{}:8000", HOST_ADDRESS.trim_end_matches("/16"));
    let mirror = format!("[output.mirror]\nurl = \"{url}\"\n");
    cluster.edit("cluster.toml", "payload = \"tarball\"\n", &mirror)?;
    let bundle = cluster.build_as("user-data", "four", &[])?;
    let _server = WebServer::start(&bundle)?;
    let mut fetching = machine_with_user_data(context, &bundle, "fetching")?;
    fetching.boot()?;
    ensure_installed(&fetching)?;
    bundle.wait_healthy(&fetching)?;
    ensure_logged(&log(&fetching)?, &[&format!("Fetched from {url}")])?;
    fetching.sh("! ls /var/tmp/kube-bundle* 2>/dev/null")?;
    report_ok("user data alone: fetched from a web server, verified, installed, up");
    // Both machines have the same address.
    drop(fetching);

    fs::write(bundle.package("roc-master-1")?, "something else").context("could not damage a package")?;
    let mut deceived = machine_with_user_data(context, &bundle, "deceived")?;
    deceived.boot()?;
    ensure_refused(&deceived, &["expected sha256"])?;
    ensure_untouched(&deceived)?;
    report_ok("a web server that sends something else: refused, nothing was changed");
    Ok(())
}

fn machine_with_user_data(context: &ScenarioContext, bundle: &Bundle, name: &str) -> Result<Machine> {
    let machine = machine(context, bundle, name)?;
    let seed = machine.path(SEED);
    fs::create_dir_all(&seed).context("could not make the seed's directory")?;
    fs::copy(node(bundle).join("user-data"), seed.join("user-data")).context("could not copy user data")?;
    machine.write(&format!("{SEED}/meta-data"), "instance-id: a-cloud-gave-it\n")?;
    machine.write(&format!("{SEED}/network-config"), "config: disabled\n")?;
    Ok(machine)
}

/// Serves a bundle on port 8000 until it is dropped.
struct WebServer(Child);

impl WebServer {
    fn start(bundle: &Bundle) -> Result<Self> {
        let mut python = Command::new("python3");
        python.args(["-m", "http.server", "8000"]).current_dir(&bundle.out);
        let child = python.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Ok(Self(child.context("could not run python3")?))
    }
}

impl Drop for WebServer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
