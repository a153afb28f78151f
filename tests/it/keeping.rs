//! Keys and certificates stay what they are; what has to change is changed and said, what is lost is not replaced.

use std::collections::BTreeMap;

use crate::harness::{Workspace, files};

/// What [`files`] finds.
type Files = BTreeMap<String, (u32, Vec<u8>)>;

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
    assert!(changed[1].starts_with("replaced/kubernetes-only-until-"), "{changed:?}");
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

/// But for the number of the build.
fn changed<'f>(before: &Files, after: &'f Files) -> Vec<&'f str> {
    let differs = |(name, content): &(&'f String, &(u32, Vec<u8>))| {
        name.as_str() != "revision.json" && before.get(*name) != Some(*content)
    };
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

#[test]
fn a_bootstrap_token_that_lives_longer_than_asked_for_is_drawn_anew() {
    let workspace = Workspace::small(1000);
    workspace.build().success();
    let token: serde_json::Value = serde_json::from_slice(&workspace.read("pki/bootstrap-token.json")).unwrap();
    let mut eternal = token.clone();
    eternal["expiration"] = "9990-01-08T00:00:00Z".into();
    workspace.write("pki/bootstrap-token.json", eternal.to_string());
    let status = workspace.run(&["pki", "status"]).success().stdout;
    assert!(status.contains("the next build reissues it: it would live until 9990-01-08"), "{status}");
    workspace.build().success().says(&["Drew a new bootstrap token: it would live until 9990-01-08"]);
    let drawn: serde_json::Value = serde_json::from_slice(&workspace.read("pki/bootstrap-token.json")).unwrap();
    assert!(drawn["id"] != token["id"] && !drawn["expiration"].as_str().unwrap().starts_with("9990"), "{drawn}");
    let drawn = workspace.read("pki/bootstrap-token.json");
    workspace.build().success();
    assert_eq!(workspace.read("pki/bootstrap-token.json"), drawn, "and stays");
}

#[test]
fn a_run_that_fails_draws_no_token() {
    let workspace = Workspace::small(1000);
    workspace.build().success();
    std::fs::remove_file(workspace.path("pki/bootstrap-token.json")).unwrap();
    std::fs::remove_file(workspace.path("pki/ca-key.pem")).unwrap();
    workspace.write("pki/ca-key.pem", workspace.read("pki/admin-key.pem"));
    workspace.build().exits(1);
    assert!(!workspace.path("pki/bootstrap-token.json").exists());
}

#[test]
fn renew_takes_one_certificate_or_all_below_a_name() {
    let workspace = Workspace::small(1000);
    workspace.edit(
        "cluster.toml",
        "[\"https://192.0.2.1:2379\"]",
        "[\"https://192.0.2.1:2379\", \"https://192.0.2.2:2379\", \"https://192.0.2.3:2379\"]",
    );
    workspace.build().success();
    // A layout before had one file where there is a directory now.
    workspace.write("pki/etcd.pem", workspace.read("pki/etcd/192.0.2.1.pem"));
    workspace.write("pki/etcd-key.pem", workspace.read("pki/etcd/192.0.2.1-key.pem"));
    let before = files(&workspace.path("pki"));
    let run = workspace.run(&["pki", "renew", "etcd/192.0.2.2"]).success();
    assert_eq!(run.stdout, "etcd/192.0.2.2\n");
    let one = files(&workspace.path("pki"));
    let changed = |from: &Files, to: &Files| -> Vec<_> {
        to.iter()
            .filter(|(name, content)| from.get(*name).is_some_and(|before| before != *content))
            .map(|(name, _)| name.clone())
            .collect()
    };
    assert_eq!(changed(&before, &one), ["etcd/192.0.2.2.pem"]);
    let run = workspace.run(&["pki", "renew", "etcd"]).success();
    assert_eq!(run.stdout, "etcd/192.0.2.1\netcd/192.0.2.2\netcd/192.0.2.3\n");
    let all = files(&workspace.path("pki"));
    assert_eq!(changed(&one, &all), ["etcd/192.0.2.1.pem", "etcd/192.0.2.2.pem", "etcd/192.0.2.3.pem"]);
    let kept: Vec<_> = all.iter().filter(|(name, _)| name.starts_with("replaced/etcd")).collect();
    assert_eq!(kept.len(), 4, "each that was replaced is kept: {kept:?}");
    workspace.run(&["pki", "renew", "etc"]).exits(2).says(&["there is no such certificate"]);
}

