//! What a push sends: blobs, and where the bytes of each are.

use std::collections::BTreeSet;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Error;
use super::artifact::{Layer, is_about};
use super::compressed;
use super::files::{self, Lists};
use crate::fetch::Fault;
use crate::hash::Sha256;
use crate::manifest::{Manifest, SUMS};
use crate::regular;
use crate::thin::export_list::EXPORT_LIST;
use crate::thin::index::{IndexedFile, IndexedObject, object_path};
use crate::thin::{Directory, ExportList};

/// The contents of an artifact.
pub(super) struct Contents {
    out: PathBuf,
    /// Where objects are, in a thin form.
    bundle: Option<Directory>,
    pub(super) pieces: Vec<Piece>,
    /// Those that say something of the bundle, as they are, by what registries call them.
    pub(super) about: Vec<Piece>,
    pub(super) manifest: Manifest,
}

/// A blob with its title.
#[derive(Clone)]
pub(super) struct Piece {
    pub(super) layer: Layer,
    source: Source,
}

#[derive(Clone)]
enum Source {
    /// A file of the bundle, at the path that is the title.
    File,
    /// An object, somewhere in the files of the bundle.
    Object,
    Text(Arc<[u8]>),
}

impl Contents {
    /// Each file as it is.
    pub(super) fn whole(out: &Path) -> Result<Self, Error> {
        let damaged = |why: String| Error::Damaged { path: out.to_owned(), why };
        let lists = Lists::read(out).map_err(damaged)?;
        let mut layers: Vec<_> = lists.files().into_values().map(|(layer, _)| layer).collect();
        layers.extend(files::signatures(out).map_err(damaged)?);
        let pieces: Vec<_> = layers.into_iter().map(|layer| Piece { layer, source: Source::File }).collect();
        let about = pieces.iter().filter(|piece| is_about(&piece.layer.title)).cloned().collect();
        Ok(Self { out: out.to_owned(), bundle: None, pieces, about, manifest: lists.manifest })
    }

    /// The thin copy of a bundle: each object once, and files that no objects are listed of.
    pub(super) fn thin(out: &Path) -> Result<Self, Error> {
        let bundle = Directory::open(out)?;
        let manifest = Lists::read(out).map_err(|why| Error::Damaged { path: out.to_owned(), why })?.manifest;
        let objects: Vec<_> = bundle.index.carried().map(|(_, object)| object.clone()).collect();
        let missing = objects.iter().filter(|object| bundle.find(object.sha256).is_none());
        let missing: Vec<_> = missing.map(|object| object_path(object.sha256)).collect();
        if !missing.is_empty() {
            let why = format!("it has not all objects of the bundle: {}", missing.join(", "));
            return Err(Error::Damaged { path: out.to_owned(), why });
        }
        let numbers = bundle.index.carried().map(|(number, _)| number).collect();
        let list = ExportList::whole(bundle.bundle, None, numbers).to_json();
        let mut lists = vec![Piece::text(EXPORT_LIST.to_owned(), list.into_bytes())];
        for (name, sha256) in bundle.loose()? {
            let text = bundle.read_loose(&name, sha256)?;
            lists.push(Piece::text(name, text));
        }
        lists.push(Piece::text(SUMS.to_owned(), bundle.read_loose(SUMS, Some(bundle.bundle))?));
        let mut about = about(&bundle, &objects);
        about.extend(lists.iter().filter(|piece| is_about(&piece.layer.title)).cloned());
        let piece = |object: &IndexedObject| Piece {
            layer: Layer { title: object_path(object.sha256), sha256: object.sha256, size: object.size },
            source: Source::Object,
        };
        let pieces = objects.iter().map(piece).chain(lists).collect();
        Ok(Self { out: out.to_owned(), bundle: Some(bundle), pieces, about, manifest })
    }

    /// The same with pieces compressed where that is worth it, but for lists that a pull begins with or others look for.
    pub(super) fn compressed(mut self) -> Result<Self, Error> {
        let is_plain = |title: &str| [SUMS, EXPORT_LIST].contains(&title) || is_about(title);
        let pieces = std::mem::take(&mut self.pieces).into_iter();
        let pieces = pieces.map(|piece| if is_plain(&piece.layer.title) { Ok(piece) } else { self.compress(piece) });
        self.pieces = pieces.collect::<Result<_, _>>()?;
        Ok(self)
    }

    fn compress(&self, piece: Piece) -> Result<Piece, Error> {
        let open = || self.open(&piece).map_err(io::Error::other);
        let packed = compressed::compress(&piece.layer, open).map_err(|source| Error::Io {
            verb: "read",
            path: self.out.join(&piece.layer.title),
            source,
        })?;
        Ok(match packed {
            Some(packed) => Piece::text(compressed::title(&piece.layer.title), packed),
            None => piece,
        })
    }

    /// Opens a blob.
    pub(super) fn open(&self, piece: &Piece) -> Result<Box<dyn Read + Send>, Fault> {
        let read = |path: &Path, source: io::Error| Fault::Disk { verb: "read", path: path.to_owned(), source };
        match &piece.source {
            Source::Text(text) => Ok(Box::new(Cursor::new(Arc::clone(text)))),
            Source::File => {
                let file = regular::open_below(&self.out, &piece.layer.title);
                Ok(Box::new(file.map_err(|why| read(&self.out.join(&piece.layer.title), why))?))
            }
            Source::Object => {
                let found = self.bundle.as_ref().and_then(|bundle| Some((bundle, bundle.find(piece.layer.sha256)?)));
                let gone = || read(&self.out, io::Error::other("an object is gone"));
                let (bundle, place) = found.ok_or_else(gone)?;
                let reader = bundle.read_object(place).map_err(|why| read(&self.out, io::Error::other(why)))?;
                Ok(Box::new(reader))
            }
        }
    }
}

/// Files that are an object each, under their own names.
fn about(bundle: &Directory, objects: &[IndexedObject]) -> Vec<Piece> {
    let objects: BTreeSet<_> = objects.iter().map(|object| object.sha256).collect();
    let files = bundle.index.files().iter().filter(|(name, file)| is_about(name) && objects.contains(&file.sha256));
    let piece = |(name, file): (&String, &IndexedFile)| Piece {
        layer: Layer { title: name.clone(), sha256: file.sha256, size: file.size },
        source: Source::Object,
    };
    files.map(piece).collect()
}

impl Piece {
    fn text(title: String, text: Vec<u8>) -> Self {
        let layer = Layer { title, sha256: Sha256::of(&text), size: text.len() as u64 };
        Self { layer, source: Source::Text(text.into()) }
    }
}
