//! With `[secrets] seal`, keys and tokens leave the builder encrypted: openssl opens them with the right key, and nobody
//! without one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};

use kube_bundle::hash::Sha256;

use crate::harness::{Run, Workspace, files, has_all, tool};
use crate::machine::Machine;

/// A workspace whose secrets are encrypted in this way.
fn sealed(by: &str) -> Workspace {
    let workspace = Workspace::small(3000);
    seal(&workspace, by);
    workspace
}

fn seal(workspace: &Workspace, by: &str) {
    workspace.edit("cluster.toml", "[pki]", &format!("[secrets]\nseal = \"{by}\"\n[pki]"));
}

/// Runs a program in the workspace, without a terminal.
fn run(workspace: &Workspace, program: &str, arguments: &[&str]) -> Run {
    let output = Command::new("setsid")
        .args(["--wait", program])
        .args(arguments)
        .current_dir(workspace.path(""))
        .stdin(Stdio::null())
        .output();
    Run::from(output.unwrap())
}

/// Opens a file as an administrator does, and unpacks what is in it as `opened/`.
fn open(workspace: &Workspace, cms: &Path, key: &[&str]) -> Run {
    let _ = std::fs::remove_dir_all(workspace.path("opened"));
    std::fs::create_dir(workspace.path("opened")).unwrap();
    let cms = cms.display().to_string();
    let arguments = ["cms", "-decrypt", "-inform", "DER", "-in", &cms, "-out", "opened/secrets.tar", "-inkey"];
    let opened = run(workspace, "openssl", &[&arguments[..], key].concat());
    if opened.code == Some(0) {
        tool("tar", &["-xf", &path(workspace, "opened/secrets.tar"), "-C", &path(workspace, "opened")]);
        let check = "cd opened && sha256sum --quiet -c SHA256SUMS";
        run(workspace, "sh", &["-c", check]).success();
    }
    opened
}

fn path(workspace: &Workspace, name: &str) -> String {
    workspace.path(name).display().to_string()
}

/// Modes and contents of the opened files.
fn opened(workspace: &Workspace) -> BTreeMap<String, (u32, Vec<u8>)> {
    files(&workspace.path("opened/root"))
}

/// Files of the unpacked archive that only their owner may read, by their paths on the machine.
fn secret_files(unpacked: &Path) -> BTreeMap<String, (u32, Vec<u8>)> {
    let mut files = files(&unpacked.join("root"));
    files.retain(|_, (mode, _)| *mode == 0o600);
    files
}

#[test]
fn openssl_opens_the_secrets_with_the_machines_key_or_the_recovery_key_and_no_other() {
    if !has_all(&["openssl"]) {
        return;
    }
    let workspace = Workspace::small(3000);
    workspace.build().success();
    let plain = secret_files(&workspace.unpack());
    assert!(plain.len() > 5);
    seal(&workspace, "key");
    let build = workspace.run(&["build", "--offline", "--from", "files"]).success();
    for made in ["only.pem, which opens the secrets of only", "recovery.key, which opens the secrets of all"] {
        assert!(build.stderr.contains(made), "{}", build.stderr);
    }
    std::fs::remove_dir_all(workspace.path("unpacked")).unwrap();
    let unpacked = workspace.unpack();
    assert!(secret_files(&unpacked).is_empty());
    let inspected = workspace.run(&["inspect", "out/small"]).success().stdout;
    assert!(inspected.contains("operator/secrets.cms, encrypted  the administrator, no machine"), "{inspected}");
    for key in ["pki/seal/only.pem", "pki/seal/recovery.key"] {
        open(&workspace, &unpacked.join("secrets.cms"), &[key]).success();
        assert_eq!(opened(&workspace), plain);
    }
    run(
        &workspace,
        "openssl",
        &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "other"],
    )
    .success();
    assert_ne!(open(&workspace, &unpacked.join("secrets.cms"), &["other"]).code, Some(0));
}

