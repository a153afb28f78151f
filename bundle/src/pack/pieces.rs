//! Each blob is compressed once, in blocks on all threads, and the pieces are cached in the store for every later artifact,
//! of this build or another.
//!
//! ```text
//! pieces/<how>/ab/abcdef…     the pieces of the blob with that digest, in their order; an index as JSON; the length
//!                             of the index in 8 bytes, little endian; the SHA-256 of everything before it
//! ```
//!
//! Of a blob that is carried as it is, only the index is kept: its pieces are the blob's own bytes between short headers.
//!
//! A file is used only if its SHA-256 is right. Deleting one costs the time to compress the blob again, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use md5::Digest as _;
use rustix::fs::{Timespec, Timestamps, UTIME_NOW};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::codec::{self, Record};
use super::prune::{CACHE_LIMIT, prune};
use crate::fetch::{Blob, Store};
use crate::hash::{Hasher, Md5, Sha256};
use crate::object::Object;
use crate::out::{self, AtomicFileWriter};
use crate::progress::{Progress, Task};
use crate::spec::Compression;
use crate::target::Mode;
use crate::workers;

/// The compressed bytes of a blob, checked. Only this module makes one.
#[derive(Debug, Clone)]
pub struct Pieces {
    /// The cached file, or the blob if it is carried as it is. Stays open, so that what was checked can be read even if
    /// somebody removes the file.
    file: Arc<File>,
    how: Compression,
    /// All pieces together.
    object: Object,
    index: Arc<Index>,
}

/// The index behind the pieces of a blob.
#[derive(Debug, Serialize, Deserialize)]
struct Index {
    /// Of the content; packages list it.
    md5: Md5,
    /// Of all pieces together.
    sha256: Sha256,
    records: Vec<Record>,
    /// Whether the pieces are not here, since the blob has their content.
    #[serde(default)]
    is_stored: bool,
}

impl Pieces {
    /// `file` has the pieces of the blob, or is the blob.
    fn new(file: File, blob: &Blob, how: Compression, index: Index) -> Self {
        let size = index.records.iter().map(|record| record.packed).sum();
        // The pieces of gzip are Deflate blocks without any header.
        let is_deflate = how == Compression::Gzip && !index.is_stored;
        let inflated = is_deflate.then(|| (blob.sha256(), blob.size()));
        let object = Object { inflated, ..Object::plain(index.sha256, size) };
        Self { file: Arc::new(file), how, object, index: Arc::new(index) }
    }

    /// What is appended to each artifact.
    pub fn object(&self) -> Object {
        self.object
    }

    /// MD5 of the content.
    pub fn md5(&self) -> Md5 {
        self.index.md5
    }

    /// One for each piece.
    pub fn records(&self) -> &[Record] {
        &self.index.records
    }

    /// Bytes after compression, all pieces together.
    pub fn size(&self) -> u64 {
        self.object.size
    }

    /// Appends them to an output, and calls `copied` with the number of bytes after each part.
    pub fn append_to(&self, to: &mut AtomicFileWriter, copied: impl Fn(u64)) -> io::Result<()> {
        if !self.index.is_stored {
            return to.copy(&self.file, 0, self.size(), copied);
        }
        let (mut at, mut content) = (0, Vec::new());
        for record in self.records() {
            content.resize(usize::try_from(record.plain).map_err(io::Error::other)?, 0);
            self.file.read_exact_at(&mut content, at)?;
            let (packed, made) = codec::stored(self.how, &content)?;
            if made != *record {
                return Err(io::Error::other("a file of the store changed while it was packed"));
            }
            to.write_all(&packed)?;
            at += record.plain;
            copied(record.packed);
        }
        Ok(())
    }
}

/// Digest of a blob, and [`codec::name`] of the way it is compressed.
type Name = (Sha256, String);

/// The pieces that a build needs, looked up or made before anything is packed.
#[derive(Debug, Default)]
pub struct CompressedCache(BTreeMap<Name, Pieces>);

impl CompressedCache {
    /// It is an error if the blob was not among those given to [`ensure_compressed`].
    pub fn get(&self, blob: &Blob, how: Compression) -> io::Result<&Pieces> {
        let pieces = self.0.get(&(blob.sha256(), codec::name(how)));
        pieces.ok_or_else(|| io::Error::other(format!("`{}` was not compressed before", blob.path().display())))
    }
}

