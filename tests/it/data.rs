//! Data outlive their installation, and are never taken for another cluster's, nor taken from one that needs them.

use crate::harness::Workspace;
use crate::machine::Machine;

/// Makes `recipe` one whose masters keep data, of the cluster of the CA.
fn keep_data(workspace: &Workspace, recipe: &str) {
    if !workspace.path("exported").exists() {
        workspace.run(&["recipe", "export", "./recipe", "exported"]).success();
    }
    let role = workspace.text("exported/roles/master/role.toml");
    let more = "data = [\"var/lib/objects\"]\ndata_of = \"ca\"\n";
    let directory = "[[files]]\npath = \"var/lib/objects\"\nmode = \"0755\"\nsource = \"directory\"\n";
    let role = role.replacen("[install]\n", &format!("[install]\n{more}"), 1);
    workspace.write(
        &format!("{recipe}/roles/master/role.toml"),
        role.replacen("[[files]]", &format!("{directory}\n[[files]]"), 1),
    );
}

/// From now on, bundles are of another cluster with the same names and addresses.
fn forget_keys(workspace: &Workspace) {
    std::fs::remove_dir_all(workspace.path("pki")).unwrap();
}

const NOTE: &str = "var/lib/objects/.kube-bundle-cluster";
const REFUSED: &str = "/var/lib/objects holds the data of cluster small, of another CA than the one of this bundle";

#[test]
fn an_archive_does_not_take_up_the_data_of_another_cluster() {
    let Some(machine) = Machine::new() else { return };
    machine.carry("one", |workspace| keep_data(workspace, "one"));
    machine.run("/one/install.sh").success();
    assert!(machine.text(NOTE).ends_with(" small\n"), "{}", machine.text(NOTE));
    machine.write("var/lib/objects/data/1.db", "objects");
    let run = machine.run("/one/install.sh --uninstall").success();
    assert!(run.stdout.contains("Kept: /var/lib/objects, which holds data"), "{}", run.stdout);
    // The same cluster goes on with them.
    machine.run("/one/install.sh").success();
    machine.run("/one/install.sh --uninstall").success();
    machine.carry("two", |workspace| {
        keep_data(workspace, "two");
        forget_keys(workspace);
    });
    let before = machine.files();
    machine.run("/two/install.sh --check").exits(1).says(&[REFUSED]);
    machine.run("/two/install.sh").exits(1).says(&[
        REFUSED,
        "mv /var/lib/objects /var/lib/objects.of-small",
        "Nothing was changed.",
    ]);
    assert_eq!(machine.files(), before);
    // An upgrade by a bundle of other keys is no upgrade.
    machine.run("/one/install.sh").success();
    machine.run("/two/install.sh").exits(1).says(&[REFUSED]);
    machine.run("/one/install.sh --purge").success();
    assert!(!machine.path("var/lib/objects").exists(), "the note goes with the data");
    machine.run("/two/install.sh").success();
}

#[test]
fn data_of_an_earlier_version_are_taken_up_and_noted_by_an_upgrade_only() {
    let Some(machine) = Machine::new() else { return };
    machine.carry("one", |workspace| keep_data(workspace, "one"));
    machine.write("var/lib/objects/1.db", "objects");
    machine.run("/one/install.sh").success();
    assert!(!machine.path(NOTE).exists(), "nobody knows whose they are");
    machine.run("/one/install.sh").success();
    assert!(machine.path(NOTE).exists());
}

#[test]
fn a_package_does_not_take_up_the_data_of_another_cluster() {
    let Some(machine) = Machine::with_dpkg() else { return };
    machine.carry_packages("first", |workspace| keep_data(workspace, "recipe"));
    machine.carry_packages("second", forget_keys);
    machine.run("dpkg -i /first/*.deb").success();
    assert!(machine.path(NOTE).exists());
    machine.run("dpkg --purge small-only").success();
    assert!(!machine.path("var/lib/objects").exists(), "without data there is nothing to note");
    machine.run("dpkg -i /first/*.deb").success();
    machine.write("var/lib/objects/1.db", "objects");
    machine.run("dpkg --purge small-only").success();
    assert!(machine.path(NOTE).exists());
    machine.run("dpkg -i /second/*.deb").exits(1).says(&[REFUSED]);
    machine.run("dpkg -i /first/*.deb").success();
    machine.run("dpkg --purge small-only && rm -r /var/lib/objects").success();
    machine.run("dpkg -i /second/*.deb").success();
}

/// A unit with a check of its own, which says what /run/removal-refuses says.
fn check_removals(workspace: &Workspace, recipe: &str) {
    let unit = "roles/master/units/kube-scheduler.service";
    if !workspace.path("exported").exists() {
        workspace.run(&["recipe", "export", "./recipe", "exported"]).success();
    }
    let text = workspace.text(&format!("exported/{unit}"));
    workspace.write(
        &format!("{recipe}/{unit}"),
        text.replacen("[Unit]\n", "[Unit]\nX-Removal-Check=/usr/bin/test ! -e /run/removal-refuses\n", 1),
    );
}

fn stopped(machine: &Machine) -> bool {
    machine.calls().iter().any(|call| call.starts_with("stop") || call.starts_with("disable"))
}

#[test]
fn an_archive_is_not_removed_where_others_need_the_machine() {
    let Some(machine) = Machine::new() else { return };
    machine.carry("one", |workspace| check_removals(workspace, "one"));
    machine.run("/one/install.sh").success();
    machine.write("run/removal-refuses", "");
    machine.calls();
    let before = machine.files();
    for action in ["--uninstall", "--purge", "--uninstall --dry-run"] {
        machine.run(&format!("/one/install.sh {action}")).exits(1).says(&["Nothing was changed."]);
    }
    assert!(machine.files() == before && !stopped(&machine));
    machine.run("/one/install.sh --purge --force").success();
    assert!(stopped(&machine));
}

#[test]
fn a_package_is_not_removed_where_others_need_the_machine() {
    let Some(machine) = Machine::with_dpkg() else { return };
    machine.carry_packages("first", |workspace| check_removals(workspace, "recipe"));
    machine.run("dpkg -i /first/*.deb").success();
    machine.write("run/removal-refuses", "");
    machine.calls();
    for action in ["--remove", "--purge"] {
        machine
            .run(&format!("dpkg {action} small-only"))
            .exits(1)
            .says(&["small-only stays as it is; nothing was stopped"]);
    }
    assert!(!stopped(&machine));
    machine.run("dpkg --status small-only | grep -x 'Status: .* installed'").success();
    machine.run("KUBE_BUNDLE_FORCE=yes dpkg --purge small-only").success();
    assert!(stopped(&machine));
}