#[test]
fn a_host_key_of_openssh_opens_the_secrets() {
    if !has_all(&["openssl", "ssh-keygen"]) {
        return;
    }
    let workspace = sealed("ssh-host");
    tool(
        "ssh-keygen",
        &["-q", "-t", "ecdsa", "-b", "256", "-N", "", "-C", "root@only", "-f", &path(&workspace, "host")],
    );
    let line = workspace.text("host.pub");
    workspace.edit("cluster.toml", "[secrets]", &format!("recipient = \"{}\"\n[secrets]", line.trim_end()));
    workspace.build().success();
    assert!(!workspace.path("pki/seal/only.pem").exists(), "no key of the machine is here");
    let unpacked = workspace.unpack();
    tool("ssh-keygen", &["-q", "-p", "-P", "", "-N", "", "-m", "PKCS8", "-f", &path(&workspace, "host")]);
    open(&workspace, &unpacked.join("secrets.cms"), &["host"]).success();
    assert!(opened(&workspace).len() > 5);
    // A character of the second coordinate is another.
    let key = line.split(' ').nth(1).unwrap();
    let (before, after) = key.split_at(key.len() - 10);
    let other = if after.starts_with('A') { "B" } else { "A" };
    workspace.edit("cluster.toml", key, &format!("{before}{other}{}", &after[1..]));
    workspace.build().exits(1).says(&["`recipient` of node `only` is no key on the curve P-256"]);
}

#[test]
fn a_passphrase_is_asked_for_once_and_opens_the_key_that_is_in_the_bundle() {
    if !has_all(&["openssl"]) {
        return;
    }
    let workspace = sealed("passphrase");
    workspace.build().exits(1).says(&["no passphrase of at least 12 characters", "--passphrase-file FILE"]);
    workspace.write("short", "eleven char\n");
    let build = ["build", "--offline", "--from", "files", "-q", "--passphrase-file"];
    workspace.run(&[&build[..], &["short"]].concat()).exits(1).says(&["at least 12 characters"]);
    workspace.write("passphrase", "correct horse battery\nand not this\n");
    workspace.run(&[&build[..], &["passphrase"]].concat()).success();
    let first = workspace.read(Workspace::ARCHIVE);
    workspace.build().success();
    assert_eq!(workspace.read(Workspace::ARCHIVE), first, "and the key stays the same");

    let unpacked = workspace.unpack();
    let (cms, key) = (unpacked.join("secrets.cms"), unpacked.join("secrets-key.pem").display().to_string());
    assert_eq!(std::fs::read(&key).unwrap(), workspace.read("pki/seal/only.pem"));
    open(&workspace, &cms, &[&key, "-passin", "pass:correct horse battery"]).success();
    assert!(opened(&workspace).len() > 5);
    assert_ne!(open(&workspace, &cms, &[&key, "-passin", "pass:correct horse batterx"]).code, Some(0));
    assert_ne!(open(&workspace, &cms, &[&key]).code, Some(0));
}

/// The public keys that were made for this file, and its initialization vector.
fn numbers(cms: &[u8]) -> BTreeSet<Vec<u8>> {
    let after = |mark: &[u8], length: usize| {
        let places = cms.windows(mark.len()).enumerate().filter(|(_, bytes)| *bytes == mark).map(|(place, _)| place);
        places.map(|place| cms[place + mark.len()..][..length].to_vec()).collect::<Vec<_>>()
    };
    // A bit string of a point, and the parameter behind the identifier of AES-256 in CBC mode.
    let (points, vectors) = (after(&[3, 66, 0, 4], 64), after(&[0x65, 3, 4, 1, 0x2a, 4, 16], 16));
    assert_eq!((points.len(), vectors.len()), (2, 1));
    points.into_iter().chain(vectors).collect()
}

