//! `install.sh` changes nothing it should not, loses nothing of others, and says what is true.

use crate::machine::Machine;

const UP: &str =
    "Up: kube-apiserver.service kube-controller-manager.service kube-scheduler.service kube-bootstrap.service";

/// A machine with the bundle as it comes in `/one`.
fn machine() -> Option<Machine> {
    let machine = Machine::new()?;
    machine.carry("one", |_| {});
    Some(machine)
}

#[test]
fn a_bare_machine_gets_everything_once() {
    let Some(machine) = machine() else { return };
    let before = machine.files();
    machine.run("/one/install.sh --dry-run").success();
    assert_eq!(machine.files(), before, "a dry run changes nothing");
    let run = machine.run("/one/install.sh").success();
    assert!(run.stdout.contains(UP), "{}", run.stdout);
    let calls = machine.calls();
    assert!(calls.contains(&"start --no-block kube-apiserver.service".to_owned()), "{calls:?}");
    let installed = machine.files();
    assert_eq!(installed["var/lib/kubernetes/ca-key.pem"].0, 0o600);
    assert_eq!(installed["local/bin/kube-apiserver"].0, 0o755);
    let again = machine.run("/one/install.sh").success();
    assert!(again.stdout.contains("was installed already; no file changed"), "{}", again.stdout);
    assert_eq!(machine.files(), installed);
    assert!(machine.calls().iter().all(|call| !call.contains("start")), "nothing was started again");
    machine.run("/one/install.sh --purge").success();
    assert_eq!(machine.files(), before, "and nothing is left");
}

#[test]
fn an_upgrade_restarts_what_changed_and_nothing_else() {
    let Some(machine) = machine() else { return };
    machine.carry("two", |workspace| workspace.edit("two/roles/master/units/kube-scheduler.service", "--v=2", "--v=3"));
    machine.run("/one/install.sh").success();
    machine.calls();
    let run = machine.run("/two/install.sh").success();
    assert!(run.stdout.contains("Restarting kube-scheduler.service"), "{}", run.stdout);
    let restarts: Vec<_> = machine.calls().into_iter().filter(|call| call.contains("start")).collect();
    assert_eq!(restarts, ["restart --no-block kube-scheduler.service"]);
    // What an operator put off is still owed.
    machine.run("/one/install.sh --no-start").success();
    machine.calls();
    machine.run("/one/install.sh").success();
    assert!(machine.calls().contains(&"restart --no-block kube-scheduler.service".to_owned()));
}

#[test]
fn a_unit_that_is_gone_from_the_bundle_is_stopped_and_removed() {
    let Some(machine) = machine() else { return };
    machine.carry("two", |workspace| {
        let layout = workspace.text("two/roles/master/role.toml").replace("\"kube-scheduler.service\", ", "");
        let rule = "[[files]]\npath = \"{{ units }}/kube-scheduler.service\"\nmode = \"0644\"\nsource = { text = \"units/kube-scheduler.service\" }\n";
        assert!(layout.contains(rule));
        workspace.write("two/roles/master/role.toml", layout.replace(rule, ""));
    });
    machine.run("/one/install.sh").success();
    let dry = machine.run("/two/install.sh --dry-run").success();
    assert!(
        dry.stdout.contains("would stop and disable kube-scheduler.service")
            && dry.stdout.contains("would remove /etc/systemd/system/kube-scheduler.service"),
        "{}",
        dry.stdout
    );
    machine.calls();
    machine.run("/two/install.sh").success();
    assert!(machine.calls().contains(&"disable --now kube-scheduler.service".to_owned()));
    assert!(!machine.path("etc/systemd/system/kube-scheduler.service").exists());
}

#[test]
fn a_unit_that_dies_again_and_again_is_not_up() {
    let Some(machine) = machine() else { return };
    machine.write("run/crashing", "kube-controller-manager.service");
    machine.run("/one/install.sh --wait 30").exits(75).says(&["is not up, or does not stay up, after 30 s"]);
    std::fs::remove_file(machine.path("run/crashing")).unwrap();
    machine.write("run/deaf", "kube-scheduler.service");
    machine.run("/one/install.sh --wait 30").exits(75).says(&["which is to listen on port 10259, is not up"]);
    std::fs::remove_file(machine.path("run/deaf")).unwrap();
    machine.run("/one/install.sh --wait 30").success();
}

