//! Keys and certificates stay what they are; what has to change is changed and said, what is lost is not replaced.

use crate::harness::{Workspace, files};

#[test]
fn a_new_name_of_the_api_server_reissues_its_certificate_and_nothing_else() {
    let workspace = Workspace::small(1000);
    workspace.build().success();
    let before = files(&workspace.path("pki"));
    workspace.edit("cluster.toml", "[etcd]", "apiserver_sans = [\"192.0.2.9\"]\n[etcd]");
    let status = workspace.run(&["pki", "status"]).success().stdout;
    assert!(status.contains("the next build reissues it: it did not name 192.0.2.9"), "{status}");
    workspace.build().success().says(&["Reissued `kubernetes/only`: it did not name 192.0.2.9"]);
    let after = files(&workspace.path("pki"));
    let changed = changed(&before, &after);
    assert_eq!(changed.len(), 2, "{changed:?}");
    assert_eq!(changed[0], "kubernetes/only.pem");
    assert!(changed[1].starts_with("replaced/kubernetes/only-until-"), "{changed:?}");
    assert_eq!(after[changed[1]].1, before["kubernetes/only.pem"].1, "the old one is kept");
    workspace.build().success();
    assert_eq!(files(&workspace.path("pki")), after, "and that was that");
}

#[test]
fn a_new_master_gets_certificates_of_its_own_and_changes_nobody_elses() {
    let workspace = Workspace::small(1000);
    workspace.build().success();
    let before = files(&workspace.path("pki"));
    workspace.edit(
        "cluster.toml",
        "[pki]",
        "[[nodes]]\nname = \"second\"\naddress = \"192.0.2.2\"\nroles = [\"master\"]\n[pki]",
    );
    workspace.build().success();
    let after = files(&workspace.path("pki"));
    for name in changed(&before, &after) {
        assert!(name.ends_with("/second.pem") || name.ends_with("/second-key.pem"), "{name} changed");
    }
    assert!(after.contains_key("kubernetes/second-key.pem"));
}

type Files = std::collections::BTreeMap<String, (u32, Vec<u8>)>;

fn changed<'f>(before: &Files, after: &'f Files) -> Vec<&'f str> {
    let differs = |(name, content): &(&'f String, &(u32, Vec<u8>))| before.get(*name) != Some(*content);
    after.iter().filter(differs).map(|(name, _)| name.as_str()).collect()
}

#[test]
fn renew_keeps_keys_and_refuses_what_can_not_be_renewed() {
    let workspace = Workspace::small(1000);
    workspace.build().success();
    let before = files(&workspace.path("pki"));
    let run = workspace
        .run(&["pki", "renew", "admin", "bootstrap-token"])
        .success()
        .says(&["Reissued `admin`: asked for", "Drew a new bootstrap token: asked for"]);
    assert_eq!(run.stdout, "admin\nbootstrap-token\n");
    let after = files(&workspace.path("pki"));
    assert_eq!(before["admin-key.pem"], after["admin-key.pem"]);
    assert_ne!(before["admin.pem"], after["admin.pem"]);
    assert_ne!(before["bootstrap-token.json"], after["bootstrap-token.json"]);
    assert_eq!(before["kubernetes/only.pem"], after["kubernetes/only.pem"]);
    workspace.run(&["pki", "renew", "ca"]).exits(2).says(&["`ca` can't be renewed: it is a CA"]);
    workspace.run(&["pki", "renew", "service-account"]).exits(2).says(&["would void every token"]);
    workspace
        .run(&["pki", "renew", "nobody"])
        .exits(2)
        .says(&["there is no such certificate", "hint: `kube-bundle pki status`"]);
    assert_eq!(files(&workspace.path("pki")), after);
}

#[test]
fn renew_begins_no_second_pki() {
    let workspace = Workspace::small(1000);
    workspace.run(&["pki", "renew"]).exits(2).says(&["there is nothing to renew beside this cluster.toml"]);
    assert!(!workspace.path("pki").exists());
}

#[test]
fn a_ca_is_never_replaced_behind_a_persons_back() {
    let workspace = Workspace::small(1000);
    workspace.build().success();
    let key = workspace.read("pki/ca-key.pem");
    std::fs::remove_file(workspace.path("pki/ca-key.pem")).unwrap();
    workspace.build().exits(1).says(&["`ca` has a certificate and no private key", "hint: restore the missing file"]);
    std::fs::remove_file(workspace.path("pki/ca.pem")).unwrap();
    workspace.build().exits(1).says(&["`ca` is gone, and what depends on it is still there"]);
    workspace.write("pki/ca-key.pem", key);
    workspace.build().exits(1).says(&["`ca` is gone"]);
    assert!(!workspace.path("pki/ca.pem").exists());
}

#[test]
fn a_lost_leaf_key_is_made_again_and_said() {
    let workspace = Workspace::small(1000);
    workspace.build().success();
    std::fs::remove_file(workspace.path("pki/admin-key.pem")).unwrap();
    workspace.build().success().says(&["Reissued `admin`: its key was missing"]);
    workspace.write("pki/kube-scheduler/only-key.pem", workspace.read("pki/admin-key.pem"));
    workspace.build().success().says(&["Reissued `kube-scheduler/only`: it did not belong to its key"]);
}

#[test]
fn another_kind_of_key_changes_leaves_and_keeps_cas() {
    let workspace = Workspace::small(1000);
    workspace.build().success();
    let ca = workspace.read("pki/ca.pem");
    workspace.edit("cluster.toml", "ecdsa-p256", "rsa-2048");
    workspace.build().success().says(&["Reissued `admin`: its key was of another kind"]);
    assert_eq!(workspace.read("pki/ca.pem"), ca);
    workspace.run(&["verify", "out/small", "--deep"]).success();
}

#[test]
fn keys_that_can_not_be_made_again_are_never_made_again() {
    let workspace = Workspace::small(1000);
    workspace.build().success();
    for (name, said) in [
        ("service-account-key.pem", "`service-account` has a public key and no private key"),
        ("encryption-key", "`encryption-key` is gone, and what depends on it is still there"),
    ] {
        let path = workspace.path(&format!("pki/{name}"));
        let kept = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        workspace.build().exits(1).says(&[said, "hint: restore the missing file"]);
        let status = workspace.run(&["pki", "status"]).success().stdout;
        assert!(name == "encryption-key" || status.contains("lost: "), "{status}");
        assert!(!path.exists());
        std::fs::write(&path, kept).unwrap();
    }
    std::fs::remove_file(workspace.path("pki/service-account-key.pem")).unwrap();
    std::fs::remove_file(workspace.path("pki/service-account.pem")).unwrap();
    workspace.build().exits(1).says(&["`service-account` is gone"]);
}

#[test]
fn what_is_no_key_is_not_packed_as_one() {
    let workspace = Workspace::small(1000);
    workspace.build().success();
    for (name, wrong) in [
        ("encryption-key", ""),
        ("encryption-key", "AAAA"),
        ("bootstrap-token.json", r#"{"id":"","secret":"x y","expiration":"2099-01-01T00:00:00Z"}"#),
    ] {
        let kept = workspace.read(&format!("pki/{name}"));
        workspace.write(&format!("pki/{name}"), wrong);
        workspace.build().exits(1).says(&[name]);
        workspace.write(&format!("pki/{name}"), kept);
    }
    workspace.build().success();
}
