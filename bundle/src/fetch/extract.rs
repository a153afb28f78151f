//! Extracts components from a release tarball while it is downloaded; other members are not written to the disk.

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::store::{StagedFile, Store};
use crate::hash::{HashingReader, Sha256};
use crate::plan::downloads::Member;

/// Limit in bytes for all extracted members together. The digest is checked only at the end, so a hostile archive could
/// fill the disk before.
const LONGEST: u64 = 4 << 30;

/// `body` is the tar archive, decompressed. Copies the wanted members into temporary files of the store. The caller must check the digest of the archive before it
/// makes blobs of them.
pub(super) fn members(
    body: impl Read,
    wanted: &[Member],
    store: &Store,
) -> io::Result<BTreeMap<String, (StagedFile, Sha256)>> {
    let mut archive = tar::Archive::new(body);
    let mut found = BTreeMap::new();
    let mut total = 0;
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().trim_start_matches("./").to_owned();
        if !wanted.iter().any(|member| member.path == path) {
            continue;
        }
        total += entry.size();
        if total > LONGEST {
            return Err(io::Error::other(format!("`{path}` unpacks to more than any release holds")));
        }
        let mut reader = HashingReader::new(&mut entry);
        let file = store.stage(&mut reader)?;
        let (sha256, _) = reader.finish();
        if found.insert(path.clone(), (file, sha256)).is_some() {
            return Err(io::Error::other(format!("`{path}` is in the archive twice")));
        }
    }
    // The file may go on behind the end of the archive, and its digest covers all of it.
    io::copy(&mut archive.into_inner(), &mut io::sink())?;
    Ok(found)
}
