//! Packages, installed as operators install them.

use anyhow::{Result, ensure};

use crate::e2e::cluster::{Bundle, Cluster, ETCDCTL};
use crate::e2e::ground::Scene;
use crate::e2e::machine::{Machine, same_files};
use crate::e2e::units::{UNITS, all_active, restarted, starts};
use crate::e2e::{left_out, proved};

/// What an operator types with the machine's packages in /root/one.
const DPKG: &str = "dpkg -i /root/one/*.deb";
const PURGE: &str = "apt-get purge -y -q 'roc-master-*' 'kube-bundle-*'";
/// Names of the packages that are there.
const OURS: &str =
    "$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\\n' 'roc-*' 'kube-bundle-*' | sed -n 's/^ii *//p')";

/// One machine with one etcd member and the bundle's packages in /root/one.
fn one_master(scene: &Scene) -> Result<(Cluster, Bundle, Machine)> {
    let cluster = Cluster::new(scene, 1)?;
    let bundle = cluster.build("one", &[])?;
    let machine = cluster.machines(scene, &bundle)?.remove(0);
    bundle.carry_packages(&machine, "one")?;
    Ok((cluster, bundle, machine))
}

pub(super) fn three_masters(scene: &Scene) -> Result<()> {
    let cluster = Cluster::new(scene, 3)?;
    let bundle = cluster.build("one", &[])?;
    let machines = cluster.machines(scene, &bundle)?;
    let [first, second, third] = &machines[..] else { unreachable!("three masters were asked for") };

    bundle.carry_packages(first, "one")?;
    // The worst order: what needs the others comes first.
    first.sh("dpkg -i $(ls -r /root/one/*.deb)")?;
    ensure!(first.sh("dpkg -l 'roc-*' 'kube-bundle-*' | grep -c '^ii'")?.trim() == "5", "not all are configured");
    bundle.healthy(first)?;
    proved("dpkg -i, the machine's package before those it depends on: configured, API server well");

    second.carry(&bundle.out.join("deb"), "srv")?;
    second.write("etc/apt/sources.list.d/roc.list", "deb [trusted=yes] file:/srv/deb ./\n")?;
    let offline = "-o Dir::Etc::sourcelist=/etc/apt/sources.list.d/roc.list -o Dir::Etc::sourceparts=- -o APT::Sandbox::User=root";
    let said = second.sh(&format!("apt-get {offline} update 2>&1"))?;
    ensure!(!said.contains("Err:") && !said.contains("W:"), "apt-get update complains:\n{said}");
    let policy = second.sh(&format!("apt-cache {offline} policy roc-master-2"))?;
    ensure!(policy.contains("Candidate: 1.16.0-1") && policy.contains("file:/srv/deb"), "{policy}");
    second.sh(&format!("apt-get {offline} install -y -q roc-master-2"))?;
    second.sh("apt-get check")?;
    bundle.healthy(second)?;
    proved("apt-get install roc-master-2 from the repository in a directory: API server well");

    cluster.edit("recipe/roles/master/units/kube-scheduler.service", "--v=2", "--v=3")?;
    let rebuilt = cluster.build("two", &[])?;
    second.sh("rm -r /srv/deb")?;
    second.carry(&rebuilt.out.join("deb"), "srv")?;
    second.sh(&format!("apt-get {offline} update && apt-get {offline} upgrade -y -q"))?;
    ensure!(
        second.sh("dpkg-query -W -f '${Version}' roc-master-2")? == "1.16.0-2",
        "the rebuilt bundle was not installed"
    );
    bundle.healthy(second)?;
    proved("apt-get upgrade with the rebuilt bundle in the same place: 1.16.0-2, API server well");

    bundle.carry_packages(third, "one")?;
    third.sh("apt-get install -y -q /root/one/*.deb")?;
    bundle.healthy(third)?;
    proved("apt-get install ./*.deb: API server well");

    for machine in &machines {
        all_active(machine)?;
        machine.sh(&format!("debsums --changed {OURS} && dpkg --verify {OURS} | (! grep .)"))?;
        machine.sh("test \"$(stat -c '%a %U:%G' /var/lib/kubernetes)\" = '700 root:root'")?;
        machine.sh(
            "test -z \"$(find /var/lib/kubernetes -name '*key*.pem' ! -perm 600 -o -name '*.kubeconfig' ! -perm 600)\"",
        )?;
        machine.sh("! grep -rl 'PRIVATE KEY' /var/lib/dpkg /var/log /var/cache/debconf 2>/dev/null | grep .")?;
    }
    proved(
        "all units active on all three; debsums and dpkg --verify find nothing; keys 0600, none in dpkg's files or a log",
    );
    bundle.healthy(first)?;
    if !scene.real {
        left_out("the bootstrap objects are there once");
        return Ok(());
    }
    let roles = bundle.kubectl(first, "get clusterrolebindings -o name")?.stdout;
    for name in ["create-csrs-for-bootstrapping", "auto-approve-csrs-for-group", "auto-approve-renewals-for-nodes"] {
        ensure!(roles.matches(name).count() == 1, "{name} in:\n{roles}");
    }
    proved("the bootstrap objects are there once, though three masters applied them");
    Ok(())
}

