//! The only module that names the network: one request for one file, from a given byte on.
//!
//! What is done when it fails or its body breaks off, [`super::resume`] decides.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::blocking::Response;
use reqwest::header::{
    ACCEPT, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, IF_RANGE, RANGE, RETRY_AFTER, WWW_AUTHENTICATE,
};
use serde::Deserialize;

use super::challenge::Challenge;
use super::{Fault, Policy};

/// Registries send a manifest in the format that is asked for, and its digest is that of one format. Other servers don't
/// mind.
const FORMATS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
                       application/vnd.docker.distribution.manifest.list.v2+json, \
                       application/vnd.docker.distribution.manifest.v2+json, */*";

/// Limit in bytes for the answer of a server that gives tokens.
const LONGEST_TOKEN: u64 = 64 << 10;

/// Connections, configured when the first is needed; a run that needs none never looks at proxies or CAs.
pub(super) struct Client {
    policy: Policy,
    inner: OnceLock<Result<reqwest::blocking::Client, String>>,
    /// Tokens of registries. One that has expired is replaced when it is refused.
    tokens: Mutex<BTreeMap<Challenge, String>>,
}

impl Client {
    pub(super) fn lazy(policy: Policy) -> Self {
        Self { policy, inner: OnceLock::new(), tokens: Mutex::default() }
    }

    pub(super) fn get(&self) -> Result<Connected<'_>, Fault> {
        let inner = self.inner.get_or_init(|| configure(&self.policy).map_err(|why| chain(&why)));
        match inner {
            Ok(client) => Ok(Connected { client, policy: &self.policy, tokens: &self.tokens }),
            Err(why) if why.contains("No CA certificates") => Err(Fault::Unreachable(
                "this machine has no CA certificates to check servers with (on Debian: the package ca-certificates)"
                    .to_owned(),
            )),
            Err(why) => Err(Fault::Unreachable(format!("no connection can be configured: {why}"))),
        }
    }
}

fn configure(policy: &Policy) -> reqwest::Result<reqwest::blocking::Client> {
    let redirects = reqwest::redirect::Policy::custom(|attempt| {
        let was_secure = attempt.previous().last().is_some_and(|url| url.scheme() == "https");
        if was_secure && attempt.url().scheme() != "https" {
            attempt.error("the server redirects from https to http")
        } else if attempt.previous().len() > 10 {
            attempt.error("more than 10 redirects")
        } else {
            attempt.follow()
        }
    });
    let builder = reqwest::blocking::Client::builder();
    let builder = if policy.proxies { builder } else { builder.no_proxy() };
    builder
        .user_agent(concat!("kube-bundle/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(policy.connect)
        // For the blocking client this bounds each read, not the whole body.
        .timeout(policy.idle)
        .redirect(redirects)
        .build()
}

/// A configured client with its policy.
#[derive(Clone, Copy)]
pub(super) struct Connected<'a> {
    client: &'a reqwest::blocking::Client,
    pub(super) policy: &'a Policy,
    tokens: &'a Mutex<BTreeMap<Challenge, String>>,
}

/// Why a transfer stopped.
pub(super) enum TransferError {
    /// Trying again may help; the server may have said when.
    Transient(String, Option<Duration>),
    /// The next try would get the same answer.
    Permanent(Fault),
}

/// A successful answer, whose body has not been read yet.
pub(super) struct Answer {
    response: Response,
    /// Offset in the file of the body's first byte: the one asked for, or 0 if the server ignores ranges.
    pub(super) start: u64,
    /// Length of the whole file, if the server said.
    pub(super) end: Option<u64>,
    pub(super) etag: Option<String>,
}

impl Connected<'_> {
    /// Asks for `url` from byte `have` on, if the file still has the tag `etag`. `None` means that nothing comes after
    /// these bytes.
    pub(super) fn request(&self, url: &str, have: u64, etag: Option<&str>) -> Result<Option<Answer>, TransferError> {
        let mut response = self.send(url, have, etag, None)?;
        if response.status() == StatusCode::UNAUTHORIZED {
            response = self.send_with_token(url, have, etag, response.headers())?;
        }
        let headers = response.headers();
        let (start, end) = match response.status() {
            StatusCode::OK => (0, response.content_length()),
            StatusCode::PARTIAL_CONTENT => match content_range(headers) {
                Some((start, end)) if start == have => (start, end),
                _ => {
                    let why = "the server answered with another range than asked for".to_owned();
                    return Err(TransferError::Permanent(Fault::Wrong(why)));
                }
            },
            StatusCode::RANGE_NOT_SATISFIABLE if have > 0 => return Ok(None),
            status => return Err(refusal(status, headers)),
        };
        if text(headers, &CONTENT_TYPE).is_some_and(|kind| kind.starts_with("text/html")) {
            return Err(TransferError::Permanent(Fault::Page("an HTML page instead of the file".to_owned())));
        }
        let etag = text(headers, &ETAG);
        Ok(Some(Answer { response, start, end, etag }))
    }
}

impl Connected<'_> {
    fn send(&self, url: &str, have: u64, etag: Option<&str>, token: Option<&str>) -> Result<Response, TransferError> {
        let mut request = self.client.get(url).header(ACCEPT, FORMATS);
        if have > 0 {
            request = request.header(RANGE, format!("bytes={have}-"));
        }
        if let Some(etag) = etag {
            request = request.header(IF_RANGE, etag);
        }
        // A redirect to another host is followed without it.
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        request.send().map_err(unanswered)
    }

    /// Asks again, with a token from where the answer `headers` belong to says.
    fn send_with_token(
        &self,
        url: &str,
        have: u64,
        etag: Option<&str>,
        headers: &HeaderMap,
    ) -> Result<Response, TransferError> {
        let refused = |why: String| TransferError::Permanent(Fault::Unreachable(format!("the server {why}")));
        let challenge = Challenge::parse(text(headers, &WWW_AUTHENTICATE).as_deref(), url).map_err(refused)?;
        let tokens = || self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let known = tokens().get(&challenge).cloned();
        if let Some(token) = known {
            let response = self.send(url, have, etag, Some(&token))?;
            if response.status() != StatusCode::UNAUTHORIZED {
                return Ok(response);
            }
        }
        let token = self.token(&challenge)?;
        let response = self.send(url, have, etag, Some(&token))?;
        if response.status() == StatusCode::UNAUTHORIZED {
            return Err(refused(format!("refuses the token that `{}` gave for it", challenge.realm())));
        }
        tokens().insert(challenge, token);
        Ok(response)
    }

    fn token(&self, challenge: &Challenge) -> Result<String, TransferError> {
        #[derive(Deserialize)]
        struct Token {
            token: Option<String>,
            access_token: Option<String>,
        }
        let realm = challenge.realm();
        let url = reqwest::Url::parse_with_params(realm, challenge.query()).map_err(|_| {
            TransferError::Permanent(Fault::Unreachable(format!("`{realm}`, where tokens should be, is no URL")))
        })?;
        let response = self.client.get(url).send().map_err(unanswered)?;
        if !response.status().is_success() {
            let why = match refusal(response.status(), response.headers()) {
                TransferError::Permanent(Fault::Absent(why) | Fault::Unreachable(why)) => why,
                transient => return Err(transient),
            };
            return Err(TransferError::Permanent(Fault::Unreachable(format!("`{realm}` gives no token: {why}"))));
        }
        let malformed = || TransferError::Permanent(Fault::Unreachable(format!("`{realm}` gives no token")));
        let mut bytes = Vec::new();
        response.take(LONGEST_TOKEN).read_to_end(&mut bytes).map_err(|_| malformed())?;
        let answer: Token = serde_json::from_slice(&bytes).map_err(|_| malformed())?;
        answer.token.or(answer.access_token).filter(|token| !token.is_empty()).ok_or_else(malformed)
    }
}

impl Answer {
    /// The next bytes of the body; 0 at its end, which may have come too early.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, BodyError> {
        self.response.read(buffer).map_err(|why| if is_timeout(&why) { BodyError::Timeout } else { BodyError::Broken })
    }
}

/// Why no more of a body came.
pub(super) enum BodyError {
    /// Nothing arrived for as long as [`Policy::idle`].
    Timeout,
    /// The connection broke.
    Broken,
}

/// The error of a request that got no answer: whether trying again may help.
fn unanswered(why: reqwest::Error) -> TransferError {
    if why.is_redirect() {
        TransferError::Permanent(Fault::Unreachable(explain(why)))
    } else if let Some(reason) = no_network(&why) {
        TransferError::Permanent(Fault::NoNetwork(reason.to_owned()))
    } else {
        TransferError::Transient(explain(why), None)
    }
}

/// Whether there is no network to speak of, or not the right one.
fn no_network(why: &reqwest::Error) -> Option<&'static str> {
    let text = chain(why);
    match () {
        () if !why.is_connect() => None,
        () if text.contains("dns error") => Some("the name can't be resolved"),
        () if text.contains("Network is unreachable") || text.contains("No route to host") => {
            Some("no route leads there")
        }
        () => None,
    }
}

/// What a status other than success means (RFC 9110, 15).
fn refusal(status: StatusCode, headers: &HeaderMap) -> TransferError {
    let text_of = format!("the server answered {status}");
    match status.as_u16() {
        404 | 410 => TransferError::Permanent(Fault::Absent(text_of)),
        408 | 429 | 500 | 502 | 503 | 504 => {
            let asked = text(headers, &RETRY_AFTER).and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
            TransferError::Transient(text_of, asked)
        }
        _ => TransferError::Permanent(Fault::Unreachable(text_of)),
    }
}

/// `reqwest::Error` shows its own line only; the reason is below.
fn chain(why: &dyn std::error::Error) -> String {
    let mut text = why.to_string();
    let mut source = why.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

fn explain(why: reqwest::Error) -> String {
    if why.is_timeout() { "nothing arrived in time".to_owned() } else { chain(&why.without_url()) }
}

fn is_timeout(why: &io::Error) -> bool {
    why.kind() == io::ErrorKind::TimedOut || why.get_ref().is_some_and(|inner| chain(inner).contains("timed out"))
}

/// First byte and total length of `Content-Range: bytes 5-9/10`.
fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let value = text(headers, &CONTENT_RANGE)?;
    let (range, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    let start = range.split_once('-')?.0.parse().ok()?;
    Some((start, total.parse().ok()))
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_header_reads() {
        let range = |value: &'static str| {
            content_range(&HeaderMap::from_iter([(CONTENT_RANGE, reqwest::header::HeaderValue::from_static(value))]))
        };
        assert_eq!(range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(range("bytes 5-9/*"), Some((5, None)));
        assert_eq!(range("5-9"), None);
    }
}
