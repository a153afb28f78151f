//! A bundle lists what is in it and how it was built, in the formats that programs of others read.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube_bundle::hash::Sha256;
use serde_json::Value;

use crate::harness::{COMPONENTS, Run, Workspace, component, files, has, has_all, program, tool};

/// A Python that has the validators, as `.ci/run` sets it up.
const VALIDATORS: &str = "python3-with-validators";
/// Node with `@sigstore/verify`.
const NODE: &str = "node-with-validators";

fn json(workspace: &Workspace, name: &str) -> Value {
    serde_json::from_slice(&workspace.read(&format!("out/small/{name}"))).unwrap()
}

fn list<'v>(value: &'v Value, key: &str) -> &'v Vec<Value> {
    static NONE: Vec<Value> = Vec::new();
    value[key].as_array().unwrap_or(&NONE)
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value}"))
}

/// A machine with everything, in every format that packs files.
fn full() -> Workspace {
    let workspace = Workspace::worker();
    let build = ["build", "--offline", "--from", "files", "-q", "--format", "tarball,deb,nocloud,initrd"];
    workspace.run(&[&build[..], &["--seed-image", "vfat"]].concat()).success();
    workspace
}

/// Digest of every file of the bundle and of every file inside one, by its place; and whether all users may read it.
fn places(workspace: &Workspace) -> BTreeMap<String, (String, bool)> {
    let manifest = json(workspace, "manifest.json");
    let mut places = BTreeMap::new();
    let mut add = |place: String, file: &Value| {
        let is_public = file["mode"].as_str().unwrap().ends_with(['4', '5']);
        if let Some(sha256) = file["sha256"].as_str() {
            places.insert(place, (sha256.to_owned(), is_public));
        }
    };
    for (name, file) in manifest["files"].as_object().unwrap() {
        // These come after what they list, or list these.
        if !name.starts_with("sbom.") && !["bundle.index", "pieces.SHA256SUMS"].contains(&name.as_str()) {
            add(name.clone(), file);
        }
    }
    for (name, artifact) in manifest["artifacts"].as_object().unwrap() {
        for (path, member) in artifact["entries"].as_object().unwrap() {
            add(format!("{name}:{path}"), member);
        }
    }
    places
}

#[test]
fn both_lists_have_every_file_at_every_place_where_it_is() {
    let workspace = full();
    let places = places(&workspace);
    let (cyclonedx, spdx) = (json(&workspace, "sbom.cdx.json"), json(&workspace, "sbom.spdx.json"));
    let mut found = BTreeMap::new();
    for component in list(&cyclonedx, "components") {
        let sha256 = list(component, "hashes").first().map(|hash| text(hash, "content"));
        for occurrence in list(&component["evidence"], "occurrences") {
            found.insert(text(occurrence, "location").to_owned(), sha256.map(str::to_owned));
        }
    }
    let mut in_spdx = BTreeMap::new();
    for package in list(&spdx, "packages") {
        let sha256 = list(package, "checksums").first().map(|sum| text(sum, "checksumValue").to_owned());
        let comment = package["comment"].as_str().and_then(|comment| comment.strip_prefix("in the bundle at "));
        in_spdx.extend(comment.into_iter().flat_map(|it| it.split(", ")).map(|it| (it.to_owned(), sha256.clone())));
    }
    assert_eq!((&cyclonedx["specVersion"], &spdx["spdxVersion"]), (&"1.6".into(), &"SPDX-2.3".into()));
    assert_eq!(found, in_spdx);
    assert_eq!(found.keys().collect::<Vec<_>>(), places.keys().collect::<Vec<_>>());
    for (place, sha256) in found {
        let (expected, is_public) = &places[&place];
        assert!(sha256.is_none_or(|sha256| sha256 == *expected), "{place}: {expected}");
        assert!(!is_public || !place.ends_with("-key.pem"), "{place} is a key that all may read");
    }
    // And both are files of the bundle like others.
    let sums = workspace.text("out/small/SHA256SUMS");
    assert!(sums.contains("  sbom.cdx.json\n") && sums.contains("  sbom.spdx.json\n"), "{sums}");
}

