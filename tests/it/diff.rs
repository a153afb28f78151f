//! What differs between two bundles is named: machines, versions, flags, certificates, files; and no secret is.

use serde_json::Value;

use crate::harness::{Run, Workspace, component, program, tool};

/// `out/old` and `out/new`: another network of services, kubectl of another version, another master, and a flag.
/// `look` sees the workspace before the second build.
pub(crate) fn changed(format: &str, look: impl FnOnce(&Workspace)) -> Workspace {
    let workspace = Workspace::small(3000);
    let build = |out: &str| {
        let args = ["build", "--offline", "--from", "files", "-q", "--format", format, "-o", out];
        workspace.run(&args).success();
    };
    build("out/old");
    workspace.edit("cluster.toml", "10.32.0.0/16", "10.33.0.0/16");
    let second = "[[nodes]]\nname = \"second\"\naddress = \"192.0.2.2\"\nroles = [\"master\"]\n[pki]";
    workspace.edit("cluster.toml", "[pki]", second);
    let kubectl = program("another kubectl", 4000);
    workspace.write("files/kubectl", &kubectl);
    let old = component("kubectl", "", &program("kubectl", 3000));
    workspace.edit("recipe/recipe.toml", &old, &(component("kubectl", "", &kubectl) + "version = \"v1.16.7\"\n"));
    let unit = "roles/master/units/kube-scheduler.service";
    let text = std::fs::read_to_string(format!("{}/../recipes/v1.16.0/{unit}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    assert!(text.contains("  --v=2\n"));
    let text = text.replace("  --v=2\n", "  --profiling \\\n  --v=4\n").replace("RestartSec=5", "RestartSec=9");
    workspace.write(&format!("recipe/{unit}"), text);
    look(&workspace);
    build("out/new");
    workspace
}

/// Whether a line has 80 columns at most, or is one word, which stays whole where it is no terminal.
pub(crate) fn fits(line: &str) -> bool {
    line.chars().count() <= 80 || !line.trim_start_matches(['+', '-', '~', ' ']).contains([' ', ','])
}

fn diff(workspace: &Workspace) -> (Run, Value) {
    let text = workspace.run(&["diff", "out/old", "out/new"]).exits(1);
    let json = workspace.run(&["diff", "out/old", "out/new", "--json"]).exits(1);
    let value = serde_json::from_str(&json.stdout).unwrap();
    (text, value)
}

/// `from` and `to` of a field.
fn field<'v>(fields: &'v Value, name: &str) -> (&'v Value, &'v Value) {
    let field = fields.as_array().unwrap().iter().find(|field| field["field"] == name);
    let field = field.unwrap_or_else(|| panic!("no {name} in {fields}"));
    (&field["from"], &field["to"])
}

#[test]
fn everything_that_differs_is_named_in_80_columns() {
    for format in ["tarball", "deb"] {
        let workspace = changed(format, |_| {});
        let (text, json) = diff(&workspace);
        assert!(text.stdout.lines().all(fits), "{}", text.stdout);
        assert_eq!((text.stderr.as_str(), &json["equal"]), ("", &false.into()));
        assert_eq!(json["nodes"]["added"], serde_json::json!(["second"]));
        assert_eq!(field(&json["components"]["changed"]["kubectl"], "version"), (&"v1.16.0".into(), &"v1.16.7".into()));
        assert_eq!(field(&json["components"]["changed"]["kubectl"], "bytes"), (&"3000".into(), &"4000".into()));
        let certificates = &json["certificates"];
        assert!(certificates["added"].as_array().unwrap().contains(&"kubernetes/second".into()));
        let names: Vec<_> = certificates["changed"]["kubernetes/only"].as_array().unwrap().iter().collect();
        assert!(names.iter().any(|it| it["field"] == "name" && it["from"] == "10.32.0.1" && it["to"].is_null()));
        assert!(names.iter().any(|it| it["field"] == "name" && it["to"] == "10.33.0.1" && it["from"].is_null()));
        assert!(certificates["changed"]["ca"].is_null() && certificates["removed"].as_array().unwrap().is_empty());

        let units = &json["machines"]["only"]["units"];
        let directory = if format == "deb" { "/lib/systemd/system" } else { "/etc/systemd/system" };
        let scheduler = &units[&format!("{directory}/kube-scheduler.service")];
        let flags = &scheduler["commands"]["ExecStart kube-scheduler"];
        assert_eq!(field(flags, "--v"), (&"2".into(), &"4".into()));
        assert_eq!(field(flags, "--profiling"), (&Value::Null, &"".into()));
        assert_eq!(field(&scheduler["settings"], "Service.RestartSec"), (&"5".into(), &"9".into()));
        let apiserver = &units[&format!("{directory}/kube-apiserver.service")]["commands"]["ExecStart kube-apiserver"];
        let range = field(apiserver, "--service-cluster-ip-range");
        assert_eq!(range, (&"10.32.0.0/16".into(), &"10.33.0.0/16".into()));
        assert_eq!(apiserver.as_array().unwrap().len(), 1, "{apiserver}");
        let part = if format == "deb" { &json["all_machines"] } else { &json["machines"]["only"] };
        let kubectl = if format == "deb" { "/usr/bin/kubectl" } else { "/usr/local/bin/kubectl" };
        assert_eq!(part["files"]["changed"][kubectl][0]["field"], "content", "{json}");
        let outputs = json["outputs"].to_string();
        assert!(outputs.contains(if format == "deb" { "small-second_" } else { "nodes/second/" }), "{outputs}");

        let first = text.stdout.lines().next().unwrap();
        assert!(first.starts_with("Different: ") && first.contains(" 1 machine, 1 program, "), "{first}");
        for line in [
            "Machines\n  + second\n",
            "      version: v1.16.0 -> v1.16.7\n",
            "      name: - 10.32.0.1\n      name: + 10.33.0.1\n",
            "      ExecStart kube-scheduler\n        + --profiling\n        - --v=2\n        + --v=4\n",
            "      Service.RestartSec: 5 -> 9\n",
            "Files of only\n",
        ] {
            assert!(text.stdout.contains(line), "no {line:?} in {}", text.stdout);
        }
    }
}

#[test]
fn bundles_of_two_clusters_are_said_to_be_that_first_and_urls_stay_whole() {
    let workspace = Workspace::small(1000);
    workspace.build().success();
    let url = format!("https://example.org/{}/kubectl", "long".repeat(30));
    workspace.edit(
        "recipe/recipe.toml",
        "[components.kubectl]\n",
        &format!("[components.kubectl]\nurls = [\"{url}\"]\n"),
    );
    workspace.edit("cluster.toml", "name = \"small\"", "name = \"other\"");
    workspace.build().success();
    let text = workspace.run(&["diff", "out/small", "out/other"]).exits(1).stdout;
    let first = text.lines().next().unwrap();
    assert!(first.starts_with("Two clusters, `small` and `other`. Different: "), "{text}");
    assert!(text.lines().any(|line| line.trim_end().ends_with(&url)), "{text}");
}

#[test]
fn equal_bundles_exit_with_0_and_errors_with_2() {
    let workspace = Workspace::small(1000);
    workspace.build().success();
    workspace.run(&["build", "--offline", "--from", "files", "-q", "-o", "again"]).success();
    let equal = workspace.run(&["diff", "-q", "out/small", "again"]).success();
    assert_eq!((equal.stdout, equal.stderr), (String::new(), String::new()));
    let json: Value =
        serde_json::from_str(&workspace.run(&["diff", "out/small", "again", "--json"]).success().stdout).unwrap();
    assert_eq!(json["equal"], true);
    workspace.run(&["diff", "out/small", "nonesuch"]).exits(2).says(&["could not read `nonesuch`", "hint: "]);
    workspace.run(&["diff", "cluster.toml", "again"]).exits(2).says(&["`cluster.toml`: ", "not a bundle", "hint: "]);
    workspace.run(&["diff", "out", "again"]).exits(2).says(&["not a bundle", "hint: ", "out/small"]);
    workspace.run(&["diff", Workspace::ARCHIVE, "again"]).exits(2).says(&["not a bundle", "hint: "]);
    workspace.write("again/manifest.json", "{}");
    workspace.run(&["diff", "out/small", "again"]).exits(2).says(&["could not read `again/manifest.json`"]);
    std::fs::remove_file(workspace.path("again/manifest.json")).unwrap();
    workspace.run(&["diff", "out/small", "again"]).exits(2).says(&["again/manifest.json"]);
}

#[test]
fn a_reissued_certificate_is_named_and_an_unchanged_one_is_not() {
    let workspace = Workspace::small(1000);
    workspace.build().success();
    workspace.run(&["pki", "renew", "admin"]).success();
    workspace.run(&["build", "--offline", "--from", "files", "-q", "-o", "again"]).success();
    let run = workspace.run(&["diff", "out/small", "again", "--json"]).exits(1);
    let json: Value = serde_json::from_str(&run.stdout).unwrap();
    let changed = json["certificates"]["changed"].as_object().unwrap();
    assert_eq!(changed.keys().collect::<Vec<_>>(), ["admin"]);
    let fields: Vec<_> = changed["admin"].as_array().unwrap().iter().map(|it| it["field"].as_str().unwrap()).collect();
    assert!(fields.contains(&"serial") && !fields.contains(&"public key"), "the key was kept: {fields:?}");
    // No machine has it; `bundle.conf` says from when on all certificates are valid.
    let files = json["machines"]["only"]["files"]["changed"].as_object().unwrap();
    assert_eq!(files.keys().collect::<Vec<_>>(), ["archive: bundle.conf"]);
    assert!(json["outputs"]["changed"]["operator/admin.kubeconfig"].is_array());
}

#[test]
fn no_secret_is_read_and_no_digest_of_one_is_shown() {
    let workspace = Workspace::small(1000);
    workspace.build().success();
    std::fs::remove_dir_all(workspace.path("pki")).unwrap();
    workspace.run(&["build", "--offline", "--from", "files", "-q", "-o", "again"]).success();
    let text = workspace.run(&["diff", "out/small", "again"]).exits(1).stdout;
    let json = workspace.run(&["diff", "out/small", "again", "--json"]).exits(1).stdout;
    assert!(json.contains("/var/lib/kubernetes/ca-key.pem") && text.contains("ca-key.pem: content"));
    for out in ["out/small", "again"] {
        let manifest: Value = serde_json::from_slice(&workspace.read(&format!("{out}/manifest.json"))).unwrap();
        let archive = Workspace::ARCHIVE.replace("out/small", out);
        let inside: Value = serde_json::from_str(&workspace.run(&["inspect", "--json", &archive]).stdout).unwrap();
        let inside = inside.as_object().unwrap().values();
        let all: Vec<_> = inside.chain(manifest["files"].as_object().unwrap().values()).collect();
        let secrets: Vec<_> =
            all.iter().filter(|it| it["mode"] == "0600").filter_map(|it| it["sha256"].as_str()).collect();
        assert!(secrets.len() > 10);
        for sha256 in secrets {
            assert!(!text.contains(&sha256[..16]) && !json.contains(&sha256[..16]), "{sha256}");
        }
    }
}

#[test]
fn what_cannot_be_compared_is_said() {
    let workspace = changed("tarball", |_| {});
    // An archive that is not what the manifest lists.
    workspace.write(
        "out/new/nodes/only/small-only-v1.16.0-amd64.tar.gz",
        workspace.read("out/old/nodes/only/small-only-v1.16.0-amd64.tar.gz"),
    );
    let run = workspace.run(&["diff", "out/old", "out/new"]).exits(1);
    assert!(run.stderr.contains("is not as the manifest says"), "{}", run.stderr);
    assert!(run.stdout.contains("~ /etc/systemd/system/kube-scheduler.service: content"), "{}", run.stdout);
    workspace.run(&["build", "--offline", "--from", "files", "-q", "--format", "deb", "-o", "out/new"]).success();
    workspace
        .run(&["diff", "out/old", "out/new"])
        .exits(1)
        .says(&["warning: not compared: files of only: the bundles have them in different formats"]);
}

#[test]
fn a_bundle_made_to_do_harm_leads_nowhere_and_moves_no_cursor() {
    let workspace = changed("tarball", |_| {});
    let archive = "nodes/only/small-only-v1.16.0-amd64.tar.gz";
    let path = workspace.path(&format!("out/new/{archive}"));
    let elsewhere = workspace.path("elsewhere.tar.gz");
    std::fs::rename(&path, &elsewhere).unwrap();
    tool("mkfifo", &[&path.display().to_string()]);
    workspace.run(&["diff", "out/old", "out/new"]).exits(1).says(&["not a regular file"]);
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
    workspace.run(&["diff", "out/old", "out/new"]).exits(1).says(&["not a regular file"]);
    let manifest = workspace.text("out/new/manifest.json");
    workspace.write(
        "out/new/manifest.json",
        manifest
            .replace(&format!("\"{archive}\": {{\n      \"node\""), "\"../../elsewhere.tar.gz\": {\n      \"node\""),
    );
    let run = workspace.run(&["diff", "out/old", "out/new"]).exits(2);
    run.says(&["`../../elsewhere.tar.gz` is no path of a file in a bundle"]);
    std::fs::create_dir(workspace.path("away")).unwrap();
    std::fs::rename(&elsewhere, workspace.path("away/x.tar.gz")).unwrap();
    std::os::unix::fs::symlink(workspace.path("away"), workspace.path("out/new/link")).unwrap();
    workspace.write(
        "out/new/manifest.json",
        manifest.replace(&format!("\"{archive}\": {{\n      \"node\""), "\"link/x.tar.gz\": {\n      \"node\""),
    );
    workspace.run(&["diff", "out/old", "out/new"]).exits(1).says(&["`link/x.tar.gz` leads elsewhere"]);
    workspace.write(
        "out/new/manifest.json",
        manifest.replace("v1.16.7", "\\u001b[2J\\u202e").replace("kubernetes/second", "\\u009bx"),
    );
    for more in [&[][..], &["--json"]] {
        let run = workspace.run(&[&["diff", "out/old", "out/new"], more].concat()).exits(1);
        assert!(!run.stdout.contains(['\u{1b}', '\u{9b}', '\u{202e}']) && run.stdout.contains("[2J"), "{}", run.stdout);
    }
}
