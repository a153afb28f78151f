//! What dpkg runs for our packages, and the record that the scripts read.
//!
//! ```text
//! var/lib/kube-bundle/package/   0700
//!   bundle.conf                  which machine's package it is, KEY=VALUE; the same as in an archive
//!   FILES                        mode, sha256 and path of all files that the machine needs, whichever package has them
//!   SCRIPTS                      sha256 and name of each maintainer script
//!   TRIGGERS                     unit and path of each file that the unit names
//! ```
//!
//! The scripts are the same for every bundle. Their settings are written before them, since `postrm` runs when no file
//! is left to read them from.

use std::collections::BTreeMap;

use crate::hash::Sha256;
use crate::package::Package;
use crate::scripts::{expand_includes, script};
use crate::target::{InstallPath, Mode, Owner};
use crate::tree::{Conflict, Content, Entry, Tree};

/// The `preinst` of a package of components.
const COMPONENTS: &str = include_str!("program.sh");
const PREINST: &str = include_str!("preinst.sh");
const POSTINST: &str = include_str!("postinst.sh");
const PRERM: &str = include_str!("prerm.sh");
const POSTRM: &str = include_str!("postrm.sh");

/// What administrators call to see how the machine is: `install.sh --status` for packages.
const STATUS: &str = include_str!("kube-bundle-status.sh");

/// What administrators call where no key was found that opens the secrets.
const UNSEAL: &str = include_str!("kube-bundle-unseal.sh");
/// Where encrypted secrets lie.
const SEALED: &str = "usr/lib/kube-bundle";

/// Where a machine's package keeps what its scripts read.
const RECORD: &str = "var/lib/kube-bundle/package";
const STATUS_COMMAND: &str = "usr/sbin/kube-bundle-status";

/// A maintainer script (Debian Policy 6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Script {
    /// Runs before anything is unpacked.
    Preinst,
    /// Runs when everything that the package depends on is configured.
    Postinst,
    /// Runs before the files are removed.
    Prerm,
    /// Runs after they were removed, and at a purge.
    Postrm,
}

impl Script {
    /// Name of its file in the control archive.
    pub fn name(self) -> &'static str {
        match self {
            Self::Preinst => "preinst",
            Self::Postinst => "postinst",
            Self::Prerm => "prerm",
            Self::Postrm => "postrm",
        }
    }
}

/// What the scripts of a machine's package need to know of the machine.
#[derive(Debug)]
pub struct NodeRecord {
    /// Shell variables by name.
    pub settings: Vec<(&'static str, String)>,
    /// Files of the record by name.
    pub files: Vec<(&'static str, String)>,
    /// Files that dpkg does not unpack, because they are encrypted.
    pub sealed: Vec<InstallPath>,
}

/// A digest over the scripts.
pub fn digest() -> Sha256 {
    Sha256::of([COMPONENTS, PREINST, POSTINST, PRERM, POSTRM, STATUS, UNSEAL].map(expand_includes).concat().as_bytes())
}

/// A package of components runs nothing but a check that it overwrites no file of others.
pub(super) fn of_components(files: &Tree) -> BTreeMap<Script, String> {
    BTreeMap::from([(Script::Preinst, script(&[("paths", paths(files))], COMPONENTS))])
}

/// The maintainer scripts of a machine's package.
pub(super) fn of_node(about: &Package, files: &Tree, record: &NodeRecord) -> BTreeMap<Script, String> {
    let mut settings = vec![("package", about.name.to_string())];
    settings.extend(record.settings.iter().cloned());
    let paths = files.files().map(|(path, _)| path).chain(&record.sealed);
    settings.push(("paths", paths.map(InstallPath::as_str).collect::<Vec<_>>().join(" ")));
    let owned =
        files.iter().filter(|(_, entry)| entry.owner != Owner::ROOT && matches!(entry.content, Content::Directory));
    let owned = owned.map(|(path, entry)| format!("{path}:{}", entry.owner.user()));
    settings.push(("user_directories", owned.collect::<Vec<_>>().join(" ")));
    let bodies =
        [(Script::Preinst, PREINST), (Script::Postinst, POSTINST), (Script::Prerm, PRERM), (Script::Postrm, POSTRM)];
    bodies.map(|(kind, body)| (kind, script(&settings, body))).into()
}

/// Whether [`insert_status`] or [`insert_record`] adds this file.
pub(super) fn is_added(path: &str) -> bool {
    path == STATUS_COMMAND || path.strip_prefix(RECORD).is_some_and(|rest| rest.starts_with('/'))
}

/// Adds the command `kube-bundle-status` to the files of a machine's package.
///
/// # Errors
/// The place is taken.
pub fn insert_status(files: &mut Tree) -> Result<(), Conflict> {
    let path = InstallPath::known(STATUS_COMMAND);
    files.insert(path, Entry::text(Mode::EXECUTABLE, expand_includes(STATUS)))
}

/// Adds the encrypted secrets, and the command `kube-bundle-unseal`, to the files of a machine's package.
///
/// # Errors
/// The place is taken.
pub fn insert_sealed(files: &mut Tree, sealed: impl Iterator<Item = (&'static str, Entry)>) -> Result<(), Conflict> {
    for (name, entry) in sealed {
        files.insert(InstallPath::known(name).below(&InstallPath::known(SEALED)), entry)?;
    }
    let path = InstallPath::known("usr/sbin/kube-bundle-unseal");
    files.insert(path, Entry::text(Mode::EXECUTABLE, expand_includes(UNSEAL)))
}

/// Adds what the scripts read. Only root may enter the directory: it lists the digests of keys.
pub(super) fn insert_record(
    tree: &mut Tree,
    record: &NodeRecord,
    scripts: &BTreeMap<Script, String>,
) -> Result<(), Conflict> {
    let directory = InstallPath::known(RECORD);
    if let Some(parent) = directory.parent() {
        tree.insert(parent, Entry::directory(Mode::PRIVATE))?;
    }
    let digests = scripts.iter().map(|(kind, body)| format!("{}  {}\n", Sha256::of(body.as_bytes()), kind.name()));
    for (name, text) in record.files.iter().chain([&("SCRIPTS", digests.collect())]) {
        tree.insert(InstallPath::known(name).below(&directory), Entry::text(Mode::PUBLIC, text))?;
    }
    Ok(())
}

fn paths(tree: &Tree) -> String {
    tree.files().map(|(path, _)| path.as_str()).collect::<Vec<_>>().join(" ")
}
