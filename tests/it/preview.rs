//! `plan --diff` says before a build what `diff` says after it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::diff::{changed, fits};
use crate::harness::{Run, Workspace};

fn preview(workspace: &Workspace, more: &[&str]) -> (Run, Value) {
    let args = [&["plan", "--diff"], more].concat();
    let text = workspace.run(&args).success();
    let json = workspace.run(&[&args[..], &["--json"]].concat()).success();
    let value = serde_json::from_str(&json.stdout).unwrap_or_else(|why| panic!("{why}: {}", json.stdout));
    (text, value)
}

/// Names that were added, removed or changed, but for files that no plan knows: those of installers and packages.
fn names(changes: &Value) -> BTreeSet<String> {
    let listed = ["added", "removed"].into_iter().flat_map(|kind| {
        let all = changes[kind].as_array().into_iter().flatten();
        all.map(move |name| format!("{kind} {}", name.as_str().unwrap()))
    });
    let others = changes["changed"].as_object().into_iter().flatten().map(|(name, _)| format!("changed {name}"));
    let is_planned = |name: &String| {
        ["archive: ", "package ", "/usr/share/", "/var/lib/kube-bundle/package/"].iter().all(|it| !name.contains(it))
    };
    listed.chain(others).filter(is_planned).collect()
}

#[test]
fn a_build_that_would_change_nothing_is_said_to() {
    let formats = ["tarball", "deb", "tarball,deb,nocloud", "initrd"];
    for workspace in [Workspace::worker(), Workspace::stacked()] {
        for format in formats {
            workspace.run(&["build", "--offline", "--from", "files", "-q", "--format", format]).success();
            let (text, json) = preview(&workspace, &["--format", format]);
            assert_eq!(json["equal"], true, "{format}: {}", text.stdout);
            assert_eq!(
                (text.stdout.as_str(), text.stderr.as_str()),
                ("", "A build would change nothing in `out/small`\n")
            );
        }
        let fat = ["--format", "deb", "--deb-layout", "fat", "-o", "fat"];
        workspace.run(&[&["build", "--offline", "--from", "files", "-q"], &fat[..]].concat()).success();
        assert_eq!(preview(&workspace, &fat).1["equal"], true);
    }
}

#[test]
fn what_a_build_changes_is_known_before_it() {
    for format in ["tarball", "deb"] {
        let workspace = changed(format, |workspace| {
            let (text, before) = preview(workspace, &["--format", format, "-o", "out/old"]);
            assert!(text.stdout.lines().all(fits), "{}", text.stdout);
            assert_eq!((text.stderr.as_str(), &before["equal"]), ("", &false.into()));
            workspace.write("before.json", before.to_string());
            workspace.write("before.txt", text.stdout);
        });
        let before: Value = serde_json::from_slice(&workspace.read("before.json")).unwrap();
        let after = workspace.run(&["diff", "out/old", "out/new", "--json"]).exits(1);
        let after: Value = serde_json::from_str(&after.stdout).unwrap();
        for kind in ["nodes", "components", "images", "certificates"] {
            assert_eq!(names(&before[kind]), names(&after[kind]), "{format}: {kind}");
        }
        for kind in ["nodes", "images"] {
            assert_eq!(before[kind], after[kind], "{format}: {kind}");
        }
        let machines = |of: &Value| [of["machines"]["only"].clone(), of["all_machines"].clone()];
        for (before, after) in machines(&before).iter().zip(&machines(&after)) {
            assert_eq!(before["units"], after["units"], "{format}");
            assert_eq!(names(&before["files"]), names(&after["files"]), "{format}");
        }
        // Sheets and indexes change too, which a plan does not know.
        let (known, all) = (names(&before["outputs"]), names(&after["outputs"]));
        assert!(known.is_subset(&all), "{format}: {known:?} {all:?}");
        let is_other = |name: &&String| !name.starts_with("changed ") && !name.contains("/by-hash/");
        let rest: Vec<_> = all.difference(&known).filter(is_other).collect();
        assert!(rest.is_empty(), "{format}: {rest:?}");
        let certificate = |of: &Value| of["certificates"]["changed"]["kubernetes/only"].clone();
        let names = |fields: Value| -> Vec<Value> {
            fields.as_array().unwrap().iter().filter(|field| field["field"] == "name").cloned().collect()
        };
        assert_eq!(names(certificate(&before)), names(certificate(&after)));
        // Whatever is issued is known to the day: a plan is the same a minute later.
        let from = certificate(&before).as_array().unwrap().iter().find(|field| field["field"] == "from").cloned();
        assert!(from.unwrap()["to"].as_str().unwrap().ends_with("T00:00:00Z"), "{before}");
        let issued = &before["issued"];
        assert_eq!(issued["kubernetes/only"], "it did not name 10.33.0.1");
        assert_eq!(issued["kubernetes/second"], Value::Null);
        assert!(issued.as_object().unwrap().contains_key("kubernetes/second") && issued.get("admin").is_none());
        let text = workspace.text("before.txt");
        for line in ["  + second\n", "  + kubernetes/second\n", "  ~ kubernetes/only: it did not name 10.33.0.1\n"] {
            assert!(text.contains(line), "no {line:?} in {text}");
        }
    }
}

