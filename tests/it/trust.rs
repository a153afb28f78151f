//! A signed bundle is known for what it is by the programs that a machine has, and any other is refused.

use std::path::Path;
use std::process::{Command, Stdio};

use kube_bundle::manifest::MOST_SIGNERS;
use kube_bundle::sign::{KeyReference, Signer};
use kube_bundle::trust::Trust;
use time::OffsetDateTime;

use crate::harness::{Run, Workspace, has, has_all, tool};
use crate::machine::Machine;
use crate::repository::apt_with;

/// A workspace with the keys `key` and `other`, and `trust/` with the first.
fn workspace() -> Workspace {
    let workspace = Workspace::small(3000);
    for name in ["key", "other"] {
        new_key(&workspace, name, "");
    }
    workspace.run(&["trust", "init", "trust", "--key", "key", "-q"]).success();
    workspace
}

/// A key as ssh-keygen makes it.
fn new_key(workspace: &Workspace, name: &str, passphrase: &str) {
    let path = workspace.path(name).display().to_string();
    tool("ssh-keygen", &["-q", "-t", "ed25519", "-N", passphrase, "-C", "", "-f", &path]);
}

/// A bundle in all formats, signed with `key`.
fn signed() -> Workspace {
    let workspace = workspace();
    sign_build(&workspace, "key");
    workspace
}

fn sign_build(workspace: &Workspace, key: &str) {
    let build = ["build", "--offline", "--from", "files", "--format", "tarball,deb", "-q", "--sign", key];
    workspace.run(&build).success();
}

fn ssh_verify(workspace: &Workspace, more: &[&str]) -> Run {
    let arguments = ["-Y", "verify", "-n", "kube-bundle", "-I", "release", "-f", "trust/allowed_signers"];
    let arguments = [&arguments, more, &["-s", "out/small/SHA256SUMS.sig"]].concat();
    let sums = std::fs::File::open(workspace.path("out/small/SHA256SUMS")).unwrap();
    let command = Command::new("ssh-keygen").args(arguments).current_dir(workspace.path("")).stdin(sums).output();
    Run::from(command.unwrap())
}

fn run(workspace: &Workspace, program: &str, arguments: &[&str]) -> Run {
    let output = Command::new(program).args(arguments).current_dir(workspace.path("")).stdin(Stdio::null()).output();
    Run::from(output.unwrap())
}

/// What gpgv and sqv take: the certificate, the signature, and what is signed.
const OPENPGP: [&str; 4] = ["--keyring", "./trust/apt.gpg", "out/small/SHA256SUMS.asc", "out/small/SHA256SUMS"];

fn openssl_verify(workspace: &Workspace) -> Run {
    run(workspace, "openssl", &["base64", "-d", "-in", "out/small/SHA256SUMS.ed25519", "-out", "raw"]).success();
    let arguments = ["pkeyutl", "-verify", "-pubin", "-inkey", "trust/release.pem", "-rawin"];
    run(workspace, "openssl", &[&arguments[..], &["-in", "out/small/SHA256SUMS", "-sigfile", "raw"]].concat())
}

#[test]
fn every_program_that_a_machine_may_have_takes_a_signed_bundle_and_refuses_a_changed_one() {
    if !has_all(&["ssh-keygen", "gpgv", "sqv", "openssl"]) {
        return;
    }
    let workspace = signed();
    ssh_verify(&workspace, &[]).success();
    run(&workspace, "gpgv", &OPENPGP).success();
    run(&workspace, "sqv", &OPENPGP).success();
    openssl_verify(&workspace).success();

    workspace.edit("out/small/SHA256SUMS", "manifest.json", "manifest.jsom");
    assert_ne!(ssh_verify(&workspace, &[]).code, Some(0));
    assert_ne!(run(&workspace, "gpgv", &OPENPGP).code, Some(0));
    assert_ne!(run(&workspace, "sqv", &OPENPGP).code, Some(0));
    assert_ne!(openssl_verify(&workspace).code, Some(0));
}