#[test]
fn the_same_secrets_give_the_same_bytes_and_others_share_no_key_with_them() {
    let workspace = sealed("key");
    workspace.build().success();
    let first = workspace.read(Workspace::ARCHIVE);
    let cms = std::fs::read(workspace.unpack().join("secrets.cms")).unwrap();
    workspace.build().success();
    assert_eq!(workspace.read(Workspace::ARCHIVE), first);

    // What is not secret leaves them as they are.
    workspace.edit("cluster.toml", "[etcd]", "pod_security_policy = true\n[etcd]");
    workspace.build().success();
    assert_ne!(workspace.read(Workspace::ARCHIVE), first);
    assert_eq!(std::fs::read(workspace.unpack().join("secrets.cms")).unwrap(), cms);

    workspace.run(&["pki", "renew", "bootstrap-token"]).success();
    workspace.build().success();
    let other = std::fs::read(workspace.unpack().join("secrets.cms")).unwrap();
    assert!(numbers(&cms).is_disjoint(&numbers(&other)));
    // Without the sealing key, everything is opened as before, and nothing is as it was.
    std::fs::remove_file(workspace.path("pki/seal/sealing.key")).unwrap();
    let build = workspace.run(&["build", "--offline", "--from", "files"]).success();
    assert!(build.stderr.contains("sealing.key: what is encrypted has other bytes"), "{}", build.stderr);
    let third = std::fs::read(workspace.unpack().join("secrets.cms")).unwrap();
    assert!(numbers(&other).is_disjoint(&numbers(&third)));
}

#[test]
fn a_key_that_opens_secrets_is_never_replaced_unless_somebody_says_so() {
    for (by, names) in [("key", &["recovery.key", "only.pem"][..]), ("passphrase", &["only.pem", "only.pub"])] {
        let workspace = sealed(by);
        workspace.write("passphrase", "correct horse battery\n");
        let build = || workspace.run(&["build", "--offline", "--from", "files", "--passphrase-file", "passphrase"]);
        let first = build().success();
        assert!(!first.stderr.contains("Drew another"), "{}", first.stderr);
        let state = |name: &str| {
            let status = workspace.run(&["pki", "status", "--json"]).success().stdout;
            let status: serde_json::Value = serde_json::from_str(&status).unwrap();
            let entry = status.as_array().unwrap().iter().find(|entry| entry["id"] == format!("seal/{name}"));
            entry.unwrap_or_else(|| panic!("{status}"))["state"].as_str().unwrap().to_owned()
        };
        for name in names {
            let path = format!("pki/seal/{name}");
            let kept = workspace.text(&path);
            assert_eq!(state(name), "ok");
            std::fs::remove_file(workspace.path(&path)).unwrap();
            build().exits(1).says(&[&format!("{name}` is gone"), "hint: restore it from a backup", "delete its line"]);
            assert!(state(name).starts_with("lost: "), "{}", state(name));
            workspace.write(&path, kept.replacen('M', "N", 1) + "\n");
            build().exits(1).says(&[&format!("{name}` has changed"), "hint: restore it from a backup"]);
            assert!(state(name).contains("has changed"), "{}", state(name));
            workspace.write(&path, kept);
        }
        build().success();
        // Another one, on purpose.
        let lines: Vec<_> = workspace.text("pki/SHA256SUMS").lines().map(str::to_owned).collect();
        let others = lines.iter().filter(|line| !line.contains("  seal/")).map(|line| format!("{line}\n"));
        workspace.write("pki/SHA256SUMS", others.collect::<String>());
        for name in names {
            std::fs::remove_file(workspace.path(&format!("pki/seal/{name}"))).unwrap();
        }
        assert!(state(names[0]).starts_with("missing"));
        build().success();
        assert_eq!(workspace.text("pki/SHA256SUMS").lines().count(), lines.len());
    }
}

/// What `blkid` and `mount` do for the key disk, which a namespace can't have: its files are those in /stick.
const KEY_DISK: [(&str, &str); 3] = [
    ("blkid", "#!/bin/sh\n[ ! -d /stick ] || case \"$*\" in *LABEL=KBKEY*) echo /dev/stick ;; esac\n"),
    ("mount", "#!/bin/sh\nwhile [ $# -gt 1 ]; do shift; done\ncp /stick/* \"$1/\"\n"),
    ("umount", "#!/bin/sh\nrm -f \"$1\"/*\n"),
];

