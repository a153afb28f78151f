//! What can't be made again is never used damaged: files of `pki/` that changed, pairs that don't belong together, CAs
//! that don't verify, and what a killed run or a wrong clock left there.

use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use time::{Duration, OffsetDateTime};

use crate::harness::{Workspace, files, has};

/// Damages a text file: the character at `index` of its second line becomes another one of base64.
fn flip(workspace: &Workspace, name: &str, line: usize, index: usize) {
    let mut lines: Vec<_> = workspace.text(name).lines().map(|line| line.as_bytes().to_vec()).collect();
    let character = &mut lines[line][index];
    *character = if *character == b'B' { b'C' } else { b'B' };
    let lines = lines.into_iter().map(|line| String::from_utf8(line).unwrap() + "\n");
    workspace.write(name, lines.collect::<String>());
}

/// A CA made elsewhere, valid from `begin` on.
fn ca(begin: OffsetDateTime) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Corp CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    (params.not_before, params.not_after) = (begin, begin + Duration::days(1000));
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn status(workspace: &Workspace) -> serde_json::Value {
    serde_json::from_str(&workspace.run(&["pki", "status", "--json"]).success().stdout).unwrap()
}

/// The entry of `pki status --json` with this ID.
fn entry(workspace: &Workspace, id: &str) -> serde_json::Value {
    let status = status(workspace);
    status.as_array().unwrap().iter().find(|entry| entry["id"] == id).unwrap_or_else(|| panic!("{status}")).clone()
}

#[test]
fn a_file_that_can_not_be_made_again_is_refused_when_it_changed() {
    let workspace = Workspace::small(1000);
    workspace.build().success();
    let out = files(&workspace.path("out"));
    for (name, line) in [
        ("encryption-key", 0),
        ("ca.pem", 2),
        ("ca-key.pem", 2),
        ("front-proxy-ca.pem", 3),
        ("etcd-ca-key.pem", 1),
        ("service-account-key.pem", 1),
    ] {
        let path = format!("pki/{name}");
        let kept = workspace.text(&path);
        flip(&workspace, &path, line, 20);
        assert_ne!(workspace.text(&path), kept, "{name}");
        workspace.build().exits(1).says(&[
            &format!("{name}` has changed"),
            "hint: restore it from a backup; if you replaced it on purpose, delete its line from `SHA256SUMS`",
        ]);
        let id = name.trim_end_matches(".pem").trim_end_matches("-key");
        let id = if name == "encryption-key" { name } else { id };
        let state = entry(&workspace, id)["state"].to_string();
        assert!(state.contains("has changed"), "{name}: {state}");
        workspace.write(&path, kept);
    }
    workspace.build().success();
    assert_eq!(files(&workspace.path("out")), out);
}

#[test]
fn digests_of_what_can_not_be_made_again_are_a_list_that_sha256sum_reads() {
    if !has("sha256sum") {
        return;
    }
    let workspace = Workspace::small(1000);
    workspace.build().success();
    let names: Vec<_> =
        workspace.text("pki/SHA256SUMS").lines().map(|line| line.split_once("  ").unwrap().1.to_owned()).collect();
    let expected = [
        "ca-key.pem",
        "ca.pem",
        "encryption-key",
        "etcd-ca-key.pem",
        "etcd-ca.pem",
        "front-proxy-ca-key.pem",
        "front-proxy-ca.pem",
        "service-account-key.pem",
    ];
    assert_eq!(names, expected);
    let check = || {
        let mut sha256sum = std::process::Command::new("sha256sum");
        let output = sha256sum.args(["-c", "--strict", "--quiet", "SHA256SUMS"]).current_dir(workspace.path("pki"));
        output.output().unwrap().status.success()
    };
    assert!(check());
    flip(&workspace, "pki/ca.pem", 1, 9);
    assert!(!check());
}

