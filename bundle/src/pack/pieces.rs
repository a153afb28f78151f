//! Programs are compressed once: cut into blocks, on all threads, and kept in the store for every artifact that comes
//! after, in this build or in another.
//!
//! ```text
//! pieces/<how>/ab/abcdef…     the pieces of the blob of that digest, one behind the other; then, as JSON, what
//!                             is known of them; the length of that in 8 bytes; the sha256 of all before it
//! ```
//!
//! Nothing is taken from a file whose sha256 is another, and deleting it costs time alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
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
use crate::out;
use crate::progress::{Progress, Task};
use crate::spec::Compression;
use crate::target::Mode;
use crate::workers;

/// The compressed bytes of a blob, checked. Only this module makes one.
#[derive(Debug, Clone)]
pub struct Pieces {
    /// Open, so that it stays what was checked, though somebody removes it.
    file: Arc<File>,
    packed: u64,
    index: Arc<Index>,
}

/// What is known of a blob once it was compressed.
#[derive(Debug, Serialize, Deserialize)]
struct Index {
    /// Of the content; packages list it.
    md5: Md5,
    records: Vec<Record>,
}

impl Pieces {
    /// MD5 of the content.
    pub fn md5(&self) -> Md5 {
        self.index.md5
    }

    /// What a decoder is told of each.
    pub fn records(&self) -> &[Record] {
        &self.index.records
    }

    /// Bytes of all of them.
    pub fn size(&self) -> u64 {
        self.packed
    }

    /// The file that begins with all of them, one behind the other.
    pub fn file(&self) -> &File {
        &self.file
    }
}

/// Which blob, and how it is compressed.
type Name = (Sha256, String);

/// What has been compressed for a build.
#[derive(Debug, Default)]
pub struct CompressedCache(BTreeMap<Name, Pieces>);

impl CompressedCache {
    /// The pieces of a blob.
    pub fn get(&self, blob: &Blob, how: Compression) -> io::Result<&Pieces> {
        let pieces = self.0.get(&(blob.sha256(), codec::name(how)));
        pieces.ok_or_else(|| io::Error::other(format!("`{}` was not compressed before", blob.path().display())))
    }
}

/// Looks up what the store has, and compresses the rest, on up to `threads` threads at a time.
pub fn ensure_compressed(
    wanted: &[(Blob, Compression)],
    store: &Store,
    threads: usize,
    progress: &dyn Progress,
) -> io::Result<CompressedCache> {
    let mut seen = BTreeSet::new();
    let wanted: Vec<_> = wanted.iter().filter(|(blob, how)| seen.insert((blob.sha256(), codec::name(*how)))).collect();
    let place = |(blob, how): &(Blob, Compression)| store.pieces(&codec::name(*how), blob.sha256());
    let found = workers::each(threads, &wanted, |one| read(&place(one), one.0.size(), progress))?;

    let missing = wanted.iter().zip(&found).filter(|(_, pieces)| pieces.is_none());
    let jobs = missing.map(|(one, _)| Ok(CompressionJob::new(&one.0, one.1, place(one), store.temporary()?)));
    let jobs = jobs.collect::<io::Result<Vec<_>>>()?;
    let made = work(&jobs, threads, progress)?;
    let known = wanted.iter().zip(found).filter_map(|(one, pieces)| Some((one, pieces?)));
    let known = known.map(|((blob, how), pieces)| ((blob.sha256(), codec::name(*how)), pieces));
    let cache = CompressedCache(known.chain(made).collect());
    // What can't be removed now is tried again next time.
    let _ = prune(&store.compressed_directory(), SystemTime::UNIX_EPOCH, CACHE_LIMIT);
    Ok(cache)
}

/// Compresses everything, block by block, whichever file it belongs to.
fn work(jobs: &[CompressionJob], threads: usize, progress: &dyn Progress) -> io::Result<Vec<(Name, Pieces)>> {
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    let total = jobs.iter().map(|job| job.blob.size()).sum();
    let task = progress.task("compressing", Some(total));
    let blocks: Vec<_> = jobs.iter().flat_map(|job| (0..job.blocks()).map(move |block| (job, block))).collect();
    workers::each(threads, &blocks, |(job, block)| job.compress(*block, task.as_ref()))?;
    workers::each(threads, jobs, CompressionJob::finish)
}

