//! All errors of a cluster.toml are reported at once, with location and help.

use kube_bundle::recipe::embedded;
use kube_bundle::spec::{ClusterSpec, RoleCatalog};

use crate::harness::{SMALL, Workspace};

/// Every `wrong-*.toml` beside what the user reads.
#[test]
fn every_fault_is_shown_with_its_place() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/specs");
    let mut names: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.starts_with("wrong-"));
    names.sort();
    assert!(names.len() >= 5, "the examples are gone");
    for name in names {
        let text = std::fs::read_to_string(format!("{directory}/{name}")).unwrap();
        let faults = ClusterSpec::parse(&name, &text, &roles()).expect_err(&name);
        golden(|| insta::assert_snapshot!(name.trim_end_matches(".toml"), faults.render(false)));
    }
}

/// What `kube-bundle init` writes, with addresses in place of its examples.
fn template() -> String {
    assert!(kube_bundle::spec::TEMPLATE.contains("198.51.100.11"));
    kube_bundle::spec::TEMPLATE.replace("198.51.100.", "192.0.2.")
}

fn roles() -> RoleCatalog {
    embedded::load("v1.16.0").unwrap().role_catalog()
}

pub(crate) fn golden(check: impl FnOnce()) {
    insta::with_settings!({ snapshot_path => "../golden", prepend_module_to_snapshot => false, omit_expression => true }, { check() });
}

#[test]
fn a_wrong_spec_exits_with_2_and_writes_nothing() {
    let workspace = Workspace::new();
    workspace.write("cluster.toml", SMALL.replace("roles", "rolls"));
    workspace.run(&["build"]).exits(2).says(&[
        "unknown key `rolls` in `[[nodes]]`",
        "did you mean `roles`?",
        "--> cluster.toml:12:1",
    ]);
    assert!(!workspace.path("out").exists() && !workspace.path("pki").exists());
}

#[test]
fn what_init_writes_is_a_cluster_once_its_addresses_are_replaced() {
    let workspace = Workspace::new();
    workspace.run(&["init"]).success();
    workspace.run(&["plan"]).exits(2).says(&[
        "`https://198.51.100.11:6443` is still the example that `kube-bundle init` wrote",
        "help: write the addresses of your own machines, here and in 3 other places",
    ]);
    workspace.edit("cluster.toml", "198.51.100.", "192.0.2.");
    workspace.run(&["plan"]).success();
    workspace.edit("cluster.toml", "roc", "mine");
    workspace.run(&["init"]).exits(1).says(&["`cluster.toml` exists already", "hint: edit it, or choose another name"]);
    assert!(workspace.text("cluster.toml").contains("mine"), "an edited file is never overwritten");
}

/// Comments and the other documentation addresses are nobody's mistake.
#[test]
fn each_example_address_that_is_left_is_refused_and_nothing_else_is() {
    let parse = |text: &str| ClusterSpec::parse("cluster.toml", text, &roles()).map_err(|faults| faults.render(false));
    assert!(template().contains("192.0.2.") && parse(&template()).is_ok());
    let addresses =
        kube_bundle::spec::TEMPLATE.lines().filter(|line| line.contains("198.51.100.") && !line.starts_with('#'));
    let mut refused = 0;
    for line in addresses {
        let said = parse(&template().replacen(&line.replace("198.51.100.", "192.0.2."), line, 1)).unwrap_err();
        assert!(said.contains("is still the example") && said.ends_with("error: 1 error in `cluster.toml`"), "{said}");
        refused += 1;
    }
    assert_eq!(refused, 4);
}

#[test]
fn every_commented_key_of_the_template_is_a_key() {
    let template = template();
    let uncommented: String = template
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(key)
                if key
                    .split_once(" = ")
                    .is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_lowercase() || c == '_')) =>
            {
                format!("{key}\n")
            }
            Some(heading) if heading.starts_with('[') && heading.ends_with(']') => format!("{heading}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    // With `[etcd]` it runs elsewhere.
    let uncommented = uncommented.replace("roles = [\"etcd\", ", "roles = [");
    // Images and a range of addresses are for a machine that runs pods.
    let uncommented = uncommented.replacen("roles = [\"master\"]", "roles = [\"master\", \"worker\"]", 1);
    let parsed = ClusterSpec::parse("template", &uncommented, &roles());
    let (spec, _) = parsed.unwrap_or_else(|faults| panic!("{}", faults.render(false)));
    assert!(spec.nodes[2].network.is_some() && spec.mirror.is_some() && !spec.seed.ssh_authorized_keys.is_empty());
    assert!(spec.nodes[0].pod_cidr.is_some() && !spec.dns.upstream.is_empty() && !spec.images.is_empty());
    assert!(spec.pki.existing_ca.is_some() && spec.etcd.existing.is_some() && !spec.apiserver_sans.is_empty());
}

