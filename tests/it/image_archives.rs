//! Images that users hold as files: what docker saved, and what other tools made of it, goes into bundles as it is.

use std::fmt::Write as _;
use std::path::Path;

use crate::harness::{Run, Workspace, component, files, has, program, tool};
use crate::registry::{digest, gzip};

/// A member of a tar archive: its name, and its content or the target of a link.
enum Member {
    File(String, Vec<u8>),
    Link(String, String),
}

/// Names are written as they are, for the `tar` crate refuses some.
fn tar(members: &[Member]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for member in members {
        let (Member::File(name, _) | Member::Link(name, _)) = member;
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_mode(0o644);
        let mut content: &[u8] = &[];
        match member {
            Member::File(_, bytes) => content = bytes,
            Member::Link(_, target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_link_name(target).unwrap();
            }
        }
        header.set_size(content.len() as u64);
        header.set_cksum();
        archive.append(&header, content).unwrap();
    }
    archive.into_inner().unwrap()
}

/// An image as `docker save` wrote it before version 25, with the last layer twice: the second time it is a link.
struct Saved {
    layers: Vec<Vec<u8>>,
    config: String,
    tags: &'static str,
}

const NAME: &str = "registry.example/shop/web:1.4";
const TAGS: &str = "\"registry.example/shop/web:1.4\",\"shop:new\"";

impl Saved {
    fn new() -> Self {
        let layer = |name: &str, bytes: Vec<u8>| tar(&[Member::File(name.to_owned(), bytes)]);
        let (base, app) = (layer("bin/base", program("base", 40_000)), layer("bin/app", program("app", 9_000)));
        Self::of(vec![base, app.clone(), app], "amd64")
    }

    fn of(layers: Vec<Vec<u8>>, architecture: &str) -> Self {
        let ids: Vec<_> = layers.iter().map(|layer| format!("\"sha256:{}\"", digest(layer))).collect();
        let config = format!(
            "{{\"architecture\":\"{architecture}\",\"os\":\"linux\",\"rootfs\":{{\"type\":\"layers\",\"diff_ids\":[{}]}}}}",
            ids.join(",")
        );
        Self { layers, config, tags: TAGS }
    }

    /// How the layers lie in the archive is up to `write`.
    fn members(&self, write: impl Fn(&[u8]) -> Vec<u8>) -> Vec<Member> {
        let last = self.layers.len() - 1;
        let mut members: Vec<_> = (0..=last)
            .map(|number| {
                let name = format!("{number:064x}/layer.tar");
                let first = self.layers.iter().position(|layer| *layer == self.layers[number]).unwrap();
                if first == number {
                    Member::File(name, write(&self.layers[number]))
                } else {
                    Member::Link(name, format!("../{first:064x}/layer.tar"))
                }
            })
            .collect();
        let config = format!("{}.json", digest(self.config.as_bytes()));
        let layers: Vec<_> = (0..=last).map(|number| format!("\"{number:064x}/layer.tar\"")).collect();
        let saved =
            format!("[{{\"Config\":\"{config}\",\"RepoTags\":[{}],\"Layers\":[{}]}}]", self.tags, layers.join(","));
        members.push(Member::File(config, self.config.clone().into_bytes()));
        members.push(Member::File("manifest.json".to_owned(), saved.into_bytes()));
        members
    }

    fn archive(&self) -> Vec<u8> {
        tar(&self.members(<[u8]>::to_vec))
    }

    /// What `ctr images import` of containerd 1.6.20 makes of such an archive, and shows the digest of.
    fn manifest_by_containerd(&self) -> String {
        let mut text = format!(
            "{{\"schemaVersion\":2,\"mediaType\":\"application/vnd.docker.distribution.manifest.v2+json\",\
             \"config\":{{\"mediaType\":\"application/vnd.docker.container.image.v1+json\",\"digest\":\"sha256:{}\",\"size\":{}}},\"layers\":[",
            digest(self.config.as_bytes()),
            self.config.len()
        );
        for (number, layer) in self.layers.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            write!(
                text,
                "{comma}{{\"mediaType\":\"application/vnd.docker.image.rootfs.diff.tar\",\"digest\":\"sha256:{}\",\"size\":{}}}",
                digest(layer),
                layer.len()
            )
            .unwrap();
        }
        text + "]}"
    }
}

/// A worker whose cluster names images without a digest.
fn user(images: &str) -> Workspace {
    let workspace = Workspace::worker();
    let table = format!("[images]\nextra = [ # of the shop\n  {images}, # pinned by us\n]\n[[nodes]]");
    workspace.edit("cluster.toml", "[[nodes]]", &table);
    workspace
}

