//! `kube-bundle store prune`

use std::time::SystemTime;

use time::Duration;

use super::Console;
use super::cluster::store;
use crate::pack::prune::{self, CACHE_LIMIT};
use crate::progress::bytes;
use crate::{Error, clock};

pub(super) fn prune(days: u16, console: &Console) -> Result<(), Error> {
    let cache = store()?.compressed_directory();
    // Today's are none that were not used for no day, unless all are meant.
    let (since, room) = match days {
        0 => (SystemTime::UNIX_EPOCH, 0),
        days => ((clock::now() - Duration::days(days.into())).into(), CACHE_LIMIT),
    };
    let pruned = prune::prune(&cache, since, room);
    let pruned = pruned.map_err(|source| Error::Io { verb: "remove what is in", path: cache, source })?;
    console.result(&pruned, || format!("Removed {} files, {}\n", pruned.files, bytes(pruned.bytes)))
}