#[test]
fn a_lost_key_is_missed_by_certificates_of_nodes_that_have_other_names_now() {
    let workspace = Workspace::small(1000);
    workspace.build().success();
    // Of an earlier version, without digests; all that is left of it are an etcd member's files, and the member moves.
    for (name, _) in files(&workspace.path("pki")) {
        if !name.starts_with("etcd") {
            std::fs::remove_file(workspace.path(&format!("pki/{name}"))).unwrap();
        }
    }
    workspace.edit("cluster.toml", "192.0.2.1:2379", "192.0.2.9:2379");
    workspace.build().exits(1).says(&["`encryption-key` is gone, and what depends on it is still there"]);
}

#[test]
fn status_says_which_ca_signed_and_when_everything_ends() {
    let workspace = Workspace::small(1000);
    workspace.build().success();
    let text = workspace.run(&["pki", "status"]).success().stdout;
    let rows: Vec<Vec<_>> =
        text.lines().map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()).collect();
    assert_eq!(rows[0], ["ID", "SUBJECT", "SIGNED BY", "FOR", "EXPIRES", "DAYS", "STATE"]);
    let row = |id: &str| rows.iter().find(|row| row[0] == id).unwrap_or_else(|| panic!("{text}"));
    assert_eq!((row("admin")[2], row("etcd/192.0.2.1")[2], row("ca")[2]), ("ca", "etcd-ca", "ca"));
    let week = (time::OffsetDateTime::now_utc() + time::Duration::days(7)).date().to_string();
    let token = row("bootstrap-token");
    assert!(token[4] == week && ["6", "7"].contains(&token[5]) && token[6] == "ok", "{token:?}");
    assert_eq!(row("encryption-key")[4..], ["-", "-", "ok"]);
    let json = workspace.run(&["pki", "status", "--json"]).success().stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let entry = |id: &str| json.as_array().unwrap().iter().find(|entry| entry["id"] == id).unwrap();
    assert_eq!(entry("admin")["issuer"], "ca");
    assert_eq!(entry("admin")["expires"], entry("admin")["certificate"]["not_after"]);
    assert!(entry("bootstrap-token")["expires"].as_str().unwrap().starts_with(&week));
    assert!(entry("service-account")["issuer"].is_null() && entry("service-account")["expires"].is_null());
}

#[test]
fn a_check_of_the_end_fails_before_the_end_and_names_what_ends_when() {
    let workspace = Workspace::small(1000);
    workspace.edit("cluster.toml", "[pki]", "[pki]\nca_validity = \"400d\"\nvalidity = \"20d\"");
    let check = |days: &str| workspace.run(&["pki", "status", "-q", "--check", days]);
    check("30").exits(2).says(&["`pki/` beside this cluster.toml holds no certificates"]);
    workspace.build().success();
    let nothing = check("10").success();
    assert_eq!((nothing.stdout, nothing.stderr), (String::new(), String::new()), "cron would mail it");
    let end = (time::OffsetDateTime::now_utc() + time::Duration::days(19)).date();
    let found = check("30").exits(1).says(&[
        "certificates end within 30 days:",
        &format!("\n  admin: expires on {end}, in 1"),
        "\n  kubernetes/only: ",
        "hint: `kube-bundle pki renew`",
    ]);
    assert_eq!(found.stdout, "");
    assert!(!found.stderr.contains("ca:") && !found.stderr.contains("bootstrap-token"), "{}", found.stderr);
    check("400").exits(1).says(&["\n  ca: ", "\n  etcd-ca: "]);
    let json = workspace.run(&["pki", "status", "--json", "--check", "30"]).exits(1);
    let error: serde_json::Value = serde_json::from_str(json.stderr.lines().last().unwrap()).unwrap();
    assert_eq!((&error["kind"], &error["exit_code"]), (&"expiring".into(), &1.into()));
    let faults = error["faults"].as_array().unwrap();
    assert!(faults.iter().any(|fault| fault["message"].as_str().unwrap().starts_with("admin: expires on ")));
    let all: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert!(all.as_array().unwrap().len() > faults.len());
    // What can't be read may have ended long ago.
    workspace.write("pki/admin.pem", "no certificate");
    check("10").exits(1).says(&["\n  admin: ", "pki/admin.pem"]);
}
