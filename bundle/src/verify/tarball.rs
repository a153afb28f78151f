//! A node's archive: one directory, in it `SHA256SUMS` over all files and `FILES` with the modes of what is installed.

use std::collections::BTreeMap;

use super::expected::{Content, Entries, Expected, compare, records, sums};
use super::{FILES, Report, kept, origin};
use crate::hash::Sha256;
use crate::inspect::Contents;
use crate::manifest::{SEALED, SUMS, signature_files};
use crate::target::Mode;
use crate::trust::Trust;

/// Where what is installed lies.
const ROOT: &str = "root";

pub(super) fn check(report: &mut Report, contents: &Contents, trust: Option<&Trust>) {
    // The one directory that has the lists; what lies beside it is in none of them.
    let mut tops = contents.kept.keys().filter_map(|path| path.strip_suffix(SUMS)?.strip_suffix('/'));
    let top = tops.find(|top| !top.contains('/')).unwrap_or_default();
    let list = |name: &str| kept(contents, &format!("{top}/{name}"));
    let (Some(sums_text), Some(files_text)) = (list(SUMS), list(FILES)) else {
        return report.fault(format!("it has no {SUMS} and {FILES} in one directory: not a node's archive"));
    };
    if let Some(trust) = trust {
        let signatures = signature_files().filter_map(|name| Some((name.clone(), list(&name)?.to_owned())));
        let signatures = signatures.collect();
        origin::check(report, trust, sums_text.as_bytes(), &signatures);
        let own = contents.entries.keys().filter_map(|path| path.strip_prefix(top)?.strip_prefix('/'));
        origin::check_complete(report, &own.map(str::to_owned).collect(), &signatures);
    }
    let digests = sums(report, SUMS, sums_text);
    let files = records(report, FILES, files_text);
    if !sums_text.ends_with('\n') || sums_text.contains('\r') {
        report.fault(format!("{SUMS}: without an end of its last line"));
    }

    let expected = expected(report, top, contents, &digests, &files);
    let before = report.faults.len();
    compare(report, &expected, contents, SUMS);
    // What everything lies in says nothing.
    let prefix = format!("{top}/");
    for fault in &mut report.faults[before..] {
        if let Some(short) = fault.strip_prefix(&prefix) {
            *fault = short.to_owned();
        }
    }
}

/// What the two lists say of the entries, and where they disagree.
fn expected(
    report: &mut Report,
    top: &str,
    contents: &Contents,
    digests: &BTreeMap<&str, Sha256>,
    files: &BTreeMap<&str, Expected>,
) -> Entries {
    let mut expected = lists(top, contents);
    for (path, sha256) in digests {
        let mode = if path.rsplit_once('.').is_some_and(|(_, ending)| ending == "sh") {
            Mode::EXECUTABLE
        } else {
            Mode::PUBLIC
        };
        let installed = path.strip_prefix("root/");
        let mode = match installed.map(|path| files.get(path)) {
            Some(Some(Expected { mode, .. })) => *mode,
            Some(None) => {
                report.fault(format!("{path}: not in {FILES}"));
                None
            }
            None => Some(mode),
        };
        expected.insert(format!("{top}/{path}"), Expected::file(mode, Some(*sha256)));
    }
    let mut sealed = Vec::new();
    for (path, entry) in files {
        let name = format!("{ROOT}/{path}");
        match &entry.content {
            Content::Directory | Content::Link(_) => {
                expected.insert(format!("{top}/{name}"), entry.clone());
            }
            Content::File { sha256: None, .. } => sealed.push(name),
            Content::File { sha256, .. } if digests.get(name.as_str()).copied() == *sha256 => {}
            Content::File { .. } => report.fault(format!("{name}: {SUMS} and {FILES} disagree about it")),
        }
    }
    if !sealed.is_empty() && !digests.contains_key(SEALED) {
        report.fault(format!("{SEALED}: missing, and {FILES} says that it has `{}`", sealed[0]));
    }
    expected
}

/// What lies beside the files of the lists: directories, the list of checksums, and its signatures if there are any.
fn lists(top: &str, contents: &Contents) -> Entries {
    let mut expected = Entries::new();
    // Only its owner may look into the unpacked directory.
    expected.insert(top.to_owned(), Expected::directory(Some(Mode::PRIVATE)));
    expected.insert(format!("{top}/{ROOT}"), Expected::directory(Some(Mode::EXECUTABLE)));
    let signatures = signature_files().map(|name| format!("{top}/{name}"));
    let signatures = signatures.filter(|path| contents.entries.contains_key(path));
    let files = signatures.chain([format!("{top}/{SUMS}")]);
    expected.extend(files.map(|path| (path, Expected::file(Some(Mode::PUBLIC), None))));
    expected
}
