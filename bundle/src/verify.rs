//! Whether a bundle, or one artifact of it, is still what was built. Offline, and every fault, not the first.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use crate::hash::Sha256;
use crate::inspect;
use crate::manifest::{MANIFEST, Manifest, Member, SUMS};
use crate::out;
use crate::tree::Mode;

/// What was found right, and what wrong.
#[derive(Debug, Default, serde::Serialize)]
pub struct Report {
    /// How many files were compared.
    pub files: usize,
    /// How many bytes were read.
    pub bytes: u64,
    /// Everything that is wrong, sorted by file.
    pub faults: Vec<String>,
}

/// Compares an output directory with its manifest. `deep` reads inside every artifact as well.
pub fn directory(path: &Path, deep: bool) -> io::Result<Report> {
    let mut report = Report::default();
    let there = out::list(path)?;
    let manifest = match Manifest::read(path) {
        Ok(manifest) => manifest,
        Err(why) => {
            report.faults.push(format!("{MANIFEST}: {why}"));
            return Ok(report);
        }
    };
    for (name, record) in &manifest.files {
        if !there.contains(name) {
            report.faults.push(format!("{name}: missing"));
            continue;
        }
        compare(&mut report, name, &path.join(name), record.size, record.sha256, record.mode);
    }
    let known = |name: &String| manifest.files.contains_key(name) || name == MANIFEST || name == SUMS;
    report.faults.extend(there.iter().filter(|name| !known(name)).map(|name| format!("{name}: not in the manifest")));
    check_sums(&mut report, path, &manifest);
    if deep {
        for (name, artifact) in manifest.artifacts.iter().filter(|(name, _)| there.contains(name)) {
            match inspect::read(&path.join(name), &[]) {
                Ok(contents) => differences(&mut report, name, &artifact.entries, &contents.entries),
                Err(why) => report.faults.push(format!("{name}: can't be read: {why}")),
            }
        }
    }
    report.faults.sort();
    Ok(report)
}

#[expect(clippy::disallowed_methods, reason = "reads the files it verifies")]
fn compare(report: &mut Report, name: &str, path: &Path, size: u64, sha256: Sha256, mode: Mode) {
    use std::os::unix::fs::PermissionsExt;
    let opened = std::fs::File::open(path).and_then(|file| Ok((file.metadata()?, file)));
    let (metadata, file) = match opened {
        Ok(opened) => opened,
        Err(why) => return report.faults.push(format!("{name}: can't be read: {why}")),
    };
    report.files += 1;
    // A stick with FAT has no modes; what is readable for others where keys are inside is worth a word.
    let loose = metadata.permissions().mode() & 0o077;
    if mode == Mode::SECRET && loose != 0 {
        report.faults.push(format!(
            "{name}: it holds keys, and others may read it (mode {:04o}, expected {mode})",
            metadata.permissions().mode() & 0o7777
        ));
    }
    if metadata.len() != size {
        let how = if metadata.len() < size { "truncated" } else { "too long" };
        return report.faults.push(format!("{name}: {how}: expected {size} bytes, got {}", metadata.len()));
    }
    match Sha256::of_reader(io::BufReader::with_capacity(256 << 10, file)) {
        Ok((got, length)) => {
            report.bytes += length;
            if got != sha256 {
                report.faults.push(format!("{name}: expected sha256 {sha256}, got {got}"));
            }
        }
        Err(why) => report.faults.push(format!("{name}: can't be read: {why}")),
    }
}

/// The checksum list must follow from the manifest, to the letter; so a change of either shows.
#[expect(clippy::disallowed_methods, reason = "reads the files it verifies")]
fn check_sums(report: &mut Report, path: &Path, manifest: &Manifest) {
    let read = |name: &str| std::fs::read(path.join(name)).map_err(|why| format!("{name}: can't be read: {why}"));
    let (text, sums) = match (read(MANIFEST), read(SUMS)) {
        (Ok(text), Ok(sums)) => (text, sums),
        (Err(why), _) | (_, Err(why)) => return report.faults.push(why),
    };
    report.files += 2;
    let expected = manifest.sums(&String::from_utf8_lossy(&text));
    if expected.as_bytes() != sums {
        report.faults.push(format!("{SUMS}: does not agree with {MANIFEST}; one of them was changed"));
    } else if manifest.to_json().as_bytes() != text {
        report.faults.push(format!("{MANIFEST}: not as it was written"));
    }
}

fn differences(report: &mut Report, name: &str, expected: &BTreeMap<String, Member>, got: &BTreeMap<String, Member>) {
    for (path, member) in expected {
        match got.get(path) {
            Some(found) if found == member => report.files += 1,
            Some(_) => report.faults.push(format!("{name}: `{path}` inside is not as the manifest says")),
            None => report.faults.push(format!("{name}: `{path}` inside is missing")),
        }
    }
    for path in got.keys().filter(|path| !expected.contains_key(*path)) {
        report.faults.push(format!("{name}: `{path}` inside is not in the manifest"));
    }
}

/// Checks one tarball against the lists it carries.
pub fn tarball(path: &Path) -> io::Result<Report> {
    let mut report = Report::default();
    let contents = match inspect::read(path, &[SUMS, "FILES"]) {
        Ok(contents) => contents,
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Err(why),
        Err(why) => {
            report.faults.push(format!("the archive can't be read to its end: {why}"));
            return Ok(report);
        }
    };
    let (Some(sums), Some(files)) = (contents.kept.get(SUMS), contents.kept.get("FILES")) else {
        report.faults.push(format!("it carries no {SUMS} and FILES: it is no node's archive"));
        return Ok(report);
    };
    let top = contents.entries.keys().next().cloned().unwrap_or_default();
    let sums: BTreeMap<_, _> =
        sums.lines().filter_map(|line| line.split_once("  ").map(|(sha256, name)| (name, sha256))).collect();
    for (name, expected) in &sums {
        match contents.entries.get(&format!("{top}/{name}")).and_then(|member| member.sha256.zip(member.size)) {
            Some((got, size)) => {
                report.files += 1;
                report.bytes += size;
                if got.to_string() != *expected {
                    report.faults.push(format!("{name}: expected sha256 {expected}, got {got}"));
                }
            }
            None => report.faults.push(format!("{name}: missing")),
        }
    }
    let inside = contents.entries.iter().filter(|(_, member)| member.sha256.is_some());
    let inside = inside.filter_map(|(path, _)| path.strip_prefix(&top)?.strip_prefix('/'));
    report.faults.extend(
        inside.filter(|name| *name != SUMS && !sums.contains_key(name)).map(|name| format!("{name}: not in {SUMS}")),
    );
    check_modes(&mut report, &top, files, &contents.entries);
    report.faults.sort();
    Ok(report)
}

fn check_modes(report: &mut Report, top: &str, files: &str, entries: &BTreeMap<String, Member>) {
    for line in files.lines() {
        let mut words = line.splitn(3, ' ');
        let (Some(mode), Some(_), Some(path)) = (words.next(), words.next(), words.next()) else {
            report.faults.push(format!("FILES: a line without mode, sum and path: `{line}`"));
            continue;
        };
        if let Some(member) = entries.get(&format!("{top}/root/{path}"))
            && member.mode.to_string() != mode
        {
            report.faults.push(format!("root/{path}: expected mode {mode}, got {}", member.mode));
        }
    }
}
