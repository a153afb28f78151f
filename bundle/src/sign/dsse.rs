//! Signed envelopes (DSSE v1.0.2): a payload, and signatures over it and its type.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::{Error, Signer};

/// An envelope as it is written, on one line.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Envelope {
    /// In Base64.
    pub(crate) payload: String,
    pub(crate) payload_type: String,
    pub(crate) signatures: Vec<Signature>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Signature {
    /// The fingerprint of the key.
    pub(crate) keyid: String,
    /// In Base64.
    pub(crate) sig: String,
}

impl Envelope {
    /// The text of the file.
    pub(crate) fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|why| unreachable!("it has string keys: {why}")) + "\n"
    }
}

/// What is signed: type and payload, each behind its length (`PAE` in the protocol).
pub(crate) fn signed(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// An envelope with a signature of each signer.
pub(super) fn envelope(payload_type: &str, payload: &str, signers: &[Signer]) -> Result<String, Error> {
    let message = signed(payload_type, payload.as_bytes());
    let signature = |signer: &Signer| {
        let sig = STANDARD.encode(signer.sign(&message)?);
        Ok::<_, Error>(Signature { keyid: signer.public().to_string(), sig })
    };
    let signatures = signers.iter().map(signature).collect::<Result<_, _>>()?;
    let payload = STANDARD.encode(payload);
    Ok(Envelope { payload, payload_type: payload_type.to_owned(), signatures }.text())
}
