//! Images hold what was put in, whatever its size and name, and nothing else; what reads them is not what wrote them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use kube_bundle::hash::Sha256;
use kube_bundle::inspect;
use kube_bundle::out::AtomicFileWriter;
use kube_bundle::pack::segment::{self, Segment};
use kube_bundle::pack::{cpio, fat, iso};
use kube_bundle::progress::{Progress as _, Quiet};
use kube_bundle::target::Mode;
use kube_bundle::tree::{Entry, Tree};
use proptest::prelude::*;

use crate::harness::{has, tool};

const DATE: i64 = 1_568_764_800;

type Files = BTreeMap<String, Vec<u8>>;

fn tree(files: &Files) -> Tree {
    let mut tree = Tree::default();
    for (number, (name, bytes)) in files.iter().enumerate() {
        let mode = if number % 2 == 0 { Mode::SECRET } else { Mode::PUBLIC };
        tree.insert(name.parse().unwrap(), Entry::text(mode, bytes)).unwrap();
    }
    tree
}

fn bytes(segments: &[Segment]) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("image");
    let mut writer = AtomicFileWriter::begin(path.clone()).unwrap();
    segment::write_all(segments, &mut writer, Quiet.task("", None).as_ref()).unwrap();
    let file = writer.finish(Mode::PUBLIC, [].into()).unwrap();
    let bytes = std::fs::read(path).unwrap();
    assert_eq!((file.size(), file.sha256()), (bytes.len() as u64, Sha256::of(&bytes)));
    bytes
}

/// Writes the image, reads it with our own reader, and compares.
fn is_read_back(files: &Files, image: &[u8], knows_modes: bool) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), image).unwrap();
    let contents = inspect::read(file.path(), &[]).unwrap();
    assert_eq!(contents.entries.keys().collect::<Vec<_>>(), files.keys().collect::<Vec<_>>());
    for ((path, entry), (name, bytes)) in tree(files).iter().zip(files) {
        let member = &contents.entries[path.as_str()];
        assert_eq!(member.sha256, Some(Sha256::of(bytes)), "{name}");
        assert_eq!(member.mode, if knows_modes { entry.mode } else { Mode::EXECUTABLE });
    }
    assert!(contents.foreign.is_empty());
    file
}

fn all_are_read_back(files: &Files) -> [tempfile::NamedTempFile; 3] {
    let tree = tree(files);
    let iso = bytes(&iso::segments(&tree, "cidata", DATE).unwrap());
    let fat = bytes(&fat::segments(&tree, "cidata", DATE).unwrap());
    let cpio = bytes(&cpio::segments(&tree, DATE).unwrap());
    assert_eq!((iso.len() % 4096, fat.len() % (32 * 512), cpio.len() % 512), (0, 0, 0));
    [is_read_back(files, &iso, true), is_read_back(files, &fat, false), is_read_back(files, &cpio, true)]
}

/// Sectors, pages and clusters end at these.
#[test]
fn files_of_every_size_around_a_boundary_are_whole() {
    let sizes = [512, 2048, 4096, 8192].into_iter().flat_map(|block: usize| [block - 1, block, block + 1]);
    let sizes = [0, 1].into_iter().chain(sizes);
    let files = sizes.map(|size| (format!("file-{size:05}"), vec![0xa5; size])).collect();
    let [iso, fat, cpio] = all_are_read_back(&files);
    others_agree(&files, iso.path(), fat.path(), cpio.path());
}

/// A directory record ends with its sector, and a long name has entries of 13 characters.
#[test]
fn many_files_with_names_of_every_length_are_found() {
    let files = (1..=150).map(|length| (format!("{length:x<length$}"), vec![b'x'; length])).collect::<Files>();
    let few = files.into_iter().step_by(4).collect();
    let [iso, fat, cpio] = all_are_read_back(&few);
    others_agree(&few, iso.path(), fat.path(), cpio.path());
}

