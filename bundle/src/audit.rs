//! Which advisories of a database name something that is in a bundle. The database is an export in the OSV format
//! (<https://ossf.github.io/osv-schema/>), read from a directory: nothing is asked over a network.
//!
//! What is found is a list of things to look at, and never a verdict: whether a program is vulnerable depends on how it is used,
//! and a list of libraries is incomplete.

pub mod bom;
pub mod osv;
mod version;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use bom::{Bom, Named};
use osv::{Advisory, Affected};
use version::Version;

/// Releases whose support has ended, and when: what is found in them is never all.
const ENDED: [(&str, &str); 1] = [("v1.16.", "September 2020")];

/// Known vulnerabilities of what is in a bundle.
#[derive(Debug, Serialize)]
pub struct Report<'a> {
    /// Version of Kubernetes.
    pub version: &'a str,
    /// When the last fixes of this release line were made, if there are none any more.
    pub end_of_life: Option<&'static str>,
    /// Date of the newest entry of the database: what was found later is not in it.
    pub database: &'a str,
    /// Number of entries.
    pub advisories: usize,
    pub findings: Vec<Finding<'a>>,
}

/// One advisory about one program or library.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding<'a> {
    /// Module, or package where no module is known.
    pub name: &'a str,
    /// `None`: nothing says which; the advisory may be about another one.
    pub version: Option<&'a str>,
    pub id: &'a str,
    pub aliases: &'a [String],
    pub summary: &'a str,
    /// First version after this one that is not affected.
    pub fixed: Option<String>,
    /// Programs of the bundle that it is in.
    pub programs: BTreeSet<&'a str>,
}

/// Looks up every program and library.
pub fn audit<'a>(bom: &'a Bom, database: &'a [Advisory]) -> Report<'a> {
    let mut by_name: BTreeMap<&str, Vec<(&Advisory, &Affected)>> = BTreeMap::new();
    for advisory in database.iter().filter(|advisory| advisory.withdrawn.is_none()) {
        for affected in advisory.affected.iter().filter(|affected| affected.package.ecosystem == "Go") {
            by_name.entry(&affected.package.name).or_default().push((advisory, affected));
        }
    }
    let mut findings: BTreeMap<_, Finding<'_>> = BTreeMap::new();
    for named in bom.named() {
        for (advisory, fixed) in advisories(&named, &by_name) {
            let found = findings.entry((named.name, named.version, &advisory.id)).or_insert_with(|| Finding {
                name: named.name,
                version: named.version,
                id: &advisory.id,
                aliases: &advisory.aliases,
                summary: &advisory.summary,
                fixed: fixed.map(|version| version.to_string()),
                programs: BTreeSet::new(),
            });
            found.programs.insert(named.program);
        }
    }
    let version = bom.release();
    Report {
        version,
        end_of_life: ENDED.iter().find(|(line, _)| version.starts_with(line)).map(|(_, end)| *end),
        database: database.iter().map(|advisory| advisory.modified.as_str()).max().unwrap_or_default(),
        advisories: database.len(),
        findings: findings.into_values().collect(),
    }
}

/// Advisories about a module of this version, and about a package whose version nobody knows.
fn advisories<'a>(
    named: &Named<'_>,
    by_name: &BTreeMap<&str, Vec<(&'a Advisory, &'a Affected)>>,
) -> Vec<(&'a Advisory, Option<Version>)> {
    let version = named.version.and_then(Version::parse);
    let modules = named.name.match_indices('/').map(|(slash, _)| &named.name[..slash]).chain([named.name]);
    // A module is looked up by its own path, a package by the path of any module that it may be in.
    let modules = modules.filter(|module| named.version.is_none() || *module == named.name);
    let entries = modules.flat_map(|module| by_name.get(module).into_iter().flatten());
    let found = entries.filter_map(|(advisory, affected)| match &version {
        Some(version) => affected.is_about(version).then(|| (*advisory, affected.fixed_after(version))),
        None => affected.may_be_about(named.name).then_some((*advisory, None)),
    });
    found.collect()
}
