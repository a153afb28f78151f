//! Packages are what Debian's own tools expect, and say what is in them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use kube_bundle::hash::Sha256;

use crate::harness::{Run, Workspace, files, has, left_out, tool};

pub(crate) const NAMES: [&str; 5] = [
    "kube-bundle-kube-apiserver",
    "kube-bundle-kube-controller-manager",
    "kube-bundle-kube-scheduler",
    "kube-bundle-kubectl",
    "small-only",
];

pub(crate) fn built() -> Workspace {
    let workspace = Workspace::small(50_000);
    workspace.build_packages(&[]).success();
    workspace
}

fn manifest(workspace: &Workspace) -> serde_json::Value {
    serde_json::from_slice(&workspace.read("out/small/manifest.json")).unwrap()
}

#[test]
fn every_file_that_dpkg_finds_has_the_manifests_digest_and_mode() {
    if !has("dpkg-deb") {
        return;
    }
    let workspace = built();
    let manifest = manifest(&workspace);
    for name in NAMES {
        let package = workspace.package("out/small", name);
        let raw = workspace.path("raw").join(name);
        std::fs::create_dir_all(&raw).unwrap();
        tool("dpkg-deb", &["--raw-extract", &package.display().to_string(), &raw.display().to_string()]);
        let artifact = format!("deb/{}", package.file_name().unwrap().to_string_lossy());
        let entries = manifest["artifacts"][&artifact]["entries"].as_object().unwrap();
        let is_secret = |entry: &serde_json::Value| entry["secret"] == true;
        let is_file = |entry: &serde_json::Value| entry["sha256"].is_string() || is_secret(entry);
        let listed: BTreeMap<_, _> = entries.iter().filter(|(_, entry)| is_file(entry)).collect();
        let found = files(&raw);
        assert_eq!(found.keys().collect::<Vec<_>>(), listed.keys().copied().collect::<Vec<_>>(), "{name}");
        for (path, (mode, bytes)) in found {
            if is_secret(listed[&path]) {
                assert_eq!((mode, listed[&path].get("sha256")), (0o600, None), "{name}: {path}");
            } else {
                assert_eq!(listed[&path]["sha256"], Sha256::of(&bytes).to_string(), "{name}: {path}");
            }
            assert_eq!(listed[&path]["mode"], format!("{mode:04o}"), "{name}: {path}");
        }
        let json = workspace.run(&["inspect", "--json", &package.display().to_string()]).success().stdout;
        let inspected: serde_json::Map<_, _> = serde_json::from_str(&json).unwrap();
        assert_eq!(inspected.keys().collect::<Vec<_>>(), entries.keys().collect::<Vec<_>>());
        for (path, entry) in entries.iter().filter(|(_, entry)| !is_secret(entry)) {
            assert_eq!(inspected[path], *entry, "{name}: {path}");
        }
        if has("ar") {
            let members = tool("ar", &["t", &package.display().to_string()]);
            assert_eq!(members, "debian-binary\ncontrol.tar.gz\ndata.tar.gz\n");
        }
    }
}

#[test]
fn dpkg_reads_the_control_file_that_was_meant() {
    if !has("dpkg-deb") {
        return;
    }
    let workspace = built();
    let field = |name: &str, field: &str| {
        tool("dpkg-deb", &["--field", &workspace.package("out/small", name).display().to_string(), field])
            .trim()
            .to_owned()
    };
    assert_eq!(field("small-only", "Architecture"), "all");
    let needed: Vec<_> = NAMES[..4].iter().map(|name| format!("{name} (= 1.16.0-1)")).collect();
    assert_eq!(field("small-only", "Depends"), needed.join(", "));
    assert_eq!(field("small-only", "Conflicts"), "", "or apt would offer to remove a node for another");
    assert_eq!(field("kube-bundle-kubectl", "Architecture"), "amd64");
    assert_eq!(field("kube-bundle-kubectl", "Conflicts"), "kubectl, kubernetes-client");
    assert_eq!(field("kube-bundle-kubectl", "Provides"), "kubectl (= 1.16.0-1)");
    assert_eq!(field("kube-bundle-kubectl", "Depends"), "");
    // 50,000 bytes are 49 KiB; 4 small files of a KiB each, or less, and 8 directories.
    let size: u64 = field("kube-bundle-kubectl", "Installed-Size").parse().unwrap();
    assert!((55..=65).contains(&size), "{size}");
    let list = tool("dpkg-deb", &["--contents", &workspace.package("out/small", "small-only").display().to_string()]);
    assert!(list.lines().all(|line| line.contains(" root/root ") && line.contains(" 2019-09-18 ")), "{list}");
    assert!(list.contains("-rw------- root/root") && list.contains("./var/lib/kubernetes/ca-key.pem"));
    assert!(list.lines().next().unwrap().ends_with(" ./"));
}

