//! The same rule says which units an upgrade restarts, whether an archive or a package brings it.

use crate::harness::Workspace;
use crate::machine::Machine;

/// Each unit names a file of its own in another of the ways that systemd.exec(5) and command lines have.
const WAYS: [(&str, &str, &str); 5] = [
    ("kube-apiserver", "UMask=0077", "UMask=0077\nEnvironmentFile=-/etc/kubernetes/config/kube-apiserver.env"),
    (
        "kube-controller-manager",
        "UMask=0077",
        "UMask=0077\nExecStartPre=-/etc/kubernetes/config/kube-controller-manager.env",
    ),
    (
        "kube-scheduler",
        "UMask=0077",
        "UMask=0077\nExecStartPre=/bin/true \"/etc/kubernetes/config/kube-scheduler.env\"",
    ),
    (
        "kube-bootstrap",
        "UMask=0077",
        "UMask=0077\nExecStartPre=/bin/true --list=/x,/etc/kubernetes/config/kube-bootstrap.env",
    ),
    // A list that a shell would take for patterns, and that names nothing of ours.
    ("kube-bootstrap", "[Install]", "X-Patterns=/etc/* /usr/*/* [a-z]*\n\n[Install]"),
];

/// Makes `directory` a recipe with such units; `content` is what stands in the files that they name.
fn write_recipe(workspace: &Workspace, directory: &str, content: &str) {
    if !workspace.path(&format!("{directory}-base")).exists() {
        workspace.run(&["recipe", "export", "v1.16.0", &format!("{directory}-base")]).success();
    }
    let role = workspace.text(&format!("{directory}-base/roles/master/role.toml"));
    let mut files = String::new();
    for (unit, _, _) in &WAYS[..4] {
        let file = format!("{directory}/roles/master/units/{unit}.service");
        let mut text = workspace.text(&format!("{directory}-base/roles/master/units/{unit}.service"));
        for (_, from, to) in WAYS.iter().filter(|(of, _, _)| of == unit) {
            assert!(text.contains(from), "{unit} has no {from}");
            text = text.replacen(from, to, 1);
        }
        workspace.write(&file, text);
        workspace.write(&format!("{directory}/roles/master/config/{unit}.env"), content);
        files += &format!(
            "\n[[files]]\npath = \"etc/kubernetes/config/{unit}.env\"\nmode = \"0644\"\nsource = {{ text = \"config/{unit}.env\" }}\n"
        );
    }
    // Files of a role come before its certificates.
    let (before, after) = role.split_once("[certificates.").unwrap();
    let role = format!("{before}{files}\n[certificates.{after}");
    workspace.write(&format!("{directory}/roles/master/role.toml"), role);
}

