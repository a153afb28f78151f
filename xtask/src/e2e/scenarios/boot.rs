//! First boots that nobody attends, in containers: everything that needs no disk and no kernel.
#![expect(clippy::disallowed_methods, reason = "chores run programs and touch files")]

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::e2e::cluster::{Bundle, Cluster, MASTERS, give_etcd};
use crate::e2e::ground::{HERE, Scene};
use crate::e2e::machine::Machine;
use crate::e2e::proved;
use crate::e2e::shell::{must, outcome};
use crate::e2e::units::all_active;

const STAMP: &str = "/var/lib/cloud/instance/kube-bundle";
const SEED: &str = "var/lib/cloud/seed/nocloud";

/// A machine with cloud-init and an etcd that is there before anything else.
pub(super) fn machine(scene: &Scene, bundle: &Bundle, name: &str) -> Result<Machine> {
    let (node, address) = MASTERS[0];
    let machine = Machine::on(&scene.cloud, scene, name, address)?;
    give_etcd(&machine, &[(node, address)], &bundle.out)?;
    machine.carry(&bundle.out.join("operator/admin.kubeconfig"), "root")?;
    let root = machine.path("").display().to_string();
    must("chroot", &[&root, "sh", "-c", &format!("sed -i 's/^ETCD_NAME=.*/ETCD_NAME={node}/' /etc/default/etcd")])?;
    must("chroot", &[&root, "systemctl", "--quiet", "enable", "etcd"])?;
    Ok(machine)
}

pub(super) fn node(bundle: &Bundle) -> PathBuf {
    bundle.out.join("nodes").join(MASTERS[0].0)
}

/// Puts a seed where cloud-init looks in a root: its three files, and what is installed.
fn plant(machine: &Machine, bundle: &Bundle, payload: &str) -> Result<()> {
    let seed = machine.path(SEED);
    let _ = fs::remove_dir_all(&seed);
    fs::create_dir_all(&seed).context("could not make the seed's directory")?;
    let from = node(bundle);
    let script = format!("cp {}/nocloud/* {payload} {}", from.display(), seed.display());
    must("sh", &["-c", &format!("cd {} && {script}", bundle.out.display())]).map(drop)
}

fn until_done(machine: &Machine) -> Result<String> {
    machine.until("its first boot", 200, &format!("grep -qE 'installed|failed' {STAMP}"))?;
    machine.until("cloud-init's end", 60, "test -e /run/cloud-init/result.json")?;
    Ok(machine.sh(&format!("cat {STAMP}"))?.trim().to_owned())
}

fn log(machine: &Machine) -> Result<String> {
    machine.sh("cat /var/log/kube-bundle-boot.log")
}

/// No package, no file of ours.
fn is_untouched(machine: &Machine) -> Result<()> {
    machine.sh("! dpkg -l | grep -E 'kube-bundle|roc-'")?;
    machine.sh("! ls -d /usr/bin/kube* /usr/local/bin/kube* /etc/kubernetes /var/lib/kubernetes /var/lib/kube-bundle 2>/dev/null").map(drop)
}

