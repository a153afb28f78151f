//! A first boot finds what belongs to its machine, on whatever medium, and nothing about it is left to chance.

use std::path::Path;

use kube_bundle::hash::Sha256;
use kube_bundle::inspect;
use kube_bundle::manifest::Manifest;

use crate::harness::{Workspace, files, has, tool};

const SECOND: &str = "[[nodes]]\nname = \"second\"\naddress = \"192.0.2.2\"\nroles = [\"master\"]\n[nodes.network]\nmac = \"52:54:00:AB:34:56\"\naddress = \"192.0.2.2/24\"\ngateway = \"192.0.2.254\"\ndns = [\"192.0.2.253\"]\n";

/// Two masters, the second with a network.
fn workspace() -> Workspace {
    let workspace = Workspace::small(3000);
    workspace.edit("cluster.toml", "[pki]", &format!("{SECOND}[pki]"));
    let mirror = "[output.mirror]\nurl = \"http://192.0.2.9/small/\"\n[output.seed]\nssh_authorized_keys = [\"ssh-ed25519 AAAAC3Nza operator\"]\n";
    workspace.write("cluster.toml", workspace.text("cluster.toml") + mirror);
    workspace
}

fn build(workspace: &Workspace, out: &str, more: &[&str]) {
    workspace.run(&[&["build", "--offline", "--from", "files", "-q", "-o", out], more].concat()).success();
}

fn instance(workspace: &Workspace, out: &str, node: &str) -> String {
    let text = workspace.text(&format!("{out}/nodes/{node}/nocloud/meta-data"));
    text.lines().find_map(|line| line.strip_prefix("instance-id: ")).unwrap().trim_matches('"').to_owned()
}

const EVERYTHING: [&str; 2] = ["--format", "nocloud,initrd,user-data"];

#[test]
fn every_image_carries_the_packages_that_lie_in_the_repository() {
    let workspace = workspace();
    build(&workspace, "out", &EVERYTHING);
    build(&workspace, "vfat", &["--format", "nocloud", "--seed-image", "vfat"]);
    for out in ["out", "vfat"] {
        workspace.run(&["verify", "--deep", out]).success();
        let manifest = Manifest::read(&workspace.path(out)).unwrap();
        for node in ["only", "second"] {
            let images = ["cidata.iso", "cidata.img", "initrd.cpio"].map(|name| format!("nodes/{node}/{name}"));
            for image in images.iter().filter(|image| manifest.artifacts.contains_key(*image)) {
                let contents = inspect::read(&workspace.path(out).join(image), &[]).unwrap();
                let own = contents.entries.iter().filter_map(|(path, member)| {
                    let name = path.rsplit('/').next()?.to_owned();
                    name.ends_with(".deb").then_some((name, member.sha256?))
                });
                let packages = manifest.files.iter().filter_map(|(path, record)| {
                    let name = path.strip_prefix("deb/").filter(|name| name.ends_with(".deb"))?;
                    (name.starts_with("kube-bundle-") || name.starts_with(&format!("small-{node}_")))
                        .then(|| (name.to_owned(), record.sha256))
                });
                let mut own: Vec<_> = own.collect();
                own.sort();
                assert_eq!(own, packages.collect::<Vec<_>>(), "{image}");
                assert_eq!(own.len(), 5);
                workspace.run(&["verify", &format!("{out}/{image}")]).success();
            }
        }
    }
    // The repository is the one that `--format deb` makes.
    build(&workspace, "deb", &["--format", "deb"]);
    assert_eq!(files(&workspace.path("deb/deb")), files(&workspace.path("out/deb")));
}