#[test]
fn no_program_takes_another_key_than_the_trusted_one() {
    if !has_all(&["ssh-keygen", "gpgv", "sqv", "openssl"]) {
        return;
    }
    let workspace = signed();
    workspace.run(&["trust", "init", "trust", "--key", "other", "-q"]).success();
    assert_ne!(ssh_verify(&workspace, &[]).code, Some(0));
    assert_ne!(run(&workspace, "gpgv", &OPENPGP).code, Some(0));
    assert_ne!(run(&workspace, "sqv", &OPENPGP).code, Some(0));
    assert_ne!(openssl_verify(&workspace).code, Some(0));
    workspace
        .run(&["verify", "out/small", "--trust", "trust"])
        .exits(3)
        .says(&["which is not trusted", "hint: get it from whom"]);
}

#[test]
fn verify_with_trusted_keys_wants_a_signature_by_one_of_them() {
    if !has("ssh-keygen") {
        return;
    }
    let workspace = signed();
    let fingerprint = tool("ssh-keygen", &["-lf", &workspace.path("key").display().to_string()]);
    let fingerprint = fingerprint.split(' ').nth(1).unwrap();
    let verified = workspace.run(&["verify", "out/small", "--trust", "trust"]).success();
    let last = format!("signed by the trusted key {fingerprint}");
    assert_eq!(verified.stdout.lines().last(), Some(last.as_str()));
    let archive = workspace.run(&["verify", Workspace::ARCHIVE, "--trust", "trust"]).success();
    assert_eq!(archive.stdout.lines().last(), Some(last.as_str()));
    let without = workspace.run(&["verify", "out/small"]).success();
    let last = format!(
        "origin not checked: it is signed by the key {fingerprint}, and `--trust DIR` compares who signed it with the keys in DIR"
    );
    assert_eq!(without.stdout.lines().last(), Some(last.as_str()));

    workspace.build().success();
    let sign = "hint: whoever built it signs it with `kube-bundle sign OUT --key KEY`";
    workspace
        .run(&["verify", "out/small", "--trust", "trust"])
        .exits(3)
        .says(&["SHA256SUMS: it has no signature", sign]);
    // What is damaged besides comes first.
    let readme = workspace.text("out/small/README.txt");
    workspace.write("out/small/README.txt", "shorter");
    workspace.run(&["verify", "out/small", "--trust", "trust"]).exits(3).says(&["hint: copy it again"]);
    workspace.write("out/small/README.txt", readme);
    workspace.run(&["verify", Workspace::ARCHIVE, "--trust", "trust"]).exits(3).says(&["it has no signature"]);
    workspace.run(&["verify", "out/small", "--trust", "nothing"]).exits(1).says(&["kube-bundle trust init DIR"]);
}

#[test]
fn verify_misses_each_signature_that_some_machine_would_miss() {
    if !has("ssh-keygen") {
        return;
    }
    let workspace = signed();
    for name in ["SHA256SUMS.sig", "SHA256SUMS.ed25519", "SHA256SUMS.asc", "deb/InRelease"] {
        let path = workspace.path("out/small").join(name);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        workspace.run(&["verify", "out/small", "--trust", "trust"]).exits(3).says(&[&format!("{name}: missing")]);
        workspace.write("elsewhere", &bytes);
        std::os::unix::fs::symlink(workspace.path("elsewhere"), &path).unwrap();
        workspace.run(&["verify", "out/small", "--trust", "trust"]).exits(3).says(&[&format!("{name}: ")]);
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, &bytes).unwrap();
    }
    workspace.run(&["verify", "out/small", "--trust", "trust"]).success();
}

/// The signature names its key, so with another letter it may look like one by a key that nobody trusts.
#[test]
fn each_changed_letter_of_a_signature_is_noticed() {
    if !has("ssh-keygen") {
        return;
    }
    let workspace = signed();
    let out = workspace.path("out/small");
    let trust = Trust::read(&workspace.path("trust"), OffsetDateTime::now_utc()).unwrap();
    let faults = || kube_bundle::verify::directory(&out, false, Some(&trust)).unwrap().faults;
    assert_eq!(faults(), Vec::<String>::new());
    for name in ["SHA256SUMS.sig", "SHA256SUMS.asc", "SHA256SUMS.ed25519", "deb/InRelease"] {
        let file = format!("out/small/{name}");
        let right = workspace.read(&file);
        for at in 0..right.len() {
            let mut changed = right.clone();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            workspace.write(&file, changed);
            assert!(!faults().is_empty(), "{name}, byte {at}");
        }
        workspace.write(&file, right);
    }
}

