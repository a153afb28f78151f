//! What lies in an output directory. Links are not followed, and nothing is opened.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

/// Entries of a directory; far more than the largest cluster has files, and a mistaken path may lead anywhere.
const MOST_ENTRIES: usize = 1_000_000;

/// Paths below a directory.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Everything that is not a directory.
    pub(super) files: BTreeSet<String>,
    pub(super) directories: BTreeSet<String>,
}

pub(super) fn list(directory: &Path) -> io::Result<Listing> {
    let mut listing = Listing::default();
    walk(directory, "", &mut listing)?;
    Ok(listing)
}

#[expect(clippy::disallowed_methods, reason = "lists what it verifies")]
fn walk(directory: &Path, prefix: &str, listing: &mut Listing) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if listing.files.len() + listing.directories.len() >= MOST_ENTRIES {
            return Err(io::Error::other(format!("there are more than {MOST_ENTRIES} files in it")));
        }
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), &format!("{name}/"), listing)?;
            listing.directories.insert(name);
        } else {
            listing.files.insert(name);
        }
    }
    Ok(())
}
