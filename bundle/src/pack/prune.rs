//! Limits the size of the cache of compressed blobs: the least recently used are removed first.

use std::io;
use std::path::Path;
use std::time::SystemTime;

use crate::out;

/// Bytes that a build leaves in the cache: enough for a dozen releases in all three formats.
pub const CACHE_LIMIT: u64 = 8 << 30;

/// The files that were removed.
#[derive(Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Pruned {
    /// Number of files.
    pub files: usize,
    /// Bytes in these files.
    pub bytes: u64,
}

/// Removes compressed blobs below `cache` that were last used before `since`, and then the least recently used until at most
/// `limit` bytes are left. A running build keeps the files that it needs open, so it is not disturbed.
#[expect(clippy::disallowed_methods, reason = "the cache removes its own files")]
pub fn prune(cache: &Path, since: SystemTime, limit: u64) -> io::Result<Pruned> {
    let names = match out::list(cache) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(Pruned::default()),
        names => names?,
    };
    let mut files = Vec::new();
    for path in names.iter().map(|name| cache.join(name)) {
        // Another build may have removed it meanwhile.
        let Ok(about) = std::fs::metadata(&path) else { continue };
        files.push((about.modified()?, path, about.len()));
    }
    files.sort();
    let mut left: u64 = files.iter().map(|(_, _, size)| size).sum();
    let mut pruned = Pruned::default();
    for (modified, path, size) in files {
        if (modified < since || left > limit) && std::fs::remove_file(&path).is_ok() {
            left -= size;
            pruned.files += 1;
            pruned.bytes += size;
        }
    }
    Ok(pruned)
}
