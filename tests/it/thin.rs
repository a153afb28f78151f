//! A bundle is carried with each piece once, as a delta or in parts, and arrives as it was, byte for byte; or not at all,
//! and what is missing or damaged is named.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use kube_bundle::hash::Sha256;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::harness::{Run, Workspace, component, directories, files, has, program, tool};

const ALL: &str = "tarball,deb,nocloud,initrd";

/// `old` in all formats.
fn workspace() -> Workspace {
    let workspace = Workspace::worker();
    build(&workspace, "old", ALL);
    workspace
}

fn build(workspace: &Workspace, out: &str, formats: &str) {
    let build = ["build", "--offline", "--from", "files", "-q", "--format", formats, "-o", out];
    workspace.run(&build).success();
}

/// `old`, and `new` with one more name of the API server.
fn two() -> Workspace {
    let workspace = workspace();
    workspace.edit("cluster.toml", "[etcd]", "apiserver_sans = [\"k8s.example\"]\n[etcd]");
    build(&workspace, "new", ALL);
    workspace
}

fn export(workspace: &Workspace, arguments: &[&str]) -> Run {
    workspace.run(&[&["export", "-q"], arguments].concat())
}

fn import(workspace: &Workspace, arguments: &[&str]) -> Run {
    workspace.run(&[&["import", "-q"], arguments].concat())
}

/// That a directory has the same files, modes and directories as another.
#[track_caller]
fn assert_same(workspace: &Workspace, one: &str, other: &str) {
    let [one, other] = [one, other].map(|name| workspace.path(name));
    assert_eq!(directories(&one), directories(&other));
    let (one, other) = (files(&one), files(&other));
    assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    for (name, file) in &one {
        assert!(*file == other[name], "{name}");
    }
}

/// Nothing is at `out`, and nothing beside it.
#[track_caller]
fn assert_nothing_at(workspace: &Workspace, out: &str) {
    let beside =
        std::fs::read_dir(workspace.path("")).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap());
    let beside: Vec<_> = beside.filter(|name| name.contains(out)).collect();
    assert!(beside.is_empty(), "{beside:?}");
}

fn objects(workspace: &Workspace, directory: &str) -> Vec<String> {
    let pieces = files(&workspace.path(directory)).into_keys().filter(|name| name.starts_with("pieces/"));
    pieces.collect()
}

#[test]
fn a_bundle_arrives_as_it_was() {
    let workspace = workspace();
    export(&workspace, &["old", "thin"]).success();
    import(&workspace, &["thin", "-o", "again"]).success();
    assert_same(&workspace, "old", "again");
    workspace.run(&["verify", "--deep", "again"]).success();
    // And over what is there: of another build, or the same.
    import(&workspace, &["thin", "-o", "again"]).success();
    assert_same(&workspace, "old", "again");
}

#[test]
fn a_thin_copy_has_each_byte_once() {
    let workspace = Workspace::small(200_000);
    build(&workspace, "old", ALL);
    export(&workspace, &["old", "thin"]).success();
    let bytes = |name: &str| files(&workspace.path(name)).values().map(|(_, bytes)| bytes.len()).sum::<usize>();
    assert!(bytes("thin") * 3 < bytes("old"), "{} of {}", bytes("thin"), bytes("old"));
    for (name, (_, bytes)) in files(&workspace.path("thin/pieces")) {
        assert_eq!(name, format!("{}/{}", &name[..2], Sha256::of(&bytes)));
    }
}

