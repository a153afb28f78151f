//! Who signs whom, and what each certificate says and is good for.

use std::collections::BTreeMap;

use crate::harness::{Workspace, files, has, tool};

/// What openssl reads in a certificate.
struct Seen {
    text: String,
    subject: String,
}

fn see(workspace: &Workspace, id: &str) -> Seen {
    let path = workspace.path(&format!("pki/{id}.pem")).display().to_string();
    let read = |args: &[&str]| tool("openssl", &[&["x509", "-in", &path, "-noout"], args].concat());
    Seen { text: read(&["-text"]), subject: read(&["-subject", "-nameopt", "RFC2253"]).trim().to_owned() }
}

impl Seen {
    /// The line behind a heading of `openssl x509 -text`.
    fn after(&self, heading: &str) -> &str {
        let mut lines = self.text.lines().skip_while(|line| !line.contains(heading));
        lines.next();
        lines.next().unwrap_or_default().trim()
    }
}

fn issuers() -> BTreeMap<&'static str, &'static [&'static str]> {
    BTreeMap::from([
        (
            "ca",
            &[
                "kubernetes/only",
                "apiserver-kubelet-client/only",
                "kube-controller-manager/only",
                "kube-scheduler/only",
                "admin",
                "kube-bootstrap/only",
            ][..],
        ),
        ("etcd-ca", &["apiserver-etcd-client/only", "etcd/192.0.2.1"][..]),
        ("front-proxy-ca", &["front-proxy-client/only"][..]),
    ])
}

#[test]
fn every_certificate_is_signed_by_its_own_ca_for_one_purpose() {
    if !has("openssl") {
        return;
    }
    let workspace = Workspace::small(1000);
    workspace.edit("cluster.toml", "ecdsa-p256", "rsa-2048");
    workspace.build().success();
    let pem = |id: &str| workspace.path(&format!("pki/{id}.pem")).display().to_string();
    for (ca, leaves) in issuers() {
        let authority = see(&workspace, ca);
        assert_eq!(authority.after("Basic Constraints: critical"), "CA:TRUE", "{ca}");
        assert_eq!(authority.after("Key Usage: critical"), "Certificate Sign, CRL Sign", "{ca}");
        for leaf in leaves {
            for (other, _) in issuers() {
                let verify = std::process::Command::new("openssl")
                    .args(["verify", "-x509_strict", "-CAfile", &pem(other), &pem(leaf)])
                    .output()
                    .unwrap();
                assert_eq!(
                    verify.status.success(),
                    other == ca,
                    "{leaf} by {other}: {}",
                    String::from_utf8_lossy(&verify.stdout)
                );
            }
            let seen = see(&workspace, leaf);
            assert_eq!(seen.after("Basic Constraints: critical"), "CA:FALSE", "{leaf}");
            assert_eq!(seen.after("X509v3 Key Usage: critical"), "Digital Signature, Key Encipherment", "{leaf}");
            let usage = match *leaf {
                "kubernetes/only" => "TLS Web Server Authentication",
                "etcd/192.0.2.1" => "TLS Web Server Authentication, TLS Web Client Authentication",
                _ => "TLS Web Client Authentication",
            };
            assert_eq!(seen.after("Extended Key Usage"), usage, "{leaf}");
            assert!(
                seen.text.contains("Version: 3 (0x2)")
                    && seen.text.contains("Signature Algorithm: sha256WithRSAEncryption"),
                "{leaf}"
            );
            assert!(seen.text.contains("Public-Key: (2048 bit)"), "{leaf}");
            assert_eq!(
                seen.after("Authority Key Identifier").trim_start_matches("keyid:"),
                authority.after("Subject Key Identifier"),
                "{leaf}"
            );
        }
    }
}

