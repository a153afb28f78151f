//! Whether `public.SHA256SUMS` says of files in artifacts what the manifest says of them.

use std::collections::BTreeMap;

use super::Report;
use crate::hash::Sha256;
use crate::manifest::{Artifact, CONTROL, Manifest, PUBLIC_SUMS};

/// Digests by path.
pub type PublicFiles = BTreeMap<String, Sha256>;

/// Reads the list; the error names the line that is none.
pub fn parse(text: &str) -> Result<PublicFiles, String> {
    let line = |(index, line): (usize, &str)| {
        let parts = line.split_once("  ").and_then(|(sha256, path)| Some((path.to_owned(), sha256.parse().ok()?)));
        parts.ok_or_else(|| format!("{PUBLIC_SUMS}: line {} is no digest and path", index + 1))
    };
    text.lines().enumerate().map(line).collect()
}

/// Compares what both have. What is in artifacts and not in the list depends on keys.
pub(super) fn check(report: &mut Report, manifest: &Manifest, text: &str) {
    let list = match parse(text) {
        Ok(list) => list,
        Err(why) => return report.fault(why),
    };
    for (path, sha256) in &list {
        if let Some(record) = manifest.files.get(path).filter(|record| record.sha256 != *sha256) {
            report.fault(format!("{PUBLIC_SUMS}: {path} has sha256 {}, not {sha256}", record.sha256));
        }
    }
    for (name, artifact) in &manifest.artifacts {
        for (path, member) in artifact.entries.iter().filter(|(path, _)| !path.starts_with(CONTROL)) {
            let listed = list.get(&place(name, artifact, path));
            if listed.is_some_and(|listed| Some(*listed) != member.sha256) {
                report.fault(format!("{PUBLIC_SUMS}: it has another digest of `{path}` than {name}"));
            }
        }
    }
}

/// Where the list would have a file of an artifact.
fn place(name: &str, artifact: &Artifact, path: &str) -> String {
    match &artifact.node {
        Some(node) if artifact.format == "tarball" => {
            format!("nodes/{node}/{}", path.split_once('/').map_or(path, |(_, below)| below))
        }
        _ => {
            let file = name.rsplit('/').next().unwrap_or(name);
            format!("packages/{}/{path}", file.split('_').next().unwrap_or(file))
        }
    }
}
