//! A machine's files, and everybody's programs, as Debian packages: what dpkg installs and what it runs.
//!
//! ```text
//! var/lib/kube-bundle/package/   0700
//!   bundle.conf                  whose package it is, KEY=VALUE; the same as in an archive
//!   FILES                        mode, sha256 and path of all that belongs to the machine
//!   SCRIPTS                      sha256 and name of each maintainer script
//!   TRIGGERS                     unit and path of each file that the unit names
//! ```
//!
//! The scripts are the same for every bundle; their settings are written before them, since `postrm` runs when no file
//! is left to read them from.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use time::OffsetDateTime;

use super::installer::{conf, expand_includes, listing, settings};
use crate::hash::Sha256;
use crate::plan::{NodePlan, PackagePlan, Plan};
use crate::recipe::layout::Install;
use crate::target::{InstallPath, Mode};
use crate::tree::{Conflict, Content, Entry, Package, Script, Tree};

/// The `preinst` of a program's package.
const PROGRAM: &str = include_str!("package/program.sh");
const PREINST: &str = include_str!("package/preinst.sh");
const POSTINST: &str = include_str!("package/postinst.sh");
const PRERM: &str = include_str!("package/prerm.sh");
const POSTRM: &str = include_str!("package/postrm.sh");

/// Where a machine's package keeps what its scripts read.
const RECORD: &str = "var/lib/kube-bundle/package";

/// A digest over the scripts, which a build's revision has to grow with.
pub fn scripts_digest() -> Sha256 {
    Sha256::of([PROGRAM, PREINST, POSTINST, PRERM, POSTRM].map(expand_includes).concat().as_bytes())
}

/// A program, the same for every machine. All it runs is a look at what is in its way.
pub(super) fn shared(of: &PackagePlan, tree: Tree) -> Package {
    let scripts = BTreeMap::from([(Script::Preinst, script(&[("paths", paths(&tree))], PROGRAM))]);
    Package { control: of.control.clone(), compression: of.compression, mtime: of.date.unix_timestamp(), scripts, tree }
}

/// A machine's own. `installed` is all that is to lie there, whichever package brings it.
pub(super) fn node(
    of: &PackagePlan,
    mut tree: Tree,
    installed: &Tree,
    plan: &Plan,
    node: &NodePlan,
    window: (OffsetDateTime, OffsetDateTime),
) -> Result<Package, Conflict> {
    let Install { units, state, logs, writes, .. } = &node.install;
    let record: InstallPath = RECORD.parse().unwrap_or_else(|why| unreachable!("a good path: {why}"));
    let mut scripts = vec![("package", of.control.package.to_string())];
    scripts.extend(settings(plan, node, window).into_iter().filter(|(key, _)| !matches!(*key, "state" | "logs")));
    scripts.push(("paths", paths(&tree)));
    scripts.push(("writes", list(writes)));
    scripts.push(("directories", list(&[&state[..], logs].concat())));
    let bodies =
        [(Script::Preinst, PREINST), (Script::Postinst, POSTINST), (Script::Prerm, PRERM), (Script::Postrm, POSTRM)];
    let bodies = bodies.map(|(kind, body)| (kind, script(&scripts, body)));

    let digests: String =
        bodies.iter().map(|(kind, body)| format!("{}  {}\n", Sha256::of(body.as_bytes()), kind.name())).collect();

    // Nobody but root looks in: it lists the digests of keys.
    if let Some(parent) = record.parent() {
        tree.insert(parent, Entry::directory(Mode::PRIVATE))?;
    }
    for (name, text) in [
        ("bundle.conf", conf(plan, node, window)),
        ("FILES", listing(installed)),
        ("SCRIPTS", digests),
        ("TRIGGERS", triggers(installed, units)),
    ] {
        let path: InstallPath = name.parse().unwrap_or_else(|why| unreachable!("a good path: {why}"));
        tree.insert(path.below(&record), Entry::text(Mode::PUBLIC, text))?;
    }
    Ok(Package {
        control: of.control.clone(),
        compression: of.compression,
        mtime: of.date.unix_timestamp(),
        scripts: bodies.into(),
        tree,
    })
}

/// `#!/bin/sh`, those of the settings that it uses, and what is the same everywhere.
pub(super) fn script(settings: &[(&str, String)], body: &str) -> String {
    let body = expand_includes(body);
    let used = settings.iter().filter(|(key, _)| body.contains(&format!("${key}")));
    // No name, path or address that gets here holds a quote.
    let settings: String = used.map(|(key, value)| format!("{key}='{value}'\n")).collect();
    format!("#!/bin/sh\nset -eu\n{settings}\n{body}")
}

fn list(paths: &[InstallPath]) -> String {
    paths.iter().map(InstallPath::as_str).collect::<Vec<_>>().join(" ")
}

fn paths(tree: &Tree) -> String {
    tree.files().map(|(path, _)| path.as_str()).collect::<Vec<_>>().join(" ")
}

/// Which files each unit names, itself among them, so that an upgrade restarts what a change touches.
fn triggers(installed: &Tree, units: &[String]) -> String {
    let mut lines = String::new();
    for (unit, path, text) in installed.files().filter_map(|(path, entry)| {
        let name = path.as_str().rsplit('/').next()?;
        let unit = units.iter().find(|unit| *unit == name)?;
        let Content::Bytes(text) = &entry.content else { return None };
        Some((unit, path, String::from_utf8_lossy(text).into_owned()))
    }) {
        // `--flag=/path`, `"/path"` and `ExecStart=-/path` name a file as much as `/path` does.
        let words = text.split(|c: char| c.is_whitespace() || matches!(c, '=' | ',' | '"' | '\''));
        let named = words.map(|word| word.trim_start_matches(['-', '@', '+', '!', ':']));
        let named: BTreeSet<&str> = named.filter_map(|word| word.strip_prefix('/')).collect();
        let files = installed.files().map(|(path, _)| path);
        for file in files.filter(|file| *file == path || named.contains(file.as_str())) {
            // Writing to a string can't fail.
            let _ = writeln!(lines, "{unit} {file}");
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_triggered_by_itself_and_by_what_it_names() {
        let mut tree = Tree::default();
        let unit = "[Service]\nExecStart=-/usr/bin/a --key=/k/a.pem \\\n  \"/k/plain\"\nX-Restart-Triggers=/k/x /k/y\n";
        for (path, text) in [
            ("lib/systemd/system/a.service", unit),
            ("usr/bin/a", ""),
            ("usr/bin/b", ""),
            ("k/a.pem", ""),
            ("k/plain", ""),
            ("k/x", ""),
            ("k/y", ""),
            ("k/a.pem.old", ""),
        ] {
            tree.insert(path.parse().expect("a path"), Entry::text(Mode::PUBLIC, text)).expect("free");
        }
        let lines = triggers(&tree, &["a.service".to_owned()]);
        let paths: Vec<_> = lines.lines().filter_map(|line| line.strip_prefix("a.service ")).collect();
        assert_eq!(paths, ["k/a.pem", "k/plain", "k/x", "k/y", "lib/systemd/system/a.service", "usr/bin/a"]);
    }
}
