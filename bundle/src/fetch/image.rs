//! Container images: a manifest, a configuration and layers, each fetched and verified like any other file.
//!
//! The protocol of registries is that of the OCI distribution specification: `REPOSITORY/manifests/DIGEST` and
//! `REPOSITORY/blobs/DIGEST`. A directory or web server with an OCI image layout has the same files as
//! `blobs/sha256/HEX`, and `image_archive` finds them in archives. Nothing is trusted but digests: that of the manifest is pinned, and it names the others.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek};

use flate2::read::MultiGzDecoder;

use super::image_format::{Descriptor, LONGEST, Manifest, diff_ids, for_platform};
use super::{Blob, Blobs, Error, FailedDownload, Fault, Fetcher, admit, extract};
use crate::hash::{Pin, Sha256};
use crate::plan::Download;
use crate::plan::downloads::{ImageContent, Member};

/// A verified image for linux/amd64.
#[derive(Debug, Clone)]
pub struct Image {
    /// Media type of the manifest, by which readers know its format.
    pub media_type: String,
    /// The manifest of the platform.
    pub manifest: Blob,
    /// Configuration and layers, in this order, each once.
    pub content: Vec<Blob>,
}

/// Why an image could not be had.
enum Stop {
    /// For a reason of its own; other downloads go on.
    Failed(FailedDownload),
    /// The whole fetch ends.
    Ended(Error),
}

/// Fetches what the store lacks of an image, and takes components out of it. The inner error is about this image; the outer
/// one ends the whole fetch.
pub(super) fn fetch(
    download: &Download,
    content: &ImageContent,
    fetcher: &Fetcher<'_>,
) -> Result<Result<Blobs, FailedDownload>, Error> {
    match resolve(download, content, fetcher) {
        Ok(blobs) => Ok(Ok(blobs)),
        Err(Stop::Failed(failed)) => Ok(Err(failed)),
        Err(Stop::Ended(error)) => Err(error),
    }
}

fn failed(download: &Download, fault: Fault) -> Stop {
    let tried = vec![("its content".to_owned(), fault)];
    Stop::Failed(FailedDownload { file: download.title(), pin: download.pin, tried })
}

/// From the pinned digest to the files of one platform.
fn resolve(download: &Download, content: &ImageContent, fetcher: &Fetcher<'_>) -> Result<Blobs, Stop> {
    let wrong = |why: String| failed(download, Fault::Wrong(why));
    let title = download.title();
    let Pin::Sha256(pinned) = download.pin else { return Err(wrong("an image is pinned by SHA-256".to_owned())) };
    let named = |what: &str| format!("{title} ({what})");
    let mut manifest_blob = part(download, "manifests", pinned, None, named("manifest"), fetcher)?;
    let mut manifest = parse(&manifest_blob).map_err(wrong)?;
    if let Some(platforms) = &manifest.manifests {
        let chosen = for_platform(platforms).map_err(wrong)?;
        let sha256 = chosen.sha256().map_err(wrong)?;
        manifest_blob = part(download, "manifests", sha256, Some(chosen.size), named("manifest"), fetcher)?;
        manifest = parse(&manifest_blob).map_err(wrong)?;
    }
    let (Some(config), Some(layers)) = (&manifest.config, &manifest.layers) else {
        return Err(wrong("the manifest names no configuration and no layers".to_owned()));
    };
    let get = |descriptor: &Descriptor, what: &str| {
        let sha256 = descriptor.sha256().map_err(wrong)?;
        part(download, "blobs", sha256, Some(descriptor.size), named(what), fetcher)
    };
    let mut files = vec![get(config, "configuration")?];
    read(&files[0]).and_then(|config| diff_ids(&config, layers.len())).map_err(wrong)?;
    for (index, layer) in layers.iter().enumerate() {
        let layer = get(layer, &format!("layer {} of {}", index + 1, layers.len()))?;
        if !files.iter().any(|known| known.sha256() == layer.sha256()) {
            files.push(layer);
        }
    }
    let members = members(&files[1..], &content.members, fetcher).map_err(|fault| failed(download, fault))?;
    let media_type = manifest.media_type.unwrap_or_else(|| "application/vnd.oci.image.manifest.v1+json".to_owned());
    let image = Image { media_type, manifest: manifest_blob, content: files };
    Ok(Blobs(members, BTreeMap::from([(format!("{}@{}", content.name, download.pin), image)])))
}

