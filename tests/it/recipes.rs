//! A release is data: listed, shown, exported, edited, pinned.

use std::collections::BTreeSet;

use kube_bundle::hash::Sha256;
use kube_bundle::recipe::embedded;

use crate::harness::{COMPONENTS, Run, Workspace, files, program};

#[test]
fn the_program_carries_every_file_of_its_recipes() {
    for name in embedded::names() {
        let directory = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../recipes").join(name);
        let there: BTreeSet<_> = files(&directory).into_keys().collect();
        let carried: BTreeSet<_> = embedded::files(name).unwrap().iter().map(|(path, _)| path.to_owned()).collect();
        assert_eq!(there, carried, "{name}");
    }
}

/// The guide's own unit, with its two flags that belong to the kubelet.
#[test]
fn the_guides_controller_manager_is_refused_before_anything_is_fetched() {
    let workspace = Workspace::small(1000);
    workspace.write(
        "recipe/roles/master/units/kube-controller-manager.service",
        include_str!("../fixtures/guide-kube-controller-manager.service"),
    );
    workspace.run(&["build", "--offline"]).exits(2).says(&[
        "`kube-controller-manager` knows no flag `--rotate-certificates` (it belongs to kubelet)",
        "`kube-controller-manager` knows no flag `--rotate-server-certificates` (it belongs to kubelet)",
        "hint: correct the recipe",
    ]);
    assert!(!workspace.path("pki").exists());
}

#[test]
fn another_release_differs_in_data_only() {
    let workspace = Workspace::small(1000);
    let unit = |recipe: &str| {
        let plan: serde_json::Value =
            serde_json::from_str(&workspace.run(&["plan", "--json", "--recipe", recipe]).success().stdout).unwrap();
        (plan["version"].clone(), plan["outputs"][1]["path"].clone(), plan["nodes"][0]["files"].to_string())
    };
    let (old, new) = (unit("v1.16.0"), unit("v1.16.15"));
    assert_eq!((old.0, new.0), ("v1.16.0".into(), "v1.16.15".into()));
    assert_eq!(new.1, "nodes/only/small-only-v1.16.15-amd64.tar.gz");
    // The token cleaner panics in exactly v1.16.0.
    assert!(old.2.contains("--controllers=* ") && new.2.contains("--controllers=*,tokencleaner "));
    assert_eq!(old.2.replace("--controllers=* ", ""), new.2.replace("--controllers=*,tokencleaner ", ""));
}

#[test]
fn an_exported_recipe_plans_the_same_and_is_not_overwritten() {
    let workspace = Workspace::small(1000);
    for name in ["v1.16.0", "v1.16.15"] {
        let copy = format!("./copy-{name}");
        workspace.run(&["recipe", "export", name, &copy]).success();
        let nodes = |recipe: &str| {
            let plan: serde_json::Value =
                serde_json::from_str(&workspace.run(&["plan", "--json", "--recipe", recipe]).success().stdout).unwrap();
            (plan["nodes"].clone(), plan["downloads"].clone(), plan["recipe_digest"].clone())
        };
        assert_eq!(nodes(name), nodes(&copy));
        workspace.run(&["recipe", "export", name, &copy]).exits(2).says(&["it exists and is not empty"]);
    }
}

/// A limit for files stands for a full disk.
#[test]
fn a_recipe_that_could_not_be_written_whole_is_not_there() {
    let workspace = Workspace::small(1000);
    let export = workspace.command(&["recipe", "export", "v1.16.0", "mine"]);
    let mut limited = std::process::Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 4; exec \"$@\"", "sh"]).arg(export.get_program());
    limited.args(export.get_args()).current_dir(workspace.path(""));
    let run = Run::from(limited.output().unwrap());
    assert_ne!(run.code, Some(0));
    run.says(&["could not write"]);
    assert!(!workspace.path("mine").exists());
    workspace.run(&["recipe", "export", "v1.16.0", "mine"]).success();
    workspace.run(&["recipe", "show", "./mine"]).success();
    std::fs::create_dir(workspace.path("empty")).unwrap();
    workspace.run(&["recipe", "export", "v1.16.0", "empty"]).success();
    let beside: Vec<_> = std::fs::read_dir(workspace.path("")).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert!(!beside.iter().any(|name| name.to_string_lossy().contains(".building")), "{beside:?}");
}

