//! `kube-bundle build` and `kube-bundle fetch`

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Console;
use super::cluster::{Cluster, Overrides, jobs, sources, store};
use super::table::table;
use crate::cli::{ClusterArgs, OutputArgs, SourceArgs};
use crate::manifest::{MANIFEST, Manifest, SIGNATURE};
use crate::pki::PkiContext;
use crate::plan::Download;
use crate::progress::bytes;
use crate::regular::{self, Links};
use crate::secret::Secret;
use crate::{BuildContext, Error};

/// Bytes of user data that every cloud takes; that is the limit of EC2.
const LARGEST_USER_DATA: u64 = 16 << 10;

/// What `fetch` prints for each component.
#[derive(Serialize)]
struct Fetched {
    component: String,
    sha256: crate::hash::Sha256,
    size: u64,
    path: PathBuf,
}

pub(super) fn fetch(args: &ClusterArgs, from: &SourceArgs, console: &Console) -> Result<(), Error> {
    let cluster = Cluster::load(args, &Overrides::default())?;
    let plan = cluster.plan()?;
    let downloads = &plan.content().downloads;
    // Whoever fetches before there is no network wants to know what a disk forgot.
    let store = store()?.verify_all();
    let blobs = crate::fetch::fetch(downloads, &store, &sources(from)?, console.progress())?;
    let members = downloads.iter().flat_map(Download::members);
    let fetched: Vec<_> = members
        .filter_map(|member| {
            let blob = blobs.get(&member.component)?;
            Some(Fetched {
                component: member.component.clone(),
                sha256: blob.sha256(),
                size: blob.size(),
                path: blob.path().to_owned(),
            })
        })
        .collect();
    console.result(&fetched, || {
        let row = |file: &Fetched| vec![file.component.clone(), bytes(file.size).to_string(), file.sha256.to_string()];
        table(&["COMPONENT", "SIZE", "SHA256"], &fetched.iter().map(row).collect::<Vec<_>>())
    })
}

pub(super) fn build(
    args: &ClusterArgs,
    from: &SourceArgs,
    output: &OutputArgs,
    console: &Console,
) -> Result<(), Error> {
    // Before any work: the key may be missing, or the agent.
    let signers = super::sign::signers(&output.sign)?;
    let passphrase = output.passphrase_file.as_deref().map(passphrase).transpose()?;
    let cluster = Cluster::judge(args, &Overrides::of(output), console)?;
    let jobs = jobs(from.jobs);
    let out = cluster.out(output.out.as_deref());
    let renew = BTreeSet::new();
    let context = BuildContext {
        store: store()?,
        sources: sources(from)?,
        pki: PkiContext { passphrase: passphrase.as_ref(), ..cluster.pki(jobs, &renew) },
        out: &out,
        jobs,
        date: cluster.date,
        signers: &signers,
    };
    let before = Manifest::read(&out).ok();
    let loses_signatures = signers.is_empty() && regular::open(&out.join(SIGNATURE), Links::Refuse).is_ok();
    let manifest = crate::build(&cluster.spec, &cluster.recipe, &context, console.progress())?;
    console.note(&format!(
        "Built {0}; next: `kube-bundle verify {0}`, then carry to each machine what is its own, as {0}/README.txt says",
        out.display()
    ));
    if let Some(gone) = before.and_then(|before| formats_gone(&before, &manifest)) {
        console.progress().warn(&format!(
            "`{}` had {gone} before, which this build does not write and so removed; `--format` takes several",
            out.display()
        ));
    }
    if loses_signatures {
        console.progress().warn(&format!(
            "`{0}` was signed before, and is not any more; `kube-bundle sign {0} --key KEY`, or build with `--sign KEY`",
            out.display()
        ));
    }
    warn_of_large_user_data(&manifest, console);
    report(&out, &manifest, console)
}

/// The user data that a cloud would refuse, with the machine that it is for.
fn warn_of_large_user_data(manifest: &Manifest, console: &Console) {
    for (node, size) in manifest.user_data().filter(|(_, size)| *size > LARGEST_USER_DATA) {
        console.progress().warn(&format!(
            "the user data of {node} has {size} bytes, and clouds such as EC2 take {LARGEST_USER_DATA} at most; `gzip -9` makes \
             it small enough, and cloud-init reads it so"
        ));
    }
}

/// The first line of a file.
fn passphrase(path: &Path) -> Result<Secret, Error> {
    const LONGEST: u64 = 4096;
    let text = regular::read(path, Links::Follow, LONGEST).map(Secret::new);
    let text = text.map_err(|source| Error::Io { verb: "read", path: path.to_owned(), source })?;
    let line = text.expose().split(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(Secret::new(line.strip_suffix(b"\r").unwrap_or(line)))
}

/// The formats of an earlier build of the same directory that the later one lacks.
fn formats_gone(before: &Manifest, after: &Manifest) -> Option<String> {
    let gone: Vec<_> = before.formats().difference(&after.formats()).map(|format| format!("`{format}`")).collect();
    (!gone.is_empty()).then(|| gone.join(" and "))
}

/// Paths of what was built, the manifest last, as it was written.
pub(super) fn report(out: &Path, manifest: &Manifest, console: &Console) -> Result<(), Error> {
    #[derive(Serialize)]
    struct Built<'a> {
        out: &'a Path,
        manifest: &'a Manifest,
    }
    console.result(&Built { out, manifest }, || {
        let paths = manifest.artifacts.keys().map(String::as_str).chain([MANIFEST]);
        paths.map(|path| format!("{}\n", out.join(path).display())).collect()
    })
}