#[test]
fn a_pki_of_an_earlier_version_gets_its_digests_and_stays_as_it_is() {
    let workspace = Workspace::small(1000);
    workspace.build().success();
    let before = files(&workspace.path("pki"));
    std::fs::remove_file(workspace.path("pki/SHA256SUMS")).unwrap();
    workspace.build().success();
    assert_eq!(files(&workspace.path("pki")), before);
}

#[test]
fn a_ca_that_was_replaced_on_purpose_is_taken_once_its_lines_are_deleted() {
    let other = Workspace::small(1000);
    other.build().success();
    let workspace = Workspace::small(1000);
    workspace.build().success();
    for name in ["pki/ca.pem", "pki/ca-key.pem"] {
        workspace.write(name, other.read(name));
    }
    workspace.build().exits(1).says(&["has changed", "its line from `SHA256SUMS`"]);
    let lines = workspace.text("pki/SHA256SUMS");
    let kept: String = lines.lines().filter(|line| !line.contains("  ca")).map(|line| line.to_owned() + "\n").collect();
    workspace.write("pki/SHA256SUMS", kept);
    workspace.build().success().says(&["Reissued `admin`: another CA had signed it"]);
    assert_eq!(workspace.text("pki/SHA256SUMS").lines().count(), lines.lines().count());
    assert_eq!(workspace.read("pki/ca.pem"), other.read("pki/ca.pem"));
    workspace.write("pki/SHA256SUMS", "nonsense\n");
    workspace.build().exits(1).says(&["SHA256SUMS", "line 1", "delete"]);
}

#[test]
fn what_is_listed_and_gone_is_not_made_again() {
    let workspace = Workspace::small(1000);
    workspace.build().success();
    for (name, _) in files(&workspace.path("pki")) {
        if name != "SHA256SUMS" && !name.starts_with("ca") {
            std::fs::remove_file(workspace.path(&format!("pki/{name}"))).unwrap();
        }
    }
    workspace.build().exits(1).says(&["is gone", "SHA256SUMS"]);
    assert!(!workspace.path("pki/encryption-key").exists());
}

#[test]
fn the_public_half_of_a_key_pair_is_never_rewritten_behind_a_persons_back() {
    let other = Workspace::small(1000);
    other.build().success();
    let workspace = Workspace::small(1000);
    workspace.build().success();
    let (public, private) = ("pki/service-account.pem", "pki/service-account-key.pem");
    let kept = (workspace.text(public), workspace.text(private));
    // As an earlier version left it, without digests.
    std::fs::remove_file(workspace.path("pki/SHA256SUMS")).unwrap();
    workspace.write(private, other.read(private));
    let said = ["service-account.pem` does not belong to", "hint: restore both from a backup"];
    workspace.build().exits(1).says(&said);
    let state = entry(&workspace, "service-account")["state"].to_string();
    assert!(state.contains("does not belong to"), "{state}");
    assert_eq!(workspace.text(public), kept.0);
    assert!(!workspace.path("pki/SHA256SUMS").exists(), "nothing is noted of a pair that is in doubt");
    workspace.write(private, &kept.1);
    workspace.build().success();
    workspace.write(public, other.read(public));
    workspace.build().exits(1).says(&said);
    std::fs::remove_file(workspace.path(public)).unwrap();
    workspace.build().success();
    assert_eq!(workspace.text(public), kept.0, "the private key is proved by its digest, and makes the public one");
}

