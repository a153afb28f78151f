//! A thin copy of a bundle, a delta or a part: its lists, and the objects that it says it has.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::{Known, Report, compare_files, listing, signatures, texts};
use crate::hash::Sha256;
use crate::manifest::{LARGEST_LIST, Manifest, OBJECT_INDEX, OBJECT_SUMS, SUMS};
use crate::regular::{self, Links};
use crate::target::Mode;
use crate::thin::export_list::{EXPORT_LIST, ExportList};
use crate::thin::index::{Index, object_path};
use crate::trust::Trust;

/// Whether a directory is one that `export` began.
#[expect(clippy::disallowed_methods, reason = "looks at the directory that is verified")]
pub fn is_thin(path: &Path) -> bool {
    path.join(EXPORT_LIST).symlink_metadata().is_ok()
}

/// Compares what an export wrote with its lists. With `trust`, the bundle's list must be signed.
pub fn thin(path: &Path, trust: Option<&Trust>) -> io::Result<Report> {
    let mut report = Report::default();
    let there = listing::list(path)?;
    let read = |name: &str| {
        regular::read(&path.join(name), Links::Refuse, LARGEST_LIST).map_err(|why| format!("{name}: {why}"))
    };
    let sums = match read(SUMS) {
        Ok(sums) => sums,
        Err(_) if !there.files.contains(SUMS) => {
            report.fault(format!("{SUMS}: missing, since the export was not finished; run it again"));
            return Ok(report);
        }
        Err(why) => {
            report.fault(why);
            return Ok(report);
        }
    };
    let export = read(EXPORT_LIST).and_then(|it| ExportList::parse(&it).map_err(|why| format!("{EXPORT_LIST}: {why}")));
    let index = read(OBJECT_INDEX).and_then(|it| Index::parse(&it).map_err(|why| format!("{OBJECT_INDEX}: {why}")));
    match (export, index) {
        (Ok(export), Ok(index)) => {
            let known = known(&mut report, &String::from_utf8_lossy(&sums), &index, &export);
            compare_files(&mut report, path, &there, &known);
            check_sums(&mut report, &read(OBJECT_SUMS), &index);
            if export.bundle != Sha256::of(&sums) {
                report.fault(format!("{EXPORT_LIST}: it is of another bundle than {SUMS}"));
            }
            report.thin = Some(export.describe());
        }
        (export, index) => [export.err(), index.err()].into_iter().flatten().for_each(|why| report.fault(why)),
    }
    if let Some(trust) = trust {
        let manifest = Manifest::read(path).ok();
        signatures(&mut report, trust, &sums, manifest.as_ref(), &there, &texts(path));
    }
    Ok(report.sorted())
}

/// The files that should be here: those that no objects are listed of, and the objects of this directory.
fn known(report: &mut Report, sums: &str, index: &Index, export: &ExportList) -> BTreeMap<String, Known> {
    let mut known = BTreeMap::new();
    for line in sums.lines() {
        let parsed = line.split_once("  ").and_then(|(sha256, name)| Some((name, sha256.parse().ok()?)));
        let Some((name, sha256)) = parsed else {
            report.fault(format!("{SUMS}: a line is no digest and path"));
            continue;
        };
        match index.files().get(name) {
            Some(file) if file.sha256 != sha256 => {
                report.fault(format!("{OBJECT_INDEX}: {SUMS} says something else of {name}"));
            }
            Some(_) => {}
            None => drop(known.insert(name.to_owned(), Known { sha256, size: None, mode: None })),
        }
    }
    for number in export.held() {
        let Some(object) = index.objects().get(*number) else {
            report.fault(format!("{EXPORT_LIST}: there is no object {number}"));
            continue;
        };
        let mode = object.secret.then_some(Mode::SECRET);
        let is = Known { sha256: object.sha256, size: Some(object.size), mode };
        known.insert(object_path(object.sha256), is);
    }
    known
}

/// Both lists of objects must say the same, so that what `sha256sum` checks is what an import takes.
fn check_sums(report: &mut Report, sums: &Result<Vec<u8>, String>, index: &Index) {
    if sums.as_ref().is_ok_and(|sums| sums != index.sums().as_bytes()) {
        report.fault(format!("{OBJECT_SUMS}: does not agree with {OBJECT_INDEX}"));
    }
}
