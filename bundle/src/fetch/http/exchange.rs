//! One request of the protocol of registries, and its whole answer.

use std::io::Read;
use std::time::Duration;

use reqwest::Method;
use reqwest::blocking::{Body, Response};
use reqwest::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use serde::Deserialize;

use super::super::Fault;
use super::{Authorization, Connected, FORMATS, TransferError, is_timeout, refusal, text};

/// Limit in bytes for an answer: that of a manifest, by the OCI distribution specification.
const LONGEST: u64 = 4 << 20;
/// Name of the header with the digest of what a name leads to.
const DIGEST: &str = "docker-content-digest";

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::fetch) enum Verb {
    Head,
    Get,
    Post,
    Put,
}

/// What is sent along.
pub(in crate::fetch) enum Payload<'a> {
    Nothing,
    /// A manifest, with its media type.
    Manifest(&'a str, &'a [u8]),
    /// So many bytes of a blob, which are opened anew whenever they are sent.
    Blob(&'a dyn Fn() -> Result<Box<dyn Read + Send>, Fault>, u64),
}

/// A request.
pub(in crate::fetch) struct Exchange<'a> {
    pub(in crate::fetch) verb: Verb,
    pub(in crate::fetch) url: &'a str,
    pub(in crate::fetch) payload: Payload<'a>,
}

/// The answer to a request that succeeded.
pub(in crate::fetch) struct Reply {
    pub(in crate::fetch) status: u16,
    /// Where to go on, as a whole URL.
    pub(in crate::fetch) location: Option<String>,
    /// What the server says to be the digest of what it answers about.
    pub(in crate::fetch) digest: Option<String>,
    pub(in crate::fetch) body: Vec<u8>,
}

impl Connected<'_> {
    /// Asks a registry. An error status is an error, 404 being [`Fault::Absent`].
    pub(in crate::fetch) fn exchange(&self, exchange: &Exchange<'_>) -> Result<Reply, TransferError> {
        let response = self.authorized(exchange.url, &|proof| self.ask(exchange, proof))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let location = text(&headers, &LOCATION).and_then(|to| response.url().join(&to).ok());
        if location.as_ref().is_some_and(|to| exchange.url.starts_with("https://") && to.scheme() != "https") {
            let why = "the server leads from https to http".to_owned();
            return Err(TransferError::Permanent(Fault::Unreachable(why)));
        }
        let location = location.map(|url| url.to_string());
        let digest = headers.get(DIGEST).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = whole(response)?;
        if status.is_success() {
            Ok(Reply { status: status.as_u16(), location, digest, body })
        } else {
            Err(explained(refusal(status, &headers), &body))
        }
    }

    fn ask(&self, exchange: &Exchange<'_>, proof: Option<&Authorization>) -> Result<Response, TransferError> {
        let method = match exchange.verb {
            Verb::Head => Method::HEAD,
            Verb::Get => Method::GET,
            Verb::Post => Method::POST,
            Verb::Put => Method::PUT,
        };
        let mut request = self.client.request(method, exchange.url).header(ACCEPT, FORMATS);
        if let Some(proof) = proof {
            request = proof.add_to(request);
        }
        request = match &exchange.payload {
            // Some servers refuse a request without a length.
            Payload::Nothing if matches!(exchange.verb, Verb::Post | Verb::Put) => request.body(Vec::new()),
            Payload::Nothing => request,
            Payload::Manifest(media_type, bytes) => request.header(CONTENT_TYPE, *media_type).body(bytes.to_vec()),
            Payload::Blob(open, size) => {
                let body = Body::sized(open().map_err(TransferError::Permanent)?, *size);
                // The client counts the time of sending as well.
                let sending = Duration::from_secs(size / self.policy.slowest.max(1));
                let request = request.timeout(self.policy.idle.saturating_add(sending));
                request.header(CONTENT_TYPE, "application/octet-stream").body(body)
            }
        };
        request.send().map_err(|why| self.unanswered(why))
    }
}

/// Adds what completes an upload to the URL that the server named for it.
pub(in crate::fetch) fn with_digest(url: &str, digest: &str) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}digest={digest}")
}

fn whole(response: Response) -> Result<Vec<u8>, TransferError> {
    let mut body = Vec::new();
    let read = response.take(LONGEST + 1).read_to_end(&mut body);
    read.map_err(|why| {
        let text = if is_timeout(&why) { "nothing arrived in time" } else { "the connection broke" };
        TransferError::Transient(text.to_owned(), None)
    })?;
    if body.len() as u64 > LONGEST {
        let why = format!("more than {} MB instead of an answer", LONGEST >> 20);
        return Err(TransferError::Permanent(Fault::Wrong(why)));
    }
    Ok(body)
}

/// Adds what the registry itself says of an error (OCI distribution specification, "Error Codes").
fn explained(error: TransferError, body: &[u8]) -> TransferError {
    #[derive(Deserialize)]
    struct Errors {
        errors: Vec<Said>,
    }
    #[derive(Deserialize)]
    struct Said {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let Some(Said { code, message }) =
        serde_json::from_slice::<Errors>(body).ok().and_then(|said| said.errors.into_iter().next())
    else {
        return error;
    };
    let add = |text: String| format!("{text}: {code} ({message})");
    match error {
        TransferError::Transient(text, asked) => TransferError::Transient(add(text), asked),
        TransferError::Permanent(Fault::Denied(text)) => TransferError::Permanent(Fault::Denied(add(text))),
        TransferError::Permanent(Fault::Absent(text)) => TransferError::Permanent(Fault::Absent(add(text))),
        TransferError::Permanent(Fault::Unreachable(text)) => TransferError::Permanent(Fault::Unreachable(add(text))),
        TransferError::Permanent(_) => error,
    }
}
