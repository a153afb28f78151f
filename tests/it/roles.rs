//! A role is data: a directory in the recipe, and no line of the program, makes another kind of machine.

use std::collections::BTreeMap;

use kube_bundle::hash::Sha256;

use crate::harness::{Workspace, files, has, tool};
use crate::machine::Machine;

/// Adds the role `hello` to the recipe in `recipe`.
fn add_hello(workspace: &Workspace, recipe: &str) {
    let fixture = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/hello-role");
    for (name, (_, bytes)) in files(&fixture) {
        workspace.write(&format!("{recipe}/roles/hello/{name}"), bytes);
    }
}

/// A master that greets, and a machine that does nothing else.
fn two_machines() -> Workspace {
    let workspace = Workspace::small(3000);
    add_hello(&workspace, "recipe");
    workspace.edit("cluster.toml", "roles = [\"master\"]", "roles = [\"master\", \"hello\"]");
    workspace.edit(
        "cluster.toml",
        "[pki]",
        "[[nodes]]\nname = \"greeter\"\naddress = \"192.0.2.2\"\nroles = [\"hello\"]\n[pki]",
    );
    let formats = "[output]\nformats = [\"tarball\", \"deb\", \"nocloud\"]\n";
    workspace.write("cluster.toml", workspace.text("cluster.toml") + formats);
    workspace
}

fn listing(workspace: &Workspace, artifact: &str) -> BTreeMap<String, serde_json::Value> {
    let listed = workspace.run(&["inspect", "--json", &format!("out/small/{artifact}")]).success().stdout;
    serde_json::from_str(&listed).unwrap()
}

#[test]
fn a_machine_gets_what_its_roles_need_and_nothing_else() {
    let workspace = two_machines();
    workspace.build().success();
    let both = listing(&workspace, "nodes/only/small-only-v1.16.0-amd64.tar.gz");
    let root = "small-only-v1.16.0-amd64/root";
    for path in ["etc/hello/hello-key.pem", "etc/systemd/system/hello.service", "usr/local/bin/kube-apiserver"] {
        assert!(both.contains_key(&format!("{root}/{path}")), "{path}");
    }
    let alone = listing(&workspace, "nodes/greeter/small-greeter-v1.16.0-amd64.tar.gz");
    let root = "small-greeter-v1.16.0-amd64/root/";
    let installed: Vec<_> = alone.keys().filter_map(|path| path.strip_prefix(root)).collect();
    let expected = ["etc/hello/ca.pem", "etc/hello/hello-key.pem", "etc/hello/hello.conf", "etc/hello/hello.pem"];
    let of_hello: Vec<_> =
        installed.iter().filter(|path| path.contains('.') && path.starts_with("etc/hello")).collect();
    assert_eq!(of_hello, expected.iter().collect::<Vec<_>>());
    assert!(!installed.iter().any(|path| path.contains("kube")), "{installed:?}");
    let seed = listing(&workspace, "nodes/greeter/cidata.iso");
    let packages: Vec<_> = seed.keys().filter(|name| name.ends_with(".deb")).collect();
    assert_eq!(packages, ["small-greeter_1.16.0-1_all.deb"], "a seed carries what its machine installs");
    assert!(listing(&workspace, "nodes/only/cidata.iso").keys().filter(|name| name.ends_with(".deb")).count() == 5);
}

#[test]
fn a_package_depends_on_what_its_roles_need() {
    if !has("dpkg-deb") {
        return;
    }
    let workspace = two_machines();
    workspace.build().success();
    let depends = |name: &str| {
        let package = workspace.package("out/small", name).display().to_string();
        tool("dpkg-deb", &["--field", &package, "Depends"]).trim().to_owned()
    };
    assert_eq!(depends("small-greeter"), "");
    assert_eq!(depends("small-only").split(", ").count(), 4);
}

#[test]
fn each_node_has_a_certificate_of_its_own() {
    if !has("openssl") {
        return;
    }
    let workspace = two_machines();
    workspace.build().success();
    for (node, address) in [("only", "192.0.2.1"), ("greeter", "192.0.2.2")] {
        let path = workspace.path(&format!("pki/hello/{node}.pem")).display().to_string();
        let text = tool("openssl", &["x509", "-noout", "-text", "-in", &path]);
        assert!(text.contains(&format!("CN = hello:{node}")), "{text}");
        assert!(
            text.contains(&format!("DNS:localhost, DNS:{node}, IP Address:127.0.0.1, IP Address:{address}")),
            "{text}"
        );
    }
    assert_ne!(workspace.read("pki/hello/only-key.pem"), workspace.read("pki/hello/greeter-key.pem"));
    assert!(!workspace.path("pki/kubernetes/greeter.pem").exists(), "it is no master");
}

