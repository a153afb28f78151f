//! What is secret leaves a build encrypted, if `[secrets]` says so: as CMS (RFC 5652), which `openssl cms -decrypt` opens.
//!
//! What is encrypted is a tar archive: the files below `root/`, and `SHA256SUMS` over them. The same files and keys give
//! the same bytes. It writes only; `openssl` reads, on machines and in tests.

mod cms;

use std::fmt::Write as _;

use zeroize::Zeroizing;

use crate::manifest::{LOCKED_KEY, SEALED};
use crate::pack::tar::{self, Names};
use crate::pki::seal::SealKeys;
use crate::secret::Secret;
use crate::spec::names::NodeName;
use crate::spec::{Recipient, Seal};
use crate::target::{InstallPath, Mode};
use crate::tree::{Conflict, Content, Entry, Tree};

/// Why something was not encrypted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Two files at one place.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// A tree that can't be an archive.
    #[error("the secrets can't be put into an archive: {0}")]
    Archive(#[from] std::io::Error),
    /// The cryptography library refused.
    #[error("the secrets can't be encrypted")]
    Crypto,
}

/// The secrets of one machine, or of people.
#[derive(Debug)]
pub struct Sealed {
    /// Encrypted.
    pub cms: Vec<u8>,
    /// What opens it, besides the recovery key.
    pub by: Seal,
    /// The key that opens it, encrypted with a passphrase.
    pub locked_key: Option<String>,
}

impl Sealed {
    /// The files that take the place of those with secrets.
    pub fn files(&self) -> impl Iterator<Item = (&'static str, Entry)> {
        let key = self.locked_key.as_ref().map(|key| (LOCKED_KEY, Entry::text(Mode::PUBLIC, key)));
        [(SEALED, Entry::text(Mode::PUBLIC, &self.cms))].into_iter().chain(key)
    }
}

/// Whether a file is encrypted in what is built.
pub fn is_secret(entry: &Entry) -> bool {
    matches!(entry.content, Content::Secret(_))
}

/// What is no secret of a tree, directories included, and the paths of what is.
pub fn without_secrets(mut tree: Tree) -> (Tree, Vec<InstallPath>) {
    let secrets: Vec<_> = tree.files().filter(|(_, entry)| is_secret(entry)).map(|(path, _)| path.clone()).collect();
    tree.retain(|entry| !is_secret(entry));
    (tree, secrets)
}

/// Encrypts the secrets among `files` for a machine, or for people alone if there is none.
///
/// # Errors
/// A key that is none of the curve.
pub fn seal(files: &Tree, node: Option<&NodeName>, keys: &SealKeys) -> Result<Sealed, Error> {
    let machine = node.and_then(|node| keys.nodes.get(node));
    let recipients: Vec<&Recipient> =
        machine.map(|key| &key.recipient).into_iter().chain([&keys.recovery.recipient]).collect();
    let plain = archive(files)?;
    let cms = cms::encrypt(&plain, &keys.sealing_key, &recipients).ok_or(Error::Crypto)?;
    Ok(Sealed { cms, by: keys.by, locked_key: machine.and_then(|key| key.locked.clone()) })
}

/// The secrets as a tar archive. It has no date, so that it changes only if a secret does.
fn archive(files: &Tree) -> Result<Secret, Error> {
    let root = InstallPath::known("root");
    let (mut tree, mut sums) = (Tree::default(), String::new());
    for (path, entry) in files.files().filter(|(_, entry)| is_secret(entry)) {
        if let Some(digest) = entry.sha256() {
            // Writing to a string can't fail.
            let _ = writeln!(sums, "{digest}  root/{path}");
        }
        tree.insert(path.below(&root), entry.clone())?;
    }
    tree.insert(
        InstallPath::known("SHA256SUMS"),
        Entry { content: Content::Secret(Secret::new(sums)), ..Entry::text(Mode::SECRET, "") },
    )?;
    let mut bytes = Zeroizing::new(Vec::new());
    for segment in tar::segments(&tree, 0, Names::Bare)? {
        let Some(content) = segment.in_memory() else { unreachable!("only secrets were put into the tree") };
        bytes.extend(content);
    }
    Ok(Secret::new(std::mem::take(&mut *bytes)))
}
