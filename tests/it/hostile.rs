//! Files that somebody changed, or made to do harm: `verify` says so, `inspect` survives, and neither waits nor fills the memory.

use std::path::Path;
use std::process::Command;

use kube_bundle::hash::Sha256;
use kube_bundle::inspect;

use crate::altered::{
    Member, Members, cpio_archive, cpio_members, gunzip, gzip, of, tar_stream, with_members, with_package,
};
use crate::harness::{Run, Workspace, files, tool};

/// A bundle with everything that has a reader.
fn all_formats(size: usize) -> Workspace {
    let workspace = Workspace::small(size);
    let formats = "tarball,deb,nocloud,initrd";
    workspace.run(&["build", "--offline", "--from", "files", "-q", "--format", formats, "-o", "out/small"]).success();
    workspace
}

/// Runs the program with 20 seconds of time and 500 MB of addresses.
fn bounded(workspace: &Workspace, args: &[&str]) -> Run {
    let of = workspace.command(args);
    let mut command = Command::new("timeout");
    command.args(["20", "sh", "-c", "ulimit -v 500000; exec \"$0\" \"$@\""]).arg(of.get_program()).args(of.get_args());
    command.current_dir(of.get_current_dir().unwrap()).env_clear();
    command.envs(of.get_envs().filter_map(|(key, value)| Some((key, value?))));
    Run::from(command.output().unwrap())
}

/// Each change is found, and the fault names it.
fn all_are_found(workspace: &Workspace, file: &str, changes: &[(&str, Vec<u8>)]) {
    for (expected, bytes) in changes {
        workspace.write(file, bytes);
        let run = workspace.run(&["verify", file]).exits(3);
        assert!(run.stderr.contains(expected), "no {expected:?} in:\n{}", run.stderr);
    }
}

#[test]
fn an_archive_holds_what_its_lists_have_and_nothing_else() {
    let workspace = all_formats(2000);
    let whole = workspace.read(Workspace::ARCHIVE);
    let top = "small-only-v1.16.0-amd64";
    let altered = |change: &dyn Fn(&mut Members)| with_members(&whole, change);
    workspace.write("same.tar.gz", altered(&|_| {}));
    workspace.run(&["verify", "same.tar.gz"]).success();
    let added = |member: Member| altered(&move |members| members.push(member.clone()));
    let changes = [
        ("root/.ssh/authorized_keys: not in", added(Member::file("root/.ssh/authorized_keys", "x"))),
        ("amd64x/evil: not in", added(Member::file(&format!("{top}x/evil"), "x"))),
        ("not a plain relative path", added(Member::file("tmp/../../../etc/cron.d/x", "x"))),
        ("not a plain relative path", added(Member::file("/etc/cron.d/x", "x"))),
        ("root/opt: not in", added(Member::directory(&format!("{top}/root/opt/")))),
        ("install.sh` is there twice", added(Member::file(&format!("{top}/install.sh"), "x"))),
        ("is not owned by root", altered(&|members| of(members, "install.sh").uid = 1000)),
        ("is not owned by root", altered(&|members| of(members, "install.sh").user = "nobody")),
        ("expected mode 0700, got 0777", altered(&|members| members[0].mode = 0o777)),
        ("install.sh: expected mode 0755, got 4777", altered(&|members| of(members, "install.sh").mode = 0o4777)),
        ("root: missing", altered(&|members| members.retain(|it| it.name != format!("{top}/root/")))),
        (
            "kubernetes: missing",
            altered(&|members| members.retain(|it| !it.name.ends_with("root/var/lib/kubernetes/"))),
        ),
        (
            "kubectl: expected a file",
            altered(&|members| {
                let member = of(members, "/kubectl");
                (member.kind, member.bytes) = (b'5', Vec::new());
            }),
        ),
    ];
    all_are_found(&workspace, "changed.tar.gz", &changes);
    let behind = [&gunzip(&whole)[..], &[0; 512], b"#!/bin/sh"].concat();
    all_are_found(&workspace, "changed.tar.gz", &[("trailing data after", gzip(&behind))]);
}

