//! Components out of a release tarball while it streams by; nothing else of it touches the disk as a file.

use std::collections::BTreeMap;
use std::io::{self, Read};

use flate2::read::MultiGzDecoder;

use super::store::{StagedFile, Store};
use crate::hash::{HashingReader, Sha256};
use crate::plan::downloads::Member;

/// What all members together may unpack to: the digest is known only at the end, so until then nothing is trusted.
const LONGEST: u64 = 4 << 30;

/// Copies the wanted members into the store's temporary files. They become blobs only after the archive's own
/// digest was right, which is the caller's to check.
pub(super) fn members(
    body: impl Read,
    wanted: &[Member],
    store: &Store,
) -> io::Result<BTreeMap<String, (StagedFile, Sha256)>> {
    let mut archive = tar::Archive::new(MultiGzDecoder::new(body));
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
    // The end of the archive is not the end of the file, and the digest is over the file.
    io::copy(&mut archive.into_inner(), &mut io::sink())?;
    Ok(found)
}
