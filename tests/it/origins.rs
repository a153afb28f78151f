//! A bundle says where its bytes come from, who built it, and when each of its certificates ends.

use serde_json::Value;

use crate::harness::{COMPONENTS, Workspace, has, program, tool};

fn manifest(workspace: &Workspace) -> Value {
    serde_json::from_slice(&workspace.read("out/small/manifest.json")).unwrap()
}

#[test]
fn a_manifest_names_the_recipes_source_of_each_component_and_no_other() {
    let workspace = Workspace::small(1000);
    workspace.edit(
        "recipe/recipe.toml",
        "[components.kubectl]\n",
        "[components.kubectl]\nurls = [\"https://ann:hunter2@example.org/kubectl\", \"https://example.net/kubectl\"]\n\
         sources = [{ repository = \"a/b\", path = \"SUMS\", commit = \"0960c74c3788\" }, \"read aloud\"]\n\
         license = \"Apache-2.0\"\n",
    );
    workspace.build().success();
    let text = workspace.text("out/small/manifest.json");
    assert!(!text.contains("hunter2") && !text.contains("ann:"), "{text}");
    // The bytes came from `files`, which the next build need not have.
    assert!(!text.contains("\"files/") && !text.contains(&workspace.path("").display().to_string()));
    let manifest = manifest(&workspace);
    assert_eq!(manifest["kube_bundle"], env!("CARGO_PKG_VERSION"));
    let kubectl = &manifest["components"]["kubectl"];
    let sha256 = kube_bundle::hash::Sha256::of(&program("kubectl", 1000)).to_string();
    assert_eq!((&kubectl["version"], &kubectl["license"]), (&"v1.16.0".into(), &"Apache-2.0".into()));
    assert_eq!((&kubectl["sha256"], &kubectl["size"]), (&sha256.clone().into(), &1000.into()));
    let origin = serde_json::json!({
        "urls": ["https://example.org/kubectl", "https://example.net/kubectl"],
        "pin": {"sha256": sha256},
        "publishers": [{"repository": "a/b", "path": "SUMS", "commit": "0960c74c3788"}, "read aloud"],
    });
    assert_eq!(kubectl["origin"], origin);
    let names: Vec<_> = manifest["components"].as_object().unwrap().keys().collect();
    assert_eq!(names, COMPONENTS);
    assert_eq!(manifest["nodes"]["only"], serde_json::json!({"address": "192.0.2.1", "roles": ["master"]}));
    let inspect = workspace.run(&["inspect", "out/small"]).success().stdout;
    let version = format!("Built by kube-bundle {}", env!("CARGO_PKG_VERSION"));
    for part in
        [&version, "https://example.net/kubectl", "  published  a/b SUMS @0960c74c3788", "  remark     read aloud"]
    {
        assert!(inspect.contains(part), "no {part} in {inspect}");
    }
    let (_, origins) = inspect.split_once("Origin of downloaded files\n").unwrap();
    let (origins, _) = origins.split_once("\n\n").unwrap();
    let names: Vec<_> = origins.lines().filter(|line| !line.starts_with(' ')).collect();
    assert_eq!(names, COMPONENTS, "in the order of their names");
}

#[test]
fn images_have_an_origin_too() {
    let workspace = Workspace::worker();
    workspace.build().success();
    let pause = &manifest(&workspace)["images"]["k8s.gcr.io/pause:3.1"];
    let recipe = workspace.text("recipe/recipe.toml");
    let (_, pinned) = recipe.rsplit_once("sha256 = \"").unwrap();
    assert_eq!(pause["pin"]["sha256"], pinned.split('"').next().unwrap());
    assert_eq!(pause["urls"], serde_json::json!(["https://k8s.gcr.io/v2/pause"]));
}