#[test]
fn keys_are_hidden_in_a_thin_copy_too() {
    let workspace = workspace();
    let umask = format!("umask 000; exec {} export -q old thin", env!("CARGO_BIN_EXE_kube-bundle"));
    let shell = Command::new("sh").args(["-c", &umask]).current_dir(workspace.path("")).output().unwrap();
    Run::from(shell).success();
    let all = files(&workspace.path("thin"));
    let hidden: Vec<_> = all.iter().filter(|(_, (mode, _))| *mode == 0o600).collect();
    assert!(hidden.len() > 3 && hidden.iter().all(|(name, _)| name.starts_with("pieces/")), "{hidden:?}");
    for (name, _) in &hidden {
        let directory = workspace.path("thin").join(name).parent().unwrap().metadata().unwrap();
        assert_eq!(directory.permissions().mode() & 0o777, 0o700, "{name}");
    }
    for (name, (mode, bytes)) in &all {
        assert!(*mode == 0o600 || *mode == 0o644, "{name} {mode:o}");
        assert!(*mode == 0o600 || !String::from_utf8_lossy(bytes).contains("PRIVATE KEY"), "{name}");
    }
    std::fs::set_permissions(workspace.path("thin").join(hidden[0].0), std::fs::Permissions::from_mode(0o644)).unwrap();
    workspace.run(&["verify", "thin"]).success().says(&["it holds keys, and others may read it", hidden[0].0]);
}

#[test]
fn a_delta_has_what_the_other_lacks_and_needs_it() {
    let workspace = two();
    export(&workspace, &["old", "thin"]).success();
    export(&workspace, &["new", "whole"]).success();
    export(&workspace, &["new", "delta", "--since", "old"]).success();
    let [old, whole, delta] = ["thin", "whole", "delta"].map(|name| objects(&workspace, name));
    let lacks: Vec<_> = whole.iter().filter(|name| !old.contains(name)).cloned().collect();
    assert_eq!(delta, lacks);
    assert!(!delta.is_empty() && delta.len() < whole.len());
    // Whoever names it by a thin copy or by its list of objects gets the same.
    for since in ["thin", "old/bundle.index"] {
        export(&workspace, &["new", "same", "--since", since]).success();
        assert_same(&workspace, "delta", "same");
        std::fs::remove_dir_all(workspace.path("same")).unwrap();
    }
    for (number, base) in ["old", "thin"].into_iter().enumerate() {
        let out = format!("again{number}");
        import(&workspace, &["delta", base, "-o", &out]).success();
        assert_same(&workspace, "new", &out);
        import(&workspace, &[base, "delta", "-o", &out]).success();
        assert_same(&workspace, "new", &out);
    }
    // In place: the old bundle becomes the new one.
    import(&workspace, &["delta", "old", "-o", "old"]).success();
    assert_same(&workspace, "new", "old");
}

#[test]
fn a_delta_with_another_base_is_refused_and_both_are_named() {
    let workspace = two();
    export(&workspace, &["new", "delta", "--since", "old"]).success();
    let index = |name: &str| Sha256::of(&workspace.read(&format!("{name}/bundle.index"))).to_string();
    let (wants, other) = (index("old"), "other");
    import(&workspace, &["delta", "-o", "again"]).exits(3).says(&[&wants, "not among the directories"]);
    workspace.edit("cluster.toml", "k8s.example", "k8s.other.example");
    build(&workspace, other, ALL);
    let run = import(&workspace, &["delta", other, "-o", "again"]).exits(3);
    run.says(&["`delta` is a delta to the bundle", &wants, &index(other), "hint: "]);
    assert_nothing_at(&workspace, "again");
}

#[test]
fn deltas_follow_each_other() {
    let workspace = two();
    workspace.edit("cluster.toml", "k8s.example", "k8s.third.example");
    build(&workspace, "third", ALL);
    export(&workspace, &["new", "delta-2", "--since", "old"]).success();
    export(&workspace, &["third", "delta-3", "--since", "new"]).success();
    import(&workspace, &["delta-3", "delta-2", "old", "-o", "again"]).success();
    assert_same(&workspace, "third", "again");
}

/// How much a file takes, as `docs/carrying.md` says it.
fn taken(size: usize) -> usize {
    size.next_multiple_of(32768) + 32768
}