#[test]
fn a_package_says_whose_program_it_carries() {
    if !has("dpkg-deb") {
        return;
    }
    let workspace = Workspace::stacked();
    let about =
        "license = \"Apache-2.0\"\nsupplier = \"The etcd Authors\"\nupstream = \"https://github.com/etcd-io/etcd\"\n";
    workspace.edit("recipe/recipe.toml", "package = \"etcd\"\n", &format!("package = \"etcd\"\n{about}"));
    workspace.build_packages(&[]).success();
    let of = |package: &str| {
        let file = workspace.package("out/small", package).display().to_string();
        tool("sh", &["-c", &format!("dpkg-deb --fsys-tarfile {file} | tar -xO ./usr/share/doc/{package}/copyright")])
    };
    let etcd = of("kube-bundle-etcd");
    let heads =
        "Upstream-Name: etcd\nSource: https://github.com/etcd-io/etcd\n\nFiles: *\nCopyright: The etcd Authors\n";
    assert!(etcd.contains(heads) && etcd.contains("/usr/share/common-licenses/Apache-2.0"), "{etcd}");
    assert!(of("kube-bundle-kubectl").contains("The Kubernetes Authors"), "the recipe says nothing else of it");
}

/// Policy 10.7 and 10.9, and what lintian knows of scripts, change logs and copyright.
#[test]
fn lintian_finds_no_error_and_no_warning() {
    if !has("lintian") {
        return;
    }
    for workspace in [built(), Workspace::worker()] {
        for layout in ["split", "fat"] {
            workspace.build_packages(&["--deb-layout", layout, "-o", layout]).success();
            let packages = std::fs::read_dir(workspace.path(layout).join("deb")).unwrap().flatten();
            let packages = packages.map(|entry| entry.path());
            for package in packages.filter(|package| package.extension().is_some_and(|ending| ending == "deb")) {
                lintian(&package);
            }
        }
    }
}

/// The stand-ins have an ELF header and no program behind it; the rest is judged.
#[track_caller]
fn lintian(package: &std::path::Path) {
    let output = Command::new("lintian").args(["--allow-root", "--fail-on", "error,warning"]).arg(package).output();
    let run = Run::from(output.unwrap());
    let said = run.stdout.lines().filter(|line| line.starts_with("E:") || line.starts_with("W:"));
    let said: Vec<_> =
        said.filter(|line| !line.contains("elf-error") && !line.contains("binary-from-other-architecture")).collect();
    assert!(said.is_empty(), "{}: {said:?}", package.display());
}

#[test]
fn keys_are_in_one_package_that_only_its_owner_reads_and_in_no_list() {
    let workspace = built();
    let found = files(&workspace.path("out/small/deb"));
    for (name, (mode, _)) in &found {
        assert_eq!(*mode, if name.starts_with("small-only_") { 0o600 } else { 0o644 }, "{name}");
    }
    assert_eq!(crate::harness::directories(&workspace.path("out/small"))["deb"], 0o700);
    if !has("dpkg-deb") {
        return;
    }
    let control = workspace.path("control");
    tool(
        "dpkg-deb",
        &[
            "--control",
            &workspace.package("out/small", "small-only").display().to_string(),
            &control.display().to_string(),
        ],
    );
    let lists: String =
        ["md5sums", "conffiles"].map(|name| std::fs::read_to_string(control.join(name)).unwrap()).concat();
    for secret in ["-key.pem", ".kubeconfig", "bootstrap-token.yaml", "encryption-config.yaml"] {
        assert!(!lists.contains(secret), "{secret} in:\n{lists}");
    }
    for (name, (_, bytes)) in files(&control) {
        assert!(!String::from_utf8_lossy(&bytes).contains("PRIVATE KEY"), "{name}");
    }
}

