//! What arrived of a file that is not whole yet:
//!
//! ```text
//! partial/….part              bytes that arrived; resumed by whoever holds the lock
//! partial/….source            URL and entity tag they came from
//! partial/….lock              held while a file is fetched
//! ```
#![expect(clippy::disallowed_methods, reason = "this is the room that touches the store's unfinished files")]

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::store::{StagedFile, Store};
use super::{Error, Fault};
use crate::hash::Pin;

/// Held while one file is fetched; the kernel lets go of it even after `kill -9`.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// Where the bytes of a part file came from.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Source {
    pub(super) url: String,
    pub(super) etag: Option<String>,
}

/// Bytes that arrived so far.
#[derive(Debug)]
pub(super) struct Part {
    file: File,
    length: u64,
    source_path: PathBuf,
    source: Source,
}

impl Store {
    fn partial(&self, pin: &Pin, ending: &str) -> PathBuf {
        self.root().join("partial").join(format!("{}.{ending}", pin.file_stem()))
    }

    /// Waits until nobody else fetches this file; `waiting` is called if that takes time.
    pub(super) fn lock(&self, pin: &Pin, waiting: impl FnOnce()) -> Result<Lock, Error> {
        let path = self.partial(pin, "lock");
        let file = File::create(&path).map_err(|source| Error::Store { verb: "create", path: path.clone(), source })?;
        if file.try_lock().is_err() {
            waiting();
            file.lock().map_err(|source| Error::Store { verb: "lock", path, source })?;
        }
        Ok(Lock { _file: file })
    }

    /// Bytes of an earlier attempt, or none.
    pub(super) fn part(&self, pin: &Pin) -> Result<Part, Fault> {
        let path = self.partial(pin, "part");
        let failed = |verb| {
            let path = path.clone();
            move |source| Fault::Disk { verb, path, source }
        };
        let file = File::options().read(true).append(true).create(true).open(&path).map_err(failed("open"))?;
        let length = file.metadata().map_err(failed("look at"))?.len();
        let source_path = self.partial(pin, "source");
        let source =
            std::fs::read(&source_path).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        Ok(Part { file, length, source_path, source })
    }

    /// Drops the bytes of an earlier attempt.
    pub(super) fn forget_part(&self, pin: &Pin) {
        for ending in ["part", "source"] {
            // A part that stays is hashed and found wrong the next time.
            let _ = std::fs::remove_file(self.partial(pin, ending));
        }
    }

    /// Drops the file of an attempt that brought nothing.
    pub(super) fn forget_empty_part(&self, pin: &Pin) {
        if std::fs::metadata(self.partial(pin, "part")).is_ok_and(|part| part.len() == 0) {
            self.forget_part(pin);
        }
    }

    /// A part file that turned out to be the whole.
    pub(super) fn finished_part(&self, pin: &Pin) -> StagedFile {
        let _ = std::fs::remove_file(self.partial(pin, "source"));
        StagedFile::Part(self.partial(pin, "part"))
    }
}

impl Part {
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Where the bytes came from.
    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    /// Notes where the next bytes come from.
    pub(super) fn set_source(&mut self, source: Source) -> io::Result<()> {
        if source != self.source {
            let text = serde_json::to_vec(&source).map_err(io::Error::other)?;
            File::options()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&self.source_path)?
                .write_all(&text)?;
            self.source = source;
        }
        Ok(())
    }

    /// Bytes that are here already, from `position` on.
    pub(super) fn read_at(&mut self, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.seek(SeekFrom::Start(position))?;
        self.file.read(buffer)
    }

    /// Adds bytes that arrived.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.length += bytes.len() as u64;
        Ok(())
    }
}
