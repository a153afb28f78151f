//! Downloads that are not complete yet:
//!
//! ```text
//! partial/….part              bytes that arrived; the holder of the lock resumes it
//! partial/….source            URL and entity tag they came from
//! partial/….lock              held while a file is fetched
//! ```
#![expect(clippy::disallowed_methods, reason = "this module writes the store's incomplete files")]

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::store::{StagedFile, Store};
use super::{Error, Fault};
use crate::hash::Pin;
use crate::out;

/// Held while one file is fetched. The kernel releases it when the process ends, however it ends.
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

/// An incomplete file of the store, open for appending.
#[derive(Debug)]
pub(super) struct Part {
    file: File,
    path: PathBuf,
    length: u64,
    source_path: PathBuf,
    source: Source,
}

impl Store {
    fn partial(&self, pin: &Pin, ending: &str) -> PathBuf {
        self.root().join("partial").join(format!("{}.{ending}", pin.file_stem()))
    }

    /// Waits until no other process or thread fetches this file; calls `waiting` once if one does.
    pub(super) fn lock(&self, pin: &Pin, waiting: impl FnOnce()) -> Result<Lock, Error> {
        let path = self.partial(pin, "lock");
        let failed = |source| Error::Store { verb: "create", path: path.clone(), source };
        let file = out::open_lock_file(&path).map_err(failed)?;
        if file.try_lock().is_err() {
            waiting();
            file.lock().map_err(|source| Error::Store { verb: "lock", path, source })?;
        }
        Ok(Lock { _file: file })
    }

    /// Opens what an earlier attempt left, or begins an empty file.
    pub(super) fn part(&self, pin: &Pin) -> Result<Part, Fault> {
        let path = self.partial(pin, "part");
        let failed = |verb| {
            let path = path.clone();
            move |source| Fault::Disk { verb, path, source }
        };
        let mut options = File::options();
        options.read(true).append(true).create(true).mode(0o600);
        let file = options.open(&path).map_err(failed("open"))?;
        let length = file.metadata().map_err(failed("look at"))?.len();
        let source_path = self.partial(pin, "source");
        let source =
            std::fs::read(&source_path).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        Ok(Part { file, path, length, source_path, source })
    }

    /// Removes the bytes of an earlier attempt.
    pub(super) fn forget_part(&self, pin: &Pin) {
        for ending in ["part", "source"] {
            // One that can't be removed is hashed and found wrong the next time.
            let _ = std::fs::remove_file(self.partial(pin, ending));
        }
    }

    /// Removes the file of an attempt in which nothing arrived.
    pub(super) fn forget_empty_part(&self, pin: &Pin) {
        if std::fs::metadata(self.partial(pin, "part")).is_ok_and(|part| part.len() == 0) {
            self.forget_part(pin);
        }
    }

    /// The part file, which is complete now.
    pub(super) fn finished_part(&self, pin: &Pin) -> StagedFile {
        let _ = std::fs::remove_file(self.partial(pin, "source"));
        StagedFile::Part(self.partial(pin, "part"))
    }
}

impl Part {
    /// Bytes.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// The URL that the bytes came from.
    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    /// Notes where the next bytes come from.
    pub(super) fn set_source(&mut self, source: Source) -> Result<(), Fault> {
        if source == self.source {
            return Ok(());
        }
        let failed = |source| Fault::Disk { verb: "write", path: self.source_path.clone(), source };
        let text = serde_json::to_vec(&source).map_err(|why| failed(why.into()))?;
        let mut options = File::options();
        options.write(true).create(true).truncate(true).mode(0o600);
        options.open(&self.source_path).and_then(|mut file| file.write_all(&text)).map_err(failed)?;
        self.source = source;
        Ok(())
    }

    /// Bytes that arrived earlier, from offset `position` on.
    pub(super) fn read_at(&mut self, position: u64, buffer: &mut [u8]) -> Result<usize, Fault> {
        let count = self.file.seek(SeekFrom::Start(position)).and_then(|_| self.file.read(buffer));
        count.map_err(|source| Fault::Disk { verb: "read", path: self.path.clone(), source })
    }

    /// Adds bytes that arrived.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let written = self.file.write_all(bytes);
        written.map_err(|source| Fault::Disk { verb: "write to", path: self.path.clone(), source })?;
        self.length += bytes.len() as u64;
        Ok(())
    }
}