#[test]
fn what_holds_keys_is_for_its_owner_alone_in_the_image_and_outside() {
    let workspace = workspace();
    build(&workspace, "out", &EVERYTHING);
    build(&workspace, "split", &["--format", "nocloud,initrd", "--seed", "split"]);
    let all = files(&workspace.path("out"));
    for (name, mode) in [
        ("cidata.iso", 0o600),
        ("initrd.cpio", 0o600),
        ("user-data", 0o644),
        ("nocloud/user-data", 0o644),
        ("nocloud/meta-data", 0o644),
    ] {
        assert_eq!(all[&format!("nodes/only/{name}")].0, mode, "{name}");
    }
    let contents = inspect::read(&workspace.path("out/nodes/only/cidata.iso"), &[]).unwrap();
    for (name, member) in &contents.entries {
        let expected = if name.starts_with("kube-bundle-") || name == "README.txt" { "0644" } else { "0600" };
        assert_eq!(member.mode.to_string(), expected, "{name}");
    }
    let all = files(&workspace.path("split"));
    assert_eq!((all["programs.iso"].0, all["nodes/only/cidata.iso"].0), (0o644, 0o600));
    // User data goes through the hands of clouds and web servers.
    let key = workspace.text("pki/ca-key.pem");
    let line = key.lines().nth(1).unwrap();
    for name in ["out/nodes/only/user-data", "out/nodes/only/nocloud/user-data", "split/programs.iso"] {
        assert!(!String::from_utf8_lossy(&workspace.read(name)).contains(line), "{name}");
    }
}

#[test]
fn an_instance_is_another_exactly_when_what_it_installs_is_another() {
    let workspace = workspace();
    build(&workspace, "one", &EVERYTHING);
    build(&workspace, "again", &EVERYTHING);
    build(&workspace, "split", &["--format", "nocloud", "--seed", "split"]);
    let first = instance(&workspace, "one", "only");
    assert!(first.starts_with("small-only-"), "{first}");
    assert_eq!(first, instance(&workspace, "again", "only"));
    assert_eq!(first, instance(&workspace, "split", "only"), "how it is spread over images is no change");
    assert_ne!(first, instance(&workspace, "one", "second"));
    let second = instance(&workspace, "one", "second");
    workspace.edit("cluster.toml", "192.0.2.254", "192.0.2.1");
    build(&workspace, "network", &EVERYTHING);
    assert_ne!(second, instance(&workspace, "network", "second"), "another network");
    workspace.edit("cluster.toml", "service_cidr", "pod_security_policy = true\nservice_cidr");
    build(&workspace, "flag", &EVERYTHING);
    assert_ne!(first, instance(&workspace, "flag", "only"), "another flag");
}

/// The limit is EC2's; cloud-init unpacks user data by itself.
#[test]
fn user_data_that_a_cloud_would_refuse_is_told() {
    let workspace = workspace();
    let run =
        |formats: &[&str]| workspace.run(&[&["build", "--offline", "--from", "files"], formats].concat()).success();
    assert!(!run(&EVERYTHING).stderr.contains("the user data of"));
    let keys: Vec<_> = (0..9).map(|key| format!("\"ssh-rsa {} {key}\"", "AAAAB3NzaC1y".repeat(60))).collect();
    workspace.edit("cluster.toml", "[\"ssh-ed25519 AAAAC3Nza operator\"]", &format!("[{}]", keys.join(", ")));
    let told = run(&EVERYTHING).stderr;
    let size = workspace.read("out/small/nodes/only/user-data").len();
    assert!(size > 16_384, "{size}");
    assert!(
        told.contains(&format!("the user data of only has {size} bytes, and clouds such as EC2 take 16384")),
        "{told}"
    );
    assert!(!run(&["--format", "nocloud"]).stderr.contains("the user data of"), "a disk has room");
}

#[test]
fn user_data_is_small_and_a_script_that_shells_take() {
    let workspace = workspace();
    let long = "n".repeat(63);
    workspace.edit("cluster.toml", "\"second\"", &format!("\"{long}\""));
    build(&workspace, "out", &EVERYTHING);
    for name in ["user-data", "nocloud/user-data"] {
        let text = workspace.text(&format!("out/nodes/{long}/{name}"));
        assert!(text.len() < 14 << 10, "clouds take 16 KiB, and this has {}", text.len());
        assert!(
            text.starts_with("#cloud-config\n")
                && text.contains("\nssh_authorized_keys:\n  - \"ssh-ed25519 AAAAC3Nza operator\"\n")
        );
        assert!(text.is_ascii() && !text.contains('\t'));
        let (_, script) = text.split_once("runcmd:\n- |\n").unwrap();
        let script: String = script.lines().map(|line| format!("{}\n", line.strip_prefix("  ").unwrap())).collect();
        workspace.write("script", format!("#!/bin/sh\n{script}"));
        if has("shellcheck") && has("dash") {
            // What is meant where a list is split stands in the script's source.
            tool("shellcheck", &["--shell=sh", "--exclude=SC2086", &workspace.path("script").display().to_string()]);
            tool("dash", &["-n", &workspace.path("script").display().to_string()]);
        }
        let mirror = if name == "user-data" { "mirror='http://192.0.2.9/small'" } else { "mirror=''" };
        assert!(script.contains(mirror), "{name}");
    }
}

