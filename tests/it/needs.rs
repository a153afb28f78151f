//! What units need besides files of root's: users, files of theirs, links, data that outlives them, commands.

use std::os::unix::fs::MetadataExt as _;

use crate::harness::Workspace;
use crate::machine::Machine;

/// Makes `directory` a recipe whose units run as `probe` and have data.
fn write_recipe(workspace: &Workspace, directory: &str, commands: &str) {
    if !workspace.path("base").exists() {
        workspace.run(&["recipe", "export", "v1.16.0", "base"]).success();
    }
    let role = workspace.text("base/roles/master/role.toml");
    let needs = format!("data = [\"var/lib/probe\"]\nusers = [\"probe:/var/lib/probe\"]\ncommands = [{commands}]\n");
    let role = role.replacen("ports = [", &format!("{needs}ports = ["), 1);
    let files = r#"
[[files]]
path = "var/lib/probe"
mode = "0700"
owner = "probe:probe"
source = "directory"

[[files]]
path = "etc/probe.conf"
mode = "0600"
owner = "probe:probe"
source = { text = "config/kube-scheduler.yaml" }

[[files]]
path = "{{ lib }}/bootstrap"
mode = "0777"
source = { link = "kube-bootstrap" }
"#;
    // Files of a role come before its certificates.
    let (before, after) = role.split_once("[certificates.").unwrap();
    let role = format!("{before}{files}\n[certificates.{after}");
    workspace.write(&format!("{directory}/roles/master/role.toml"), role);
}

