//! `kube-bundle sign` and `kube-bundle trust init`

use std::path::{Path, PathBuf};

use super::Console;
use super::attempt::Attempt;
use crate::error::ExitCode;
use crate::manifest::{MOST_SIGNERS, Manifest, SIGNATURE};
use crate::sign::{KeyReference, Signer, public_key};
use crate::spec::Format;
use crate::{Error, sign as signing, trust as trusted, verify};

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
    if Manifest::read(out).is_ok_and(|manifest| has_unsigned_archives(&manifest)) {
        console.progress().warn(
            "archives inside have no signature of their own: machines with /etc/kube-bundle/trust install them with \
             `install.sh --archive FILE`, where SHA256SUMS and SHA256SUMS.sig lie beside FILE; `kube-bundle build --sign` \
             signs inside archives, too",
        );
    }
    report_files(&files, console)
}

/// Whether archives were packed without signatures, which nobody can add later.
fn has_unsigned_archives(manifest: &Manifest) -> bool {
    let is_signature = |path: &String| path.split_once('/').is_some_and(|(_, name)| name == SIGNATURE);
    let mut archives = manifest.artifacts.values().filter(|artifact| artifact.format == Format::Tarball.to_string());
    archives.any(|archive| !archive.entries.keys().any(is_signature))
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
    let signers = signers(keys)?;
    if let Some(both) = signers.iter().find(|signer| revoked.contains(signer.public())) {
        return Err(Error::Usage(format!("the key {} can't be both trusted and revoked", both.public())));
    }
    let files = trusted::write(directory, &signers, &rebuilders, &revoked)?;
    for signer in &signers {
        console.note(&format!("Trusted to sign bundles: the key {}", signer.public()));
    }
    for key in &rebuilders {
        console.note(&format!("Trusted to have built a bundle again: the key {key}"));
    }
    console.note(&format!(
        "Next: `kube-bundle verify OUT --trust {0}`; on machines, copy {0} to /etc/kube-bundle/trust, but not from where \
         bundles come from",
        directory.display()
    ));
    report_files(&files, console)
}

fn report_files(files: &[PathBuf], console: &Console) -> Result<(), Error> {
    console.result(&files, || files.iter().map(|file| format!("{}\n", file.display())).collect())
}