#[test]
fn a_machine_without_a_network_in_the_file_keeps_its_own() {
    let workspace = workspace();
    build(&workspace, "out", &["--format", "nocloud"]);
    assert!(workspace.text("out/nodes/only/nocloud/network-config").ends_with("\nconfig: disabled\n"));
    let text = workspace.text("out/nodes/second/nocloud/network-config");
    assert_eq!(
        text,
        "version: 2\nethernets:\n  \"kube0\":\n    match:\n      macaddress: \"52:54:00:ab:34:56\"\n    set-name: \"kube0\"\n    \
         addresses:\n      - 192.0.2.2/24\n    routes:\n      - to: 0.0.0.0/0\n        via: 192.0.2.254\n    \
         nameservers:\n      addresses:\n        - 192.0.2.253\n"
    );
    assert!(workspace.text("out/nodes/second/nocloud/meta-data").contains("\nlocal-hostname: \"second\"\n"));
}

#[test]
fn split_seeds_share_one_image_with_the_programs_and_keep_keys_apart() {
    let workspace = workspace();
    build(&workspace, "out", &["--format", "nocloud,initrd", "--seed", "split"]);
    workspace.run(&["verify", "--deep", "out"]).success();
    for image in ["programs.iso", "programs.cpio", "nodes/only/cidata.iso", "nodes/second/initrd.cpio"] {
        workspace.run(&["verify", &format!("out/{image}")]).success();
    }
    let names = |image: &str| {
        let contents = inspect::read(&workspace.path("out").join(image), &[]).unwrap();
        contents.entries.into_keys().filter(|name| name.ends_with(".deb")).collect::<Vec<_>>()
    };
    assert_eq!(names("programs.iso").len(), 4);
    assert_eq!(names("nodes/only/cidata.iso"), ["small-only_1.16.0-1_all.deb"]);
    // A node more is no program more, and the image of programs is another cluster's too.
    let other = Workspace::small(3000);
    build(&other, "out", &["--format", "nocloud,initrd", "--seed", "split"]);
    for image in ["out/programs.iso", "out/programs.cpio"] {
        assert_eq!(Sha256::of(&workspace.read(image)), Sha256::of(&other.read(image)), "{image}");
    }
}

/// A boot server keeps the programs in memory once, and kernels want each path's parents before it.
#[test]
fn initramfs_archives_begin_alike_and_name_no_directory_that_is_a_link() {
    let workspace = workspace();
    build(&workspace, "out", &["--format", "initrd"]);
    let [one, other] = ["only", "second"].map(|node| workspace.read(&format!("out/nodes/{node}/initrd.cpio")));
    let alike = one.iter().zip(&other).take_while(|(one, other)| one == other).count();
    assert!(alike > 4 * 1000, "{alike} of {} bytes", one.len());
    assert_eq!(one.len() % 512, 0);
    let contents = inspect::read(&workspace.path("out/nodes/only/initrd.cpio"), &[]).unwrap();
    for path in contents.entries.keys() {
        assert!(!["lib", "bin", "sbin", "usr"].contains(&path.split('/').next().unwrap()), "{path}");
        if let Some((parent, _)) = path.rsplit_once('/') {
            assert!(contents.entries.contains_key(parent), "{path} has no parent");
        }
    }
    if has("lsinitramfs") {
        // It takes for granted that something compressed follows.
        let initrd = workspace.path("out/nodes/only/initrd.cpio").display().to_string();
        let listed = std::process::Command::new("lsinitramfs").arg(&initrd).output().unwrap();
        let listed = String::from_utf8_lossy(&listed.stdout)
            .lines()
            .map(str::to_owned)
            .collect::<std::collections::BTreeSet<_>>();
        assert_eq!(listed, contents.entries.keys().cloned().collect());
    }
    if has("shellcheck") {
        workspace.write("in/empty", "");
        unpack(&workspace.path("out/nodes/only/initrd.cpio"), &workspace.path("in"));
        for script in ["kube-bundle/plant.sh", "conf/conf.d/zz-kube-bundle", "scripts/init-bottom/kube-bundle"] {
            let script = workspace.path("in").join(script).display().to_string();
            // Whoever sources them has set what they use; the quoted line is another script's.
            tool("shellcheck", &["--shell=sh", "--exclude=SC1091,SC2154,SC2016,SC2034,SC2013", &script]);
        }
    }
}