#[test]
fn pin_writes_the_digests_of_what_is_held_and_keeps_the_comments() {
    let workspace = Workspace::small(5000);
    workspace.run(&["recipe", "export", "v1.16.0", "mine"]).success();
    let pinned = workspace.run(&["recipe", "pin", "mine", "--from", "files", "--json"]).success();
    let pinned: serde_json::Value = serde_json::from_str(&pinned.stdout).unwrap();
    let again = workspace.run(&["recipe", "pin", "mine", "--from", "files"]).success();
    assert!(!again.stderr.contains("warning"), "they are the recipe's by now: {}", again.stderr);
    assert_eq!(pinned[0]["sha256"], Sha256::of(&program("kube-apiserver", 5000)).to_string());
    let text = workspace.text("mine/recipe.toml");
    assert!(text.starts_with("# Kubernetes v1.16.0, linux/amd64") && text.contains("size = 5000"));
    let kubectl = text.split("[components.kubectl]").nth(1).unwrap().split("[components").next().unwrap();
    assert!(!kubectl.contains("kubespray"), "a digest of our own must not look published");
    workspace
        .run(&["fetch", "--recipe", "./mine"])
        .exits(1)
        .says(&["the recipe names no source for it, and no `--from` has it"]);
    workspace.run(&["build", "--offline", "--from", "files", "--recipe", "./mine"]).success();
}

#[test]
fn pin_leaves_what_is_not_there_as_it_was_and_says_so() {
    let workspace = Workspace::small(5000);
    workspace.run(&["recipe", "export", "v1.16.0", "mine"]).success();
    std::fs::remove_file(workspace.path("files/kubectl")).unwrap();
    workspace.run(&["recipe", "pin", "mine", "--from", "files"]).success().says(&[
        "of the version that the recipe gives them: kube-apiserver v1.16.0, ",
        "change `version`, `purl`, `cpe` and `supplier` in mine/recipe.toml",
        "Not in files, and pinned as before: cni-bridge, ",
        ", kubectl, ",
        ", pause, ",
    ]);
    let text = workspace.text("mine/recipe.toml");
    assert!(text.contains("size = 5000"));
    let kubectl = "sha256 = \"4fc8a7024ef17b907820890f11ba7e59a6a578fa91ea593ce8e58b3260f7fb88\"";
    assert!(text.contains(kubectl), "its published digest stays");
}

#[test]
fn pin_writes_nothing_when_a_file_is_no_program_or_none_is_there() {
    let workspace = Workspace::small(5000);
    workspace.run(&["recipe", "export", "v1.16.0", "mine"]).success();
    let before = workspace.text("mine/recipe.toml");
    workspace.write("files/kube-scheduler", "<html>");
    workspace.run(&["recipe", "pin", "mine", "--from", "files"]).exits(2).says(&["no Linux program"]);
    std::fs::create_dir(workspace.path("empty")).unwrap();
    workspace
        .run(&["recipe", "pin", "mine", "--from", "empty"])
        .exits(2)
        .says(&["below `empty` is none of `cni-bridge`"]);
    assert_eq!(workspace.text("mine/recipe.toml"), before);
}

#[test]
fn every_component_of_an_embedded_recipe_is_reached_by_a_published_digest() {
    for name in embedded::names() {
        let release = embedded::load(name).unwrap().release;
        assert!(COMPONENTS.iter().all(|component| release.components.contains_key(*component)));
        for (component, described) in &release.components {
            let archive = described.archive.as_ref().map(|archive| &release.archives[archive]);
            let sources = described.sha256.map(|_| &described.sources).or(archive.map(|archive| &archive.sources));
            assert!(sources.is_some_and(|sources| !sources.is_empty()), "{name}: {component}");
        }
    }
}

#[test]
fn a_recipe_that_contradicts_itself_says_where() {
    let workspace = Workspace::small(1000);
    workspace.run(&["recipe", "export", "v1.16.0", "broken"]).success();
    workspace.edit("broken/roles/master/role.toml", "\"kubectl\"]", "\"kubctl\"]");
    workspace.edit(
        "broken/layout.toml",
        "[certificates.admin]\nissuer = \"ca\"",
        "[certificates.admin]\nissuer = \"cca\"",
    );
    workspace.edit("broken/roles/master/config/kube-scheduler.yaml", "leaderElect: true", "leaderElect: {{ tru");
    workspace.run(&["recipe", "show", "./broken"]).exits(2).says(&[
        "role `master` needs component `kubctl`, which does not exist",
        "issued by `cca`, which is not an authority",
        "template `roles/master/config/kube-scheduler.yaml`:",
    ]);
}

