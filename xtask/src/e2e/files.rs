//! Listings of all files of a machine, and what differs between two of them.
#![expect(clippy::disallowed_methods, reason = "xtask reads files")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use kube_bundle::hash::Sha256;

/// Path (without a leading slash) → what is there.
pub(super) type Listing = BTreeMap<String, Entry>;

/// What a listing knows of one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// File type and permissions in octal, user and group ID: `100644 0:0`.
    pub(super) attributes: String,
    /// The digest of a file, the target of a link, or nothing.
    pub(super) content: String,
}

/// Paths that change by themselves, or that are the business of another program.
const IGNORED_PATHS: &[&str] = &[
    "dev",
    "proc",
    "run",
    "sys",
    "tmp",
    // dpkg copies its own files there once a day.
    "var/backups",
    "var/cache",
    "var/lib/apt",
    "var/lib/dpkg",
    "var/lib/etcd",
    // The etcd that an operator runs.
    "opt/etcd",
    "var/lib/systemd/random-seed",
    "var/lib/systemd/timers",
    "var/lib/systemd/catalog",
    "var/lib/private",
    "var/log/apt",
    "var/log/dpkg.log",
    "var/log/journal",
    "var/log/alternatives.log",
    "var/log/wtmp",
    "var/log/lastlog",
    "var/tmp",
    "etc/ld.so.cache",
    "etc/.pwd.lock",
    // The system user etcd stays: files of it may be anywhere.
    "etc/passwd",
    "etc/passwd-",
    "etc/shadow",
    "etc/shadow-",
    "etc/group",
    "etc/group-",
    "etc/gshadow",
    "etc/gshadow-",
    "etc/subuid",
    "etc/subuid-",
    "etc/subgid",
    "etc/subgid-",
    "etc/machine-id",
    "root",
    "srv",
    "var/log/audit",
    "etc/resolv.conf",
    "var/lib/dbus",
    "etc/.updated",
    "var/.updated",
];

/// Lists everything below `root`, apart from [`IGNORED_PATHS`].
pub(super) fn list(root: &Path) -> Result<Listing> {
    let mut found = Listing::new();
    walk(root, Path::new(""), &mut found)?;
    Ok(found)
}

fn walk(root: &Path, path: &Path, found: &mut Listing) -> Result<()> {
    for entry in fs::read_dir(root.join(path)).with_context(|| format!("could not list `{}`", path.display()))? {
        let path = path.join(entry?.file_name());
        let name = path.display().to_string();
        // deb-systemd-helper leaves its temporary file behind when it is killed while it writes.
        let is_leftover = name.starts_with("var/lib/systemd/deb-systemd-helper") && name.contains("/.state");
        if IGNORED_PATHS.contains(&name.as_str()) || is_leftover {
            continue;
        }
        let full = root.join(&path);
        let metadata = fs::symlink_metadata(&full).with_context(|| format!("could not look at `{name}`"))?;
        let attributes = format!("{:o} {}:{}", metadata.mode(), metadata.uid(), metadata.gid());
        let content = if metadata.is_symlink() {
            format!("-> {}", fs::read_link(&full)?.display())
        } else if metadata.is_file() {
            Sha256::of(&fs::read(&full)?).to_string()
        } else {
            String::new()
        };
        found.insert(name, Entry { attributes, content });
        if metadata.is_dir() {
            walk(root, &path, found)?;
        }
    }
    Ok(())
}

/// The one file with this name in a directory or below it.
pub(crate) fn find(directory: &Path, name: &str) -> Result<PathBuf> {
    fn search(directory: &Path, name: &str, found: &mut Vec<PathBuf>) -> Result<()> {
        for entry in fs::read_dir(directory).with_context(|| format!("could not list `{}`", directory.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                search(&path, name, found)?;
            } else if path.file_name().is_some_and(|file| file == name) {
                found.push(path);
            }
        }
        Ok(())
    }
    let mut found = Vec::new();
    search(directory, name, &mut found)?;
    ensure!(found.len() == 1, "expected one file `{name}` below `{}`, found {}", directory.display(), found.len());
    Ok(found.remove(0))
}

/// How the entries of two listings are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compare {
    Everything,
    /// Paths, file types, permissions and owners.
    AttributesOnly,
}

/// One line for each path that is not the same in both listings.
pub(super) fn differences(before: &Listing, after: &Listing, compare: Compare) -> Vec<String> {
    let gone = before.iter().filter(|(path, _)| !after.contains_key(*path));
    let gone = gone.map(|(path, entry)| format!("gone: {path} ({})", entry.attributes));
    let new = after.iter().filter(|(path, _)| !before.contains_key(*path));
    let new = new.map(|(path, entry)| format!("new: {path} ({})", entry.attributes));
    let changed = before.iter().filter_map(|(path, old)| {
        let new = after.get(path)?;
        if old.attributes != new.attributes {
            return Some(format!("changed: {path}: {} became {}", old.attributes, new.attributes));
        }
        let counts = compare == Compare::Everything && old.content != new.content;
        counts.then(|| format!("changed: {path}: {} became {}", old.content, new.content))
    });
    gone.chain(new).chain(changed).collect()
}

/// Fails with the differences if there are any.
pub(super) fn ensure_same_files(before: &Listing, after: &Listing) -> Result<()> {
    let differences = differences(before, after, Compare::Everything);
    ensure!(differences.is_empty(), "the files are not as they were:\n  {}", differences.join("\n  "));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(entries: &[(&str, &str, &str)]) -> Listing {
        let entry = |&(path, attributes, content): &(&str, &str, &str)| {
            (path.to_owned(), Entry { attributes: attributes.to_owned(), content: content.to_owned() })
        };
        entries.iter().map(entry).collect()
    }

    #[test]
    fn a_file_is_found_in_whichever_directory() {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        assert_eq!(find(&sources, "files.rs").unwrap(), sources.join("e2e/files.rs"));
        assert!(find(&sources, "no-such.rs").is_err());
        assert!(find(&sources, "cluster.rs").is_err(), "e2e and bench have one each");
    }

    #[test]
    fn what_is_gone_new_or_changed_is_told_apart() {
        let before = listing(&[("a", "100644 0:0", "1"), ("b", "100644 0:0", "1"), ("c", "100644 0:0", "1")]);
        let after = listing(&[("b", "100600 0:0", "1"), ("c", "100644 0:0", "2"), ("d", "100644 0:0", "1")]);
        let attributes = ["gone: a (100644 0:0)", "new: d (100644 0:0)", "changed: b: 100644 0:0 became 100600 0:0"];
        assert_eq!(differences(&before, &after, Compare::AttributesOnly), attributes);
        assert_eq!(differences(&before, &after, Compare::Everything)[3..], ["changed: c: 1 became 2"]);
        assert!(ensure_same_files(&before, &after).is_err());
        assert!(ensure_same_files(&before, &before).is_ok());
    }
}
