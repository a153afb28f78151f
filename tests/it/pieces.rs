//! Programs are compressed once, every reader reads what is put together of the pieces, and a damaged cache changes nothing.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::Command;

use flate2::bufread::GzDecoder;
use kube_bundle::hash::Sha256;
use kube_bundle::pack::codec;
use kube_bundle::spec::Compression;
use liblzma::bufread::XzDecoder;
use proptest::prelude::*;

use crate::harness::{COMPONENTS, Workspace, component, files, has, program, tool};

const ALL: [Compression; 3] = [Compression::Gzip, Compression::Zstd, Compression::Xz];

/// One stream of all contents, each a piece.
fn whole(how: Compression, contents: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = codec::head(how);
    let mut records = Vec::new();
    for content in contents {
        let (packed, record) = codec::piece(how, content).unwrap();
        bytes.extend(packed);
        records.push(record);
    }
    bytes.extend(codec::tail(how, &records));
    bytes
}

/// What a reader finds that stops where the first member, frame or stream ends, and how much it leaves.
fn read(how: Compression, bytes: &[u8]) -> (Vec<u8>, usize) {
    let mut plain = Vec::new();
    let rest = match how {
        Compression::Gzip => {
            let mut decoder = GzDecoder::new(bytes);
            decoder.read_to_end(&mut plain).unwrap();
            decoder.into_inner().len()
        }
        Compression::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(bytes).unwrap().single_frame();
            decoder.read_to_end(&mut plain).unwrap();
            decoder.finish().len()
        }
        Compression::Xz => {
            let mut decoder = XzDecoder::new(bytes);
            decoder.read_to_end(&mut plain).unwrap();
            decoder.into_inner().len()
        }
    };
    (plain, rest)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_pieces_make_one_stream(
        contents in proptest::collection::vec((0usize..70_000, 0u8..4, any::<u8>()), 0..5)
    ) {
        let contents: Vec<Vec<u8>> = contents
            .into_iter()
            .map(|(size, kind, seed)| match kind {
                // Repeats, noise, and zeros, as programs have them.
                0 => vec![seed; size],
                1 => program(&seed.to_string(), size),
                2 => (0..=255u8).flat_map(|byte| [byte ^ seed; 7]).cycle().take(size).collect(),
                _ => Vec::new(),
            })
            .collect();
        for how in ALL {
            prop_assert_eq!(read(how, &whole(how, &contents)), (contents.concat(), 0), "{:?}", how);
        }
    }
}

#[test]
fn padding_between_pieces_is_read_as_nothing() {
    for how in [Compression::Gzip, Compression::Zstd] {
        for at in 0..4096usize {
            let filler = codec::filler(how, at as u64, 4096);
            assert_eq!((at + filler.len()) % 4096, 0, "{how:?} at {at}");
            let (packed, record) = codec::piece(how, b"what comes after it").unwrap();
            let bytes = [codec::head(how), filler.clone(), packed, filler, codec::tail(how, &[record])].concat();
            assert_eq!(read(how, &bytes), (b"what comes after it".to_vec(), 0), "{how:?} at {at}");
        }
    }
}

#[test]
fn pieces_lie_where_a_file_system_can_share_them() {
    let workspace = workspace();
    for how in ["gzip", "zstd"] {
        std::fs::remove_dir_all(workspace.path("cache/kube-bundle/pieces")).unwrap_or_default();
        build(&workspace, how, &["--format", "tarball,deb,nocloud", "--deb-compression", how]);
        let files = files(&workspace.path(how));
        let packed: Vec<_> =
            files.keys().filter(|name| [".gz", ".deb", ".iso"].iter().any(|end| name.ends_with(end))).collect();
        let (mut found, mut in_images) = (0, 0);
        for pieces in
            cached(&workspace).iter().map(|path| std::fs::read(path).unwrap()).filter(|pieces| pieces.len() > 70_000)
        {
            for name in &packed {
                let bytes = workspace.read(&format!("{how}/{name}"));
                if let Some(at) = position(&bytes, &pieces[..1000]) {
                    assert_eq!(at % 4096, 0, "{name} with {how}");
                    found += 1;
                    in_images += usize::from(name.ends_with(".iso"));
                }
            }
        }
        // In a package and in the image of that at least; the archive has them in gzip.
        assert_eq!(in_images, COMPONENTS.len(), "with {how}: {packed:?}");
        assert!(found >= 2 * COMPONENTS.len(), "{found} with {how}: {packed:?}");
    }
}

