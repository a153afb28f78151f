//! Where a file may be: mirrors first, in the order given, then the recipe's own URLs.
//!
//! A mirror holds files flat, by name, or laid out as upstream serves them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::store;
use crate::hash::Sha256;
use crate::plan::Download;

/// A directory or URL given with `--from`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mirror {
    /// A directory.
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

    /// The file in a directory, if it is there.
    pub(super) fn local(&self, download: &Download) -> Option<PathBuf> {
        match self {
            Self::Directory(directory) => find_local(directory, &download.file, &download.urls),
            Self::Url(_) => None,
        }
    }
}

/// One place to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    File(PathBuf),
    Url(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
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

/// Every place that may have the file, in the order of trying.
pub(super) fn places(download: &Download, mirrors: &[Mirror], offline: bool) -> Vec<Place> {
    let mut places = Vec::new();
    for mirror in mirrors {
        match mirror {
            Mirror::Directory(_) => places.extend(mirror.local(download).map(Place::File)),
            Mirror::Url(base) => {
                places.extend(upstream_paths(&download.urls).map(|path| Place::Url(format!("{base}/{path}"))));
                places.push(Place::Url(format!("{base}/{}", download.file)));
            }
        }
    }
    places.extend(download.urls.iter().cloned().map(Place::Url));
    if offline {
        places.retain(|place| matches!(place, Place::File(_)));
    }
    places
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

/// The index of an OCI image layout.
pub const INDEX: &str = "index.json";

/// Digest and length in bytes of the manifest that a directory with an OCI image layout has under this name; `None` if it
/// has none, or is no layout.
#[expect(clippy::disallowed_methods, reason = "this module looks for files in mirror directories")]
pub fn image_in_layout(directory: &Path, name: &str) -> Option<(Sha256, u64)> {
    let text = std::fs::read(directory.join(INDEX)).ok()?;
    let index: serde_json::Value = serde_json::from_slice(&text).ok()?;
    let has_name = |manifest: &&serde_json::Value| {
        let annotations = manifest["annotations"].as_object();
        annotations.is_some_and(|all| all.values().any(|value| value.as_str() == Some(name)))
    };
    let manifest = index["manifests"].as_array()?.iter().find(has_name)?;
    let sha256 = manifest["digest"].as_str()?.strip_prefix("sha256:")?.parse().ok()?;
    Some((sha256, manifest["size"].as_u64()?))
}

/// Digest and length in bytes of a local program. It is an error if it is not one for x86-64.
pub fn digest_binary(path: &Path) -> Result<(Sha256, u64), String> {
    let (file, _) = store::open_local(path).map_err(|fault| fault.to_string())?;
    let mut head = Vec::new();
    let mut reader = HeadReader { inner: file, head: &mut head };
    let digest = Sha256::of_reader(&mut reader).map_err(|why| why.to_string())?;
    super::elf::check(&head)?;
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
