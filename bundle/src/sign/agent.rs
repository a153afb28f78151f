//! Signatures from ssh-agent(1) (draft-ietf-sshm-ssh-agent): keys with a passphrase, and keys that never leave a token.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::{Error, PublicKey};
use crate::clock;
use crate::ssh::{Reader, put_string};

const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGNATURE: u8 = 14;
/// Bytes of the largest answer that is read.
const LARGEST_ANSWER: u32 = 256 << 10;
/// A token may wait for a touch, and a person for a question on another screen.
const PATIENCE: Duration = Duration::from_mins(2);

/// The agent of this session.
pub(super) struct Agent {
    socket: String,
}

impl Agent {
    pub(super) fn from_environment() -> Result<Self, Error> {
        clock::variable("SSH_AUTH_SOCK")
            .map(|socket| Self { socket })
            .ok_or_else(|| Error::Agent("SSH_AUTH_SOCK is not set".to_owned()))
    }

    /// The key with this fingerprint.
    pub(super) fn find(&self, fingerprint: &str) -> Result<PublicKey, Error> {
        let answer = self.ask(&[REQUEST_IDENTITIES], IDENTITIES)?;
        let keys = identities(&answer).ok_or_else(unreadable)?;
        keys.into_iter()
            .find(|key| key.to_string() == fingerprint)
            .ok_or_else(|| Error::Agent(format!("it holds no Ed25519 key with the fingerprint {fingerprint}")))
    }

    pub(super) fn sign(&self, key: &PublicKey, message: &[u8]) -> Result<[u8; 64], Error> {
        let mut request = vec![SIGN_REQUEST];
        put_string(&mut request, &key.ssh_blob());
        put_string(&mut request, message);
        request.extend(0u32.to_be_bytes());
        let answer = self.ask(&request, SIGNATURE)?;
        let mut outer = Reader(&answer);
        let mut inner = Reader(outer.string().ok_or_else(unreadable)?);
        // The algorithm, and the signature.
        inner.string().and_then(|_| inner.string()?.try_into().ok()).ok_or_else(unreadable)
    }

    /// Sends a request, and returns what follows the type of the answer.
    fn ask(&self, request: &[u8], expected: u8) -> Result<Vec<u8>, Error> {
        let failed = |why: std::io::Error| Error::Agent(format!("`{}`: {why}", self.socket));
        let mut stream = UnixStream::connect(&self.socket).map_err(failed)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        let mut message = Vec::new();
        put_string(&mut message, request);
        stream.write_all(&message).map_err(failed)?;
        let mut length = [0; 4];
        stream.read_exact(&mut length).map_err(failed)?;
        let length = u32::from_be_bytes(length);
        if length > LARGEST_ANSWER {
            return Err(unreadable());
        }
        let mut answer = vec![0; length as usize];
        stream.read_exact(&mut answer).map_err(failed)?;
        match answer.split_first() {
            Some((kind, rest)) if *kind == expected => Ok(rest.to_vec()),
            _ => Err(Error::Agent("it refused".to_owned())),
        }
    }
}

/// The Ed25519 keys of a list.
fn identities(answer: &[u8]) -> Option<Vec<PublicKey>> {
    let mut reader = Reader(answer);
    let mut keys = Vec::new();
    for _ in 0..reader.u32()? {
        let (key, _comment) = (reader.string()?, reader.string()?);
        keys.extend(PublicKey::from_ssh_blob(key));
    }
    Some(keys)
}

fn unreadable() -> Error {
    Error::Agent("its answer can't be read".to_owned())
}
