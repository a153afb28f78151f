//! A bundle says of which objects its files consist: each file can be put together of them, and none is there twice.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use kube_bundle::hash::Sha256;
use serde_json::Value;

use crate::harness::{Workspace, files, tool};

/// Formats that carry others, and with them the same bytes.
const ALL: &str = "tarball,deb,nocloud,initrd";

/// A bundle of a machine with pods, so that it has an image too.
fn bundle(more: &[&str]) -> Workspace {
    let workspace = Workspace::worker();
    let build = ["build", "--offline", "--from", "files", "-q", "--format", ALL];
    workspace.run(&[&build, more].concat()).success();
    workspace
}

fn number(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap()).unwrap()
}

/// What is read of a bundle, by nobody's code but this.
struct Objects {
    index: Value,
    files: BTreeMap<String, (u32, Vec<u8>)>,
    /// By number; of each byte it is known that all files agree on it.
    bytes: Vec<Vec<Option<u8>>>,
}

impl Objects {
    fn read(workspace: &Workspace) -> Self {
        let index: Value = serde_json::from_str(&workspace.text("out/small/bundle.index")).unwrap();
        let files = files(&workspace.path("out/small"));
        let sizes = index["objects"].as_array().unwrap().iter().map(|object| number(&object["size"]));
        let mut bytes: Vec<_> = sizes.map(|size| vec![None; size]).collect();
        for (path, file) in index["files"].as_object().unwrap() {
            let mut rest = &files[path].1[..];
            for run in file["runs"].as_array().unwrap() {
                let run: Vec<_> = run.as_array().unwrap().iter().map(number).collect();
                let (here, after) = rest.split_at(*run.last().unwrap());
                match run[..] {
                    [_] => assert!(here.iter().all(|byte| *byte == 0), "{path}"),
                    [object, offset, length] => {
                        for (known, byte) in bytes[object][offset..offset + length].iter_mut().zip(here) {
                            assert_eq!(*known.get_or_insert(*byte), *byte, "{path}");
                        }
                    }
                    _ => panic!("{run:?}"),
                }
                rest = after;
            }
            assert!(rest.is_empty(), "{path} is longer than its runs");
        }
        Self { index, files, bytes }
    }

    fn objects(&self) -> impl Iterator<Item = (&Value, Vec<u8>)> {
        let whole = |bytes: &Vec<Option<u8>>| bytes.iter().map(|byte| byte.expect("in some file")).collect();
        self.index["objects"].as_array().unwrap().iter().zip(self.bytes.iter().map(whole))
    }
}

#[test]
fn every_file_consists_of_the_objects_that_the_index_lists() {
    for more in [&[][..], &["--seed-image", "vfat"], &["--deb-layout", "fat"], &["--deb-compression", "zstd"]] {
        let workspace = bundle(more);
        let read = Objects::read(&workspace);
        for (object, bytes) in read.objects() {
            assert_eq!(object["sha256"], Sha256::of(&bytes).to_string());
        }
        for (path, (mode, bytes)) in &read.files {
            let travels_alone = ["SHA256SUMS", "bundle.index", "manifest.json", "pieces.SHA256SUMS"].contains(&&**path);
            let listed = &read.index["files"][path];
            assert_eq!(listed.is_null(), travels_alone, "{path}");
            if !travels_alone {
                assert_eq!(listed["sha256"], Sha256::of(bytes).to_string(), "{path}");
                assert_eq!(listed["mode"], format!("{mode:04o}"), "{path}");
            }
        }
    }
}

#[test]
fn a_program_is_one_object_in_all_formats() {
    let workspace = bundle(&[]);
    let read = Objects::read(&workspace);
    // A part of each program that is no text: nothing else has it.
    for name in ["kubelet", "kubectl", "kube-apiserver"] {
        let program = workspace.read(&format!("files/{name}"));
        let part = &program[1000..1040];
        let inflated = |bytes: &[u8]| {
            let mut plain = Vec::new();
            // What is no Deflate stream gives an error, and so does one without a last block, after all of it.
            let _ = flate2::read::DeflateDecoder::new(bytes).read_to_end(&mut plain);
            plain
        };
        let has = |bytes: &[u8]| bytes.windows(part.len()).any(|window| window == part);
        let holds = read
            .objects()
            .filter(|(object, bytes)| object["inflated_from"].is_null() && (has(bytes) || has(&inflated(bytes))));
        assert_eq!(holds.count(), 1, "{name}");
    }
}