#[test]
fn a_recipe_can_not_name_files_outside_the_output() {
    for version in ["v1.16.0 custom", "/../../../escaped", "1.16.0", "v"] {
        let workspace = Workspace::small(1000);
        workspace.edit("recipe/recipe.toml", "version = \"v1.16.0\"", &format!("version = \"{version}\""));
        workspace.build().exits(2).says(&["`version` is"]);
        assert!(!workspace.path("pki").exists());
    }
}

#[test]
fn where_a_recipe_lies_is_no_part_of_what_is_built() {
    let workspace = Workspace::small(1000);
    let plan = |recipe: &str| workspace.run(&["plan", "--json", "--recipe", recipe]).success().stdout;
    assert_eq!(plan("./recipe"), plan(&workspace.path("recipe").display().to_string()));
}

#[test]
fn a_certificate_that_nobody_can_sign_is_found_while_planning() {
    let workspace = Workspace::small(1000);
    workspace.run(&["recipe", "export", "v1.16.0", "more"]).success();
    let layout = workspace.text("more/layout.toml");
    workspace.write(
        "more/layout.toml",
        layout
            + "\n[certificates.etcd-health]\nissuer = \"etcd-ca\"\ncommon_name = \"health\"\nusages = [\"client\"]\n",
    );
    workspace.edit("cluster.toml", "[[nodes]]", "ca = \"a.pem\"\ncert = \"b.pem\"\nkey = \"c.pem\"\n[[nodes]]");
    workspace
        .run(&["plan", "--recipe", "./more"])
        .exits(2)
        .says(&["`etcd-health` can't be signed: the key of `etcd-ca` is not ours"]);
}

#[test]
fn list_and_show_say_what_an_auditor_asks() {
    let workspace = Workspace::new();
    let list = workspace.run(&["recipe", "list"]).success().stdout;
    assert!(list.contains("v1.16.0") && list.contains("v1.16.15"));
    let show = workspace.run(&["recipe", "show", "v1.16.0"]).success().stdout;
    assert!(show.contains("coredns.service (optional)"), "{show}");
    assert!(show.contains("CHANGELOG-1.16.md") && show.contains("units/kube-apiserver.service"));
    workspace
        .run(&["recipe", "show", "v1.99.0"])
        .exits(2)
        .says(&["there is no embedded recipe `v1.99.0`", "hint: `kube-bundle recipe list`"]);
}

#[test]
fn show_as_json_has_a_field_for_everything_that_an_auditor_asks() {
    let workspace = Workspace::new();
    for name in ["v1.16.0", "v1.16.15"] {
        let show = workspace.run(&["recipe", "show", name, "--json"]).success().stdout;
        let show: serde_json::Value = serde_json::from_str(&show).unwrap();
        let list = workspace.run(&["recipe", "list", "--json"]).success().stdout;
        assert!(list.contains(show["digest"].as_str().unwrap()));
        let objects = |key: &str| show[key].as_object().unwrap().iter();
        // Whatever a machine gets is reached by a digest, its URLs and who published it, here or at its archive.
        for (component, it) in objects("components").chain(objects("images")) {
            for key in ["version", "package", "license", "upstream"] {
                assert!(it[key].as_str().is_some_and(|text| !text.is_empty()), "{component} has no {key}: {it}");
            }
            let origin = match it["archive"].as_str() {
                Some(archive) if it["digest"].is_null() => &show["archives"][archive],
                _ => it,
            };
            let digest = origin["digest"].as_object().unwrap();
            assert!(digest.contains_key("sha256") || digest.contains_key("sha512"), "{component}: {origin}");
            let published = it["archive"].as_str().map_or(it, |archive| &show["archives"][archive]);
            assert!(!published["urls"].as_array().unwrap().is_empty(), "{component}");
            for publisher in origin["publishers"].as_array().unwrap() {
                assert!(publisher.is_string() || publisher["commit"].is_string(), "{publisher}");
            }
            assert!(!origin["publishers"].as_array().unwrap().is_empty(), "{component}");
        }
        assert!(objects("archives").count() > 1 && objects("images").count() >= 1);
        assert_eq!(show["images"]["pause"]["image"], "k8s.gcr.io/pause:3.1");
        let texts: BTreeSet<_> = objects("files").map(|(path, _)| path.as_str()).collect();
        assert_eq!(texts, embedded::load(name).unwrap().files.iter().map(|(path, _)| path).collect());
    }
}
