//! Whether a bundle, or one artifact of it, is still what was built. Offline, and every fault, not the first.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::assemble::seed::{HOOKS, IN_INITRAMFS, of_instance};
use crate::hash::Sha256;
use crate::inspect::{self, Contents, Kind};
use crate::manifest::{CONTROL, FileRecord, MANIFEST, Manifest, Member, SUMS};
use crate::out;
use crate::target::Mode;

/// cloud-init's name for what a first boot does.
const USER_DATA: &str = "user-data";
const META_DATA: &str = "meta-data";
const NETWORK_CONFIG: &str = "network-config";

/// What was found right, and what wrong.
#[derive(Debug, Default, serde::Serialize)]
pub struct Report {
    /// How many files were compared.
    pub files: usize,
    /// How many bytes were read.
    pub bytes: u64,
    /// Everything that is wrong, sorted by file.
    pub faults: Vec<String>,
    /// What is right and still not good.
    pub warnings: Vec<String>,
}

/// What a file should be. A damaged manifest leaves the digest alone, from `SHA256SUMS`.
struct Expected {
    sha256: Sha256,
    size: Option<u64>,
    mode: Option<Mode>,
}

/// Compares an output directory with its manifest, or, if that is damaged, with `SHA256SUMS`. `deep` reads inside
/// every artifact as well.
pub fn directory(path: &Path, deep: bool) -> io::Result<Report> {
    let mut report = Report::default();
    let there = out::list(path)?;
    let lists = [MANIFEST, SUMS].map(|name| read_regular(&path.join(name)).map_err(|why| format!("{name}: {why}")));
    let manifest = match &lists[0] {
        Ok(text) => Manifest::parse(text).map_err(|why| format!("{MANIFEST}: {why}")),
        Err(why) => Err(why.clone()),
    };
    if lists.iter().all(Result::is_err) && !there.is_empty() {
        report.faults.push(format!("it has neither {MANIFEST} nor {SUMS}: it is no bundle"));
        return Ok(report);
    }
    let expected = match (&manifest, &lists[1]) {
        (Ok(manifest), _) => from_manifest(manifest),
        (Err(_), Ok(sums)) => from_sums(&String::from_utf8_lossy(sums)),
        (Err(_), Err(_)) => BTreeMap::new(),
    };
    for (name, wanted) in &expected {
        if there.contains(name) {
            compare(&mut report, name, &path.join(name), wanted);
        } else {
            report.faults.push(format!("{name}: missing"));
        }
    }
    let known = |name: &String| expected.contains_key(name) || name == MANIFEST || name == SUMS;
    report.faults.extend(there.iter().filter(|name| !known(name)).map(|name| format!("{name}: not in the manifest")));
    match (&manifest, &lists) {
        (Ok(manifest), [Ok(text), Ok(sums)]) => check_lists(&mut report, manifest, text, sums),
        _ => report.faults.extend(manifest.as_ref().err().into_iter().chain(lists[1].as_ref().err()).cloned()),
    }
    if deep && let Ok(manifest) = &manifest {
        for (name, artifact) in manifest.artifacts.iter().filter(|(name, _)| there.contains(name)) {
            match inspect::read(&path.join(name), &[]) {
                Ok(contents) => {
                    differences(&mut report, name, &artifact.entries, &contents.entries);
                    let foreign = contents.foreign.iter();
                    report
                        .faults
                        .extend(foreign.map(|path| format!("{name}: `{path}` inside is another's than root's")));
                }
                Err(why) => report.faults.push(format!("{name}: can't be read: {why}")),
            }
        }
    }
    report.faults.sort();
    report.faults.dedup();
    Ok(report)
}

fn from_manifest(manifest: &Manifest) -> BTreeMap<String, Expected> {
    let expected =
        |record: &FileRecord| Expected { sha256: record.sha256, size: Some(record.size), mode: Some(record.mode) };
    manifest.files.iter().map(|(name, record)| (name.clone(), expected(record))).collect()
}

fn from_sums(sums: &str) -> BTreeMap<String, Expected> {
    let line = |line: &str| {
        let (sha256, name) = line.split_once("  ")?;
        Some((name.to_owned(), Expected { sha256: sha256.parse().ok()?, size: None, mode: None }))
    };
    sums.lines().filter_map(line).filter(|(name, _)| name != MANIFEST).collect()
}

/// Opens a file that is one: a link could lead anywhere, and a pipe would wait for ever.
#[expect(clippy::disallowed_methods, reason = "reads the files it verifies")]
fn open_regular(path: &Path) -> io::Result<(std::fs::File, std::fs::Metadata)> {
    if !std::fs::symlink_metadata(path)?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let file = std::fs::File::open(path)?;
    let metadata = file.metadata()?;
    Ok((file, metadata))
}