#[test]
fn files_of_others_are_refused_or_kept_and_put_back() {
    let Some(machine) = machine() else { return };
    machine.write("local/bin/kubectl", "FOREIGN");
    machine.write("opt/scheduler", "ELSEWHERE");
    std::os::unix::fs::symlink("/opt/scheduler", machine.path("local/bin/kube-scheduler")).unwrap();
    std::os::unix::fs::symlink("/dev/null", machine.path("etc/systemd/system/kube-apiserver.service")).unwrap();
    machine.run("/one/install.sh").exits(1).says(&[
        "/usr/local/bin/kubectl is in the way",
        "/usr/local/bin/kube-scheduler is in the way",
        "/etc/systemd/system/kube-apiserver.service is in the way",
        "Nothing was changed.",
    ]);
    machine.run("/one/install.sh --replace").success();
    machine.write("local/bin/kubectl", "CHANGED BY HAND");
    machine.run("/one/install.sh").success();
    assert_eq!(machine.text("local/bin/kubectl.saved"), "CHANGED BY HAND");
    machine.write("local/bin/kubectl", "CHANGED AGAIN");
    machine.run("/one/install.sh").success();
    assert_eq!(machine.text("local/bin/kubectl.saved"), "CHANGED BY HAND");
    assert_eq!(machine.text("local/bin/kubectl.saved.1"), "CHANGED AGAIN");
    let removed = machine.run("/one/install.sh --uninstall").success();
    assert!(removed.stdout.contains("Put back: /usr/local/bin/kubectl"), "{}", removed.stdout);
    assert_eq!(machine.text("local/bin/kubectl"), "FOREIGN");
    assert_eq!(machine.text("opt/scheduler"), "ELSEWHERE");
    assert!(std::fs::symlink_metadata(machine.path("local/bin/kube-scheduler")).unwrap().is_symlink());
    assert!(std::fs::symlink_metadata(machine.path("etc/systemd/system/kube-apiserver.service")).unwrap().is_symlink());
}

#[test]
fn an_installation_killed_at_any_moment_is_completed_or_removed() {
    let Some(machine) = machine() else { return };
    let before = machine.files();
    for round in 0..14u64 {
        machine.run_and_kill("/one/install.sh --no-start", 250 + 70 * round);
        let left = machine.files();
        if round % 2 == 0 {
            machine.run("/one/install.sh --no-start").success();
            assert!(machine.files().keys().all(|name| !name.ends_with(".kube-bundle-new")));
        }
        if left != before || round % 2 == 0 {
            machine.run("/one/install.sh --purge").success();
        }
        assert_eq!(machine.files(), before, "round {round}");
    }
}

#[test]
fn an_installation_that_is_killed_before_its_units_are_enabled_counts_as_stopped_half_way() {
    let Some(machine) = machine() else { return };
    let systemctl = machine.text("fake/systemctl");
    machine.write(
        "fake/systemctl",
        &systemctl.replacen("\nverb=$1;", "\n[ \"$1\" != enable ] || kill -9 $PPID\nverb=$1;", 1),
    );
    machine.run("/one/install.sh").exits(137);
    machine.write("fake/systemctl", &systemctl);
    machine.run("/one/install.sh --status").exits(1).says(&["an installation was stopped half-way"]);
    machine.run("/one/install.sh --no-start").success();
    assert!(machine.path("run/enabled/kube-scheduler.service").exists());
}

/// Killed before it wrote down anything.
#[test]
fn what_is_left_of_an_installation_that_had_just_begun_is_removed() {
    let Some(machine) = machine() else { return };
    let before = machine.files();
    machine.run("/one/install.sh --purge").exits(1).says(&["nothing is installed here"]);
    machine.write("var/lib/kube-bundle/replaced/etc/motd", "somebody's");
    machine.run("/one/install.sh --purge --dry-run").success().says(&[]);
    assert_ne!(machine.files(), before);
    machine.run("/one/install.sh --purge").success();
    assert_eq!(machine.files(), before);
}

