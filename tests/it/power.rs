//! A power cut at any moment costs time and nothing else: what has a name on the disk has its bytes there, too.

use std::os::unix::fs::PermissionsExt as _;

use crate::harness::{Workspace, has_all, tool};
use crate::machine::Machine;

/// Notes the files that get their names before their bytes are on the disk.
const MV: &str = r#"#!/bin/sh
for word; do from=$to to=$word; done
find "$from" -type f -cnewer /run/synced >>/run/unsynced
exec /usr/bin/mv "$@"
"#;

fn stand_in(machine: &Machine, name: &str, script: &str) {
    machine.write(&format!("fake/{name}"), script);
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(machine.path(&format!("fake/{name}")), mode).unwrap();
}

#[test]
fn an_installation_moves_no_file_to_its_place_before_its_bytes_are_on_the_disk() {
    let Some(machine) = Machine::new() else { return };
    machine.carry("one", |_| {});
    machine.carry("two", |workspace| workspace.edit("two/roles/master/units/kube-scheduler.service", "--v=2", "--v=3"));
    stand_in(&machine, "mv", MV);
    machine.write("local/bin/kubectl", "somebody's");
    machine.write("run/synced", "");
    for install in ["/one/install.sh --replace", "echo a >>/etc/kubernetes/config/kube-scheduler.yaml; /two/install.sh"]
    {
        machine.run(&format!("/usr/bin/sleep 0.02; {install}")).success();
        assert_eq!(machine.text("run/unsynced"), "", "{install}");
    }
}

#[test]
fn a_package_says_that_its_secrets_are_open_when_they_are_on_the_disk() {
    if !has_all(&["openssl"]) {
        return;
    }
    let Some(machine) = Machine::with_dpkg() else { return };
    machine.carry_packages("two", |workspace| {
        workspace.edit("cluster.toml", "[pki]", "[secrets]\nseal = \"key\"\n[pki]");
    });
    machine.write("only.pem", &machine.workspace().text("pki/seal/only.pem"));
    let sync = "#!/bin/sh\n[ ! -s /var/lib/kubernetes/ca-key.pem ] || [ -e /var/lib/kube-bundle/unsealed/of ] || : >/run/in-order\n";
    stand_in(&machine, "sync", sync);
    machine.run("KUBE_BUNDLE_KEY=/only.pem dpkg --force-depends -i /two/*.deb").success();
    assert!(machine.path("var/lib/kube-bundle/unsealed/of").exists());
    assert!(machine.path("run/in-order").exists(), "`of` was written first");
}

/// The function `name` of a script.
fn function<'s>(script: &'s str, name: &str) -> &'s str {
    let start = script.find(&format!("{name}() {{")).unwrap();
    script[start..].split_inclusive("\n}\n").next().unwrap()
}

/// cloud-init notes that it has run a script before it runs it.
#[test]
fn a_first_boot_that_was_cut_short_at_any_moment_is_made_again() {
    let Some(machine) = Machine::new() else { return };
    let workspace = machine.workspace();
    workspace.run(&["build", "--offline", "--from", "files", "-q", "--format", "nocloud", "-o", "seeded"]).success();
    let user_data = workspace.text("seeded/nodes/only/nocloud/user-data").replace("\n  ", "\n");
    let (commands, script) = user_data.split_once("bootcmd:\n- |\n").unwrap().1.split_once("runcmd:\n- |\n").unwrap();
    machine.write("bootcmd", commands);
    let notes = ["config_runcmd", "config_scripts_user"].map(|note| format!("var/lib/cloud/instance/sem/{note}"));
    let stamp = "var/lib/cloud/instance/kube-bundle";
    for (left, again) in [
        (None, true),
        (Some(""), true),
        (Some("started\n"), true),
        (Some("sealed\n"), true),
        (Some("failed\n"), false),
        (Some("installed v1.16.0\n"), false),
    ] {
        for note in &notes {
            machine.write(note, "");
        }
        left.inspect(|text| machine.write(stamp, text));
        machine.run("sh -e /bootcmd").success();
        assert!(notes.iter().all(|note| machine.path(note).exists() != again), "{left:?}");
    }
    // Nothing is here that it could install; but what was unpacked before goes.
    machine.write("boot", script);
    machine.write("var/tmp/kube-bundle-boot.1234/one/root/key.pem", "");
    std::fs::remove_file(machine.path(stamp)).unwrap();
    machine.run("sh /boot").exits(1);
    assert_eq!(machine.text(stamp), "failed\n", "{}", machine.text("var/log/kube-bundle-boot.log"));
    assert!(!machine.path("var/tmp/kube-bundle-boot.1234").exists());
    let finish = function(script, "finish");
    let stamp = workspace.path("stamp").display().to_string();
    let call = format!("stamp={stamp}; sync() {{ echo sync; }}; mv() {{ echo mv; }}\n{finish}finish started");
    assert_eq!(tool("sh", &["-c", &call]), "sync\nmv\n");
}

/// An empty mark would be read as another command's than the one that was stopped.
#[test]
fn what_is_done_to_the_data_of_etcd_is_on_the_disk_before_it_is_marked() {
    let workspace = Workspace::stacked();
    let plan: serde_json::Value = serde_json::from_str(&workspace.run(&["plan", "--json"]).success().stdout).unwrap();
    let files = plan["nodes"][0]["files"].as_array().unwrap();
    let script = files.iter().find(|file| file["path"] == "usr/local/bin/kube-etcd").unwrap();
    let script = script["source"]["text"].as_str().unwrap();
    let mark = function(script, "mark");
    let directory = workspace.path("marker").display().to_string();
    let call = format!(
        "marker={directory}; say() {{ echo \"$*\"; }}; sync() {{ echo sync; }}; mv() {{ echo mv; }}\n{mark}mark restore"
    );
    assert_eq!(tool("sh", &["-c", &call]), "sync\nmv\nsync\n");
}