fn position(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

/// One byte less than a block, a block, one more, and several: with each codec.
fn workspace() -> Workspace {
    let workspace = Workspace::small(1000);
    let mut components = String::new();
    for (name, size) in COMPONENTS.into_iter().zip([(1 << 20) - 1, 1 << 20, (4 << 20) + 1, (8 << 20) + 1]) {
        let mut bytes = program(name, size / 2);
        bytes.resize(size, 0x55);
        workspace.write(&format!("files/{name}"), &bytes);
        components += &component(name, "", &bytes);
    }
    workspace.recipe(&components);
    workspace
}

fn build(workspace: &Workspace, out: &str, more: &[&str]) {
    workspace.run(&[&["build", "--offline", "--from", "files", "-q", "-o", out], more].concat()).success();
}

#[test]
fn every_reader_finds_the_programs_whole() {
    let workspace = workspace();
    build(&workspace, "gzip", &["--format", "tarball,deb"]);
    let archive = workspace.path("gzip/nodes/only/small-only-v1.16.0-amd64.tar.gz").display().to_string();
    let inside = "small-only-v1.16.0-amd64/root/usr/local/bin";
    for name in COMPONENTS {
        let expected = Sha256::of(&workspace.read(&format!("files/{name}")));
        let member = format!("{inside}/{name}");
        for (reader, arguments) in [("tar", vec!["-xzOf"]), ("bsdtar", vec!["-xOf"]), ("busybox", vec!["tar", "-xzOf"])]
        {
            if has(reader) {
                let output = Command::new(reader).args(arguments).args([&archive, &member]).output().unwrap();
                assert_eq!(Sha256::of(&output.stdout), expected, "{reader} {name}");
            }
        }
        // Its streaming mode stops in silence where a second gzip member begins.
        let script = format!(
            "import hashlib, sys, tarfile\nfor entry in (archive := tarfile.open('{archive}', 'r|gz')):\n    if entry.name == '{member}':\n        print(hashlib.sha256(archive.extractfile(entry).read()).hexdigest())"
        );
        if has("python3") {
            assert_eq!(tool("python3", &["-c", &script]).trim(), expected.to_string());
        }
    }
    tool("gzip", &["-t", &archive]);
    for how in ["gzip", "zstd", "xz"] {
        build(&workspace, how, &["--format", "deb", "--deb-compression", how]);
        workspace.run(&["verify", "--deep", how]).success();
        for name in COMPONENTS {
            let package = workspace.package(how, &format!("kube-bundle-{name}")).display().to_string();
            if has("dpkg-deb") {
                let script = format!("dpkg-deb --fsys-tarfile '{package}' | tar -xOf - ./usr/bin/{name} | sha256sum");
                let said = tool("sh", &["-c", &script]);
                let expected = Sha256::of(&workspace.read(&format!("files/{name}")));
                assert_eq!(said.split(' ').next().unwrap(), expected.to_string(), "{how} {name}");
            }
        }
    }
}

fn cached(workspace: &Workspace) -> Vec<PathBuf> {
    let root = workspace.path("cache/kube-bundle/pieces");
    files(&root).into_keys().map(|name| root.join(name)).collect()
}

#[test]
fn a_damaged_cache_is_made_again_and_changes_nothing_but_time() {
    let workspace = workspace();
    build(&workspace, "first", &["--format", "tarball,deb", "-j", "1"]);
    let first = files(&workspace.path("first"));
    let all = cached(&workspace);
    assert_eq!(all.len(), COMPONENTS.len(), "gzip serves archives and packages: {all:?}");
    let whole: Vec<_> = all.iter().map(|path| std::fs::read(path).unwrap()).collect();
    for (path, bytes) in all.iter().zip(&whole) {
        // In the pieces, in what is said of them, in the length, in the digest; and an end that is missing.
        for position in [0, bytes.len() / 2, bytes.len() - 100, bytes.len() - 36, bytes.len() - 1] {
            let mut damaged = bytes.clone();
            damaged[position] ^= 4;
            std::fs::write(path, damaged).unwrap();
            let run = workspace.run(&[
                "build",
                "--offline",
                "--from",
                "files",
                "--format",
                "tarball,deb",
                "-q",
                "-o",
                "again",
            ]);
            run.success().says(&["is damaged, and is made again"]);
            assert_eq!(std::fs::read(path).unwrap(), *bytes);
        }
        std::fs::write(path, &bytes[..bytes.len() / 3]).unwrap();
    }
    build(&workspace, "again", &["--format", "tarball,deb", "-j", "7"]);
    assert_eq!(first, files(&workspace.path("again")));
    std::fs::remove_dir_all(workspace.path("cache/kube-bundle/pieces")).unwrap();
    build(&workspace, "again", &["--format", "tarball,deb", "-j", "3"]);
    assert_eq!(first, files(&workspace.path("again")));
    assert_eq!(whole, cached(&workspace).iter().map(|path| std::fs::read(path).unwrap()).collect::<Vec<_>>());
}

/// Changes a byte of a stored file as a disk does it: no date tells.
fn forget_a_byte(workspace: &Workspace, name: &str) {
    let digest = Sha256::of(&workspace.read(&format!("files/{name}"))).to_string();
    let blob = workspace.path(&format!("cache/kube-bundle/blobs/sha256/{}/{digest}", &digest[..2]));
    let dated = std::fs::metadata(&blob).unwrap().modified().unwrap();
    let mut bytes = std::fs::read(&blob).unwrap();
    bytes[777] ^= 8;
    std::fs::write(&blob, bytes).unwrap();
    std::fs::File::open(&blob).unwrap().set_modified(dated).unwrap();
}

/// A file that nobody has written to is not hashed at every build; when its bytes are used, they are.
#[test]
fn a_disk_that_forgot_a_byte_is_found_out_when_the_byte_is_needed() {
    let workspace = workspace();
    build(&workspace, "out", &["--format", "deb"]);
    let before = files(&workspace.path("out"));
    forget_a_byte(&workspace, "kubectl");
    std::fs::remove_dir_all(workspace.path("cache/kube-bundle/pieces")).unwrap();
    let again = ["build", "--offline", "--from", "files", "--format", "deb", "-q", "-o", "out"];
    workspace.run(&again).exits(3).says(&["` is damaged", "hint: run the same command again"]);
    assert_eq!(files(&workspace.path("out")), before, "the old output is untouched");
    workspace.run(&again).success().says(&["is damaged; fetching it again"]);
    assert_eq!(files(&workspace.path("out")), before);

    // Whoever fetches beforehand has everything hashed.
    forget_a_byte(&workspace, "kubectl");
    workspace.run(&["fetch", "--offline", "--from", "files"]).success().says(&["is damaged; fetching it again"]);
}

#[test]
fn a_program_that_is_handed_out_as_it_is_is_hashed_too() {
    let workspace = workspace();
    workspace.run(&["recipe", "export", "v1.16.0", "exported"]).success();
    let handed = "\n[[operator]]\npath = \"kubectl\"\nmode = \"0755\"\nsource = { component = \"kubectl\" }\n";
    workspace.write("recipe/layout.toml", workspace.text("exported/layout.toml") + handed);
    build(&workspace, "out", &["--format", "tarball"]);
    assert_eq!(workspace.read("out/operator/kubectl"), workspace.read("files/kubectl"));
    forget_a_byte(&workspace, "kubectl");
    let again = ["build", "--offline", "--from", "files", "--format", "tarball", "-q", "-o", "out"];
    workspace.run(&again).exits(3).says(&["` is damaged", "hint: run the same command again"]);
    workspace.run(&again).success().says(&["is damaged; fetching it again"]);
    assert_eq!(workspace.read("out/operator/kubectl"), workspace.read("files/kubectl"));
}

#[test]
fn what_no_build_used_lately_can_be_removed() {
    let workspace = workspace();
    build(&workspace, "out", &["--format", "deb"]);
    workspace.run(&["store", "prune"]).success();
    assert_eq!(cached(&workspace).len(), 4, "today's stay");
    let old = std::fs::File::options().write(true).open(&cached(&workspace)[0]).unwrap();
    old.set_modified(std::time::SystemTime::now() - std::time::Duration::from_hours(40 * 24)).unwrap();
    let run = workspace.run(&["store", "prune"]).success();
    assert!(run.stdout.starts_with("Removed 1 files, "), "{}", run.stdout);
    assert_eq!(cached(&workspace).len(), 3);
    build(&workspace, "out", &["--format", "deb"]);
    assert_eq!(cached(&workspace).len(), 4, "and are made again");
    let run = workspace.run(&["store", "prune", "--days", "0", "--json"]).success();
    let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((json["files"].as_u64(), cached(&workspace).len()), (Some(4), 0));
}

/// Pieces of another version of a library are others, so its version is in their name.
#[test]
fn pieces_are_named_after_the_libraries_that_made_them() {
    let lock = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock")).unwrap();
    for (library, version) in codec::LIBRARIES {
        let entry = format!("name = \"{library}\"\nversion = \"{version}\"\n");
        assert!(lock.contains(&entry), "{library} is not {version} any more: name the new version in pack/codec.rs");
    }
}