/// A machine that has users at all.
fn with_users(machine: &Machine) {
    machine.write("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
    machine.write("etc/group", "root:x:0:\n");
}

fn owner(machine: &Machine, name: &str) -> (u32, u32) {
    let found = std::fs::symlink_metadata(machine.path(name)).unwrap();
    (found.uid(), found.gid())
}

fn probe(machine: &Machine) -> (u32, u32) {
    let ids = machine.run("id -u probe; id -g probe").success().stdout;
    let ids: Vec<u32> = ids.split_whitespace().map(|id| id.parse().unwrap()).collect();
    assert!(ids[0] != 0 && ids[0] < 1000, "{ids:?}");
    (ids[0], ids[1])
}

#[test]
fn an_archive_gives_files_to_the_users_of_units_and_keeps_their_data() {
    let Some(machine) = Machine::new() else { return };
    with_users(&machine);
    machine.carry("one", |workspace| write_recipe(workspace, "one", "\"sh\""));
    let dry = machine.run("/one/install.sh --dry-run").success();
    assert!(dry.stdout.contains("would create the system user probe"), "{}", dry.stdout);
    machine.run("grep probe /etc/passwd").exits(1);
    machine.run("/one/install.sh").success();
    let probe = probe(&machine);
    assert!(machine.text("etc/passwd").contains(":/var/lib/probe:/usr/sbin/nologin"));
    for name in ["var/lib/probe", "etc/probe.conf"] {
        assert_eq!(owner(&machine, name), probe, "{name}");
    }
    let link = machine.path("local/lib/kube-bundle/bootstrap");
    assert_eq!(std::fs::read_link(&link).unwrap().display().to_string(), "kube-bootstrap");
    machine.run("/usr/local/bin/kubectl 2>/dev/null; test -s /usr/local/lib/kube-bundle/bootstrap").success();
    machine.write("var/lib/probe/db", "precious");

    let again = machine.run("/one/install.sh").success();
    assert!(again.stdout.contains("no file changed"), "{}", again.stdout);
    machine
        .run("chown 0:0 /etc/probe.conf /var/lib/probe; ln -sfn elsewhere /usr/local/lib/kube-bundle/bootstrap")
        .success();
    let mended = machine.run("/one/install.sh").success();
    assert!(mended.stdout.contains("Installed only"), "{}", mended.stdout);
    assert_eq!((owner(&machine, "etc/probe.conf"), owner(&machine, "var/lib/probe")), (probe, probe));
    assert_eq!(std::fs::read_link(&link).unwrap().display().to_string(), "kube-bootstrap");

    // A bundle that knows nothing of the data does not remove it either.
    machine.carry("without", |_| {});
    machine.run("/without/install.sh").success();
    assert_eq!(machine.text("var/lib/probe/db"), "precious");
    assert!(std::fs::symlink_metadata(&link).is_err(), "the link is gone with its bundle");
    let dry = machine.run("/without/install.sh --uninstall --dry-run").success();
    assert!(dry.stdout.contains("would keep /var/lib/probe"), "{}", dry.stdout);
    let removed = machine.run("/var/lib/kube-bundle/installed/install.sh --uninstall").success();
    assert!(removed.stdout.contains("Kept: /var/lib/probe, which holds data"), "{}", removed.stdout);
    assert_eq!(machine.text("var/lib/probe/db"), "precious");
    assert_eq!(owner(&machine, "var/lib/probe"), probe);
    assert!(!machine.path("etc/probe.conf").exists());

    machine.run("/one/install.sh").success();
    machine.run("rm /var/lib/probe/db").success();
    for command in ["--uninstall --dry-run", "--uninstall"] {
        let nothing = machine.run(&format!("/one/install.sh {command}")).success();
        assert!(!nothing.stdout.contains("/var/lib/probe"), "nothing is kept: {}", nothing.stdout);
    }
    machine.run("/one/install.sh").success();
    let purged = machine.run("/one/install.sh --purge").success();
    assert!(purged.stdout.contains("Removing the data in /var/lib/probe"), "{}", purged.stdout);
    assert!(!machine.path("var/lib/probe").exists());
    assert!(machine.text("etc/passwd").contains("probe"), "users are never deleted");
}

#[test]
fn a_package_gives_files_to_the_users_of_units_and_never_removes_data() {
    let Some(machine) = Machine::with_dpkg() else { return };
    with_users(&machine);
    machine.run("rm -rf /one").success();
    machine.carry_packages("one", |workspace| write_recipe(workspace, "recipe", "\"sh\""));
    machine.run("dpkg -i /one/*.deb").success();
    let probe = probe(&machine);
    for name in ["var/lib/probe", "etc/probe.conf"] {
        assert_eq!(owner(&machine, name), probe, "{name}");
    }
    machine.run("test \"$(readlink /usr/lib/kube-bundle/bootstrap)\" = kube-bootstrap").success();
    machine.write("var/lib/probe/db", "precious");
    machine.run("dpkg -i /one/*.deb && dpkg --verify").success();
    assert_eq!(owner(&machine, "etc/probe.conf"), probe, "after another unpacking, too");
    machine.run("dpkg --remove small-only").success();
    assert_eq!(machine.text("var/lib/probe/db"), "precious");
    let purged = machine.run("dpkg --purge small-only").success();
    assert!(purged.stdout.contains("Kept: /var/lib/probe, which holds data"), "{}", purged.stdout);
    assert_eq!(machine.text("var/lib/probe/db"), "precious");
    machine.run("dpkg -i /one/*.deb && rm /var/lib/probe/db && dpkg --purge small-only").success();
    assert!(!machine.path("var/lib/probe").exists(), "empty, it goes");
}

#[test]
fn each_kernel_module_that_the_bundle_loads_is_looked_for() {
    let wants = |workspace: &Workspace, directory: &str| {
        write_recipe(workspace, directory, "\"sh\"");
        let role = format!("{directory}/roles/master/role.toml");
        workspace.edit(&role, "[install]\n", "[install]\npreflight = [\"kernel-modules\"]\n");
        let list = "[[files]]\npath = \"etc/modules-load.d/90-probe.conf\"\nmode = \"0644\"\nsource = { text = \"config/modules.conf\" }\n";
        workspace.edit(
            &role,
            "[[files]]\npath = \"var/lib/probe\"",
            &format!("{list}\n[[files]]\npath = \"var/lib/probe\""),
        );
        workspace
            .write(&format!("{directory}/roles/master/config/modules.conf"), "# For pods.\noverlay\nno_such_one\n");
    };
    let says = ["the kernel has no modules no_such_one\n"];
    if let Some(machine) = Machine::new() {
        with_users(&machine);
        machine.carry("one", |workspace| wants(workspace, "one"));
        machine.run("/one/install.sh --check").exits(1).says(&says);
    }
    if let Some(machine) = Machine::with_dpkg() {
        with_users(&machine);
        machine.run("rm -rf /one").success();
        machine.carry_packages("one", |workspace| wants(workspace, "recipe"));
        machine.run("dpkg -i /one/*.deb").exits(1).says(&says);
    }
}

/// kubeadm leaves `/var/lib/etcd` with mode 0700.
#[test]
fn a_directory_that_its_user_could_never_reach_is_found_before_anything_changes() {
    let texts = ["the user probe can't pass /var/lib/probe, and /var/lib/probe/data is to be probe's"];
    let fix = ["fix: chmod 0755 /var/lib/probe"];
    let nested = |workspace: &Workspace, directory: &str| {
        write_recipe(workspace, directory, "\"sh\"");
        let role = format!("{directory}/roles/master/role.toml");
        let data = "path = \"var/lib/probe\"\nmode = \"0700\"\nowner = \"probe:probe\"";
        let open = "path = \"var/lib/probe\"\nmode = \"0755\"\nsource = \"directory\"\n\n[[files]]\n";
        workspace.edit(&role, data, &format!("{open}{}", data.replace("probe\"\nmode", "probe/data\"\nmode")));
    };
    let close = "mkdir -m 0700 /var/lib/probe;";
    if let Some(machine) = Machine::new() {
        with_users(&machine);
        machine.carry("one", |workspace| nested(workspace, "one"));
        machine.run(&format!("{close} /one/install.sh --check")).exits(1).says(&texts).says(&fix);
        machine.run("chmod 0755 /var/lib/probe; /one/install.sh --check").success();
    }
    if let Some(machine) = Machine::with_dpkg() {
        with_users(&machine);
        machine.run("rm -rf /one").success();
        machine.carry_packages("one", |workspace| nested(workspace, "recipe"));
        machine.run(&format!("{close} dpkg -i /one/*.deb")).exits(1).says(&texts).says(&fix);
        machine.run("chmod 0755 /var/lib/probe; dpkg -i /one/*.deb").success();
    }
}

/// A disk outlives the system on it, and on the next one the same user has another number.
#[test]
fn data_of_a_system_before_are_given_to_the_user_with_all_that_is_in_them() {
    let Some(machine) = Machine::new() else { return };
    with_users(&machine);
    machine.carry("one", |workspace| write_recipe(workspace, "one", "\"sh\""));
    machine
        .run("mkdir -p /var/lib/probe/member; echo precious >/var/lib/probe/member/db; chown -R 1234 /var/lib/probe")
        .success();
    let advice = "chown -hR root:root /var/lib/probe";
    machine.run("/one/install.sh").exits(1).says(&["/var/lib/probe belongs to user 1234", advice]);
    // As earlier versions advised.
    machine.run("chown root:root /var/lib/probe; /one/install.sh").success();
    let probe = probe(&machine);
    for name in ["var/lib/probe", "var/lib/probe/member", "var/lib/probe/member/db"] {
        assert_eq!(owner(&machine, name), probe, "{name}");
    }
}

#[test]
fn users_are_created_where_there_is_no_useradd() {
    let Some(machine) = Machine::with_dpkg() else { return };
    with_users(&machine);
    machine.run("rm -rf /one").success();
    machine.carry_packages("one", |workspace| write_recipe(workspace, "recipe", ""));
    machine.run("rm /usr/sbin/useradd; dpkg -i /one/*.deb").success();
    assert_eq!(owner(&machine, "etc/probe.conf"), probe(&machine));
    assert!(machine.text("etc/passwd").contains(":/var/lib/probe:/usr/sbin/nologin"));
}

#[test]
fn missing_commands_are_named_all_at_once() {
    let missing = "\"sh\", \"no-such-one:one-package\", \"no-such-two:two-package\", \"no-such-three\"";
    let texts = [
        "error: commands are missing: no-such-one, no-such-two, no-such-three",
        "fix: apt-get install one-package two-package, or install what provides them",
    ];
    if let Some(machine) = Machine::new() {
        with_users(&machine);
        machine.carry("one", |workspace| write_recipe(workspace, "one", missing));
        let before = machine.files();
        machine.run("/one/install.sh").exits(1).says(&texts).says(&["Nothing was changed."]);
        assert_eq!(machine.files(), before);
    }
    if let Some(machine) = Machine::with_dpkg() {
        with_users(&machine);
        machine.run("rm -rf /one").success();
        machine.carry_packages("one", |workspace| write_recipe(workspace, "recipe", missing));
        // Packages depend on those that have the commands, so apt installs them.
        machine.run("dpkg -i /one/*.deb").exits(1).says(&["depends on one-package", "depends on two-package"]);
        machine.run("rm -rf /one; dpkg --purge small-only").success();
        let plain = "\"sh\", \"no-such-one\", \"no-such-two\", \"no-such-three\"";
        machine.carry_packages("one", |workspace| write_recipe(workspace, "recipe", plain));
        machine.run("dpkg -i /one/*.deb").exits(1).says(&[texts[0], "fix: install what provides them"]);
        assert!(machine.calls().iter().all(|call| !call.contains("start")));
        // Dependencies may come with the same run, so it is a reason to wait, not to refuse.
        let there = "for one in no-such-one no-such-two no-such-three; do ln -s /bin/true /usr/bin/$one; done";
        machine.run(&format!("{there}; dpkg --configure -a")).success();
    }
}

/// Recipe text ends up in scripts that root runs.
#[test]
fn a_recipe_with_words_for_a_shell_is_refused() {
    let workspace = Workspace::small(1000);
    workspace.run(&["recipe", "export", "./recipe", "good"]).success();
    let role = workspace.text("good/roles/master/role.toml");
    let refused = |from: &str, to: &str, texts: &[&str]| {
        assert!(role.contains(from), "{from}");
        workspace.write("recipe/roles/master/role.toml", role.replacen(from, to, 1));
        workspace.run(&["plan"]).exits(2).says(texts);
    };
    refused("\"kube-apiserver.service\", ", "\"x'; touch /pwned; '\", ", &["is not the name of a unit"]);
    refused(
        "path = \"{{ lib }}/kube-bootstrap\"",
        "path = \"{{ lib }}/ku'$(id)*;bectl\"",
        &["is no path below the root"],
    );
    refused("mode = \"0755\"", "mode = \"4755\"", &["has mode 4755"]);
    refused("logs = [\"var/log/kubernetes\"]", "logs = [\"var/log/$(id)\"]", &["is no path below the root"]);
    refused("logs = [", "data = [\"var/lib/kube-bootstrap/db\"]\nlogs = [", &["data in `var/lib/kube-bootstrap/db`"]);
    refused("logs = [", "users = [\"a b:/x\"]\nlogs = [", &["expected a user such as"]);
    refused("logs = [", "commands = [\"a;b\"]\nlogs = [", &["expected a command such as"]);
    workspace.write("recipe/roles/master/role.toml", &role);
    let endless = "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}";
    workspace.write("recipe/roles/master/config/kube-scheduler.yaml", endless);
    workspace.run(&["plan"]).exits(2).says(&["fuel"]);
}