pub(super) fn upgrade(scene: &Scene) -> Result<()> {
    let (cluster, bundle, machine) = one_master(scene)?;
    machine.sh(DPKG)?;
    all_active(&machine)?;
    let first = starts(&machine)?;

    machine.sh(DPKG)?;
    ensure!(restarted(&first, &starts(&machine)?).is_empty(), "the same packages again restarted something");
    proved("the same packages again: nothing restarts");

    cluster.edit("recipe/roles/master/units/kube-scheduler.service", "--v=2", "--v=3")?;
    let changed = cluster.build("two", &[])?;
    changed.carry_packages(&machine, "two")?;
    machine.sh("dpkg -i /root/two/*.deb")?;
    all_active(&machine)?;
    let second = starts(&machine)?;
    ensure!(restarted(&first, &second) == "kube-scheduler", "restarted: {}", restarted(&first, &second));
    ensure!(machine.sh("dpkg-query -W -f '${Version}' roc-master-1")? == "1.16.0-2", "the revision did not grow");
    machine.sh(
        "tr '\\0' ' ' </proc/$(systemctl show --property=MainPID --value kube-scheduler)/cmdline | grep -q -- --v=3",
    )?;
    proved("a changed flag: version 1.16.0-1 became 1.16.0-2, kube-scheduler alone restarted and has the flag");

    let said = machine.sh("dpkg -i /root/one/*.deb 2>&1")?;
    ensure!(said.contains("downgrading roc-master-1"), "{said}");
    all_active(&machine)?;
    ensure!(restarted(&second, &starts(&machine)?) == "kube-scheduler", "a downgrade restarted something else");
    proved("downgrade: kube-scheduler alone restarted");

    cluster.kube_bundle(&["pki", "renew", "kube-controller-manager"])?;
    let renewed = cluster.build("three", &[])?;
    renewed.carry_packages(&machine, "three")?;
    let third = starts(&machine)?;
    machine.sh("apt-get install -y -q /root/three/*.deb")?;
    all_active(&machine)?;
    let fourth = starts(&machine)?;
    ensure!(
        restarted(&third, &fourth) == "kube-controller-manager kube-scheduler",
        "restarted: {}",
        restarted(&third, &fourth)
    );
    bundle.healthy(&machine)?;
    proved("a renewed certificate and the flag again, by apt-get: the two that they belong to restarted");

    cluster.edit("recipe/recipe.toml", "version = \"v1.16.0\"", "version = \"v1.16.15\"")?;
    let release = cluster.build("four", &[])?;
    release.carry_packages(&machine, "four")?;
    let before = starts(&machine)?;
    machine.sh("dpkg -i /root/four/*.deb")?;
    all_active(&machine)?;
    let versions = machine.sh(&format!("dpkg-query -W -f '${{Version}} ' {OURS}"))?;
    ensure!(versions == "1.16.15-2 1.16.15-2 1.16.15-2 1.16.15-2 1.16.15-4 ", "{versions}");
    ensure!(
        restarted(&before, &starts(&machine)?).is_empty(),
        "the same bytes under another version restarted something"
    );
    proved("another recipe version (the same programs): versions grow to 1.16.15-*, nothing restarts");

    machine.sh("systemctl stop kube-scheduler && systemctl disable kube-controller-manager 2>/dev/null")?;
    machine.sh("dpkg -i /root/two/*.deb")?;
    ensure!(
        machine.try_sh("systemctl is-active kube-scheduler")?.stdout.trim() == "inactive",
        "a stopped unit was started"
    );
    ensure!(
        machine.try_sh("systemctl is-enabled kube-controller-manager")?.stdout.trim() == "disabled",
        "enabled again"
    );
    proved("a unit that was stopped, and one that was disabled, by hand stay so through a downgrade to 1.16.0-2");
    Ok(())
}

