//! The content-addressed store, shared by all builds of a user:
//!
//! ```text
//! blobs/sha256/ab/abcdef…     a verified file; its name is its digest
//! archives/sha512-….json      which files came out of a verified archive, by their path in it
//! partial/….                  incomplete downloads; see `fetch::part`
//! pieces/….                   compressed blobs; see `pack::pieces`
//! linked/….                   what is linked into programs; see `fetch::linked`
//! tmp/                        files being written; leftovers of a killed run are removed when the store opens
//! ```
//!
//! A file appears under `blobs/` only by the rename of a complete, verified, synced file, so after a kill at any moment a
//! blob is either there and right, or not there.
//!
//! The modification time of a blob whose digest was right is set to 1970. Writing to it changes that, so a blob still dated
//! 1970 need not be hashed at every start. Bytes that changed without a write (a failing disk) are found by the code that
//! uses them: it hashes what it reads.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tempfile::NamedTempFile;

use super::{Error, Fault, elf};
use crate::hash::{Pin, Sha256};
use crate::out;
use crate::target::Mode;

/// Modification time of a verified blob.
const VERIFIED: SystemTime = SystemTime::UNIX_EPOCH;

/// The store's directory.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
    /// Locked shared as long as any store of any process is open; see [`Store::open`].
    _open: Arc<File>,
    /// Whether a blob dated [`VERIFIED`] is taken to be right without hashing it.
    trusts_dates: bool,
}

/// A file of the store whose bytes hashed to its digest, and that nobody has written to since. Only this module makes one.
/// Code that uses the bytes hashes them again, and reports [`Blob::damaged`] if they changed.
#[derive(Debug, Clone)]
pub struct Blob {
    path: PathBuf,
    size: u64,
    sha256: Sha256,
}

impl Blob {
    /// Bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Of all its bytes; also its name in the store.
    pub fn sha256(&self) -> Sha256 {
        self.sha256
    }

    /// Where it is, for error messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file whose digest a test knows.
    #[cfg(test)]
    pub(crate) fn known(path: PathBuf, size: u64, sha256: Sha256) -> Self {
        Self { path, size, sha256 }
    }

    /// For reading.
    #[expect(clippy::disallowed_methods, reason = "the store reads its own files")]
    pub fn open(&self) -> io::Result<File> {
        File::open(&self.path)
    }

    /// The error for bytes that no longer match the digest. Takes the date `VERIFIED` away, so that the next run hashes the
    /// file and fetches it again.
    pub fn damaged(&self) -> io::Error {
        let dated = self.open().and_then(|file| file.set_modified(VERIFIED + Duration::from_secs(1)));
        io::Error::other(Damaged { path: self.path.clone(), is_dated: dated.is_ok() })
    }
}

/// A blob whose bytes no longer match its digest.
#[derive(Debug, thiserror::Error)]
#[error("`{}` is damaged", path.display())]
pub struct Damaged {
    path: PathBuf,
    is_dated: bool,
}

impl Damaged {
    /// What to do next.
    pub fn hint(&self) -> &'static str {
        if self.is_dated {
            "run the same command again: it is hashed then, and fetched anew"
        } else {
            "remove it, and run the same command again"
        }
    }
}

/// A complete file of the store that is not verified yet. A temporary one is removed with the last clone of this.
#[derive(Debug, Clone)]
pub(super) enum StagedFile {
    Temporary(Arc<NamedTempFile>),
    Part(PathBuf),
}

impl StagedFile {
    fn path(&self) -> &Path {
        match self {
            Self::Temporary(file) => file.path(),
            Self::Part(path) => path,
        }
    }

    /// Digest of its content.
    #[expect(clippy::disallowed_methods, reason = "the store reads its own files")]
    pub(super) fn sha256(&self) -> Result<Sha256, Fault> {
        let read = File::open(self.path()).and_then(Sha256::of_reader);
        read.map(|(sha256, _)| sha256).map_err(|source| Fault::Disk {
            verb: "read",
            path: self.path().to_owned(),
            source,
        })
    }