fn others_agree(files: &Files, iso: &Path, fat: &Path, cpio: &Path) {
    let (iso, fat, cpio) = (iso.to_str().unwrap(), fat.to_str().unwrap(), cpio.to_str().unwrap());
    let names = |text: &str| {
        let lines = text.lines().map(|line| line.trim_start_matches(['/', '.']).trim().to_owned());
        let mut names: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
        names.sort();
        names
    };
    let expected: Vec<_> = files.keys().cloned().collect();
    if has("bsdtar") {
        assert_eq!(names(&tool("bsdtar", &["-tf", iso])), expected);
        for (name, bytes) in files {
            let output = Command::new("bsdtar").args(["-xOf", iso, name]).output().unwrap();
            assert_eq!(output.stdout, *bytes, "{name}");
        }
    }
    if has("isoinfo") {
        assert_eq!(names(&tool("isoinfo", &["-R", "-f", "-i", iso])), expected);
        let listing = tool("isoinfo", &["-R", "-l", "-i", iso]);
        assert!(listing.contains("-rw-------   1    0    0"), "{listing}");
    }
    if has("blkid") {
        for image in [iso, fat] {
            assert!(tool("blkid", &["-p", "-o", "export", image]).contains("\nLABEL=cidata\n"), "{image}");
        }
    }
    if has("fsck.vfat") {
        let said = tool("fsck.vfat", &["-n", "-v", fat]);
        assert!(said.contains(&format!("{} files", files.len() + 1)), "{said}");
    }
    if has("mcopy") {
        assert_eq!(names(&tool("mdir", &["-b", "-i", fat, "::"]).replace("::", "")), expected);
        for (name, bytes) in files {
            let output = Command::new("mcopy").args(["-i", fat, &format!("::{name}"), "-"]).output().unwrap();
            assert_eq!(output.stdout, *bytes, "{name}");
        }
    }
    if has("cpio") {
        assert_eq!(names(&tool("cpio", &["-t", "-F", cpio])), expected);
    }
}

#[test]
fn an_image_is_as_small_as_its_kind_allows() {
    let files = Files::from([("user-data".to_owned(), vec![b'x'; 100])]);
    let [iso, fat, cpio] = all_are_read_back(&files).map(|file| file.path().metadata().unwrap().len());
    assert_eq!((iso, cpio), (49_152, 512));
    // FAT16 has at least 4085 clusters.
    assert!((2 << 20..5 << 19).contains(&fat), "{fat}");
}

/// What is not a file's is structure or zeros: no memory of whoever built it leaves the machine.
#[test]
fn nothing_lies_in_what_is_left_free() {
    let marked = vec![0xee; 3000];
    let files = Files::from([("a".to_owned(), marked.clone()), ("b".to_owned(), marked)]);
    let tree = tree(&files);
    let ends = [
        (bytes(&iso::segments(&tree, "cidata", DATE).unwrap()), 22 * 2048),
        (bytes(&fat::segments(&tree, "cidata", DATE).unwrap()), 0),
    ];
    for (image, data) in ends {
        let first = image.windows(3000).position(|window| window.iter().all(|byte| *byte == 0xee)).unwrap();
        assert!(first >= data);
        let rest = &image[first..];
        let other: Vec<u8> = rest.iter().copied().filter(|byte| *byte != 0).collect();
        assert_eq!(other, vec![0xee; 6000], "behind the first file are files and zeros");
    }
}

#[test]
fn what_a_kind_of_image_cannot_hold_is_named() {
    let mut tree = Tree::default();
    tree.insert("a/b".parse().unwrap(), Entry::text(Mode::PUBLIC, "x")).unwrap();
    for error in [iso::segments(&tree, "x", DATE).err(), fat::segments(&tree, "x", DATE).err()] {
        assert_eq!(error.unwrap().to_string(), "`a` does not lie in the root of the volume");
    }
    let mut tree = Tree::default();
    tree.insert("x".repeat(200).parse().unwrap(), Entry::text(Mode::PUBLIC, "x")).unwrap();
    let error = iso::segments(&tree, "x", DATE).err().unwrap().to_string();
    assert!(error.contains("too long for a directory record"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_files_are_read_back(
        files in proptest::collection::btree_map("[a-z][a-zA-Z0-9._~+-]{0,60}", proptest::collection::vec(any::<u8>(), 0..6000), 0..40)
    ) {
        all_are_read_back(&files);
    }
}