fn pin(workspace: &Workspace) -> Run {
    workspace.run(&["images", "pin", "--from", "held"])
}

fn build(workspace: &Workspace) -> Run {
    workspace.run(&["build", "--offline", "--from", "files", "--from", "held"])
}

/// The digests that `cluster.toml` has of images.
fn pinned(workspace: &Workspace) -> Vec<String> {
    let text = workspace.text("cluster.toml");
    text.split("@sha256:").skip(1).map(|rest| rest[..64].to_owned()).collect()
}

/// Builds, and returns the layout of images that a machine gets.
fn layout(workspace: &Workspace) -> std::path::PathBuf {
    build(workspace).success();
    workspace.run(&["verify", "--deep", "out/small"]).success();
    workspace.unpack().join("root/usr/local/lib/kube-bundle/images")
}

#[test]
fn what_docker_saved_is_pinned_and_carried_as_it_is() {
    let saved = Saved::new();
    let manifest = saved.manifest_by_containerd();
    for (file, archive) in [("web.tar", saved.archive()), ("web.tar.gz", gzip(&saved.archive()))] {
        let workspace = user(&format!("\"{NAME}\""));
        workspace.run(&["plan"]).exits(2).says(&["`kube-bundle images pin` writes it"]);
        workspace.write(&format!("held/{file}"), archive);
        // Archives of a release may lie there, too.
        workspace.write("held/release.tar.gz", gzip(&tar(&[Member::File("kubernetes/x".to_owned(), vec![1])])));
        let said = pin(&workspace).success();
        assert!(said.stdout.contains(&digest(manifest.as_bytes())), "{}", said.stdout);
        let text = workspace.text("cluster.toml");
        let entry =
            format!("extra = [ # of the shop\n  \"{NAME}@sha256:{}\", # pinned by us\n]", pinned(&workspace)[0]);
        assert!(text.contains(&entry), "{text}");
        let layout = layout(&workspace);
        let found = files(&layout);
        let index = String::from_utf8(found["index.json"].1.clone()).unwrap();
        assert!(index.contains(&format!("\"io.containerd.image.name\": \"{NAME}\"")), "{index}");
        let blob = |bytes: &[u8]| found.get(&format!("blobs/sha256/{}", digest(bytes))).map(|(_, bytes)| bytes.clone());
        for bytes in saved.layers.iter().map(Vec::as_slice).chain([saved.config.as_bytes(), manifest.as_bytes()]) {
            assert_eq!(blob(bytes).as_deref(), Some(bytes));
        }
        // The files are in the store now.
        std::fs::remove_dir_all(workspace.path("held")).unwrap();
        workspace.build().success();
    }
}

/// `crane` and others write layers as the registry has them, compressed.
#[test]
fn layers_that_are_compressed_in_an_archive_stay_so() {
    let saved = Saved::new();
    let workspace = user("\"shop:new\"");
    workspace.write("held/web.tar", tar(&saved.members(gzip)));
    pin(&workspace).success();
    let found = files(&layout(&workspace));
    let names: Vec<_> = saved.layers.iter().map(|layer| format!("blobs/sha256/{}", digest(&gzip(layer)))).collect();
    assert!(names.iter().all(|name| found.contains_key(name)), "{names:?}");
    assert!(workspace.text("cluster.toml").contains("docker.io/library/shop:new@sha256:"));
}

#[test]
fn one_archive_is_a_source_like_a_directory() {
    let workspace = user(&format!("\"{NAME}@sha256:{}\"", "0".repeat(64)));
    workspace.write("web", Saved::new().archive());
    workspace.run(&["images", "pin", "--from", "web"]).success();
    workspace.run(&["build", "--offline", "--from", "files", "--from", "web"]).success();
}

#[test]
fn a_recipe_is_pinned_to_what_docker_saved() {
    let workspace = Workspace::worker();
    std::fs::remove_file(workspace.path("files/index.json")).unwrap();
    let saved = Saved { tags: "\"k8s.gcr.io/pause:3.1\"", ..Saved::new() };
    workspace.write("files/pause.tar", saved.archive());
    workspace.run(&["recipe", "pin", "recipe", "--from", "files"]).success();
    let manifest = digest(saved.manifest_by_containerd().as_bytes());
    assert!(workspace.text("recipe/recipe.toml").contains(&manifest));
    workspace.build().success();
}

