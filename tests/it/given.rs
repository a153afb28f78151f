//! A CA or an etcd of somebody else is used as it is, or refused with the reason.

use crate::harness::{Workspace, has, tool};

#[test]
fn a_ca_made_elsewhere_signs_and_a_leaf_is_none() {
    if !has("openssl") {
        return;
    }
    let workspace = Workspace::small(1000);
    let path = |name: &str| workspace.path(name).display().to_string();
    // PKCS#1, a UTF-8 subject with an unusual part, and SHA-384: not what this program would write.
    tool("openssl", &["genrsa", "-traditional", "-out", &path("corp-key.pem"), "2048"]);
    tool(
        "openssl",
        &[
            "req",
            "-x509",
            "-new",
            "-sha384",
            "-days",
            "100",
            "-key",
            &path("corp-key.pem"),
            "-subj",
            "/O=Müller GmbH/emailAddress=pki@example.com/CN=Corp CA",
            "-utf8",
            "-addext",
            "keyUsage=critical,keyCertSign",
            "-out",
            &path("corp.pem"),
        ],
    );
    workspace.edit("cluster.toml", "[pki]", "[pki]\nca_cert = \"corp.pem\"\nca_key = \"corp-key.pem\"");
    workspace.build().success();
    assert!(!workspace.path("pki/ca.pem").exists());
    tool("openssl", &["verify", "-CAfile", &path("corp.pem"), &path("pki/kubernetes/only.pem")]);
    let status = workspace.run(&["pki", "status"]).success().stdout;
    assert!(status.contains("Corp CA"), "{status}");
    let inside = workspace.unpack();
    assert_eq!(std::fs::read(inside.join("root/var/lib/kubernetes/ca.pem")).unwrap(), workspace.read("corp.pem"));
    workspace.edit(
        "cluster.toml",
        "corp.pem\"\nca_key = \"corp-key.pem",
        "pki/admin.pem\"\nca_key = \"pki/admin-key.pem",
    );
    workspace.build().exits(1).says(&["it is no CA certificate"]);
    workspace.edit("cluster.toml", "pki/admin.pem", "corp.pem");
    workspace.build().exits(1).says(&["it does not belong to the key beside it"]);
}

#[test]
fn an_etcd_that_exists_is_used_as_it_is() {
    let other = Workspace::small(1000);
    other.build().success();
    let workspace = Workspace::small(1000);
    for (from, to) in [
        ("etcd-ca.pem", "ca.pem"),
        ("apiserver-etcd-client/only.pem", "client.pem"),
        ("apiserver-etcd-client/only-key.pem", "client-key.pem"),
    ] {
        workspace.write(&format!("etcd/{to}"), other.read(&format!("pki/{from}")));
    }
    workspace.edit(
        "cluster.toml",
        "[[nodes]]",
        "ca = \"etcd/ca.pem\"\ncert = \"etcd/client.pem\"\nkey = \"etcd/client-key.pem\"\n[[nodes]]",
    );
    workspace.build().success();
    assert!(!workspace.path("pki/etcd-ca.pem").exists() && !workspace.path("out/small/operator/etcd").exists());
    let keys = workspace.unpack().join("root/var/lib/kubernetes");
    assert_eq!(std::fs::read(keys.join("etcd-ca.pem")).unwrap(), workspace.read("etcd/ca.pem"));
    assert_eq!(std::fs::read(keys.join("apiserver-etcd-client.pem")).unwrap(), workspace.read("etcd/client.pem"));
    workspace.write("etcd/client-key.pem", other.read("pki/admin-key.pem"));
    workspace.build().exits(1).says(&["it does not belong to the key given with it"]);
}

#[test]
fn a_certificate_file_with_a_key_in_it_is_refused_and_a_chain_can_not_sign() {
    let other = Workspace::small(1000);
    other.build().success();
    let (ca, key, leaf) = (other.text("pki/ca.pem"), other.text("pki/ca-key.pem"), other.text("pki/admin.pem"));
    let workspace = Workspace::small(1000);
    workspace.edit("cluster.toml", "[pki]", "[pki]\nca_cert = \"given.pem\"\nca_key = \"given-key.pem\"");
    workspace.write(
        "given-key.pem",
        format!("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n{key}"),
    );
    workspace.write("given.pem", format!("{ca}{key}"));
    workspace.build().exits(1).says(&["it holds a private key too"]);
    workspace.write("given.pem", format!("{ca}{leaf}"));
    workspace
        .build()
        .exits(1)
        .says(&["it is a chain, and kube-controller-manager signs with a single certificate only"]);
    workspace.write("given.pem", format!("A comment of the corporate CA\n{ca}"));
    workspace.build().success();
    assert_eq!(std::fs::read_to_string(workspace.unpack().join("root/var/lib/kubernetes/ca.pem")).unwrap(), ca);
}

#[test]
fn a_ca_that_v1_16_can_not_use_is_refused() {
    if !has("openssl") {
        return;
    }
    let workspace = Workspace::small(1000);
    let path = |name: &str| workspace.path(name).display().to_string();
    workspace.edit("cluster.toml", "[pki]", "[pki]\nca_cert = \"given.pem\"\nca_key = \"given-key.pem\"");
    tool(
        "openssl",
        &[
            "req",
            "-x509",
            "-newkey",
            "ed25519",
            "-nodes",
            "-subj",
            "/CN=modern",
            "-keyout",
            &path("given-key.pem"),
            "-out",
            &path("given.pem"),
        ],
    );
    workspace.build().exits(1).says(&["Kubernetes v1.16 reads RSA keys, and ECDSA keys on P-256 and P-384"]);
}