#[test]
fn no_digest_of_a_secret_is_in_a_list() {
    let workspace = full();
    let lists = workspace.text("out/small/sbom.cdx.json") + &workspace.text("out/small/sbom.spdx.json");
    let packed: BTreeSet<_> =
        json(&workspace, "manifest.json")["artifacts"].as_object().unwrap().keys().cloned().collect();
    let places = places(&workspace);
    let public: BTreeSet<_> = places.values().filter(|(_, is_public)| *is_public).map(|(sha256, _)| sha256).collect();
    let mut secrets = 0;
    for (place, (sha256, is_public)) in &places {
        // An archive with keys is known by its digest, which says nothing of any one of them.
        let is_packed = packed.iter().any(|name| place.ends_with(name.rsplit('/').next().unwrap()));
        if !is_public && !is_packed && !public.contains(sha256) {
            assert!(!lists.contains(sha256), "{place}");
            secrets += 1;
        }
    }
    // The manifest has no digest of what is secret in an archive.
    for (name, (_, bytes)) in files(&workspace.unpack()).into_iter().filter(|(_, (mode, _))| *mode == 0o600) {
        assert!(!lists.contains(&Sha256::of(&bytes).to_string()), "{name}");
        secrets += 1;
    }
    assert!(secrets > 15, "{secrets}");
    for (name, (mode, bytes)) in files(&workspace.path("pki")) {
        let is_secret = mode == 0o600 && !name.ends_with("SHA256SUMS");
        let sha256 = Sha256::of(&bytes).to_string();
        let is_certificate = bytes.windows(11).any(|window| window == b"CERTIFICATE") || name.ends_with(".pub");
        assert!(!is_secret || is_certificate || !lists.contains(&sha256), "{name}");
    }
}

#[test]
fn a_program_has_its_names_and_its_source_in_both_lists() {
    let workspace = Workspace::small(1000);
    workspace.edit(
        "recipe/recipe.toml",
        "[components.kubectl]\n",
        "[components.kubectl]\nurls = [\"https://ann:hunter2@example.org/kubectl\"]\nlicense = \"Apache-2.0\"\n\
         supplier = \"Example\"\npurl = \"pkg:golang/k8s.io/kubernetes@v1.16.0#cmd/kubectl\"\n\
         cpe = \"cpe:2.3:a:kubernetes:kubernetes:1.16.0:*:*:*:*:*:*:*\"\n\
         sources = [{ repository = \"a/b\", path = \"SUMS\", commit = \"0960c74c3788\" }]\n",
    );
    workspace.build().success();
    let cyclonedx = json(&workspace, "sbom.cdx.json");
    let kubectl = list(&cyclonedx, "components").iter().find(|it| it["name"] == "kubectl").unwrap();
    let purl = "pkg:golang/k8s.io/kubernetes@v1.16.0#cmd/kubectl";
    assert_eq!((text(kubectl, "purl"), text(kubectl, "version")), (purl, "v1.16.0"));
    assert_eq!(kubectl["licenses"][0]["expression"], "Apache-2.0");
    assert_eq!(kubectl["supplier"]["name"], "Example");
    let sha256 = Sha256::of(&program("kubectl", 1000)).to_string();
    let pin = format!("sha256:{sha256}, by a/b SUMS @0960c74c3788");
    assert_eq!(kubectl["properties"][0]["value"], pin);
    assert_eq!(kubectl["externalReferences"][0]["url"], "https://example.org/kubectl");
    let spdx = json(&workspace, "sbom.spdx.json");
    let kubectl = list(&spdx, "packages").iter().find(|it| it["name"] == "kubectl").unwrap();
    assert_eq!(text(kubectl, "downloadLocation"), "https://example.org/kubectl");
    assert_eq!(text(kubectl, "sourceInfo"), format!("verified against {pin}"));
    let locators: Vec<_> = list(kubectl, "externalRefs").iter().map(|it| text(it, "referenceLocator")).collect();
    assert_eq!(locators, [purl, "cpe:2.3:a:kubernetes:kubernetes:1.16.0:*:*:*:*:*:*:*"]);
    let lists = cyclonedx.to_string() + &spdx.to_string();
    assert!(!lists.contains("hunter2") && !lists.contains(&workspace.path("").display().to_string()));

    for (right, wrong) in [("@v1.16.0#", "@v1.16.1#"), (":1.16.0:", ":1.16.1:")] {
        let text = workspace.text("recipe/recipe.toml");
        workspace.edit("recipe/recipe.toml", right, wrong);
        workspace.run(&["plan"]).exits(2).says(&["component `kubectl` is", wrong, "expected"]);
        workspace.write("recipe/recipe.toml", text);
    }
}

