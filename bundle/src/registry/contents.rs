//! What a push sends: blobs, and where the bytes of each are.

use std::collections::BTreeSet;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};

use super::Error;
use super::artifact::{Layer, is_about};
use super::files::{self, Lists};
use crate::fetch::Fault;
use crate::hash::Sha256;
use crate::manifest::{Manifest, SUMS};
use crate::regular;
use crate::thin::export_list::EXPORT_LIST;
use crate::thin::index::object_path;
use crate::thin::{Directory, ExportList};

/// The contents of an artifact.
pub(super) struct Contents {
    out: PathBuf,
    /// Where objects are, in a thin form.
    bundle: Option<Directory>,
    pub(super) pieces: Vec<Piece>,
    /// Those that say something of the bundle, by what registries call them.
    pub(super) about: Vec<Layer>,
    pub(super) manifest: Manifest,
}

/// A blob with its title.
pub(super) struct Piece {
    pub(super) layer: Layer,
    source: Source,
}

enum Source {
    /// A file of the bundle, at the path that is the title.
    File,
    /// An object, somewhere in the files of the bundle.
    Object,
    Text(Vec<u8>),
}

impl Contents {
    /// Each file as it is.
    pub(super) fn whole(out: &Path) -> Result<Self, Error> {
        let damaged = |why: String| Error::Damaged { path: out.to_owned(), why };
        let lists = Lists::read(out).map_err(damaged)?;
        let mut layers: Vec<_> = lists.files().into_values().map(|(layer, _)| layer).collect();
        layers.extend(files::signatures(out).map_err(damaged)?);
        let about = layers.iter().filter(|layer| is_about(&layer.title)).cloned().collect();
        let pieces = layers.into_iter().map(|layer| Piece { layer, source: Source::File }).collect();
        Ok(Self { out: out.to_owned(), bundle: None, pieces, about, manifest: lists.manifest })
    }

    /// The thin copy of a bundle: each object once, and files that no objects are listed of.
    pub(super) fn thin(out: &Path) -> Result<Self, Error> {
        let bundle = Directory::open(out)?;
        let manifest = Lists::read(out).map_err(|why| Error::Damaged { path: out.to_owned(), why })?.manifest;
        let (mut pieces, mut numbers, mut missing) = (Vec::new(), Vec::new(), Vec::new());
        for (number, object) in bundle.index.carried() {
            let layer = Layer { title: object_path(object.sha256), sha256: object.sha256, size: object.size };
            if bundle.find(object.sha256).is_none() {
                missing.push(layer.title.clone());
            }
            pieces.push(Piece { layer, source: Source::Object });
            numbers.push(number);
        }
        if !missing.is_empty() {
            let why = format!("it has not all objects of the bundle: {}", missing.join(", "));
            return Err(Error::Damaged { path: out.to_owned(), why });
        }
        let objects: BTreeSet<_> = pieces.iter().map(|piece| piece.layer.sha256).collect();
        let list = ExportList::whole(bundle.bundle, None, numbers).to_json();
        let mut texts = vec![(EXPORT_LIST.to_owned(), list.into_bytes())];
        for (name, sha256) in bundle.loose()? {
            let text = bundle.read_loose(&name, sha256)?;
            texts.push((name, text));
        }
        texts.push((SUMS.to_owned(), bundle.read_loose(SUMS, Some(bundle.bundle))?));
        pieces.extend(texts.into_iter().map(|(title, text)| Piece::text(title, text)));
        let about = about(&bundle, &objects).chain(pieces.iter().map(|piece| piece.layer.clone()));
        let about = about.filter(|layer| is_about(&layer.title)).collect();
        Ok(Self { out: out.to_owned(), bundle: Some(bundle), pieces, about, manifest })
    }

    /// Opens a blob.
    pub(super) fn open(&self, piece: &Piece) -> Result<Box<dyn Read + Send>, Fault> {
        let read = |path: &Path, source: io::Error| Fault::Disk { verb: "read", path: path.to_owned(), source };
        match &piece.source {
            Source::Text(text) => Ok(Box::new(Cursor::new(text.clone()))),
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
fn about<'b>(bundle: &'b Directory, objects: &'b BTreeSet<Sha256>) -> impl Iterator<Item = Layer> + 'b {
    let files = bundle.index.files().iter().filter(|(_, file)| objects.contains(&file.sha256));
    files.map(|(name, file)| Layer { title: name.clone(), sha256: file.sha256, size: file.size })
}

impl Piece {
    fn text(title: String, text: Vec<u8>) -> Self {
        let layer = Layer { title, sha256: Sha256::of(&text), size: text.len() as u64 };
        Self { layer, source: Source::Text(text) }
    }
}