/// Looks up pieces in the store, and compresses the blobs that have none, on up to `threads` threads.
pub fn ensure_compressed(
    wanted: &[(Blob, Compression)],
    store: &Store,
    threads: usize,
    progress: &dyn Progress,
) -> io::Result<CompressedCache> {
    let mut seen = BTreeSet::new();
    let wanted: Vec<_> = wanted.iter().filter(|(blob, how)| seen.insert((blob.sha256(), codec::name(*how)))).collect();
    let place =
        |(blob, how): &(Blob, Compression)| store.pieces(&format!("{}-{FORMAT}", codec::name(*how)), blob.sha256());
    let found = workers::each(threads, &wanted, |one| read(&place(one), &one.0, one.1, progress))?;

    let missing = wanted.iter().zip(&found).filter(|(_, pieces)| pieces.is_none());
    let jobs = missing.map(|(one, _)| CompressionJob::new(&one.0, one.1, place(one), store.temporary()?));
    let jobs = jobs.collect::<io::Result<Vec<_>>>()?;
    let reused = wanted.len() - jobs.len();
    progress.detail(&format!("Compressed earlier: {reused} of {} programs and layers", wanted.len()));
    let made = run(&jobs, threads, progress)?;
    let known = wanted.iter().zip(found).filter_map(|(one, pieces)| Some((one, pieces?)));
    let known = known.map(|((blob, how), pieces)| ((blob.sha256(), codec::name(*how)), pieces));
    let cache = CompressedCache(known.chain(made).collect());
    // What can't be removed is tried again by the next build.
    let _ = prune(&store.compressed_directory(), SystemTime::UNIX_EPOCH, CACHE_LIMIT);
    Ok(cache)
}

/// Compresses the blocks of all jobs. Threads take block after block, so a large blob occupies them all.
fn run(jobs: &[CompressionJob], threads: usize, progress: &dyn Progress) -> io::Result<Vec<(Name, Pieces)>> {
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    let total = jobs.iter().map(|job| job.blob.size()).sum();
    let task = progress.task("compressing", Some(total));
    let blocks: Vec<_> = jobs.iter().flat_map(|job| (0..job.blocks()).map(move |block| (job, block))).collect();
    workers::each(threads, &blocks, |(job, block)| job.compress(*block, task.as_ref()))?;
    workers::each(threads, jobs, CompressionJob::finish)
}

/// One blob that is being compressed.
struct CompressionJob {
    blob: Blob,
    how: Compression,
    is_stored: bool,
    place: PathBuf,
    /// `None` once it is finished.
    writer: Mutex<Option<OrderedWriter>>,
}

/// Writes pieces in their order, whichever is ready first.
struct OrderedWriter {
    file: BufWriter<NamedTempFile>,
    /// Of the file that is written.
    sha256: Hasher,
    /// Of the content that was compressed: if the blob was damaged, its pieces must not be cached.
    content: Hasher,
    md5: md5::Md5,
    records: Vec<Record>,
    /// By number of the block: content, piece and record of blocks that were ready before an earlier one.
    early: BTreeMap<u64, (Vec<u8>, Vec<u8>, Record)>,
    /// Of all pieces, if they are not written.
    stored: Option<Hasher>,
}

impl CompressionJob {
    fn new(blob: &Blob, how: Compression, place: PathBuf, file: NamedTempFile) -> io::Result<Self> {
        let is_stored = is_stored(blob, how)?;
        let writer = OrderedWriter {
            file: BufWriter::with_capacity(256 << 10, file),
            sha256: Hasher::default(),
            content: Hasher::default(),
            md5: md5::Md5::new(),
            records: Vec::new(),
            early: BTreeMap::new(),
            stored: is_stored.then(Hasher::default),
        };
        Ok(Self { blob: blob.clone(), how, is_stored, place, writer: Mutex::new(Some(writer)) })
    }

    fn blocks(&self) -> u64 {
        self.blob.size().div_ceil(codec::block(self.how) as u64)
    }

    fn compress(&self, block: u64, task: &dyn Task) -> io::Result<()> {
        let content = self.content(block).map_err(|why| {
            io::Error::new(why.kind(), format!("could not read `{}`: {why}", self.blob.path().display()))
        })?;
        let pack = if self.is_stored { codec::stored } else { codec::piece };
        let (packed, record) = pack(self.how, &content)?;
        task.advance(content.len() as u64);
        match &mut *self.writer() {
            Some(writer) => writer.take(block, content, packed, record),
            None => Ok(()),
        }
    }

    fn content(&self, block: u64) -> io::Result<Vec<u8>> {
        let size = codec::block(self.how) as u64;
        let mut file = self.blob.open()?;
        file.seek(SeekFrom::Start(block * size))?;
        let mut content = Vec::new();
        file.take(size).read_to_end(&mut content)?;
        Ok(content)
    }