/// A bundle in which Debian's cfssl, which is stripped, takes kubectl's place.
fn with_cfssl() -> Workspace {
    let workspace = Workspace::small(1000);
    let path = tool("sh", &["-c", "command -v cfssl"]);
    let bytes = std::fs::read(path.trim()).unwrap();
    workspace.write("files/kubectl", &bytes);
    let bytes_of = |name: &str| if name == "kubectl" { bytes.clone() } else { program(name, 1000) };
    workspace.recipe(&COMPONENTS.iter().map(|name| component(name, "", &bytes_of(name))).collect::<String>());
    workspace.build().success();
    workspace
}

#[test]
fn what_go_has_linked_into_a_program_is_listed_as_far_as_it_is_known() {
    if !has("cfssl") {
        return;
    }
    let workspace = with_cfssl();
    let cyclonedx = json(&workspace, "sbom.cdx.json");
    let kubectl = list(&cyclonedx, "components").iter().find(|it| it["name"] == "kubectl").unwrap();
    let libraries: BTreeSet<_> = list(kubectl, "components").iter().map(|it| text(it, "name")).collect();
    for name in ["github.com/cloudflare/cfssl/csr", "github.com/cloudflare/cfssl/signer", "stdlib"] {
        assert!(libraries.contains(name), "no {name} in {libraries:?}");
    }
    for library in &libraries {
        assert!(library.contains('.') || *library == "stdlib", "{library} is no library");
        assert!(!library.contains(['(', '*', ' ']), "{library} is no import path");
    }
    let of = |aggregate: &str| {
        let found = list(&cyclonedx, "compositions").iter().find(|it| it["aggregate"] == aggregate).unwrap();
        list(found, "assemblies").iter().map(|it| it.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(of("incomplete"), ["component/kubectl"]);
    assert!(of("unknown").contains(&"component/kube-apiserver".to_owned()));
    let spdx = workspace.text("out/small/sbom.spdx.json");
    assert_eq!(spdx.matches("STATIC_LINK").count(), libraries.len());
    // What was read once is kept; damage of it is noticed, and changes no list.
    let before = workspace.read("out/small/sbom.cdx.json");
    let kept = files(&workspace.path("cache/kube-bundle/linked"));
    assert_eq!(kept.len(), COMPONENTS.len());
    for name in kept.into_keys() {
        workspace.write(&format!("cache/kube-bundle/linked/{name}"), "damaged");
    }
    workspace.build().success();
    assert_eq!(workspace.read("out/small/sbom.cdx.json"), before);
}

/// Runs a script with the validators' Python; its arguments are files of the bundle.
fn validate(workspace: &Workspace, script: &str, arguments: &[&str]) -> Run {
    let mut command = Command::new(VALIDATORS);
    command.args(["-c", script]).args(arguments).current_dir(workspace.path("out/small")).stdin(Stdio::null());
    Run::from(command.output().unwrap())
}

const CYCLONEDX: &str = "
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read())
if fault: sys.exit(str(fault)[:500])
";

const SPDX: &str = "
import sys
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
faults = validate_full_spdx_document(parse_file(sys.argv[1]))
if faults: sys.exit(str(faults)[:500])
";

#[test]
fn others_validators_accept_both_lists_and_refuse_a_misspelt_key() {
    if !has(VALIDATORS) {
        return;
    }
    let workspace = full();
    for (name, script, key) in
        [("sbom.cdx.json", CYCLONEDX, "\"bomFormat\""), ("sbom.spdx.json", SPDX, "\"downloadLocation\"")]
    {
        validate(&workspace, script, &[name]).success();
        workspace.edit(&format!("out/small/{name}"), key, "\"misspelt\"");
        assert_ne!(validate(&workspace, script, &[name]).code, Some(0), "{name}");
    }
}

/// A bundle that is signed with `key`, and trusted.
fn signed() -> Workspace {
    let workspace = Workspace::worker();
    for name in ["key", "other"] {
        let path = workspace.path(name).display().to_string();
        tool("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", &path]);
    }
    workspace.run(&["trust", "init", "trust", "--key", "key", "-q"]).success();
    workspace.run(&["build", "--offline", "--from", "files", "-q", "--sign", "key"]).success();
    workspace
}

fn statement(workspace: &Workspace) -> Value {
    let envelope = json(workspace, "provenance.intoto.jsonl");
    assert_eq!(text(&envelope, "payloadType"), "application/vnd.in-toto+json");
    serde_json::from_slice(&STANDARD.decode(text(&envelope, "payload")).unwrap()).unwrap()
}