#[test]
fn what_does_not_fit_the_machine_is_refused_before_anything_changes() {
    let Some(machine) = machine() else { return };
    let before = machine.files();
    machine.write("run/clock-is-off-by", "-200000");
    machine.run("/one/install.sh").exits(1).says(&["this machine's clock says", "fix: set the clock"]);
    machine.write("run/clock-is-off-by", "40000000");
    machine.run("/one/install.sh").exits(1).says(&["and the certificates are valid from"]);
    machine.write("run/clock-is-off-by", "0");
    machine
        .run("ip address del 192.0.2.1/32 dev lo; /one/install.sh")
        .exits(1)
        .says(&["no interface of this machine has the address 192.0.2.1"]);
    machine.run("python3 -c 'import socket,subprocess,sys; s=socket.create_server((\"127.0.0.1\",10259)); sys.exit(subprocess.call(\"/one/install.sh\"))'").exits(1).says(&["port 10259 is in use"]);
    machine
        .run("mount -t tmpfs -o mode=755,size=16k none /usr/local; /one/install.sh")
        .exits(1)
        .says(&["MB are needed", "fix: make room there"]);
    machine.run("export CDPATH=.:/; cd /; sh one/install.sh --dry-run").success();
    for wrong in ["--wait", "--wait 090", "--wait x", "--hurry"] {
        machine.run(&format!("/one/install.sh {wrong}")).exits(2);
    }
    assert_eq!(machine.files(), before);
    // A directory that was there keeps its mode when the files can't be placed.
    std::fs::create_dir_all(machine.path("var/lib/kubernetes")).unwrap();
    std::fs::set_permissions(machine.path("var/lib/kubernetes"), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    machine
        .run("mount -t tmpfs -o mode=755,size=40m,nr_inodes=3 none /usr/local; mkdir /usr/local/bin; /one/install.sh")
        .exits(1)
        .says(&["the files could not be placed", "Nothing was changed."]);
    let mode = std::fs::metadata(machine.path("var/lib/kubernetes")).unwrap().permissions();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o755);
    machine.run("/one/install.sh --no-start; /one/install.sh --purge").success();
    let mode = std::fs::metadata(machine.path("var/lib/kubernetes")).unwrap().permissions();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o755, "and gets it back on removal");
}

#[test]
fn the_bundle_of_another_node_is_refused() {
    let Some(machine) = machine() else { return };
    machine.run("/one/install.sh --no-start").success();
    machine.carry("two", |workspace| {
        workspace.edit("cluster.toml", "name = \"small\"", "name = \"small\"\ndomain = \"other.local\"");
    });
    machine.run("/two/install.sh --no-start").success();
    let conf = machine.text("var/lib/kube-bundle/installed/bundle.conf");
    machine.write("var/lib/kube-bundle/installed/bundle.conf", &conf.replace("node=only", "node=another"));
    machine.run("/one/install.sh").exits(1).says(&[
        "this machine is another of cluster small, and the bundle is for only of cluster small",
        "install.sh --uninstall first",
    ]);
}