/// Makes a machine ready for bundles whose secrets are encrypted in this way.
fn prepare(machine: &Machine, by: &str) {
    seal(machine.workspace(), by);
    let key = machine.workspace().path("key").display().to_string();
    tool("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &key]);
    // ssh-keygen asks who runs it.
    machine.write("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
    for (name, script) in KEY_DISK {
        machine.write(&format!("fake/{name}"), script);
        tool("chmod", &["755", &machine.path(&format!("fake/{name}")).display().to_string()]);
    }
}

/// Copies the unpacked archive to `/one`, and the keys to `/keys`.
fn carry(machine: &Machine) {
    machine.carry_signed("one", &machine.workspace().path("key").display().to_string());
    let keys = machine.workspace().path("pki/seal").display().to_string();
    tool("cp", &["-a", &keys, &machine.path("keys").display().to_string()]);
}

/// Whether nothing of what was opened is left.
fn nothing_is_left(machine: &Machine) -> bool {
    let left = machine.run("ls -d /run/kube-bundle.*/ 2>/dev/null; ls /run/kube-bundle.lock 2>/dev/null; true").stdout;
    left.is_empty()
}

#[test]
fn the_installer_opens_the_secrets_by_any_of_the_ways_and_changes_nothing_without_one() {
    if !has_all(&["openssl", "ssh-keygen"]) {
        return;
    }
    let Some(machine) = Machine::new() else { return };
    prepare(&machine, "key");
    carry(&machine);
    let before = machine.files();
    let fix = "attach the key disk, a file system labelled KBKEY with the file only.pem";
    machine.run("setsid /one/install.sh").exits(1).says(&["no key is here that opens the secrets of only", fix]);
    machine.run("setsid /one/install.sh --check").exits(1).says(&["no key is here"]);
    machine.run("openssl ecparam -genkey -name prime256v1 -noout -out /other").success();
    machine.run("setsid /one/install.sh --key /other").exits(1).says(&["the key in /other does not open"]);
    machine.run("/one/install.sh --key /none").exits(2);
    assert_eq!(machine.files(), before, "nothing was changed");

    let damage = "cp -a /one /bad; printf x | dd of=/bad/secrets.cms bs=1 seek=1176 conv=notrunc 2>/dev/null";
    machine.run(damage).success();
    machine.run("/bad/install.sh --key /keys/only.pem").exits(1).says(&["secrets.cms: changed", "damaged"]);
    // Even where the checksums agree with the damage.
    let lists =
        "sed -i \"s/^.*  secrets.cms/$(sha256sum </bad/secrets.cms | cut -d ' ' -f 1)  secrets.cms/\" /bad/SHA256SUMS";
    machine.run(lists).success();
    machine.run("/bad/install.sh --key /keys/only.pem").exits(1).says(&["does not open the secrets"]);
    assert_eq!(machine.files(), before, "nothing was changed");
    assert!(nothing_is_left(&machine));

    // A disk with keys of several machines, one of which is this one's.
    machine.run("mkdir /stick && cp /keys/only.pem /other /stick/").success();
    let check = machine.run("/one/install.sh --check").success();
    assert!(check.stdout.contains("ok           a key opens the secrets of this machine"), "{}", check.stdout);
    assert!(nothing_is_left(&machine));
    machine.run("rm -r /stick; mkdir -p /run/credentials/@system && cp /keys/recovery.key /run/credentials/@system/kube-bundle.key && /one/install.sh --check")
        .success();
    machine.run("rm -r /run/credentials; /one/install.sh --key /keys/only.pem").success();
    assert!(nothing_is_left(&machine));
}

#[test]
fn what_a_sealed_archive_installs_is_what_an_open_one_does() {
    if !has_all(&["openssl", "ssh-keygen"]) {
        return;
    }
    let Some(machine) = Machine::new() else { return };
    prepare(&machine, "key");
    carry(&machine);
    machine.run("/one/install.sh --key /keys/only.pem").success();
    let installed = |machine: &Machine| {
        let mut files = machine.files();
        files.retain(|name, _| !name.starts_with("var/lib/kube-bundle/"));
        files
    };
    let by_sealed = installed(&machine);
    let list = machine.text("var/lib/kube-bundle/installed/FILES");
    assert!(!list.contains("sealed"));
    // What is there already stays, a lost key comes back, status and removal need no key.
    let again = machine.run("/one/install.sh --key /keys/only.pem").success();
    assert!(again.stdout.contains("no file changed"), "{}", again.stdout);
    machine.run("rm /var/lib/kubernetes/service-account-key.pem; /one/install.sh --key /keys/only.pem").success();
    assert_eq!(installed(&machine), by_sealed);
    assert!(machine.run("/one/install.sh --status").stdout.contains("kube-scheduler.kubeconfig"));
    machine.run("/one/install.sh --uninstall").success();

    machine.workspace().edit("cluster.toml", "seal = \"key\"", "seal = \"off\"");
    machine.carry_signed("two", &machine.workspace().path("key").display().to_string());
    machine.run("/two/install.sh").success();
    assert_eq!(installed(&machine), by_sealed);
    assert_eq!(machine.text("var/lib/kube-bundle/installed/FILES"), list);
}

#[test]
fn a_machine_opens_its_secrets_with_its_ssh_host_key_and_nobody_there() {
    if !has_all(&["openssl", "ssh-keygen"]) {
        return;
    }
    let Some(machine) = Machine::new() else { return };
    prepare(&machine, "ssh-host");
    std::fs::create_dir_all(machine.path("etc/ssh")).unwrap();
    let host = machine.path("etc/ssh/ssh_host_ecdsa_key").display().to_string();
    tool("ssh-keygen", &["-q", "-t", "ecdsa", "-N", "", "-C", "root@only", "-f", &host]);
    let line = machine.text("etc/ssh/ssh_host_ecdsa_key.pub");
    machine.workspace().edit("cluster.toml", "[secrets]", &format!("recipient = \"{}\"\n[secrets]", line.trim_end()));
    carry(&machine);
    machine.run("setsid /one/install.sh --check").success();
    // Any key that was made on the machine will do, and need not be the one of its SSH server.
    machine.run("mv /etc/ssh/ssh_host_ecdsa_key /seal; ssh-keygen -q -p -P '' -N '' -m PKCS8 -f /seal").success();
    machine.run("setsid /one/install.sh --check").exits(1).says(&["no key is here that opens the secrets of only"]);
    machine.run("setsid /one/install.sh --check --key /seal").success();
    machine
        .run("rm /etc/ssh/ssh_host_ecdsa_key*; ssh-keygen -q -t ecdsa -N '' -f /etc/ssh/ssh_host_ecdsa_key")
        .success();
    let fix = "was /etc/ssh/ssh_host_ecdsa_key made again?";
    machine.run("setsid /one/install.sh").exits(1).says(&["no key is here that opens the secrets of only", fix]);
}

/// Bodies of all private keys as PEM, DER and Base64 have them, the token and the encryption key.
fn secrets(workspace: &Workspace) -> Vec<(String, Vec<u8>)> {
    use base64::Engine as _;
    let base64 = base64::engine::general_purpose::STANDARD;
    let mut secrets = Vec::new();
    for (name, (_, bytes)) in files(&workspace.path("pki")) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if text.contains("PRIVATE KEY") {
            let lines: Vec<_> = text.lines().filter(|line| !line.starts_with("---")).collect();
            let der = base64.decode(lines.concat()).unwrap();
            // What all keys of a kind begin with says nothing.
            secrets.push((name.clone(), lines[1].as_bytes().to_vec()));
            secrets.push((name.clone(), der[36..68].to_vec()));
            secrets.push((name, base64.encode(&text).as_bytes()[120..160].to_vec()));
        } else if name == "bootstrap-token.json" {
            let token: serde_json::Value = serde_json::from_str(&text).unwrap();
            secrets.push((name, token["secret"].as_str().unwrap().into()));
        } else if name == "encryption-key" || name == "seal/sealing.key" {
            secrets.push((name, bytes));
        }
    }
    assert!(secrets.len() > 40);
    secrets
}

/// Which secrets are in the files below `directory`.
fn found(directory: &Path, secrets: &[(String, Vec<u8>)]) -> BTreeSet<String> {
    let all = files(directory);
    let is_in = |secret: &[u8]| all.values().any(|(_, bytes)| memchr(bytes, secret));
    secrets.iter().filter(|(_, secret)| is_in(secret)).map(|(name, _)| name.clone()).collect()
}

fn memchr(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// Unpacks every archive, package and image below the output directory, into `inside/`.
fn unpack_everything(workspace: &Workspace) {
    let _ = std::fs::remove_dir_all(workspace.path("inside"));
    let script = r#"
set -eu
mkdir inside
find out/small -type f | while read -r file; do
  to=inside/$(echo "$file" | tr / _)
  mkdir "$to"
  case $file in
  *.deb) dpkg-deb --raw-extract "$file" "$to" ;;
  *.tar.gz) tar -xzf "$file" -C "$to" ;;
  *) cp "$file" "$to/" ;;
  esac