pub(super) fn directory(scene: &Scene) -> Result<()> {
    let cluster = Cluster::new(scene, 1)?;
    let bundle = cluster.build_as("nocloud", "one", &[])?;
    schema(scene, &cluster)?;

    let mut first = machine(scene, &bundle, "packages")?;
    plant(&first, &bundle, "deb/*.deb")?;
    first.boot()?;
    ensure!(until_done(&first)? == "installed v1.16.0", "{}", log(&first)?);
    bundle.healthy(&first)?;
    all_active(&first)?;
    let said = log(&first)?;
    for line in
        ["Found /var/lib/cloud/seed/nocloud", "Verified: 5 files", "Installed master-1 of cluster roc", "Up: ", "Done."]
    {
        ensure!(said.contains(line), "no {line:?} in\n{said}");
    }
    ensure!(first.sh("hostname")?.trim() == "master-1", "the host has another name");
    first.sh(&format!("! ls /{SEED}/*.deb 2>/dev/null"))?;
    first.sh("test $(stat -c %a /var/log/kube-bundle-boot.log) = 600")?;
    proved("packages in the seed's directory: found, verified, installed, up; the copies with keys are gone");

    first.reboot()?;
    bundle.healthy(&first)?;
    first.until("cloud-init's end", 60, "test -e /run/cloud-init/result.json")?;
    ensure!(log(&first)? == said, "the second boot did it again");
    proved("second boot: nothing is done again");

    cluster.edit("recipe/roles/master/units/kube-scheduler.service", "--v=2", "--v=3")?;
    cluster.edit("recipe/roles/master/config/kube-scheduler.yaml", "leaderElect: true", "leaderElect: true # still")?;
    let changed = cluster.build_as("nocloud", "two", &[])?;
    first.sh("echo '# mine' >>/etc/kubernetes/config/kube-scheduler.yaml")?;
    plant(&first, &changed, "deb/*.deb")?;
    first.reboot()?;
    first.until("its upgrade", 200, "dpkg-query -W -f '${Version}' roc-master-1 | grep -q -e '-2$'")?;
    ensure!(until_done(&first)? == "installed v1.16.0", "{}", log(&first)?);
    first.sh("systemctl cat kube-scheduler | grep -q -e --v=3")?;
    all_active(&first)?;
    first.sh("grep -q '# mine' /etc/kubernetes/config/kube-scheduler.yaml")?;
    proved(
        "a seed with a changed flag is another instance: the next boot upgrades, and keeps what was changed by hand",
    );
    plant(&first, &bundle, "deb/*.deb")?;
    first.reboot()?;
    first.until("its way back", 200, "dpkg-query -W -f '${Version}' roc-master-1 | grep -q -e '-1$'")?;
    ensure!(until_done(&first)? == "installed v1.16.0", "{}", log(&first)?);
    all_active(&first)?;
    proved("the first seed again: the next boot goes back");
    drop(first);

    let mut cut = machine(scene, &bundle, "cut")?;
    plant(&cut, &bundle, "deb/*.deb")?;
    cut.boot()?;
    cut.until("its installation's begin", 100, "dpkg-query -W kube-bundle-kube-apiserver >/dev/null 2>&1")?;
    ensure!(cut.sh(&format!("cat {STAMP}"))?.trim() == "started", "it was too quick");
    cut.power_off()?;
    cut.boot()?;
    cut.until("its first boot", 200, &format!("grep -q installed {STAMP}"))?;
    bundle.healthy(&cut)?;
    all_active(&cut)?;
    proved("the power fails while packages are unpacked: the next boot completes it");
    drop(cut);

    let mut taken = machine(scene, &bundle, "taken")?;
    plant(&taken, &bundle, "deb/*.deb")?;
    taken.write(
        "tmp/other/DEBIAN/control",
        "Package: other\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b.invalid>\nDescription: x\n",
    )?;
    taken.write("tmp/other/usr/bin/kubectl", "another one")?;
    let root = taken.path("").display().to_string();
    must(
        "chroot",
        &[&root, "sh", "-c", "dpkg-deb -b /tmp/other /tmp/other.deb && dpkg -i /tmp/other.deb && rm -r /tmp/other*"],
    )?;
    taken.boot()?;
    ensure!(until_done(&taken)? == "failed", "{}", log(&taken)?);
    ensure!(log(&taken)?.contains("/usr/bin/kubectl belongs to the package other"), "{}", log(&taken)?);
    taken.sh("! dpkg -l | grep -E 'kube-bundle|roc-'")?;
    proved("a file of a package that is another's: refused before anything is unpacked");
    drop(taken);

    let mut damaged = machine(scene, &bundle, "damaged")?;
    plant(&damaged, &bundle, "deb/*.deb")?;
    damaged.sh_outside(
        "f=$(echo kube-bundle-kubectl_*); printf x | dd of=$f bs=1 seek=5000 conv=notrunc status=none",
        SEED,
    )?;
    damaged.boot()?;
    ensure!(until_done(&damaged)? == "failed", "{}", log(&damaged)?);
    let said = log(&damaged)?;
    for line in ["expected sha256", "fix: write this machine's seed again", "Nothing was changed."] {
        ensure!(said.contains(line), "no {line:?} in\n{said}");
    }
    is_untouched(&damaged)?;
    proved("one flipped byte: refused by name, nothing was changed");
    drop(damaged);

    cluster.edit("cluster.toml", "[etcd]", "[output.seed]\npayload = \"tarball\"\n[etcd]")?;
    let archive = cluster.build_as("nocloud", "three", &[])?;
    let mut second = machine(scene, &archive, "archive")?;
    plant(&second, &archive, "nodes/master-1/*.tar.gz")?;
    second.boot()?;
    ensure!(until_done(&second)? == "installed v1.16.0", "{}", log(&second)?);
    archive.healthy(&second)?;
    all_active(&second)?;
    second.sh("test -x /usr/local/bin/kube-apiserver && ! ls /var/tmp/kube-bundle* 2>/dev/null")?;
    proved("payload = \"tarball\", for systems without dpkg: installed by install.sh, up");
    drop(second);

    let address = HERE.trim_end_matches("/16");
    cluster.edit(
        "cluster.toml",
        "payload = \"tarball\"\n",
        &format!("[output.mirror]\nurl = \"http://{address}:8000\"\n"),
    )?;
    let served = cluster.build_as("user-data", "four", &[])?;
    let _server = Server::start(&served)?;
    let mut third = machine(scene, &served, "fetching")?;
    let seed = third.path(SEED);
    fs::create_dir_all(&seed).context("could not make the seed's directory")?;
    fs::copy(node(&served).join("user-data"), seed.join("user-data")).context("could not copy user data")?;
    third.write(&format!("{SEED}/meta-data"), "instance-id: a-cloud-gave-it\n")?;
    third.write(&format!("{SEED}/network-config"), "config: disabled\n")?;
    third.boot()?;
    ensure!(until_done(&third)? == "installed v1.16.0", "{}", log(&third)?);
    served.healthy(&third)?;
    ensure!(log(&third)?.contains(&format!("Fetched from http://{address}:8000")), "{}", log(&third)?);
    third.sh("! ls /var/tmp/kube-bundle* 2>/dev/null")?;
    proved("user data alone: fetched from a web server, verified, installed, up");
    drop(third);

    fs::write(served.package("roc-master-1")?, "something else").context("could not damage a package")?;
    let mut fourth = machine(scene, &served, "deceived")?;
    fs::create_dir_all(fourth.path(SEED)).context("could not make the seed's directory")?;
    fs::copy(node(&served).join("user-data"), fourth.path(SEED).join("user-data"))
        .context("could not copy user data")?;
    fourth.write(&format!("{SEED}/meta-data"), "instance-id: a-cloud-gave-it\n")?;
    fourth.write(&format!("{SEED}/network-config"), "config: disabled\n")?;
    fourth.boot()?;
    ensure!(until_done(&fourth)? == "failed", "{}", log(&fourth)?);
    ensure!(log(&fourth)?.contains("expected sha256"), "{}", log(&fourth)?);
    is_untouched(&fourth)?;
    proved("a web server that sends something else: refused, nothing was changed");
    Ok(())
}