#[test]
fn a_package_holds_what_its_lists_have_and_says_what_no_list_has() {
    let workspace = all_formats(2000);
    let whole = std::fs::read(workspace.package("out/small", "small-only")).unwrap();
    let none = |_: &mut Members| {};
    let data = |change: &dyn Fn(&mut Members)| with_package(&whole, &none, change);
    let control = |change: &dyn Fn(&mut Members)| with_package(&whole, change, &none);
    workspace.write("same.deb", data(&none));
    let run = workspace.run(&["verify", "same.deb"]).success();
    assert!(
        run.stdout.contains("not compared: DEBIAN/control (") && !run.stdout.contains("postinst"),
        "{}",
        run.stdout
    );
    let into_directory = |name: &'static str| {
        data(&move |members| {
            let member = of(members, name);
            (member.kind, member.mode, member.bytes) = (b'5', 0o755, Vec::new());
        })
    };
    let changes = [
        ("kube-apiserver.service: expected a file", into_directory("kube-apiserver.service")),
        ("ca-key.pem: expected a file", into_directory("ca-key.pem")),
        ("opt: not in", data(&|members| members.push(Member::directory("./opt/")))),
        ("lib/kubernetes: missing", data(&|members| members.retain(|it| !it.name.ends_with("var/lib/kubernetes/")))),
        ("copyright: expected mode 0644, got 4755", data(&|members| of(members, "copyright").mode = 0o4755)),
        ("expected mode 0700, got 0755", data(&|members| of(members, "var/lib/kube-bundle").mode = 0o755)),
        (
            "is there twice",
            data(&|members| members.push(Member::file("./etc/kubernetes/config/audit-policy.yaml", "x"))),
        ),
        (
            "DEBIAN/postinst: expected sha256",
            control(&|members| of(members, "postinst").bytes.extend(b"touch /pwned\n")),
        ),
        ("DEBIAN/prerm: missing", control(&|members| members.retain(|it| !it.name.ends_with("prerm")))),
        ("DEBIAN/triggers: not in", control(&|members| members.push(Member::file("./triggers", "interest x\n")))),
        ("DEBIAN/conffiles: ", control(&|members| of(members, "conffiles").bytes.clear())),
        ("DEBIAN/postinst: expected mode 0755, got 0644", control(&|members| of(members, "postinst").mode = 0o644)),
        ("DEBIAN/control: missing", control(&|members| members.retain(|it| it.name != "./control"))),
    ];
    all_are_found(&workspace, "changed.deb", &changes);

    let program = std::fs::read(workspace.package("out/small", "kube-bundle-kubectl")).unwrap();
    workspace.write("program.deb", &program);
    let run = workspace.run(&["verify", "program.deb"]).success();
    assert!(run.stdout.contains("not compared: DEBIAN/control, DEBIAN/preinst ("), "{}", run.stdout);
    let added = with_package(&program, &|members| members.push(Member::file("./postinst", "#!/bin/sh\n")), &none);
    all_are_found(&workspace, "program.deb", &[("DEBIAN/postinst: not in", added)]);
}