done
chmod -R u+rwX inside
"#;
    run(workspace, "sh", &["-c", script]).success();
}

#[test]
fn nothing_that_leaves_the_builder_holds_a_secret_in_the_clear() {
    if !has_all(&["dpkg-deb"]) {
        return;
    }
    let workspace = Workspace::small(1000);
    let build = ["build", "--offline", "--from", "files", "-q", "--format", "tarball,deb,nocloud,initrd"];
    workspace.run(&build).success();
    unpack_everything(&workspace);
    let all = secrets(&workspace);
    assert!(found(&workspace.path("inside"), &all).len() > 5, "the search finds them where they are");
    seal(&workspace, "key");
    workspace.run(&build).success();
    workspace.run(&["verify", "--deep", "out/small"]).success();
    unpack_everything(&workspace);
    let all = secrets(&workspace);
    assert_eq!(found(&workspace.path("inside"), &all), BTreeSet::new());
    // Images as they are, which hold archives and packages that were searched.
    assert_eq!(found(&workspace.path("out"), &all), BTreeSet::new());
    let all = files(&workspace.path("out"));
    let is_packed = |name: &str| [".gz", ".deb", ".iso", ".cpio"].iter().any(|ending| name.ends_with(ending));
    for (name, (mode, _)) in all.iter().filter(|(name, _)| is_packed(name)) {
        assert_eq!(*mode, 0o644, "{name}");
    }
    let archives = ["small-only-v1.16.0-amd64.tar.gz", "cidata.iso", "initrd.cpio"];
    for name in archives {
        workspace.run(&["verify", &format!("out/small/nodes/only/{name}")]).success();
    }
    workspace.run(&["verify", &workspace.package("out/small", "small-only").display().to_string()]).success();
}

