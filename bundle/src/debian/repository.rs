//! A flat repository beside its packages, as apt takes it from a directory or from any web server: `Packages` and
//! `Release` (the format is that of deb822(5) and the Debian wiki's `RepositoryFormat`).
//!
//! Whoever has a key can sign `Release`; nothing here needs to change for that.

use time::format_description::well_known::Rfc2822;
use time::{Date, Duration, OffsetDateTime, Time};

use super::gzipped;
use crate::hash::Sha256;
use crate::out::WrittenFile;
use crate::target::{InstallPath, Mode};
use crate::tree::{Conflict, Entry, Tree};

/// 1 January 2020, which no `Release` comes before.
const FIRST: OffsetDateTime = match Date::from_ordinal_date(2020, 1) {
    Ok(day) => OffsetDateTime::new_utc(day, Time::MIDNIGHT),
    Err(_) => OffsetDateTime::UNIX_EPOCH,
};

/// A package of the repository.
#[derive(Debug)]
pub struct Indexed<'a> {
    pub file_name: &'a str,
    pub stanza: &'a str,
    pub file: &'a WrittenFile,
}

/// The files that make a directory of packages a repository. `cluster` is what apt can pin it by.
///
/// # Errors
/// Never, as long as the names below differ.
pub fn index(packages: &[Indexed<'_>], cluster: &str, revision: u32) -> Result<Tree, Conflict> {
    let packages: Vec<_> = packages.iter().map(stanza).collect();
    let packages = packages.join("\n").into_bytes();
    let lists = [("Packages", packages.clone()), ("Packages.gz", gzipped(&packages))];
    let mut tree = Tree::default();
    let mut insert = |name: &str, bytes: &[u8]| tree.insert(InstallPath::known(name), Entry::text(Mode::PUBLIC, bytes));
    insert("Release", release(&lists, cluster, revision).as_bytes())?;
    for (name, bytes) in &lists {
        insert(name, bytes)?;
        // apt asks for these, so the lists it gets are those that its `Release` names, whatever lies under the plain names.
        insert(&format!("by-hash/SHA256/{}", Sha256::of(bytes)), bytes)?;
    }
    Ok(tree)
}

fn stanza(Indexed { file_name, stanza, file }: &Indexed<'_>) -> String {
    format!("{stanza}Filename: ./{file_name}\nSize: {}\nSHA256: {}\n", file.size(), file.sha256())
}

/// apt keeps the lists it has if a new `Release` is dated before theirs, and all that grows from build to build is the
/// revision: the recipe of an older release, or `SOURCE_DATE_EPOCH`, would take the date back. So it counts minutes.
fn release(lists: &[(&str, Vec<u8>)], label: &str, revision: u32) -> String {
    let date = FIRST + Duration::minutes(revision.into());
    let date =
        date.format(&Rfc2822).unwrap_or_else(|why| unreachable!("it is after 1900: {why}")).replace("+0000", "UTC");
    let sums: String =
        lists.iter().map(|(name, bytes)| format!(" {} {} {name}\n", Sha256::of(bytes), bytes.len())).collect();
    format!(
        "Origin: kube-bundle\nLabel: {label}\nDate: {date}\nArchitectures: amd64 all\nAcquire-By-Hash: yes\n\
         Description: Packages of cluster {label}\nSHA256:\n{sums}"
    )
}