#[test]
fn parts_fit_and_arrive_in_any_order() {
    let workspace = workspace();
    let limit = 1_600_000;
    export(&workspace, &["old", "parts", "--max-size", &limit.to_string()]).success();
    let mut parts: Vec<_> = std::fs::read_dir(workspace.path("parts")).unwrap().map(|it| it.unwrap().path()).collect();
    parts.sort();
    let count = parts.len();
    assert!(count >= 3, "{parts:?}");
    for (number, part) in (1..).zip(&parts) {
        assert!(part.ends_with(format!("part-{number:02}-of-{count:02}")), "{part:?}");
        let size: usize = files(part).values().map(|(_, bytes)| taken(bytes.len())).sum();
        assert!(size <= limit, "{part:?} takes {size}");
        // Each can be checked alone, by this program and by any other.
        let said = workspace.run(&["verify", &part.display().to_string()]).success().stdout;
        assert!(said.contains(&format!("part {number} of {count} of a thin copy")), "{said}");
        let check = format!(
            "cd '{}' && sha256sum --check --strict --quiet --ignore-missing SHA256SUMS pieces.SHA256SUMS",
            part.display()
        );
        tool("sh", &["-c", &check]);
    }
    let mut arguments: Vec<_> = parts.iter().map(|part| part.display().to_string()).collect();
    arguments.reverse();
    let mut arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    arguments.extend(["-o", "again"]);
    import(&workspace, &arguments).success();
    assert_same(&workspace, "old", "again");
    // All of them, by the directory that they are in.
    import(&workspace, &["parts", "-o", "again"]).success();
    assert_same(&workspace, "old", "again");
}

#[test]
fn a_part_that_is_lost_is_named() {
    let workspace = workspace();
    export(&workspace, &["old", "parts", "--max-size", "1600000"]).success();
    let lost = std::fs::read_dir(workspace.path("parts")).unwrap().map(|it| it.unwrap().path());
    let lost = lost.into_iter().find(|path| path.display().to_string().contains("part-02-of-")).unwrap();
    std::fs::remove_dir_all(lost).unwrap();
    import(&workspace, &["parts", "-o", "again"]).exits(3).says(&["part 2 of ", "not among the directories"]);
    assert_nothing_at(&workspace, "again");
}

#[test]
fn parts_that_are_too_small_are_refused_before_anything_is_written() {
    let workspace = workspace();
    let said = export(&workspace, &["old", "parts", "--max-size", "100000"]).exits(2).stderr;
    assert!(!workspace.path("parts").exists());
    let least = said.split("the lists take ").nth(1).unwrap().lines().next().unwrap();
    export(&workspace, &["old", "parts", "--max-size", least]).success();
    let less = (least.parse::<u64>().unwrap() - 1).to_string();
    export(&workspace, &["old", "less", "--max-size", &less]).exits(2);
    export(&workspace, &["old", "parts", "--max-size", "4.7G"]).exits(2).says(&["`dvd` or `fat32`"]);
}

#[test]
fn parts_of_two_bundles_are_not_mixed() {
    let workspace = two();
    for name in ["old", "new"] {
        export(&workspace, &[name, &format!("{name}-parts"), "--max-size", "1600000"]).success();
    }
    let part = |name: &str, number: usize| {
        let parts = std::fs::read_dir(workspace.path(&format!("{name}-parts"))).unwrap();
        let mut parts: Vec<_> = parts.map(|it| it.unwrap().path().display().to_string()).collect();
        parts.sort();
        parts[number].clone()
    };
    let run = import(&workspace, &[&part("old", 0), &part("new", 1), "-o", "again"]).exits(3);
    run.says(&["are of different bundles", &part("old", 0), &part("new", 1)]);
    // Not by name either: what one part has is compared with the list of its own bundle.
    let (foreign, list) = (part("new", 1), format!("{}/export.json", part("old", 0)));
    std::fs::copy(&list, format!("{foreign}/export.json")).unwrap();
    import(&workspace, &[&part("old", 0), &foreign, "-o", "again"]).exits(3).says(&["of another bundle"]);
    workspace.run(&["verify", &foreign]).exits(3).says(&["export.json: it is of another bundle"]);
    assert_nothing_at(&workspace, "again");
}