fn restarted(machine: &Machine) -> Vec<String> {
    let calls = machine.calls().into_iter().filter(|call| call.starts_with("restart"));
    let mut units: Vec<_> = calls
        .flat_map(|call| call.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .filter(|word| word.ends_with(".service"))
        .collect();
    units.sort();
    units
}

const ALL: [&str; 4] =
    ["kube-apiserver.service", "kube-bootstrap.service", "kube-controller-manager.service", "kube-scheduler.service"];

#[test]
fn an_archive_restarts_every_unit_that_names_a_changed_file() {
    let Some(machine) = Machine::new() else { return };
    machine.carry("one", |workspace| write_recipe(workspace, "one", "A=1\n"));
    machine.carry("two", |workspace| write_recipe(workspace, "two", "A=2\n"));
    machine.run("/one/install.sh").success();
    assert_eq!(restarted(&machine), [""; 0]);
    machine.run("/two/install.sh").success();
    assert_eq!(restarted(&machine), ALL);
    machine.run("cd /etc && /two/install.sh").success();
    assert_eq!(restarted(&machine), [""; 0], "nothing has changed");
}

#[test]
fn a_package_restarts_every_unit_that_names_a_changed_file() {
    let Some(machine) = Machine::with_dpkg() else { return };
    for (name, content) in [("one", "A=1\n"), ("two", "A=2\n")] {
        machine.run(&format!("rm -rf /{name}")).success();
        machine.carry_packages(name, |workspace| write_recipe(workspace, "recipe", content));
    }
    machine.run("dpkg -i /one/*.deb").success();
    machine.calls();
    machine.run("dpkg -i /two/*.deb").success();
    assert_eq!(restarted(&machine), ALL);
}

/// A unit with a check of its own, which notes how it was called and says what /run/check-says says.
fn write_checked_recipe(workspace: &Workspace, directory: &str, level: &str) {
    let unit = format!("{directory}/roles/master/units/kube-scheduler.service");
    if !workspace.path(&unit).exists() {
        workspace.run(&["recipe", "export", "v1.16.0", &format!("{directory}-base")]).success();
        let text = workspace.text(&format!("{directory}-base/roles/master/units/kube-scheduler.service"));
        workspace.write(&unit, text);
    }
    let text = workspace.text(&unit).replace("--v=2", &format!("--v={level}"));
    workspace.write(&unit, text.replacen("[Unit]\n", "[Unit]\nX-Restart-Check=/fake/check one\n", 1));
}

fn install_check(machine: &Machine) {
    let check = "#!/bin/sh\necho \"$*\" >>/run/checked\ncase \"$*\" in *--force*) exit 0 ;; esac\nexec test ! -e /run/check-refuses\n";
    machine.write("fake/check", check);
    machine.run("chmod 755 /fake/check").success();
}

#[test]
fn an_archive_asks_a_units_own_check_before_it_changes_anything() {
    let Some(machine) = Machine::new() else { return };
    install_check(&machine);
    machine.carry("one", |workspace| write_checked_recipe(workspace, "one", "2"));
    machine.carry("two", |workspace| write_checked_recipe(workspace, "two", "3"));
    machine.run("/one/install.sh").success();
    assert!(!machine.path("run/checked").exists(), "nothing was restarted");
    machine.calls();
    machine.write("run/check-refuses", "");
    let before = machine.text("etc/systemd/system/kube-scheduler.service");
    machine.run("/two/install.sh --dry-run").exits(1).says(&["Nothing was changed."]);
    machine.run("/two/install.sh").exits(1).says(&["Nothing was changed."]);
    assert_eq!(machine.text("etc/systemd/system/kube-scheduler.service"), before);
    assert_eq!(machine.text("run/checked"), "one --dry-run\none\n");
    machine.run("/two/install.sh --force").success();
    assert_eq!(restarted(&machine), ["kube-scheduler.service"]);
    assert!(machine.text("run/checked").ends_with("one --force\n"));
}

#[test]
fn packages_ask_a_units_own_check_before_they_restart_anything() {
    let Some(machine) = Machine::with_dpkg() else { return };
    install_check(&machine);
    machine.carry_packages("checked", |workspace| write_checked_recipe(workspace, "recipe", "2"));
    machine.carry_packages("two", |workspace| write_checked_recipe(workspace, "recipe", "3"));
    machine.run("dpkg -i /checked/*.deb").success();
    machine.calls();
    machine.write("run/check-refuses", "");
    machine.run("dpkg -i /two/*.deb").exits(1).says(&["small-only runs with its old files yet; nothing was restarted"]);
    assert_eq!(restarted(&machine), [""; 0]);
    machine.run("dpkg --configure -a").exits(1);
    machine.run("KUBE_BUNDLE_FORCE=yes dpkg --configure -a").success();
    assert_eq!(restarted(&machine), ["kube-scheduler.service"]);
    assert!(machine.text("run/checked").ends_with("one --force\n"));
}

/// Other machines may rely on it, such as on a member of etcd.
#[test]
fn a_unit_with_a_check_does_not_go_unnoticed() {
    let Some(machine) = Machine::new() else { return };
    install_check(&machine);
    machine.carry("one", |workspace| write_checked_recipe(workspace, "one", "2"));
    machine.carry("two", |workspace| workspace.edit("two/roles/master/role.toml", "\"kube-scheduler.service\", ", ""));
    machine.run("/one/install.sh").success();
    machine.run("/two/install.sh --no-start").exits(1).says(&["kube-scheduler.service runs here"]);
    machine
        .run("/two/install.sh --wait 1")
        .exits(1)
        .says(&["kube-scheduler.service runs here", "or go on with --force"]);
    machine.run("/two/install.sh --force").success();
    assert!(machine.calls().iter().any(|call| call.starts_with("disable") && call.contains("kube-scheduler.service")));
}
