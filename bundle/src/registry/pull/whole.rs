//! Files that were pushed as they are.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::{Error, Received, Receiver};
use crate::fetch::Blob;
use crate::hash::Sha256;
use crate::out::{self, AtomicFileWriter, Permission, Staging};
use crate::progress::Task;
use crate::registry::artifact::Layer;
use crate::target::Mode;
use crate::workers;

impl Receiver<'_> {
    /// Fetches all files, and copies them into an output directory in the making.
    pub(super) fn whole<'p>(
        &self,
        out: &Path,
        permission: Permission<'p>,
        received: &Received,
    ) -> Result<Staging<'p>, Error> {
        let files = received.lists.files();
        let expected = files.iter().map(|(title, (layer, _))| (title.clone(), layer.clone())).collect();
        self.compare(&expected, &received.layers)?;
        let signatures = received.signatures.iter().map(|layer| (layer.clone(), Mode::PUBLIC));
        let files: Vec<_> = files.into_values().chain(signatures).collect();
        let blobs = self.fetch(files.iter().map(|(layer, _)| layer))?;
        let staging = Staging::begin(out, permission)?;
        let task = self.progress.task("writing", Some(files.iter().map(|(layer, _)| layer.size).sum()));
        let write = |(layer, mode): &(Layer, Mode)| write(&staging, layer, *mode, &blobs, task.as_ref());
        workers::each(self.from.jobs, &files, write)?;
        let directory = staging.directory();
        let failed = |source| Error::Io { verb: "write", path: directory.to_owned(), source };
        out::sync_file_system(directory).map_err(failed)?;
        Ok(staging)
    }
}

fn write(
    staging: &Staging<'_>,
    layer: &Layer,
    mode: Mode,
    blobs: &BTreeMap<Sha256, Blob>,
    task: &dyn Task,
) -> Result<(), Error> {
    let path = staging.place(&layer.title, Mode::PRIVATE)?;
    let failed = |source| Error::Io { verb: "write", path: path.clone(), source };
    let blob = blobs.get(&layer.sha256).ok_or_else(|| failed(io::Error::other("it was not fetched")))?;
    let mut writer = AtomicFileWriter::begin(path.clone()).map_err(failed)?;
    writer.copy(&blob.open().map_err(failed)?, 0, blob.size(), |count| task.advance(count)).map_err(failed)?;
    if writer.so_far().0 != layer.sha256 {
        return Err(failed(blob.damaged()));
    }
    writer.finish_unsynced(mode).map_err(failed)
}
