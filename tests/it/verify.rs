//! A bundle that is not as it was built is found out, with every fault at once.

use std::os::unix::fs::PermissionsExt;

use crate::harness::{Workspace, files};

fn flip(workspace: &Workspace, name: &str, position: usize) {
    let mut bytes = workspace.read(name);
    bytes[position] ^= 1;
    workspace.write(name, bytes);
}

#[test]
fn every_fault_is_named_at_once() {
    let workspace = Workspace::small(50_000);
    workspace.build().success();
    workspace.run(&["verify", "out/small"]).success();
    flip(&workspace, Workspace::ARCHIVE, 20_000);
    std::fs::remove_file(workspace.path("out/small/operator/ca.pem")).unwrap();
    workspace.write("out/small/extra.txt", "x");
    let kubeconfig = workspace.read("out/small/operator/admin.kubeconfig");
    workspace.write("out/small/operator/admin.kubeconfig", &kubeconfig[..100]);
    workspace.run(&["verify", "out/small"]).exits(3).says(&[
        "nodes/only/small-only-v1.16.0-amd64.tar.gz: expected sha256",
        "operator/ca.pem: missing",
        "extra.txt: not in the manifest",
        "operator/admin.kubeconfig: truncated: expected",
        "hint: copy it again",
    ]);
}

#[test]
fn a_flipped_bit_anywhere_is_found() {
    let workspace = Workspace::small(2000);
    workspace.build().success();
    for (name, (_, bytes)) in files(&workspace.path("out/small")) {
        for position in [0, bytes.len() / 3, bytes.len() - 1] {
            let path = format!("out/small/{name}");
            flip(&workspace, &path, position);
            workspace.run(&["verify", "out/small"]).exits(3);
            flip(&workspace, &path, position);
        }
    }
    workspace.run(&["verify", "out/small", "--deep"]).success();
}

#[test]
fn a_damaged_manifest_hides_no_other_fault() {
    let workspace = Workspace::small(2000);
    workspace.build().success();
    let manifest = workspace.text("out/small/manifest.json");
    workspace.write("out/small/manifest.json", &manifest[1..]);
    std::fs::remove_file(workspace.path(Workspace::ARCHIVE)).unwrap();
    workspace.write("out/small/extra.txt", "x");
    flip(&workspace, "out/small/operator/ca.pem", 100);
    workspace.run(&["verify", "out/small"]).exits(3).says(&[
        "manifest.json: ",
        "small-only-v1.16.0-amd64.tar.gz: missing",
        "extra.txt: not in",
        "operator/ca.pem: expected sha256",
    ]);
    std::fs::remove_file(workspace.path("out/small/manifest.json")).unwrap();
    workspace.run(&["verify", "out/small"]).exits(3).says(&["manifest.json: ", "operator/ca.pem: expected sha256"]);
}

#[test]
fn a_link_or_a_pipe_in_a_files_place_is_a_fault() {
    let workspace = Workspace::small(2000);
    workspace.build().success();
    std::fs::rename(workspace.path(Workspace::ARCHIVE), workspace.path("elsewhere.tar.gz")).unwrap();
    std::os::unix::fs::symlink(workspace.path("elsewhere.tar.gz"), workspace.path(Workspace::ARCHIVE)).unwrap();
    std::fs::remove_file(workspace.path("out/small/operator/ca.pem")).unwrap();
    crate::harness::tool("mkfifo", &[&workspace.path("out/small/operator/ca.pem").display().to_string()]);
    workspace
        .run(&["verify", "out/small"])
        .exits(3)
        .says(&["tar.gz: not a regular file", "ca.pem: not a regular file"]);
}