#[test]
fn users_and_groups_are_the_ones_kubernetes_binds() {
    if !has("openssl") {
        return;
    }
    let workspace = Workspace::small(1000);
    workspace.build().success();
    for (id, subject) in [
        ("admin", "subject=CN=admin,O=system:masters"),
        ("kube-controller-manager/only", "subject=CN=system:kube-controller-manager,O=system:kube-controller-manager"),
        ("kube-scheduler/only", "subject=CN=system:kube-scheduler,O=system:kube-scheduler"),
        ("apiserver-kubelet-client/only", "subject=CN=kube-apiserver-kubelet-client"),
        ("front-proxy-client/only", "subject=CN=front-proxy-client"),
    ] {
        assert_eq!(see(&workspace, id).subject, subject);
    }
    let names = see(&workspace, "kubernetes/only");
    assert_eq!(
        names.after("Subject Alternative Name"),
        "DNS:kubernetes, DNS:kubernetes.default, DNS:kubernetes.default.svc, DNS:kubernetes.default.svc.cluster.local, DNS:localhost, DNS:only, IP Address:127.0.0.1, IP Address:10.32.0.1, IP Address:192.0.2.1"
    );
    assert_eq!(
        see(&workspace, "etcd/192.0.2.1").after("Subject Alternative Name"),
        "DNS:localhost, IP Address:127.0.0.1, IP Address:192.0.2.1"
    );
}

#[test]
fn a_serial_is_positive_long_and_never_used_twice() {
    if !has("openssl") {
        return;
    }
    let workspace = Workspace::small(1000);
    workspace.build().success();
    workspace.run(&["pki", "renew"]).success();
    let mut serials = Vec::new();
    for (name, _) in files(&workspace.path("pki")) {
        if name.ends_with(".pem") && !name.ends_with("-key.pem") && name != "service-account.pem" {
            let serial = tool(
                "openssl",
                &["x509", "-in", &workspace.path(&format!("pki/{name}")).display().to_string(), "-noout", "-serial"],
            );
            let serial = serial.trim().trim_start_matches("serial=").to_owned();
            assert!(serial.len() == 40 && serial.as_bytes()[0] < b'8', "{name}: {serial}");
            serials.push(serial);
        }
    }
    let count = serials.len();
    serials.sort();
    serials.dedup();
    assert_eq!((serials.len(), count), (21, 21), "12 certificates, and 9 that were renewed");
}

#[test]
fn the_service_account_pair_belongs_together_and_is_no_certificate() {
    if !has("openssl") {
        return;
    }
    for algorithm in ["rsa-2048", "ecdsa-p256"] {
        let workspace = Workspace::small(1000);
        workspace.edit("cluster.toml", "ecdsa-p256", algorithm);
        workspace.build().success();
        let key = workspace.path("pki/service-account-key.pem").display().to_string();
        assert_eq!(
            tool("openssl", &["pkey", "-in", &key, "-pubout"]),
            workspace.text("pki/service-account.pem"),
            "{algorithm}"
        );
    }
}