#[test]
fn verify_misses_them_in_an_archive_that_is_carried_alone() {
    if !has_all(&["ssh-keygen", "bsdtar"]) {
        return;
    }
    let workspace = signed();
    for name in ["SHA256SUMS.sig", "SHA256SUMS.ed25519", "SHA256SUMS.asc"] {
        let archive = format!("@{}", Workspace::ARCHIVE);
        run(&workspace, "bsdtar", &["-czf", "one.tar.gz", "--exclude", name, &archive]).success();
        let verify = workspace.run(&["verify", "one.tar.gz", "--trust", "trust"]).exits(3);
        verify.says(&[&format!("{name}: missing")]);
        workspace.run(&["verify", "one.tar.gz"]).success();
    }
}

#[test]
fn an_archive_that_as_many_as_may_have_signed_is_verified() {
    if !has("ssh-keygen") {
        return;
    }
    let workspace = Workspace::small(1000);
    let keys: Vec<_> = (1..=MOST_SIGNERS).map(|number| format!("key{number}")).collect();
    for key in &keys {
        new_key(&workspace, key, "");
    }
    workspace.run(&["trust", "init", "trust", "--key", keys.last().unwrap(), "-q"]).success();
    let signers = keys.iter().flat_map(|key| ["--sign", key]);
    workspace
        .run(&["build", "--offline", "--from", "files", "-q"].into_iter().chain(signers).collect::<Vec<_>>())
        .success();
    workspace.run(&["verify", "out/small", "--trust", "trust", "--deep"]).success();
    workspace.run(&["verify", Workspace::ARCHIVE, "--trust", "trust"]).success();
}

#[test]
fn a_bundle_can_be_signed_after_it_was_built_but_not_after_it_was_damaged() {
    if !has("ssh-keygen") {
        return;
    }
    let workspace = workspace();
    workspace.run(&["build", "--offline", "--from", "files", "--format", "tarball,deb", "-q"]).success();
    let before = workspace.text("out/small/SHA256SUMS");
    workspace.run(&["sign", "out/small", "--key", "key"]).success();
    assert_eq!(workspace.text("out/small/SHA256SUMS"), before);
    workspace.run(&["verify", "out/small", "--trust", "trust"]).success();
    // The signatures are the build's own, so the next build may replace them, and says so.
    workspace.build().success().says(&["was signed before, and is not any more", "kube-bundle sign out/small"]);
    assert!(!workspace.path("out/small/SHA256SUMS.sig").exists());

    workspace.edit("out/small/README.txt", "network", "Network");
    workspace.run(&["sign", "out/small", "--key", "key"]).exits(3).says(&["README.txt: expected sha256"]);
    assert!(!workspace.path("out/small/SHA256SUMS.sig").exists());
}

#[test]
fn the_same_bundle_gets_the_same_signatures() {
    if !has("ssh-keygen") {
        return;
    }
    let workspace = signed();
    let first = crate::harness::files(&workspace.path("out/small"));
    sign_build(&workspace, "key");
    assert_eq!(crate::harness::files(&workspace.path("out/small")), first);
    // And they are those that ssh-keygen makes.
    let sums = workspace.path("out/small/SHA256SUMS").display().to_string();
    let ours = std::fs::read(workspace.path("out/small/SHA256SUMS.sig")).unwrap();
    std::fs::remove_file(workspace.path("out/small/SHA256SUMS.sig")).unwrap();
    tool(
        "ssh-keygen",
        &["-q", "-Y", "sign", "-n", "kube-bundle", "-f", &workspace.path("key").display().to_string(), &sums],
    );
    assert_eq!(std::fs::read(workspace.path("out/small/SHA256SUMS.sig")).unwrap(), ours);
}

