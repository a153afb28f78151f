//! The files of each machine, as the manifest lists them inside archives and packages, and units read out of these.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use super::changes::{Changes, Field, Fields};
use super::units::UnitChanges;
use super::{Content, MachineChanges, Side};
use crate::inspect::{self, LARGEST_CONTENT};
use crate::manifest::{Artifact, CONTROL, Manifest, Member};
use crate::plan::{Plan, Source};
use crate::regular;

/// Formats that hold all files of a machine, the better one first. Images hold packages and archives, not files.
const FORMATS: [&str; 2] = ["tarball", "deb"];
/// Lists of what is in an archive or package: they differ whenever something else does.
const LISTS: [&str; 8] =
    ["FILES", "SHA256SUMS", "TRIGGERS", "SCRIPTS", "md5sums", "conffiles", "control", "manifest.json"];
/// Names of units that systemd reads, by their ends.
const UNITS: [&str; 6] = [".service", ".timer", ".socket", ".mount", ".path", ".conf"];
/// How many texts [`inspect::list`] keeps of one artifact.
const TEXTS: usize = 16;

/// Where a file of a machine is: in which artifact, by which name.
#[derive(Debug)]
pub(super) struct Place<'m> {
    artifact: &'m str,
    entry: &'m str,
    pub(super) member: Member,
}

/// Files by what people call them, such as `/etc/systemd/system/etcd.service`.
pub(super) type Files<'m> = BTreeMap<String, Place<'m>>;

impl PartialEq for Place<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.member == other.member
    }
}

/// What differs on a machine that both bundles have; `None` stands for what packages bring to all machines. A reason, if
/// it can't be compared.
pub(super) fn compare(from: &Side<'_>, to: &Side<'_>, node: Option<&str>) -> Result<MachineChanges, String> {
    let has = |side: &Side<'_>, format| artifacts(side.manifest, node, format).next().is_some();
    let Some(format) = FORMATS.into_iter().find(|format| has(from, format) && has(to, format)) else {
        let name = node.unwrap_or("all machines");
        return Err(format!("files of {name}: the bundles have them in different formats"));
    };
    let (mut old, mut new) = (files(from.manifest, node, format), files(to.manifest, node, format));
    let mut not_compared = Vec::new();
    secrets((from, &mut old), (to, &mut new), &mut not_compared);
    let changes = Changes::between(&old, &new, |old, new| fields(&old.member, &new.member));
    let units = units(&changes, (from, &old), (to, &new), &mut not_compared);
    Ok(MachineChanges { files: changes, units, not_compared })
}

/// Whether one of the bundles has packages that all machines share, and no archives that have their files too.
pub(super) fn shares_packages(from: &Manifest, to: &Manifest) -> bool {
    [from, to].into_iter().all(|it| artifacts(it, None, "deb").next().is_some())
        && [from, to].into_iter().any(|it| !it.artifacts.values().any(|artifact| artifact.format == "tarball"))
}

fn artifacts<'m>(
    manifest: &'m Manifest,
    node: Option<&'m str>,
    format: &'m str,
) -> impl Iterator<Item = (&'m str, &'m Artifact)> {
    let all = manifest.artifacts.iter().map(|(name, artifact)| (name.as_str(), artifact));
    all.filter(move |(_, artifact)| artifact.node.as_deref() == node && artifact.format == format)
}

pub(super) fn files<'m>(manifest: &'m Manifest, node: Option<&'m str>, format: &'m str) -> Files<'m> {
    artifacts(manifest, node, format).flat_map(|artifact| files_of(artifact, format)).collect()
}

/// The files of an archive below `root/`, of a package everything, and the scripts that install it; no directories that
/// others may enter.
fn files_of<'m>((name, artifact): (&'m str, &'m Artifact), format: &str) -> impl Iterator<Item = (String, Place<'m>)> {
    let is_archive = format == "tarball";
    // `kube-bundle-etcd_3.4.13-1_amd64.deb`: the version is no part of what it is called.
    let package = name.rsplit('/').next().unwrap_or(name).split('_').next().unwrap_or(name);
    artifact.entries.iter().filter_map(move |(entry, member)| {
        let is_directory = !member.is_file() && member.link.is_none();
        let base = entry.rsplit('/').next().unwrap_or(entry);
        let called = if is_archive {
            let inside = entry.split_once('/').map(|(_, inside)| inside)?;
            inside.strip_prefix("root/").map_or_else(|| format!("archive: {inside}"), |path| format!("/{path}"))
        } else if let Some(script) = entry.strip_prefix(CONTROL) {
            format!("package {package}: {}", script.trim_start_matches('/'))
        } else {
            format!("/{entry}")
        };
        let is_list = LISTS.contains(&base) && !(called.starts_with("/etc/") || called.starts_with("/usr/"));
        (!is_directory && !is_list).then_some((called, Place { artifact: name, entry, member: member.clone() }))
    })
}

