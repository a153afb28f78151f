//! What the lists in an artifact say of its entries, and what differs from that.

use std::collections::{BTreeMap, BTreeSet};

use super::Report;
use crate::hash::Sha256;
use crate::inspect::Contents;
use crate::manifest::{Member, NO_DIGEST};
use crate::target::{Mode, Owner};

/// What an entry should be.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    /// None where a file system has none.
    pub(super) mode: Option<Mode>,
    pub(super) content: Content,
}

/// What an entry should hold.
#[derive(Debug, Clone)]
pub(super) enum Content {
    Directory,
    /// A symbolic link to this path.
    Link(String),
    /// The digests that lists have of it; none in an entry that no list can have.
    File {
        sha256: Option<Sha256>,
        md5: Option<String>,
    },
}

impl Expected {
    pub(super) fn directory(mode: Option<Mode>) -> Self {
        Self { mode, content: Content::Directory }
    }

    pub(super) fn file(mode: Option<Mode>, sha256: Option<Sha256>) -> Self {
        Self { mode, content: Content::File { sha256, md5: None } }
    }
}

/// Entries by path.
pub(super) type Entries = BTreeMap<String, Expected>;

/// Compares every entry of an artifact. `list` is what a person would look into.
pub(super) fn compare(report: &mut Report, expected: &Entries, contents: &Contents, list: &str) {
    for (path, expected) in expected {
        match contents.entries.get(path) {
            Some(found) => compare_entry(report, path, expected, found, contents.md5.get(path)),
            None => report.fault(format!("{path}: missing")),
        }
    }
    for path in contents.entries.keys().filter(|path| !expected.contains_key(*path)) {
        report.fault(format!("{path}: not in {list}"));
    }
}

fn compare_entry(report: &mut Report, path: &str, expected: &Expected, found: &Member, found_md5: Option<&String>) {
    if let Some(mode) = expected.mode.filter(|mode| *mode != found.mode) {
        report.fault(format!("{path}: expected mode {mode}, got {}", found.mode));
    }
    let kind = |member: &Member| match (&member.link, member.sha256) {
        (Some(target), _) => format!("a link to `{target}`"),
        (None, Some(_)) => "a file".to_owned(),
        (None, None) => "a directory".to_owned(),
    };
    match (&expected.content, found.sha256.zip(found.size)) {
        (Content::Directory, None) if found.link.is_none() => {}
        (Content::Link(target), None) if found.link.as_ref() == Some(target) => {}
        (Content::Directory, _) => report.fault(format!("{path}: expected a directory, got {}", kind(found))),
        (Content::Link(target), _) => {
            report.fault(format!("{path}: expected a link to `{target}`, got {}", kind(found)));
        }
        (Content::File { .. }, None) => report.fault(format!("{path}: expected a file, got {}", kind(found))),
        (Content::File { sha256, md5 }, Some((got, size))) => {
            report.files += 1;
            report.bytes += size;
            if let Some(sha256) = sha256.filter(|sha256| *sha256 != got) {
                report.fault(format!("{path}: expected sha256 {sha256}, got {got}"));
            }
            if let Some(md5) = md5.as_ref().filter(|md5| Some(*md5) != found_md5) {
                report.fault(format!("{path}: expected md5 {md5}, got {}", found_md5.map_or("none", String::as_str)));
            }
        }
    }
}

/// Every directory that some of `paths` lies in.
pub(super) fn parents<'p>(paths: impl Iterator<Item = &'p str>) -> BTreeSet<&'p str> {
    let mut parents = BTreeSet::new();
    for path in paths {
        let mut rest = path;
        while let Some((parent, _)) = rest.rsplit_once('/') {
            if !parents.insert(parent) {
                break;
            }
            rest = parent;
        }
    }
    parents
}

/// A list as `sha256sum` writes it: digest, two spaces, path. A line of another form, or a path that is there twice, is a
/// fault of the file `name`.
pub(super) fn sums<'t>(report: &mut Report, name: &str, text: &'t str) -> BTreeMap<&'t str, Sha256> {
    let mut sums = BTreeMap::new();
    for line in text.lines() {
        let parsed = line.split_once("  ").and_then(|(sha256, path)| Some((path, sha256.parse().ok()?)));
        match parsed {
            Some((path, sha256)) if sums.insert(path, sha256).is_none() => {}
            Some((path, _)) => report.fault(format!("{name}: it lists `{path}` twice")),
            None => report.fault(format!("{name}: expected a sha256, two spaces and a path, got `{line}`")),
        }
    }
    sums
}

/// A list of mode, sha256 (`-` for a directory, `->TARGET` for a link, `sealed` for what is encrypted), path, and owner where that is not root.
pub(super) fn records<'t>(report: &mut Report, name: &str, text: &'t str) -> BTreeMap<&'t str, Expected> {
    let mut records = BTreeMap::new();
    for line in text.lines() {
        let mut words = line.split(' ');
        let parsed = (|| {
            let (mode, sha256, path) = (words.next()?.parse().ok()?, words.next()?, words.next()?);
            let expected = match (sha256, sha256.strip_prefix("->")) {
                (_, Some(target)) => Expected { mode: Some(mode), content: Content::Link(target.to_owned()) },
                ("-", None) => Expected::directory(Some(mode)),
                (NO_DIGEST, None) => Expected::file(Some(mode), None),
                (sha256, None) => Expected::file(Some(mode), Some(sha256.parse().ok()?)),
            };
            // Only archives and packages know owners; what they hold is root's until it is installed.
            let is_line = words.next().is_none_or(|owner| owner.parse::<Owner>().is_ok()) && words.next().is_none();
            is_line.then_some((path, expected))
        })();
        let Some((path, expected)) = parsed else {
            report.fault(format!("{name}: expected a mode, a sha256 or `-`, and a path, got `{line}`"));
            continue;
        };
        if records.insert(path, expected).is_some() {
            report.fault(format!("{name}: it lists `{path}` twice"));
        }
    }
    records
}