pub(super) fn removal(scene: &Scene) -> Result<()> {
    let (_cluster, bundle, mut machine) = one_master(scene)?;
    let before = machine.files()?;
    let units = machine.sh("systemctl list-unit-files --no-legend | sort")?;
    machine.sh(DPKG)?;
    bundle.healthy(&machine)?;
    all_active(&machine)?;
    machine.sh(&format!("{ETCDCTL} put /kept a >/dev/null"))?;

    machine.sh("apt-get remove -y -q roc-master-1")?;
    machine.refuses(&format!("systemctl is-active {UNITS}"), &["inactive"])?;
    machine.sh("test -e /etc/kubernetes/config/audit-policy.yaml && test ! -e /var/lib/kubernetes")?;
    proved("remove: units stopped, keys gone, conffiles stay");
    machine.sh(DPKG)?;
    bundle.healthy(&machine)?;
    proved("installed again after a removal: up again");

    machine.write("var/log/kubernetes/mine", "a person's")?;
    let said = machine.sh(&format!("{PURGE} 2>&1"))?;
    ensure!(said.contains("Kept: /var/log/kubernetes"), "{said}");
    machine.sh("rm -r /var/log/kubernetes")?;
    same_files(&before, &machine.files()?)?;
    ensure!(units == machine.sh("systemctl list-unit-files --no-legend | sort")?, "other units than before");
    machine.sh("dpkg -l | (! grep -E 'kube-bundle|roc-')")?;
    proved("purge: every file, mode, owner and unit as before; what a person put among the logs stayed");
    let kept = machine.sh(&format!("{ETCDCTL} get --keys-only /kept"))?;
    ensure!(kept.contains("/kept"), "etcd lost it: {kept}");
    proved("etcd still has what was stored");

    machine.sh(DPKG)?;
    bundle.healthy(&machine)?;
    let kept = machine.sh(&format!("{ETCDCTL} get --keys-only /kept"))?;
    ensure!(kept.contains("/kept"), "etcd lost it: {kept}");
    machine.reboot()?;
    bundle.healthy(&machine)?;
    all_active(&machine)?;
    proved("installed again, rebooted: the object is there, everything returned by itself");
    Ok(())
}

