//! A node's files wrapped for `tar -x` and `./install.sh`:
//!
//! ```text
//! roc-master-1-v1.16.0-amd64/     0700
//!   install.sh                    checks, then installs; POSIX sh
//!   bundle.conf                   what install.sh needs to know, KEY=VALUE
//!   FILES                         mode, sha256 and path of all that is installed
//!   SHA256SUMS                    over everything else here, for sha256sum(1)
//!   root/…                        the files by their path on the machine
//! ```

use std::fmt::Write as _;

use time::OffsetDateTime;

use crate::hash::Sha256;
use crate::plan::{NodePlan, Plan};
use crate::scripts::expand_includes;
use crate::target::{InstallPath, Mode};
use crate::tree::{Conflict, Entry, Tree};

/// The installer, the same for every bundle.
const INSTALL_SH: &str = include_str!("install.sh");
pub(super) fn wrap(
    installed: &Tree,
    output: &str,
    plan: &Plan,
    node: &NodePlan,
    window: (OffsetDateTime, OffsetDateTime),
) -> Result<Tree, Conflict> {
    let name = output.rsplit('/').next().unwrap_or(output).trim_end_matches(".tar.gz");
    let path = |text: &str| -> InstallPath {
        text.parse().unwrap_or_else(|why| unreachable!("built from checked names: {why}"))
    };
    let top = path(name);
    let root = path("root").below(&top);

    let mut files = vec![
        ("install.sh", Mode::EXECUTABLE, expand_includes(INSTALL_SH)),
        ("bundle.conf", Mode::PUBLIC, conf(plan, node, window)),
    ];
    let mut sums = String::new();
    for (path, digest) in installed.files().filter_map(|(path, entry)| Some((path, entry.sha256()?))) {
        // Writing to a string can't fail.
        let _ = writeln!(sums, "{digest}  root/{path}");
    }
    files.push(("FILES", Mode::PUBLIC, listing(installed)));
    for (name, _, text) in &files {
        let _ = writeln!(sums, "{}  {name}", Sha256::of(text.as_bytes()));
    }
    files.push(("SHA256SUMS", Mode::PUBLIC, sums));

    let mut tree = Tree::default();
    // Only its owner may look into the unpacked directory, whatever the umask.
    tree.insert(top.clone(), Entry::directory(Mode::PRIVATE))?;
    for (name, mode, text) in files {
        tree.insert(path(name).below(&top), Entry::text(mode, text))?;
    }
    for (path, entry) in installed.iter() {
        tree.insert(path.below(&root), entry.clone())?;
    }
    Ok(tree)
}

/// `bundle.conf`: the settings as KEY=VALUE.
pub(super) fn conf(plan: &Plan, node: &NodePlan, window: (OffsetDateTime, OffsetDateTime)) -> String {
    settings(plan, node, window).iter().map(|(key, value)| format!("{key}={value}\n")).collect()
}

/// Mode, sha256 (`-` for a directory) and path of each entry, a line each.
pub(super) fn listing(installed: &Tree) -> String {
    let line = |(path, entry): (&InstallPath, &Entry)| match entry.sha256() {
        Some(digest) => format!("{} {digest} {path}\n", entry.mode),
        None => format!("{} - {path}\n", entry.mode),
    };
    installed.iter().map(line).collect()
}

/// What a machine's scripts need to know of it. No value has a quote or a line's end in it.
pub(super) fn settings(
    plan: &Plan,
    node: &NodePlan,
    (not_before, not_after): (OffsetDateTime, OffsetDateTime),
) -> [(&'static str, String); 11] {
    let list = |values: &[InstallPath]| values.iter().map(InstallPath::as_str).collect::<Vec<_>>().join(" ");
    let ports: Vec<_> = node.install.ports.iter().map(ToString::to_string).collect();
    [
        ("cluster", plan.content.cluster.to_string()),
        ("node", node.name.to_string()),
        ("address", node.address.to_string()),
        ("endpoint", plan.content.endpoint.to_string()),
        ("version", plan.content.version.clone()),
        ("units", node.install.units.join(" ")),
        ("ports", ports.join(" ")),
        ("state", list(&node.install.state)),
        ("logs", list(&node.install.logs)),
        ("not_before", not_before.unix_timestamp().to_string()),
        ("not_after", not_after.unix_timestamp().to_string()),
    ]
}