/// Whoever may write to what is installed, to where it lies, or to where it goes, could be root after it.
#[test]
fn what_others_could_change_is_not_installed() {
    let Some(machine) = machine() else { return };
    let before = machine.files();
    let refused = |change: &str, undo: &str, texts: &[&str]| {
        machine
            .run(&format!("{change}; /one/install.sh --no-start; code=$?; {undo}; exit $code"))
            .exits(1)
            .says(texts)
            .says(&["  fix: ", "Nothing was changed."]);
        assert_eq!(machine.files(), before, "{change}");
    };
    let unpack = "unpack the archive again, as root, in /root or in a directory that mktemp -d made";
    let program = "/one/root/usr/local/bin/kubectl";
    refused(
        &format!("chown 1234 {program}"),
        &format!("chown 0 {program}"),
        &[&format!("{program} belongs to user 1234, who could change what is installed"), unpack],
    );
    refused("chown 1234 /one", "chown 0 /one", &["/one belongs to user 1234", unpack]);
    refused("chmod 777 /one/root/usr", "chmod 755 /one/root/usr", &["everybody may write to /one/root/usr"]);
    refused("chmod 1777 /one", "chmod 755 /one", &["everybody may write to /one"]);
    refused("chmod 666 /one/FILES", "chmod 644 /one/FILES", &["everybody may write to /one/FILES"]);
    refused(
        "chgrp 1000 /one/install.sh; chmod 775 /one/install.sh",
        "chgrp 0 /one/install.sh; chmod 755 /one/install.sh",
        &["group 1000 may write to /one/install.sh"],
    );
    refused("chmod 777 /var", "chmod 755 /var", &["everybody may write to /var", "then: chmod go-w /var"]);
    refused("chmod 1777 /var/lib", "chmod 755 /var/lib", &["everybody may write to /var/lib"]);
    refused("mkdir -m 777 /etc/kubernetes", "rmdir /etc/kubernetes", &["everybody may write to /etc/kubernetes"]);
    refused(
        "mkdir /etc/kubernetes; chown 1234 /etc/kubernetes",
        "rmdir /etc/kubernetes",
        &["/etc/kubernetes belongs to user 1234", "then: chown root:root /etc/kubernetes"],
    );
    refused(
        "mkdir -p /opt/a/b; chmod 777 /opt/a; ln -s /opt/a/b /etc/kubernetes",
        "rm -r /etc/kubernetes /opt/a",
        &["everybody may write to /opt/a,"],
    );
    // Between the check and the copy.
    machine.write(
        "fake/install",
        "#!/bin/sh\n/usr/bin/install \"$@\" || exit\nfor last; do :; done\necho worm >>\"$last\"\n",
    );
    refused("chmod 755 /fake/install", "rm /fake/install", &["has changed since it was checked"]);
    // Debian's /usr/local is staff's, and in /tmp nobody touches what is root's.
    machine.run("chgrp 50 /usr/local; chmod 2775 /usr/local; /one/install.sh --dry-run").success();
    machine.run("chmod 1777 /tmp; cp -a /one /tmp/here; /tmp/here/install.sh --dry-run").success();
    machine
        .run("chmod 777 /tmp; /tmp/here/install.sh --dry-run")
        .exits(1)
        .says(&["everybody may write to /tmp,", unpack]);
    machine.run("mkdir /evil; printf '#!/bin/sh\\ntouch /pwned\\n' >/evil/stat; chmod 755 /evil/stat").success();
    machine.run("PATH=/evil:$PATH /one/install.sh --dry-run; test ! -e /pwned").success();
}

/// Whoever waits for a clock or an address asks for an exit status of its own; everybody else gets 1.
#[test]
fn only_a_fault_that_may_pass_by_itself_has_the_status_that_was_asked_for() {
    let Some(machine) = machine() else { return };
    let waits = "export KUBE_BUNDLE_TEMPORARY_STATUS=3;";
    let check = "/one/install.sh --dry-run";
    let away = "ip address del 192.0.2.1/32 dev lo;";
    machine.write("run/clock-is-off-by", "-200000");
    machine.run(check).exits(1);
    machine.run(&format!("{waits} {check}")).exits(3);
    machine.run(&format!("{waits} {away} {check}")).exits(3);
    machine.run(&format!("{waits} mkdir /usr/local/bin/kubectl; {check}")).exits(1);
    machine.write("run/clock-is-off-by", "0");
    machine.run(&format!("{waits} {check}")).exits(1);
    machine.run(&format!("rmdir /usr/local/bin/kubectl; {waits} {check}")).success();
}

/// What a later version writes down, an earlier one did not.
#[test]
fn a_machine_of_an_earlier_version_is_upgraded() {
    let Some(machine) = machine() else { return };
    machine.carry("two", |workspace| workspace.edit("two/roles/master/units/kube-scheduler.service", "--v=2", "--v=3"));
    machine.run("/one/install.sh").success();
    let installed = machine.files();
    machine
        .run("cd /var/lib/kube-bundle/installed; rm TRIGGERS; sed -i '/^data=/d; /^users=/d; /^commands=/d' bundle.conf; rm -f ../data")
        .success();
    machine.calls();
    machine.run("/two/install.sh").success();
    assert!(machine.calls().contains(&"restart --no-block kube-scheduler.service".to_owned()));
    machine.run("/one/install.sh").success();
    let again = machine.files();
    for (name, file) in installed.iter().filter(|(name, _)| !name.starts_with("var/lib/kube-bundle/previous")) {
        assert_eq!(again.get(name), Some(file), "{name}");
    }
    machine.run("/one/install.sh --purge").success();
    assert!(machine.files().keys().all(|name| !name.contains("kube")));
}

#[test]
fn the_smallest_shell_installs_and_removes() {
    let Some(machine) = machine() else { return };
    if !crate::harness::has("busybox") {
        return;
    }
    let before = machine.files();
    machine.run("busybox sh /one/install.sh --dry-run && busybox sh /one/install.sh").success();
    machine.run("busybox sh /one/install.sh --uninstall").success();
    assert_eq!(machine.files(), before);
}