pub(super) fn refusals(scene: &Scene) -> Result<()> {
    let cluster = Cluster::new(scene, 2)?;
    let bundle = cluster.build("one", &[])?;
    let machines = cluster.machines(scene, &bundle)?;
    let machine = &machines[0];
    bundle.carry_packages(machine, "one")?;
    machine.carry(&bundle.package("roc-master-2")?, "root/other")?;
    let before = machine.files()?;
    let unpacked = "dpkg -l roc-master-1 roc-master-2 | grep -E '^(i|u)[iUFH]'";

    machine.refuses(
        "dpkg -i /root/one/kube-bundle-*.deb /root/other/*.deb",
        &[
            "no interface of this machine has the address 10.200.17.6 of master-2",
            "fix: install the bundle of this machine",
        ],
    )?;
    proved("another node's package on a bare machine: refused by its address");
    machine.refuses(
        &format!("python3 -c 0 2>/dev/null; (ETCD_NAME=x etcd --data-dir=/tmp/x --listen-client-urls=http://127.0.0.1:10259 --advertise-client-urls=http://127.0.0.1:10259 --listen-peer-urls=http://127.0.0.1:3 >/dev/null 2>&1 & echo $! >/tmp/pid); sleep 2; {DPKG}; code=$?; kill $(cat /tmp/pid); exit $code"),
        &["port 10259 is in use", "fix: stop what listens there"],
    )?;
    proved("a port in use: refused");
    machine.write("var/lib/kubernetes/ca.pem", "somebody's")?;
    machine
        .refuses(DPKG, &["/var/lib/kubernetes/ca.pem is in the way: no package put it there", "fix: move it away"])?;
    machine.sh("rm -r /var/lib/kubernetes")?;
    machine.sh(&format!("{PURGE} >/dev/null"))?;
    machine.write("usr/bin/kubectl", "somebody's")?;
    machine.refuses(DPKG, &["/usr/bin/kubectl is in the way: no package put it there"])?;
    ensure!(machine.sh("cat /usr/bin/kubectl")? == "somebody's", "it was overwritten");
    machine.refuses(&format!("systemctl is-active {UNITS}"), &["inactive"])?;
    machine.sh(&format!("rm /usr/bin/kubectl; {PURGE} >/dev/null"))?;
    proved("files that no package owns: refused, and left");
    // Clocks can't be set in a container, so the scripts ask one that is off.
    machine
        .write("usr/local/bin/date", "#!/bin/sh\n[ \"$*\" != +%s ] || exec echo 1000000000\nexec /bin/date \"$@\"\n")?;
    machine.sh("chmod 755 /usr/local/bin/date")?;
    machine.refuses(DPKG, &["this machine's clock says 2001-09-09T01:46:40Z", "fix: set the clock"])?;
    machine.sh("rm /usr/local/bin/date")?;
    proved("a clock outside the certificates' window: refused");
    machine.refuses(unpacked, &[])?;
    machine.sh(&format!("{PURGE} >/dev/null"))?;
    same_files(&before, &machine.files()?)?;
    proved("after all of that the files of the machine are as before");

    let archive = bundle.out.join("nodes/master-1/roc-master-1-v1.16.0-amd64.tar.gz");
    machine.carry(&archive, "root")?;
    machine.sh(
        "cd /root && tar -xzf roc-master-1-v1.16.0-amd64.tar.gz && roc-master-1-v1.16.0-amd64/install.sh --no-start",
    )?;
    machine.refuses(DPKG, &["a control plane was installed here from an archive", "install.sh --uninstall first"])?;
    machine.sh("/var/lib/kube-bundle/installed/install.sh --purge")?;
    proved("what an archive installed: refused until it is uninstalled");
    machine.sh(DPKG)?;
    machine.refuses(
        "/root/roc-master-1-v1.16.0-amd64/install.sh",
        &["the package roc-master-1 has installed a control plane here"],
    )?;
    machine.sh("ip address add 10.200.17.6/16 dev host0")?;
    machine.refuses(
        "dpkg -i /root/other/*.deb",
        &[
            "this machine is master-1 of cluster roc, and roc-master-2 is for master-2 of cluster roc",
            "purge that of master-1",
        ],
    )?;
    machine.refuses("apt-get install -y -q /root/other/*.deb", &["this machine is master-1 of cluster roc"])?;
    machine.sh("ip address del 10.200.17.6/16 dev host0")?;
    all_active(machine)?;
    proved("another node's package beside this one's, by dpkg and by apt-get: refused, and this one still runs");
    machine.sh(&format!("{PURGE} >/dev/null"))?;

    machine.write("usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n")?;
    machine.sh("chmod 755 /usr/sbin/policy-rc.d")?;
    machine.sh(DPKG)?;
    machine.refuses(&format!("systemctl is-active {UNITS}"), &["inactive"])?;
    machine.sh("systemctl is-enabled kube-apiserver && rm /usr/sbin/policy-rc.d")?;
    machine.sh("dpkg -i /root/one/roc-*.deb")?;
    bundle.healthy(machine)?;
    machine.sh(&format!("{PURGE} >/dev/null"))?;
    machine.sh(&format!("KUBE_BUNDLE_START=no {DPKG}"))?;
    machine.refuses(&format!("systemctl is-active {UNITS}"), &["inactive"])?;
    proved("policy-rc.d and KUBE_BUNDLE_START=no: installed and enabled, not started");
    Ok(())
}

