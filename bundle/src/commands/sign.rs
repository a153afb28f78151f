//! `kube-bundle sign` and `kube-bundle trust init`

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Console;
use super::attempt::Attempt;
use crate::error::ExitCode;
use crate::manifest::{MOST_SIGNERS, Manifest, SIGNATURE, SUMS};
use crate::sign::{KeyReference, Signer, public_half, public_key};
use crate::spec::Format;
use crate::{Error, inspect, sign as signing, trust as trusted, verify};

/// Finds the keys.
pub(super) fn signers(keys: &[KeyReference]) -> Result<Vec<Signer>, Error> {
    if keys.len() > MOST_SIGNERS {
        return Err(Error::Usage(format!("a bundle has signatures by at most {MOST_SIGNERS} keys")));
    }
    let mut signers: Vec<Signer> = Vec::new();
    for key in keys {
        let signer = Signer::open(key)?;
        if signers.iter().any(|other| other.public() == signer.public()) {
            return Err(Error::Usage(format!("the key {} is named twice", signer.public())));
        }
        signers.push(signer);
    }
    Ok(signers)
}

pub(super) fn sign(out: &Path, keys: &[KeyReference], console: &Console) -> Result<(), Error> {
    let command = Attempt { path: out, command: "sign", exit: ExitCode::Failed };
    command.expect_bundle()?;
    let signers = signers(keys)?;
    // Whoever signs vouches for every byte, so a damaged bundle gets no signature.
    let report = verify::directory(out, true, None).map_err(|source| command.failed(source))?;
    if let Some(cause) = report.cause() {
        return Err(Error::Verification { path: out.to_owned(), faults: report.faults, cause });
    }
    let files: Vec<_> = signing::bundle(out, &signers)?.into_iter().map(|name| out.join(name)).collect();
    for signer in &signers {
        console.note(&format!("Signed {} with the key {}", out.display(), signer.public()));
    }
    if let Ok(manifest) = Manifest::read(out)
        && let Some(what) = unsigned_archives(out, &manifest, &signers)
    {
        console.progress().warn(&format!(
            "archives inside {what}: machines with /etc/kube-bundle/trust install them with `install.sh --archive FILE`, \
             where SHA256SUMS and SHA256SUMS.sig lie beside FILE; `kube-bundle build --sign` signs inside archives, too"
        ));
    }
    report_files(&files, console)
}

/// A warning about archives that were packed without signatures by these keys: signatures inside can't be added later. All archives
/// of a bundle are signed alike.
fn unsigned_archives(out: &Path, manifest: &Manifest, signers: &[Signer]) -> Option<String> {
    let mut artifacts = manifest.artifacts.iter();
    let (path, archive) = artifacts.find(|(_, artifact)| artifact.format == Format::Tarball.to_string())?;
    let top = archive.entries.keys().next()?.split('/').next().unwrap_or_default();
    let [list, signature] = [SUMS, SIGNATURE].map(|name| format!("{top}/{name}"));
    if !archive.entries.contains_key(&signature) {
        return Some("have no signature of their own".to_owned());
    }
    let kept = inspect::read(&out.join(path), &[SUMS, SIGNATURE]).ok()?.kept;
    let key = trusted::key_of(kept.get(&signature)?, kept.get(&list)?.as_bytes())?;
    let is_new = signers.iter().all(|signer| *signer.public() != key);
    is_new.then(|| format!("are still signed by the key {key}"))
}

pub(super) fn trust(
    directory: &Path,
    keys: &[KeyReference],
    rebuilders: &[KeyReference],
    revoke: &[KeyReference],
    console: &Console,
) -> Result<(), Error> {
    let public = |keys: &[KeyReference]| keys.iter().map(public_key).collect::<Result<Vec<_>, _>>();
    let (rebuilders, revoked) = (public(rebuilders)?, public(revoke)?);
    let (mut private, mut known) = (Vec::new(), Vec::new());
    for key in keys {
        match public_half(key)? {
            Some(key) => known.push(key),
            None => private.push(key.clone()),
        }
    }
    let signers = signers(&private)?;
    let mut all = BTreeSet::new();
    for key in signers.iter().map(Signer::public).chain(&known) {
        if revoked.contains(key) {
            return Err(Error::Usage(format!("the key {key} can't be both trusted and revoked")));
        } else if !all.insert(*key) {
            return Err(Error::Usage(format!("the key {key} is named twice")));
        }
    }
    let files = trusted::write(directory, &signers, &known, &rebuilders, &revoked)?;
    for key in &known {
        console.progress().warn(&format!(
            "gpgv and apt can't check signatures by the key {key}: apt.gpg has no certificate of it, which only the \
             private key makes. Where they are needed, ask the key's owner for a directory by `trust init`"
        ));
    }
    for key in &all {
        console.note(&format!("Trusted to sign bundles: the key {key}"));
    }
    for key in &rebuilders {
        console.note(&format!("Trusted to have built a bundle again: the key {key}"));
    }
    console.note(&format!(
        "Next: `kube-bundle verify OUT --trust {0}`; on machines: `mkdir -p /etc/kube-bundle` and \
         `cp -rT {0} /etc/kube-bundle/trust`, carried another way than the bundle",
        directory.display()
    ));
    report_files(&files, console)
}

fn report_files(files: &[PathBuf], console: &Console) -> Result<(), Error> {
    console.result(&files, || files.iter().map(|file| format!("{}\n", file.display())).collect())
}