#[test]
fn maintainer_scripts_are_plain_posix_shell() {
    if !has("shellcheck") || !has("dash") || !has("dpkg-deb") {
        return;
    }
    let workspace = built();
    for name in NAMES {
        let control = workspace.path("scripts").join(name);
        std::fs::create_dir_all(control.parent().unwrap()).unwrap();
        tool(
            "dpkg-deb",
            &["--control", &workspace.package("out/small", name).display().to_string(), &control.display().to_string()],
        );
        for script in ["preinst", "postinst", "prerm", "postrm"].map(|script| control.join(script)) {
            if script.exists() {
                tool("shellcheck", &["--shell=sh", &script.display().to_string()]);
                tool("dash", &["-n", &script.display().to_string()]);
            }
        }
    }
}

#[test]
fn every_compression_is_read_by_dpkg_tar_and_ourselves() {
    let workspace = built();
    let program = workspace.read("files/kubectl");
    for (how, ending, decompressor) in [("gzip", "gz", "gzip"), ("zstd", "zst", "zstd"), ("xz", "xz", "xz")] {
        workspace.build_packages(&["--deb-compression", how, "-o", how]).success();
        workspace.run(&["verify", "--deep", how]).success();
        let package = workspace.package(how, "kube-bundle-kubectl").display().to_string();
        workspace.run(&["verify", &package]).success();
        if has("dpkg-deb") && (how != "zstd" || dpkg_reads_zstd()) {
            let raw = workspace.path(&format!("{how}-by-dpkg"));
            tool("dpkg-deb", &["--raw-extract", &package, &raw.display().to_string()]);
            assert!(std::fs::read(raw.join("usr/bin/kubectl")).unwrap() == program, "{how}");
        }
        if has("ar") && has(decompressor) {
            let members = format!("debian-binary\ncontrol.tar.gz\ndata.tar.{ending}\n");
            assert_eq!(tool("ar", &["t", &package]), members);
            let script =
                format!("ar p '{package}' data.tar.{ending} >data && tar -xOf data ./usr/bin/kubectl >program");
            let run = Command::new("sh").args(["-euc", &script]).current_dir(workspace.path("")).output().unwrap();
            Run::from(run).success();
            assert!(workspace.read("program") == program, "{how}");
        }
    }
}

/// From 1.21.18 on it does.
fn dpkg_reads_zstd() -> bool {
    let version = tool("dpkg-query", &["--show", "--showformat=${Version}", "dpkg"]);
    let reads =
        Command::new("dpkg").args(["--compare-versions", &version, "ge", "1.21.18"]).status().unwrap().success();
    if !reads {
        left_out(&format!("dpkg {version} does not read zstd"));
    }
    reads
}