#[test]
fn the_administrator_opens_what_is_for_people_with_the_recovery_key() {
    if !has_all(&["openssl"]) {
        return;
    }
    let workspace = Workspace::small(1000);
    workspace.build().success();
    let mut plain = files(&workspace.path("out/small/operator"));
    plain.retain(|_, (mode, _)| *mode == 0o600);
    seal(&workspace, "key");
    workspace.build().success();
    assert!(!workspace.path("out/small/operator/admin.kubeconfig").exists());
    open(&workspace, &workspace.path("out/small/operator/secrets.cms"), &["pki/seal/recovery.key"]).success();
    assert_eq!(opened(&workspace), plain);
    assert_ne!(
        open(&workspace, &workspace.path("out/small/operator/secrets.cms"), &["pki/seal/only.pem"]).code,
        Some(0)
    );
    // As the sheet says it.
    let sheet = workspace.text("out/small/README.txt");
    let commands: Vec<_> = sheet.lines().filter(|line| line.contains("secrets.") && line.starts_with("    ")).collect();
    assert_eq!(commands.len(), 3);
    let script = format!("set -e; cp pki/seal/recovery.key out/small/; cd out/small\n{}", commands.join("\n"));
    run(&workspace, "sh", &["-c", &script]).success();
    assert_eq!(workspace.read("out/small/operator/admin.kubeconfig"), plain["admin.kubeconfig"].1);
}

/// A machine with the packages of a sealed bundle in `/two`, and the keys in `/keys`.
fn carry_packages(machine: &Machine) {
    machine.carry_packages("two", |workspace| seal(workspace, "key"));
    let keys = machine.workspace().path("pki/seal").display().to_string();
    tool("cp", &["-a", &keys, &machine.path("keys").display().to_string()]);
    for (name, script) in KEY_DISK {
        machine.write(&format!("fake/{name}"), script);
        tool("chmod", &["755", &machine.path(&format!("fake/{name}")).display().to_string()]);
    }
}

