//! Where a file may be: mirrors first, in the order given, then the recipe's own URLs.
//!
//! A mirror holds files flat, by name, or laid out as upstream serves them. A directory may be an OCI image layout, and hold
//! image archives.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::OnceLock;

use super::image_archive::{ArchivedFile, ImageArchive, archives_in};
use super::store;
use crate::hash::{Pin, Sha256};
use crate::plan::Download;
use crate::recipe::component::Kind;

/// A directory or URL given with `--from`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mirror {
    /// A directory, or one image archive.
    Directory(PathBuf),
    /// A web server, `http://` or `https://`: the digest decides, not the transport.
    Url(String),
}

impl FromStr for Mirror {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        let url = matches!(scheme.as_deref(), Some("http" | "https"));
        Ok(if url { Self::Url(text.trim_end_matches('/').to_owned()) } else { Self::Directory(text.into()) })
    }
}

impl Mirror {
    /// The directory that is searched.
    pub(super) fn directory(&self) -> Option<&Path> {
        match self {
            Self::Directory(directory) => Some(directory),
            Self::Url(_) => None,
        }
    }
}

/// The mirrors of a run. Image archives in directories are listed once, when the first file of an image is looked for.
pub(super) struct Mirrors<'a>(Vec<(&'a Mirror, OnceLock<Vec<Listed>>)>);

/// An archive, and what it holds or why it can't be read.
type Listed = (PathBuf, Result<ImageArchive, String>);

impl<'a> Mirrors<'a> {
    pub(super) fn new(mirrors: &'a [Mirror]) -> Self {
        Self(mirrors.iter().map(|mirror| (mirror, OnceLock::new())).collect())
    }

    /// Every place that may have the file, in the order of trying.
    pub(super) fn places(&self, download: &Download, offline: bool) -> Vec<Place> {
        let (mut places, mut unreadable) = (Vec::new(), Vec::new());
        for (mirror, listed) in &self.0 {
            match mirror {
                Mirror::Directory(directory) => {
                    places.extend(find_local(directory, &download.file, &download.urls).map(Place::File));
                    let Some(sha256) = of_image(download) else { continue };
                    for (path, archive) in listed.get_or_init(|| archives_in(directory)) {
                        match archive {
                            Ok(archive) => places.extend(archive.file(sha256).cloned().map(Place::Archived)),
                            Err(why) => unreadable.push(Place::Unreadable(path.clone(), why.clone())),
                        }
                    }
                }
                Mirror::Url(base) => {
                    places.extend(upstream_paths(&download.urls).map(|path| Place::Url(format!("{base}/{path}"))));
                    places.push(Place::Url(format!("{base}/{}", download.file)));
                }
            }
        }
        places.extend(download.urls.iter().cloned().map(Place::Url));
        if offline {
            places.retain(|place| !matches!(place, Place::Url(_)));
        }
        // Whether they would have it, nobody knows, so they are spoken of only if no other place has it.
        places.extend(unreadable);
        places
    }
}

/// The digest of a file that is part of an image.
fn of_image(download: &Download) -> Option<Sha256> {
    let Pin::Sha256(sha256) = download.pin else { return None };
    (download.file == Download::file_in_layout(sha256)).then_some(sha256)
}

/// One place to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    File(PathBuf),
    Url(String),
    Archived(ArchivedFile),
    /// An archive of images, and why nothing can be read from it.
    Unreadable(PathBuf, String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) | Self::Unreadable(path, _) => path.display().fmt(f),
            Self::Archived(file) => file.archive.display().fmt(f),
            Self::Url(url) => f.write_str(&without_password(url)),
        }
    }
}

/// A URL for messages, without user and password.
pub(crate) fn without_password(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            // A password may have a slash that should have been encoded; then part of the URL is left out as well.
            let userinfo = rest.find('@').filter(|at| rest[..*at].contains(':') || !rest[..*at].contains('/'));
            let host = userinfo.map_or(rest, |_| rest.rsplit_once('@').map_or(rest, |(_, host)| host));
            format!("{scheme}://{host}")
        }
        None => url.to_owned(),
    }
}

/// The path of each URL below its host.
fn upstream_paths(urls: &[String]) -> impl Iterator<Item = &str> {
    urls.iter().filter_map(|url| url.split_once("://")?.1.split_once('/').map(|(_, path)| path))
}

/// A file below `directory`: by its name, or at the path of one of the URLs.
#[expect(clippy::disallowed_methods, reason = "this module looks for files in mirror directories")]
pub fn find_local(directory: &Path, file: &str, urls: &[String]) -> Option<PathBuf> {
    [file].into_iter().chain(upstream_paths(urls)).map(|path| directory.join(path)).find(|path| path.is_file())
}

/// Digest and length in bytes of a local file. It is an error if it should be a program and is not one for x86-64.
pub fn digest_local(path: &Path, kind: Kind) -> Result<(Sha256, u64), String> {
    let (file, _) = store::open_local(path).map_err(|fault| fault.to_string())?;
    let mut head = Vec::new();
    let mut reader = HeadReader { inner: file, head: &mut head };
    let digest = Sha256::of_reader(&mut reader).map_err(|why| why.to_string())?;
    if kind == Kind::Program {
        super::elf::check(&head)?;
    }
    Ok(digest)
}

/// Keeps a copy of the first bytes that are read.
struct HeadReader<'a, R> {
    inner: R,
    head: &'a mut Vec<u8>,
}

impl<R: std::io::Read> std::io::Read for HeadReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let wanted = super::elf::HEAD.saturating_sub(self.head.len()).min(count);
        self.head.extend_from_slice(&buffer[..wanted]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_is_asked_for_upstreams_paths_and_the_flat_name() {
        let urls = ["https://dl.k8s.io/release/v1/kubectl".to_owned()];
        assert_eq!(upstream_paths(&urls).collect::<Vec<_>>(), ["release/v1/kubectl"]);
    }

    #[test]
    fn no_password_is_shown() {
        assert_eq!(without_password("https://me:secret@host:8080/a"), "https://host:8080/a");
        assert_eq!(without_password("https://me:se/cr@et@host/a"), "https://host/a");
        assert_eq!(without_password("https://me@host/a"), "https://host/a");
        assert_eq!(without_password("https://host/a@b"), "https://host/a@b");
        assert_eq!(without_password("https://host/a"), "https://host/a");
    }
}