/// Changes a file, and returns what it was.
fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let before = std::fs::read(path).unwrap();
    let mut bytes = before.clone();
    change(&mut bytes);
    assert_ne!(bytes, before);
    std::fs::write(path, bytes).unwrap();
    before
}

#[test]
fn all_damaged_objects_are_named_and_the_import_goes_on_when_they_are_right() {
    let workspace = workspace();
    export(&workspace, &["old", "thin"]).success();
    let all = objects(&workspace, "thin");
    let large = all.iter().max_by_key(|name| workspace.read(&format!("thin/{name}")).len()).unwrap();
    let small = all.iter().min_by_key(|name| workspace.read(&format!("thin/{name}")).len()).unwrap();
    for name in [large, small] {
        change(&workspace.path("thin").join(name), |bytes| bytes[0] ^= 1);
    }
    let says = [large, small].map(|name| format!("`thin/{name}`: damaged: expected sha256"));
    let says: Vec<_> = says.iter().map(String::as_str).collect();
    let run = import(&workspace, &["thin", "-o", "again"]).exits(3);
    run.says(&says).says(&["copy again what is damaged; the same command then goes on from there"]);
    let left = identities_below(&workspace.path(".again.building"));
    workspace.run(&["verify", "thin"]).exits(3).says(&[&format!("{large}: expected"), &format!("{small}: expected")]);
    // Shorter, or gone: known before anything is read.
    change(&workspace.path("thin").join(large), |bytes| bytes.truncate(bytes.len() - 1));
    std::fs::remove_file(workspace.path("thin").join(small)).unwrap();
    let says = [large, small].map(|name| format!("`thin/{name}`: missing, or of another size"));
    let says: Vec<_> = says.iter().map(String::as_str).collect();
    import(&workspace, &["thin", "-o", "again"]).exits(3).says(&says);
    assert!(!workspace.path("again").exists());
    // The same export makes it whole again.
    export(&workspace, &["old", "thin"]).success();
    workspace.run(&["verify", "thin"]).success();
    import(&workspace, &["thin", "-o", "again"]).success();
    assert_same(&workspace, "old", "again");
    assert!(!workspace.path(".again.building").exists());
    // What was right had not to be written again.
    let now = identities_below(&workspace.path("again"));
    let is_kept = |(name, identity): &(&String, &u64)| now.get(*name) == Some(identity);
    assert!(
        left.iter().filter(is_kept).count() > 5 && left.iter().filter(|it| !is_temporary(it.0)).all(|it| is_kept(&it))
    );
}

#[test]
fn objects_under_each_others_names_are_found_out() {
    let workspace = workspace();
    export(&workspace, &["old", "thin"]).success();
    let all = objects(&workspace, "thin");
    let [one, other] = [0, 1].map(|number| workspace.path("thin").join(&all[number]));
    std::fs::rename(&one, workspace.path("aside")).unwrap();
    std::fs::rename(&other, &one).unwrap();
    std::fs::rename(workspace.path("aside"), &other).unwrap();
    import(&workspace, &["thin", "-o", "again"]).exits(3).says(&[&all[0], &all[1]]);
    workspace.run(&["verify", "thin"]).exits(3).says(&[&all[0], &all[1]]);
    assert!(!workspace.path("again").exists());
}

