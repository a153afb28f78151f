//! No secret in an output, a log, an error or a plan, and none readable for others on disk.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use base64::Engine as _;

use crate::harness::{Workspace, files};

/// Bodies of all private keys, the token's secret and the encryption key.
fn secrets(workspace: &Workspace) -> Vec<String> {
    let mut secrets = Vec::new();
    for (name, (_, bytes)) in files(&workspace.path("pki")) {
        let text = String::from_utf8(bytes).unwrap();
        if name.ends_with("-key.pem") {
            secrets.push(text.lines().nth(1).unwrap().to_owned());
            secrets.push(base64::engine::general_purpose::STANDARD.encode(&text)[60..120].to_owned());
        } else if name == "bootstrap-token.json" {
            let token: serde_json::Value = serde_json::from_str(&text).unwrap();
            secrets.push(token["secret"].as_str().unwrap().to_owned());
        } else if name == "encryption-key" {
            secrets.push(text);
        }
    }
    assert!(secrets.len() > 20);
    secrets
}

#[test]
fn nothing_that_is_printed_or_public_holds_a_secret() {
    let workspace = Workspace::small(1000);
    let build = workspace.build().success();
    let mut texts = vec![build.stdout, build.stderr];
    let commands: [&[&str]; 9] = [
        &["plan", "--json"],
        &["plan"],
        &["pki", "status"],
        &["pki", "status", "--json"],
        &["inspect", "--json", Workspace::ARCHIVE],
        &["inspect", "--json", "out/small"],
        &["inspect", "out/small"],
        &["pki", "status", "--check", "1", "--json"],
        &["build", "--offline", "--json"],
    ];
    for command in commands {
        let run = workspace.run(command).success();
        texts.extend([run.stdout, run.stderr]);
    }
    let first = secrets(&workspace);
    workspace.run(&["pki", "renew", "admin", "bootstrap-token"]).success();
    workspace.run(&["build", "--offline", "-q", "-o", "out/other"]).success();
    for more in [&[][..], &["--json"]] {
        let run = workspace.run(&[&["diff", "out/small", "out/other"], more].concat()).exits(1);
        texts.extend([run.stdout, run.stderr]);
    }
    // An error while reading a key must not quote it.
    let key = workspace.text("pki/admin-key.pem");
    workspace.write("pki/admin-key.pem", key.replace("END", "EDN"));
    texts.push(workspace.build().exits(1).stderr);
    workspace.write("pki/admin-key.pem", key);
    let token = workspace.text("pki/bootstrap-token.json");
    workspace.write("pki/bootstrap-token.json", token.replace('}', ""));
    texts.push(workspace.build().exits(1).stderr);
    workspace.write("pki/bootstrap-token.json", token);
    for (_, (mode, bytes)) in files(&workspace.path("out")) {
        if mode & 0o077 != 0 {
            texts.push(String::from_utf8_lossy(&bytes).into_owned());
        }
    }
    for secret in first.into_iter().chain(secrets(&workspace)) {
        assert!(!texts.iter().any(|text| text.contains(&secret)));
    }
}

#[test]
fn inside_an_archive_every_secret_is_roots_alone() {
    let workspace = Workspace::small(1000);
    workspace.build().success();
    let secrets = secrets(&workspace);
    let mut found = 0;
    for (name, (mode, bytes)) in files(&workspace.unpack()) {
        let text = String::from_utf8_lossy(&bytes);
        if secrets.iter().any(|secret| text.contains(secret)) {
            assert_eq!(mode, 0o600, "{name}");
            found += 1;
        }
    }
    assert!(found >= 10, "the secrets are not there at all");
}

#[test]
fn the_manifest_has_no_digest_of_a_secret_that_is_in_an_archive_or_package() {
    let workspace = Workspace::small(1000);
    workspace.run(&["build", "--offline", "--from", "files", "-q", "--format", "tarball,deb"]).success();
    let manifest = workspace.text("out/small/manifest.json");
    let mut count = 0;
    for (name, (mode, bytes)) in files(&workspace.unpack()) {
        let digest = kube_bundle::hash::Sha256::of(&bytes).to_string();
        let is_secret = mode == 0o600;
        // What is a link on the machine is in no list of digests.
        assert_eq!(manifest.contains(&digest), !is_secret, "{name}");
        count += usize::from(is_secret);
    }
    assert!(count >= 10);
    workspace.run(&["verify", "--deep", "out/small"]).success();
}

