//! Everything about Debian packages but their bytes, which `pack/deb.rs` writes: control fields, what Policy wants in each
//! package, what dpkg runs, and the index that apt reads.

pub mod control;
pub mod policy;
pub mod repository;
pub mod scripts;

use std::collections::BTreeMap;
use std::io::Write as _;

use flate2::GzBuilder;
use time::OffsetDateTime;

use crate::hash::Sha256;
use crate::package::{Directories, Package, PackageManager};
use crate::spec::Compression;
use crate::tree::{Conflict, Tree};
pub use scripts::{NodeRecord, Script, insert_sealed, insert_status};

/// dpkg, and apt in front of it.
#[derive(Debug)]
pub struct Dpkg;

impl PackageManager for Dpkg {
    /// Older versions of deb-systemd-helper(1p) look for units below `/lib` alone; where that is a link to `usr/lib`, it
    /// is the same place.
    fn directories(&self) -> Directories {
        Directories { bin: "usr/bin", lib: "usr/lib/kube-bundle", units: "lib/systemd/system" }
    }

    fn repository(&self) -> &'static str {
        "deb"
    }

    fn file_name(&self, package: &Package) -> String {
        control::file_name(package)
    }

    fn scripts_digest(&self) -> Sha256 {
        scripts::digest()
    }
}

/// Whether a package has this file whatever its plan says: documentation, and what its scripts need.
pub fn is_added(path: &str) -> bool {
    ["usr/share/doc/", "usr/share/lintian/"].iter().any(|directory| path.starts_with(directory))
        || scripts::is_added(path)
}

/// A package that is ready to be written.
#[derive(Debug)]
pub struct DebianPackage {
    /// Name, version and relations.
    pub about: Package,
    /// How its files are compressed.
    pub compression: Compression,
    /// Modification time of its files, seconds since 1970.
    pub mtime: i64,
    /// Maintainer scripts.
    pub scripts: BTreeMap<Script, String>,
    pub tree: Tree,
}

/// A package of components, the same for every machine. `date` is that of its files and of its changelog.
///
/// # Errors
/// One of `files` lies where Policy wants something else.
pub fn shared(
    about: &Package,
    files: Tree,
    compression: Compression,
    date: OffsetDateTime,
) -> Result<DebianPackage, Conflict> {
    let scripts = scripts::of_components(&files);
    finish(about, files, scripts, compression, date)
}

/// The package of one machine.
///
/// # Errors
/// One of `files` lies where Policy, or the record, wants something else.
pub fn node(
    about: &Package,
    mut files: Tree,
    record: &NodeRecord,
    compression: Compression,
    date: OffsetDateTime,
) -> Result<DebianPackage, Conflict> {
    let scripts = scripts::of_node(about, &files, record);
    scripts::insert_record(&mut files, record, &scripts)?;
    finish(about, files, scripts, compression, date)
}

fn finish(
    about: &Package,
    mut tree: Tree,
    scripts: BTreeMap<Script, String>,
    compression: Compression,
    date: OffsetDateTime,
) -> Result<DebianPackage, Conflict> {
    policy::document(&mut tree, about, date)?;
    Ok(DebianPackage { about: about.clone(), compression, mtime: date.unix_timestamp(), scripts, tree })
}

/// As `gzip -9n` does it: neither name nor time (Debian Policy 12.7).
pub fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzBuilder::new().mtime(0).write(Vec::new(), flate2::Compression::best());
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.unwrap_or_else(|why| unreachable!("memory takes all that is written: {why}"))
}