#[test]
fn lists_of_a_thin_copy_can_not_be_changed() {
    let workspace = workspace();
    export(&workspace, &["old", "thin"]).success();
    for name in ["bundle.index", "pieces.SHA256SUMS", "manifest.json", "SHA256SUMS", "export.json"] {
        let path = workspace.path("thin").join(name);
        let middle = std::fs::metadata(&path).unwrap().len() / 2;
        let before = change(&path, |bytes| bytes[usize::try_from(middle).unwrap()] ^= 1);
        import(&workspace, &["thin", "-o", "again"]).exits(3);
        workspace.run(&["verify", "thin"]).exits(3);
        std::fs::write(&path, "{").unwrap();
        import(&workspace, &["thin", "-o", "again"]).exits(3);
        workspace.run(&["verify", "thin"]).exits(3);
        std::fs::write(&path, before).unwrap();
    }
    assert!(!workspace.path("again").exists());
    workspace.run(&["verify", "thin"]).success();
}

#[test]
fn a_damaged_bundle_is_not_exported_and_the_file_is_named() {
    let workspace = workspace();
    let archive = "nodes/only/small-only-v1.16.0-amd64.tar.gz";
    change(&workspace.path("old").join(archive), |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    });
    let run = export(&workspace, &["old", "thin"]);
    // Another file may have the same object, and is read then; but not of literals.
    if run.code != Some(0) {
        run.exits(3).says(&["in the object", "expected sha256"]);
    }
    std::fs::remove_dir_all(workspace.path("thin")).unwrap();
    let key = workspace.path("old/operator/admin.kubeconfig");
    change(&key, |bytes| bytes[100] ^= 1);
    let run = export(&workspace, &["old", "thin"]).exits(3);
    run.says(&["could not export `old`", "`old/operator/admin.kubeconfig`: damaged in the object", "hint: "]);
    assert!(!workspace.path("thin/SHA256SUMS").exists());
    workspace.run(&["verify", "thin"]).exits(3).says(&["the export was not finished"]);
    import(&workspace, &["thin", "-o", "again"]).exits(1).says(&["is an export that was not finished"]);
    std::fs::remove_file(&key).unwrap();
    export(&workspace, &["old", "thin"]).exits(3).says(&["operator/admin.kubeconfig`: missing or too short"]);
}

#[test]
fn an_export_touches_nothing_that_it_did_not_write() {
    let workspace = two();
    export(&workspace, &["old", "thin"]).success();
    let before = files(&workspace.path("thin"));
    export(&workspace, &["new", "thin"]).exits(1).says(&["is an export of another bundle"]);
    export(&workspace, &["old", "thin", "--since", "new"]).exits(1).says(&["is another export of the same bundle"]);
    export(&workspace, &["old", "files"]).exits(1).says(&["`files` has files that no export wrote"]);
    export(&workspace, &["old", "new"]).exits(1).says(&["`new` has files that no export wrote"]);
    assert_eq!(files(&workspace.path("thin")), before);
    let bundles = [files(&workspace.path("old")), files(&workspace.path("new"))];
    std::os::unix::fs::symlink("old", workspace.path("link")).unwrap();
    for inside in ["old/sub", "./old/a/../b/c", "link/sub", "new/sub"] {
        let run = export(&workspace, &["old", inside, "--since", "new"]).exits(1);
        run.says(&["`, which is exported from", "hint: choose a new directory"]);
    }
    assert_eq!([files(&workspace.path("old")), files(&workspace.path("new"))], bundles);
    export(&workspace, &["old", "parts", "--max-size", "1600000"]).success();
    let run = export(&workspace, &["old", "parts", "--max-size", "2000000"]).exits(1);
    run.says(&["which is no part of this"]);
    workspace.run(&["build", "--offline", "-q", "-o", "thin"]).exits(1).says(&["holds files that no build wrote"]);
    import(&workspace, &["thin", "-o", "files"]).exits(1).says(&["exists and is no bundle"]);
}

