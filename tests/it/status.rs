//! What an operator at the machine is told: `install.sh --check`, `--status`, `--version`, what comes next, and
//! `kube-bundle-status` of the packages.

use crate::harness::{Workspace, has, tool};
use crate::machine::Machine;

/// Goes on when the units of the machine listen, which they begin to do at the same time.
const LISTENING: &str = "timeout 50 sh -c 'for port in 192B 2811 2813; do until grep -q \":$port 0*:0000 0A\" /proc/net/tcp /proc/net/tcp6; do /usr/bin/sleep 0.1; done; done';";
/// Something that takes connections where etcd would.
const ETCD_LISTENS: &str = "python3 -c \"import socket,time; s=socket.create_server(('192.0.2.1',2379)); time.sleep(60)\" & timeout 50 sh -c 'until grep -q \":094B 0*:0000 0A\" /proc/net/tcp; do /usr/bin/sleep 0.1; done';";
const STATUS: &str = "/var/lib/kube-bundle/installed/install.sh --status";

/// A machine with a bundle in `/one`, whose health check passes as long as there is no `/run/ill`.
fn machine() -> Option<Machine> {
    let machine = Machine::new()?;
    machine.carry("one", |workspace| {
        let path = "one/roles/master/units/kube-bootstrap.service";
        let unit = workspace.text(path);
        let check = unit.lines().find(|line| line.starts_with("X-Health=")).unwrap();
        workspace.edit(path, check, "X-Health=/usr/bin/test ! -e /run/ill");
    });
    Some(machine)
}

fn fits_a_terminal(text: &str) {
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[track_caller]
fn has_lines(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.lines().any(|other| other == *line), "no {line:?} in:\n{text}");
    }
}

#[test]
fn a_check_ends_with_a_verdict_and_changes_nothing() {
    let Some(machine) = machine() else { return };
    let before = machine.files();
    let check = machine.run("/one/install.sh --check").success();
    fits_a_terminal(&check.stdout);
    has_lines(
        &check.stdout,
        &[
            "Checks of only of cluster small, Kubernetes v1.16.0, build 1:",
            "  ok           free ports: 6443 10257 10259",
            "  ok           disk space",
            "  not needed   host name, cgroups, swap and what else pods need",
            "  warning      https://192.0.2.1:2379: no answer; it may be installed later",
            "would start kube-apiserver.service",
        ],
    );
    assert!(check.stdout.contains("files, replace 0, remove 0 (--verbose lists them)"), "{}", check.stdout);
    let verdict = "All 11 checks passed, 1 of them with a warning. Nothing was changed.";
    assert_eq!(check.stdout.lines().last(), Some(verdict));
    assert!(!check.stdout.contains("/usr/local/bin/kubectl"), "{}", check.stdout);
    for more in ["--check --verbose", "--dry-run"] {
        let long = machine.run(&format!("/one/install.sh {more}")).success();
        has_lines(&long.stdout, &["would install /usr/local/bin/kubectl", verdict]);
    }
    machine.write("run/clock-is-off-by", "-200000");
    machine.write("etc/systemd/system/kube-apiserver.service", "somebody's");
    let failed = machine.run("/one/install.sh --check").exits(1).says(&["2 of 10 checks failed, see above."]);
    has_lines(
        &failed.stdout,
        &[
            "  failed       the clock, compared with the certificates",
            "  failed       no files of others in the way, and safe directories",
            "  ok           disk space",
        ],
    );
    machine.run("rm /etc/systemd/system/kube-apiserver.service").success();
    assert_eq!(machine.files(), before);
    assert!(machine.calls().is_empty());
}

#[test]
fn a_check_says_what_a_machine_with_our_units_would_restart() {
    let Some(machine) = machine() else { return };
    machine.carry("two", |workspace| workspace.edit("two/roles/master/units/kube-scheduler.service", "--v=2", "--v=3"));
    machine.run("/one/install.sh").success();
    let check = machine.run("/two/install.sh --check").success().stdout;
    has_lines(
        &check,
        &["would restart kube-scheduler.service", "  ok           units may be stopped or restarted now"],
    );
    assert!(!check.contains("would start"), "{check}");
    let check = machine.run("/two/install.sh --check --no-start").success().stdout;
    has_lines(&check, &["would start no unit before the next boot"]);
    assert!(!check.contains("would restart"), "{check}");
}

