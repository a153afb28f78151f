//! Whoever has `cluster.toml` and the recipe can build a bundle again without its keys, and say that it is the same.

use kube_bundle::hash::Sha256;

use crate::harness::{Workspace, files, has, tool};

const FORMATS: &str = "tarball,deb";

/// A bundle of somebody else: signed with `key`, in `out/small`; the keys of the cluster are theirs.
fn bundle() -> Workspace {
    let workspace = Workspace::small(3000);
    for name in ["key", "first", "second"] {
        tool(
            "ssh-keygen",
            &["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", &workspace.path(name).display().to_string()],
        );
    }
    workspace.run(&["build", "--offline", "--from", "files", "--format", FORMATS, "-q", "--sign", "key"]).success();
    std::fs::rename(workspace.path("pki"), workspace.path("theirs")).unwrap();
    let trust =
        ["trust", "init", "trust", "-q", "--key", "key", "--rebuilder", "first.pub", "--rebuilder", "second.pub"];
    workspace.run(&trust).success();
    workspace
}

const REBUILD: [&str; 5] = ["rebuild", "out/small", "--offline", "--from", "files"];

fn attest(workspace: &Workspace, key: &str) {
    workspace.run(&["attest", "out/small", "--key", key, "--offline", "--from", "files", "-q"]).success();
}

#[test]
fn anybody_can_build_a_bundle_again_without_its_keys() {
    if !has("ssh-keygen") {
        return;
    }
    let workspace = bundle();
    let before = files(&workspace.path("out"));
    let run = workspace.run(&REBUILD).success();
    let list = workspace.text("out/small/public.SHA256SUMS");
    let said = format!("out/small: all {} public files are as they were built here\n", list.lines().count());
    assert_eq!(run.stdout, said);
    // Nothing is said of keys and files that are thrown away, and of input that is the same.
    assert_eq!(run.stderr, "Building cluster small again, with keys that are thrown away\n");
    assert_eq!(files(&workspace.path("out")), before);
    assert!(!workspace.path("pki").exists(), "the keys that were made for it are gone");
    // Programs, units and the installer of the machine, and the packages of programs; nothing of certificates or keys.
    for path in ["usr/local/bin/kube-apiserver", "etc/systemd/system/kube-apiserver.service"] {
        assert!(list.contains(&format!("  nodes/only/root/{path}\n")), "{path} in {list}");
    }
    assert!(list.contains("  packages/small-only/lib/systemd/system/kube-apiserver.service\n"), "{list}");
    assert!(list.contains("  nodes/only/install.sh\n") && list.contains("  deb/kube-bundle-kube-apiserver_"), "{list}");
    assert!(!list.contains(".pem") && !list.contains("kubeconfig") && !list.contains("deb/small-only"), "{list}");
}

#[test]
fn the_list_of_public_files_is_what_lies_in_the_archive() {
    if !has("ssh-keygen") {
        return;
    }
    let workspace = bundle();
    let unpacked = workspace.unpack();
    let mut compared = 0;
    for line in workspace.text("out/small/public.SHA256SUMS").lines() {
        let (digest, path) = line.split_once("  ").unwrap();
        let Some(inside) = path.strip_prefix("nodes/only/") else { continue };
        assert_eq!(Sha256::of(&std::fs::read(unpacked.join(inside)).unwrap()).to_string(), digest, "{path}");
        compared += 1;
    }
    assert!(compared > 10, "{compared}");
}

#[test]
fn a_bundle_with_another_unit_is_not_what_is_built_here_and_the_unit_is_named() {
    if !has("ssh-keygen") {
        return;
    }
    let workspace = bundle();
    workspace.run(&["recipe", "export", "./recipe", "changed"]).success();
    workspace.edit("changed/roles/master/units/kube-scheduler.service", "--v=2", "--v=3");
    let changed = ["build", "--offline", "--from", "files", "--recipe", "./changed", "-q", "--sign", "key"];
    workspace.run(&changed).success();
    let unit = "nodes/only/root/etc/systemd/system/kube-scheduler.service: built here: sha256 ";
    let recipe = "warning: recipe `recipe` has sha256 ";
    workspace.run(&REBUILD).exits(3).says(&["`out/small` is not what is built here", unit, recipe, "hint: ask for"]);
    let attest = ["attest", "out/small", "--key", "first", "--offline", "--from", "files"];
    workspace.run(&attest).exits(3).says(&[unit]);
    assert!(files(&workspace.path("out/small")).keys().all(|name| !name.starts_with("public.SHA256SUMS.")));
}