#[test]
fn an_initramfs_archive_is_compared_by_whole_paths() {
    let workspace = all_formats(2000);
    let image = "out/small/nodes/only/initrd.cpio";
    let whole = workspace.read(image);
    let altered = |change: &dyn Fn(&mut Members)| {
        let mut members = cpio_members(&whole);
        change(&mut members);
        cpio_archive(&members)
    };
    workspace.write("same.cpio", altered(&|_| {}));
    workspace.run(&["verify", "same.cpio"]).success();
    let moved = altered(&|members| {
        members.push(Member::directory("kube-bundle/3eed"));
        of(members, "kubectl_1.16.0-1_amd64.deb").name =
            "kube-bundle/3eed/kube-bundle-kubectl_1.16.0-1_amd64.deb".to_owned();
        let last = members.pop().unwrap();
        let parent = members.iter().position(|member| member.name == "kube-bundle").unwrap();
        members.insert(parent + 1, last);
    });
    let decoy = altered(&|members| {
        let user_data = of(members, "user-data");
        let mut kept = user_data.clone();
        user_data.bytes = b"#cloud-config\nruncmd: [touch /pwned]\n".to_vec();
        kept.name = "user-data".to_owned();
        members.insert(0, kept);
    });
    let changes = [
        ("kube-bundle/seed/kube-bundle-kubectl_1.16.0-1_amd64.deb: missing", moved),
        ("kube-bundle/seed/user-data: expected sha256", decoy),
        ("plant.sh: expected sha256", altered(&|members| of(members, "plant.sh").bytes.push(b'\n'))),
        ("more than one link", altered(&|members| of(members, "user-data").links = 2)),
        ("expected mode 0600, got 0644", altered(&|members| of(members, "user-data").mode = 0o644)),
        ("usr: not in", altered(&|members| members.push(Member::directory("usr")))),
        ("not a plain relative path", altered(&|members| members.push(Member::file("../etc/passwd", "x")))),
        ("lies in no directory of the archive", altered(&|members| members.push(Member::file("usr/bin/x", "x")))),
    ];
    all_are_found(&workspace, "changed.cpio", &changes);
}

/// The machine's own package has the name of a program's then.
#[test]
fn a_cluster_may_have_the_name_of_this_program() {
    let workspace = Workspace::small(2000);
    workspace.edit("cluster.toml", "name = \"small\"", "name = \"kube-bundle\"");
    let build = ["build", "--offline", "--from", "files", "-q", "--format", "initrd", "-o", "out"];
    workspace.run(&build).success();
    let image = "out/nodes/only/initrd.cpio";
    workspace.run(&["verify", image]).success();
    let mut members = cpio_members(&workspace.read(image));
    members.retain(|member| !member.name.ends_with(".deb"));
    let list = of(&mut members, "SHA256SUMS");
    let lines = String::from_utf8(list.bytes.clone()).unwrap();
    list.bytes =
        lines.lines().filter(|line| !line.ends_with(".deb")).map(|line| format!("{line}\n")).collect::<String>().into();
    all_are_found(&workspace, "empty.cpio", &[("kube-bundle-only_1.16.0-1_all.deb: missing", cpio_archive(&members))]);
}

fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut changed = bytes.to_vec();
    let places: Vec<_> = (0..bytes.len() - from.len()).filter(|at| bytes[*at..].starts_with(from)).collect();
    assert!(!places.is_empty(), "no {}", String::from_utf8_lossy(from));
    for at in places {
        changed[at..at + to.len()].copy_from_slice(to);
    }
    changed
}

#[test]
fn a_disk_is_found_by_its_label_and_names_its_machine() {
    let workspace = all_formats(2000);
    let whole = workspace.read("out/small/nodes/only/cidata.iso");
    workspace.write("same.iso", &whole);
    workspace.run(&["verify", "same.iso"]).success();
    // With its digest in the list, so that only the sense of it is wrong.
    let meta = workspace.text("out/small/nodes/only/nocloud/meta-data");
    let other = meta.replace("local-hostname: \"only\"", "local-hostnama: \"only\"");
    let digest = |text: &str| Sha256::of(text.as_bytes()).to_string();
    let unnamed = replace(&whole, meta.as_bytes(), other.as_bytes());
    let unnamed = replace(&unnamed, digest(&meta).as_bytes(), digest(&other).as_bytes());
    let mut joliet = whole.clone();
    joliet[17 * 2048] = 2;
    let mut sector_zero = whole.clone();
    sector_zero[510..512].copy_from_slice(b"\x55\xaa");
    let changes = [
        ("meta-data: expected the two lines", unnamed),
        ("labelled `Cidata`", replace(&whole, b"\x20cidata", b"\x20Cidata")),
        ("second volume descriptor", joliet),
        ("system area", sector_zero),
        ("unknown field `SL`", replace(&whole, b"NM\x0e\x01\0user-data", b"SL\x0e\x01\0user-data")),
        ("unknown field `CE`", replace(&whole, b"NM\x0e\x01\0user-data", b"CE\x0e\x01\0user-data")),
    ];
    all_are_found(&workspace, "changed.iso", &changes);
}