    /// The first bytes: as many as an ELF header needs.
    #[expect(clippy::disallowed_methods, reason = "the store reads its own files")]
    pub(super) fn head(&self) -> io::Result<Vec<u8>> {
        let mut head = Vec::new();
        File::open(self.path())?.take(elf::HEAD as u64).read_to_end(&mut head)?;
        Ok(head)
    }
}

#[expect(clippy::disallowed_methods, reason = "this module writes the store")]
impl Store {
    /// Opens the store at `root`, making it if need be. If no other process has it open, temporary files of killed runs are
    /// removed.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, Error> {
        let root = root.into();
        for directory in ["blobs/sha256", "archives", "partial", "tmp"] {
            let path = root.join(directory);
            out::make_directory(&path, Mode::EXECUTABLE).map_err(|source| Error::Store {
                verb: "create",
                path,
                source,
            })?;
        }
        let path = root.join("tmp.lock");
        let failed = |verb| {
            let path = path.clone();
            move |source| Error::Store { verb, path, source }
        };
        let lock = out::open_lock_file(&path).map_err(failed("create"))?;
        if lock.try_lock().is_ok() {
            for entry in std::fs::read_dir(root.join("tmp")).into_iter().flatten().flatten() {
                // One that can't be removed is tried again the next time.
                let _ = std::fs::remove_file(entry.path());
            }
            lock.unlock().map_err(failed("unlock"))?;
        }
        lock.lock_shared().map_err(failed("lock"))?;
        Ok(Self { root, _open: Arc::new(lock), trusts_dates: true })
    }

    /// The same store, with every blob hashed when it is looked up.
    #[must_use]
    pub fn verify_all(self) -> Self {
        Self { trusts_dates: false, ..self }
    }

    /// The store's directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where compressed blobs are kept.
    pub fn compressed_directory(&self) -> PathBuf {
        self.root.join("pieces")
    }

    /// Path of one compressed blob; `how` names the codec, its settings and its version.
    pub fn pieces(&self, how: &str, sha256: Sha256) -> PathBuf {
        let name = sha256.to_string();
        self.compressed_directory().join(how).join(&name[..2]).join(&name)
    }

    /// Path of the list of what is linked into a program. The number changes when lists get another content.
    pub fn linked(&self, sha256: Sha256) -> PathBuf {
        let name = sha256.to_string();
        self.root.join("linked/1").join(&name[..2]).join(&name)
    }

    /// A new file on the store's file system, removed when dropped unless it is renamed.
    pub fn temporary(&self) -> io::Result<NamedTempFile> {
        NamedTempFile::new_in(self.root.join("tmp"))
    }

    fn blob_path(&self, sha256: Sha256) -> PathBuf {
        let name = sha256.to_string();
        self.root.join("blobs/sha256").join(&name[..2]).join(&name)
    }

    /// Whether there is a file of this digest, right or damaged.
    pub(super) fn has(&self, pin: &Pin) -> bool {
        matches!(pin, Pin::Sha256(sha256) if self.blob_path(*sha256).exists())
    }

    /// Looks up a blob. For a damaged one, `damaged` is called with a message, and the answer is `None`.
    pub(super) fn blob(&self, sha256: Sha256, damaged: impl FnOnce(&str)) -> Result<Option<Blob>, Error> {
        let path = self.blob_path(sha256);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::Store { verb: "open", path, source }),
        };
        let about = || file.metadata().and_then(|about| Ok((about.modified()?, about.len()))).ok();
        let before = about();
        if let (true, Some((VERIFIED, size))) = (self.trusts_dates, before) {
            return Ok(Some(Blob { path, size, sha256 }));
        }
        match Sha256::of_reader(&file) {
            Ok((got, size)) if got == sha256 => {
                if about() == before {
                    // A store that can't be written is read all the same.
                    let _ = file.set_modified(VERIFIED);
                }
                Ok(Some(Blob { path, size, sha256 }))
            }
            // It stays until a new download replaces it.
            Ok(_) => {
                damaged(&format!("`{}` is damaged", path.display()));
                Ok(None)
            }
            Err(source) => Err(Error::Store { verb: "read", path, source }),
        }
    }

    /// Digests of the members that were extracted from an archive earlier, by their path in it.
    pub(super) fn archive(&self, pin: &Pin) -> Option<BTreeMap<String, Sha256>> {
        let text = std::fs::read(self.archive_path(pin)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Remembers what a verified archive holds, so it need not be fetched again.
    pub(super) fn remember_archive(&self, pin: &Pin, index: &BTreeMap<String, Sha256>) -> Result<(), Fault> {
        let path = self.archive_path(pin);
        let text =
            serde_json::to_vec_pretty(index).unwrap_or_else(|why| unreachable!("paths and digests are strings: {why}"));
        out::write_atomically(&path, &text, Mode::PUBLIC).map_err(|source| Fault::Disk { verb: "write", path, source })
    }

    fn archive_path(&self, pin: &Pin) -> PathBuf {
        self.root.join("archives").join(format!("{}.json", pin.file_stem()))
    }

    /// Copies `reader` to a temporary file. An error of the disk carries a [`Fault`], so it can be told from one of `reader`.
    pub(super) fn stage(&self, reader: &mut impl Read) -> io::Result<StagedFile> {
        let failed = |source: io::Error| {
            let kind = source.kind();
            io::Error::new(kind, Fault::Disk { verb: "write to", path: self.root.join("tmp"), source })
        };
        let mut file = NamedTempFile::new_in(self.root.join("tmp")).map_err(failed)?;
        // 128 KiB at a time: the default of 8 KiB costs as much as the hashing.
        let mut buffer = vec![0; 128 << 10];
        let (mut written, mut started) = (0, 0);
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(StagedFile::Temporary(Arc::new(file))),
                Ok(count) => {
                    file.write_all(&buffer[..count]).map_err(failed)?;
                    written += count as u64;
                    if written - started >= 4 << 20 {
                        out::start_writeback(file.as_file(), started, written - started);
                        started = written;
                    }
                }
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                Err(why) => return Err(why),
            }
        }
    }

    /// Makes a blob of bytes.
    pub fn keep(&self, bytes: &[u8]) -> Result<Blob, Fault> {
        let failed = |source| Fault::Disk { verb: "write to", path: self.root.join("tmp"), source };
        let staged = self.stage(&mut &*bytes).map_err(failed)?;
        self.admit(&staged, Sha256::of(bytes))
    }

    /// Turns a file whose digest was checked into a blob: synced, then renamed to its digest.
    pub(super) fn admit(&self, file: &StagedFile, sha256: Sha256) -> Result<Blob, Fault> {
        let path = self.blob_path(sha256);
        let failed = |verb| {
            let path = path.clone();
            move |source| Fault::Disk { verb, path, source }
        };
        let size = std::fs::metadata(file.path()).map_err(failed("look at"))?.len();
        out::make_parent(&path).map_err(failed("create the directory of"))?;
        File::open(file.path())
            .and_then(|file| file.set_modified(VERIFIED).and_then(|()| file.sync_all()))
            .map_err(failed("sync"))?;
        out::set_mode(file.path(), Mode::PUBLIC).map_err(failed("set the mode of"))?;
        std::fs::rename(file.path(), &path).map_err(failed("rename to"))?;
        out::sync_parent(&path).map_err(failed("sync the directory of"))?;
        Ok(Blob { path, size, sha256 })
    }
}

/// Opens a file of a mirror directory; the second value is its length.
#[expect(clippy::disallowed_methods, reason = "mirror directories are read here only")]
pub(super) fn open_local(path: &Path) -> Result<(File, u64), Fault> {
    let failed = |source| Fault::Disk { verb: "open", path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    Ok((file, length))
}