#[test]
fn a_key_is_replaced_by_signing_with_both_and_then_revoking_the_old_one() {
    if !has_all(&["ssh-keygen", "gpgv", "sqv"]) {
        return;
    }
    let workspace = workspace();
    let build = ["build", "--offline", "--from", "files", "-q", "--sign", "other", "--sign", "key"];
    workspace.run(&build).success();
    // Whoever knows only one of the keys is content, whichever it is.
    for key in ["key", "other"] {
        workspace.run(&["trust", "init", "trust", "--key", key, "-q"]).success();
        workspace.run(&["verify", "out/small", "--trust", "trust"]).success().says(&["which is not trusted"]);
        workspace.run(&["verify", Workspace::ARCHIVE, "--trust", "trust"]).success();
        let status = run(&workspace, "gpgv", &[&["--status-fd", "1"], &OPENPGP[..]].concat());
        assert!(status.stdout.contains("VALIDSIG") && !status.stdout.contains("BADSIG"), "{status:?}");
        run(&workspace, "sqv", &OPENPGP).success();
    }
    workspace.run(&["trust", "init", "trust", "--key", "key", "--key", "other", "-q"]).success();
    let both = workspace.run(&["verify", "out/small", "--trust", "trust"]).success().stdout;
    assert_eq!(both.lines().last().unwrap().matches("SHA256:").count(), 2);

    // Only its owner can make what gpgv and apt need of a key.
    workspace
        .run(&["trust", "init", "known", "--key", "key.pub"])
        .success()
        .says(&["gpgv and apt can't check signatures by the key SHA256:", "ask the key's owner"]);
    workspace.run(&["verify", "out/small", "--trust", "known"]).success();
    assert!(workspace.path("known/release.pem").exists() && !workspace.path("known/apt.gpg").exists());
    workspace.run(&["trust", "init", "known", "--key", "key.pub", "--key", "key"]).exits(2).says(&["is named twice"]);

    sign_build(&workspace, "other");
    let verified = workspace.run(&["verify", "out/small"]).success().stdout;
    assert!(verified.contains("origin not checked: it is signed by the key SHA256:"), "{verified}");
    workspace.run(&["trust", "init", "trust", "--key", "key", "--revoke", "other.pub", "-q"]).success();
    workspace.run(&["verify", "out/small", "--trust", "trust"]).exits(3).says(&["which is revoked"]);
    // Even where the list of allowed keys still has it.
    workspace.run(&["trust", "init", "both", "--key", "key", "--key", "other", "-q"]).success();
    workspace.write("trust/allowed_signers", workspace.text("both/allowed_signers"));
    ssh_verify(&workspace, &[]).success();
    assert_ne!(ssh_verify(&workspace, &["-r", "trust/revoked_keys"]).code, Some(0));
    workspace.run(&["verify", "out/small", "--trust", "trust"]).exits(3).says(&["which is revoked"]);
    workspace.run(&["trust", "init", "trust", "--key", "key", "--revoke", "key.pub"]).exits(2);
}

#[test]
fn a_key_is_trusted_only_for_bundles_and_only_in_its_time() {
    if !has("ssh-keygen") {
        return;
    }
    let workspace = signed();
    let list = workspace.text("trust/allowed_signers");
    for (option, says) in [
        ("namespaces=\"kube-bundle\",valid-before=\"20200101Z\"", "trusted until 2020-01-01"),
        ("namespaces=\"kube-bundle\",valid-after=\"20990101Z\"", "trusted from 2099-01-01 on"),
        ("namespaces=\"git\"", "which is not trusted"),
    ] {
        workspace.write("trust/allowed_signers", list.replace("namespaces=\"kube-bundle\"", option));
        workspace.run(&["verify", "out/small", "--trust", "trust"]).exits(3).says(&[says]);
        assert_ne!(ssh_verify(&workspace, &[]).code, Some(0), "{option}");
    }
    for option in ["namespaces=\"git,kube-bundle\",valid-before=\"20991231Z\"", "valid-after=\"20200101\""] {
        workspace.write("trust/allowed_signers", list.replace("namespaces=\"kube-bundle\"", option));
        workspace.run(&["verify", "out/small", "--trust", "trust"]).success();
        ssh_verify(&workspace, &[]).success();
    }
    // A line that only ssh-keygen understands may forbid something.
    workspace.write("trust/allowed_signers", list.replace("namespaces", "cert-authority,namespaces"));
    workspace.run(&["verify", "out/small", "--trust", "trust"]).exits(1).says(&["line 1", "cert-authority"]);
    // Signed for something else by the same key.
    workspace.write("trust/allowed_signers", &list);
    std::fs::remove_file(workspace.path("out/small/SHA256SUMS.sig")).unwrap();
    let sums = workspace.path("out/small/SHA256SUMS").display().to_string();
    tool("ssh-keygen", &["-q", "-Y", "sign", "-n", "file", "-f", &workspace.path("key").display().to_string(), &sums]);
    workspace.run(&["verify", "out/small", "--trust", "trust"]).exits(3).says(&["another purpose"]);
}