fn vfat() -> (Workspace, Vec<u8>) {
    let workspace = Workspace::small(2000);
    let build =
        ["build", "--offline", "--from", "files", "-q", "--format", "nocloud", "--seed-image", "vfat", "-o", "out"];
    workspace.run(&build).success();
    let whole = workspace.read("out/nodes/only/cidata.img");
    (workspace, whole)
}

/// Where the root directory begins.
fn root(image: &[u8]) -> usize {
    let short = |at: usize| usize::from(u16::from_le_bytes([image[at], image[at + 1]]));
    (short(14) + usize::from(image[16]) * short(22)) * 512
}

#[test]
fn a_fat_volume_is_read_as_the_kernel_reads_it() {
    let (workspace, whole) = vfat();
    workspace.write("same.img", &whole);
    workspace.run(&["verify", "same.img"]).success();
    let root = root(&whole);
    let entries = || (root..).step_by(32).take_while(|at| whole[*at] != 0);
    let long = entries().find(|at| whole[at + 11] == 0x0f).unwrap();
    let short: Vec<_> = entries().filter(|at| whole[at + 11] == 0x20).collect();
    let with = |at: usize, byte: u8| {
        let mut changed = whole.clone();
        changed[at] = byte;
        changed
    };
    let mut crossed = whole.clone();
    crossed[short[1] + 26] = whole[short[0] + 26];
    let second_table = (usize::from(whole[14]) + usize::from(whole[22])) * 512;
    let changes = [
        ("checksum of a long name", with(short[0] + 7, b'X')),
        ("a file has no long name", with(long, 0x41 + 7)),
        ("share a cluster", crossed),
        ("copies of the file allocation table differ", with(second_table + 9, 0x55)),
        ("labelled `CIDATA`", {
            let label = entries().find(|at| whole[at + 11] == 8).unwrap();
            let mut changed = whole.clone();
            changed[label..label + 6].copy_from_slice(b"CIDATA");
            changed
        }),
    ];
    all_are_found(&workspace, "changed.img", &changes);
}

#[test]
fn inspect_survives_names_of_any_length() {
    let (workspace, whole) = vfat();
    let root = root(&whole);
    let mut long = whole.clone();
    let part: Vec<u8> =
        [&[1][..], &b"a\0".repeat(5), &[0x0f, 0, 0], &b"a\0".repeat(6), &[0, 0], &b"a\0".repeat(2)].concat();
    for entry in 0..500 {
        long[root + 32 * entry..][..32].copy_from_slice(&part);
    }
    workspace.write("long.img", long);
    workspace.run(&["inspect", "long.img"]).exits(1);

    workspace.write("copy/SHA256SUMS", "");
    let manifest = workspace.text("out/manifest.json");
    workspace.write(
        "copy/manifest.json",
        manifest.replacen("\"nodes/only/cidata.img\"", &format!("\"{}\"", "n".repeat(70_000)), 1),
    );
    let listed = workspace.run(&["inspect", "copy"]).success().stdout;
    assert!(listed.contains(&"n".repeat(70_000)) && listed.len() < 200_000, "{}", listed.len());
}

#[test]
fn names_from_files_do_not_command_the_terminal() {
    let workspace = Workspace::small(2000);
    let name = "x\u{1b}[2J\r\n0644  1  forged\u{202e}\u{9b}31m";
    let forged = gzip(&tar_stream(&vec![Member { user: "nobody", ..Member::file(name, "x") }]));
    workspace.write("forged.tar.gz", forged);
    let safe = |text: &str| {
        assert!(
            !text.contains(['\u{1b}', '\r', '\u{202e}', '\u{9b}']) && !text.contains("\n0644  1  forged"),
            "{text:?}"
        );
    };
    let run = workspace.run(&["inspect", "forged.tar.gz"]).success();
    safe(&run.stdout);
    assert!(run.stdout.contains("x\\u{1b}[2J\\r\\n0644"), "{}", run.stdout);
    safe(&workspace.run(&["verify", "forged.tar.gz"]).exits(3).stderr);
    let twice = vec![Member::file(name, "x"), Member::file(name, "x")];
    workspace.write("twice.tar.gz", gzip(&tar_stream(&twice)));
    safe(&workspace.run(&["inspect", "twice.tar.gz"]).exits(1).stderr);
    workspace.edit("cluster.toml", "recipe = \"./recipe\"", "recipe = \"v1.\\u001b[31m\"");
    safe(&workspace.run(&["plan"]).exits(2).stderr);
}