#[test]
fn a_package_opens_its_secrets_by_itself_or_leaves_its_units_alone() {
    if !has_all(&["openssl"]) {
        return;
    }
    let Some(machine) = Machine::with_dpkg() else { return };
    carry_packages(&machine);
    // The machine's dpkg knows nothing of openssl.
    let install = "setsid dpkg --force-depends -i /two/*.deb";
    let said = machine.run(install).success();
    let fix = "labelled KBKEY with the file only.pem";
    said.says(&["no key is here that opens the secrets of only", fix, "then: kube-bundle-unseal"]);
    assert!(machine.calls().iter().all(|call| !call.contains("start")));
    assert!(!machine.path("var/lib/kubernetes/ca-key.pem").exists());
    machine.run("kube-bundle-status").exits(1).says(&["the secrets of this machine are encrypted yet"]);
    machine.run("setsid kube-bundle-unseal").exits(1);
    machine
        .run("openssl ecparam -genkey -name prime256v1 -noout -out /other; setsid kube-bundle-unseal --key /other")
        .exits(1);
    assert!(machine.calls().iter().all(|call| !call.contains("start")));

    // What fails beside the key is not blamed on it.
    machine.run("cp /usr/bin/kubectl /kubectl; echo worm >>/usr/bin/kubectl").success();
    machine.run("kube-bundle-unseal --key /keys/only.pem").exits(1).says(&[
        "  /usr/bin/kubectl\n",
        "error: it is not for the want of a key that small-only could not be configured",
    ]);
    machine.run("cp /kubectl /usr/bin/kubectl").success();
    machine.run("kube-bundle-unseal --key /keys/only.pem").success();
    let calls = machine.calls();
    assert!(calls.iter().any(|call| call.contains("start") && call.contains("kube-apiserver.service")), "{calls:?}");
    let ca_key = std::fs::read(machine.workspace().path("pki/ca-key.pem")).unwrap();
    assert_eq!(std::fs::read(machine.path("var/lib/kubernetes/ca-key.pem")).unwrap(), ca_key);
    // Without the key, the same again needs none.
    machine.run(install).success();
    assert!(machine.calls().iter().all(|call| !call.contains("start")));

    machine.run("dpkg --remove small-only").success();
    let left = machine.owned_files();
    assert!(left.keys().all(|name| !name.starts_with("var/lib/kubernetes")), "no key is left");
    // With the key disk, nobody has to be there.
    machine.run("mkdir /stick && cp /keys/only.pem /stick/").success();
    machine.calls();
    machine.run(install).success();
    let calls = machine.calls();
    assert!(calls.iter().any(|call| call.contains("start") && call.contains("kube-apiserver.service")), "{calls:?}");
    let there = machine.owned_files();
    assert_eq!(there["var/lib/kubernetes/ca-key.pem"], (0o600, ca_key));
    assert!(nothing_is_left(&machine));
}

#[test]
fn an_upgrade_to_encrypted_secrets_without_a_key_leaves_the_machine_with_those_it_has() {
    if !has_all(&["openssl"]) {
        return;
    }
    let Some(machine) = Machine::with_dpkg() else { return };
    machine.run("dpkg -i /one/*.deb").success();
    let keys = |machine: &Machine| {
        let mut files = machine.owned_files();
        files.retain(|name, (mode, _)| name.starts_with("var/lib/kubernetes/") && *mode == 0o600);
        files.into_iter().map(|(name, (_, bytes))| (name, Sha256::of(&bytes))).collect::<BTreeMap<_, _>>()
    };
    let before = keys(&machine);
    assert!(before.len() > 5);
    machine.calls();
    carry_packages(&machine);
    let install = "setsid dpkg --force-depends -i /two/*.deb";
    machine.run(install).success().says(&["no key is here that opens the secrets of only"]);
    assert_eq!(keys(&machine), before);
    assert!(machine.calls().iter().all(|call| !call.contains("stop")), "units run on");
    // As often as it is tried.
    machine.run(install).success();
    assert_eq!(keys(&machine), before);
    machine.run("kube-bundle-unseal --key /keys/only.pem").success();
    assert_eq!(keys(&machine).len(), before.len());
    let status = machine.run("kube-bundle-status");
    assert!(!status.stderr.contains("encrypted yet"), "{}", status.stderr);
    machine.run("dpkg --remove small-only").success();
    assert_eq!(keys(&machine).len(), 0, "no key is left");
    assert!(!machine.path("var/lib/kube-bundle/kept").exists());
}
