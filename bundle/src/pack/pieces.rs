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
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

use md5::{Digest as _, Md5};
use rustix::fs::{Timespec, Timestamps, UTIME_NOW};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::codec::{self, Record};
use super::prune::{ROOM, prune};
use crate::fetch::{Blob, Seen, Store};
use crate::hash::{Hasher, Sha256};
use crate::out;
use crate::progress::Progress;
use crate::spec::Compression;
use crate::target::Mode;
use crate::workers;

/// Why there are no pieces.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A blob has other bytes than its digest says.
    #[error("`{}` is damaged", .0.display())]
    Damaged(PathBuf),
    /// The disk refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

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
    /// MD5 of the content, which packages list, in hexadecimal digits.
    md5: String,
    records: Vec<Record>,
}

impl Pieces {
    /// MD5 of the content, in hexadecimal digits.
    pub fn md5(&self) -> &str {
        &self.index.md5
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
pub struct Shelf(BTreeMap<Name, Pieces>);

impl Shelf {
    /// The pieces of a blob.
    pub fn get(&self, blob: &Blob, how: Compression) -> io::Result<&Pieces> {
        let pieces = self.0.get(&(blob.sha256(), codec::name(how)));
        pieces.ok_or_else(|| io::Error::other(format!("`{}` was not compressed before", blob.path().display())))
    }
}

/// Looks up what the store has, and compresses the rest, on up to `threads` threads at a time.
pub fn stock(
    wanted: &[(Blob, Compression)],
    store: &Store,
    threads: usize,
    progress: &dyn Progress,
) -> Result<Shelf, Error> {
    let mut seen = BTreeSet::new();
    let wanted: Vec<_> = wanted.iter().filter(|(blob, how)| seen.insert((blob.sha256(), codec::name(*how)))).collect();
    let place = |(blob, how): &(Blob, Compression)| store.pieces(&codec::name(*how), blob.sha256());
    let found = workers::each(threads, &wanted, |one| read(&place(one), one.0.size(), progress));
    let found = found.into_iter().flatten().collect::<io::Result<Vec<_>>>()?;

    let missing = wanted.iter().zip(&found).filter(|(_, pieces)| pieces.is_none());
    let benches = missing.map(|(one, _)| Ok(Bench::new(&one.0, one.1, place(one), store.temporary()?)));
    let benches = benches.collect::<io::Result<Vec<_>>>()?;
    let made = work(&benches, threads, progress)?;
    let known = wanted.iter().zip(found).filter_map(|(one, pieces)| Some((one, pieces?)));
    let known = known.map(|((blob, how), pieces)| ((blob.sha256(), codec::name(*how)), pieces));
    let shelf = Shelf(known.chain(made).collect());
    // What can't be removed now is tried again next time.
    let _ = prune(&store.shelf(), SystemTime::UNIX_EPOCH, ROOM);
    Ok(shelf)
}

/// What a thread does next.
enum Task<'a> {
    Digest(&'a Bench),
    Block(&'a Bench, u64),
}

/// Compresses everything, block by block, whichever file it belongs to.
fn work(benches: &[Bench], threads: usize, progress: &dyn Progress) -> Result<Vec<(Name, Pieces)>, Error> {
    if benches.is_empty() {
        return Ok(Vec::new());
    }
    let total = benches.iter().map(|bench| bench.blob.size()).sum();
    let shown = progress.task("compressing", Some(total));
    let blocks = benches.iter().flat_map(|bench| (0..bench.blocks()).map(move |block| Task::Block(bench, block)));
    // What takes longest comes first.
    let tasks: Vec<_> = benches.iter().map(Task::Digest).chain(blocks).collect();
    let done = workers::each(threads, &tasks, |task| match task {
        Task::Digest(bench) => bench.digest(),
        Task::Block(bench, block) => {
            shown.advance(bench.compress(*block)?);
            Ok(())
        }
    });
    done.into_iter().flatten().collect::<Result<Vec<()>, Error>>()?;
    let done = workers::each(threads, benches, Bench::finish);
    done.into_iter().flatten().collect()
}

/// Where one blob is compressed.
struct Bench {
    blob: Blob,
    how: Compression,
    place: PathBuf,
    /// MD5 of the content, in hexadecimal digits.
    md5: OnceLock<String>,
    /// Nothing any more, once it is finished.
    sink: Mutex<Option<Sink>>,
}

/// Pieces in their order, whoever is ready first.
struct Sink {
    file: BufWriter<NamedTempFile>,
    /// Of the file.
    sha256: Hasher,
    records: Vec<Record>,
    /// Pieces whose turn has not come.
    early: BTreeMap<u64, (Vec<u8>, Record)>,
}

impl Bench {
    fn new(blob: &Blob, how: Compression, place: PathBuf, file: NamedTempFile) -> Self {
        let sink = Sink {
            file: BufWriter::with_capacity(256 << 10, file),
            sha256: Hasher::default(),
            records: Vec::new(),
            early: BTreeMap::new(),
        };
        Self { blob: blob.clone(), how, place, md5: OnceLock::new(), sink: Mutex::new(Some(sink)) }
    }

    fn blocks(&self) -> u64 {
        self.blob.size().div_ceil(codec::block(self.how) as u64)
    }

    /// What packages list; and the blob's own digest, unless it is known: other bytes must not become pieces under its name.
    fn digest(&self) -> Result<(), Error> {
        let (mut md5, mut sha256) = (Md5::new(), (self.blob.seen() == Seen::Dated).then(Hasher::default));
        let mut file = self.blob.open()?;
        let mut buffer = vec![0; 128 << 10];
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                count => {
                    md5.update(&buffer[..count]);
                    if let Some(sha256) = &mut sha256 {
                        sha256.update(&buffer[..count]);
                    }
                }
            }
        }
        if sha256.is_some_and(|sha256| sha256.finish().0 != self.blob.sha256()) {
            return Err(self.damaged());
        }
        self.md5.get_or_init(|| md5.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
        Ok(())
    }

    fn damaged(&self) -> Error {
        // If that fails too, whoever removes it gets a new one.
        let _ = self.blob.distrust();
        Error::Damaged(self.blob.path().to_owned())
    }

    /// Makes one piece; says of how many bytes.
    fn compress(&self, block: u64) -> io::Result<u64> {
        let size = codec::block(self.how) as u64;
        let mut file = self.blob.open()?;
        file.seek(SeekFrom::Start(block * size))?;
        let mut content = Vec::new();
        file.take(size).read_to_end(&mut content)?;
        let (packed, record) = codec::piece(self.how, &content)?;
        if let Some(sink) = &mut *self.sink() {
            sink.take(block, packed, record)?;
        }
        Ok(record.plain)
    }

    fn sink(&self) -> MutexGuard<'_, Option<Sink>> {
        self.sink.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts the pieces where others will look for them.
    fn finish(&self) -> Result<(Name, Pieces), Error> {
        let mut sink = self.sink().take().ok_or_else(|| io::Error::other("the pieces are finished already"))?;
        let md5 = self.md5.get().cloned().unwrap_or_default();
        let index = Index { md5, records: std::mem::take(&mut sink.records) };
        if index.records.iter().map(|record| record.plain).sum::<u64>() != self.blob.size() {
            return Err(self.damaged());
        }
        let text = serde_json::to_vec(&index).map_err(io::Error::from)?;
        sink.write(&text)?;
        sink.write(&(text.len() as u64).to_le_bytes())?;
        let Sink { mut file, sha256, .. } = sink;
        file.write_all(sha256.finish().0.as_bytes())?;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        out::make_parent(&self.place)?;
        let open = file.reopen()?;
        out::complete_hastily(file, &self.place, Mode::PUBLIC)?;
        let packed = index.records.iter().map(|record| record.packed).sum();
        let pieces = Pieces { file: Arc::new(open), packed, index: Arc::new(index) };
        Ok(((self.blob.sha256(), codec::name(self.how)), pieces))
    }
}

impl Sink {
    fn take(&mut self, block: u64, packed: Vec<u8>, record: Record) -> io::Result<()> {
        self.early.insert(block, (packed, record));
        while let Some((packed, record)) = self.early.remove(&(self.records.len() as u64)) {
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
#[expect(clippy::disallowed_methods, reason = "the shelf reads its own files")]
fn read(path: &Path, plain: u64, progress: &dyn Progress) -> io::Result<Option<Pieces>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(why) => return Err(why),
    };
    // What was used lately is kept longest; a store that can't be written is read all the same.
    let now = Timestamps { last_access: NOW, last_modification: NOW };
    let _ = rustix::fs::futimens(&file, &now);
    let pieces = parse(&file, plain)?;
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
