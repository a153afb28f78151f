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
    // `--days 0` removes everything, including files used today: the size limit of 0 does it, whatever their age.
    let (since, limit) = match days {
        0 => (SystemTime::UNIX_EPOCH, 0),
        days => ((clock::now() - Duration::days(days.into())).into(), CACHE_LIMIT),
    };
    let pruned = prune::prune(&cache, since, limit);
    let pruned = pruned.map_err(|source| Error::Io { verb: "prune", path: cache, source })?;
    console.result(&pruned, || format!("Removed {} files, {}\n", pruned.files, bytes(pruned.bytes)))
}