    fn writer(&self) -> MutexGuard<'_, Option<OrderedWriter>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes index and digest, and puts the file into the cache.
    fn finish(&self) -> io::Result<(Name, Pieces)> {
        let mut writer = self.writer().take().ok_or_else(|| io::Error::other("a blob was finished twice"))?;
        let md5 = Md5::from(std::mem::take(&mut writer.md5));
        // Up to here nothing but the pieces was written.
        let (sha256, _) = writer.stored.take().unwrap_or_else(|| writer.sha256.clone()).finish();
        let records = std::mem::take(&mut writer.records);
        let index = Index { md5, sha256, records, is_stored: self.is_stored };
        let text = serde_json::to_vec(&index)?;
        writer.write(&text)?;
        writer.write(&(text.len() as u64).to_le_bytes())?;
        let OrderedWriter { mut file, sha256, content, .. } = writer;
        if content.finish() != (self.blob.sha256(), self.blob.size()) {
            return Err(self.blob.damaged());
        }
        file.write_all(sha256.finish().0.as_bytes())?;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        out::make_parent(&self.place)?;
        let open = if self.is_stored { self.blob.open()? } else { file.reopen()? };
        out::complete(file, &self.place, Mode::PUBLIC)?;
        Ok(((self.blob.sha256(), codec::name(self.how)), Pieces::new(open, &self.blob, self.how, index)))
    }
}

impl OrderedWriter {
    fn take(&mut self, block: u64, content: Vec<u8>, packed: Vec<u8>, record: Record) -> io::Result<()> {
        self.early.insert(block, (content, packed, record));
        while let Some((content, packed, record)) = self.early.remove(&(self.records.len() as u64)) {
            self.content.update(&content);
            self.md5.update(&content);
            match &mut self.stored {
                Some(stored) => stored.update(&packed),
                None => self.write(&packed)?,
            }
            self.records.push(record);
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sha256.update(bytes);
        self.file.write_all(bytes)
    }
}

const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };

/// Version of the format of a cached file; those of another are in another directory.
const FORMAT: u32 = 2;

/// Bytes behind the index: its length, and the digest of the file.
const END: u64 = 32 + 8;

/// Whether a blob is compressed already, and carried as it is.
fn is_stored(blob: &Blob, how: Compression) -> io::Result<bool> {
    let mut head = Vec::new();
    blob.open()?.take(8).read_to_end(&mut head)?;
    Ok(codec::is_stored(how, &head))
}

/// Looks up the cached file of a blob. For a damaged one there is a warning, and the answer is `None`.
#[expect(clippy::disallowed_methods, reason = "the cache reads its own files")]
fn read(path: &Path, blob: &Blob, how: Compression, progress: &dyn Progress) -> io::Result<Option<Pieces>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(why) => return Err(why),
    };
    // Pruning removes the least recently used first. In a store that can't be written, this fails without harm.
    let now = Timestamps { last_access: NOW, last_modification: NOW };
    let _ = rustix::fs::futimens(&file, &now);
    // One that can't be read is treated like a damaged one.
    let Some(index) = parse(&file, blob.size()).unwrap_or_default() else {
        progress.warn(&format!("`{}` is damaged, and is made again", path.display()));
        return Ok(None);
    };
    if !index.is_stored {
        return Ok(Some(Pieces::new(file, blob, how, index)));
    }
    let file = blob.open()?;
    if Sha256::of_reader(&file)? != (blob.sha256(), blob.size()) {
        return Err(blob.damaged());
    }
    Ok(Some(Pieces::new(file, blob, how, index)))
}

fn parse(mut file: &File, plain: u64) -> io::Result<Option<Index>> {
    let length = file.metadata()?.len();
    let Some(body) = length.checked_sub(32) else { return Ok(None) };
    let (sha256, _) = Sha256::of_reader((&mut file).take(body))?;
    let mut end = [0; 32];
    file.read_exact(&mut end)?;
    if sha256.as_bytes() != &end {
        return Ok(None);
    }
    let mut size = [0; 8];
    if length < END {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(length - END))?;
    file.read_exact(&mut size)?;
    let size = u64::from_le_bytes(size);
    let Some(packed) = (length - END).checked_sub(size) else { return Ok(None) };
    file.seek(SeekFrom::Start(packed))?;
    let mut text = Vec::new();
    file.take(size).read_to_end(&mut text)?;
    let Ok(index) = serde_json::from_slice::<Index>(&text) else { return Ok(None) };
    let sum = |of: fn(&Record) -> u64| index.records.iter().map(of).fold(0u64, u64::saturating_add);
    let kept = if index.is_stored { 0 } else { sum(|record| record.packed) };
    let fits = sum(|record| record.plain) == plain && kept == packed;
    Ok(fits.then_some(index))
}