#[test]
fn an_archive_is_checked_alone_on_its_way() {
    let workspace = Workspace::small(50_000);
    workspace.build().success();
    workspace.run(&["verify", Workspace::ARCHIVE]).success();
    let whole = workspace.read(Workspace::ARCHIVE);
    workspace.write("cut.tar.gz", &whole[..whole.len() - 1000]);
    workspace.run(&["verify", "cut.tar.gz"]).exits(3);
    for position in [30, whole.len() / 2, whole.len() - 6] {
        workspace.write("flipped.tar.gz", &whole);
        flip(&workspace, "flipped.tar.gz", position);
        workspace.run(&["verify", "flipped.tar.gz"]).exits(3);
    }
    workspace.write("page.tar.gz", "<html>");
    workspace.run(&["verify", "page.tar.gz"]).exits(3);
    workspace.run(&["verify", "nowhere.tar.gz"]).exits(1);
}

#[test]
fn an_archive_packed_again_with_another_file_is_found_out() {
    let workspace = Workspace::small(5000);
    workspace.build().success();
    let inside = workspace.unpack();
    std::fs::write(inside.join("root/usr/local/bin/kubectl"), "#!/bin/sh\n").unwrap();
    std::fs::write(inside.join("root/etc/surprise"), "x").unwrap();
    std::fs::set_permissions(inside.join("root/var/lib/kubernetes/ca-key.pem"), PermissionsExt::from_mode(0o644))
        .unwrap();
    let unpacked = workspace.path("unpacked").display().to_string();
    crate::harness::tool(
        "tar",
        &["-czf", &workspace.path("forged.tar.gz").display().to_string(), "-C", &unpacked, "small-only-v1.16.0-amd64"],
    );
    workspace.run(&["verify", "forged.tar.gz"]).exits(3).says(&[
        "root/usr/local/bin/kubectl: expected sha256",
        "root/etc/surprise: not in SHA256SUMS",
        "root/var/lib/kubernetes/ca-key.pem: expected mode 0600, got 0644",
    ]);
}

#[test]
fn a_bundle_that_others_can_read_is_a_warning_since_a_stick_has_no_modes() {
    let workspace = Workspace::small(1000);
    workspace.build().success();
    std::fs::set_permissions(workspace.path(Workspace::ARCHIVE), PermissionsExt::from_mode(0o644)).unwrap();
    workspace
        .run(&["verify", "out/small"])
        .success()
        .says(&["it holds keys, and others may read it (mode 0644); `chmod 600` it"]);
}

#[test]
fn inspect_lists_what_tar_lists_with_the_digests_of_the_manifest() {
    let workspace = Workspace::small(5000);
    workspace.build().success();
    let json = workspace.run(&["inspect", "--json", Workspace::ARCHIVE]).success().stdout;
    let mut inside: serde_json::Value = serde_json::from_str(&json).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&workspace.read("out/small/manifest.json")).unwrap();
    let artifact = Workspace::ARCHIVE.trim_start_matches("out/small/");
    // But for those of secrets, which the manifest does not have.
    for member in inside.as_object_mut().unwrap().values_mut().filter(|member| member["mode"] == "0600") {
        *member = serde_json::json!({ "mode": "0600", "secret": true });
    }
    assert_eq!(inside, manifest["artifacts"][artifact]["entries"]);
    let tar = crate::harness::tool("tar", &["-tzf", &workspace.path(Workspace::ARCHIVE).display().to_string()]);
    let listed: Vec<_> = tar.lines().map(|line| line.trim_end_matches('/')).collect();
    assert_eq!(listed, inside.as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>());
    let digest = crate::harness::tool(
        "sha256sum",
        &[&workspace.unpack().join("root/usr/local/bin/kubectl").display().to_string()],
    );
    assert!(json.contains(&digest[..64]));
    workspace.run(&["inspect", "out/small"]).success();
}

#[test]
fn sha256sum_alone_can_check_a_bundle() {
    let workspace = Workspace::small(1000);
    workspace.build().success();
    let check = || {
        std::process::Command::new("sha256sum")
            .args(["--check", "--strict", "SHA256SUMS"])
            .current_dir(workspace.path("out/small"))
            .output()
            .unwrap()
    };
    assert!(check().status.success());
    flip(&workspace, "out/small/manifest.json", 10);
    assert!(!check().status.success());
}