#[test]
fn a_master_gets_no_key_that_its_role_does_not_need() {
    let workspace = Workspace::small(1000);
    workspace.build().success();
    let inside = files(&workspace.unpack());
    for id in ["admin", "etcd-ca", "front-proxy-ca", "etcd/192.0.2.1"] {
        let key = workspace.text(&format!("pki/{id}-key.pem"));
        let line = key.lines().nth(1).unwrap();
        let encoded = base64::engine::general_purpose::STANDARD.encode(&key);
        for (name, (_, bytes)) in &inside {
            let text = String::from_utf8_lossy(bytes);
            assert!(!text.contains(line) && !text.contains(&encoded), "{name} holds the key of {id}");
        }
    }
}

#[test]
fn only_masters_that_are_named_get_the_cas_key_and_sign_with_it() {
    let workspace = Workspace::small(1000);
    workspace.edit("cluster.toml", "[pki]", "[pki]\nca_key_on = []");
    workspace.build().success();
    let unpacked = workspace.unpack();
    let key = workspace.text("pki/ca-key.pem");
    let line = key.lines().nth(1).unwrap();
    for (name, (_, bytes)) in files(&unpacked) {
        assert!(!String::from_utf8_lossy(&bytes).contains(line), "{name}");
    }
    let unit = "root/etc/systemd/system/kube-controller-manager.service";
    assert!(!std::fs::read_to_string(unpacked.join(unit)).unwrap().contains("--cluster-signing"));
    workspace.edit("cluster.toml", "ca_key_on = []", "ca_key_on = [\"only\"]");
    workspace.build().success();
    let unpacked = workspace.unpack();
    assert!(std::fs::read_to_string(unpacked.join(unit)).unwrap().contains("--cluster-signing-key-file"));
    assert_eq!(std::fs::read_to_string(unpacked.join("root/var/lib/kubernetes/ca-key.pem")).unwrap(), key);
}

#[test]
fn directories_and_files_with_keys_are_private_whatever_the_umask() {
    let workspace = Workspace::small(1000);
    let program = workspace.command(&[]).get_program().to_owned();
    let mut command = std::process::Command::new("sh");
    command
        .args(["-c", "umask 000; exec \"$0\" build --offline --from files -q"])
        .arg(program)
        .current_dir(workspace.path(""))
        .env("XDG_CACHE_HOME", workspace.path("cache"));
    assert!(command.status().unwrap().success());
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    for directory in
        ["pki", "pki/etcd", "out/small/nodes", "out/small/nodes/only", "out/small/operator", "out/small/operator/etcd"]
    {
        assert_eq!(mode(&workspace.path(directory)), 0o700, "{directory}");
    }
    for (name, (mode, _)) in files(&workspace.path("pki")) {
        let is_public = (name.ends_with(".pem") && !name.ends_with("-key.pem")) || name == "revision.json";
        assert_eq!(mode, if is_public { 0o644 } else { 0o600 }, "{name}");
    }
    assert_eq!(mode(&workspace.path(Workspace::ARCHIVE)), 0o600);
    assert_eq!(mode(&workspace.path("out/small/operator/admin.kubeconfig")), 0o600);
}

#[test]
fn a_password_in_a_mirrors_url_is_not_shown() {
    let workspace = Workspace::small(1000);
    workspace.recipe(
        &workspace
            .text("recipe/recipe.toml")
            .split_once("[components")
            .map(|(_, rest)| format!("[components{rest}"))
            .unwrap(),
    );
    let run = workspace.run(&["fetch", "--retries", "0", "--from", "http://ann:hunter2@127.0.0.1:1"]);
    assert_ne!(run.code, Some(0));
    assert!(run.stderr.contains("http://127.0.0.1:1/kubectl") && !run.stderr.contains("hunter2"), "{}", run.stderr);
}
