//! A flat repository beside its packages, as apt takes it from a directory or from any web server: `Packages` and
//! `Release` (the format is that of deb822(5) and the Debian wiki's `RepositoryFormat`).
//!
//! Whoever has a key can sign `Release`; nothing here needs to change for that.

use std::io::{self, Write as _};

use flate2::{Compression, GzBuilder};
use time::format_description::well_known::Rfc2822;
use time::{Date, Duration, OffsetDateTime, Time};

use crate::hash::Sha256;
use crate::manifest::FileRecord;

/// 1 January 2020, which no `Release` comes before.
const FIRST: OffsetDateTime = match Date::from_ordinal_date(2020, 1) {
    Ok(day) => OffsetDateTime::new_utc(day, Time::MIDNIGHT),
    Err(_) => OffsetDateTime::UNIX_EPOCH,
};

/// A package of the repository.
pub struct Indexed<'a> {
    /// Its file.
    pub file_name: &'a str,
    /// Its control file.
    pub stanza: &'a str,
    /// Size and digest of its file.
    pub record: &'a FileRecord,
}

/// The files that make a directory a repository, by their names in it. `label` is what apt can pin it by.
pub fn repository(packages: &[Indexed<'_>], label: &str, revision: u32) -> io::Result<Vec<(String, Vec<u8>)>> {
    let packages: String = packages.iter().map(stanza).collect::<Vec<_>>().join("\n");
    let mut encoder = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    encoder.write_all(packages.as_bytes())?;
    let lists = [("Packages", packages.into_bytes()), ("Packages.gz", encoder.finish()?)];
    let release = release(&lists, label, revision)?;
    let by_hash = lists.iter().map(|(_, bytes)| (format!("by-hash/SHA256/{}", Sha256::of(bytes)), bytes.clone()));
    // apt asks for these, so the lists it gets are those that its `Release` names, whatever lies under the plain names.
    let by_hash: Vec<_> = by_hash.collect();
    let named = lists.into_iter().map(|(name, bytes)| (name.to_owned(), bytes));
    Ok(named.chain([("Release".to_owned(), release)]).chain(by_hash).collect())
}

fn stanza(package: &Indexed<'_>) -> String {
    let Indexed { file_name, stanza, record } = package;
    format!("{stanza}Filename: ./{file_name}\nSize: {}\nSHA256: {}\n", record.size, record.sha256)
}

/// apt keeps the lists it has if a new `Release` is dated before theirs, and all that grows from build to build is the
/// revision: the recipe of an older release, or `SOURCE_DATE_EPOCH`, would take the date back. So it counts minutes.
fn release(lists: &[(&str, Vec<u8>)], label: &str, revision: u32) -> io::Result<Vec<u8>> {
    let date = FIRST + Duration::minutes(revision.into());
    let date = date.format(&Rfc2822).map_err(io::Error::other)?.replace("+0000", "UTC");
    let sums: String =
        lists.iter().map(|(name, bytes)| format!(" {} {} {name}\n", Sha256::of(bytes), bytes.len())).collect();
    let text = format!(
        "Origin: kube-bundle\nLabel: {label}\nDate: {date}\nArchitectures: amd64 all\nAcquire-By-Hash: yes\n\
         Description: Kubernetes control plane of cluster {label}\nSHA256:\n{sums}"
    );
    Ok(text.into_bytes())
}