fn read_regular(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(path)?.0.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn compare(report: &mut Report, name: &str, path: &Path, expected: &Expected) {
    let (file, metadata) = match open_regular(path) {
        Ok(opened) => opened,
        Err(why) => return report.faults.push(format!("{name}: {why}")),
    };
    report.files += 1;
    let mode = metadata.permissions().mode() & 0o7777;
    if expected.mode == Some(Mode::SECRET) && mode & 0o077 != 0 {
        // A stick with FAT knows no modes, so the bundle is not wrong; what is done with it may be.
        report
            .warnings
            .push(format!("{name}: it holds keys, and others may read it (mode {mode:04o}); `chmod 600` it"));
    }
    if let Some(size) = expected.size.filter(|size| *size != metadata.len()) {
        let how = if metadata.len() < size { "truncated" } else { "too long" };
        return report.faults.push(format!("{name}: {how}: expected {size} bytes, got {}", metadata.len()));
    }
    match Sha256::of_reader(io::BufReader::with_capacity(256 << 10, file)) {
        Ok((got, length)) => {
            report.bytes += length;
            if got != expected.sha256 {
                report.faults.push(format!("{name}: expected sha256 {}, got {got}", expected.sha256));
            }
        }
        Err(why) => report.faults.push(format!("{name}: can't be read: {why}")),
    }
}

/// The checksum list must follow from the manifest, to the letter; so a change of either shows.
fn check_lists(report: &mut Report, manifest: &Manifest, text: &[u8], sums: &[u8]) {
    report.files += 2;
    let expected = manifest.sums(&String::from_utf8_lossy(text));
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

/// Checks one archive or package against the lists it carries.
pub fn file(path: &Path) -> io::Result<Report> {
    let mut report = Report::default();
    let contents = match inspect::read(path, &[SUMS, "FILES", "md5sums", USER_DATA, META_DATA, NETWORK_CONFIG]) {
        Ok(contents) => contents,
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Err(why),
        Err(why) => {
            report.faults.push(format!("the archive can't be read to its end: {why}"));
            return Ok(report);
        }
    };
    match contents.kind {
        Kind::Tarball => tarball(&mut report, &contents),
        Kind::Deb => package(&mut report, &contents),
        Kind::Iso | Kind::Fat | Kind::Cpio => seed(&mut report, &contents),
    }
    report.faults.sort();
    report.faults.dedup();
    Ok(report)
}

/// A machine's seed names in its user data the sha256 of what it installs; what machines share has a list of its own.
fn seed(report: &mut Report, contents: &Contents) {
    report.faults.extend(contents.foreign.iter().map(|path| format!("{path}: it belongs to another than root")));
    check_instance(report, contents);
    let lists = [USER_DATA, SUMS].map(|name| contents.kept.get(name).map(String::as_str));
    if lists == [None, None] {
        return report.faults.push(format!("it has neither {USER_DATA} nor {SUMS}: it is no seed"));
    }
    let line = |line: &str| {
        let (sha256, path) = line.trim().trim_start_matches("payload='").trim_end_matches('\'').split_once(' ')?;
        Some((path.trim_start().rsplit('/').next()?.to_owned(), sha256.parse::<Sha256>().ok()?))
    };
    let named: BTreeMap<_, _> = lists.iter().flatten().flat_map(|text| text.lines()).filter_map(line).collect();
    let mut there = BTreeSet::new();
    let links = contents.entries.iter().filter(|(_, member)| member.link.is_some());
    report.faults.extend(links.map(|(path, _)| format!("{path}: a link, and no seed has one")));
    for (path, member) in &contents.entries {
        let Some((got, size)) = member.sha256.zip(member.size) else { continue };
        let name = path.rsplit('/').next().unwrap_or(path);
        report.files += 1;
        report.bytes += size;
        there.insert(name);
        match named.get(name) {
            Some(expected) if *expected != got => {
                report.faults.push(format!("{path}: expected sha256 {expected}, got {got}"));
            }
            None => unlisted(report, path, got),
            Some(_) => {}
        }
    }
    let (programs, own): (Vec<_>, Vec<_>) = named.keys().partition(|name| name.starts_with("kube-bundle-"));
    // If all programs are missing, they are on the image that machines share.
    let split = !programs.iter().any(|name| there.contains(name.as_str()));
    if split && !named.is_empty() {
        report
            .warnings
            .push("the programs are not in it: they are expected on the image that machines share".to_owned());
    }
    let missing = programs.into_iter().filter(|_| !split).chain(own).filter(|name| !there.contains(name.as_str()));
    report.faults.extend(missing.map(|name| format!("{name}: missing")));
}

/// What no list has: cloud-init's files, the list itself, and what plants a seed, which is the same in all of them.
fn unlisted(report: &mut Report, path: &str, got: Sha256) {
    let hook = HOOKS.iter().find(|(hook, _, _)| *hook == path);
    let name = path.strip_prefix(IN_INITRAMFS).map_or(path, |name| name.trim_start_matches('/'));
    match hook {
        Some((_, _, text)) if Sha256::of(text.as_bytes()) != got => {
            report.faults.push(format!("{path}: not as this version of kube-bundle writes it"));
        }
        None if ![USER_DATA, META_DATA, NETWORK_CONFIG, SUMS].contains(&name) => {
            report.faults.push(format!("{path}: no list in the seed has it"));
        }
        _ => {}
    }
}

/// The instance is named after what it is told.
fn check_instance(report: &mut Report, contents: &Contents) {
    let kept = |name| contents.kept.get(name).map(String::as_str);
    if let Some(user_data) = kept(USER_DATA) {
        let expected = of_instance(user_data, kept(NETWORK_CONFIG).unwrap_or_default());
        let line = kept(META_DATA).unwrap_or_default().lines().find(|line| line.starts_with("instance-id:"));
        if !line.is_some_and(|line| line.trim_end_matches('"').ends_with(&format!("-{expected}"))) {
            report
                .faults
                .push(format!("{META_DATA}: the instance is not the one of this {USER_DATA} and {NETWORK_CONFIG}"));
        }
    }
}

/// A machine's package lists the sha256 of what is the machine's, keys among it; dpkg's own list has the rest.
fn package(report: &mut Report, contents: &Contents) {
    let sums = contents.kept.get("md5sums").map_or("", String::as_str);
    let sums: BTreeMap<_, _> =
        sums.lines().filter_map(|line| line.split_once("  ").map(|(md5, path)| (path, md5))).collect();
    let line = |line| -> Option<(&str, (&str, &str))> {
        let mut words = str::split(line, ' ');
        let (mode, sha256, path) = (words.next()?, words.next()?, words.next()?);
        Some((path, (mode, sha256)))
    };
    let listed: BTreeMap<_, _> =
        contents.kept.get("FILES").map_or("", String::as_str).lines().filter_map(line).collect();
    report.faults.extend(contents.foreign.iter().map(|path| format!("{path}: it belongs to another than root")));
    let control = format!("{CONTROL}/");
    for (path, member) in contents.entries.iter().filter(|(path, _)| !path.starts_with(&control)) {
        let (md5, record) = (sums.get(path.as_str()), listed.get(path.as_str()));
        if let Some((mode, _)) = record.filter(|(mode, _)| member.mode.to_string() != *mode) {
            report.faults.push(format!("{path}: expected mode {mode}, got {}", member.mode));
        }
        if member.link.as_deref() != record.and_then(|(_, sum)| sum.strip_prefix("->")) {
            report.faults.push(format!("{path}: not the link that FILES has"));
        } else if member.link.is_none()
            && ![Mode::PUBLIC, Mode::EXECUTABLE, Mode::SECRET, Mode::PRIVATE].contains(&member.mode)
        {
            report.faults.push(format!("{path}: no build gives mode {}", member.mode));
        }
        let Some((got, size)) = member.sha256.zip(member.size) else { continue };
        report.files += 1;
        report.bytes += size;
        if md5.is_none() && record.is_none() {
            report.faults.push(format!("{path}: neither md5sums nor FILES knows it"));
        }
        if let Some(expected) = md5.filter(|md5| contents.md5.get(path).map(String::as_str) != Some(**md5)) {
            report.faults.push(format!("{path}: expected md5 {expected}, got another"));
        }
        if let Some((_, expected)) = record.filter(|(_, expected)| got.to_string() != *expected) {
            report.faults.push(format!("{path}: expected sha256 {expected}, got {got}"));
        }
    }
    // Programs that other packages bring are listed too, so that a machine can check them.
    let own = listed.keys().filter(|path| !path.starts_with("usr/bin"));
    let missing = sums.keys().chain(own).filter(|path| !contents.entries.contains_key(**path));
    report.faults.extend(missing.map(|path| format!("{path}: missing")));
}

fn tarball(report: &mut Report, contents: &Contents) {
    let (Some(sums), Some(files)) = (contents.kept.get(SUMS), contents.kept.get("FILES")) else {
        return report.faults.push(format!("it carries no {SUMS} and FILES: it is no node's archive"));
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
    check_modes(report, &top, files, &contents.entries);
}

fn check_modes(report: &mut Report, top: &str, files: &str, entries: &BTreeMap<String, Member>) {
    let is_link = |(_, member): &(&String, &Member)| member.link.is_some();
    let mut links: BTreeSet<&str> = entries.iter().filter(is_link).map(|(path, _)| path.as_str()).collect();
    for line in files.lines() {
        let mut words = line.split(' ');
        let (Some(mode), Some(sum), Some(path)) = (words.next(), words.next(), words.next()) else {
            report.faults.push(format!("FILES: a line without mode, sum and path: `{line}`"));
            continue;
        };
        links.remove(format!("{top}/root/{path}").as_str());
        if entries.get(&format!("{top}/root/{path}")).and_then(|member| member.link.as_deref())
            != sum.strip_prefix("->")
        {
            report.faults.push(format!("root/{path}: not the link that FILES has"));
        }
        if let Some(member) = entries.get(&format!("{top}/root/{path}"))
            && member.mode.to_string() != mode
        {
            report.faults.push(format!("root/{path}: expected mode {mode}, got {}", member.mode));
        }
    }
    report.faults.extend(links.iter().map(|path| format!("{path}: a link that FILES does not have")));
}
