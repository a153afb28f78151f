//! A machine's files, and everybody's programs, as Debian packages: what dpkg installs and what it runs.
//!
//! ```text
//! var/lib/kube-bundle/package/   0700
//!   bundle.conf                  whose package it is, KEY=VALUE; the same as in an archive
//!   FILES                        all that belongs to the machine; as in an archive
//!   TRIGGERS                     which unit restarts when which file changes; as in an archive
//! ```
//!
//! The scripts are the same for every bundle; their settings are written before them, since `postrm` runs when no file
//! is left to read them from.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::installer::{conf, join, listing, settings};
use super::restarts::triggers;
use super::shell::{expand_includes, script};
use crate::hash::Sha256;
use crate::plan::{NodePlan, PackagePlan, Plan};
use crate::recipe::layout::Install;
use crate::target::{InstallPath, Mode};
use crate::tree::{Conflict, Entry, Package, Script, Tree};

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
    scripts.push(("writes", join(writes)));
    scripts.push(("directories", join(&[&state[..], logs].concat())));
    let bodies =
        [(Script::Preinst, PREINST), (Script::Postinst, POSTINST), (Script::Prerm, PRERM), (Script::Postrm, POSTRM)];
    let bodies = bodies.map(|(kind, body)| (kind, script(&scripts, body)));

    // Nobody but root looks in: it lists the digests of keys.
    if let Some(parent) = record.parent() {
        tree.insert(parent, Entry::directory(Mode::PRIVATE))?;
    }
    for (name, text) in [
        ("bundle.conf", conf(plan, node, window)),
        ("FILES", listing(installed)),
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

fn paths(tree: &Tree) -> String {
    tree.files().map(|(path, _)| path.as_str()).collect::<Vec<_>>().join(" ")
}
