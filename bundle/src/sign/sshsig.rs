//! Signatures that `ssh-keygen -Y verify` reads (OpenSSH's PROTOCOL.sshsig).

use sha2::{Digest as _, Sha512};

use super::public_key::ALGORITHM;
use super::{Error, Purpose, Signer};
use crate::armor;
use crate::ssh::put_string;

const MAGIC: &[u8] = b"SSHSIG";
const VERSION: u32 = 1;

/// The signature of `text`, as the text of a file.
pub(super) fn sign(text: &[u8], purpose: Purpose, signer: &Signer) -> Result<String, Error> {
    let mut signature = Vec::new();
    put_string(&mut signature, ALGORITHM);
    put_string(&mut signature, &signer.sign(&signed(text, purpose))?);

    let mut blob = MAGIC.to_vec();
    blob.extend(VERSION.to_be_bytes());
    put_string(&mut blob, &signer.public().ssh_blob());
    for part in [purpose.as_str().as_bytes(), b"", b"sha512", &signature] {
        put_string(&mut blob, part);
    }
    Ok(armor::encode("SSH SIGNATURE", &blob, 70))
}

/// What is signed in place of `text`.
fn signed(text: &[u8], purpose: Purpose) -> Vec<u8> {
    let mut message = MAGIC.to_vec();
    for part in [purpose.as_str().as_bytes(), b"", b"sha512", &Sha512::digest(text)] {
        put_string(&mut message, part);
    }
    message
}