#[test]
fn other_input_is_named_before_the_work() {
    if !has("ssh-keygen") {
        return;
    }
    let workspace = bundle();
    workspace.edit("cluster.toml", "[pki]", "# a comment\n[pki]");
    workspace
        .run(&REBUILD)
        .success()
        .says(&["warning: this cluster.toml is not to the letter what the bundle was built from"]);
    workspace.edit("cluster.toml", "name = \"small\"", "name = \"other\"");
    let run = workspace.run(&REBUILD).exits(3).says(&[
        "`out/small` is not what is built here",
        "it is of cluster `small`, and this cluster.toml is of `other`",
    ]);
    assert!(!run.stderr.contains("Building"), "{}", run.stderr);
}

#[test]
fn a_list_that_does_not_tell_what_is_in_the_artifacts_is_found_out() {
    if !has("ssh-keygen") {
        return;
    }
    let workspace = bundle();
    let list = workspace.text("out/small/public.SHA256SUMS");
    let line = list.lines().find(|line| line.ends_with("kube-apiserver.service")).unwrap();
    let other = format!("{}{}", "0".repeat(64), &line[64..]);
    workspace.write("out/small/public.SHA256SUMS", list.replace(line, &other));
    // A builder who lies in the list, and signs the lie.
    let (old, new) = (Sha256::of(list.as_bytes()), Sha256::of(list.replace(line, &other).as_bytes()));
    workspace.edit("out/small/manifest.json", &old.to_string(), &new.to_string());
    let manifest = Sha256::of(&workspace.read("out/small/manifest.json"));
    let sums = workspace.text("out/small/SHA256SUMS").replace(&old.to_string(), &new.to_string());
    let was = sums.lines().find(|line| line.ends_with("  manifest.json")).unwrap();
    workspace.write("out/small/SHA256SUMS", sums.replace(was, &format!("{manifest}  manifest.json")));
    workspace.run(&["verify", "out/small"]).exits(3).says(&[
        "public.SHA256SUMS: it has another digest of `small-only-v1.16.0-amd64/root/etc/systemd/system/kube-apiserver.service`",
    ]);
}

#[test]
fn several_people_can_vouch_for_the_same_bundle() {
    if !has("ssh-keygen") {
        return;
    }
    let workspace = bundle();
    let verify =
        |threshold: &str| workspace.run(&["verify", "out/small", "--trust", "trust", "--threshold", threshold]);
    verify("1").success();
    verify("2").exits(3).says(&[
        "2 trusted keys must vouch for it, and 1 does",
        "hint: have others build it again and say so: `kube-bundle attest OUT -c cluster.toml --key KEY`",
    ]);
    attest(&workspace, "first");
    attest(&workspace, "first");
    attest(&workspace, "second");
    let verified = verify("3").success();
    assert!(verified.stdout.contains("built again, with the same result, by the key SHA256:"), "{}", verified.stdout);
    verify("4").exits(3);
    // ssh-keygen reads them as well.
    let name =
        files(&workspace.path("out/small")).into_keys().find(|name| name.starts_with("public.SHA256SUMS.")).unwrap();
    let verify_one = format!(
        "ssh-keygen -Y verify -n kube-bundle-rebuilt -I release -f trust/allowed_signers -s out/small/{name} < out/small/public.SHA256SUMS"
    );
    let output = std::process::Command::new("sh").args(["-c", &verify_one]).current_dir(workspace.path("")).output();
    assert!(output.unwrap().status.success());
    // Who may only rebuild signs no bundle; who signs counts once; a key that nobody trusts counts for nothing.
    workspace.run(&["sign", "out/small", "--key", "first"]).success();
    verify("1")
        .exits(3)
        .says(&["which is trusted as a rebuilder, and not to sign bundles", "hint: get it from whom you trust"]);
    workspace.run(&["sign", "out/small", "--key", "key"]).success();
    attest(&workspace, "key");
    let said = verify("3").success().says(&["which is trusted to sign bundles, and not as a rebuilder"]);
    assert!(!said.stderr.contains("not trusted"), "{}", said.stderr);
    verify("4").exits(3);
    // A statement about another bundle.
    let text = workspace.text(&format!("out/small/{name}"));
    workspace.write(&format!("out/small/{name}"), text.replacen('A', "B", 1));
    verify("1").exits(3);
}
