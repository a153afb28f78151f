//! One request of the protocol of registries or of object stores, and its whole answer.

use std::io::Read;
use std::time::Duration;

use reqwest::Method;
use reqwest::blocking::{Body, Response};
use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION};
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
    Delete,
}

/// What is sent along.
pub(in crate::fetch) enum Payload<'a> {
    Nothing,
    /// A text, with its media type.
    Bytes(&'a str, &'a [u8]),
    /// So many bytes of a blob, which are opened anew whenever they are sent.
    Blob(Open<'a>, u64),
}

/// Opens what is sent.
pub(in crate::fetch) type Open<'a> = &'a dyn Fn() -> Result<Box<dyn Read + Send>, Fault>;

/// A request.
pub(in crate::fetch) struct Exchange<'a> {
    pub(in crate::fetch) verb: Verb,
    pub(in crate::fetch) url: &'a str,
    /// Names and values, sorted; only object stores get any.
    pub(in crate::fetch) query: &'a [(&'a str, &'a str)],
    pub(in crate::fetch) payload: Payload<'a>,
    /// Whether nothing may be replaced. A server that has it answers 412, and one that does not know the condition may
    /// answer 501; neither is an error then.
    pub(in crate::fetch) only_new: bool,
    /// Limit in bytes for the answer.
    pub(in crate::fetch) longest: u64,
}

impl<'a> Exchange<'a> {
    /// One that sends nothing, and gets an answer no longer than a manifest.
    pub(in crate::fetch) fn new(verb: Verb, url: &'a str) -> Self {
        Self { verb, url, query: &[], payload: Payload::Nothing, only_new: false, longest: LONGEST }
    }
}

/// The answer to a request that succeeded.
pub(in crate::fetch) struct Reply {
    pub(in crate::fetch) status: u16,
    /// Where to go on, as a whole URL.
    pub(in crate::fetch) location: Option<String>,
    /// What the server says to be the digest of what it answers about.
    pub(in crate::fetch) digest: Option<String>,
    /// The tag of the content.
    pub(in crate::fetch) etag: Option<String>,
    /// Bytes of what was asked for, if the server said; those of the body, unless that was left out.
    pub(in crate::fetch) size: Option<u64>,
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
        let etag = text(&headers, &ETAG);
        let size = text(&headers, &CONTENT_LENGTH).and_then(|size| size.parse().ok());
        let body = whole(response, exchange.longest)?;
        let is_condition = exchange.only_new && matches!(status.as_u16(), 412 | 501);
        // S3 says so while another writes there; who that was, and whether it is done, the next answer tells.
        if exchange.only_new && status.as_u16() == 409 {
            return Err(explained(TransferError::Transient(format!("the server answered {status}"), None), &body));
        }
        if status.is_success() || is_condition {
            Ok(Reply { status: status.as_u16(), location, digest, etag, size, body })
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
            Verb::Delete => Method::DELETE,
        };
        let address = self.address(exchange.verb, exchange.url, exchange.query)?;
        let mut request = self.client.request(method, address).header(ACCEPT, FORMATS);
        if exchange.only_new {
            request = request.header(IF_NONE_MATCH, "*");
        }
        if let Some(proof) = proof {
            request = proof.add_to(request);
        }
        request = match &exchange.payload {
            // Some servers refuse a request without a length.
            Payload::Nothing if matches!(exchange.verb, Verb::Post | Verb::Put) => request.body(Vec::new()),
            Payload::Nothing => request,
            Payload::Bytes(media_type, bytes) => request.header(CONTENT_TYPE, *media_type).body(bytes.to_vec()),
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

fn whole(response: Response, longest: u64) -> Result<Vec<u8>, TransferError> {
    let mut body = Vec::new();
    let read = response.take(longest + 1).read_to_end(&mut body);
    read.map_err(|why| {
        let text = if is_timeout(&why) { "nothing arrived in time" } else { "the connection broke" };
        TransferError::Transient(text.to_owned(), None)
    })?;
    if body.len() as u64 > longest {
        let why = format!("more than {} MB instead of an answer", longest >> 20);
        return Err(TransferError::Permanent(Fault::Wrong(why)));
    }
    Ok(body)
}

/// Adds what the server itself says of an error.
fn explained(error: TransferError, body: &[u8]) -> TransferError {
    let Some(said) = said(body) else { return error };
    let add = |text: String| format!("{text}: {said}");
    match error {
        TransferError::Transient(text, asked) => TransferError::Transient(add(text), asked),
        TransferError::Permanent(Fault::Denied(text)) => TransferError::Permanent(Fault::Denied(add(text))),
        // The bucket is missing, not an object in it: no object could be sent either.
        TransferError::Permanent(Fault::Absent(text)) if said == "NoSuchBucket" => {
            TransferError::Permanent(Fault::Unreachable(add(text)))
        }
        TransferError::Permanent(Fault::Absent(text)) => TransferError::Permanent(Fault::Absent(add(text))),
        TransferError::Permanent(Fault::Unreachable(text)) => TransferError::Permanent(Fault::Unreachable(add(text))),
        TransferError::Permanent(_) => error,
    }
}

/// What is said in the format of registries (OCI distribution specification, "Error Codes"), or in that of object stores. Of
/// the latter the code alone: their messages may repeat what was signed.
fn said(body: &[u8]) -> Option<String> {
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
    if let Ok(said) = serde_json::from_slice::<Errors>(body) {
        return said.errors.into_iter().next().map(|Said { code, message }| format!("{code} ({message})"));
    }
    let text = std::str::from_utf8(body).ok()?;
    let code = element(text, "Error").and_then(|error| element(error, "Code"))?;
    code.bytes().all(|byte| byte.is_ascii_alphanumeric()).then(|| code.to_owned())
}

/// The content of the first element of that name in an XML text, as it stands there.
pub(in crate::fetch) fn element<'x>(text: &'x str, name: &str) -> Option<&'x str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(content, _)| content)
}