#[test]
fn a_component_in_a_group_comes_in_the_groups_package_with_its_own_version() {
    let workspace = two_machines();
    let plugin = |name: &str| {
        let bytes = crate::harness::program(name, 500);
        workspace.write(&format!("files/{name}"), &bytes);
        let about = "version = \"v0.8.6\"\nrevision = 3\npackage = \"plugins\"\npath = \"opt/cni/bin/";
        crate::harness::component(name, "", &bytes) + about + name + "\"\n"
    };
    let recipe = workspace.text("recipe/recipe.toml");
    let text = "kind = \"file\"\npath = \"usr/lib/hello/motd\"\nsha512 = \"";
    workspace.write("files/motd", "no program\n");
    let sha512 = tool("sha512sum", &[&workspace.path("files/motd").display().to_string()]);
    let motd = format!("[components.motd]\n{text}{}\"\n", sha512.split(' ').next().unwrap());
    workspace.write("recipe/recipe.toml", recipe + &plugin("bridge") + &plugin("loopback") + &motd);
    workspace.edit(
        "recipe/roles/hello/role.toml",
        "components = []",
        "components = [\"bridge\", \"loopback\", \"motd\"]",
    );
    workspace.build().success();
    let package = workspace.package("out/small", "kube-bundle-plugins");
    assert!(package.ends_with("kube-bundle-plugins_0.8.6-3_amd64.deb"), "{}", package.display());
    let inside = listing(&workspace, "deb/kube-bundle-plugins_0.8.6-3_amd64.deb");
    assert!(inside.contains_key("opt/cni/bin/bridge") && inside.contains_key("opt/cni/bin/loopback"));
    let inside = listing(&workspace, "deb/kube-bundle-motd_1.16.0-1_amd64.deb");
    assert_eq!(inside["usr/lib/hello/motd"]["mode"], "0644");
    // The second build finds the file that only a SHA-512 names.
    workspace.run(&["build", "--offline"]).success();
    workspace.write("files/motd", "another\n");
    std::fs::remove_dir_all(workspace.path("cache")).unwrap();
    workspace.build().exits(3).says(&["motd", "expected sha512:"]);
    // What is no program is pinned, too, and has one digest afterwards.
    workspace.run(&["recipe", "pin", "recipe", "--from", "files", "-q"]).success();
    let motd = workspace.text("recipe/recipe.toml").split("[components.motd]").nth(1).unwrap().to_owned();
    let sha256 = format!("sha256 = \"{}\"", Sha256::of(b"another\n"));
    assert!(motd.contains(&sha256) && !motd.contains("sha512"), "{motd}");
    workspace.build().success();
    workspace.edit("recipe/recipe.toml", &sha256, &format!("{sha256}\nsha512 = \"{}\"", "0".repeat(128)));
    workspace.build().exits(2).says(&["component `motd` has both `sha256` and `sha512`: expected one of them"]);
}

#[test]
fn roles_that_do_not_fit_are_refused_before_anything_is_made() {
    let workspace = two_machines();
    workspace.edit("cluster.toml", "roles = [\"hello\"]", "roles = [\"hallo\"]");
    workspace
        .build()
        .exits(2)
        .says(&["the recipe has no role `hallo`", "expected one of `etcd`, `hello`, `master`, `worker`"]);
    workspace.edit("cluster.toml", "roles = [\"hallo\"]", "roles = [\"hello\"]");
    workspace.edit("cluster.toml", "roles = [\"master\", \"hello\"]", "roles = [\"hello\"]");
    workspace.build().exits(2).says(&["no node has the role `master`"]);
    workspace.edit(
        "cluster.toml",
        "name = \"only\"\naddress = \"192.0.2.1\"\nroles = [\"hello\"]",
        "name = \"only\"\naddress = \"192.0.2.1\"\nroles = [\"master\", \"hello\"]",
    );
    workspace.edit("recipe/roles/hello/role.toml", "etc/hello/hello.conf", "etc/kubernetes/config/audit-policy.yaml");
    workspace
        .build()
        .exits(2)
        .says(&["`/etc/kubernetes/config/audit-policy.yaml` is described twice, and differently"]);
    assert!(!workspace.path("pki").exists());
}

#[test]
fn another_role_installs_and_goes_with_its_archive() {
    let Some(machine) = Machine::new() else { return };
    machine.carry("one", |workspace| {
        add_hello(workspace, "one");
        workspace.edit("cluster.toml", "roles = [\"master\"]", "roles = [\"master\", \"hello\"]");
    });
    machine.run("/one/install.sh --wait 30").success();
    assert!(machine.text("etc/hello/hello.conf").contains("name = only\naddress = 192.0.2.1\n"));
    let calls = machine.calls();
    assert!(calls.iter().any(|call| call.contains("enable") && call.contains("hello.service")), "{calls:?}");
    assert!(calls.iter().any(|call| call.starts_with("start") && call.contains("hello.service")), "{calls:?}");
    // A bundle that lacks the role, and the end of all: both times the unit's own command is run while its file is there.
    machine.carry("two", |workspace| {
        workspace.edit("cluster.toml", "roles = [\"master\", \"hello\"]", "roles = [\"master\"]");
    });
    let cleaned_up = || machine.path("run/hello-was-cleaned-up").exists();
    machine.run("/two/install.sh --wait 30").success();
    assert!(cleaned_up() && !machine.path("etc/hello").exists());
    machine.run("rmdir /run/hello-was-cleaned-up && /one/install.sh --wait 30").success();
    assert!(!cleaned_up());
    machine.run("/one/install.sh --uninstall").success();
    assert!(
        cleaned_up()
            && !machine.path("etc/hello").exists()
            && !machine.path("etc/systemd/system/hello.service").exists()
    );
}

#[test]
fn another_role_installs_and_goes_with_its_package() {
    let Some(machine) = Machine::with_dpkg() else { return };
    machine.carry_packages("greeting", |workspace| {
        workspace.run(&["recipe", "export", "./recipe", "exported"]).success();
        add_hello(workspace, "recipe");
        workspace.edit("cluster.toml", "roles = [\"master\"]", "roles = [\"master\", \"hello\"]");
    });
    machine.run("dpkg -i /greeting/*.deb").success();
    assert!(machine.text("etc/hello/hello.conf").contains("cluster = small\n"));
    machine.run("dpkg -r small-only").success();
    assert!(machine.path("run/hello-was-cleaned-up").exists());
    machine.run("dpkg -P small-only").success();
    assert!(!machine.path("etc/hello").exists());
}
