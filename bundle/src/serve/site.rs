//! What a web server has, and what it refuses.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::hash::Sha256;
use crate::manifest::{MANIFEST, Manifest, SUMS, is_signature};
use crate::out;
use crate::regular::{self, Links};

/// Whether files with secrets that nothing encrypts are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrets {
    Refused,
    Included,
}

/// The files of a bundle, by the path in their URL.
#[derive(Debug)]
pub struct Site {
    root: PathBuf,
    files: BTreeMap<String, Listed>,
    secrets: Secrets,
    /// Of `manifest.json`: another one means another bundle.
    identity: Identity,
}

/// A file, as the manifest has it.
#[derive(Debug)]
struct Listed {
    /// What identifies its content, for clients that ask whether it changed.
    tag: Option<Sha256>,
    /// In bytes; `None` for lists and signatures, whose size no manifest says.
    size: Option<u64>,
    has_secrets: bool,
}

/// A file that may be sent.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: File,
    /// Bytes.
    pub(super) size: u64,
    pub(super) tag: Option<Sha256>,
    pub(super) media_type: &'static str,
}

/// Why a file is not sent.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("there is no such file in the bundle\n")]
    Unknown,
    #[error("it has private keys or tokens, which this server was not told to serve\n")]
    Secret,
    #[error("the bundle has changed since this server was started; start it again\n")]
    Changed,
    #[error("it could not be read\n")]
    Unreadable(#[source] io::Error),
}

impl Site {
    /// Reads the manifest of a bundle.
    ///
    /// # Errors
    /// A directory without a manifest, or one that can't be read.
    pub fn open(root: &Path, secrets: Secrets) -> io::Result<Self> {
        let identity = identity(root)?;
        let manifest = Manifest::read(root)?;
        let unsealed = manifest.unsealed_secrets();
        let listed = |(path, record): (&String, &crate::manifest::FileRecord)| {
            let has_secrets = unsealed.contains_key(path.as_str());
            (path.clone(), Listed { tag: Some(record.sha256), size: Some(record.size), has_secrets })
        };
        let mut files: BTreeMap<_, _> = manifest.files.iter().map(listed).collect();
        let is_unlisted = |name: &String| [MANIFEST, SUMS].contains(&name.as_str()) || is_signature(name);
        for name in out::list(root)?.into_iter().filter(is_unlisted) {
            files.insert(name, Listed { tag: None, size: None, has_secrets: false });
        }
        Ok(Self { root: root.to_owned(), files, secrets, identity })
    }

    /// How many files it serves, and how many it refuses.
    pub fn counts(&self) -> (usize, usize) {
        let refused = self.files.values().filter(|listed| self.refuses(listed)).count();
        (self.files.len() - refused, refused)
    }

    fn refuses(&self, listed: &Listed) -> bool {
        listed.has_secrets && self.secrets == Secrets::Refused
    }

    /// Opens the file of a URL's path, which still has its escapes.
    pub(super) fn find(&self, path: &str) -> Result<Opened, Refusal> {
        let name = match path.trim_start_matches('/') {
            "" => "index.html".to_owned(),
            // apt asks for `deb/./Packages`, after the line of its sources.
            name => unescaped(name).ok_or(Refusal::Unknown)?.replace("/./", "/"),
        };
        let (name, listed) = self.files.get_key_value(&name).ok_or(Refusal::Unknown)?;
        if self.refuses(listed) {
            return Err(Refusal::Secret);
        }
        let unreadable = |why: io::Error| match why.kind() {
            io::ErrorKind::NotFound => Refusal::Changed,
            _ => Refusal::Unreadable(why),
        };
        let file = regular::open_below(&self.root, name).map_err(unreadable)?;
        let size = file.metadata().map_err(Refusal::Unreadable)?.len();
        // A build replaces the directory as a whole.
        let is_same = || identity(&self.root).is_ok_and(|now| now == self.identity);
        if listed.size.is_some_and(|listed| listed != size) || !is_same() {
            return Err(Refusal::Changed);
        }
        Ok(Opened { file, size, tag: listed.tag, media_type: media_type(name) })
    }
}

/// Device, inode, and time of the last change in seconds and nanoseconds.
type Identity = (u64, u64, i64, i64);

fn identity(root: &Path) -> io::Result<Identity> {
    let status = regular::open(&root.join(MANIFEST), Links::Follow)?.metadata()?;
    Ok((status.dev(), status.ino(), status.ctime(), status.ctime_nsec()))
}

/// A path without the escapes of RFC 3986, section 2.1; `None` if it has broken ones. apt escapes `~` and `+`.
fn unescaped(path: &str) -> Option<String> {
    let mut parts = path.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        bytes.extend(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).ok()
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "html" => "text/html; charset=utf-8",
        "json" | "jsonl" => "application/json",
        "txt" | "sig" | "asc" | "pem" | "sha256" => "text/plain; charset=utf-8",
        "gz" => "application/gzip",
        "deb" => "application/vnd.debian.binary-package",
        _ if name.ends_with(SUMS) => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::unescaped;

    #[test]
    fn escapes_are_read_and_broken_ones_are_none() {
        assert_eq!(unescaped("deb/etcd_3.4.13%2b1%7Ea.deb").as_deref(), Some("deb/etcd_3.4.13+1~a.deb"));
        assert_eq!(unescaped("a%20b").as_deref(), Some("a b"));
        for broken in ["a%2", "a%zz", "%", "a%ff"] {
            assert_eq!(unescaped(broken), None, "{broken}");
        }
    }
}