/// Machines are installed one after another: what doesn't answer yet is no failure.
#[test]
fn a_check_looks_whether_etcd_answers_with_the_right_certificate() {
    let Some(machine) = machine() else { return };
    if !has("openssl") {
        return;
    }
    // The second build finds what the first one wrote.
    machine.carry("two", |workspace| {
        for name in ["ca.pem", "etcd.pem", "etcd-key.pem"] {
            workspace.write(
                &format!("machine/opt/{name}"),
                workspace.text(&format!("out/small/operator/etcd/192.0.2.1/{name}")),
            );
        }
    });
    let check_with = |certificate: &str, key: &str| {
        let server = format!(
            "openssl s_server -accept 2379 -cert {certificate} -key {key} -CAfile /opt/ca.pem -Verify 1 -quiet >/dev/null 2>&1 &"
        );
        let ready = "timeout 50 sh -c 'until grep -q \":094B 0*:0000 0A\" /proc/net/tcp /proc/net/tcp6; do /usr/bin/sleep 0.1; done';";
        machine.run(&format!("{server} {ready} /one/install.sh --check")).success().stdout
    };
    let check = check_with("/opt/etcd.pem", "/opt/etcd-key.pem");
    has_lines(
        &check,
        &["  ok           https://192.0.2.1:2379 answers over TLS", "All 11 checks passed. Nothing was changed."],
    );
    let keys = "/one/root/var/lib/kubernetes";
    let check = check_with(&format!("{keys}/kubernetes.pem"), &format!("{keys}/kubernetes-key.pem"));
    has_lines(&check, &["  warning      https://192.0.2.1:2379: its certificate is of another CA"]);
    let check = machine.run("mount --bind /dev/null /usr/bin/openssl; /one/install.sh --check").success().stdout;
    has_lines(
        &check,
        &[
            "  warning      https://192.0.2.1:2379: no answer; it may be installed later",
            "All 11 checks passed, 1 of them with a warning. Nothing was changed.",
        ],
    );
    let listener = format!("mount --bind /dev/null /usr/bin/openssl; {ETCD_LISTENS}");
    let check = machine.run(&format!("{listener} /one/install.sh --check")).success().stdout;
    has_lines(&check, &["  not checked  https://192.0.2.1:2379 answers; openssl is missing to see its certificate"]);
}

#[test]
fn the_status_of_a_machine_that_is_well_says_so() {
    let Some(machine) = machine() else { return };
    machine.run("/one/install.sh --status").exits(1).says(&["nothing is installed here", "1 thing is wrong"]);
    let installed = machine.run("/one/install.sh").success().stdout;
    has_lines(&installed, &[&format!("  {STATUS}"), "  /usr/bin/test ! -e /run/ill"]);
    let before = machine.files();
    for status in [STATUS, "/one/install.sh --status", "busybox sh /one/install.sh --status"] {
        if status.starts_with("busybox") && !has("busybox") {
            continue;
        }
        let said = machine.run(&format!("{LISTENING} {status}")).success();
        assert_eq!(said.stderr, "");
        fits_a_terminal(&said.stdout);
        has_lines(&said.stdout, &["only of cluster small, Kubernetes v1.16.0, build 1", "All is well."]);
        for part in ["kube-scheduler.service", "its health check", "10259", "Installed from an archive on 2"] {
            assert!(said.stdout.contains(part), "{part}: {}", said.stdout);
        }
        let days = |path: &str| said.stdout.lines().any(|line| line.contains(path) && line.ends_with(" days left"));
        if has("openssl") {
            assert!(days("/kubernetes.pem ") && days("/kube-scheduler.kubeconfig "), "{}", said.stdout);
            assert!(!days("/kubernetes-key.pem ") && !days("/service-account.pem "), "{}", said.stdout);
        }
    }
    let without = format!("{LISTENING} mount --bind /dev/null /usr/bin/openssl; {STATUS}");
    let said = machine.run(&without).success().stdout;
    assert!(said.contains("  the first that ends; openssl, to tell which, is missing    36"), "{said}");
    assert_eq!(machine.files(), before);
}