#[test]
fn a_leaf_never_outlives_its_ca_and_both_begin_a_day_ago() {
    let workspace = Workspace::small(1000);
    workspace.edit("cluster.toml", "[pki]", "[pki]\nca_validity = \"400d\"\nvalidity = \"400d\"");
    workspace.build().success();
    let status = workspace.run(&["pki", "status", "--json"]).success().stdout;
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    let of = |id: &str, key: &str| {
        status.as_array().unwrap().iter().find(|line| line["id"] == id).unwrap()["certificate"][key]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert!(of("admin", "not_after") <= of("ca", "not_after"));
    assert!(of("admin", "not_before") >= of("ca", "not_before"));
    let begin =
        time::OffsetDateTime::parse(&of("ca", "not_before"), &time::format_description::well_known::Rfc3339).unwrap();
    let age = time::OffsetDateTime::now_utc() - begin;
    assert!(age > time::Duration::hours(24) && age < time::Duration::hours(25), "{age}");
}

/// Where ours and cfssl's differ on purpose: the usages (one each, not both), the subject (no Kubernetes, no
/// unit), the names, and how the key identifier is computed (RFC 7093 instead of SHA-1).
#[test]
fn beside_the_guides_cfssl_ours_differs_only_on_purpose() {
    if !has("openssl") || !has("cfssl") {
        return;
    }
    let workspace = Workspace::small(1000);
    workspace.edit("cluster.toml", "ecdsa-p256", "rsa-2048");
    workspace.edit(
        "cluster.toml",
        "[pki]",
        "[pki]\nsubject = { country = \"CN\", state = \"SiChuan\", locality = \"Chengdu\" }",
    );
    workspace.build().success();
    let csr = |cn: &str, extra: &str| {
        format!(
            r#"{{"CN":"{cn}",{extra}"key":{{"algo":"rsa","size":2048}},"names":[{{"C":"CN","ST":"SiChuan","L":"Chengdu","O":"Kubernetes","OU":"CA"}}]}}"#
        )
    };
    workspace.write("ca-csr.json", csr("Kubernetes", ""));
    workspace.write(
        "csr.json",
        csr("kubernetes", r#""hosts":["127.0.0.1","10.32.0.1","192.0.2.1","kubernetes","kubernetes.default"],"#),
    );
    workspace.write("config.json", r#"{"signing":{"default":{"expiry":"8760h"},"profiles":{"kubernetes":{"usages":["signing","key encipherment","server auth","client auth"],"expiry":"8760h"}}}}"#);
    let cfssl = |args: &[&str], name: &str| {
        let output = std::process::Command::new("cfssl")
            .arg("gencert")
            .args(args)
            .current_dir(workspace.path(""))
            .output()
            .unwrap();
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        workspace.write(&format!("pki/{name}.pem"), json["cert"].as_str().unwrap());
        workspace.write(&format!("pki/{name}-key.pem"), json["key"].as_str().unwrap());
    };
    cfssl(&["-initca", "ca-csr.json"], "cfssl-ca");
    cfssl(
        &[
            "-ca=pki/cfssl-ca.pem",
            "-ca-key=pki/cfssl-ca-key.pem",
            "-config=config.json",
            "-profile=kubernetes",
            "csr.json",
        ],
        "cfssl",
    );
    let (ours, theirs) = (see(&workspace, "kubernetes/only"), see(&workspace, "cfssl"));
    for heading in ["X509v3 Key Usage: critical", "Basic Constraints: critical"] {
        assert_eq!(ours.after(heading), theirs.after(heading), "{heading}");
    }
    for line in [
        "Version: 3 (0x2)",
        "Signature Algorithm: sha256WithRSAEncryption",
        "Public-Key: (2048 bit)",
        "Exponent: 65537 (0x10001)",
    ] {
        assert!(ours.text.contains(line) && theirs.text.contains(line), "{line}");
    }
    let extensions = |seen: &Seen| {
        seen.text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("X509v3 "))
            .map(|line| line.trim_end_matches([':', ' ']).to_owned())
            .filter(|line| line != "extensions")
            .collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(extensions(&ours), extensions(&theirs));
    let lifetime = |id: &str| {
        let path = workspace.path(&format!("pki/{id}.pem"));
        let (_, pem) = x509_parser::pem::parse_x509_pem(&std::fs::read(path).unwrap())
            .map(|(rest, pem)| (rest.len(), pem))
            .unwrap();
        let validity = pem.parse_x509().unwrap().validity().clone();
        validity.not_after.timestamp() - validity.not_before.timestamp()
    };
    assert_eq!((lifetime("kubernetes/only"), lifetime("cfssl")), (8760 * 3600, 8760 * 3600));
    assert_eq!(theirs.after("Extended Key Usage"), "TLS Web Server Authentication, TLS Web Client Authentication");
    assert_eq!(ours.after("Extended Key Usage"), "TLS Web Server Authentication");
    assert_eq!(ours.subject, "subject=CN=kube-apiserver,L=Chengdu,ST=SiChuan,C=CN");
    let encodings = |id: &str| {
        tool("openssl", &["asn1parse", "-in", &workspace.path(&format!("pki/{id}.pem")).display().to_string()])
            .lines()
            .filter(|line| line.contains("PRINTABLESTRING"))
            .count()
    };
    assert!(encodings("kubernetes/only") >= 8, "subject and issuer are PrintableString, as cfssl's are");
}

#[test]
fn a_subject_takes_no_character_that_hides_or_turns_text_around() {
    let workspace = Workspace::small(1000);
    workspace.edit("cluster.toml", "[pki]", "[pki]\nsubject = { state = \"Sichuan\" }");
    let mut before = "Sichuan".to_owned();
    for (character, refused) in [
        ('\u{202e}', true),
        ('\u{2028}', true),
        ('\u{2066}', true),
        ('\u{200b}', true),
        ('\u{feff}', true),
        ('\u{e0041}', true),
        ('é', false),
        ('川', false),
    ] {
        let state = format!("Si{character}chuan");
        workspace.edit("cluster.toml", &before, &state);
        let run = workspace.run(&["plan", "-q"]);
        let stderr = run.stderr.clone();
        let run = run.exits(if refused { 2 } else { 0 });
        assert!(!refused || stderr.contains("format character"), "{character:?}: {}", run.stderr);
        before = state;
    }
}