/// Where one blob is compressed.
struct CompressionJob {
    blob: Blob,
    how: Compression,
    place: PathBuf,
    /// Nothing any more, once it is finished.
    writer: Mutex<Option<OrderedWriter>>,
}

/// Pieces in their order, whoever is ready first.
struct OrderedWriter {
    file: BufWriter<NamedTempFile>,
    /// Of the file.
    sha256: Hasher,
    /// Of the content, as it was compressed: other bytes must not become pieces under the blob's name.
    content: Hasher,
    md5: md5::Md5,
    records: Vec<Record>,
    /// Pieces whose turn has not come.
    early: BTreeMap<u64, (Vec<u8>, Vec<u8>, Record)>,
}

impl CompressionJob {
    fn new(blob: &Blob, how: Compression, place: PathBuf, file: NamedTempFile) -> Self {
        let writer = OrderedWriter {
            file: BufWriter::with_capacity(256 << 10, file),
            sha256: Hasher::default(),
            content: Hasher::default(),
            md5: md5::Md5::new(),
            records: Vec::new(),
            early: BTreeMap::new(),
        };
        Self { blob: blob.clone(), how, place, writer: Mutex::new(Some(writer)) }
    }

    fn blocks(&self) -> u64 {
        self.blob.size().div_ceil(codec::block(self.how) as u64)
    }

    fn compress(&self, block: u64, task: &dyn Task) -> io::Result<()> {
        let content = self.content(block).map_err(|why| {
            io::Error::new(why.kind(), format!("could not read `{}`: {why}", self.blob.path().display()))
        })?;
        let (packed, record) = codec::piece(self.how, &content)?;
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

    /// Puts the pieces where others will look for them.
    fn finish(&self) -> io::Result<(Name, Pieces)> {
        let mut writer = self.writer().take().ok_or_else(|| io::Error::other("the pieces are finished already"))?;
        let md5 = Md5::from(std::mem::take(&mut writer.md5));
        let index = Index { md5, records: std::mem::take(&mut writer.records) };
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
        let open = file.reopen()?;
        out::complete(file, &self.place, Mode::PUBLIC)?;
        let packed = index.records.iter().map(|record| record.packed).sum();
        let pieces = Pieces { file: Arc::new(open), packed, index: Arc::new(index) };
        Ok(((self.blob.sha256(), codec::name(self.how)), pieces))
    }
}

impl OrderedWriter {
    fn take(&mut self, block: u64, content: Vec<u8>, packed: Vec<u8>, record: Record) -> io::Result<()> {
        self.early.insert(block, (content, packed, record));
        while let Some((content, packed, record)) = self.early.remove(&(self.records.len() as u64)) {
            self.content.update(&content);
            self.md5.update(&content);
            self.write(&packed)?;
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

/// Digest, and length of the index.
const END: u64 = 32 + 8;

/// Pieces that are there and whole; what is there and is not is said, and made again.
#[expect(clippy::disallowed_methods, reason = "the cache reads its own files")]
fn read(path: &Path, plain: u64, progress: &dyn Progress) -> io::Result<Option<Pieces>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(why) => return Err(why),
    };
    // What was used lately is kept longest; a store that can't be written is read all the same.
    let now = Timestamps { last_access: NOW, last_modification: NOW };
    let _ = rustix::fs::futimens(&file, &now);
    // What can't be read is as good as damaged.
    let pieces = parse(&file, plain).unwrap_or_default();
    let pieces = pieces.map(|(packed, index)| Pieces { file: Arc::new(file), packed, index: Arc::new(index) });
    if pieces.is_none() {
        progress.warn(&format!("`{}` is damaged, and is made again", path.display()));
    }
    Ok(pieces)
}

fn parse(mut file: &File, plain: u64) -> io::Result<Option<(u64, Index)>> {
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
    let fits = sum(|record| record.plain) == plain && sum(|record| record.packed) == packed;
    Ok(fits.then_some((packed, index)))
}