/// What runs it has hardly a shell: it is tried with the smallest that are here.
#[test]
fn an_initramfs_plants_a_seed_until_it_is_installed() {
    for shell in [&["dash"][..], &["busybox", "sh"]].into_iter().filter(|shell| has(shell[0])) {
        let workspace = workspace();
        build(&workspace, "out", &["--format", "initrd"]);
        workspace.write("in/empty", "");
        unpack(&workspace.path("out/nodes/only/initrd.cpio"), &workspace.path("in"));
        let here = |path: &str| workspace.path(path).display().to_string();
        let script = workspace.text("in/kube-bundle/plant.sh");
        let script = script.replace("/kube-bundle/seed", &format!("{}/seed", here("in/kube-bundle")));
        let script = script.replace("/dev/console", &here("console")).replace("/proc/cmdline", &here("cmdline"));
        workspace.write("cmdline", "root=/dev/vda1 rw\n");
        workspace.write("plant", format!("root={}\n{script}", here("root")));
        workspace.write("root/var/lib/cloud/data", "");
        let plant = || {
            tool(shell[0], &[&shell[1..], &[here("plant").as_str()]].concat());
            (workspace.text("console"), files(&workspace.path("root/var/lib/cloud/seed/nocloud")))
        };
        let expected: std::collections::BTreeMap<_, _> =
            files(&workspace.path("in/kube-bundle/seed")).into_iter().map(|(name, (_, bytes))| (name, bytes)).collect();
        let (said, seed) = plant();
        assert!(
            said.contains("kube-bundle: seeded ") && seed.values().all(|(mode, _)| *mode == 0o600),
            "{shell:?} {said}"
        );
        assert_eq!(
            seed.into_iter().map(|(name, (_, bytes))| (name, bytes)).collect::<std::collections::BTreeMap<_, _>>(),
            expected
        );

        // One that came damaged, and another's package, before it was installed.
        workspace.write("root/var/lib/cloud/seed/nocloud/small-only_1.16.0-1_all.deb", "damaged");
        workspace.write("root/var/lib/cloud/seed/nocloud/other.deb", "keys");
        let (said, seed) = plant();
        assert!(said.contains("seeded"), "{said}");
        assert_eq!(seed["small-only_1.16.0-1_all.deb"].1, expected["small-only_1.16.0-1_all.deb"]);
        assert_eq!(seed["other.deb"].1, b"");

        let meta = workspace.text("in/kube-bundle/seed/meta-data");
        let instance = meta.lines().next().unwrap().trim_start_matches("instance-id: ").trim_matches('"').to_owned();
        workspace.write(&format!("root/var/lib/cloud/instances/{instance}/kube-bundle"), "installed v1.16.0\n");
        std::fs::remove_file(workspace.path("root/var/lib/cloud/seed/nocloud/small-only_1.16.0-1_all.deb")).unwrap();
        let (said, seed) = plant();
        assert!(said.contains("is this one already") && !seed.contains_key("small-only_1.16.0-1_all.deb"), "{said}");
    }
}

fn unpack(archive: &Path, to: &Path) {
    let script = format!("cd '{}' && cpio -idm --quiet < '{}'", to.display(), archive.display());
    tool("sh", &["-c", &script]);
}

#[test]
fn a_flipped_bit_in_an_image_is_found_without_the_bundle() {
    let workspace = workspace();
    build(&workspace, "out", &["--format", "nocloud,initrd"]);
    let program = workspace.package("out", "kube-bundle-kubectl");
    let inside = std::fs::read(program).unwrap();
    for image in ["out/nodes/only/cidata.iso", "out/nodes/only/initrd.cpio"] {
        let whole = workspace.read(image);
        let at = whole.windows(64).position(|window| window == &inside[inside.len() / 2..][..64]).unwrap();
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        workspace.write(image, &damaged);
        workspace.run(&["verify", image]).exits(3).says(&["kube-bundle-kubectl_1.16.0-1_amd64.deb: expected sha256"]);
        let mut other = whole.clone();
        let script = b"remove_copies() {";
        let at_script = whole.windows(script.len()).position(|window| window == script).unwrap();
        other[at_script] ^= 0x20;
        workspace.write(image, &other);
        workspace.run(&["verify", image]).exits(3).says(&["the instance is not the one of this user-data"]);
        workspace.write(image, &whole[..at]);
        workspace.run(&["verify", image]).exits(3);
        workspace.write(image, &whole);
        workspace.run(&["verify", image]).success();
    }
}