#[test]
fn a_program_is_taken_out_of_what_docker_saved() {
    let body = program("coredns", 50_000);
    let saved = Saved::of(vec![tar(&[Member::File("coredns".to_owned(), body.clone())])], "amd64");
    let workspace = Workspace::worker();
    workspace.write("files/dns.tar", saved.archive());
    let archive = format!(
        "[archives.dns]\nimage = \"registry.example/app:1\"\nurls = []\nsha256 = \"{}\"\nsources = []\n",
        digest(saved.manifest_by_containerd().as_bytes())
    );
    let new = archive + "[components.coredns]\narchive = \"dns\"\nmember = \"coredns\"\n";
    workspace.edit("recipe/recipe.toml", &component("coredns", "", &program("coredns", 3000)), &new);
    workspace.build().success();
    assert!(workspace.blobs().contains(&digest(&body)));
}

/// The command, and what it says, for archives that are not what they should be.
#[test]
fn an_archive_that_is_damaged_or_lies_is_named_and_nothing_of_it_is_kept() {
    let saved = Saved::new();
    let whole = saved.archive();
    let other = Saved { layers: vec![tar(&[Member::File("x".to_owned(), vec![1])])], ..Saved::new() };
    let bad_layer = Saved {
        config: Saved::new().config,
        ..Saved::of([other.layers.clone(), saved.layers[1..].to_vec()].concat(), "amd64")
    };
    let with = |name: &str| {
        let mut members = saved.members(<[u8]>::to_vec);
        members.push(Member::File(name.to_owned(), b"evil".to_vec()));
        tar(&members)
    };
    let in_middle = format!("the archive ends in the middle of `{:064x}/layer.tar`", 0);
    let cases = [
        ("cut in a layer", whole[..20_000].to_vec(), in_middle.as_str()),
        ("cut behind a layer", whole[..512 + saved.layers[0].len()].to_vec(), "it is incomplete"),
        ("cut and compressed", gzip(&whole)[..1000].to_vec(), "not a complete tar archive"),
        ("empty", Vec::new(), "not a tar archive, or an empty one"),
        (
            "another machine's",
            Saved::of(saved.layers.clone(), "arm64").archive(),
            "expected an image for linux/amd64, got one for linux/arm64",
        ),
        ("leads out", with("../../evil"), "`../../evil` leads out of the archive"),
        ("leads to the root", with("/evil"), "`/evil` leads out of the archive"),
        (
            "compressed layer",
            tar(&bad_layer.members(gzip)),
            "is not the layer that the configuration names: expected sha256",
        ),
        (
            "layers missing",
            Saved { layers: saved.layers[1..].to_vec(), ..Saved::new() }.archive(),
            "the configuration has 3 layers, and the manifest 2",
        ),
    ];
    for (what, archive, says) in cases {
        let workspace = user(&format!("\"{NAME}\""));
        workspace.write("held/web.tar", archive);
        let before = workspace.text("cluster.toml");
        let said = pin(&workspace).exits(1).says(&["held/web.tar", says]);
        assert!(said.stderr.contains("hint: "), "{what}: {}", said.stderr);
        assert_eq!(workspace.text("cluster.toml"), before, "{what}");
        workspace.edit("cluster.toml", NAME, &format!("{NAME}@sha256:{}", "0".repeat(64)));
        build(&workspace).exits(3).says(&["held/web.tar", says]);
        assert!(!workspace.path("evil").exists() && !workspace.path("../evil").exists(), "{what}");
        assert!(!workspace.path("out").exists(), "{what}");
    }
    // A layer that is not compressed is hashed when it is fetched.
    let workspace = user(&format!("\"{NAME}\""));
    workspace.write("held/web.tar", bad_layer.archive());
    pin(&workspace).success();
    build(&workspace).exits(3).says(&["(layer 1 of 3)", "held/web.tar"]);
    let kept = workspace.blobs();
    assert!(bad_layer.layers[..1].iter().all(|layer| !kept.contains(&digest(layer))), "{kept:?}");
}

