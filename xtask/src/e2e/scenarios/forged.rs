//! A bundle that somebody made with the cluster's own keys, a change of their own, and every list right: whoever knows who
//! signs bundles refuses it, by whichever way it comes.
#![expect(clippy::disallowed_methods, reason = "xtask runs programs and touches files")]

use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::boot;
use super::tarball::unpack;
use crate::e2e::bundle::Bundle;
use crate::e2e::cluster::Cluster;
use crate::e2e::environment::ScenarioContext;
use crate::e2e::files::ensure_same_files;
use crate::e2e::machine::Machine;
use crate::e2e::report_ok;
use crate::e2e::shell::stdout_of;

const FORMATS: &str = "tarball,deb,nocloud";
/// Everything that is a signature.
const SIGNATURES: &str = "SHA256SUMS.sig SHA256SUMS.asc SHA256SUMS.ed25519";
const APT: &str = "apt-get -o Dir::Etc::sourcelist=/etc/apt/sources.list.d/roc.list -o Dir::Etc::sourceparts=- -o APT::Sandbox::User=root";

pub(super) fn forged(context: &ScenarioContext) -> Result<()> {
    let cluster = Cluster::new(context, 1)?;
    let engineer = cluster.directory().to_owned();
    for key in ["key", "evil"] {
        stdout_of("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &path(&engineer, key)])?;
    }
    cluster.run_kube_bundle(&["trust", "init", "trust", "--key", "key"])?;
    let good = cluster.build_as(FORMATS, "good", &["--sign", "key"])?;
    cluster.edit_recipe("kube-scheduler.service", "--v=2", "--v=3")?;
    let forged = cluster.build_as(FORMATS, "forged", &["--sign", "evil"])?;

    verify(&cluster)?;
    let machine = cluster.machines(context)?.remove(0);
    machine.copy_in(&engineer.join("trust"), "etc/kube-bundle")?;
    installer(&machine, &good, &forged)?;
    apt(&machine, &good, &forged)?;
    machine.discard()?;
    first_boot(context, &good, &forged)
}

fn path(directory: &Path, name: &str) -> String {
    directory.join(name).display().to_string()
}

fn verify(cluster: &Cluster) -> Result<()> {
    cluster.run_kube_bundle(&["verify", "good", "--deep", "--trust", "trust"])?;
    cluster.run_kube_bundle(&["verify", "forged", "--deep"])?;
    let trusted = ["verify", "forged", "--trust", "trust"];
    let outcome = cluster.kube_bundle(&trusted)?;
    ensure!(outcome.code == Some(3) && outcome.text.contains("which is not trusted"), "{}", outcome.text);
    // With the signatures of the bundle that it is to be taken for.
    let directory = cluster.directory().display().to_string();
    let copy = format!(
        "cd {directory} && cp -a forged copied && cd good && cp {SIGNATURES} ../copied/ && cp deb/InRelease ../copied/deb/"
    );
    stdout_of("sh", &["-c", &copy])?;
    let outcome = cluster.kube_bundle(&["verify", "copied", "--trust", "trust"])?;
    ensure!(outcome.code == Some(3) && outcome.text.contains("over other bytes"), "{}", outcome.text);
    report_ok(
        "verify --trust: exit code 3, by another key and with copied signatures; without --trust all lists are right",
    );
    Ok(())
}

fn installer(machine: &Machine, good: &Bundle, forged: &Bundle) -> Result<()> {
    let there = unpack(good, machine, "good")?;
    let check = machine.sh(&format!("{there}/install.sh --check"))?;
    ensure!(check.contains("ok           a signature by a key in /etc/kube-bundle/trust"), "{check}");
    let before = machine.files()?;
    let evil = unpack(forged, machine, "forged")?;
    let refused = ["has no signature by a key in /etc/kube-bundle/trust", "Nothing was changed."];
    machine.expect_failure(&format!("{evil}/install.sh"), &refused)?;
    machine.sh(&format!("cd {there} && cp {SIGNATURES} {evil}/"))?;
    machine.expect_failure(&format!("{evil}/install.sh"), &refused)?;
    machine.sh(&format!("cd {evil} && rm {SIGNATURES}"))?;
    machine.expect_failure(&format!("{evil}/install.sh"), &refused)?;
    machine.sh("rm -r /root/forged")?;
    ensure_same_files(&before, &machine.files()?)?;
    report_ok("install.sh: refused by another key, with copied signatures and without any; nothing changed");
    Ok(())
}

fn apt(machine: &Machine, good: &Bundle, forged: &Bundle) -> Result<()> {
    let source = "deb [signed-by=/etc/kube-bundle/trust/apt.gpg] file:/srv/deb ./\n";
    machine.write("etc/apt/sources.list.d/roc.list", source)?;
    let update = format!("{APT} -o APT::Update::Error-Mode=any update 2>&1");
    let serve = |bundle: &Bundle| -> Result<()> {
        machine.sh("rm -rf /srv/deb /var/lib/apt/lists")?;
        machine.copy_in(&bundle.out.join("deb"), "srv")
    };
    serve(good)?;
    machine.sh(&update)?;
    serve(forged)?;
    // gpgv prints NO_PUBKEY, and sqv, which apt takes since Debian trixie, "Missing key"; both name the repository.
    machine.expect_failure(&update, &["is not signed", "InRelease"])?;
    machine.sh(&format!("({update}) | grep -E 'NO_PUBKEY|Missing key'"))?;
    machine.copy_in(&good.out.join("deb/InRelease"), "srv/deb")?;
    machine.expect_failure(&update, &["E:"])?;
    machine.sh("rm /srv/deb/InRelease")?;
    machine.expect_failure(&update, &["is not signed"])?;
    report_ok("apt: refused by another key, with a copied InRelease and without one");
    Ok(())
}

/// User data comes another way than what it installs, so its digests and its keys count.
fn first_boot(context: &ScenarioContext, good: &Bundle, forged: &Bundle) -> Result<()> {
    let mut machine = boot::machine(context, good, "forged")?;
    boot::write_seed(&machine, good, "deb/*.deb")?;
    let name = good.package("roc-master-1")?;
    let name = name.file_name().context("a package has a name")?;
    let place = machine.path(boot::SEED).join(name);
    std::fs::copy(forged.package("roc-master-1")?, place).context("could not exchange a package")?;
    machine.boot()?;
    boot::ensure_refused(&machine, &["expected sha256", "This machine was not set up."])?;
    boot::ensure_untouched(&machine)?;
    machine.discard()?;

    let mut machine = boot::machine(context, good, "good")?;
    boot::write_seed(&machine, good, "deb/*.deb")?;
    machine.boot()?;
    boot::ensure_installed(&machine)?;
    let trust =
        machine.sh("stat -c %a /etc/kube-bundle/trust/allowed_signers; cat /etc/kube-bundle/trust/allowed_signers")?;
    let expected = std::fs::read_to_string(good.out.with_file_name("trust").join("allowed_signers"));
    ensure!(trust == format!("644\n{}", expected.context("could not read the list of trusted keys")?), "{trust}");
    report_ok("first boot: a forged payload is refused, and a good one plants who signs the next");
    Ok(())
}