/// The template's second line promises it.
#[test]
fn every_commented_key_that_is_no_example_is_shown_with_its_default() {
    let (mut example, mut below_heading, mut shown) = (false, false, Vec::new());
    let template = template();
    let text: String = template
        .lines()
        .map(|line| {
            let comment = line.strip_prefix("# ").unwrap_or_default();
            let key = comment.split_once(" = ").map(|(name, _)| name).unwrap_or_default();
            if comment.starts_with('[') {
                below_heading = true;
            } else if !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c == '_') {
                if !example {
                    shown.push(key);
                    return format!("{comment}\n");
                }
            } else {
                below_heading &= !comment.is_empty();
                example = comment.ends_with("or example:") || (example && below_heading);
            }
            format!("{line}\n")
        })
        .collect();
    let all = "domain pod_security_policy key ca_validity validity token_validity seal formats layout compression payload image layout";
    assert_eq!(shown.join(" "), all);
    let parse = |text: &str| {
        let (mut spec, _) =
            ClusterSpec::parse("template", text, &roles()).unwrap_or_else(|faults| panic!("{}", faults.render(false)));
        // It has the digest of the text, which differs.
        spec.text = kube_bundle::hash::Sha256::of(b"");
        format!("{spec:?}")
    };
    assert_eq!(parse(&text), parse(&template));
}

#[test]
fn an_even_etcd_is_a_warning_and_no_more() {
    let workspace = Workspace::small(1000);
    workspace.edit(
        "cluster.toml",
        "\"https://192.0.2.1:2379\"",
        "\"https://192.0.2.1:2379\", \"https://192.0.2.2:2379\"",
    );
    workspace.run(&["plan"]).success().says(&["warning: etcd with 2 members tolerates no more failures than with 1"]);
    // Where the cluster is not what is looked at, it was said before.
    let status = workspace.run(&["pki", "status"]).success();
    assert!(!status.stderr.contains("warning"), "{}", status.stderr);
}

#[test]
fn a_file_that_is_not_there_is_named_with_the_command_that_makes_one() {
    Workspace::new().run(&["plan"]).exits(2).says(&["could not read `cluster.toml`", "hint: `kube-bundle init`"]);
}

/// Whether a JSON Schema, as far as ours goes, allows a value.
fn allows(schema: &serde_json::Value, value: &toml::Value) -> Result<(), String> {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let known = schema.get("properties").and_then(|keys| keys.get(key));
                allows(known.ok_or_else(|| format!("`{key}` is not in the schema"))?, value)?;
            }
            let required = schema.get("required").and_then(|it| it.as_array()).into_iter().flatten();
            let missing = required.filter_map(|it| it.as_str()).find(|key| !table.contains_key(*key));
            missing.map_or(Ok(()), |key| Err(format!("`{key}` is missing")))
        }
        toml::Value::Array(values) => values.iter().try_for_each(|value| allows(&schema["items"], value)),
        toml::Value::String(text) => match schema.get("enum").and_then(|it| it.as_array()) {
            Some(values) if !values.iter().any(|it| it == text.as_str()) => Err(format!("`{text}` is not allowed")),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

#[test]
fn the_schema_has_every_key_of_the_template_and_of_the_examples() {
    let schema: serde_json::Value = serde_json::from_str(&Workspace::new().run(&["schema"]).success().stdout).unwrap();
    let template = include_str!("../../bundle/src/spec/template.toml");
    // Keys that are shown behind `#`, and tables too.
    let is_key =
        |line: &str| line.contains(" = ") && line.split(" = ").next().is_some_and(|key| !key.contains([' ', '`']));
    let uncommented: String = template
        .lines()
        .map(|line| line.strip_prefix("# ").filter(|rest| rest.starts_with('[') || is_key(rest)).unwrap_or(line))
        .map(|line| format!("{line}\n"))
        .collect();
    let all: toml::Value = toml::from_str(&uncommented).unwrap();
    assert!(all["nodes"][2].get("network").is_some() && all["output"].get("mirror").is_some(), "{uncommented}");
    allows(&schema, &all).unwrap();
    for example in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples")).unwrap().flatten() {
        let text = std::fs::read_to_string(example.path()).unwrap();
        allows(&schema, &toml::from_str(&text).unwrap())
            .unwrap_or_else(|why| panic!("{}: {why}", example.path().display()));
    }
}

#[test]
fn the_schema_has_no_key_that_cluster_toml_lacks() {
    fn keys(schema: &serde_json::Value, parent: &str, all: &mut Vec<String>) {
        let table = schema.get("items").unwrap_or(schema);
        for (name, value) in table.get("properties").and_then(|it| it.as_object()).into_iter().flatten() {
            let key = format!("{parent}{name}");
            keys(value, &format!("{key}."), all);
            all.push(key);
        }
    }
    let schema: serde_json::Value = serde_json::from_str(kube_bundle::spec::schema::SCHEMA).unwrap();
    let mut all = Vec::new();
    keys(&schema, "", &mut all);
    let template = include_str!("../../bundle/src/spec/template.toml");
    for key in all {
        let name = key.rsplit('.').next().unwrap();
        assert!(template.contains(&format!("{name} = ")) || template.contains(&format!("{name}]")), "{key}");
    }
}
