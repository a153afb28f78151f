//! `kube-bundle import`

use super::Console;
use super::cluster::jobs;
use super::verify::{check_origin, result, trust};
use crate::cli::ImportArgs;
use crate::progress::bytes;
use crate::thin::{Set, import::import as write};
use crate::{Error, verify};

pub(super) fn import(args: &ImportArgs, console: &Console) -> Result<(), Error> {
    let (trust, threshold) = (trust(&args.trust)?, args.trust.threshold);
    let set = Set::open(&args.dirs)?;
    // Before any work, that somebody signed it. The rest is over files that are not there yet.
    if let Some(trust) = &trust {
        let path = &set.first().path;
        check_origin(path, path, trust, 1)?;
    }
    let staging = write(&set, &args.out, jobs(args.jobs), console.progress())?;
    let mut report = match &trust {
        Some(trust) => check_origin(staging.directory(), &args.out, trust, threshold)?,
        None => verify::Report::default(),
    };
    staging.finish()?;
    report.files = set.first().sums.len() + 1;
    report.bytes = set.first().index.files().values().map(|file| file.size).sum();
    console.note(&format!("Imported {} ({})", args.out.display(), bytes(report.bytes)));
    console.result(&report, || result(&args.out, &report, console.paint))
}