#[test]
fn a_signed_bundle_says_from_what_it_was_built() {
    if !has("ssh-keygen") {
        return;
    }
    let workspace = signed();
    let statement = statement(&workspace);
    let subject = |it: &Value| format!("{}  {}\n", text(&it["digest"], "sha256"), text(it, "name"));
    let subjects: String = list(&statement, "subject").iter().map(subject).collect();
    assert_eq!(subjects, workspace.text("out/small/SHA256SUMS"));
    let build = &statement["predicate"]["buildDefinition"];
    let cluster_toml = Sha256::of(&workspace.read("cluster.toml")).to_string();
    assert_eq!(build["externalParameters"]["clusterToml"], cluster_toml);
    assert_eq!(build["externalParameters"]["formats"], serde_json::json!(["tarball"]));
    // The date of the recipe: 2019-09-18.
    assert_eq!(build["internalParameters"]["SOURCE_DATE_EPOCH"], "1568764800");
    let names: Vec<_> = list(build, "resolvedDependencies").iter().map(|it| text(it, "name")).collect();
    let components = json(&workspace, "manifest.json")["components"].as_object().unwrap().len();
    assert_eq!(names.len(), components + 1, "each program, and the image: {names:?}");
    let pause = list(build, "resolvedDependencies").iter().find(|it| it["name"] == "k8s.gcr.io/pause:3.1").unwrap();
    assert_eq!(text(pause, "uri"), "https://k8s.gcr.io/v2/pause");

    // Unsigned, it would be a statement by nobody.
    workspace.build().success();
    assert!(!workspace.path("out/small/provenance.intoto.jsonl").exists());
}

#[test]
fn a_statement_of_another_build_or_by_another_key_is_refused() {
    if !has("ssh-keygen") {
        return;
    }
    let workspace = signed();
    workspace.run(&["verify", "out/small", "--trust", "trust"]).success();
    let envelope = workspace.text("out/small/provenance.intoto.jsonl");
    let path = "out/small/provenance.intoto.jsonl";
    let refused = |says: &str| {
        workspace.run(&["verify", "out/small", "--trust", "trust"]).exits(3).says(&["provenance.intoto.jsonl: ", says]);
    };
    let payload = envelope.split('"').nth(3).unwrap();
    let other =
        String::from_utf8(STANDARD.decode(payload).unwrap()).unwrap().replace("builder:local", "builder:theirs");
    workspace.write(path, envelope.replace(payload, &STANDARD.encode(other)));
    refused("another than");
    let (before, signature) = envelope.split_once("\"sig\":\"").unwrap();
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    workspace.write(path, format!("{before}\"sig\":\"{flipped}{}", &signature[1..]));
    refused("over other bytes");
    workspace.write(path, envelope.replace("SHA256:", "SHA257:"));
    refused("no trusted key");
    workspace.write(path, envelope.replace(",\"payloadType\"", ", \"payloadType\""));
    refused("damaged");
    std::fs::remove_file(workspace.path(path)).unwrap();
    refused("missing");

    // With two signatures, one by a trusted key is enough, and the other must be right all the same.
    workspace.run(&["sign", "out/small", "--key", "other", "--key", "key", "-q"]).success();
    workspace.run(&["verify", "out/small", "--trust", "trust"]).success();
    let both = workspace.text(path);
    let (before, signature) = both.split_once("\"sig\":\"").unwrap();
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    workspace.write(path, format!("{before}\"sig\":\"{flipped}{}", &signature[1..]));
    refused("over other bytes");
    workspace.run(&["sign", "out/small", "--key", "other", "-q"]).success();
    workspace.run(&["verify", "out/small", "--trust", "trust"]).exits(3).says(&["which is not trusted"]);
}

const IN_TOTO: &str = "
import base64, json, sys
from google.protobuf.json_format import ParseDict
from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
from in_toto_attestation.v1.statement import Statement
from in_toto_attestation.v1.statement_pb2 import Statement as Fields
text = base64.b64decode(json.load(open(sys.argv[1]))['payload']).decode()
for old, new in [pair.split('=') for pair in sys.argv[2:]]:
    assert old in text
    text = text.replace(old, new)
fields = json.loads(text)
statement = Statement([], '', {})
ParseDict(fields, statement.pb)
statement.validate()
ParseDict(fields['predicate'], Provenance())
";

