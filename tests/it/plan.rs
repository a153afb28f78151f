//! A plan says everything that will exist, and no secret.

use kube_bundle::debian::Dpkg;
use kube_bundle::plan::{self, Plan, Source};
use kube_bundle::recipe::embedded;
use kube_bundle::spec::ClusterSpec;

use crate::harness::Workspace;
use crate::spec::golden;
use crate::summary;

const THREE: &str = include_str!("../specs/three-masters.toml");

fn plan_of(text: &str) -> Plan {
    let recipe = embedded::load("v1.16.0").unwrap();
    let parsed = ClusterSpec::parse("cluster.toml", text, &recipe.role_catalog());
    let (spec, _) = parsed.unwrap_or_else(|faults| panic!("{}", faults.render(false)));
    plan::plan(&spec, &recipe, &Dpkg, None).unwrap().number(1)
}

#[test]
fn the_plan_of_three_masters_is_what_it_was() {
    let plan = serde_json::from_str(&plan_of(THREE).to_json()).unwrap();
    golden(|| insta::assert_snapshot!("plan-three-masters", summary::of(&plan)));
}

#[test]
fn every_text_of_a_master_is_what_it_was() {
    let plan = plan_of(THREE);
    let texts: String = plan.content.nodes[1]
        .files
        .iter()
        .filter_map(|file| match &file.source {
            Source::Text(text) => Some(format!("==> /{} ({})\n{text}\n", file.path, file.mode)),
            _ => None,
        })
        .collect();
    golden(|| insta::assert_snapshot!("texts-master-2", texts));
}

#[test]
fn masters_differ_in_their_address_and_their_certificates_and_nothing_else() {
    let plan = plan_of(THREE);
    let texts = |node: usize| {
        let json = serde_json::to_string(&plan.content.nodes[node].files).unwrap();
        let address = plan.content.nodes[node].address;
        let json = json.replace(&format!("--advertise-address={address}"), "--advertise-address=X");
        // Its own member of etcd comes first.
        let (before, rest) = json.split_once("--etcd-servers=").unwrap();
        let (servers, after) = rest.split_once(' ').unwrap();
        assert!(servers.starts_with(&format!("https://{address}:2379,")) && servers.matches(',').count() == 2);
        let json = format!("{before}{after}");
        json.replace(&format!("/{}\"", plan.content.nodes[node].name), "/X\"")
    };
    assert_eq!(texts(0), texts(1));
    assert_eq!(texts(1), texts(2));
}

#[test]
fn the_program_prints_the_plan_that_is_planned() {
    let workspace = Workspace::new();
    workspace.write("cluster.toml", THREE);
    let run = workspace.run(&["plan", "--json"]).success();
    assert_eq!(run.stdout.trim_end(), plan_of(THREE).to_json());
    let table = workspace.run(&["plan"]).success().stdout;
    for part in [
        "kubernetes-server-linux-amd64.tar.gz",
        "/usr/local/bin/kube-apiserver",
        "operator/admin.kubeconfig",
        "roc-master-3-v1.16.0-amd64.tar.gz",
    ] {
        assert!(table.contains(part), "{part}");
    }
}

#[test]
fn source_date_epoch_dates_the_files() {
    let workspace = Workspace::small(1000);
    let run = |epoch: &str| workspace.command(&["plan", "--json"]).env("SOURCE_DATE_EPOCH", epoch).output().unwrap();
    let stamped = String::from_utf8(run("1700000000").stdout).unwrap();
    assert!(stamped.contains("\"timestamp\": \"2023-11-14T22:13:20Z\""), "{stamped}");
    assert_eq!(run("yesterday").status.code(), Some(2));
}

#[test]
fn a_secret_never_gets_a_mode_that_others_can_read() {
    let workspace = Workspace::small(1000);
    workspace.run(&["recipe", "export", "v1.16.0", "loose"]).success();
    workspace.edit(
        "loose/roles/master/role.toml",
        "path = \"var/lib/kubernetes/ca-key.pem\"\nmode = \"0600\"",
        "path = \"var/lib/kubernetes/ca-key.pem\"\nmode = \"0640\"",
    );
    workspace
        .run(&["plan", "--recipe", "./loose"])
        .exits(2)
        .says(&["holds a secret, and mode 0640 lets others read it"]);
}

#[test]
fn what_all_nodes_have_is_listed_once() {
    let workspace = Workspace::new();
    workspace.write("cluster.toml", THREE);
    let text = workspace.run(&["plan"]).success().stdout;
    assert!(text.contains("\nEach of the nodes master-1, master-2, master-3: "), "{text}");
    assert!(text.contains("\nkubernetes/NODE  ") && !text.contains("kubernetes/master-1"), "{text}");
    assert!(text.contains("3 nodes, 1 download, "), "{text}");
    assert!(text.contains("New certificates expire after 1y, new CAs after 10y"), "{text}");
}