#[test]
fn a_damaged_ca_is_refused_without_any_digest() {
    let workspace = Workspace::small(1000);
    workspace.build().success();
    std::fs::remove_file(workspace.path("pki/SHA256SUMS")).unwrap();
    let length = workspace.text("pki/ca.pem").lines().nth(1).unwrap().len();
    let kept = workspace.text("pki/ca.pem");
    for index in (0..length).step_by(7) {
        flip(&workspace, "pki/ca.pem", 2, index);
        workspace.build().exits(1).says(&["ca.pem`: "]);
        workspace.write("pki/ca.pem", &kept);
    }
    let (cert, key) = {
        let ca = ca(OffsetDateTime::now_utc() - Duration::days(2));
        (ca.pem(), ca.key().serialize_pem())
    };
    workspace.write("corp.pem", &cert);
    workspace.write("corp-key.pem", key);
    workspace.edit("cluster.toml", "[pki]", "[pki]\nca_cert = \"corp.pem\"\nca_key = \"corp-key.pem\"");
    // The last but one line is all signature.
    flip(&workspace, "corp.pem", cert.lines().count() - 3, 40);
    workspace.build().exits(1).says(&["corp.pem`: its signature does not fit what it says"]);
    workspace.write("corp.pem", cert);
    workspace.build().success();
}

#[test]
fn a_ca_that_is_not_valid_yet_is_refused_and_shown_as_such() {
    let workspace = Workspace::small(1000);
    let ca = ca(OffsetDateTime::now_utc() + Duration::days(30));
    workspace.write("pki/ca.pem", ca.pem());
    workspace.write("pki/ca-key.pem", ca.key().serialize_pem());
    workspace.build().exits(1).says(&["CA `ca` is not valid before 20", "hint: check this machine's clock"]);
    let state = entry(&workspace, "ca")["state"].to_string();
    assert!(state.contains("not valid before 20"), "{state}");
    assert_eq!(files(&workspace.path("pki")).len(), 2, "a run that fails leaves nothing");
}

#[test]
fn a_certificate_that_is_not_valid_yet_is_reissued_and_said() {
    let workspace = Workspace::small(1000);
    workspace.build().success();
    let key = |id: &str| KeyPair::from_pem(&workspace.text(&format!("pki/{id}-key.pem"))).unwrap();
    let issuer = Issuer::from_ca_cert_pem(&workspace.text("pki/ca.pem"), key("ca")).unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::OrganizationName, "system:masters");
    params.distinguished_name.push(DnType::CommonName, "admin");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.not_before = OffsetDateTime::now_utc() + Duration::days(30);
    params.not_after = params.not_before + Duration::days(365);
    workspace.write("pki/admin.pem", params.signed_by(&key("admin"), &issuer).unwrap().pem());
    let state = entry(&workspace, "admin")["state"].to_string();
    assert!(state.contains("the next build reissues it: it is not valid before 20"), "{state}");
    workspace.build().success().says(&["Reissued `admin`: it is not valid before 20"]);
    assert_eq!(entry(&workspace, "admin")["state"], "ok");
}

#[test]
fn what_a_killed_run_left_is_swept_from_every_directory() {
    let workspace = Workspace::small(1000);
    workspace.build().success();
    let before = files(&workspace.path("pki"));
    for directory in ["", "etcd/", "replaced/", "kubernetes/", "kubernetes/deeper/"] {
        workspace.write(&format!("pki/{directory}.kube-bundle-aB3xYz"), "-----BEGIN PRIVATE KEY-----");
    }
    // What lies elsewhere is not ours.
    workspace.write("elsewhere/.kube-bundle-aB3xYz", "");
    std::os::unix::fs::symlink(workspace.path("elsewhere"), workspace.path("pki/link")).unwrap();
    workspace.build().success();
    assert!(workspace.path("elsewhere/.kube-bundle-aB3xYz").exists());
    std::fs::remove_file(workspace.path("pki/link")).unwrap();
    assert_eq!(files(&workspace.path("pki")), before);
}

#[test]
fn certificates_that_would_share_a_file_with_a_key_are_refused() {
    let workspace = Workspace::small(1000);
    workspace.edit(
        "cluster.toml",
        "[\"https://192.0.2.1:2379\"]",
        "[\"https://one:2379\", \"https://one-key:2379\", \"https://three:2379\"]",
    );
    workspace.build().exits(1).says(&["`etcd/one-key`", "`etcd/one`", "etcd/one-key.pem", "hint: "]);
    assert!(!Path::new(&workspace.path("pki/etcd")).exists());
}