/// What may stand before a key in `allowed_signers`.
const LINES: &[&str] = &[
    "release",
    "rel*",
    "re?ease",
    "*",
    "mallory@example",
    "release@example",
    "Release",
    "release?",
    "releas",
    "other,release",
    "!release,other",
    "!release,*",
    "*,!release",
    "!other,release",
    "!other",
    "!re*,release",
    ",release",
    "release,",
    "!,release",
    "**e**,x",
    "*l*e*s*",
    "*l*e*x",
    "release namespaces=\"kube-bundle\"",
    "release namespaces=\"kube-bundle-rebuilt\"",
    "release namespaces=\"kube-bundle,file\"",
    "release namespaces=\"file,kube-*\"",
    "release namespaces=\"kube?bundle\"",
    "release namespaces=\"kube-bundl\"",
    "release namespaces=\"!kube-bundle,*\"",
    "release namespaces=\"*,!kube-bundle\"",
    "release namespaces=\"!kube-bundle-rebuilt,*\"",
    "release namespaces=\"!file\"",
    "release namespaces=\"\"",
    "release namespaces=kube-bundle",
    "release NAMESPACES=\"kube-bundle\"",
    "release valid-after=\"20200101\"",
    "release valid-after=20200101",
    "release valid-before=\"20200101Z\"",
    "release valid-after=\"20200101Z\",namespaces=\"kube-*\"",
    "release namespaces=\"kube-*\",valid-before=\"20200101Z\"",
    "mallory valid-after=\"20200101Z\"",
    "release nonsense",
    "release cert-authority",
    "mallory nonsense",
];

#[test]
fn a_line_of_allowed_signers_means_to_us_what_it_means_to_ssh_keygen() {
    if !has("ssh-keygen") {
        return;
    }
    let workspace = signed();
    let key = workspace.text("key.pub");
    let text = workspace.text("out/small/SHA256SUMS");
    let signature = workspace.text("out/small/SHA256SUMS.sig");
    let mut taken = 0;
    for line in LINES {
        workspace.write("trust/allowed_signers", format!("{line} {key}"));
        let trust = Trust::read(&workspace.path("trust"), OffsetDateTime::now_utc());
        let is_taken = trust.is_ok_and(|trust| trust.signer("SHA256SUMS.sig", &signature, text.as_bytes()).is_ok());
        assert_eq!(is_taken, ssh_verify(&workspace, &[]).code == Some(0), "{line}");
        taken += usize::from(is_taken);
    }
    assert!(taken > 10 && LINES.len() - taken > 10, "{taken}");
}

#[test]
fn apt_takes_the_repository_for_what_its_key_says() {
    if !has_all(&["ssh-keygen", "apt-get"]) {
        return;
    }
    let workspace = signed();
    let source = format!("file:{}", workspace.path("out/small/deb").display());
    let update = |keyring: &str| {
        let options = format!("signed-by={}", workspace.path(keyring).display());
        let _ = std::fs::remove_dir_all(workspace.path("apt"));
        apt_with(&workspace, &options, &source, "apt-get", &["update", "-o", "APT::Update::Error-Mode=any"])
    };
    let good = update("trust/apt.gpg").success();
    assert!(!good.stdout.contains("Err:") && good.stderr.is_empty(), "{good:?}");
    workspace.run(&["trust", "init", "wrong", "--key", "other", "-q"]).success();
    assert_ne!(update("wrong/apt.gpg").code, Some(0));
    workspace.edit("out/small/deb/InRelease", "Origin: kube-bundle", "Origin: kube-bundlf");
    assert_ne!(update("trust/apt.gpg").code, Some(0));
    workspace.run(&["verify", "out/small", "--trust", "trust"]).exits(3).says(&["deb/InRelease: the text in it"]);
    std::fs::remove_file(workspace.path("out/small/deb/InRelease")).unwrap();
    assert_ne!(update("trust/apt.gpg").code, Some(0), "Release alone has no signature");
}