#[test]
fn the_status_names_what_is_wrong() {
    let Some(machine) = machine() else { return };
    machine.run("/one/install.sh").success();
    let status = |before: &str| machine.run(&format!("{LISTENING} {before} {STATUS}")).exits(1);
    machine.write("run/ill", "");
    status("").says(&["the health check of kube-bootstrap.service failed", "1 thing is wrong, see above."]);
    status("systemctl stop kube-scheduler.service;")
        .says(&["kube-scheduler.service is not up", "fix: systemctl start kube-scheduler.service"]);
    machine.run("systemctl start kube-scheduler.service").success();
    machine.write("run/clock-is-off-by", "40000000");
    if has("openssl") {
        status("").says(&["/var/lib/kubernetes/kubernetes.pem ends soon, or has ended", "kube-bundle pki renew"]);
    }
    machine.write("run/clock-is-off-by", "0");
    machine.write("var/lib/kube-bundle/pending-1-1/FILES", "");
    status("").says(&["an installation was stopped half-way", "run install.sh again"]);
    let under_way = status("ln -s 1-$(cut -d' ' -f22 /proc/1/stat) /run/kube-bundle.lock;");
    assert!(under_way.stdout.contains("Process 1 is installing or removing"), "{}", under_way.stdout);
    machine
        .run("rm -r /run/kube-bundle.lock /var/lib/kube-bundle/pending-1-1; echo /x >/run/kube-bundle.owed")
        .success();
    status("").says(&["files have changed, and the units were not restarted yet"]);
    machine.write("var/lib/cloud/instance/kube-bundle", "failed\n");
    status("").says(&["the installation at the first boot has not ended well: failed"]);
    // Somebody has completed it since.
    machine.run("rm /run/kube-bundle.owed /run/ill").success();
    let said = machine.run(&format!("{LISTENING} {STATUS}")).success();
    has_lines(&said.stdout, &["  first boot                         failed; it is installed now", "All is well."]);
}

#[test]
fn the_status_names_files_that_are_gone_and_certificates_that_can_not_be_read() {
    let Some(machine) = machine() else { return };
    machine.run("/one/install.sh").success();
    let keys = "/var/lib/kubernetes";
    machine.run(&format!("rm {keys}/ca-key.pem /usr/local/bin/kubectl")).success();
    let missing = "files of this bundle are missing: /usr/local/bin/kubectl /var/lib/kubernetes/ca-key.pem";
    machine.run(&format!("{LISTENING} {STATUS}")).exits(1).says(&[
        missing,
        "fix: run install.sh of this bundle again",
        "1 thing is wrong",
    ]);
    machine.run("/one/install.sh").success();
    if has("openssl") {
        machine.run(&format!(": >{keys}/kubernetes.pem; : >{keys}/kube-scheduler.kubeconfig")).success();
        machine.run(&format!("{LISTENING} {STATUS}")).exits(1).says(&[
            "no certificate can be read in /var/lib/kubernetes/kubernetes.pem",
            "no certificate can be read in /var/lib/kubernetes/kube-scheduler.kubeconfig",
            "2 things are wrong",
        ]);
    }
}

/// The text of a file of a worker.
fn text_of_worker(name: &str) -> String {
    let plan = Workspace::worker().run(&["plan", "--json"]).success().stdout;
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    let files = plan["nodes"][0]["files"].as_array().unwrap();
    let file = files.iter().find(|file| file["path"].as_str().unwrap().ends_with(name));
    file.unwrap()["source"]["text"].as_str().unwrap().to_owned()
}

/// It prefers what it got from the cluster, until that has ended.
#[test]
fn a_kubelet_takes_up_the_certificate_of_the_bundle_when_that_is_another_one() {
    let Some(machine) = machine() else { return };
    assert!(
        text_of_worker("/kubelet.service").contains("\nExecStartPre=/usr/local/lib/kube-bundle/kube-node identity\n")
    );
    machine.write("opt/kube-node", &text_of_worker("/kube-node"));
    let identity = "var/lib/kubelet/pki/kubelet-client-current.pem";
    let starts_with = |kubeconfig: &str| {
        machine.write("var/lib/kubernetes/kubelet.kubeconfig", kubeconfig);
        machine.run("sh /opt/kube-node identity").success();
        machine.path(identity).exists()
    };
    assert!(!starts_with("one"));
    machine.write(identity, "of the cluster");
    assert!(starts_with("one"), "what the kubelet renewed stays");
    assert!(!starts_with("two"), "pki renew");
    machine.write(identity, "of the cluster");
    assert!(starts_with("two"));
}