/// Manifests have no digests of files with secrets, so these are computed, unless the artifacts are the same.
fn secrets<'m>(
    (from, old): (&Side<'_>, &mut Files<'m>),
    (to, new): (&Side<'_>, &mut Files<'m>),
    not_compared: &mut Vec<String>,
) {
    let with_secrets = |files: &Files<'_>| -> BTreeSet<String> {
        files.values().filter(|place| place.member.secret).map(|place| place.artifact.to_owned()).collect()
    };
    let digest = |side: &Side<'_>, artifact: &str| side.manifest.files.get(artifact).map(|file| file.sha256);
    let is_same =
        |artifact: &String| digest(from, artifact).is_some() && digest(from, artifact) == digest(to, artifact);
    let (Content::Directory(older), Content::Directory(newer)) = (from.content, to.content) else {
        // What a plan leads to says itself which secrets it replaces.
        return;
    };
    for (directory, files) in [(older, old), (newer, new)] {
        for artifact in with_secrets(files).into_iter().filter(|artifact| !is_same(artifact)) {
            if let Err(why) = add_digests(directory, &artifact, files) {
                not_compared.push(format!("secrets in {}: {artifact}: {why}", directory.display()));
            }
        }
    }
}

fn add_digests(directory: &Path, artifact: &str, files: &mut Files<'_>) -> io::Result<()> {
    let file = regular::open_below(directory, artifact)?;
    let contents = inspect::list(&file, &[], LARGEST_CONTENT)?;
    for place in files.values_mut().filter(|place| place.member.secret && place.artifact == artifact) {
        let found = contents.entries.get(place.entry).filter(|found| place.member.describes(found));
        place.member =
            found.cloned().ok_or_else(|| io::Error::other(format!("`{}` is not as the manifest says", place.entry)))?;
    }
    Ok(())
}

fn fields(from: &Member, to: &Member) -> Vec<Field> {
    let mut fields = Fields::default()
        .text("mode", &from.mode, &to.mode)
        .optional("link", from.link.clone(), to.link.clone())
        .done();
    if from.sha256 != to.sha256 {
        // Digests and sizes of keys are nobody's business here.
        fields.push(Field { field: "content".to_owned(), from: None, to: None });
    }
    fields
}

/// The units among changed files, each with its text in both bundles.
fn units(
    changes: &Changes,
    (from, old): (&Side<'_>, &Files<'_>),
    (to, new): (&Side<'_>, &Files<'_>),
    not_compared: &mut Vec<String>,
) -> BTreeMap<String, UnitChanges> {
    let is_public = |place: &Place<'_>| place.member.mode.bits() & 0o004 != 0 && place.member.sha256.is_some();
    let is_unit = |path: &&String| {
        path.contains("/systemd/") && UNITS.iter().any(|end| path.ends_with(end))
            // What only root may read may hold a secret.
            && [old, new].iter().all(|files| files.get(*path).is_some_and(is_public))
    };
    let wanted: BTreeSet<&String> = changes.changed.keys().filter(is_unit).collect();
    if wanted.is_empty() {
        return BTreeMap::new();
    }
    let mut read = |side: &Side<'_>, files: &Files<'_>| {
        texts(side, &wanted.iter().filter_map(|path| Some(((*path).clone(), files.get(*path)?))).collect())
            .unwrap_or_else(|why| {
                not_compared.push(format!("units in {}: {why}", side.name()));
                BTreeMap::new()
            })
    };
    let (old, new) = (read(from, old), read(to, new));
    let both = old.iter().filter_map(|(path, old)| Some((path.clone(), UnitChanges::between(old, new.get(path)?))));
    both.collect()
}

/// Texts of files by what they are called.
fn texts(side: &Side<'_>, wanted: &BTreeMap<String, &Place<'_>>) -> io::Result<BTreeMap<String, String>> {
    match side.content {
        Content::Directory(path) => packed_texts(path, wanted),
        Content::Plan(plan) => Ok(planned_texts(plan, wanted)),
    }
}

fn planned_texts(plan: &Plan, wanted: &BTreeMap<String, &Place<'_>>) -> BTreeMap<String, String> {
    let text = |(called, place): (&String, &&Place<'_>)| {
        let path = called.strip_prefix('/')?;
        let file = plan.files_of(place.artifact)?.iter().find(|file| file.path.as_str() == path)?;
        match &file.source {
            Source::Text(text) => Some((called.clone(), text.clone())),
            _ => None,
        }
    };
    wanted.iter().filter_map(text).collect()
}

/// Read out of artifacts. What is not as the manifest says is an error.
fn packed_texts(directory: &Path, wanted: &BTreeMap<String, &Place<'_>>) -> io::Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    let artifacts: BTreeSet<&str> = wanted.values().map(|place| place.artifact).collect();
    for artifact in artifacts {
        let here: Vec<_> = wanted.iter().filter(|(_, place)| place.artifact == artifact).collect();
        for some in here.chunks(TEXTS) {
            let keep: Vec<_> = some.iter().filter_map(|(called, _)| called.rsplit('/').next()).collect();
            let mut contents = regular::open_below(directory, artifact)
                .and_then(|file| inspect::list(&file, &keep, LARGEST_CONTENT))?;
            for (called, place) in some {
                if contents.entries.get(place.entry) != Some(&place.member) {
                    return Err(io::Error::other(format!(
                        "`{}` in {artifact} is not as the manifest says",
                        place.entry
                    )));
                }
                found.extend(contents.kept.remove(place.entry).map(|text| ((*called).clone(), text)));
            }
        }
    }
    Ok(found)
}