const SECURESYSTEMSLIB: &str = "
import json, sys
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey
fields = json.load(open(sys.argv[1]))
fields['payload'] = fields['payload'].replace(*sys.argv[3:5]) if len(sys.argv) > 3 else fields['payload']
key = SSlibKey.from_crypto(load_pem_public_key(open(sys.argv[2], 'rb').read()), keyid=fields['signatures'][0]['keyid'])
Envelope.from_dict(fields).verify([key], 1)
";

#[test]
fn others_tools_take_the_statement_and_its_signature() {
    if !has_all(&["ssh-keygen", VALIDATORS]) {
        return;
    }
    let workspace = signed();
    let name = "provenance.intoto.jsonl";
    validate(&workspace, IN_TOTO, &[name]).success();
    for wrong in ["predicateType=predicateTipe", "buildType=buildTipe", "Statement/v1=Statement/v0"] {
        assert_ne!(validate(&workspace, IN_TOTO, &[name, wrong]).code, Some(0), "{wrong}");
    }
    validate(&workspace, SECURESYSTEMSLIB, &[name, "../../trust/release.pem"]).success();
    let payload = json(&workspace, name)["payload"].as_str().unwrap()[..8].to_owned();
    let changed = validate(&workspace, SECURESYSTEMSLIB, &[name, "../../trust/release.pem", &payload, "eyJfdHlw"]);
    assert_eq!(payload, "eyJfdHlw", "the same bytes are no change");
    changed.success();
    let changed = validate(&workspace, SECURESYSTEMSLIB, &[name, "../../trust/release.pem", &payload, "eyJfdHlx"]);
    assert_ne!(changed.code, Some(0));
    workspace.run(&["trust", "init", "wrong", "--key", "other", "-q"]).success();
    assert_ne!(validate(&workspace, SECURESYSTEMSLIB, &[name, "../../wrong/release.pem"]).code, Some(0));
}

/// A bundle in Sigstore's own format, made of the envelope; with a key and no transparency log, as `cosign --key` has it.
const SIGSTORE: &str = r#"
const { readFileSync } = require("node:fs");
const { createPublicKey } = require("node:crypto");
const { bundleFromJSON } = require("@sigstore/bundle");
const { Verifier, toSignedEntity } = require("@sigstore/verify");
const [provenance, pem, from, to] = process.argv.slice(1);
const dsseEnvelope = JSON.parse(readFileSync(provenance, "utf8"));
if (from) dsseEnvelope.payload = dsseEnvelope.payload.replace(from, to);
const bundle = bundleFromJSON({
  mediaType: "application/vnd.dev.sigstore.bundle.v0.3+json",
  verificationMaterial: { publicKey: { hint: "" }, tlogEntries: [] },
  dsseEnvelope,
});
const key = { publicKey: createPublicKey(readFileSync(pem, "utf8")), validFor: () => true };
const trust = { certificateAuthorities: [], timestampAuthorities: [], tlogs: [], ctlogs: [], publicKey: () => key };
const thresholds = { ctlogThreshold: 0, tlogThreshold: 0, timestampThreshold: 0 };
new Verifier(trust, thresholds).verify(toSignedEntity(bundle));
"#;

#[test]
fn sigstore_takes_the_signature_of_the_statement() {
    if !has_all(&["ssh-keygen", NODE]) {
        return;
    }
    let workspace = signed();
    let verify = |arguments: &[&str]| {
        let mut command = Command::new(NODE);
        command.args(["-e", SIGSTORE, "provenance.intoto.jsonl"]).args(arguments);
        Run::from(command.current_dir(workspace.path("out/small")).stdin(Stdio::null()).output().unwrap())
    };
    let key = "../../trust/release.pem";
    verify(&[key]).success();
    verify(&[key, "eyJfdHlw", "eyJfdHlx"]).exits(1).says(&["signature verification failed"]);
    workspace.run(&["trust", "init", "wrong", "--key", "other", "-q"]).success();
    verify(&["../../wrong/release.pem"]).exits(1).says(&["signature verification failed"]);
}

fn advisory(workspace: &Workspace, id: &str, module: &str, events: &str, more: &str) {
    let text = format!(
        "{{\"id\":\"{id}\",\"modified\":\"2026-11-0{}T00:00:00Z\",\"summary\":\"About {id}\"{more},\"affected\":[{{\"package\":\
         {{\"ecosystem\":\"Go\",\"name\":\"{module}\"}},\"ranges\":[{{\"type\":\"SEMVER\",\"events\":[{events}]}}]}}]}}",
        id.len()
    );
    workspace.write(&format!("osv/{id}.json"), text);
}

