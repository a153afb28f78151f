//! dpkg itself installs the packages: in any order, whole or not at all, and without a trace when they go.

use std::process::Command;

use crate::machine::Machine;

const INSTALL: &str = "dpkg -i /one/*.deb";
const UNITS: [&str; 4] =
    ["kube-apiserver.service", "kube-controller-manager.service", "kube-scheduler.service", "kube-bootstrap.service"];

/// How every package stands, one in a line: `ii small-only`.
fn states(machine: &Machine) -> Vec<String> {
    let said = machine.run("dpkg-query -W -f '${db:Status-Abbrev}${Package}\\n'").stdout;
    said.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn any_order_ends_configured_and_a_purge_leaves_nothing() {
    let Some(machine) = Machine::with_dpkg() else { return };
    let before = machine.owned_files();
    // The one that needs the others comes first.
    machine.run("dpkg -i $(ls -r /one/*.deb)").success();
    let states_are = states(&machine);
    assert_eq!(states_are.len(), 5);
    assert!(states_are.iter().all(|state| state.starts_with("ii ")), "{states_are:?}");
    let calls = machine.calls();
    assert!(calls.contains(&format!("start {}", UNITS.join(" "))), "{calls:?}");
    let there = machine.owned_files();
    assert_eq!(there["var/lib/kubernetes/ca-key.pem"].0, 0o600);
    assert_eq!(there["usr/bin/kube-apiserver"].0, 0o755);
    for unit in UNITS {
        assert!(there.contains_key(&format!("etc/systemd/system/multi-user.target.wants/{unit}")), "{unit}");
    }
    machine.run("dpkg --verify && dpkg --audit").success();
    machine.write("var/log/kubernetes/audit.log", "what the unit wrote");
    machine.write("var/log/kubernetes/audit-2026-11-24T08-00-00.000.log", "what it wrote before");
    machine.write("var/lib/kube-bootstrap/applied-token", "x");

    machine.run("dpkg --remove small-only").success();
    let calls = machine.calls();
    assert!(
        calls.contains(&format!("stop {}", UNITS.iter().rev().copied().collect::<Vec<_>>().join(" "))),
        "{calls:?}"
    );
    let left = machine.owned_files();
    assert!(left.contains_key("etc/kubernetes/config/audit-policy.yaml"), "a removal keeps configuration");
    assert!(left.keys().all(|name| !name.starts_with("var/lib/kubernetes")), "and no key");
    machine.write("var/log/kubernetes/notes", "a person's");
    let purge = "dpkg --purge small-only $(dpkg-query -W -f '${Package} ' 'kube-bundle-kube*')";
    let said = machine.run(purge).success();
    assert!(said.stdout.contains("Kept: /var/log/kubernetes"), "{}", said.stdout);
    let mut left = machine.owned_files();
    assert!(left.remove("var/log/kubernetes/notes").is_some(), "what a person put there stays");
    assert_eq!(left.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    assert_eq!(left, before);
}

#[test]
fn an_upgrade_restarts_what_changed_and_nothing_else() {
    let Some(machine) = Machine::with_dpkg() else { return };
    machine.run(INSTALL).success();
    machine.calls();
    machine.run(INSTALL).success();
    let calls = machine.calls();
    assert!(calls.iter().all(|call| !call.contains("start")), "the same again: {calls:?}");
    machine.carry_packages("two", |workspace| {
        workspace.run(&["recipe", "export", "v1.16.0", "exported"]).success();
        let unit = workspace.text("exported/roles/master/units/kube-scheduler.service").replace("--v=2", "--v=3");
        workspace.write("recipe/roles/master/units/kube-scheduler.service", unit);
    });
    machine.run("dpkg -i /two/*.deb").success();
    let restarts = |calls: Vec<String>| calls.into_iter().filter(|call| call.contains("start")).collect::<Vec<_>>();
    assert_eq!(restarts(machine.calls()), ["restart kube-scheduler.service"]);
    assert!(states(&machine).contains(&"ii small-only".to_owned()));
    let version = || machine.run("dpkg-query -W -f '${Version}' small-only").stdout;
    assert_eq!(version(), "1.16.0-2");
    machine.run(INSTALL).success().says(&["downgrading small-only from 1.16.0-2 to 1.16.0-1"]);
    assert_eq!(restarts(machine.calls()), ["restart kube-scheduler.service"]);
    assert_eq!(version(), "1.16.0-1");
    // What somebody stopped is not started, whatever changed.
    machine.run("systemctl stop kube-scheduler.service").success();
    machine.calls();
    machine.run("dpkg -i /two/*.deb").success();
    assert_eq!(restarts(machine.calls()), [""; 0]);
}

#[test]
fn an_upgrade_that_is_refused_touches_nothing_that_runs() {
    let Some(machine) = Machine::with_dpkg() else { return };
    machine.run(INSTALL).success();
    let before = machine.owned_files();
    machine.calls();
    machine.write("run/clock-is-off-by", "-200000");
    machine.run("dpkg -i /one/small-only_*.deb").exits(1).says(&["this machine's clock says"]);
    let calls = machine.calls();
    assert!(calls.iter().all(|call| !call.contains("start ")), "{calls:?}");
    machine.write("run/clock-is-off-by", "0");
    assert_eq!(machine.owned_files(), before);
    machine.run(INSTALL).success();
    let calls = machine.calls();
    assert!(calls.iter().all(|call| !call.contains("start ")), "the same again: {calls:?}");
}

#[test]
fn what_dpkg_is_told_to_leave_out_is_not_missed() {
    let Some(machine) = Machine::with_dpkg() else { return };
    machine.write("etc/dpkg/dpkg.cfg.d/lean", "path-exclude=/usr/share/doc/*\npath-exclude=/usr/share/lintian/*\n");
    machine.run(INSTALL).success();
    assert!(!machine.owned_files().contains_key("usr/share/doc/small-only/copyright"));
    // Logs may lie elsewhere, or on a disk of their own.
    machine.run("mkdir -p /opt/logs && rm -rf /var/log/kubernetes && ln -s /opt/logs /var/log/kubernetes").success();
    machine.run("dpkg --purge small-only").success();
    assert!(std::fs::symlink_metadata(machine.path("var/log/kubernetes")).unwrap().is_symlink());
    machine.run(INSTALL).success();
    let purge = "rm /var/log/kubernetes; mkdir /var/log/kubernetes; mount -t tmpfs none /var/log/kubernetes; dpkg --purge small-only";
    machine.run(purge).success();
}

#[test]
fn nothing_is_started_where_the_operator_or_the_machine_says_no() {
    let Some(machine) = Machine::with_dpkg() else { return };
    let purge = "dpkg --purge small-only";
    let started = || machine.calls().iter().any(|call| call.contains("start"));
    machine.run(&format!("KUBE_BUNDLE_START=no {INSTALL}")).success();
    assert!(!started(), "KUBE_BUNDLE_START=no");
    assert!(machine.owned_files().contains_key("etc/systemd/system/multi-user.target.wants/kube-apiserver.service"));
    machine.run(purge).success();
    let policy = "printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d";
    machine.run(&format!("{policy}; {INSTALL}; rm /usr/sbin/policy-rc.d")).success();
    assert!(!started(), "policy-rc.d");
    // And when it may, it is started: nobody did yet.
    machine.run(INSTALL).success();
    assert!(started());
    machine.run(purge).success();
    // After a boot the units are as the boot, and then a person, left them.
    machine.run(&format!("KUBE_BUNDLE_START=no {INSTALL}")).success();
    machine.write("var/lib/kube-bundle/unstarted", "another boot");
    machine
        .run(
            "for unit in kube-apiserver kube-controller-manager kube-bootstrap; do systemctl start $unit.service; done",
        )
        .success();
    machine.calls();
    machine.run(INSTALL).success();
    assert!(!started(), "what the boot started is not restarted, what a person stopped is not started");
    machine.run(purge).success();
    // An image in the making has no systemd that runs, and need not be the machine.
    machine.calls();
    machine.write("run/clock-is-off-by", "-200000");
    machine.run(&format!("ip address del 192.0.2.1/32 dev lo; rmdir /run/systemd/system; {INSTALL}")).success();
    let calls = machine.calls();
    assert!(calls.iter().all(|call| call.starts_with("preset ")), "no systemd that runs: {calls:?}");
}

#[test]
fn what_does_not_fit_the_machine_is_refused_before_it_is_unpacked() {
    let Some(machine) = Machine::with_dpkg() else { return };
    let before = machine.owned_files();
    let node = "dpkg -i /one/small-only_*.deb";
    let refused = |script: &str, texts: &[&str]| {
        machine.run(script).exits(1).says(texts).says(&["  fix: ", "Nothing of this package was changed."]);
        assert_eq!(machine.owned_files(), before, "{script}");
        assert!(states(&machine).iter().all(|state| !state.starts_with('i') && !state.starts_with("iU")), "{script}");
    };
    machine.write("run/clock-is-off-by", "-200000");
    refused(node, &["this machine's clock says"]);
    machine.write("run/clock-is-off-by", "0");
    refused(&format!("ip address del 192.0.2.1/32 dev lo; {node}"), &["no interface of this machine has the address"]);
    let python = |script: &str| {
        format!(
            "python3 -c 'import socket,subprocess,sys; s=socket.create_server((\"127.0.0.1\",10259)); sys.exit(subprocess.call(\"{script}\", shell=True))'"
        )
    };
    refused(&python(node), &["port 10259 is in use"]);
    refused(
        &format!(
            "mkdir /var/lib/kubernetes; echo x >/var/lib/kubernetes/ca.pem; {node}; code=$?; rm -r /var/lib/kubernetes; exit $code"
        ),
        &["/var/lib/kubernetes/ca.pem is in the way: no package put it there"],
    );
    refused(
        "echo mine >/usr/bin/kubectl; dpkg -i /one/kube-bundle-kubectl_*.deb; code=$?; grep -q mine /usr/bin/kubectl || code=9; rm /usr/bin/kubectl; exit $code",
        &["/usr/bin/kubectl is in the way: no package put it there"],
    );
}

#[test]
fn one_machine_has_one_identity() {
    let Some(machine) = Machine::with_dpkg() else { return };
    machine.carry_packages("two", |workspace| {
        workspace.edit("cluster.toml", "name = \"only\"", "name = \"other\"");
    });
    machine.run(INSTALL).success();
    machine.run("dpkg -i /two/small-other_*.deb").exits(1).says(&[
        "this machine is only of cluster small, and small-other is for other of cluster small",
        "fix: install this machine's own package, or purge that of only of cluster small first",
    ]);
    assert!(states(&machine).contains(&"ii small-only".to_owned()));
    machine.run("dpkg --remove small-only").success();
    machine.run("dpkg -i /two/*.deb").success();
    machine.write("var/log/kubernetes/audit.log", "the other's");
    let other = machine.owned_files();
    machine.run("dpkg --purge small-only").success();
    assert_eq!(machine.owned_files(), other, "what is left of one node's package is not the other's");
    machine.run("dpkg --purge small-other").success();
    machine.carry("archive", |workspace| workspace.edit("cluster.toml", "name = \"other\"", "name = \"only\""));
    machine.run("/archive/install.sh --no-start").success();
    machine.run(INSTALL).exits(1).says(&["a control plane was installed here from an archive", "--uninstall first"]);
    machine.run("/archive/install.sh --purge").success();
    // A removed package still owns its configuration, and would take the archive's with it.
    machine.run(&format!("{INSTALL}; dpkg --remove small-only")).success();
    machine
        .run("/archive/install.sh --no-start")
        .exits(1)
        .says(&["belongs to the package small-only", "apt-get purge small-only"]);
    machine.run("dpkg --purge small-only").success();
    machine.run(INSTALL).success();
    machine.run("/archive/install.sh").exits(1).says(&["the package small-only has installed a control plane here"]);
}

#[test]
fn another_builds_program_is_found_out_and_a_repair_completes_it() {
    let Some(machine) = Machine::with_dpkg() else { return };
    machine.run("dpkg -i /one/kube-bundle-*.deb && echo worm >>/usr/bin/kube-scheduler").success();
    machine.run("dpkg -i /one/small-only_*.deb").exits(1).says(&[
        "  /usr/bin/kube-scheduler\n",
        "error: these files are not the ones that small-only was built with",
        "  fix: install all packages of the bundle again",
    ]);
    assert!(states(&machine).contains(&"iF small-only".to_owned()), "half-configured");
    assert!(machine.calls().iter().all(|call| !call.contains("start")), "nothing is started");
    machine.run("dpkg -i /one/kube-bundle-kube-scheduler_*.deb && dpkg --configure -a").success();
    assert!(states(&machine).iter().all(|state| state.starts_with("ii ")));
}

#[test]
fn a_full_disk_or_a_damaged_file_is_taken_back() {
    let Some(machine) = Machine::with_dpkg() else { return };
    let before = machine.owned_files();
    machine
        .run("mount -t tmpfs -o mode=755,size=12k none /var/lib/kubernetes 2>/dev/null || { mkdir /var/lib/kubernetes; mount -t tmpfs -o mode=755,size=12k none /var/lib/kubernetes; }; dpkg -i /one/*.deb; code=$?; umount -l /var/lib/kubernetes; exit $code")
        .exits(1)
        .says(&["No space left on device"]);
    assert!(machine.calls().iter().all(|call| !call.contains("start")));
    machine.run("dpkg --purge small-only $(dpkg-query -W -f '${Package} ' 'kube-bundle-kube*')");
    assert_eq!(machine.owned_files(), before);
    let package = std::fs::read_dir(machine.path("one")).unwrap().map(|entry| entry.unwrap().path());
    let package = package.into_iter().find(|path| path.display().to_string().contains("small-only_")).unwrap();
    let whole = std::fs::read(&package).unwrap();
    let unpacked = |bytes: &[u8]| {
        std::fs::write(&package, bytes).unwrap();
        let unpacked = Command::new("dpkg-deb").arg("--fsys-tarfile").arg(&package).output().unwrap();
        (unpacked.status.success(), unpacked.stdout)
    };
    let right = unpacked(&whole);
    for begin in [whole.len() / 2, whole.len() - 3000, whole.len() - 20] {
        let flipped = |position: usize| {
            let mut bytes = whole.clone();
            bytes[position] ^= 1;
            bytes
        };
        // gzip has bits that mean nothing, such as those that fill up a byte.
        let position = (begin..whole.len()).find(|it| unpacked(&flipped(*it)) != right).expect("a bit that matters");
        machine.run(INSTALL).exits(1);
        assert!(machine.calls().iter().all(|call| !call.contains("start")), "{position}");
        let keys = machine.owned_files().into_keys().filter(|name| name.starts_with("var/lib/kubernetes")).count();
        assert_eq!(keys, 0, "{position}");
    }
    std::fs::write(&package, whole).unwrap();
    machine.run(INSTALL).success();
}

/// dpkg moves files to their places before it writes down that they are the package's.
#[test]
fn files_of_an_installation_that_was_killed_are_not_taken_for_somebodys() {
    let Some(machine) = Machine::with_dpkg() else { return };
    machine.run(INSTALL).success();
    let status = machine.text("var/lib/dpkg/status");
    let (before, node) = status.split_once("Package: small-only\nStatus: install ok installed").unwrap();
    let killed = format!("{before}Package: small-only\nStatus: install reinstreq half-installed{node}");
    machine.write("var/lib/dpkg/status", &killed);
    machine.run("rm /var/lib/dpkg/info/small-only.*").success();
    assert!(states(&machine).contains(&"iHRsmall-only".to_owned()));
    machine.run(INSTALL).success();
    assert!(states(&machine).contains(&"ii small-only".to_owned()));
}

#[test]
fn an_installation_killed_at_any_moment_is_completed() {
    let Some(machine) = Machine::with_dpkg() else { return };
    let before = machine.owned_files();
    for round in 0..8u64 {
        machine.run_and_kill(INSTALL, 150 + 90 * round);
        machine.run(&format!("dpkg --configure -a; {INSTALL}")).success();
        assert!(states(&machine).iter().all(|state| state.starts_with("ii ")), "round {round}");
        machine.run("dpkg --verify && test -z \"$(dpkg --audit)\"").success();
        machine.run("dpkg --purge small-only $(dpkg-query -W -f '${Package} ' 'kube-bundle-kube*')").success();
        assert_eq!(machine.owned_files(), before, "round {round}");
    }
}

#[test]
fn a_directory_that_others_may_write_to_is_refused_before_anything_is_unpacked() {
    let Some(machine) = Machine::with_dpkg() else { return };
    let before = machine.owned_files();
    for (change, undo, package, text) in [
        (
            "mkdir -m 777 /etc/kubernetes",
            "rmdir /etc/kubernetes",
            "small-only",
            "everybody may write to /etc/kubernetes",
        ),
        ("chown 1234 /var/lib", "chown 0 /var/lib", "small-only", "/var/lib belongs to user 1234"),
        ("chmod 777 /usr/bin", "chmod 755 /usr/bin", "kube-bundle-kubectl", "everybody may write to /usr/bin"),
    ] {
        let script = format!("{change}; dpkg -i /one/{package}_*.deb; code=$?; {undo}; exit $code");
        machine.run(&script).exits(1).says(&[
            text,
            "  fix: look at what is in it, then: ch",
            "Nothing of this package was changed.",
        ]);
        assert_eq!(machine.owned_files(), before, "{change}");
    }
}

/// What a later version writes down, an earlier one did not.
#[test]
fn a_machine_of_an_earlier_version_is_upgraded() {
    let Some(machine) = Machine::with_dpkg() else { return };
    machine.run(INSTALL).success();
    machine.run("sed -i '/^data=/d; /^users=/d; /^commands=/d' /var/lib/kube-bundle/package/bundle.conf").success();
    machine.calls();
    machine.run(INSTALL).success();
    let calls = machine.calls();
    assert!(calls.iter().all(|call| !call.contains("start")), "{calls:?}");
}
