//! Whether a bundle, or one artifact of it, still matches its checksums. Offline, and every fault, not the first.
//!
//! Checksums are not signatures: whoever changes a file and every list that has it is not found out. Readers share no code
//! with the writers, so that a mistake of a writer shows.

mod expected;
mod listing;
mod origin;
mod package;
pub mod public;
mod report;
mod seed;
mod tarball;
mod thin;

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io::{self, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::hash::Sha256;
use crate::inspect::{self, Contents, Kind, LARGEST_CONTENT};
use crate::manifest::{
    Artifact, FileRecord, IN_RELEASE, LARGEST_LIST, MANIFEST, Manifest, Member, PROVENANCE, PUBLIC_SUMS, RELEASE, SUMS,
    is_attestation, is_signature, provenance, signature_files,
};
use crate::regular::{self, Links};
use crate::target::Mode;
use crate::thin::export_list::EXPORT_LIST;
use crate::trust::Trust;
use listing::Listing;
pub use report::{Cause, Report};
pub use thin::{is_thin, thin};

/// What a file should be. A damaged manifest leaves the digest alone, from `SHA256SUMS`.
struct Known {
    sha256: Sha256,
    size: Option<u64>,
    mode: Option<Mode>,
}

/// Whether a directory has one of the lists that every bundle has.
#[expect(clippy::disallowed_methods, reason = "looks at the bundle that is verified")]
pub fn is_bundle(path: &Path) -> bool {
    [MANIFEST, SUMS].iter().any(|name| path.join(name).symlink_metadata().is_ok())
}

/// Compares an output directory with its manifest, or, if that is damaged, with `SHA256SUMS`. `deep` reads inside
/// every artifact as well. With `trust`, the list must be signed.
#[expect(clippy::disallowed_methods, reason = "looks at the bundle that is verified")]
pub fn directory(path: &Path, deep: bool, trust: Option<&Trust>) -> io::Result<Report> {
    let mut report = Report::default();
    if !is_bundle(path) {
        // Whatever lies there may be large, and is not looked at.
        std::fs::symlink_metadata(path)?;
        report.fault(format!("it has neither {MANIFEST} nor {SUMS}: not a bundle"));
        return Ok(report);
    }
    let there = listing::list(path)?;
    let lists = [MANIFEST, SUMS].map(|name| {
        regular::read(&path.join(name), Links::Refuse, LARGEST_LIST).map_err(|why| format!("{name}: {why}"))
    });
    let manifest = match &lists[0] {
        Ok(text) => Manifest::parse(text).map_err(|why| format!("{MANIFEST}: {why}")),
        Err(why) => Err(why.clone()),
    };
    let known = match (&manifest, &lists[1]) {
        (Ok(manifest), _) => from_manifest(manifest),
        (Err(_), Ok(sums)) => from_sums(&String::from_utf8_lossy(sums)),
        (Err(_), Err(_)) => BTreeMap::new(),
    };
    compare_files(&mut report, path, &there, &known);
    match (&manifest, &lists) {
        (Ok(manifest), [Ok(text), Ok(sums)]) => check_lists(&mut report, manifest, text, sums),
        _ => manifest.as_ref().err().into_iter().chain(lists[1].as_ref().err()).for_each(|why| report.fault(why)),
    }
    let text = texts(path);
    if let (Ok(manifest), Some(public)) = (&manifest, text(PUBLIC_SUMS)) {
        public::check(&mut report, manifest, &public);
    }
    if let (Some(trust), Ok(sums)) = (trust, &lists[1]) {
        signatures(&mut report, trust, sums, manifest.as_ref().ok(), &there, &text);
    }
    if deep && let Ok(manifest) = &manifest {
        for (name, artifact) in manifest.artifacts.iter().filter(|(name, _)| there.files.contains(*name)) {
            inside(&mut report, name, &path.join(name), artifact);
        }
    }
    Ok(report.sorted())
}

/// Who vouches for a bundle, or for a thin copy of one. No file is compared with the checksum list.
///
/// # Errors
/// A directory that can't be listed, or one without that list.
pub fn origin(path: &Path, trust: &Trust) -> io::Result<Report> {
    let mut report = Report::default();
    let (there, manifest) = (listing::list(path)?, Manifest::read(path).ok());
    let sums = regular::read(&path.join(SUMS), Links::Refuse, LARGEST_LIST)?;
    signatures(&mut report, trust, &sums, manifest.as_ref(), &there, &texts(path));
    Ok(report.sorted())
}

/// Reads texts of a bundle by their names.
fn texts(path: &Path) -> impl Fn(&str) -> Option<String> {
    move |name| {
        let bytes = regular::read(&path.join(name), Links::Refuse, LARGEST_LIST).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Checks the signatures of a bundle's checksum list, of what it says of its origin, of its index of packages, and of its
/// list of public files.
fn signatures(
    report: &mut Report,
    trust: &Trust,
    sums: &[u8],
    manifest: Option<&Manifest>,
    there: &Listing,
    text: &impl Fn(&str) -> Option<String>,
) {
    let found = signature_files().filter_map(|name| text(&name).map(|signature| (name, signature)));
    let found = found.collect();
    let keys = origin::check(report, trust, sums, &found);
    origin::check_complete(report, &there.files, &found);
    if let Some(manifest) = manifest {
        let expected = provenance::statement(manifest, &String::from_utf8_lossy(sums));
        origin::check_provenance(report, text(PROVENANCE).as_deref(), &expected, &keys);
    }
    if let Some(release) = text(RELEASE) {
        origin::check_one(report, trust, IN_RELEASE, text(IN_RELEASE).as_deref(), release.as_bytes());
    }
    if let Some(public) = text(PUBLIC_SUMS) {
        let found = there.files.iter().filter(|name| is_attestation(name));
        let found = found.filter_map(|name| text(name).map(|attestation| (name.clone(), attestation)));
        origin::attested(report, trust, public.as_bytes(), &found.collect());
    }
}

/// Checks signatures of a checksum list, given by the names of their files, before anything else of a bundle is known.
pub fn signed(trust: &Trust, sums: &[u8], signatures: &BTreeMap<String, String>) -> Report {
    let mut report = Report::default();
    origin::check(&mut report, trust, sums, signatures);
    report
}

/// Compares what is there with what should be.
fn compare_files(report: &mut Report, path: &Path, there: &Listing, known: &BTreeMap<String, Known>) {
    for (name, known) in known {
        if there.files.contains(name) {
            compare_file(report, name, &path.join(name), known);
        } else {
            report.fault(format!("{name}: missing"));
        }
    }
    unknown(report, there, known);
}

/// What is there and in no list. Directories are in no list; theirs are those of the files.
fn unknown(report: &mut Report, there: &Listing, known: &BTreeMap<String, Known>) {
    let is_list = |name: &str| [MANIFEST, SUMS, EXPORT_LIST].contains(&name) || is_signature(name);
    let is_known = |name: &String| known.contains_key(name) || is_list(name);
    for name in there.files.iter().filter(|name| !is_known(name)) {
        report.fault(format!("{name}: not in the manifest"));
    }
    let parents = expected::parents(known.keys().chain(&there.files).map(String::as_str));
    for name in there.directories.iter().filter(|name| !parents.contains(name.as_str())) {
        report.fault(format!("{name}/: not in the manifest"));
    }
}

/// Bytes of a file with a secret, whose length no list has: a kubeconfig takes a tenth of it.
const LARGEST_SECRET: u64 = 256 << 10;

/// Compares what is inside an artifact with the manifest.
fn inside(report: &mut Report, name: &str, path: &Path, artifact: &Artifact) {
    // Headers and padding take less than this for each entry.
    let size = |member: &Member| if member.secret { LARGEST_SECRET } else { member.size.unwrap_or(0) };
    let sizes = artifact.entries.values().map(|member| size(member).saturating_add(8 << 10));
    let most = sizes.fold(1 << 20, u64::saturating_add).min(LARGEST_CONTENT);
    let contents = regular::open(path, Links::Refuse).and_then(|file| inspect::list(&file, &[], most));
    let contents = match contents {
        Ok(contents) => contents,
        Err(why) => return report.fault(format!("{name}: {why}")),
    };
    for (path, member) in &artifact.entries {
        match contents.entries.get(path) {
            Some(found) if member.describes(found) => report.files += 1,
            Some(_) => report.fault(format!("{name}: `{path}` inside is not as the manifest says")),
            None => report.fault(format!("{name}: `{path}` inside is missing")),
        }
    }
    for path in contents.entries.keys().filter(|path| !artifact.entries.contains_key(*path)) {
        report.fault(format!("{name}: `{path}` inside is not in the manifest"));
    }
    for path in &contents.foreign {
        report.fault(format!("{name}: `{path}` inside is not owned by root"));
    }
}

fn from_manifest(manifest: &Manifest) -> BTreeMap<String, Known> {
    let known = |record: &FileRecord| Known { sha256: record.sha256, size: Some(record.size), mode: Some(record.mode) };
    manifest.files.iter().map(|(name, record)| (name.clone(), known(record))).collect()
}

fn from_sums(sums: &str) -> BTreeMap<String, Known> {
    let line = |line: &str| {
        let (sha256, name) = line.split_once("  ")?;
        Some((name.to_owned(), Known { sha256: sha256.parse().ok()?, size: None, mode: None }))
    };
    sums.lines().filter_map(line).filter(|(name, _)| name != MANIFEST).collect()
}

#[expect(clippy::disallowed_methods, reason = "looks at the bundle that is verified")]
fn compare_file(report: &mut Report, name: &str, path: &Path, known: &Known) {
    let opened = regular::open(path, Links::Refuse).and_then(|file| Ok((file.metadata()?, file)));
    let (metadata, file) = match opened {
        Ok(opened) => opened,
        // What a link leads to is not a part of the bundle.
        Err(_) if path.is_symlink() => return report.fault(format!("{name}: not a regular file")),
        Err(why) => return report.fault(format!("{name}: {why}")),
    };
    report.files += 1;
    check_rights(report, name, &metadata, known);
    if let Some(size) = known.size.filter(|size| *size != metadata.len()) {
        let how = if metadata.len() < size { "truncated" } else { "too long" };
        return report.fault(format!("{name}: {how}: expected {size} bytes, got {}", metadata.len()));
    }
    match Sha256::of_reader(BufReader::with_capacity(256 << 10, file)) {
        Ok((got, length)) => {
            report.bytes += length;
            if got != known.sha256 {
                report.fault(format!("{name}: expected sha256 {}, got {got}", known.sha256));
            }
        }
        Err(why) => report.fault(format!("{name}: could not be read: {why}")),
    }
}

/// A stick with FAT knows no modes, so the bundle is not wrong; what is done with it may be.
fn check_rights(report: &mut Report, name: &str, metadata: &Metadata, known: &Known) {
    let mode = metadata.permissions().mode() & 0o7777;
    if known.mode == Some(Mode::SECRET) && mode & 0o077 != 0 {
        let warning = format!("{name}: it holds keys, and others may read it (mode {mode:04o}); `chmod 600` it");
        report.warnings.push(warning);
    }
}

/// The checksum list must follow from the manifest, to the letter; so a change of either shows.
fn check_lists(report: &mut Report, manifest: &Manifest, text: &[u8], sums: &[u8]) {
    report.files += 2;
    let expected = manifest.sums(&String::from_utf8_lossy(text));
    if expected.as_bytes() != sums {
        report.fault(format!("{SUMS}: does not agree with {MANIFEST}; one of them was changed"));
    } else if manifest.to_json().as_bytes() != text {
        report.fault(format!("{MANIFEST}: not as it was written"));
    }
}

/// Name of the list of modes and digests in archives and packages.
const FILES: &str = "FILES";
/// Texts inside artifacts that are lists, or are compared with each other.
const KEPT: [&str; 9] = [
    SUMS,
    FILES,
    package::MD5SUMS,
    package::CONFFILES,
    package::SCRIPTS,
    package::CONF,
    seed::USER_DATA,
    seed::META_DATA,
    seed::NETWORK_CONFIG,
];

/// Checks one archive, package or image against the lists it carries. With `trust`, its list must be signed, and only
/// archives have signatures of their own. The error is that it can't be opened.
pub fn file(path: &Path, trust: Option<&Trust>) -> io::Result<Report> {
    let mut report = Report::default();
    let file = regular::open(path, Links::Follow)?;
    let signatures: Vec<_> = signature_files().collect();
    let keep: Vec<_> = KEPT.into_iter().chain(signatures.iter().map(String::as_str)).collect();
    let contents = match inspect::list(&file, &keep, LARGEST_CONTENT) {
        Ok(contents) => contents,
        Err(why) if why.kind() == io::ErrorKind::Unsupported => return Err(why),
        Err(why) => {
            report.fault(format!("it could not be read to its end: {why}"));
            return Ok(report);
        }
    };
    for path in &contents.foreign {
        report.fault(format!("{path}: is not owned by root"));
    }
    match contents.kind {
        Kind::Tarball => tarball::check(&mut report, &contents, trust),
        _ if trust.is_some() => report.fault_of(
            Cause::PartOfBundle,
            "only archives have signatures of their own; `verify OUT --trust DIR` checks the whole bundle".to_owned(),
        ),
        Kind::Deb => package::check(&mut report, &contents),
        Kind::Iso | Kind::Fat | Kind::Cpio => seed::check(&mut report, &contents),
    }
    Ok(report.sorted())
}

/// The text of a list, by its path.
fn kept<'c>(contents: &'c Contents, path: &str) -> Option<&'c str> {
    contents.kept.get(path).map(String::as_str)
}
