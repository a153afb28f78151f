//! Signatures over a bundle's checksum list, which names every other file by its digest; and over the index that apt reads.
//!
//! Each is written in the formats of the programs that a machine may have: ssh-keygen, gpgv or sqv, openssl. All are
//! deterministic. Nothing here reads a signature; `trust` does.

mod agent;
pub(crate) mod dsse;
mod key_file;
pub(crate) mod openpgp;
mod public_key;
mod signer;
mod sshsig;

use std::path::{Path, PathBuf};

use crate::armor;
use crate::artifact::ArtifactInput;
use crate::manifest::provenance::{self, PAYLOAD_TYPE};
use crate::manifest::{
    IN_RELEASE, LARGEST_LIST, MANIFEST, Manifest, PROVENANCE, PUBLIC_SUMS, RELEASE, SUMS, attestation_file,
};
use crate::out;
use crate::regular::{self, Links};
use crate::target::{InstallPath, Mode};
use crate::tree::{Content, Entry, Tree};
pub use public_key::PublicKey;
pub use signer::{KeyReference, Signer, public_half, public_key};

/// What a signature is for; one for another purpose counts for nothing. `ssh-keygen -n` gets it as its namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// "I made this bundle".
    Bundle,
    /// "I built it again, and the public files were the same".
    Rebuilt,
}

impl Purpose {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Bundle, Self::Rebuilt];

    /// The namespace.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bundle => "kube-bundle",
            Self::Rebuilt => "kube-bundle-rebuilt",
        }
    }
}

/// Why something was not signed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A key, or what is to be signed, can't be read.
    #[error("could not read `{}`", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    /// A file without a usable key.
    #[error("could not sign with `{}`: {why}", path.display())]
    Key { path: PathBuf, why: key_file::Unusable },
    /// The agent has no such key, or refuses.
    #[error("could not sign with the SSH agent: {0}")]
    Agent(String),
    /// A signature can't be written.
    #[error("could not write `{}`", path.display())]
    Write { path: PathBuf, source: std::io::Error },
}

impl Error {
    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Key { why, .. } => Some(why.hint()),
            Self::Agent(_) => Some("`ssh-add -l` lists the keys of the agent; `ssh-add FILE` adds one"),
            Self::Read { .. } | Self::Write { .. } => None,
        }
    }
}

/// The signatures of a checksum list: names of files, and what they hold. OpenPGP puts those of all signers into one
/// file; in the other formats, the second signer and later ones have files of their own (`signature_files` lists them).
fn detached(text: &[u8], signers: &[Signer]) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let mut files = Vec::new();
    for (index, signer) in signers.iter().enumerate() {
        let further = if index == 0 { String::new() } else { format!(".{}", index + 1) };
        files.push((format!("{SUMS}{further}.sig"), sshsig::sign(text, Purpose::Bundle, signer)?.into_bytes()));
        files.push((format!("{SUMS}{further}.ed25519"), raw(text, signer)?.into_bytes()));
    }
    if !signers.is_empty() {
        files.push((format!("{SUMS}.asc"), openpgp::detached(text, signers)?.into_bytes()));
    }
    Ok(files)
}

/// The signature itself, in Base64; `openssl base64 -d` decodes it for `openssl pkeyutl -verify -rawin`.
fn raw(text: &[u8], signer: &Signer) -> Result<String, Error> {
    Ok(armor::lines(&signer.sign(text)?, 88))
}

/// The certificates of all signers, as a keyring for gpgv, sqv and apt.
///
/// # Errors
/// The agent refuses: certificates are signed by their own keys.
pub fn keyring(signers: &[Signer]) -> Result<Vec<u8>, Error> {
    let certificates: Vec<_> = signers.iter().map(openpgp::certificate).collect::<Result<_, _>>()?;
    Ok(certificates.concat())
}

/// Adds signatures of its checksum list to the archive of a machine, for `install.sh`. Other outputs have no such list.
///
/// # Errors
/// The agent refuses.
pub fn archive(input: ArtifactInput, signers: &[Signer]) -> Result<ArtifactInput, Error> {
    let ArtifactInput::Archive(mut tree) = input else { return Ok(input) };
    for (name, bytes) in signatures_inside(&tree, signers)? {
        // The archive has no file of such a name.
        let _ = tree.insert(name, Entry::text(Mode::PUBLIC, bytes));
    }
    Ok(ArtifactInput::Archive(tree))
}

fn signatures_inside(tree: &Tree, signers: &[Signer]) -> Result<Vec<(InstallPath, Vec<u8>)>, Error> {
    // Everything in an archive is in one directory, which comes first.
    let Some((top, _)) = tree.iter().next() else { return Ok(Vec::new()) };
    let Some(Content::Bytes(text)) = tree.get(&InstallPath::known(SUMS).below(top)).map(|list| &list.content) else {
        return Ok(Vec::new());
    };
    let files = detached(text, signers)?;
    Ok(files.into_iter().map(|(name, bytes)| (InstallPath::known(&name).below(top), bytes)).collect())
}

/// Signs the bundle in `directory`: its checksum list, how it was built, and the index of its packages if it has one.
///
/// # Errors
/// A list that can't be read, an agent that refuses, or a file that can't be written.
pub fn bundle(directory: &Path, signers: &[Signer]) -> Result<Vec<String>, Error> {
    if signers.is_empty() {
        return Ok(Vec::new());
    }
    let sums = read(&directory.join(SUMS))?;
    let mut files = detached(&sums, signers)?;
    files.push((PROVENANCE.to_owned(), provenance(directory, &String::from_utf8_lossy(&sums), signers)?.into_bytes()));
    match read(&directory.join(RELEASE)) {
        Ok(release) => {
            let text = openpgp::clear_signed(&String::from_utf8_lossy(&release), signers)?;
            files.push((IN_RELEASE.to_owned(), text.into_bytes()));
        }
        Err(Error::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
        Err(why) => return Err(why),
    }
    for (name, bytes) in &files {
        let path = directory.join(name);
        out::write_atomically(&path, bytes, Mode::PUBLIC).map_err(|source| Error::Write { path, source })?;
    }
    Ok(files.into_iter().map(|(name, _)| name).collect())
}

/// Writes down that a bundle was built again, and that its public files were the same.
///
/// # Errors
/// As [`bundle`].
pub fn attest(directory: &Path, signer: &Signer) -> Result<String, Error> {
    let text = read(&directory.join(PUBLIC_SUMS))?;
    let name = attestation_file(&signer.public().ssh_blob());
    let path = directory.join(&name);
    let signature = sshsig::sign(&text, Purpose::Rebuilt, signer)?;
    out::write_atomically(&path, signature.as_bytes(), Mode::PUBLIC).map_err(|source| Error::Write { path, source })?;
    Ok(name)
}

/// The signed statement of how the bundle was built.
fn provenance(directory: &Path, sums: &str, signers: &[Signer]) -> Result<String, Error> {
    let path = directory.join(MANIFEST);
    let manifest = Manifest::parse(&read(&path)?).map_err(|source| Error::Read { path, source })?;
    dsse::envelope(PAYLOAD_TYPE, &provenance::statement(&manifest, sums), signers)
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    regular::read(path, Links::Refuse, LARGEST_LIST).map_err(|source| Error::Read { path: path.to_owned(), source })
}
