//! Names of files with signatures: they are in no list, since they are over the lists.

use super::{IN_RELEASE, MOST_SIGNERS, PROVENANCE, PUBLIC_SUMS, SUMS};
use crate::hash::Sha256;

/// Names of all files in which signatures of a checksum list can be: those of ssh-keygen, of openssl, and of OpenPGP.
pub fn signature_files() -> impl Iterator<Item = String> {
    (1..=MOST_SIGNERS).flat_map(signature_files_of).chain([format!("{SUMS}.asc")])
}

/// The two of one signer, by number. One file has the OpenPGP signatures of all.
pub fn signature_files_of(signer: usize) -> [String; 2] {
    let further = if signer == 1 { String::new() } else { format!(".{signer}") };
    ["sig", "ed25519"].map(|ending| format!("{SUMS}{further}.{ending}"))
}

/// Name of the file in which whoever has a key says that they built a bundle again. Each has one of their own, so that
/// they can be put together.
pub fn attestation_file(key_blob: &[u8]) -> String {
    let mut id = Sha256::of(key_blob).to_string();
    id.truncate(16);
    format!("{PUBLIC_SUMS}.{id}.sig")
}

/// Whether a file of a bundle is of that kind.
pub fn is_attestation(name: &str) -> bool {
    let id = name.strip_prefix(PUBLIC_SUMS).and_then(|rest| rest.strip_prefix('.')?.strip_suffix(".sig"));
    id.is_some_and(|id| id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Whether a file of a bundle is a signature. None is in the manifest or in the checksum list, which they are over.
pub fn is_signature(name: &str) -> bool {
    [IN_RELEASE, PROVENANCE].contains(&name) || is_attestation(name) || signature_files().any(|file| file == name)
}