/// A web server over a bundle, for as long as this lives.
struct Server(Child);

impl Server {
    fn start(bundle: &Bundle) -> Result<Self> {
        let mut python = Command::new("python3");
        python.args(["-m", "http.server", "8000"]).current_dir(&bundle.out);
        let child = python.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Ok(Self(child.context("could not run python3")?))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// cloud-init's own opinion of what it is given.
fn schema(scene: &Scene, cluster: &Cluster) -> Result<()> {
    cluster.edit(
        "cluster.toml",
        "roles = [\"master\"]\n",
        "roles = [\"master\"]\n[nodes.network]\nmac = \"52:54:00:12:34:56\"\naddress = \"10.200.16.79/16\"\ngateway = \"10.200.0.1\"\ndns = [\"10.200.0.2\"]\n",
    )?;
    let bundle = cluster.build_as("nocloud", "with-network", &[])?;
    cluster.edit(
        "cluster.toml",
        "[nodes.network]\nmac = \"52:54:00:12:34:56\"\naddress = \"10.200.16.79/16\"\ngateway = \"10.200.0.1\"\ndns = [\"10.200.0.2\"]\n",
        "",
    )?;
    let machine = Machine::on(&scene.cloud, scene, "schema", MASTERS[0].1)?;
    machine.carry(&node(&bundle).join("nocloud"), "root")?;
    let root = machine.path("").display().to_string();
    let said = must("chroot", &[&root, "cloud-init", "schema", "--config-file", "/root/nocloud/user-data"])?;
    ensure!(said.contains("Valid"), "{said}");
    let network = "/root/nocloud/network-config";
    let asked = ["cloud-init", "schema", "--schema-type", "network-config", "--config-file", network];
    let said = outcome("chroot", &[&[root.as_str()][..], &asked].concat())?;
    // Before 24.1 it knows no networks.
    ensure!(said.text.contains("Valid") || said.text.contains("unrecognized arguments"), "{}", said.text);
    let said = must(
        "chroot",
        &[
            &root,
            "cloud-init",
            "devel",
            "net-convert",
            "--network-data",
            "/root/nocloud/network-config",
            "--kind",
            "yaml",
            "--directory",
            "/tmp/net",
            "--output-kind",
            "networkd",
            "--distro",
            "debian",
            "-m",
            "eth0,52:54:00:12:34:56",
        ],
    )?;
    let rendered = must("sh", &["-c", &format!("cat {root}/tmp/net/etc/systemd/network/*")])?;
    for line in ["MACAddress=52:54:00:12:34:56", "Address=10.200.16.79/16", "Gateway=10.200.0.1", "DNS=10.200.0.2"] {
        ensure!(rendered.contains(line), "no {line:?} in {rendered}{said}");
    }
    proved("cloud-init finds user data valid, and makes of network-config what cluster.toml says");
    Ok(())
}