/// An index may say that a file has terabytes of zeros, and whoever wrote it has written the other lists.
#[test]
fn sizes_that_are_not_those_of_the_manifest_are_refused_before_anything_is_written() {
    let workspace = workspace();
    export(&workspace, &["old", "thin"]).success();
    let digest = |name: &str| Sha256::of(&workspace.read(&format!("thin/{name}"))).to_string();
    let [index, manifest, sums] = ["bundle.index", "manifest.json", "SHA256SUMS"].map(digest);
    let mut changed: serde_json::Value = serde_json::from_str(&workspace.text("thin/bundle.index")).unwrap();
    let file = &mut changed["files"]["README.txt"];
    file["size"] = (file["size"].as_u64().unwrap() + (8 << 30)).into();
    file["runs"].as_array_mut().unwrap().push(serde_json::json!([8_u64 << 30]));
    workspace.write("thin/bundle.index", changed.to_string() + "\n");
    workspace.edit("thin/manifest.json", &index, &digest("bundle.index"));
    workspace.edit("thin/SHA256SUMS", &index, &digest("bundle.index"));
    workspace.edit("thin/SHA256SUMS", &manifest, &digest("manifest.json"));
    workspace.edit("thin/export.json", &sums, &digest("SHA256SUMS"));
    import(&workspace, &["thin", "-o", "again"]).exits(3).says(&["README.txt: not what manifest.json says"]);
    assert_nothing_at(&workspace, "again");
}

#[test]
fn signatures_arrive_and_are_required_of_a_thin_copy() {
    if !has("ssh-keygen") {
        return;
    }
    let workspace = workspace();
    for name in ["key", "other"] {
        let path = workspace.path(name).display().to_string();
        tool("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", &path]);
        workspace.run(&["trust", "init", &format!("trust-{name}"), "--key", name, "-q"]).success();
    }
    export(&workspace, &["old", "unsigned"]).success();
    workspace.run(&["sign", "old", "--key", "key", "-q"]).success();
    export(&workspace, &["old", "thin"]).success();
    let verified = workspace.run(&["verify", "thin", "--trust", "trust-key"]).success();
    assert!(
        verified.stdout.contains("thin copy") && verified.stdout.contains("signed by the trusted key"),
        "{verified:?}"
    );
    import(&workspace, &["unsigned", "-o", "again", "--trust", "trust-key"]).exits(3).says(&["it has no signature"]);
    import(&workspace, &["thin", "-o", "again", "--trust", "trust-other"]).exits(3).says(&["is not trusted"]);
    assert_nothing_at(&workspace, "again");
    let run = import(&workspace, &["thin", "-o", "again", "--trust", "trust-key"]).success();
    assert!(run.stdout.contains("signed by the trusted key SHA256:"), "{}", run.stdout);
    assert_same(&workspace, "old", "again");
    workspace.run(&["verify", "again", "--trust", "trust-key"]).success();
    let run = import(&workspace, &["thin", "-o", "again"]).success();
    let last = run.stdout.lines().last().unwrap();
    assert!(last.starts_with("origin not checked: it is signed by the key SHA256:"), "{last}");
    // And with programs that every machine has.
    let check = "cd thin && ssh-keygen -Y verify -n kube-bundle -I release -f ../trust-key/allowed_signers \
                 -s SHA256SUMS.sig < SHA256SUMS && sha256sum --check --quiet --ignore-missing SHA256SUMS pieces.SHA256SUMS";
    let shell = Command::new("sh").args(["-c", check]).current_dir(workspace.path("")).output().unwrap();
    Run::from(shell).success();
}

#[test]
fn what_a_delta_costs_is_known_beforehand() {
    let workspace = two();
    workspace.run(&["diff", "--pieces", "old", "old"]).success();
    let json = workspace.run(&["diff", "--pieces", "old", "new", "--json"]).exits(1).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let text = workspace.run(&["diff", "--pieces", "old/bundle.index", "new"]).exits(1).stdout;
    export(&workspace, &["new", "delta", "--since", "old"]).success();
    let delta = files(&workspace.path("delta/pieces"));
    let bytes: usize = delta.values().map(|(_, bytes)| bytes.len()).sum();
    assert_eq!(json["new"]["objects"], delta.len());
    assert_eq!(json["new"]["bytes"], bytes);
    assert!(text.contains(&format!("{} objects", delta.len())), "{text}");
}

