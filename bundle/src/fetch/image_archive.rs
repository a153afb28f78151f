//! Images in files that users hold: archives of `docker save`, and OCI image layouts, in a directory or in a tar archive.
//!
//! An archive of docker's older format has no manifest. The one that is made here has the bytes that containerd makes of the
//! same archive, and layers are taken as they are. So the digest depends on nothing but the archive, and `ctr images import`
//! shows the same.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use serde::{Deserialize, Serialize};

use super::Fault;
use super::image_format::{Descriptor, LONGEST, Manifest, diff_ids, sha256};
use super::store::open_local;
use super::tar_file::{Span, TarFile};
use crate::hash::{HashingReader, Sha256};
use crate::spec::ImageName;

/// The index of an OCI image layout, and the file that says that there is a layout.
const INDEX: &str = "index.json";
const LAYOUT: &str = "oci-layout";
/// The list of images in an archive of docker's.
const SAVED: &str = "manifest.json";

/// What docker's registries and containerd call what such an archive holds.
const MANIFEST_TYPE: &str = "application/vnd.docker.distribution.manifest.v2+json";
const CONFIG_TYPE: &str = "application/vnd.docker.container.image.v1+json";
const LAYER_TYPE: &str = "application/vnd.docker.image.rootfs.diff.tar";
const GZIP_LAYER_TYPE: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// An image that a directory or an archive holds. Nothing of it was verified.
#[derive(Debug, Clone)]
pub struct HeldImage {
    /// `None` if nothing says what it is called.
    pub name: Option<ImageName>,
    /// Of the manifest, or of a list of manifests.
    pub sha256: Sha256,
    /// Length of that in bytes.
    pub size: u64,
    /// The directory or archive.
    pub from: PathBuf,
}

/// A file of an image in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ArchivedFile {
    pub(super) archive: PathBuf,
    is_gzip: bool,
    content: Content,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    /// The archive has no such file: a manifest.
    Made(Vec<u8>),
    Member(Span),
}

impl ArchivedFile {
    /// For reading, and its length in bytes.
    pub(super) fn open(&self) -> Result<(Box<dyn Read + '_>, u64), Fault> {
        match &self.content {
            Content::Made(bytes) => Ok((Box::new(bytes.as_slice()), bytes.len() as u64)),
            Content::Member(span) => Ok((span.open(&self.archive, self.is_gzip)?, span.size)),
        }
    }
}

/// An archive whose members were listed.
#[derive(Debug)]
pub(super) struct ImageArchive {
    images: Vec<HeldImage>,
    files: BTreeMap<Sha256, ArchivedFile>,
}

impl ImageArchive {
    /// The file that should have this digest.
    pub(super) fn file(&self, sha256: Sha256) -> Option<&ArchivedFile> {
        self.files.get(&sha256)
    }
}

/// An entry of [`SAVED`], with docker's names.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// The manifest that containerd makes: the order of fields is part of its digest.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MadeManifest {
    schema_version: u32,
    media_type: &'static str,
    config: Descriptor,
    layers: Vec<Descriptor>,
}

/// All images of a directory, which may be a layout or hold archives, or of one archive; and which archives could not be
/// read, and why.
pub fn images_in(path: &Path) -> (Vec<HeldImage>, Vec<String>) {
    let (mut images, mut faults) = (Vec::new(), Vec::new());
    let layout = path.join(INDEX);
    if let Some(index) = open_local(&layout).ok().map(|(file, _)| bytes(file)) {
        match index.and_then(|index| in_index(&index, path)) {
            Ok(found) => images.extend(found),
            Err(why) => faults.push(format!("`{}`: {why}", layout.display())),
        }
    }
    for (archive, read) in archives_in(path) {
        match read {
            Ok(archive) => images.extend(archive.images),
            Err(why) => faults.push(format!("`{}`: {why}", archive.display())),
        }
    }
    (images, faults)
}

/// The image archives in a directory, by name, or `path` itself, if it is a file. Other archives in a directory, such as
/// those of releases, are left out.
#[expect(clippy::disallowed_methods, reason = "looks for archives in mirror directories")]
pub(super) fn archives_in(path: &Path) -> Vec<(PathBuf, Result<ImageArchive, String>)> {
    if path.is_file() {
        let read = read(path).and_then(|archive| archive.ok_or_else(|| "it holds no images".to_owned()));
        return vec![(path.to_owned(), read)];
    }
    let is_archive = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        [".tar", ".tar.gz", ".tgz"].iter().any(|end| name.ends_with(end)) && path.is_file()
    };
    let files = std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<_> = files.filter(is_archive).collect();
    files.sort();
    files
        .into_iter()
        .filter_map(|path| Some((read(&path).transpose()?, path)))
        .map(|(read, path)| (path, read))
        .collect()
}

/// `None` if it is an archive of something else.
fn read(path: &Path) -> Result<Option<ImageArchive>, String> {
    let Some(tar) = TarFile::list(path, begins_images)? else { return Ok(None) };
    // If both are there, docker wrote both of the same images; containerd decides so, too.
    let read = match (tar.has(LAYOUT), tar.has(SAVED)) {
        (true, _) => from_layout(&tar),
        (false, true) => from_docker(&tar),
        (false, false) => Err(format!("it has neither `{LAYOUT}` nor `{SAVED}`: it is incomplete")),
    };
    read.map(Some)
}