#[test]
fn every_certificate_is_listed_with_its_end_and_what_openssl_says() {
    let workspace = Workspace::small(1000);
    workspace.build().success();
    let manifest = manifest(&workspace);
    let status = workspace.run(&["pki", "status", "--json"]).success().stdout;
    let status: Value = serde_json::from_str(&status).unwrap();
    let inspect = workspace.run(&["inspect", "out/small"]).success().stdout;
    let mut count = 0;
    for line in status.as_array().unwrap().iter().filter(|line| !line["certificate"].is_null()) {
        let id = line["id"].as_str().unwrap();
        let listed = &manifest["certificates"][id];
        assert_eq!(listed["issuer"], line["issuer"], "{id}");
        for (key, value) in line["certificate"].as_object().unwrap() {
            assert!(key == "issuer_name" || listed[key] == *value, "{key} of {id}: {listed}");
        }
        let end = &listed["not_after"].as_str().unwrap()[..10];
        let is_it = |row: &str| row.starts_with(&format!("{id} ")) && row.ends_with(end);
        assert!(inspect.lines().any(is_it), "{id} {end} is not in {inspect}");
        count += 1;
    }
    assert_eq!(manifest["certificates"].as_object().unwrap().len(), count);
    let token = status.as_array().unwrap().iter().find(|line| line["id"] == "bootstrap-token").unwrap();
    assert_eq!(manifest["bootstrap_token_expires"], token["expires"]);
    let end = format!("Bootstrap token valid until {}", token["expires"].as_str().unwrap());
    assert!(inspect.lines().any(|line| line == end), "no `{end}` in {inspect}");
    if has("openssl") {
        let pem = workspace.path("pki/admin.pem").display().to_string();
        let said = tool("openssl", &["x509", "-in", &pem, "-noout", "-fingerprint", "-sha256"]);
        let said = said.trim().rsplit('=').next().unwrap().replace(':', "").to_lowercase();
        assert_eq!(manifest["certificates"]["admin"]["sha256"], said);
        let serial = tool("openssl", &["x509", "-in", &pem, "-noout", "-serial"]);
        let serial = serial.trim().rsplit('=').next().unwrap().to_lowercase();
        assert!(!inspect.contains(&said));
        let detail = workspace.run(&["inspect", "-v", "out/small"]).success().stdout;
        let has = |name: &str, value: &str| detail.lines().any(|line| line == format!("  {name:10}  {value}"));
        assert!(has("SHA-256", &said) && has("serial", &serial), "{said} {serial} {detail}");
        assert!(detail.contains("O=system:masters") && detail.contains("192.0.2.1"), "{detail}");
    }
}

#[test]
fn the_summary_says_which_secrets_are_for_which_machine() {
    let workspace = Workspace::small(1000);
    workspace.edit(
        "cluster.toml",
        "[pki]",
        "[[nodes]]\nname = \"second\"\naddress = \"192.0.2.2\"\nroles = [\"master\"]\n[pki]",
    );
    let build = ["build", "--offline", "--from", "files", "-q", "--format", "tarball,deb"];
    workspace.run(&build).success();
    let summary = workspace.run(&["inspect", "out/small"]).success().stdout;
    let row = |file: &str| -> Vec<Vec<&str>> {
        let rows = summary.lines().map(|row| row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect());
        rows.filter(|row: &Vec<&str>| row.first() == Some(&file) && row.len() == 2).collect()
    };
    assert_eq!(row("/var/lib/kubernetes/ca-key.pem"), [["/var/lib/kubernetes/ca-key.pem", "only, second"]]);
    let admin = "operator/admin.kubeconfig";
    assert_eq!(row(admin), [[admin, "the administrator, no machine"]]);
    assert!(row("/var/lib/kubernetes/ca.pem").is_empty(), "{summary}");
    // Each file of an unpacked archive that others must not read is in the list.
    let archive = workspace.path("out/small/nodes/only/small-only-v1.16.0-amd64.tar.gz").display().to_string();
    let listing = tool("tar", &["-tvzf", &archive]);
    let private = listing.lines().filter(|line| line.starts_with("-rw-------"));
    let mut count = 0;
    for path in private.filter_map(|line| line.split_once("-amd64/root").map(|(_, path)| path)) {
        assert_eq!(row(path).len(), 1, "{path} in {summary}");
        count += 1;
    }
    assert!(count > 4, "{count}");
}

#[test]
fn a_bundle_of_an_earlier_version_is_still_read_and_verified() {
    let workspace = Workspace::small(1000);
    workspace.build().success();
    let mut old: kube_bundle::manifest::Manifest =
        serde_json::from_slice(&workspace.read("out/small/manifest.json")).unwrap();
    old.kube_bundle = None;
    old.nodes.clear();
    old.components.clear();
    old.images.clear();
    old.certificates.clear();
    let text = old.to_json();
    assert!(!text.contains("\"kube_bundle\"") && !text.contains("\"certificates\""));
    workspace.write("out/small/manifest.json", &text);
    workspace.write("out/small/SHA256SUMS", old.sums(&text));
    workspace.run(&["verify", "--deep", "out/small"]).success();
    let inspect = workspace.run(&["inspect", "out/small"]).success().stdout;
    assert!(inspect.contains("Files\n") && !inspect.contains("Certificates\n"), "{inspect}");
}

#[test]
fn tables_have_sizes_in_one_style_and_times_in_one() {
    let workspace = Workspace::small(50_000);
    workspace.build().success();
    for path in ["out/small", Workspace::ARCHIVE] {
        let text = workspace.run(&["inspect", path]).success().stdout;
        let row = text.lines().find(|row| row.contains("only") || row.contains("kubectl")).unwrap();
        assert!(!text.contains("+00:00") && !text.contains(" 0:00:00"), "{row}");
        assert!(text.contains(" kB  "), "{text}");
    }
}