/// How two bundles of a pair differ.
#[derive(Debug, Clone)]
struct Change {
    formats: [Vec<&'static str>; 2],
    /// Replacements in `cluster.toml`, in any combination.
    edits: Vec<(&'static str, &'static str)>,
    program: Option<&'static str>,
    max_size: Option<u32>,
}

/// Texts of `cluster.toml`, and what is written instead.
const EDITS: [(&str, &str); 4] = [
    ("[etcd]", "apiserver_sans = [\"k8s.example\"]\n[etcd]"),
    ("[pki]", "[[nodes]]\nname = \"second\"\naddress = \"192.0.2.2\"\nroles = [\"master\"]\n[pki]"),
    ("[cluster]", "[secrets]\nseal = \"key\"\n[cluster]"),
    ("[cluster]", "[output.seed]\nimage = \"vfat\"\n[cluster]"),
];

fn change_of_a_pair() -> impl Strategy<Value = Change> {
    let formats = || proptest::sample::subsequence(vec!["tarball", "deb", "nocloud", "initrd"], 1..=4);
    let program = proptest::option::of(proptest::sample::select(vec!["kubectl", "kube-apiserver"]));
    let edits = proptest::sample::subsequence(EDITS.to_vec(), 0..=EDITS.len());
    let max_size = proptest::option::of(1_000_000u32..2_000_000);
    (formats(), formats(), program, edits, max_size).prop_map(|(one, other, program, edits, max_size)| Change {
        formats: [one, other],
        edits,
        program,
        max_size,
    })
}

impl Change {
    fn apply(&self, workspace: &Workspace) {
        for (from, to) in &self.edits {
            workspace.edit("cluster.toml", from, to);
        }
        if let Some(name) = self.program {
            let bytes = program("another", 5000);
            workspace.write(&format!("files/{name}"), &bytes);
            let old = component(name, "", &program(name, 3000));
            workspace.edit("recipe/recipe.toml", &old, &component(name, "", &bytes));
        }
    }
}

#[test]
fn a_delta_and_its_base_are_the_new_bundle_whatever_differs() {
    if !has("ssh-keygen") {
        return;
    }
    let mut runner = TestRunner::new(Config { cases: 12, failure_persistence: None, ..Config::default() });
    let result = runner.run(&change_of_a_pair(), |change| {
        let workspace = Workspace::small(3000);
        let key = workspace.path("key").display().to_string();
        tool("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", &key]);
        workspace.run(&["trust", "init", "trust", "--key", "key", "-q"]).success();
        let build = |out: &str, formats: &[&str]| {
            let formats = formats.join(",");
            let build =
                ["build", "--offline", "--from", "files", "-q", "--sign", "key", "--format", &formats, "-o", out];
            workspace.run(&build).success();
        };
        build("old", &change.formats[0]);
        change.apply(&workspace);
        build("new", &change.formats[1]);
        let size = change.max_size.map(|size| size.to_string());
        let parts = size.iter().flat_map(|size| ["--max-size", size]).collect::<Vec<_>>();
        export(&workspace, &[&["new", "delta", "--since", "old"], &parts[..]].concat()).success();
        import(&workspace, &["old", "delta", "-o", "again", "--trust", "trust"]).success();
        assert_same(&workspace, "new", "again");
        workspace.run(&["verify", "again", "--trust", "trust", "--deep"]).success();
        Ok(())
    });
    result.unwrap_or_else(|why| panic!("{why}"));
}

