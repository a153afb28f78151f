//! A node's files wrapped for `tar -x` and `./install.sh`:
//!
//! ```text
//! roc-master-1-v1.16.0-amd64/     0700
//!   README.txt                    what to do with all this
//!   install.sh                    checks, then installs; POSIX sh
//!   bundle.conf                   what install.sh needs to know, KEY=VALUE
//!   FILES                         all that is installed: MODE SUM PATH [OWNER:GROUP]
//!   TRIGGERS                      which unit restarts when which file changes: UNIT PATH
//!   secrets.cms                   instead of files with secrets below root/, if `[secrets]` wants them encrypted
//!   SHA256SUMS                    over everything else here, for sha256sum(1)
//!   root/…                        the files by their path on the machine
//! ```

use std::fmt::Write as _;

use super::about::About;
use super::guide;
use super::restarts::triggers;
use crate::hash::Sha256;
use crate::manifest::NO_DIGEST;
use crate::plan::{FilePlan, Source};
use crate::scripts::{expand_includes, join};
use crate::seal::{self, Sealed};
use crate::target::{InstallPath, Mode, Owner};
use crate::tree::{Conflict, Content, Entry, Tree};

/// The installer, the same for every bundle.
const INSTALL_SH: &str = include_str!("install.sh");

/// The name of the installer in an archive.
pub(super) const INSTALLER: &str = "install.sh";

/// The digest of the installer as it lies in archives.
pub(super) fn sha256() -> Sha256 {
    Sha256::of(expand_includes(INSTALL_SH).as_bytes())
}

/// Everything in the archive of a machine, whose files are `installed`. `output` is the archive's path. The files of
/// `sealed` take the place of those with secrets.
pub(super) fn wrap(
    installed: &Tree,
    output: &str,
    about: About<'_>,
    readme: String,
    sealed: Option<&Sealed>,
) -> Result<Tree, Conflict> {
    let name = output.rsplit('/').next().unwrap_or(output).trim_end_matches(".tar.gz");
    let top = InstallPath::known(name);
    let root = InstallPath::known("root").below(&top);

    let mut files = vec![
        (INSTALLER, Mode::EXECUTABLE, expand_includes(INSTALL_SH)),
        ("bundle.conf", Mode::PUBLIC, conf(about)),
        (guide::NAME, Mode::PUBLIC, readme),
    ];
    let mut sums = String::new();
    let is_there = |entry: &Entry| sealed.is_none() || !seal::is_secret(entry);
    for (path, entry) in installed.files().filter(|(_, entry)| is_there(entry)) {
        if let Some(digest) = entry.sha256() {
            // Writing to a string can't fail.
            let _ = writeln!(sums, "{digest}  root/{path}");
        }
    }
    files.push(("FILES", Mode::PUBLIC, listing(installed, sealed.is_some())));
    files.push(("TRIGGERS", Mode::PUBLIC, triggers(installed, &about.node.install.units)));
    for (name, _, text) in &files {
        let _ = writeln!(sums, "{}  {name}", Sha256::of(text.as_bytes()));
    }
    let sealed: Vec<_> = sealed.into_iter().flat_map(Sealed::files).collect();
    for (name, digest) in sealed.iter().filter_map(|(name, entry)| Some((name, entry.sha256()?))) {
        let _ = writeln!(sums, "{digest}  {name}");
    }
    files.push(("SHA256SUMS", Mode::PUBLIC, sums));

    let mut tree = Tree::default();
    // Only its owner may look into the unpacked directory, whatever the umask.
    tree.insert(top.clone(), Entry::directory(Mode::PRIVATE))?;
    for (name, mode, text) in files {
        tree.insert(InstallPath::known(name).below(&top), Entry::text(mode, text))?;
    }
    for (name, entry) in sealed {
        tree.insert(InstallPath::known(name).below(&top), entry)?;
    }
    for (path, entry) in installed.iter().filter(|(_, entry)| is_there(entry)) {
        tree.insert(path.below(&root), entry.clone())?;
    }
    Ok(tree)
}

/// `bundle.conf`: the settings as KEY=VALUE.
pub(super) fn conf(about: About<'_>) -> String {
    settings(about).iter().map(|(key, value)| format!("{key}={value}\n")).collect()
}

/// A line for each entry, `MODE SUM PATH [OWNER:GROUP]`: SUM is the sha256 of a file, `->TARGET` for a link, `-` for a
/// directory, and `sealed` for a file with a secret if it is encrypted; the last column is left out where both are root.
pub(super) fn listing(installed: &Tree, is_sealed: bool) -> String {
    let line = |(path, entry): (&InstallPath, &Entry)| {
        let sum = match (&entry.content, entry.sha256()) {
            (Content::Secret(_), _) if is_sealed => NO_DIGEST.to_owned(),
            (Content::Link(target), _) => format!("->{target}"),
            (_, Some(digest)) => digest.to_string(),
            (_, None) => "-".to_owned(),
        };
        let owner = if entry.owner == Owner::ROOT { String::new() } else { format!(" {}", entry.owner) };
        format!("{} {sum} {path}{owner}\n", entry.mode)
    };
    installed.iter().map(line).collect()
}

/// What a machine's scripts need to know of it. No value has a line's end in it.
pub(super) fn settings(about: About<'_>) -> Vec<(&'static str, String)> {
    let About { plan, node, window: (not_before, not_after), seal, data_of } = about;
    let install = &node.install;
    let mut settings = vec![
        ("cluster", plan.content.cluster.to_string()),
        ("node", node.name.to_string()),
        ("address", node.address.to_string()),
        ("endpoint", plan.content.endpoint.to_string()),
        ("version", plan.content.version.clone()),
        ("build", plan.revision.to_string()),
        ("units", join(&install.units)),
        ("ports", join(&install.ports)),
        ("state", join(&install.state)),
        ("logs", join(&install.logs)),
        ("data", join(&install.data)),
        ("data_of", data_of.map(|key| key.to_string()).unwrap_or_default()),
        ("users", join(&install.users)),
        ("commands", join(&install.commands)),
        ("preflight", join(&install.preflight)),
        ("modules", modules(&node.files)),
        ("not_before", not_before.unix_timestamp().to_string()),
        ("not_after", not_after.unix_timestamp().to_string()),
    ];
    settings.extend(seal.map(|by| ("seal", by.as_str().to_owned())));
    settings
}

/// Kernel modules that these files have loaded at each boot (modules-load.d(5)).
fn modules(files: &[FilePlan]) -> String {
    let lists = files.iter().filter(|file| file.path.as_str().starts_with("etc/modules-load.d/"));
    let texts = lists.filter_map(|file| if let Source::Text(text) = &file.source { Some(text) } else { None });
    let lines = texts.flat_map(|text| text.lines()).map(str::trim);
    join(&lines.filter(|line| !line.is_empty() && !line.starts_with(['#', ';'])).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_files_names_an_owner_only_where_it_is_not_root() {
        let mut tree = Tree::default();
        let mut insert = |path: &str, entry| tree.insert(path.parse().expect("a path"), entry).expect("free");
        let data = Entry { owner: "etcd:etcd".parse().expect("an owner"), ..Entry::directory(Mode::PRIVATE) };
        insert("data", data);
        insert("data/empty", Entry::text(Mode::SECRET, ""));
        insert("latest", Entry::link("data/empty"));
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let expected = format!("0700 - data etcd:etcd\n0600 {empty} data/empty\n0777 ->data/empty latest\n");
        assert_eq!(listing(&tree, false), expected);
    }
}