#[test]
fn keys_in_every_usual_file_sign_and_others_are_named() {
    if !has_all(&["ssh-keygen", "openssl"]) {
        return;
    }
    let workspace = signed();
    run(&workspace, "openssl", &["genpkey", "-algorithm", "ed25519", "-out", "pkcs8"]).success();
    run(&workspace, "openssl", &["genpkey", "-algorithm", "rsa", "-out", "rsa"]).success();
    new_key(&workspace, "closed", "a passphrase");
    workspace.run(&["sign", "out/small", "--key", "pkcs8"]).success();
    workspace.run(&["trust", "init", "trust", "--key", "pkcs8", "-q"]).success();
    openssl_verify(&workspace).success();
    workspace.run(&["verify", "out/small", "--trust", "trust"]).success();
    for (key, says) in [
        ("rsa", "not an Ed25519 key"),
        ("closed", "hint: `ssh-add FILE`"),
        ("key.pub", "no private key"),
        ("cluster.toml", "ssh-keygen -t ed25519"),
        ("agent:SHA256:x", "SSH_AUTH_SOCK is not set"),
    ] {
        workspace.run(&["sign", "out/small", "--key", key]).exits(1).says(&[says]);
    }
    workspace.run(&["sign", "out/small", "--key", "agent:x"]).exits(2).says(&["ssh-add -l"]);
}

#[test]
fn an_agent_signs_with_a_key_that_has_a_passphrase() {
    if !has_all(&["ssh-agent", "ssh-add"]) {
        return;
    }
    let workspace = workspace();
    new_key(&workspace, "closed", "a passphrase");
    workspace.write("ask", "#!/bin/sh\necho a passphrase\n");
    tool("chmod", &["+x", &workspace.path("ask").display().to_string()]);
    let program = env!("CARGO_BIN_EXE_kube-bundle");
    let script = format!(
        "export SSH_ASKPASS=$PWD/ask SSH_ASKPASS_REQUIRE=force; ssh-add -q closed && key=agent:$(ssh-add -l | cut -d' ' -f2) &&
        {program} build --offline --from files --format tarball,deb -q --sign $key &&
        {program} trust init trust --key $key -q"
    );
    let mut command = Command::new("ssh-agent");
    command.args(["sh", "-c", &script]).current_dir(workspace.path("")).env("XDG_CACHE_HOME", workspace.path("cache"));
    Run::from(command.output().unwrap()).success();
    workspace.run(&["verify", "out/small", "--trust", "trust"]).success();
    run(&workspace, "gpgv", &OPENPGP).success();
}

/// In one of 256 signatures a number begins with a zero, which OpenPGP leaves out.
#[test]
fn gpgv_takes_the_signature_of_any_text() {
    if !has_all(&["ssh-keygen", "gpgv"]) {
        return;
    }
    let workspace = workspace();
    workspace.build().success();
    let manifest = workspace.text("out/small/manifest.json");
    let signer = [Signer::open(&KeyReference::File(workspace.path("key"))).unwrap()];
    let mut short = 0;
    for number in 0..400 {
        let directory = format!("out/{number}");
        workspace.write(&format!("{directory}/SHA256SUMS"), format!("text {number}\n"));
        workspace.write(&format!("{directory}/manifest.json"), &manifest);
        kube_bundle::sign::bundle(&workspace.path(&directory), &signer).unwrap();
        let text = |name: &str| format!("{directory}/{name}");
        run(&workspace, "gpgv", &["-q", "--keyring", "./trust/apt.gpg", &text("SHA256SUMS.asc"), &text("SHA256SUMS")])
            .success();
        short += usize::from(workspace.text(&text("SHA256SUMS.asc")).len() < 286);
    }
    assert!(short > 0, "no number began with a zero");
}

#[test]
fn a_machine_knows_from_its_first_boot_on_who_signs_its_bundles() {
    if !has("ssh-keygen") {
        return;
    }
    let workspace = workspace();
    let long = "n".repeat(63);
    workspace.edit("cluster.toml", "\"only\"", &format!("\"{long}\""));
    let build = ["build", "--offline", "--from", "files", "--format", "nocloud", "-q"];
    workspace.run(&[&build[..], &["--sign", "key"]].concat()).success();
    let user_data = workspace.text(&format!("out/small/nodes/{long}/nocloud/user-data"));
    let trusted = format!("  trusted='{}'\n", workspace.text("trust/allowed_signers").trim_end());
    assert!(user_data.contains(&trusted), "{user_data}");
    assert!(user_data.len() < 14 << 10, "clouds take 16 KiB, and this has {}", user_data.len());
    workspace.run(&build).success();
    assert!(workspace.text(&format!("out/small/nodes/{long}/nocloud/user-data")).contains("  trusted=''\n"));
}

