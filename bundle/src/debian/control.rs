//! The control file of a binary package (Debian Policy 5.3): fields, versions and file names as dpkg wants them.
//! Section numbers are those of the Debian Policy Manual.

use crate::package::{Architecture, Package, Relation, Version};

/// Essential packages, which no package depends on without a reason (3.5); and mawk, since any awk will do and base-files
/// depends on one.
const ALWAYS_THERE: &[&str] = &[
    "base-files",
    "bash",
    "bsdutils",
    "coreutils",
    "dash",
    "diffutils",
    "dpkg",
    "findutils",
    "grep",
    "gzip",
    "hostname",
    "init-system-helpers",
    "login",
    "mawk",
    "ncurses-bin",
    "perl-base",
    "sed",
    "tar",
    "util-linux",
];

/// `UPSTREAM-REVISION` (5.6.12), with no epoch. A semantic version's pre-release comes before its release, and so does
/// what stands behind `~` here.
pub fn version(version: &Version) -> String {
    format!("{}-{}", version.upstream().replace('-', "~"), version.revision())
}

fn architecture(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::Amd64 => "amd64",
        Architecture::Independent => "all",
    }
}

/// As a relation field has it (7.1).
fn relation(relation: &Relation) -> String {
    match &relation.exactly {
        Some(exactly) => format!("{} (= {})", relation.package, version(exactly)),
        None => relation.package.to_string(),
    }
}

/// The stanza, with `installed` (KiB) as `Installed-Size` (5.6.20).
pub fn stanza(package: &Package, installed: u64) -> String {
    let mut text = format!(
        "Package: {}\nVersion: {}\nArchitecture: {}\nMaintainer: {}\nInstalled-Size: {installed}\n",
        package.name,
        version(&package.version),
        architecture(package.architecture),
        package.maintainer
    );
    let depends: Vec<_> =
        package.depends.iter().filter(|it| !ALWAYS_THERE.contains(&it.package.as_str())).cloned().collect();
    for (field, relations) in [
        ("Depends", &depends),
        ("Conflicts", &package.conflicts),
        ("Replaces", &package.replaces),
        ("Provides", &package.provides),
    ] {
        if !relations.is_empty() {
            let list: Vec<_> = relations.iter().map(self::relation).collect();
            text += &format!("{field}: {}\n", list.join(", "));
        }
    }
    text += &format!(
        "Section: admin\nPriority: optional\nHomepage: {}\nDescription: {}\n",
        package.homepage, package.synopsis
    );
    let paragraphs: Vec<_> = package.description.iter().map(|line| wrapped(line.as_str())).collect();
    // A line with only a dot is an empty one (5.6.13).
    text + &paragraphs.join(" .\n")
}

/// `NAME_VERSION_ARCHITECTURE.deb`, as dpkg-name(1) has it.
pub fn file_name(package: &Package) -> String {
    format!("{}_{}_{}.deb", package.name, version(&package.version), architecture(package.architecture))
}

/// A paragraph of a description: lines of at most 80 characters, each behind a space.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        if lines.last().is_some_and(|line| !line.is_empty() && line.len() + word.len() > 77) {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            line.push(' ');
            line.push_str(word);
        }
    }
    lines.into_iter().map(|line| line + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_written_so_that_dpkg_sorts_them_as_their_makers_do() {
        let version = |release: &str| Version::new(release, 2).map(|it| super::version(&it));
        assert_eq!(version("v1.16.0").as_deref(), Ok("1.16.0-2"));
        assert_eq!(version("v1.17.0-rc.1").as_deref(), Ok("1.17.0~rc.1-2"));
        assert_eq!(version("v1.16.0+build5").as_deref(), Ok("1.16.0+build5-2"));
    }

    #[test]
    fn descriptions_are_wrapped_and_separated() {
        let text = wrapped(&"word ".repeat(40));
        assert!(text.lines().count() > 2 && text.lines().all(|line| line.len() <= 80 && line.starts_with(' ')));
    }
}