#[test]
fn pipes_and_devices_are_not_waited_for() {
    let workspace = all_formats(1000);
    let fifo = |path: &str| {
        let path = workspace.path(path);
        let _ = std::fs::remove_file(&path);
        tool("mkfifo", &[&path.display().to_string()]);
    };
    fifo("pipe.deb");
    for command in ["verify", "inspect"] {
        for file in ["pipe.deb", "/dev/zero"] {
            bounded(&workspace, &[command, file]).exits(1).says(&["not a regular file"]);
        }
    }
    fifo(Workspace::ARCHIVE);
    bounded(&workspace, &["verify", "out/small", "--deep"]).exits(3).says(&["tar.gz: not a regular file"]);
    fifo("out/small/manifest.json");
    bounded(&workspace, &["inspect", "out/small"]).exits(1).says(&["not a regular file"]);
    bounded(&workspace, &["verify", "out/small"]).exits(3).says(&["manifest.json: not a regular file"]);
    let build = ["build", "--offline", "--from", "files", "-q"];
    bounded(&workspace, &build).exits(1).says(&["out/small"]);
    fifo("recipe/units");
    bounded(&workspace, &["plan"]).exits(2).says(&["recipe/units", "not a regular file"]);
    std::fs::remove_file(workspace.path("recipe/units")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", workspace.path("recipe/zero")).unwrap();
    bounded(&workspace, &["plan"]).exits(2).says(&["recipe/zero", "not a regular file"]);
    std::fs::remove_file(workspace.path("recipe/zero")).unwrap();
    std::fs::File::create(workspace.path("recipe/large")).unwrap().set_len(5 << 20).unwrap();
    bounded(&workspace, &["plan"]).exits(2).says(&["recipe/large", "too large"]);
}

#[test]
fn lists_and_archives_that_never_end_fill_no_memory() {
    let workspace = all_formats(1000);
    let sparse = |name: &str| std::fs::File::create(workspace.path(name)).unwrap().set_len(3 << 30).unwrap();
    let members: Members = (0..110_000).map(|number| Member::file(&format!("f{number}"), "")).collect();
    workspace.write("many.tar.gz", gzip(&tar_stream(&members)));
    drop(members);
    bounded(&workspace, &["inspect", "many.tar.gz"]).exits(1).says(&["more than 100000 entries"]);
    bounded(&workspace, &["verify", "many.tar.gz"]).exits(3).says(&["more than 100000 entries"]);
    // No more is unpacked than the manifest lists.
    workspace.write(Workspace::ARCHIVE, gzip(&vec![0; 64 << 20]));
    bounded(&workspace, &["verify", "out/small", "--deep"]).exits(3).says(&["tar.gz: it has more than"]);
    sparse("out/small/SHA256SUMS");
    bounded(&workspace, &["verify", "out/small"]).exits(3).says(&["SHA256SUMS: too large"]);
    sparse("out/small/manifest.json");
    bounded(&workspace, &["verify", "out/small"]).exits(3).says(&["manifest.json: too large"]);
    bounded(&workspace, &["inspect", "out/small"]).exits(1).says(&["too large"]);
}

#[test]
fn an_archive_larger_than_it_may_be_is_not_read_to_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bomb.tar.gz");
    let bomb = Member { bytes: vec![0; 8 << 20], ..Member::file("zeros", "") };
    std::fs::write(&path, gzip(&tar_stream(&vec![bomb]))).unwrap();
    let read = |most: u64| inspect::read_at_most(Path::new(&path), &[], most);
    assert_eq!(read(9 << 20).unwrap().entries["zeros"].size, Some(8 << 20));
    let why = read(4 << 20).unwrap_err().to_string();
    assert!(why.contains("more than 4194304 bytes when it is unpacked"), "{why}");
}