/// Puts an ar archive together again, with another last member.
fn with_data(package: &Path, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Vec<u8> {
    let bytes = std::fs::read(package).unwrap();
    let mut position = 8;
    let size = |at: usize| -> usize { String::from_utf8_lossy(&bytes[at + 48..at + 58]).trim().parse().unwrap() };
    for _ in 0..2 {
        position += 60 + size(position).next_multiple_of(2);
    }
    let data = change(bytes[position + 60..position + 60 + size(position)].to_vec());
    let mut whole = bytes[..position + 48].to_vec();
    whole.extend(format!("{:<10}`\n", data.len()).bytes());
    whole.extend(&data);
    if data.len() % 2 == 1 {
        whole.push(b'\n');
    }
    whole
}

#[test]
fn a_damaged_package_is_found_out_alone_and_in_its_bundle() {
    let workspace = built();
    let package = workspace.package("out/small", "small-only");
    let name = package.display().to_string();
    workspace.run(&["verify", &name]).success();
    let whole = std::fs::read(&package).unwrap();
    for position in [3, 57, 70, 74, 160, whole.len() / 2, whole.len() - 10] {
        let mut bytes = whole.clone();
        bytes[position] ^= 1;
        std::fs::write(&package, bytes).unwrap();
        workspace.run(&["verify", &name]).exits(3);
        workspace.run(&["verify", "out/small"]).exits(3).says(&["small-only_1.16.0-1_all.deb: expected sha256"]);
    }
    std::fs::write(&package, &whole[..whole.len() - 100]).unwrap();
    workspace.run(&["verify", &name]).exits(3);
    std::fs::write(&package, [&whole[..], b"more"].concat()).unwrap();
    workspace.run(&["verify", &name]).exits(3).says(&["trailing data after"]);
    // dpkg would take the first half for the whole, and say nothing.
    std::fs::write(&package, &whole).unwrap();
    let joined = with_data(&package, |data| [&data[..], &data[..]].concat());
    workspace.write("joined.deb", joined);
    workspace
        .run(&["verify", "joined.deb"])
        .exits(3)
        .says(&["goes on behind its first stream, where dpkg stops reading"]);
    workspace.run(&["inspect", "joined.deb"]).exits(1);
}

#[test]
fn a_package_packed_again_with_another_key_is_found_out() {
    if !has("dpkg-deb") {
        return;
    }
    let workspace = built();
    let raw = workspace.path("raw");
    tool(
        "dpkg-deb",
        &[
            "--raw-extract",
            &workspace.package("out/small", "small-only").display().to_string(),
            &raw.display().to_string(),
        ],
    );
    std::fs::write(raw.join("var/lib/kubernetes/ca-key.pem"), "another").unwrap();
    std::fs::write(raw.join("etc/surprise"), "x").unwrap();
    std::fs::write(raw.join("usr/lib/kube-bundle/kube-bootstrap"), "#!/bin/sh\n").unwrap();
    let forged = workspace.path("forged.deb").display().to_string();
    tool("dpkg-deb", &["-Zgzip", "--root-owner-group", "--build", &raw.display().to_string(), &forged]);
    std::fs::remove_file(raw.join("var/lib/kubernetes/service-account-key.pem")).unwrap();
    std::fs::remove_file(raw.join("etc/kubernetes/config/audit-policy.yaml")).unwrap();
    let conffiles = std::fs::read_to_string(raw.join("DEBIAN/conffiles")).unwrap();
    let conffiles = conffiles.replace("/etc/kubernetes/config/audit-policy.yaml\n", "");
    std::fs::write(raw.join("DEBIAN/conffiles"), conffiles).unwrap();
    let rights = |path: &str, mode| {
        std::fs::set_permissions(raw.join(path), std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    };
    rights("var/lib/kubernetes", 0o755);
    rights("usr/share/doc/small-only/copyright", 0o4755);
    tool("dpkg-deb", &["-Zgzip", "--root-owner-group", "--build", &raw.display().to_string(), &forged]);
    workspace.run(&["verify", &forged]).exits(3).says(&[
        "var/lib/kubernetes/service-account-key.pem: missing",
        "etc/kubernetes/config/audit-policy.yaml: missing",
        "var/lib/kubernetes: expected mode 0700, got 0755",
        "usr/share/doc/small-only/copyright: expected mode 0644, got 4755",
        "var/lib/kubernetes/ca-key.pem: expected sha256",
        "etc/surprise: not in md5sums or FILES",
        "usr/lib/kube-bundle/kube-bootstrap: expected md5",
    ]);
}

/// A name or a member that claims gigabytes is no reason to take gigabytes.
#[test]
fn a_package_that_claims_too_much_is_refused_without_reading_it() {
    let workspace = built();
    let whole = std::fs::read(workspace.package("out/small", "small-only")).unwrap();
    let mut bytes = whole.clone();
    bytes[56..66].copy_from_slice(b"3221225472");
    workspace.write("claims.deb", bytes);
    workspace.run(&["inspect", "claims.deb"]).exits(1).says(&["instead of `debian-binary` of format 2.0"]);
    workspace.write("tree/DEBIAN/evil", "x");
    let tree = workspace.path("tree").display().to_string();
    let data = workspace.path("data.tar.gz").display().to_string();
    tool("tar", &["-czf", &data, "--owner=0", "--group=0", "-C", &tree, "."]);
    workspace
        .write("evil.deb", with_data(&workspace.package("out/small", "small-only"), |_| workspace.read("data.tar.gz")));
    workspace.run(&["verify", "evil.deb"]).exits(3).says(&["would pass for a part of the control archive"]);
    tool("tar", &["-czf", &data, "--owner=7", "--group=7", "-C", &tree, "--transform=s/DEBIAN/usr/", "."]);
    workspace.write(
        "foreign.deb",
        with_data(&workspace.package("out/small", "small-only"), |_| workspace.read("data.tar.gz")),
    );
    workspace.run(&["verify", "foreign.deb"]).exits(3).says(&["usr/evil: is not owned by root"]);
}

#[test]
fn programs_are_packed_once_for_all_machines_and_all_clusters() {
    let workspace = built();
    let shared = |out: &str| {
        let found = files(&workspace.path(out).join("deb"));
        found.into_iter().filter(|(name, _)| name.starts_with("kube-bundle-")).collect::<BTreeMap<_, _>>()
    };
    let one = shared("out/small");
    assert_eq!(one.len(), 4);
    let second = "[[nodes]]\nname = \"second\"\naddress = \"192.0.2.2\"\nroles = [\"master\"]\n[pki]";
    workspace.edit("cluster.toml", "[pki]", second);
    workspace.edit("cluster.toml", "name = \"small\"", "name = \"another\"");
    workspace.build_packages(&["-o", "other"]).success();
    assert_eq!(shared("other"), one, "the same bytes");
    // Nor does it matter what date the build gives its files.
    let dated = workspace.command(&["build", "--offline", "--from", "files", "--format", "deb", "-q", "-o", "dated"]);
    let mut dated = dated;
    assert!(dated.env("SOURCE_DATE_EPOCH", "1700000000").output().unwrap().status.success());
    assert_eq!(shared("dated"), one);
    // A machine's own is small: its bytes are not the programs'.
    assert!(std::fs::metadata(workspace.package("other", "another-second")).unwrap().len() < 60_000);
}

#[test]
fn a_fat_package_has_everything_and_takes_the_place_of_the_others() {
    if !has("dpkg-deb") {
        return;
    }
    let workspace = Workspace::small(50_000);
    workspace.build_packages(&["--deb-layout", "fat"]).success();
    let debs = files(&workspace.path("out/small/deb")).into_keys().filter(|name| name.ends_with(".deb"));
    assert_eq!(debs.collect::<Vec<_>>(), ["small-only_1.16.0-1_amd64.deb"]);
    let package = workspace.package("out/small", "small-only").display().to_string();
    let field = |name: &str| tool("dpkg-deb", &["--field", &package, name]).trim().to_owned();
    assert_eq!(field("Depends"), "");
    assert!(field("Conflicts").starts_with("kube-bundle-kube-apiserver, "));
    assert!(field("Conflicts").ends_with(", kubectl, kubernetes-client"), "{}", field("Conflicts"));
    let list = tool("dpkg-deb", &["--contents", &package]);
    assert!(list.contains("./usr/bin/kubectl") && list.contains("./var/lib/kubernetes/ca-key.pem"));
    workspace.run(&["verify", "--deep", "out/small"]).success();
    workspace.run(&["verify", &package]).success();
}

#[test]
fn versions_grow_with_every_change_and_stay_without_one() {
    let workspace = Workspace::small(1000);
    let version = |out: &str| {
        workspace.build_packages(&["-o", out]).success();
        let name = workspace.package(out, "small-only").file_name().unwrap().to_string_lossy().into_owned();
        name.trim_start_matches("small-only_1.16.0-").trim_end_matches("_all.deb").to_owned()
    };
    assert_eq!(version("a"), "1");
    assert_eq!(version("b"), "1");
    assert_eq!(files(&workspace.path("a")), files(&workspace.path("b")));
    workspace.edit("cluster.toml", "10.32.0.0/16", "10.33.0.0/16");
    assert_eq!(version("c"), "2", "another configuration (and certificate)");
    workspace.run(&["pki", "renew", "kube-scheduler/only"]).success();
    assert_eq!(version("d"), "3", "another certificate");
    workspace.edit("cluster.toml", "10.33.0.0/16", "10.32.0.0/16");
    assert_eq!(version("e"), "4", "a change taken back is a change");
    workspace.build_packages(&["-o", "x", "--deb-compression", "zstd"]).success();
    assert!(workspace.package("x", "small-only").display().to_string().ends_with("1.16.0-5_all.deb"), "other bytes");
    // A token whose time is over is drawn anew by the build, which makes other packages.
    let token: serde_json::Value = serde_json::from_slice(&workspace.read("pki/bootstrap-token.json")).unwrap();
    let mut expired = token.clone();
    expired["expiration"] = "2020-01-01T00:00:00Z".into();
    workspace.write("pki/bootstrap-token.json", expired.to_string());
    assert_eq!(version("y"), "6");
    assert_eq!(version("z"), "6");
    assert_ne!(workspace.text("pki/bootstrap-token.json"), token.to_string());
    let planned: serde_json::Value =
        serde_json::from_str(&workspace.run(&["plan", "--json"]).success().stdout).unwrap();
    assert_eq!(planned["cluster"], "small");
    // An archive has the same number, whatever was built last.
    workspace.build().success();
    assert!(std::fs::read_to_string(workspace.unpack().join("bundle.conf")).unwrap().contains("\nbuild=6\n"));
    assert_eq!(version("z"), "6");
    // Somebody else counts.
    workspace.write("cluster.toml", workspace.text("cluster.toml") + "[output.deb]\nrevision = 17\n");
    assert_eq!(version("f"), "17");
    assert_eq!(workspace.text("pki/revision.json").matches("\"revision\": 6").count(), 1);
}

#[test]
fn programs_that_were_pinned_anew_get_a_greater_version() {
    let workspace = Workspace::small(1000);
    workspace.build_packages(&["-o", "one"]).success();
    let same = workspace.text("recipe/recipe.toml");
    workspace.run(&["recipe", "pin", "recipe", "--from", "files"]).success();
    assert_eq!(workspace.text("recipe/recipe.toml"), same, "the same programs, the same pins");
    workspace.write("files/kubectl", crate::harness::program("another", 1000));
    workspace.run(&["recipe", "pin", "recipe", "--from", "files"]).success();
    workspace.build_packages(&["-o", "two"]).success();
    assert!(workspace.package("one", "kube-bundle-kubectl").display().to_string().ends_with("_1.16.0-1_amd64.deb"));
    assert!(workspace.package("two", "kube-bundle-kubectl").display().to_string().ends_with("_1.16.0-2_amd64.deb"));
    if has("dpkg") {
        for (older, newer) in [("1.16.0-1", "1.16.0-2"), ("1.16.0-9", "1.16.15-1"), ("1.17.0~rc.1-4", "1.17.0-1")] {
            tool("dpkg", &["--compare-versions", older, "lt", newer]);
        }
    }
}

#[test]
fn what_would_break_a_package_is_refused_when_planning() {
    let workspace = Workspace::small(1000);
    let plan = ["plan", "--json"];
    let deb = workspace.text("cluster.toml") + "[output]\nformats = [\"deb\"]\n";
    workspace.write("cluster.toml", deb.replace("\"small\"", "\"kube-bundle\"").replace("\"only\"", "\"kubectl\""));
    workspace
        .run(&plan)
        .exits(2)
        .says(&["would have the name of kubectl's, `kube-bundle-kubectl`; choose another name"]);
    workspace.write("cluster.toml", &deb);
    workspace.run(&plan).success();
    let recipe = workspace.text("recipe/recipe.toml");
    workspace.write("recipe/recipe.toml", recipe.clone() + &crate::harness::component("Kube_Proxy", "", b"x"));
    workspace.run(&plan).exits(2).says(&["`kube-bundle-Kube_Proxy` is no package name: expected"]);
    workspace.write("recipe/recipe.toml", recipe.replace("v1.16.0\"\narch", "vX.16.0\"\narch"));
    workspace.run(&plan).exits(2).says(&["`vX.16.0` is no version of a package: expected a digit"]);
    workspace.write("recipe/recipe.toml", &recipe);
    workspace.run(&["recipe", "export", "v1.16.0", "exported"]).success();
    let layout = workspace.text("exported/layout.toml");
    workspace.write("recipe/layout.toml", layout.replace("\"kube-bundle <packages", "\"kube\\nDepends: x <packages"));
    workspace.run(&plan).exits(2).says(&["is no line of a control file"]);
    workspace.write("recipe/layout.toml", layout.replace("[\"kubectl\", ", "[\"kubectl, libc6\", "));
    workspace.run(&plan).exits(2).says(&["`kubectl, libc6` is no package name"]);
}
