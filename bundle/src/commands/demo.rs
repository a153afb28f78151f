//! `kube-bundle demo`

use std::path::Path;

use super::Console;
use super::build::report;
use super::cluster::jobs;
use crate::{Error, demo as pipeline, verify};

pub(super) fn demo(out: &Path, console: &Console) -> Result<(), Error> {
    console.note("A demonstration: three masters, with small stand-in programs instead of Kubernetes.");
    let manifest = pipeline::run(out, jobs(None), console.progress())?;
    let found = verify::directory(out, true, None).map_err(|source| Error::Io {
        verb: "read",
        path: out.to_owned(),
        source,
    })?;
    if let Some(cause) = found.cause() {
        return Err(Error::Verification { path: out.to_owned(), faults: found.faults, cause });
    }
    console.note(&format!("Verified {} files, and those inside the archives too.", found.files));
    report(out, &manifest, console)?;
    console.note(&next(out, &manifest));
    Ok(())
}

fn next(out: &Path, manifest: &crate::manifest::Manifest) -> String {
    let archive = manifest.artifacts.keys().next().map(|path| out.join(path).display().to_string()).unwrap_or_default();
    format!(
        "\nThe programs inside are stand-ins: this bundle starts no cluster. Next:\n  \
         what an operator does: {0}/README.txt, or index.html in a browser\n  \
         list an archive:       kube-bundle inspect {archive}\n  \
         verify the bundle:     kube-bundle verify {0}\n  \
         build a real bundle:   kube-bundle init, edit cluster.toml, kube-bundle build",
        out.display()
    )
}