#[test]
fn an_added_directory_is_noticed_though_it_is_empty() {
    let workspace = Workspace::small(1000);
    workspace.build().success();
    std::fs::create_dir_all(workspace.path("out/small/nodes/only/.ssh")).unwrap();
    workspace.run(&["verify", "out/small"]).exits(3).says(&["nodes/only/.ssh/: not in the manifest"]);
}

#[test]
fn a_path_that_is_no_bundle_gets_a_hint() {
    let workspace = Workspace::small(1000);
    workspace.run(&["verify", "nonesuch"]).exits(1).says(&["hint: name an output directory"]);
    workspace.build().success();
    for command in ["verify", "inspect"] {
        let code = if command == "verify" { 3 } else { 1 };
        let bundle = format!("hint: `kube-bundle {command} out/small`");
        let says = |path: &str, code: i32, texts: [&str; 2]| {
            let run = workspace.run(&[command, path]).exits(code).says(&texts);
            assert!(!run.stderr.contains("os error") && !run.stderr.contains("gzip"), "{}", run.stderr);
        };
        says("out", code, ["neither manifest.json nor SHA256SUMS", &bundle]);
        says(".", code, ["not a bundle", &format!("hint: `kube-bundle {command} ./out/small`")]);
        says("files", code, ["not a bundle", &bundle]);
        says("recipe", code, ["not a bundle", "hint: `kube-bundle recipe show ./recipe`"]);
        says("pki", code, ["not a bundle", "hint: it holds the keys of a cluster: `kube-bundle pki status`"]);
        says("cluster.toml", code, ["it describes a cluster", "hint: `kube-bundle plan -c cluster.toml`"]);
        says("recipe/recipe.toml", code, ["it belongs to a recipe", "hint: `kube-bundle recipe show ./recipe`"]);
        says("out/small/manifest.json", code, ["it is a file of a bundle", &bundle]);
        says("out/small/operator/ca.pem", code, ["it is a file of a bundle", &bundle]);
        says("files/kubectl", code, ["not a file that kube-bundle packs", &bundle]);
        says("nonesuch", 1, ["could not read `nonesuch`", &bundle]);
    }
    workspace.run(&["build", "--offline", "--from", "files", "-q", "-o", "out/other"]).success();
    workspace
        .run(&["verify", "out"])
        .exits(3)
        .says(&["hint: name one of the bundles instead: `out/other`, `out/small`"]);
}

#[test]
fn what_is_promised_is_that_checksums_match_and_no_more() {
    let workspace = all_formats(1000);
    for path in ["out/small", Workspace::ARCHIVE, "out/small/nodes/only/cidata.iso", "out/small/nodes/only/initrd.cpio"]
    {
        let run = workspace.run(&["verify", path]).success();
        assert!(run.stdout.contains("all checksums match"), "{}", run.stdout);
        assert_eq!(
            run.stdout.lines().last(),
            Some("origin not checked: `--trust DIR` compares who signed it with the keys in DIR")
        );
    }
    let listed = workspace.run(&["inspect", "out/small"]).success().stdout;
    let dates: Vec<_> = listed.lines().nth(1).unwrap().split(' ').filter(|word| word.ends_with('Z')).collect();
    assert!(dates.len() == 2 && dates.iter().all(|date| date.len() == 20 && date.contains('T')), "{listed}");
}

#[test]
fn readers_share_no_code_with_writers() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let is_reader = |name: &str| ["verify", "inspect", "diff"].iter().any(|it| name.starts_with(it));
    let readers: Vec<_> = files(&root).into_iter().filter(|(name, _)| is_reader(name)).collect();
    assert!(readers.len() > 4);
    for (name, (_, bytes)) in readers {
        let text = String::from_utf8(bytes).unwrap();
        for writer in ["assemble", "pack::", "crate::pack"] {
            assert!(!text.contains(writer), "{name} names {writer}");
        }
    }
}