/// Copies the unpacked archive of the signed bundle and the trusted keys to a machine.
fn machine() -> Option<Machine> {
    let machine = Machine::new()?;
    // ssh-keygen asks who runs it.
    machine.write("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
    for name in ["key", "other"] {
        new_key(machine.workspace(), name, "");
    }
    machine.workspace().run(&["trust", "init", "trust", "--key", "key", "-q"]).success();
    machine.carry_signed("one", "key");
    copy(&machine.workspace().path("trust"), &machine.path("trust"));
    Some(machine)
}

fn copy(from: &Path, to: &Path) {
    tool("cp", &["-a", &from.display().to_string(), &to.display().to_string()]);
}

#[test]
fn the_installer_wants_a_signature_where_keys_are_known() {
    if !has_all(&["ssh-keygen", "gpgv", "sqv", "openssl"]) {
        return;
    }
    let Some(machine) = machine() else { return };
    let without = machine.run("/one/install.sh --check").success();
    assert!(without.stdout.contains("not checked  who signed it"), "{}", without.stdout);
    let check = machine.run("/one/install.sh --check --trust /trust").success();
    assert!(check.stdout.contains("ok           a signature by a key in /trust"), "{}", check.stdout);
    machine.run("mkdir -p /etc/kube-bundle && cp -a /trust /etc/kube-bundle/ && /one/install.sh").success();
    // Each program alone, by what it reads.
    for (program, file) in [("ssh-keygen", "allowed_signers"), ("gpgv", "apt.gpg"), ("openssl", "release.pem")] {
        let alone =
            format!("mkdir /{program} && cp /trust/{file} /{program}/ && /one/install.sh --check --trust /{program}");
        let good = machine.run(&alone).success();
        assert!(good.stdout.contains(&format!("ok           a signature by a key in /{program}")), "{}", good.stdout);
    }
    let before = machine.files();
    // A changed file, with lists that agree; a signature that is missing; one by another key; keys from the same stick.
    machine.run("echo >>/one/README.txt; sum=$(sha256sum </one/README.txt); sed -i \"s/^.*  README.txt/${sum%-}README.txt/\" /one/SHA256SUMS; cd /one && sha256sum -c --quiet SHA256SUMS").success();
    for trust in ["/trust", "/ssh-keygen", "/gpgv", "/openssl"] {
        machine.run(&format!("/one/install.sh --trust {trust}")).exits(1).says(&["has no signature by a key in"]);
    }
    machine.run("rm /one/SHA256SUMS.*; /one/install.sh").exits(1).says(&["has no signature by a key in"]);
    machine.carry_signed("two", "other");
    machine.run("/two/install.sh").exits(1).says(&["has no signature by a key in /etc/kube-bundle/trust"]);
    machine.run("cp -a /trust /two/; /two/install.sh --trust /two/trust").exits(1).says(&["came with this bundle"]);
    machine.run("mkdir /empty; /two/install.sh --trust /empty").exits(1).says(&["no program here verifies"]);
    machine.run("/two/install.sh --trust /none").exits(2);
    assert_eq!(machine.files(), before, "nothing was changed");
}

/// `sign` can't add anything to archives, so what is signed is the archive itself.
#[test]
fn an_archive_of_a_bundle_that_was_signed_later_is_installed_with_the_list_beside_it() {
    if !has_all(&["ssh-keygen", "gpgv", "openssl"]) {
        return;
    }
    let Some(machine) = machine() else { return };
    machine.run("mkdir -p /etc/kube-bundle && cp -a /trust /etc/kube-bundle/").success();
    machine.carry("one", |_| {});
    let workspace = machine.workspace();
    workspace.run(&["sign", "out/small", "--key", "key"]).success().says(&[
        "warning: archives inside have no signature of their own",
        "`install.sh --archive FILE`",
        "`kube-bundle build --sign`",
    ]);
    let stick = ["SHA256SUMS", "SHA256SUMS.sig", "SHA256SUMS.asc", "SHA256SUMS.ed25519"]
        .map(|name| format!("out/small/{name}"));
    std::fs::create_dir_all(machine.path("stick")).unwrap();
    for file in stick.iter().map(String::as_str).chain([Workspace::ARCHIVE]) {
        copy(&workspace.path(file), &machine.path("stick"));
    }
    copy(&workspace.path("out/small"), &machine.path("bundle"));
    let archive = "/stick/small-only-v1.16.0-amd64.tar.gz";
    machine.run("/one/install.sh --check").exits(1).says(&["install with --archive FILE", "SHA256SUMS.sig beside it"]);
    for trust in ["", "--trust /trust"] {
        let check = machine.run(&format!("/one/install.sh --check --archive {archive} {trust}")).success();
        assert!(check.stdout.contains("ok           a signature by a key in /"), "{}", check.stdout);
    }
    let inside = "/bundle/nodes/only/small-only-v1.16.0-amd64.tar.gz";
    machine.run(&format!("/one/install.sh --check --archive {inside}")).success();
    machine.run(&format!("mv {archive} /stick/renamed; /one/install.sh --check --archive /stick/renamed; code=$?; mv /stick/renamed {archive}; exit $code")).success();
    for (program, file) in [("gpgv", "apt.gpg"), ("openssl", "release.pem")] {
        let alone = format!("mkdir /{program} && cp /trust/{file} /{program}/");
        machine.run(&format!("{alone} && /one/install.sh --check --archive {archive} --trust /{program}")).success();
    }
    let before = machine.files();
    let refused = |change: &str, says: &[&str]| {
        let script = format!(
            "cp -a /stick /changed; cp -a /one /unpacked; archive=/changed/small-only-v1.16.0-amd64.tar.gz; {change}; /unpacked/install.sh --archive $archive; code=$?; rm -rf /changed /unpacked; exit $code"
        );
        machine.run(&script).exits(1).says(says);
    };
    let forged = "echo >>/unpacked/README.txt; sum=$(sha256sum </unpacked/README.txt); sed -i \"s/^.*  README.txt/${sum%-}README.txt/\" /unpacked/SHA256SUMS";
    refused(forged, &["/unpacked is not what /changed/small-only"]);
    refused("echo >>/unpacked/README.txt", &["README.txt: changed", "this bundle is damaged"]);
    refused("printf x >>$archive", &["is not what was signed: /changed/SHA256SUMS has no such file"]);
    let both =
        "printf x >>$archive; sum=$(sha256sum <$archive); sed -i \"s/^.*  nodes/${sum%-}nodes/\" /changed/SHA256SUMS";
    refused(both, &["/changed/SHA256SUMS has no signature by a key in /etc/kube-bundle/trust, or was changed"]);
    refused("rm /changed/SHA256SUMS.*", &["/changed/SHA256SUMS has no signature by a key in"]);
    refused("rm /changed/SHA256SUMS", &["there is no SHA256SUMS beside /changed/small-only"]);
    refused("chmod 777 /changed", &["everybody may write to /changed", "to /root, as root"]);
    machine.run("/one/install.sh --archive /none").exits(2).says(&["--archive: /none is no file"]);
    let no_keys = format!("mount -t tmpfs none /etc/kube-bundle; /one/install.sh --archive {archive}");
    machine.run(&no_keys).exits(1).says(&["can not be checked: no trusted keys are here", "--trust DIR"]);
    assert_eq!(machine.files(), before, "nothing was changed");
    machine.run(&format!("/one/install.sh --archive {archive}")).success();
    workspace.run(&["build", "--offline", "--from", "files", "-q", "--sign", "key"]).success();
    let again = workspace.run(&["sign", "out/small", "--key", "key"]).success();
    assert!(!again.stderr.contains("warning"), "{}", again.stderr);
    let key = workspace.path("another").display().to_string();
    tool("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", &key]);
    workspace
        .run(&["sign", "out/small", "--key", "another"])
        .success()
        .says(&["warning: archives inside are still signed by the key SHA256:", "`install.sh --archive FILE`"]);
}
