//! The cache is bounded: what was not used for longest goes first.

use std::io;
use std::path::Path;
use std::time::SystemTime;

use crate::out;

/// How many bytes a build leaves on the cache: a dozen releases, each in three ways.
pub const CACHE_LIMIT: u64 = 8 << 30;

/// What was removed.
#[derive(Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Pruned {
    /// Files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// Removes compressed blobs below `cache` that were last used before `since`, and further ones, the oldest first, until
/// no more than `room` bytes are left. Builds at work have theirs open, and don't notice.
#[expect(clippy::disallowed_methods, reason = "the cache removes its own files")]
pub fn prune(cache: &Path, since: SystemTime, room: u64) -> io::Result<Pruned> {
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
        if (modified < since || left > room) && std::fs::remove_file(&path).is_ok() {
            left -= size;
            pruned.files += 1;
            pruned.bytes += size;
        }
    }
    Ok(pruned)
}