/// Kills a command at some moment, or lets it end; says which.
fn killed(workspace: &Workspace, arguments: &[&str], after: Duration) -> bool {
    let mut command = workspace.command(arguments);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(after);
    child.kill().unwrap();
    !child.wait().unwrap().success()
}

/// The identity of each file below a directory.
fn identities_below(directory: &Path) -> BTreeMap<String, u64> {
    use std::os::unix::fs::MetadataExt as _;
    let identity = |name: String| {
        let about = directory.join(&name).metadata().unwrap();
        (name, about.ino())
    };
    if directory.exists() { files(directory).into_keys().map(identity).collect() } else { BTreeMap::new() }
}

fn is_temporary(name: &str) -> bool {
    name.split('/').any(|part| part.starts_with(".kube-bundle-"))
}

#[test]
fn a_killed_export_is_never_taken_for_whole_and_the_next_one_goes_on() {
    let workspace = workspace();
    let arguments = ["export", "-q", "-j", "1", "old", "thin"];
    let (mut kills, mut before) = (0, BTreeMap::<String, u64>::new());
    for round in 0..40 {
        if !killed(&workspace, &arguments, Duration::from_millis(3 + 4 * round)) {
            break;
        }
        kills += 1;
        if !workspace.path("thin").exists() {
            continue;
        }
        // What stands under a digest is what the digest says, and what was there is not written again.
        for (name, (_, bytes)) in files(&workspace.path("thin/pieces")) {
            assert!(name.contains("/.kube-bundle-") || name.ends_with(&Sha256::of(&bytes).to_string()), "{name}");
        }
        let now = identities_below(&workspace.path("thin/pieces"));
        assert!(before.iter().all(|(name, identity)| is_temporary(name) || now.get(name) == Some(identity)));
        before = now;
        if !workspace.path("thin/SHA256SUMS").exists() {
            assert_ne!(import(&workspace, &["thin", "-o", "again"]).code, Some(0));
            assert_nothing_at(&workspace, "again");
        }
    }
    assert!(kills > 3, "{kills}");
    workspace.run(&arguments).success();
    workspace.run(&["verify", "thin"]).success();
    assert!(files(&workspace.path("thin")).keys().all(|name| !name.contains(".kube-bundle-")));
    import(&workspace, &["thin", "-o", "again"]).success();
    assert_same(&workspace, "old", "again");
}

#[test]
fn a_killed_import_leaves_what_was_there_and_the_next_one_goes_on() {
    let workspace = two();
    export(&workspace, &["new", "thin"]).success();
    build(&workspace, "again", "tarball");
    let before = files(&workspace.path("again"));
    let (mut kills, mut written) = (0, BTreeMap::<String, u64>::new());
    for round in 0..40 {
        if !killed(
            &workspace,
            &["import", "-q", "-j", "1", "thin", "-o", "again"],
            Duration::from_millis(3 + 4 * round),
        ) {
            break;
        }
        kills += 1;
        let now = files(&workspace.path("again"));
        // A kill may come after the last rename.
        assert!(now == before || now == files(&workspace.path("new")), "neither the old bundle nor the new one");
        if now != before {
            break;
        }
        // What is whole is not written again, but for the lists.
        let there = identities_below(&workspace.path(".again.building"));
        let is_new = |(name, identity): (&String, &u64)| {
            name.contains('/') && !is_temporary(name) && there.get(name).is_some_and(|it| it != identity)
        };
        assert!(there.is_empty() || !written.iter().any(is_new));
        written = there;
    }
    assert!(kills > 3, "{kills}");
    // Of what another import has left, nothing gets into this one, and nothing that is damaged.
    std::fs::create_dir_all(workspace.path(".again.building/nodes/foreign")).unwrap();
    workspace.write(".again.building/foreign", "foreign");
    workspace.write(".again.building/README.txt", "damaged");
    import(&workspace, &["thin", "-o", "again"]).success();
    assert_same(&workspace, "new", "again");
}