/// Whether an archive may hold images, by the name of its first member.
fn begins_images(name: &str) -> bool {
    let first = name.split('/').next().unwrap_or_default();
    let digest = first.strip_prefix("sha256:").unwrap_or(first);
    let named_by_digest = digest.len() >= 64 && digest.bytes().take(64).all(|byte| byte.is_ascii_hexdigit());
    let is_json = first == name && Path::new(first).extension().is_some_and(|end| end == "json");
    named_by_digest || is_json || matches!(first, "blobs" | LAYOUT | "repositories")
}

fn in_index(index: &[u8], from: &Path) -> Result<Vec<HeldImage>, String> {
    let manifests = Manifest::parse(index)?.manifests.unwrap_or_default();
    let held = manifests
        .iter()
        .map(|it| Ok(HeldImage { name: it.name(), sha256: it.sha256()?, size: it.size, from: from.to_owned() }));
    held.collect()
}

fn from_layout(tar: &TarFile) -> Result<ImageArchive, String> {
    let images = in_index(&content(tar, INDEX)?, tar.path())?;
    let blobs = tar.files().filter_map(|(name, span)| Some((name.strip_prefix("blobs/sha256/")?.parse().ok()?, span)));
    Ok(ImageArchive { images, files: blobs.map(|(sha256, span)| (sha256, archived(tar, span))).collect() })
}

fn from_docker(tar: &TarFile) -> Result<ImageArchive, String> {
    let saved: Vec<Saved> = serde_json::from_slice(&content(tar, SAVED)?).map_err(|why| format!("`{SAVED}`: {why}"))?;
    let mut archive = ImageArchive { images: Vec::new(), files: BTreeMap::new() };
    for image in saved {
        let tags = image.repo_tags.clone().unwrap_or_default();
        let title = tags.first().cloned().unwrap_or_else(|| image.config.clone());
        let manifest = manifest_of(&image, tar, &mut archive.files).map_err(|why| format!("`{title}`: {why}"))?;
        let (sha256, size) = (Sha256::of(&manifest), manifest.len() as u64);
        let names: Vec<Option<ImageName>> =
            if tags.is_empty() { vec![None] } else { tags.iter().map(|tag| tag.parse().ok()).collect() };
        let from = tar.path().to_owned();
        archive.images.extend(names.into_iter().map(|name| HeldImage { name, sha256, size, from: from.clone() }));
        let made = ArchivedFile { content: Content::Made(manifest), ..archived(tar, Span::default()) };
        archive.files.insert(sha256, made);
    }
    Ok(archive)
}

/// Makes the manifest of an image; its other files are added to `files`.
fn manifest_of(image: &Saved, tar: &TarFile, files: &mut BTreeMap<Sha256, ArchivedFile>) -> Result<Vec<u8>, String> {
    let config = content(tar, &image.config)?;
    let mut add = |media_type: &str, sha256: Sha256, span: Span| {
        files.insert(sha256, archived(tar, span));
        Descriptor::of(media_type, sha256, span.size)
    };
    let described = add(CONFIG_TYPE, Sha256::of(&config), tar.file(&image.config)?);
    let mut layers = Vec::new();
    for (name, diff_id) in image.layers.iter().zip(diff_ids(&config, image.layers.len())?) {
        let span = tar.file(name)?;
        let diff_id = sha256(&diff_id).ok_or_else(|| format!("expected a SHA-256 digest, got `{diff_id}`"))?;
        if span.is_gzip {
            layers.push(add(GZIP_LAYER_TYPE, compressed_layer(tar, name, span, diff_id)?, span));
        } else {
            // Whether its bytes have that digest is checked when they are fetched.
            layers.push(add(LAYER_TYPE, diff_id, span));
        }
    }
    let manifest = MadeManifest { schema_version: 2, media_type: MANIFEST_TYPE, config: described, layers };
    serde_json::to_vec(&manifest).map_err(|why| why.to_string())
}

/// The digest of a layer that is compressed in the archive, while the configuration has that of its content.
fn compressed_layer(tar: &TarFile, name: &str, span: Span, diff_id: Sha256) -> Result<Sha256, String> {
    let failed = |why: io::Error| format!("could not read `{name}`: {why}");
    let mut packed = HashingReader::new(span.open(tar.path(), tar.is_gzip()).map_err(|why| why.to_string())?);
    let (plain, _) = Sha256::of_reader(MultiGzDecoder::new(&mut packed)).map_err(failed)?;
    io::copy(&mut packed, &mut io::sink()).map_err(failed)?;
    if plain == diff_id {
        Ok(packed.finish().0)
    } else {
        Err(format!("`{name}` is not the layer that the configuration names: expected sha256 {diff_id}, got {plain}"))
    }
}

fn archived(tar: &TarFile, span: Span) -> ArchivedFile {
    ArchivedFile { archive: tar.path().to_owned(), is_gzip: tar.is_gzip(), content: Content::Member(span) }
}

/// A member with JSON.
fn content(tar: &TarFile, name: &str) -> Result<Vec<u8>, String> {
    let reader = tar.file(name)?.open(tar.path(), tar.is_gzip()).map_err(|why| why.to_string())?;
    bytes(reader).map_err(|why| format!("`{name}`: {why}"))
}

fn bytes(reader: impl Read) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    reader.take(LONGEST + 1).read_to_end(&mut bytes).map_err(|why| why.to_string())?;
    if bytes.len() as u64 > LONGEST {
        return Err(format!("more than {} MB instead of a manifest or configuration", LONGEST >> 20));
    }
    Ok(bytes)
}