pub(super) fn interrupted(scene: &Scene) -> Result<()> {
    let (_cluster, bundle, machine) = one_master(scene)?;
    let before = machine.files()?;

    machine.sh("mkdir -p /root/small && mount -t tmpfs -o size=20m none /root/small && mkdir /root/small/up /root/small/work && mount -t overlay overlay -o lowerdir=/usr/bin,upperdir=/root/small/up,workdir=/root/small/work /usr/bin")?;
    machine.refuses(DPKG, &["No space left on device"])?;
    machine.sh("umount --lazy /usr/bin && umount --lazy /root/small && rmdir /root/small")?;
    machine.sh(&format!("dpkg --configure -a >/dev/null 2>&1; {PURGE} >/dev/null"))?;
    same_files(&before, &machine.files()?)?;
    proved("a disk that fills up while a program is unpacked: an error, and a purge leaves nothing");

    machine.sh("mkdir -p /root/bad && cp -a /root/one/*.deb /root/bad/ && cd /root/bad && size=$(stat -c %s roc-*.deb) && printf X | dd of=$(ls roc-*.deb) bs=1 seek=$((size - 9000)) conv=notrunc status=none")?;
    machine.refuses("dpkg -i /root/bad/*.deb", &["roc-master-1"])?;
    machine.refuses(&format!("systemctl is-active {UNITS}"), &["inactive"])?;
    machine.sh("test ! -e /var/lib/kubernetes/ca-key.pem")?;
    proved("one flipped byte in a package: dpkg takes back what it unpacked, nothing is started");
    machine.sh(&format!("{PURGE} >/dev/null"))?;
    same_files(&before, &machine.files()?)?;

    for (round, delay) in [20, 60, 120, 250, 500, 900, 1400].iter().enumerate() {
        let seconds = f64::from(*delay) / 1000.0;
        machine.try_sh(&format!("(setsid apt-get install -y -q /root/one/*.deb >/dev/null 2>&1 &); sleep {seconds}; pkill -9 apt-get; pkill -9 dpkg; sleep 0.2; true"))?;
        machine.sh(&format!("dpkg --configure -a >/dev/null 2>&1; {DPKG}"))?;
        all_active(&machine)?;
        machine.sh(&format!("(dpkg --audit; dpkg --verify {OURS}) | (! grep .)"))?;
        machine.sh(&format!("{PURGE} >/dev/null"))?;
        same_files(&before, &machine.files()?).map_err(|why| why.context(format!("round {round}")))?;
    }
    proved("apt-get and dpkg killed at seven moments: dpkg -i completes it each time, and a purge leaves nothing");

    machine.sh(DPKG)?;
    machine.sh(
        "systemctl stop kube-scheduler; cp /usr/bin/kube-scheduler /root/saved; echo worm >>/usr/bin/kube-scheduler",
    )?;
    machine.refuses(
        "dpkg -i /root/one/roc-*.deb",
        &[
            "/usr/bin/kube-scheduler",
            "these files are not the ones that roc-master-1 was built with",
            "fix: install all packages",
        ],
    )?;
    machine.sh("dpkg -l roc-master-1 | grep -q '^iF'")?;
    machine.sh("cp /root/saved /usr/bin/kube-scheduler && dpkg --configure -a")?;
    machine.sh("systemctl start kube-scheduler")?;
    all_active(&machine)?;
    bundle.healthy(&machine)?;
    proved("a program that is another one: half-configured with the reason, and dpkg --configure -a after the repair");
    Ok(())
}