/// One file of an image, as a download of its own.
fn part(
    image: &Download,
    kind: &str,
    sha256: Sha256,
    size: Option<u64>,
    title: String,
    fetcher: &Fetcher<'_>,
) -> Result<Blob, Stop> {
    let urls = image.urls.iter().map(|repository| format!("{repository}/{kind}/sha256:{sha256}")).collect();
    let download = Download::of_file(title, Download::file_in_layout(sha256), urls, sha256, size);
    let found = super::fetch_one(&download, fetcher).map_err(Stop::Ended)?.map_err(Stop::Failed)?;
    let blob = found.0.into_values().next();
    blob.ok_or_else(|| failed(&download, Fault::Wrong("nothing was fetched".to_owned())))
}

fn read(blob: &Blob) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let opened = blob.open().and_then(|file| file.take(LONGEST + 1).read_to_end(&mut bytes));
    opened.map_err(|why| format!("could not read `{}`: {why}", blob.path().display()))?;
    if bytes.len() as u64 == blob.size() && Sha256::of(&bytes) != blob.sha256() {
        return Err(blob.damaged().to_string());
    }
    if bytes.len() as u64 > LONGEST {
        return Err(format!("more than {} MB instead of a manifest or configuration", LONGEST >> 20));
    }
    Ok(bytes)
}

fn parse(blob: &Blob) -> Result<Manifest, String> {
    Manifest::parse(&read(blob)?)
}

/// Takes components out of the layers; a later layer's file covers an earlier one's.
fn members(layers: &[Blob], wanted: &[Member], fetcher: &Fetcher<'_>) -> Result<BTreeMap<String, Blob>, Fault> {
    let mut found = BTreeMap::new();
    if wanted.is_empty() {
        return Ok(found);
    }
    for layer in layers {
        let open = || layer.open().map_err(|source| disk(layer, source));
        let (sha256, _) = Sha256::of_reader(open()?).map_err(|source| disk(layer, source))?;
        if sha256 != layer.sha256() {
            return Err(disk(layer, layer.damaged()));
        }
        let plain = uncompressed(open()?).map_err(|source| disk(layer, source))?;
        let extracted = extract::members(plain, wanted, fetcher.store);
        let extracted = extracted.map_err(|why| why.downcast().unwrap_or_else(|why| Fault::Wrong(why.to_string())))?;
        for (path, (file, sha256)) in extracted {
            for member in wanted.iter().filter(|member| member.path == path) {
                found.insert(member.component.clone(), admit(member, fetcher.store, &file, sha256)?);
            }
        }
    }
    let missing: Vec<_> = wanted.iter().filter(|member| !found.contains_key(&member.component)).collect();
    if missing.is_empty() {
        return Ok(found);
    }
    let paths: Vec<_> = missing.iter().map(|member| format!("`{}`", member.path)).collect();
    Err(Fault::Wrong(format!("no layer of the image has {}", paths.join(", "))))
}

/// The content of a layer, which archives of docker hold without compression.
fn uncompressed(mut layer: File) -> io::Result<Box<dyn Read>> {
    let mut head = Vec::new();
    (&mut layer).take(2).read_to_end(&mut head)?;
    layer.rewind()?;
    Ok(if head == [0x1f, 0x8b] { Box::new(MultiGzDecoder::new(layer)) } else { Box::new(layer) })
}

fn disk(blob: &Blob, source: std::io::Error) -> Fault {
    Fault::Disk { verb: "read", path: blob.path().to_owned(), source }
}