#[test]
fn an_audit_names_advisories_about_what_is_in_the_bundle_and_gives_no_verdict() {
    let workspace = Workspace::small(1000);
    workspace.edit(
        "recipe/recipe.toml",
        "[components.kubectl]\n",
        "[components.kubectl]\nupstream = \"https://github.com/kubernetes/kubernetes\"\n\
         purl = \"pkg:golang/k8s.io/kubernetes@v1.16.0#cmd/kubectl\"\n",
    );
    workspace.build().success();
    let from_start = "{\"introduced\":\"0\"}";
    advisory(
        &workspace,
        "A-1",
        "k8s.io/kubernetes",
        &format!("{from_start},{{\"fixed\":\"1.16.2\"}}"),
        ",\"aliases\":[\"CVE-1\"]",
    );
    advisory(&workspace, "A-22", "github.com/kubernetes/kubernetes", from_start, "");
    advisory(&workspace, "A-3", "k8s.io/kubernetes", &format!("{from_start},{{\"fixed\":\"1.16.0\"}}"), "");
    advisory(&workspace, "A-4", "k8s.io/kubernetes", from_start, ",\"withdrawn\":\"2026-11-01T00:00:00Z\"");
    advisory(&workspace, "A-5", "k8s.io/kubernetesque", from_start, "");
    let audit = workspace.run(&["audit", "out/small", "--osv", "osv"]).success().stdout;
    let mut lines = audit.lines();
    let first = lines.next().unwrap();
    assert!(first.starts_with("Kubernetes v1.16.0 is past its end of life"), "{audit}");
    assert!(lines.next().unwrap().starts_with("Database of 2026-11-04, 5 advisories."), "{audit}");
    let rows: Vec<Vec<_>> = lines.skip(2).map(|line| line.split_whitespace().take(5).collect()).collect();
    let expected = [
        ["A-22", "github.com/kubernetes/kubernetes", "v1.16.0", "-", "kubectl"],
        ["CVE-1", "k8s.io/kubernetes", "v1.16.0", "1.16.2", "kubectl"],
    ];
    assert_eq!(rows, expected, "{audit}");
    let json = workspace.run(&["audit", "out/small", "--osv", "osv", "--json"]).success().stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["end_of_life"], &json["findings"][1]["fixed"]), (&"September 2020".into(), &"1.16.2".into()));
    workspace.write("none/README", "");
    workspace.run(&["audit", "out/small", "--osv", "none"]).exits(2).says(&["holds no advisory"]);
    workspace.write("osv/broken.json", "{");
    workspace.run(&["audit", "out/small", "--osv", "osv"]).exits(1).says(&["could not read `osv/broken.json`"]);
    workspace.run(&["audit", "files", "--osv", "osv"]).exits(1).says(&["not a bundle"]);
}

/// Debian's cfssl has no list of modules, so that nobody knows the versions of its packages.
#[test]
fn an_audit_names_packages_of_unknown_version_only_if_they_are_linked() {
    if !has("cfssl") {
        return;
    }
    let workspace = with_cfssl();
    let with_import = |id: &str, path: &str| {
        let module = "github.com/cloudflare/cfssl";
        advisory(&workspace, id, module, "{\"introduced\":\"0\"},{\"fixed\":\"0.1.0\"}", "");
        let imports =
            format!("\"Go\",\"name\":\"{module}\"}},\"ecosystem_specific\":{{\"imports\":[{{\"path\":\"{path}\"}}]}}");
        workspace.edit(&format!("osv/{id}.json"), &format!("\"Go\",\"name\":\"{module}\"}}"), &imports);
    };
    with_import("A-1", "github.com/cloudflare/cfssl/csr");
    with_import("A-2", "github.com/cloudflare/cfssl/nothing/of/this/name");
    let audit = workspace.run(&["audit", "out/small", "--osv", "osv"]).success().stdout;
    let rows: Vec<Vec<_>> = audit.lines().skip(4).map(|line| line.split_whitespace().take(3).collect()).collect();
    assert_eq!(rows, [["A-1", "github.com/cloudflare/cfssl/csr", "unknown"]], "{audit}");
}
