//! What a beginner gets wrong in cluster.toml, and what is said about it.

use std::fmt::Write as _;

use crate::harness::{Workspace, has};
use crate::spec::golden;

/// A cluster without errors, which each mistake changes.
const RIGHT: &str = r#"[cluster]
name = "roc"
recipe = "v1.16.0"
endpoint = "https://192.0.2.11:6443"
pod_cidr = "10.10.0.0/16"
service_cidr = "10.32.0.0/16"

[[nodes]]
name = "master-1"
address = "192.0.2.11"
roles = ["etcd", "master"]

[[nodes]]
name = "master-2"
address = "192.0.2.12"
roles = ["etcd", "master"]

[[nodes]]
name = "master-3"
address = "192.0.2.13"
roles = ["etcd", "master"]

[pki]
key = "rsa-2048"
"#;

/// The mistake, what is replaced in [`RIGHT`], and by what.
type Edit = (&'static str, &'static str, &'static str);

const EDITS: &[Edit] = &[
    ("a misspelt key", "pod_cidr", "pod_cdir"),
    ("a key in another style", "pod_cidr", "podCIDR"),
    ("a misspelt table", "[cluster]", "[clutser]"),
    ("a misspelt array of tables", "[[nodes]]", "[[node]]"),
    (
        "the misspelt roles of one node",
        "roles = [\"etcd\", \"master\"]\n\n[pki]",
        "role = [\"etcd\", \"master\"]\n\n[pki]",
    ),
    ("a prefix of 33", "10.10.0.0/16", "10.10.0.0/33"),
    ("a network without prefix", "10.10.0.0/16", "10.10.0.0"),
    ("a netmask", "10.10.0.0/16", "10.10.0.0/255.255.0.0"),
    ("an address where a network should be", "10.10.0.0/16", "10.10.5.1/16"),
    ("one address twice", "192.0.2.13", "192.0.2.12"),
    ("one name twice", "master-3", "master-2"),
    ("a mistyped address in the endpoint", "https://192.0.2.11:", "https://192.0.2.111:"),
    ("an address in the endpoint that can't be", "https://192.0.2.11:", "https://192.0.2.256:"),
    ("an endpoint with a name", "https://192.0.2.11:", "https://k8s.example.com:"),
    ("an endpoint with http", "https://192.0.2.11:", "http://192.0.2.11:"),
    ("an endpoint without scheme", "https://192.0.2.11:", "192.0.2.11:"),
    ("an endpoint without port", "https://192.0.2.11:6443", "https://192.0.2.11"),
    ("an endpoint with a path", "https://192.0.2.11:6443", "https://192.0.2.11:6443/"),
    ("a master at another port", "https://192.0.2.11:6443", "https://192.0.2.11:8443"),
    ("two networks that overlap", "10.32.0.0/16", "10.10.128.0/17"),
    ("one node inside the pod network", "192.0.2.13", "10.10.1.13"),
    ("all nodes inside the pod network", "10.10.0.0/16", "192.0.0.0/16"),
    ("a service network that is too large", "10.32.0.0/16", "10.0.0.0/8"),
    ("a pod network of loopback addresses", "10.10.0.0/16", "127.16.0.0/16"),
    ("a service network of multicast addresses", "10.32.0.0/16", "239.0.0.0/16"),
    ("a pod network around the link-local addresses", "10.10.0.0/16", "169.0.0.0/8"),
    ("a pod network smaller than the range of a node", "10.10.0.0/16", "10.10.0.0/25"),
    ("a node whose name is a number", "\"master-3\"", "\"3\""),
    ("a node called localhost", "\"master-3\"", "\"localhost\""),
    (
        "one MAC address twice",
        "roles = [\"etcd\", \"master\"]\n\n[[nodes]]",
        "roles = [\"etcd\", \"master\"]\nnetwork = { mac = \"52:54:00:12:34:56\", dhcp = true }\n\n[[nodes]]",
    ),
    (
        "DHCP, and what it says",
        "\n\n[pki]",
        "\nnetwork = { interface = \"eth0\", dhcp = true, gateway = \"192.0.2.1\", dns = [\"192.0.2.2\"] }\n\n[pki]",
    ),
    (
        "a gateway that is the network itself",
        "\n\n[pki]",
        "\nnetwork = { interface = \"eth0\", address = \"192.0.2.13/24\", gateway = \"192.0.2.0\" }\n\n[pki]",
    ),
    (
        "a gateway that is the broadcast address",
        "\n\n[pki]",
        "\nnetwork = { interface = \"eth0\", address = \"192.0.2.13/24\", gateway = \"192.0.2.255\" }\n\n[pki]",
    ),
    (
        "an interface whose network is everything",
        "\n\n[pki]",
        "\nnetwork = { interface = \"eth0\", address = \"192.0.2.13/0\", gateway = \"192.0.2.1\" }\n\n[pki]",
    ),
    ("a role that is none", "\"etcd\", \"master\"]\n\n[pki]", "\"etcd\", \"maser\"]\n\n[pki]"),
    ("an even number of etcd members", "\"etcd\", \"master\"]\n\n[pki]", "\"master\"]\n\n[pki]"),
    ("etcd elsewhere, without its port", "\"etcd\", ", "[etcd]\nendpoints = [\"https://192.0.2.21\"]\n"),
    (
        "a part of the files of an existing etcd",
        "\"etcd\", ",
        "[etcd]\nendpoints = [\"https://192.0.2.21:2379\"]\nca = \"ca.pem\"\n",
    ),
    ("a release that there is no recipe for", "v1.16.0", "v1.17.0"),
    ("a recipe without its v", "\"v1.16.0\"", "\"1.16.0\""),
    ("a recipe directory that is not there", "\"v1.16.0\"", "\"./recpie\""),
    ("a recipe with roles of its own that is not there", "\"v1.16.0\"", "\"./recpie\""),
    ("a validity in words", "[pki]", "[pki]\nvalidity = \"1 year\""),
    ("a validity of nothing", "[pki]", "[pki]\ntoken_validity = \"0d\""),
    ("a key type that v1.16 does not know", "rsa-2048", "ed25519"),
    ("a missing quote", "\"roc\"", "\"roc"),
    ("one quote of a list", "\"etcd\", \"master\"]\n\n[pki]", "\"etcd\", \"master]\n\n[pki]"),
    ("a bracket too few", "[cluster]", "[cluster"),
    ("a colon for one equals sign", "name = \"roc\"", "name: \"roc\""),
    ("a colon for each equals sign", " = \"", ": \""),
    ("quotes of a word processor", "\"roc\"", "“roc”"),
    ("a list without its end", "\"etcd\", \"master\"]\n\n[pki]", "\"etcd\", \"master\"\n\n[pki]"),
    ("no quotes", "\"roc\"", "roc"),
    ("a name that can't be", "\"roc\"", "\"Roc_Prod\""),
    (
        "a host name that is too long",
        "master-3",
        "master-3-of-the-third-rack-in-the-second-hall-of-the-first-site-abroad",
    ),
    ("a misspelt format", "[pki]", "[output]\nformats = [\"tarbal\"]\n[pki]"),
    ("user data without a mirror", "[pki]", "[output]\nformats = [\"user-data\"]\n[pki]"),
    (
        "a misspelt mirror",
        "[pki]",
        "[output]\nformats = [\"user-data\"]\n[output.miror]\nurl = \"http://192.0.2.1/roc\"\n[pki]",
    ),
    ("a string for a list", "[\"etcd\", \"master\"]\n\n[pki]", "\"master\"\n\n[pki]"),
    (
        "a string for a truth value",
        "[[nodes]]\nname = \"master-1\"",
        "pod_security_policy = \"yes\"\n[[nodes]]\nname = \"master-1\"",
    ),
    ("one pair of brackets for the nodes", "[[nodes]]", "[nodes]"),
    ("one pair of brackets for one of the nodes", "[[nodes]]\nname = \"master-3\"", "[nodes]\nname = \"master-3\""),
    ("two pairs of brackets for the cluster", "[cluster]", "[[cluster]]"),
    ("one key twice", "recipe = \"v1.16.0\"", "recipe = \"v1.16.0\"\nrecipe = \"v1.16.15\""),
    ("one key twice in a node", "address = \"192.0.2.13\"", "address = \"192.0.2.13\"\nname = \"master-4\""),
    ("one table twice", "[pki]", "[cluster]\ndomain = \"example.com\"\n[pki]"),
    ("a node with an IPv6 address", "address = \"192.0.2.11\"", "address = \"2001:db8::11\""),
    ("an address with a prefix", "address = \"192.0.2.13\"", "address = \"192.0.2.13/24\""),
    ("a leading zero", "address = \"192.0.2.13\"", "address = \"192.0.2.013\""),
    ("an address with a port", "address = \"192.0.2.13\"", "address = \"192.0.2.13:22\""),
    ("a host name for an address", "address = \"192.0.2.13\"", "address = \"master-3\""),
    ("three parts of an address", "address = \"192.0.2.13\"", "address = \"192.0.13\""),
];

/// The mistake, and the file with it.
fn edited((mistake, from, to): &Edit) -> (&'static str, String) {
    assert!(RIGHT.contains(from), "{mistake}");
    // etcd elsewhere takes the role from the nodes, and adds a table.
    let text = match to.strip_prefix("[etcd]") {
        Some(_) => RIGHT.replace(from, "").replace("[pki]", &format!("{to}[pki]")),
        None if mistake.contains("roles of its own") => {
            RIGHT.replace(from, to).replace("\"master\"]\n\n[pki]", "\"monitoring\"]\n\n[pki]")
        }
        None => RIGHT.replace(from, to),
    };
    (mistake, text)
}

/// The mistake, and the whole file.
fn whole_files() -> Vec<(&'static str, String)> {
    let nodes = RIGHT.find("[[nodes]]").unwrap();
    vec![
        ("no nodes", format!("{}[pki]\n", &RIGHT[..nodes])),
        ("an empty file", String::new()),
        ("nothing but comments", "# to be done\n\n".to_owned()),
        ("a YAML file", "---\ncluster:\n  name: roc\n  recipe: v1.16.0\nnodes:\n- name: master-1\n".to_owned()),
        ("a YAML file of a line", "name: roc\n".to_owned()),
        ("a JSON file", "{\n  \"cluster\": { \"name\": \"roc\" }\n}\n".to_owned()),
        ("the file of `kube-bundle init` as it is", kube_bundle::spec::TEMPLATE.to_owned()),
    ]
}

/// The mistake, and what is named as cluster.toml: no place can be shown in it.
fn no_text(workspace: &Workspace) -> [(&'static str, &'static str); 4] {
    workspace.write("site/cluster.toml", RIGHT);
    workspace.write("empty/readme", "");
    workspace.write("notepad.toml", RIGHT.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>());
    workspace.write("notepad.toml", [b"\xff\xfe".to_vec(), workspace.read("notepad.toml")].concat());
    [
        ("a directory with a cluster.toml", "site"),
        ("a directory without", "empty"),
        ("a file in UTF-16", "notepad.toml"),
        ("a file that is not there", "none.toml"),
    ]
}

/// One chapter of the snapshot: the mistake, and what `kube-bundle plan` says.
fn said(workspace: &Workspace, mistake: &str, file: &str, complaints: &mut Vec<String>) -> String {
    let output = workspace.command(&["plan", "-c", file]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{mistake}: {said}");
    let errors = said.lines().filter(|line| line.starts_with("error: ") && !line.contains("error in `")).count();
    if errors != 1 {
        complaints.push(format!("{mistake}: one mistake is one error, not {errors}"));
    }
    if !["help: ", "hint: ", "expected "].iter().any(|word| said.contains(word)) {
        complaints.push(format!("{mistake}: no way out"));
    }
    format!("## {mistake}\n\n{}\n\n", said.trim_end())
}

#[test]
fn every_mistake_of_a_beginner_gets_one_error_with_its_place_and_a_way_out() {
    let workspace = Workspace::new();
    let (mut all, mut complaints) = (String::new(), Vec::new());
    for (mistake, text) in EDITS.iter().map(edited).chain(whole_files()) {
        workspace.write("cluster.toml", text);
        if mistake == "an even number of etcd members" {
            let run = workspace.run(&["plan"]);
            // Writing to a string can't fail.
            let _ = write!(all, "## {mistake}\n\n{}\n\n", run.stderr.trim_end());
            run.success();
            continue;
        }
        let chapter = said(&workspace, mistake, "cluster.toml", &mut complaints);
        if !chapter.contains(" --> cluster.toml:") {
            complaints.push(format!("{mistake}: no place"));
        }
        all += &chapter;
    }
    for (mistake, file) in no_text(&workspace) {
        all += &said(&workspace, mistake, file, &mut complaints);
    }
    assert!(complaints.is_empty(), "{all}\n{}", complaints.join("\n"));
    golden(|| insta::assert_snapshot!("mistakes", all));
}

/// Thousands of files that nobody writes on purpose: characters that were left out, put twice, or put elsewhere.
#[test]
fn however_a_file_is_damaged_it_is_a_cluster_or_has_errors_that_can_be_shown() {
    let roles = kube_bundle::recipe::embedded::load("v1.16.0").unwrap().role_catalog();
    let insert =
        ["[", "]", "\"", "=", ":", "\n", "#", "{", "}", "'", "é", ",", "[nodes]\n", "\u{feff}", "\r", "name = 1\n"];
    let mut state = 1u64;
    let mut below = |limit: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % limit.max(1)
    };
    for _ in 0..3000 {
        let mut text = RIGHT.to_owned();
        for _ in 0..=below(3) {
            let Some(at) = text.char_indices().map(|(at, _)| at).nth(below(text.chars().count())) else { continue };
            match below(3) {
                0 => drop(text.remove(at)),
                1 => text.insert_str(at, insert[below(insert.len())]),
                _ => text.truncate(at),
            }
        }
        if let Err(faults) = kube_bundle::spec::ClusterSpec::parse("cluster.toml", &text, &roles) {
            let said = faults.render(false);
            assert!(said.contains("error: ") && said.contains(" --> cluster.toml:"), "{text}\n{said}");
        }
    }
}

/// Mistakes that a schema can know: others are about two keys, files, or the exact form of a value.
const SEEN_BY_TAPLO: &[&str] = &[
    "a misspelt key",
    "a key in another style",
    "a misspelt table",
    "a misspelt array of tables",
    "the misspelt roles of one node",
    "an endpoint with http",
    "an endpoint without scheme",
    "a validity in words",
    "a validity of nothing",
    "a key type that v1.16 does not know",
    "a missing quote",
    "one quote of a list",
    "a bracket too few",
    "a colon for one equals sign",
    "a colon for each equals sign",
    "quotes of a word processor",
    "a list without its end",
    "no quotes",
    "a name that can't be",
    "a host name that is too long",
    "a misspelt format",
    "a misspelt mirror",
    "a string for a list",
    "a string for a truth value",
    "one pair of brackets for the nodes",
    "one pair of brackets for one of the nodes",
    "two pairs of brackets for the cluster",
    "one key twice",
    "one key twice in a node",
    "one table twice",
    "no nodes",
    "an empty file",
    "nothing but comments",
    "a YAML file",
    "a YAML file of a line",
    "a JSON file",
];

/// Whether Taplo, which checks TOML in editors, accepts a file by our schema, and what it says.
fn taplo(workspace: &Workspace, file: &str) -> (bool, String) {
    workspace.write("schema.json", workspace.run(&["schema"]).success().stdout);
    let schema = format!("file://{}", workspace.path("schema.json").display());
    let mut taplo = std::process::Command::new("taplo");
    taplo.args(["check", "--colors", "never", "--schema", &schema]).arg(workspace.path(file));
    let output = taplo.current_dir(workspace.path(".")).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn an_editor_with_taplo_accepts_every_example() {
    if !has("taplo") {
        return;
    }
    let workspace = Workspace::new();
    workspace.run(&["init", "template.toml"]).success();
    workspace.run(&["init", "filled.toml", "--node", "a=192.0.2.1", "--node", "b=192.0.2.2:worker"]).success();
    workspace.write("right.toml", RIGHT);
    workspace.write("small.toml", crate::harness::SMALL);
    let examples = std::fs::read_dir(format!("{}/../examples", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let mut files = vec!["template.toml", "filled.toml", "right.toml", "small.toml"]
        .into_iter()
        .map(str::to_owned)
        .collect::<Vec<_>>();
    for example in
        examples.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|it| it == "toml"))
    {
        let name = format!("examples/{}", example.file_name().unwrap().display());
        workspace.write(&name, std::fs::read(example).unwrap());
        files.push(name);
    }
    assert!(files.len() > 6);
    for file in files {
        let (accepted, said) = taplo(&workspace, &file);
        assert!(accepted, "{file}: {said}");
    }
}

#[test]
fn an_editor_with_taplo_marks_the_mistakes_that_a_schema_can_know() {
    if !has("taplo") {
        return;
    }
    let workspace = Workspace::new();
    let mut seen = Vec::new();
    for (mistake, text) in EDITS.iter().map(edited).chain(whole_files()) {
        workspace.write("cluster.toml", text);
        let (accepted, _) = taplo(&workspace, "cluster.toml");
        if !accepted {
            seen.push(mistake);
        }
    }
    assert_eq!(seen, SEEN_BY_TAPLO);
}