/// The kernel takes the last of two files under one name, and everything that it is given.
#[test]
fn what_is_added_to_an_initramfs_archive_is_found() {
    let workspace = workspace();
    build(&workspace, "out", &["--format", "initrd"]);
    let image = "out/nodes/only/initrd.cpio";
    let whole = workspace.read(image);
    let entry = |name: &str, text: &str| {
        let mut bytes = format!("070701{:08X}{:08X}", 99, 0o100_644).into_bytes();
        for number in [0, 0, 1, 0, text.len(), 0, 0, 0, 0, name.len() + 1, 0] {
            bytes.extend(format!("{number:08X}").bytes());
        }
        for part in [format!("{name}\0"), text.to_owned()] {
            bytes.extend(part.bytes());
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes
    };
    let header = |bytes: &[u8]| bytes.windows(10).rposition(|window| window == b"TRAILER!!!").unwrap() - 110;
    let added = |name: &str, text: &str| {
        let at = header(&whole);
        let bytes = [&whole[..at], &entry(name, text), &whole[at..]].concat();
        workspace.write(image, bytes);
    };
    added("usr/bin/plant.sh", "evil");
    workspace.run(&["verify", image]).exits(3).says(&["`usr/bin/plant.sh` lies in no directory of the archive"]);
    added("kube-bundle/seed/user-data", "#cloud-config");
    workspace.run(&["verify", image]).exits(3).says(&["`kube-bundle/seed/user-data` is there twice"]);
    let hook = whole.windows(7).position(|window| window == b"plant()").unwrap();
    let mut other = whole.clone();
    other[hook] = b'P';
    workspace.write(image, other);
    workspace.run(&["verify", image]).exits(3).says(&["kube-bundle/plant.sh: expected sha256"]);
}

/// YAML reads `1e3` and `0x1f` as numbers, and `no` as false.
#[test]
fn a_machine_may_have_any_host_name() {
    for name in ["1e3", "0x1f", "no"] {
        let workspace = workspace();
        workspace.edit("cluster.toml", "\"only\"", &format!("\"{name}\""));
        build(&workspace, "out", &["--format", "nocloud"]);
        let metadata = workspace.text(&format!("out/nodes/{name}/nocloud/meta-data"));
        assert!(metadata.ends_with(&format!("\nlocal-hostname: \"{name}\"\n")), "{metadata}");
    }
}

#[test]
fn systems_without_dpkg_get_the_archive() {
    let workspace = workspace();
    workspace.edit("cluster.toml", "[output.seed]", "[output.seed]\npayload = \"tarball\"");
    build(&workspace, "out", &["--format", "nocloud"]);
    assert!(!workspace.path("out/deb").exists());
    let contents = inspect::read(&workspace.path("out/nodes/only/cidata.iso"), &[]).unwrap();
    let archive = "small-only-v1.16.0-amd64.tar.gz";
    assert_eq!(
        contents.entries[archive].sha256,
        Some(Sha256::of(&workspace.read(&format!("out/nodes/only/{archive}"))))
    );
    workspace.run(&["verify", "out/nodes/only/cidata.iso"]).success();
}

#[test]
fn what_contradicts_itself_is_refused_before_anything_is_made() {
    let workspace = workspace();
    let build = ["build", "--offline", "--from", "files", "-q"];
    let refused = |more: &[&str], why: &str| workspace.run(&[&build, more].concat()).exits(2).says(&[why]);
    refused(&["--seed", "split", "--deb-layout", "fat", "--format", "nocloud"], "a seed can be split only if");
    refused(&["--seed", "halved"], "[possible values: whole, split]");
    workspace.edit("cluster.toml", "[output.mirror]\nurl = \"http://192.0.2.9/small/\"\n", "");
    refused(&["--format", "user-data"], "`[output.mirror]` with `url`");
    assert!(!workspace.path("out").exists() && !workspace.path("pki").exists());
}