/// Files that are the same on several machines, or in several formats, are carried once.
#[test]
fn a_larger_text_is_one_object_wherever_it_is() {
    let workspace = Workspace::small(3000);
    let more = "[[nodes]]\nname = \"more\"\naddress = \"192.0.2.100\"\nroles = [\"master\"]\n";
    workspace.write("cluster.toml", workspace.text("cluster.toml") + more);
    workspace.run(&["build", "--offline", "--from", "files", "-q", "--format", "tarball,deb,nocloud"]).success();
    let read = Objects::read(&workspace);
    let objects: Vec<_> = read.objects().map(|(_, bytes)| bytes).collect();
    let of = |path: &str| {
        let runs = read.index["files"][path]["runs"].as_array().unwrap_or_else(|| panic!("no {path}"));
        runs.iter().filter(|run| run[1].is_u64()).map(|run| number(&run[0])).collect::<BTreeSet<_>>()
    };
    let shared = |one: &str, other: &str| of(one).intersection(&of(other)).copied().collect::<Vec<_>>();
    let inflated = |number: usize| {
        let mut plain = Vec::new();
        let _ = flate2::read::DeflateDecoder::new(&objects[number][..]).read_to_end(&mut plain);
        String::from_utf8_lossy(&plain).into_owned()
    };
    let archives =
        shared(Workspace::ARCHIVE.strip_prefix("out/small/").unwrap(), "nodes/more/small-more-v1.16.0-amd64.tar.gz");
    assert!(archives.iter().any(|it| inflated(*it).contains("\nfault() {")), "install.sh");
    let packages = shared("deb/small-only_1.16.0-1_all.deb", "deb/small-more_1.16.0-1_all.deb");
    // They begin with variables that are each machine's own.
    let scripts = packages.iter().filter(|it| inflated(**it).contains("\nfault() {"));
    assert!(scripts.count() >= 3, "preinst, postinst and prerm");
    let user_data = shared("nodes/only/nocloud/user-data", "nodes/only/cidata.iso");
    let is_user_data = |it: &&usize| objects[**it] == workspace.read("out/small/nodes/only/nocloud/user-data");
    let user_data = user_data.iter().find(is_user_data).expect("user data");
    assert!(read.index["objects"][*user_data]["secret"].is_null(), "a file outside of the image has it, for everybody");
}

/// `operator/kubectl` is not compressed, and archives have it compressed.
#[test]
fn what_can_be_inflated_is_carried_compressed() {
    let workspace = bundle(&[]);
    let read = Objects::read(&workspace);
    let (object, _) = read.objects().find(|(_, bytes)| *bytes == workspace.read("files/kubectl")).expect("an object");
    let from = number(&object["inflated_from"]);
    let (_, compressed) = read.objects().nth(from).unwrap();
    let mut plain = Vec::new();
    flate2::read::DeflateDecoder::new(&[&compressed[..], &[3, 0]].concat()[..]).read_to_end(&mut plain).unwrap();
    assert_eq!(plain, workspace.read("files/kubectl"));
}

#[test]
fn literals_of_a_private_file_are_secret_and_nothing_else_is() {
    let workspace = bundle(&[]);
    let read = Objects::read(&workspace);
    let secret: Vec<_> = read.objects().map(|(object, _)| object["secret"] == true).collect();
    assert!(secret.contains(&true) && secret.contains(&false));
    for (path, file) in read.index["files"].as_object().unwrap() {
        let runs = file["runs"].as_array().unwrap();
        let has_secret = runs.iter().any(|run| run[1].is_u64() && secret[number(&run[0])]);
        assert_eq!(has_secret, file["mode"] == "0600", "{path}");
    }
    for (object, bytes) in read.objects().filter(|(object, _)| object["secret"] != true) {
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("PRIVATE KEY"), "{object}");
    }
}

#[test]
fn sha256sum_checks_objects_that_lie_under_their_names() {
    let workspace = bundle(&[]);
    let read = Objects::read(&workspace);
    for (object, bytes) in read.objects().filter(|(object, _)| object["inflated_from"].is_null()) {
        let digest = object["sha256"].as_str().unwrap();
        workspace.write(&format!("out/small/pieces/{}/{digest}", &digest[..2]), bytes);
    }
    let list = workspace.path("out/small/pieces.SHA256SUMS").display().to_string();
    let script =
        format!("cd '{}' && sha256sum --check --strict --quiet '{list}'", workspace.path("out/small").display());
    tool("sh", &["-c", &script]);
    let lines = workspace.text("out/small/pieces.SHA256SUMS");
    assert_eq!(lines.lines().count(), files(&workspace.path("out/small/pieces")).len());
}

/// What the pieces are is noted in the cache, and is the same whether they were made now or before.
#[test]
fn the_index_does_not_depend_on_what_was_compressed_before() {
    let workspace = bundle(&[]);
    let first = workspace.text("out/small/bundle.index");
    let again = ["build", "--offline", "-q", "--format", ALL];
    workspace.run(&again).success();
    assert_eq!(workspace.text("out/small/bundle.index"), first);
    std::fs::remove_dir_all(workspace.path("cache/kube-bundle/pieces")).unwrap();
    workspace.run(&again).success();
    assert_eq!(workspace.text("out/small/bundle.index"), first);
}