/// A kubelet that is cut off is well in its own eyes, so an API server is asked, with the kubelet's certificate.
#[test]
fn a_node_is_well_when_the_api_servers_see_it_as_ready() {
    let Some(machine) = machine() else { return };
    if !has("openssl") {
        return;
    }
    assert!(text_of_worker("/kubelet.service").contains("\nX-Health=/usr/local/lib/kube-bundle/kube-node status\n"));
    machine.write("opt/kube-node", &text_of_worker("/kube-node"));
    machine.carry("two", |workspace| {
        let key =
            |name: &str| workspace.text(&format!("pki/{name}.pem")) + &workspace.text(&format!("pki/{name}-key.pem"));
        workspace.write("machine/opt/other.pem", key("front-proxy-client/only"));
        workspace.write("machine/opt/kubelet.pem", key("admin"));
        workspace.write("machine/opt/server.pem", key("kubernetes/only"));
        workspace.write("machine/var/lib/kubernetes/ca.pem", workspace.text("pki/ca.pem"));
    });
    machine.run("sh /opt/kube-node status").exits(1).says(&["the kubelet has not run yet"]);
    let identity = "/var/lib/kubelet/pki/kubelet-client-current.pem";
    machine.run(&format!("mkdir -p /var/lib/kubelet/pki; ln -s /opt/kubelet.pem {identity}")).success();
    machine.run("sh /opt/kube-node status").exits(1).says(&["no API server answers on 127.0.0.1:6443"]);
    let server = "cd /opt; openssl s_server -accept 6443 -cert server.pem -key server.pem -CAfile /var/lib/kubernetes/ca.pem -Verify 1 -verify_return_error -HTTP >/dev/null 2>&1 &
        timeout 50 sh -c 'until grep -q \":192B 0*:0000 0A\" /proc/net/tcp /proc/net/tcp6; do /usr/bin/sleep 0.1; done';";
    let ask = |reply: &str| {
        machine.write("opt/api/v1/nodes/only", reply);
        machine.run(&format!("{server} sh /opt/kube-node status"))
    };
    let node = |ready: &str| {
        let healthy = r#"{"type":"DiskPressure","status":"False","message":"enough"}"#;
        let conditions = format!(r#"[{healthy},{{"type":"Ready",{ready}}}]"#);
        format!("HTTP/1.0 200 OK\r\n\r\n{{\"status\":{{\"conditions\":{conditions},\"addresses\":[]}}}}\n")
    };
    assert_eq!(ask(&node(r#""status":"True","message":"kubelet is posting""#)).success().stdout, "only is ready\n");
    let lost =
        node(r#""status":"Unknown","reason":"NodeStatusUnknown","message":"Kubelet stopped posting node status.""#);
    ask(&lost).exits(1).says(&["error: only is not ready: Kubelet stopped posting node status.\n"]);
    ask("HTTP/1.0 403 Forbidden\r\n\r\n{}\n").exits(1).says(&["error: an API server answers: 403 Forbidden\n"]);
    let (key, soon) =
        (machine.path("opt/key").display().to_string(), machine.path("opt/soon.pem").display().to_string());
    let request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x", "-days", "20"];
    tool("openssl", &[&request[..], &["-keyout", &key, "-out", &soon]].concat());
    machine.run(&format!("ln -sf /opt/soon.pem {identity}")).success();
    ask(&node(r#""status":"True""#))
        .exits(1)
        .says(&["error: the certificate that the kubelet uses ends soon, or has ended, and it got no other: /var/lib/kubelet/pki/"]);
    machine.run(&format!("ln -sf /opt/other.pem {identity}")).success();
    ask(&node(r#""status":"True""#)).exits(1).says(&["no API server answers"]);
    machine
        .run("mount --bind /dev/null /usr/bin/openssl; sh /opt/kube-node status")
        .exits(69)
        .says(&["openssl is missing"]);
}

#[test]
fn a_health_check_that_can_not_be_made_is_no_fault() {
    let Some(machine) = machine() else { return };
    machine.run("/one/install.sh").success();
    let unit = "/etc/systemd/system/kube-bootstrap.service";
    let with = |check: &str| {
        let edit = format!("sed -i 's|^X-Health=.*|X-Health={check}|' {unit};");
        machine.run(&format!("{edit} {LISTENING} {STATUS}"))
    };
    machine.write("opt/check", "echo asked; echo \"$2\"; exit \"$1\"");
    let said = with("sh /opt/check 69 nothing-to-ask-with");
    assert!(said.stdout.contains(" not made: nothing-to-ask-with\n"), "{}", said.stdout);
    assert!(!said.stderr.contains("health check"), "{}", said.stderr);
    assert_eq!(said.success().stdout.lines().last(), Some("All that could be checked is well."));
    with("sh /opt/check 1 ill").exits(1).says(&["the health check of kube-bootstrap.service failed: ill"]);
    // What is wrong, and not what it says after that.
    machine.write("opt/check", "echo asked; echo 'error: ill'; echo '  fix: rest'; echo 'latest backup: none'; exit 1");
    with("sh /opt/check").exits(1).says(&["the health check of kube-bootstrap.service failed: ill\n"]);
}

#[test]
fn the_status_names_units_that_no_boot_starts() {
    let Some(machine) = machine() else { return };
    machine.run("/one/install.sh").success();
    machine.run("rm /run/enabled/kube-scheduler.service").success();
    machine.run(&format!("{LISTENING} {STATUS}")).exits(1).says(&[
        "kube-scheduler.service is not enabled, and no boot starts it",
        "fix: systemctl enable kube-scheduler.service",
        "1 thing is wrong",
    ]);
}

/// A timer is up while everything that it starts fails.
#[test]
fn the_status_says_that_what_a_timer_starts_has_failed() {
    let Some(machine) = machine() else { return };
    machine.run("/one/install.sh").success();
    let conf = "/var/lib/kube-bundle/installed/bundle.conf";
    machine.run(&format!("sed -i 's/^units=/&kube-images.timer /' {conf}; systemctl enable kube-images.timer; systemctl start kube-images.timer")).success();
    machine.run(&format!("{LISTENING} {STATUS}")).success();
    machine.write("run/result-of/kube-images.service", "exit-code");
    machine
        .run(&format!("{LISTENING} {STATUS}"))
        .exits(1)
        .says(&["the last run of kube-images.service failed", "fix: see journalctl --unit=kube-images.service"]);
}

/// An API server without etcd starts again and again, and nothing on its machine says why.
#[test]
fn the_status_begins_with_what_other_machines_lack() {
    let Some(machine) = machine() else { return };
    machine.write("run/deaf", "kube-apiserver.service");
    let silent = "https://192.0.2.1:2379 does not answer";
    machine.run("/one/install.sh --wait 3").exits(75).says(&[silent]);
    let status = machine.run(STATUS).exits(1).says(&[silent, "fix: look at that machine first"]);
    assert!(status.stderr.starts_with("error: https://192.0.2.1:2379"), "{}", status.stderr);
    has_lines(&status.stdout, &["  https://192.0.2.1:2379             no answer"]);
    let status = machine.run(&format!("mount --bind /dev/null /usr/bin/openssl; {ETCD_LISTENS} {STATUS}")).exits(1);
    has_lines(&status.stdout, &["  https://192.0.2.1:2379             answers"]);
    assert!(!status.stderr.contains("2379"), "{}", status.stderr);
}

#[test]
fn a_check_warns_of_a_network_that_systemd_still_waits_for() {
    let Some(machine) = machine() else { return };
    let check = |state: &str| {
        machine.write("run/units/systemd-networkd-wait-online.service", state);
        machine.run("/one/install.sh --check").success()
    };
    has_lines(&check("active\n").stdout, &["  ok           systemd's wait for the network"]);
    for state in ["activating\n", "failed\n"] {
        let checked = check(state);
        has_lines(&checked.stdout, &["  warning      systemd's wait for the network"]);
        assert!(checked.stderr.contains("systemd-networkd-wait-online.service is"), "{}", checked.stderr);
    }
}

/// A network that is never "online" holds up whatever starts after it, for as long as systemd waits.
#[test]
fn units_that_systemd_has_not_started_yet_are_said_to_wait_for_what_comes_before() {
    let Some(machine) = machine() else { return };
    machine.write("run/Job-of/kube-apiserver.service", "7");
    machine.write("run/After-of/kube-apiserver.service", "basic.target network-online.target system.slice");
    machine.write("run/Job-of/network-online.target", "5");
    let waits = "kube-apiserver.service is queued: systemd waits for network-online.target; see `systemctl list-jobs`";
    let installed = machine.run("/one/install.sh --wait 3").exits(75).says(&[waits]);
    assert!(!installed.stderr.contains("another machine"), "{}", installed.stderr);
    let status = machine.run(STATUS).exits(1).says(&[waits, "kube-apiserver.service is not up: it is queued"]);
    assert!(status.stdout.contains("  kube-apiserver.service             queued\n"), "{}", status.stdout);
}

#[test]
fn a_unit_that_does_one_thing_is_at_work_until_it_is_done() {
    let Some(machine) = machine() else { return };
    machine.run("/one/install.sh").success();
    machine.write("run/sub-state-of/kube-bootstrap.service", "running");
    let status = machine.run(&format!("{LISTENING} {STATUS}")).exits(1);
    assert!(
        status.stdout.contains("  kube-bootstrap.service             at work, not done yet\n"),
        "{}",
        status.stdout
    );
    let status = status.says(&["kube-bootstrap.service has not done its work yet", "look again in a minute"]);
    assert!(!status.stderr.contains("is not up"), "{}", status.stderr);
}

#[test]
fn a_bundle_says_which_one_it_is() {
    let Some(machine) = machine() else { return };
    let before = machine.files();
    let first = "only of cluster small, Kubernetes v1.16.0, build 1";
    let said = machine.run("/one/install.sh --version").success().stdout;
    assert_eq!(said, format!("{first}\nIt is not installed here.\n"));
    let help = machine.run("/one/install.sh -h").success().stdout;
    assert_eq!(help, machine.run("/one/install.sh --help").success().stdout);
    assert_eq!(machine.files(), before);
    machine.carry("two", |workspace| workspace.edit("two/roles/master/units/kube-scheduler.service", "--v=2", "--v=3"));
    machine.run("/one/install.sh").success();
    for script in ["/one/install.sh", "/var/lib/kube-bundle/installed/install.sh"] {
        let said = machine.run(&format!("{script} --version")).success().stdout;
        assert!(said.starts_with(&format!("{first}\nInstalled here on 2")), "{said}");
    }
    machine.run("/var/lib/kube-bundle/installed/install.sh").exits(1).says(&[
        "this install.sh stayed here to show and to remove",
        "fix: add --status",
        "unpacked archive",
    ]);
    let said = machine.run("/two/install.sh --version").success().stdout;
    assert!(said.starts_with("only of cluster small, Kubernetes v1.16.0, build 2\nAnother one is installed"), "{said}");
    assert!(said.ends_with(&format!(":\n{first}\n")), "{said}");
}

#[test]
fn packages_have_a_command_for_the_status() {
    let Some(machine) = Machine::with_dpkg() else { return };
    machine.run("dpkg -i /one/*.deb").success();
    machine.run("printf '#!/bin/sh\\n' >/usr/bin/kubectl").success();
    let said = machine.run(&format!("{LISTENING} kube-bundle-status")).success();
    fits_a_terminal(&said.stdout);
    has_lines(
        &said.stdout,
        &["only of cluster small, Kubernetes v1.16.0, build 1", "Installed as the package small-only", "All is well."],
    );
    assert!(machine.run("kube-bundle-status --help").success().stdout.contains("Exit status"));
    machine.run("kube-bundle-status --hlep").exits(2).says(&["unknown option --hlep"]);
    machine
        .run(&format!("{LISTENING} systemctl stop kube-scheduler.service; kube-bundle-status"))
        .exits(1)
        .says(&["kube-scheduler.service is not up"]);
    machine.run("systemctl start kube-scheduler.service").success();
    let status = machine.text("var/lib/dpkg/status");
    let half = status.replace(
        "Package: small-only\nStatus: install ok installed",
        "Package: small-only\nStatus: install ok half-configured",
    );
    machine.write("var/lib/dpkg/status", &half);
    machine
        .run(&format!("{LISTENING} kube-bundle-status"))
        .exits(1)
        .says(&["the package is half-configured, not installed completely", "fix: dpkg --configure -a"]);
    machine.run("dpkg --purge small-only").success();
    assert!(!machine.owned_files().contains_key("usr/sbin/kube-bundle-status"));
}

/// A machine that is prepared may get its address later.
#[test]
fn what_may_come_later_is_a_warning_in_a_check() {
    let Some(machine) = machine() else { return };
    let check = machine.run("ip address del 192.0.2.1/32 dev lo; /one/install.sh --check --no-start").success();
    has_lines(&check.stdout, &["  warning      the address 192.0.2.1"]);
}