#[test]
fn what_was_renewed_or_grew_old_since_the_build_is_named() {
    let workspace = Workspace::small(1000);
    workspace.build().success();
    workspace.run(&["pki", "renew", "admin"]).success();
    let (text, json) = preview(&workspace, &[]);
    assert_eq!(json["certificates"]["changed"].as_object().unwrap().keys().collect::<Vec<_>>(), ["admin"]);
    assert!(json.get("issued").is_none(), "it is there already");
    let outputs = names(&json["outputs"]);
    assert!(outputs.contains("changed operator/admin.kubeconfig"), "{outputs:?}");
    assert!(json["machines"].as_object().unwrap().is_empty(), "{json}");
    assert!(text.stdout.contains("  ~ admin\n"), "{}", text.stdout);

    std::fs::remove_dir_all(workspace.path("pki")).unwrap();
    let (_, json) = preview(&workspace, &[]);
    let issued = json["issued"].as_object().unwrap();
    assert!(["ca", "admin", "bootstrap-token", "encryption-key"].iter().all(|id| issued[*id].is_null()), "{json}");
}

#[test]
fn other_formats_and_another_key_are_named() {
    let workspace = Workspace::small(1000);
    workspace.build().success();
    let (text, json) = preview(&workspace, &["--format", "deb"]);
    assert!(text.stdout.contains("  format: - tarball\n  format: + deb\n"), "{}", text.stdout);
    assert!(names(&json["outputs"]).iter().any(|name| name.starts_with("removed nodes/only/")), "{json}");
    assert!(text.stderr.contains("warning: not compared: files of only"), "{}", text.stderr);

    workspace.edit("cluster.toml", "ecdsa-p256", "rsa-2048");
    let (_, json) = preview(&workspace, &[]);
    assert_eq!(json["issued"]["admin"], "its key was of another kind");
    let status = workspace.run(&["pki", "status"]).success().stdout;
    assert!(status.contains("the next build reissues it: its key was of another kind"), "{status}");
}

#[test]
fn where_there_is_nothing_to_compare_with_it_says_so() {
    let workspace = Workspace::small(1000);
    let nothing = workspace.run(&["plan", "--diff"]).success();
    assert_eq!(nothing.stdout, "");
    assert!(nothing.stderr.starts_with("There is no `out/small` to compare with"), "{}", nothing.stderr);
    assert_eq!(workspace.run(&["plan", "--diff", "--json", "-q"]).success().stdout, "null\n");
    workspace.write("empty/file", "");
    workspace.run(&["plan", "--diff", "-o", "empty"]).exits(1).says(&["`empty`: ", "not a bundle", "hint: "]);
    assert!(!workspace.path("pki").exists() && !workspace.path("cache").exists(), "a plan leaves nothing behind");
}
