//! A Debian package: `md5sums` has what is public, the record of a machine's package has modes and digests of what the
//! machine needs, keys among it, and the digests of its maintainer scripts. The control file is in no list.

use std::collections::{BTreeMap, BTreeSet};

use super::expected::{Content, Entries, Expected, compare, parents, records, sums};
use super::{FILES, Report, kept};
use crate::inspect::Contents;
use crate::manifest::{CONTROL, SEALED};
use crate::target::Mode;

pub(super) const MD5SUMS: &str = "md5sums";
pub(super) const CONFFILES: &str = "conffiles";
/// The list of a machine's maintainer scripts.
pub(super) const SCRIPTS: &str = "SCRIPTS";
/// The settings of the machine that a package belongs to.
pub(super) const CONF: &str = "bundle.conf";

/// Where a machine's package keeps its record; the directory above is for root alone.
const RECORD: &str = "var/lib/kube-bundle/package";
const PRIVATE: &str = "var/lib/kube-bundle";
/// dpkg asks before it replaces these, and they are in no `md5sums`.
const CONFIGURATION: &str = "etc/";
/// All that the package of a program runs.
const PROGRAMS_SCRIPT: &str = "preinst";

/// What the lists in a package say.
struct Lists<'c> {
    md5sums: BTreeMap<&'c str, &'c str>,
    files: BTreeMap<&'c str, Expected>,
}

pub(super) fn check(report: &mut Report, contents: &Contents) {
    let record = |name: &str| kept(contents, &format!("{RECORD}/{name}"));
    let control = |name: &str| kept(contents, &format!("{CONTROL}/{name}"));
    let lists = Lists {
        md5sums: md5sums(report, control(MD5SUMS).unwrap_or_default()),
        files: records(report, FILES, record(FILES).unwrap_or_default()),
    };
    // A machine's package has a record; one of programs, which is the same for all machines, has none.
    let is_machines = [FILES, CONF, SCRIPTS].iter().any(|name| record(name).is_some());
    let is_data = |path: &&String| !path.starts_with("DEBIAN/");
    let is_sealed = |record: &Expected| matches!(record.content, Content::File { sha256: None, .. });
    if lists.files.values().any(is_sealed) && !lists.md5sums.keys().any(|path| path.ends_with(SEALED)) {
        report.fault(format!("{SEALED}: missing, and {FILES} says what it has"));
    }
    let mut expected = data(&lists, contents.entries.keys().filter(is_data).map(String::as_str));
    let scripts = is_machines.then(|| sums(report, SCRIPTS, record(SCRIPTS).unwrap_or_default()));
    expected.extend(control_archive(report, scripts.as_ref(), contents));
    check_conffiles(report, control(CONFFILES).unwrap_or_default(), &expected);
    compare(report, &expected, contents, &format!("{MD5SUMS} or {FILES}"));
}

/// `md5sums` as `dh_md5sums(1)` writes it.
fn md5sums<'t>(report: &mut Report, text: &'t str) -> BTreeMap<&'t str, &'t str> {
    let mut sums = BTreeMap::new();
    for line in text.lines() {
        match line.split_once("  ") {
            Some((md5, path)) if sums.insert(path, md5).is_none() => {}
            _ => report.fault(format!("{MD5SUMS}: expected an md5, two spaces and a path that is new, got `{line}`")),
        }
    }
    // No other list has this one, so its form is all that can be compared.
    if sums.iter().map(|(path, md5)| format!("{md5}  {path}\n")).collect::<String>() != text {
        report.fault(format!("{CONTROL}/{MD5SUMS}: not sorted, or without an end of a line"));
    }
    sums
}

/// What the files of the package should be, and their directories. `there` are those that are.
fn data<'p>(lists: &Lists<'_>, there: impl Iterator<Item = &'p str>) -> Entries {
    let there: BTreeSet<_> = there.collect();
    let mut expected = Entries::new();
    let mut elsewhere = Vec::new();
    for (path, md5) in &lists.md5sums {
        let mode = if is_program(path) { Mode::EXECUTABLE } else { Mode::PUBLIC };
        let content = Content::File { sha256: None, md5: Some((*md5).to_owned()) };
        expected.insert((*path).to_owned(), Expected { mode: Some(mode), content });
    }
    for (path, record) in &lists.files {
        let sha256 = match &record.content {
            Content::Directory => continue,
            Content::Link(_) => {
                expected.insert((*path).to_owned(), record.clone());
                continue;
            }
            Content::File { sha256, .. } => *sha256,
        };
        match expected.get_mut(*path) {
            Some(Expected { mode, content: Content::File { sha256: known, .. } }) => {
                (*mode, *known) = (record.mode, sha256);
            }
            // Encrypted.
            None if sha256.is_none() => {}
            // Programs that other packages bring are listed too, so that a machine can check them.
            None if is_program(path) && !there.contains(path) => elsewhere.push(*path),
            _ => {
                expected.insert((*path).to_owned(), record.clone());
            }
        }
    }
    let files: Vec<_> = expected.keys().cloned().collect();
    for directory in parents(files.iter().map(String::as_str)) {
        let mode = if directory == PRIVATE { Mode::PRIVATE } else { Mode::EXECUTABLE };
        expected.insert(directory.to_owned(), Expected::directory(Some(mode)));
    }
    let elsewhere = parents(elsewhere.into_iter());
    for (path, record) in lists.files.iter().filter(|(_, record)| matches!(record.content, Content::Directory)) {
        if expected.contains_key(*path) || !elsewhere.contains(path) {
            expected.insert((*path).to_owned(), record.clone());
        }
    }
    expected
}

fn is_program(path: &str) -> bool {
    path.rsplit('/').nth(1).is_some_and(|directory| matches!(directory, "bin" | "sbin"))
}

/// What the control archive should hold: what is compared with files, or what the record lists, or what is said to be in no
/// list.
fn control_archive(
    report: &mut Report,
    scripts: Option<&BTreeMap<&str, crate::hash::Sha256>>,
    contents: &Contents,
) -> Entries {
    let path = |name: &str| format!("{CONTROL}/{name}");
    let is_there = |name: &str| contents.entries.contains_key(&path(name));
    let mut expected = Entries::new();
    let public = || Expected::file(Some(Mode::PUBLIC), None);
    expected.insert(path("control"), public());
    expected.insert(path(MD5SUMS), public());
    report.not_compared.push(path("control"));
    if is_there(CONFFILES) {
        expected.insert(path(CONFFILES), public());
    }
    let script = |sha256| Expected::file(Some(Mode::EXECUTABLE), sha256);
    if let Some(scripts) = scripts {
        expected.extend(scripts.iter().map(|(name, sha256)| (path(name), script(Some(*sha256)))));
    } else {
        expected.insert(path(PROGRAMS_SCRIPT), script(None));
        report.not_compared.push(path(PROGRAMS_SCRIPT));
    }
    expected
}

/// Exactly what lies below `etc/` is a conffile.
fn check_conffiles(report: &mut Report, text: &str, expected: &Entries) {
    let is_file = |entry: &Expected| matches!(entry.content, Content::File { .. });
    let files = expected.iter().filter(|(path, entry)| path.starts_with(CONFIGURATION) && is_file(entry));
    if files.map(|(path, _)| format!("/{path}\n")).collect::<String>() != text {
        report.fault(format!("{CONTROL}/{CONFFILES}: it does not list exactly the files below /{CONFIGURATION}"));
    }
}