#[test]
fn images_that_are_not_there_or_are_there_twice_are_named() {
    let workspace = user(&format!("\"{NAME}\", \"registry.example/none:1\""));
    workspace.write("held/a.tar", Saved::new().archive());
    pin(&workspace).success().says(&["as before: registry.example/none:1"]);
    assert_eq!(pinned(&workspace).len(), 1);
    workspace.edit("cluster.toml", "none:1", &format!("none:1@sha256:{}", "0".repeat(64)));
    build(&workspace).exits(1).says(&["nor by its name in `held`", "for images, `kube-bundle images pin`"]);
    let other = Saved::of(vec![Saved::new().layers[1].clone()], "amd64");
    workspace.write("held/b.tar", other.archive());
    pin(&workspace).exits(1).says(&["is one image in `held/a.tar`, and another in `held/b.tar`"]);
    let workspace = user("\"registry.example/none:1\"");
    pin(&workspace).exits(2).says(&["`--from held` is no directory or image archive"]);
    workspace.write("held/a.tar", Saved::new().archive());
    workspace.write("held/b.tar", Saved { tags: "", ..other }.archive());
    pin(&workspace).exits(1).says(&[
        "in `held`, which holds\n",
        NAME,
        "docker.io/library/shop:new",
        "without a name, sha256:",
    ]);
}

/// Archives and packages are compressed by different codecs, and each would have a copy of its own.
#[test]
fn a_compressed_layer_is_in_the_store_once_and_its_damage_is_noticed() {
    let noise =
        (0..3_000_000u32).map(|number| number.wrapping_mul(number | 1).wrapping_mul(2_654_435_761).to_be_bytes()[0]);
    let saved = Saved::of(vec![tar(&[Member::File("noise".to_owned(), noise.collect())])], "amd64");
    let layer = gzip(&saved.layers[0]);
    assert!(layer.len() > 2_000_000, "it can be compressed to {}", layer.len());
    let workspace = user(&format!("\"{NAME}\""));
    workspace.write("held/web.tar", tar(&saved.members(gzip)));
    pin(&workspace).success();
    let all = ["build", "--offline", "--from", "files", "--from", "held", "--format", "tarball,deb"];
    workspace.run(&all).success();
    let stored: usize = files(&workspace.path("cache")).values().map(|(_, bytes)| bytes.len()).sum();
    assert!((layer.len()..layer.len() + 200_000).contains(&stored), "{stored} bytes for {}", layer.len());

    let blob = files(&workspace.path("cache")).into_keys().find(|name| name.ends_with(&digest(&layer))).unwrap();
    let path = workspace.path("cache").join(blob);
    assert_eq!(std::fs::read(&path).unwrap(), layer);
    let dated = path.metadata().unwrap().modified().unwrap();
    let mut damaged = layer.clone();
    damaged[1_234_567] ^= 1;
    std::fs::write(&path, damaged).unwrap();
    std::fs::File::open(&path).unwrap().set_modified(dated).unwrap();
    workspace.run(&all).exits(3).says(&["` is damaged", "hint: run the same command again"]);
    workspace.run(&all).success();
    workspace.run(&["verify", "--deep", "out/small"]).success();
}

/// `name` in a layout or archive, copied by skopeo, which compares all digests.
fn copy(from: &str, to: &str) {
    tool("skopeo", &["--insecure-policy", "copy", "--quiet", from, to]);
}

/// In the directory format of skopeo, which takes manifests of docker's as well; its layouts hold none.
fn skopeo_reads(layout: &Path, workspace: &Workspace) {
    for (name, (_, bytes)) in files(&layout.join("blobs/sha256")) {
        workspace.write(&format!("judged/{name}"), bytes);
    }
    workspace.write("judged/version", "Directory Transport Version: 1.1\n");
    workspace.write("judged/manifest.json", workspace.read(&format!("judged/{}", pinned(workspace)[0])));
    let judged = workspace.path("judged").display().to_string();
    copy(&format!("dir:{judged}"), &format!("docker-archive:{judged}.tar:{NAME}"));
}

/// Each is made by skopeo, and what the bundle has of it is read by skopeo.
#[test]
fn skopeo_writes_what_is_pinned_and_reads_what_is_built() {
    if !has("skopeo") {
        return;
    }
    for format in ["docker-archive", "oci-archive", "oci"] {
        let workspace = user(&format!("\"{NAME}\""));
        workspace.write("web.tar", Saved::new().archive());
        std::fs::create_dir(workspace.path("held")).unwrap();
        let file = workspace.path(if format == "oci" { "held" } else { "held/made.tar" });
        let made = format!("{format}:{}:{NAME}", file.display());
        copy(&format!("docker-archive:{}:{NAME}", workspace.path("web.tar").display()), &made);
        pin(&workspace).success();
        skopeo_reads(&layout(&workspace), &workspace);
        if format != "docker-archive" {
            let raw = tool("skopeo", &["inspect", "--raw", &made]);
            assert_eq!(pinned(&workspace), [digest(raw.as_bytes())], "{format}");
        }
    }
}
