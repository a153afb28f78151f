//! `kube-bundle init` with values writes a cluster that can be built, without an editor.

use kube_bundle::spec::TEMPLATE;

use crate::harness::Workspace;
use crate::spec::golden;

#[test]
fn a_cluster_of_ones_own_machines_takes_one_command() {
    let workspace = Workspace::new();
    let nodes = ["--node", "master-1=192.0.2.11", "--node", "worker-1=192.0.2.21:worker"];
    workspace.run(&[&["init", "--name", "prod"], &nodes[..]].concat()).success();
    let text = workspace.text("cluster.toml");
    let values: Vec<_> = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    golden(|| insta::assert_snapshot!("init-with-nodes", values.join("\n")));
    // What keys mean is still said, once.
    for comment in TEMPLATE.lines().filter(|line| line.starts_with('#')) {
        assert_eq!(text.matches(comment).count(), TEMPLATE.matches(comment).count(), "{comment}");
    }
    workspace.run(&["plan"]).success();
}

#[test]
fn an_etcd_that_runs_elsewhere_takes_an_option() {
    let workspace = Workspace::new();
    let master = ["init", "--node", "m1=192.0.2.11:master"];
    workspace.run(&master).exits(2).says(&["the cluster has no etcd", "`init --etcd URL`"]);
    let etcd = ["--etcd", "https://192.0.2.21:2379", "--etcd", "https://192.0.2.22:2379"];
    workspace.run(&[&master[..], &etcd].concat()).success();
    let endpoints = "\n[etcd]\nendpoints = [\"https://192.0.2.21:2379\", \"https://192.0.2.22:2379\"]\n";
    assert!(workspace.text("cluster.toml").contains(endpoints));
    workspace.run(&["plan"]).success();
}

#[test]
fn without_values_the_file_is_the_template() {
    let workspace = Workspace::new();
    workspace.run(&["init"]).success().says(&["Addresses that begin with 198.51.100 are examples: replace them all."]);
    assert_eq!(workspace.text("cluster.toml"), TEMPLATE);
    workspace.run(&["init", "--name", "prod", "named.toml"]).success();
    assert_eq!(workspace.text("named.toml"), TEMPLATE.replace("name = \"roc\"", "name = \"prod\""));
}

#[test]
fn an_endpoint_that_is_no_node_becomes_a_name_of_the_api_server() {
    let workspace = Workspace::new();
    let node = ["--node", "master-1=192.0.2.11"];
    let balancer = ["--endpoint", "https://k8s.example.com:443"];
    workspace
        .run(&[&["init"], &node[..], &balancer[..]].concat())
        .success()
        .says(&["`k8s.example.com` is no node's address, so it was added to `apiserver_sans`."]);
    assert!(workspace.text("cluster.toml").contains("\napiserver_sans = [\"k8s.example.com\"]\n"));
    workspace.run(&["plan"]).success();
    let networks = ["--pod-cidr", "10.64.0.0/16", "--service-cidr", "10.65.0.0/16"];
    let node = ["--node", "master-1=10.10.1.11", "--endpoint", "https://10.10.1.11:6443", "other.toml"];
    workspace.run(&[&["init"], &networks[..], &node[..]].concat()).success();
    assert!(!workspace.text("other.toml").contains("\napiserver_sans"));
}

#[test]
fn a_wrong_value_is_refused_like_one_in_a_file_and_nothing_is_written() {
    let workspace = Workspace::new();
    let refused = |arguments: &[&str], says: &[&str]| {
        workspace.run(&[&["init"], arguments].concat()).exits(2).says(says);
        assert!(!workspace.path("cluster.toml").exists(), "{arguments:?}");
    };
    refused(&["--name", "Prod_1"], &["expected lower-case letters", "write `prod-1`"]);
    refused(&["--node", "192.0.2.11"], &["expected `NAME=ADDRESS` or `NAME=ADDRESS:ROLE,ROLE`"]);
    refused(&["--node", "w1:worker"], &["such as `w1=192.0.2.11:worker`"]);
    refused(&["--node", "one=192.0.2.11/24"], &["address `192.0.2.11/24`", "write `192.0.2.11`"]);
    refused(&["--node", "one=192.0.2.11:maser"], &["no role `maser`", "did you mean `master`?", "(not written)"]);
    refused(&["--node", "one=2001:db8::1"], &["`2001:db8::1` and 1 more are IPv6"]);
    refused(&["--node", "one=10.10.0.1"], &["node address `10.10.0.1` is inside `pod_cidr`"]);
    refused(&["--node", "one=192.0.2.1", "--node", "one=192.0.2.2"], &["duplicate node name `one`"]);
    refused(&["--pod-cidr", "10.10.0.0"], &["write `10.10.0.0/16`"]);
    refused(&["--endpoint", "https://192.0.2.11:6443"], &["--node"]);
    refused(
        &["--endpoint", "http://192.0.2.11:6443", "--node", "one=192.0.2.11"],
        &["write `https://192.0.2.11:6443`"],
    );
}
