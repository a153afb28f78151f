//! First boots of virtual machines whose secrets are encrypted.
#![expect(clippy::disallowed_methods, reason = "xtask touches files")]

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::boot::{machine, node};
use super::sealed::open_for_people;
use super::vms::{SUCCESS, ensure_console_shows, ensure_healthy_master, run_both};
use crate::e2e::cluster::Cluster;
use crate::e2e::environment::ScenarioContext;
use crate::e2e::report_ok;
use crate::e2e::shell::stdout_of;
use crate::e2e::vm::{Boot, Vm};

pub(super) fn key_disk(context: &ScenarioContext) -> Result<()> {
    let cluster = Cluster::new(context, 1)?;
    cluster.edit("cluster.toml", "[[nodes]]", "[secrets]\nseal = \"key\"\n[[nodes]]")?;
    let bundle = cluster.build_as("nocloud", "one", &[])?;
    open_for_people(&bundle)?;
    let right = bundle.out.with_file_name("pki").join("seal/master-1.pem");
    let wrong = context.work.join("wrong.pem");
    stdout_of(
        "openssl",
        &["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", &wrong.display().to_string()],
    )?;
    let disks = |name: &str, key: &Path| -> Result<[PathBuf; 2]> {
        Ok([node(&bundle).join("cidata.iso"), make_key_disk(&context.work.join(name), key)?])
    };
    let (with_key, with_wrong_key) = (disks("right.img", &right)?, disks("wrong.img", &wrong)?);
    let mut one = Vm::new(&machine(context, &bundle, "key")?, false)?;
    let mut two = Vm::new(&machine(context, &bundle, "wrong-key")?, false)?;
    let [console, refusal] = run_both(
        context,
        || one.boot(&Boot { disks: &with_key, ..Boot::default() }),
        || two.boot(&Boot { disks: &with_wrong_key, ..Boot::default() }),
    )?;
    ensure_console_shows(&console, &SUCCESS)?;
    ensure_healthy_master(&console)?;
    report_ok("a second disk labelled KBKEY: secrets opened, installed, units active, with nobody there");
    ensure_console_shows(&refusal, &["no key is here that opens the secrets of master-1", "attach the key disk"])?;
    ensure_console_shows(&refusal, &["e2e: kube-apiserver is inactive", "e2e: stamp: sealed"])?;
    ensure!(!two.list("/var/lib/kubernetes")?.contains("-key.pem"), "secrets were put in place");
    report_ok("another key on that disk: said on the console, no secret put in place, no unit started");

    let [again, opened] = run_both(
        context,
        || one.boot(&Boot { disks: &with_key[..1], ..Boot::default() }),
        || two.boot(&Boot { disks: &with_key, ..Boot::default() }),
    )?;
    ensure_healthy_master(&again)?;
    report_ok("the next boot without the key disk: all is up");
    ensure_console_shows(
        &opened,
        &["Looking again for the key", "e2e: API server: ok", "e2e: stamp: installed v1.16.0"],
    )?;
    report_ok("the next boot with the right key: secrets opened, units active");
    Ok(())
}

/// A FAT file system labelled `KBKEY`, with a key.
fn make_key_disk(disk: &Path, key: &Path) -> Result<PathBuf> {
    let (image, key) = (disk.display().to_string(), key.display().to_string());
    fs::write(disk, vec![0; 4 << 20]).context("could not write a disk")?;
    stdout_of("mkfs.vfat", &["-n", "KBKEY", &image])?;
    stdout_of("mcopy", &["-i", &image, &key, "::master-1.pem"])?;
    Ok(disk.to_owned())
}
