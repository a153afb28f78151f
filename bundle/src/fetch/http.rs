//! The only module that names the network: one request for one file, from a given byte on; what is inside it has the other
//! requests of the protocol of registries.
//!
//! What is done when it fails or its body breaks off, [`super::resume`] decides.

mod authorization;
mod bucket;
mod exchange;

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use reqwest::StatusCode;
pub(crate) use reqwest::Url;
use reqwest::blocking::Response;
use reqwest::header::{ACCEPT, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, IF_RANGE, RANGE, RETRY_AFTER};
use reqwest::redirect::Policy as Redirect;

use super::challenge::TokenServer;
use super::credentials::Credential;
use super::{Fault, Policy};
use authorization::Account;
pub(super) use authorization::Authorization;
pub(super) use bucket::Bucket;
pub(super) use exchange::{Exchange, Open, Payload, Reply, Verb, element, with_digest};

/// Registries send a manifest in the format that is asked for, and its digest is that of one format. Other servers don't
/// mind.
const FORMATS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
                       application/vnd.docker.distribution.manifest.list.v2+json, \
                       application/vnd.docker.distribution.manifest.v2+json, */*";

/// Connections, configured when the first is needed; a run that needs none never looks at proxies or CAs.
pub(super) struct Client {
    policy: Policy,
    inner: OnceLock<Result<Configured, String>>,
    /// Tokens of registries. One that has expired is replaced when it is refused.
    tokens: Tokens,
    /// At the one registry that a client is for.
    account: Option<Account>,
    /// The one bucket that a client is for.
    bucket: Option<Bucket>,
}

type Tokens = Mutex<BTreeMap<TokenServer, String>>;

impl Client {
    pub(super) fn lazy(policy: Policy) -> Self {
        Self { policy, inner: OnceLock::new(), tokens: Mutex::default(), account: None, bucket: None }
    }

    /// The same for one repository, whose registry may know who asks. No other server is told that.
    pub(super) fn for_repository(policy: Policy, url: &str, credential: Option<Credential>) -> Self {
        Self { account: Some(Account::new(url, credential)), ..Self::lazy(policy) }
    }

    /// The same for one bucket, to which `s3://` leads.
    pub(super) fn for_bucket(policy: Policy, bucket: Bucket) -> Self {
        Self { bucket: Some(bucket), ..Self::lazy(policy) }
    }

    pub(super) fn get(&self) -> Result<Connected<'_>, Fault> {
        let inner =
            self.inner.get_or_init(|| Configured::new(&self.policy, self.bucket.is_some()).map_err(|why| chain(&why)));
        match inner {
            Ok(Configured { client, has_authorities }) => Ok(Connected {
                client,
                has_authorities: *has_authorities,
                policy: &self.policy,
                tokens: &self.tokens,
                account: self.account.as_ref(),
                bucket: self.bucket.as_ref(),
            }),
            Err(why) => Err(Fault::Unreachable(format!("no connection can be configured: {why}"))),
        }
    }
}

struct Configured {
    client: reqwest::blocking::Client,
    /// Whether this machine has CA certificates. Without them there is no `https`, but `http` needs none.
    has_authorities: bool,
}

impl Configured {
    fn new(policy: &Policy, is_for_bucket: bool) -> reqwest::Result<Self> {
        let builder = || configure(policy, if is_for_bucket { Redirect::none() } else { secure_redirects() });
        match builder().build() {
            Err(why) if chain(&why).contains("No CA certificates") => {
                let client = builder().tls_certs_only([]).build()?;
                Ok(Self { client, has_authorities: false })
            }
            built => Ok(Self { client: built?, has_authorities: true }),
        }
    }
}

/// Redirects that don't give encryption up. Those of a bucket are not followed at all: what is signed is for one host.
fn secure_redirects() -> Redirect {
    Redirect::custom(|attempt| {
        let was_secure = attempt.previous().last().is_some_and(|url| url.scheme() == "https");
        if was_secure && attempt.url().scheme() != "https" {
            attempt.error("the server redirects from https to http")
        } else if attempt.previous().len() > 10 {
            attempt.error("more than 10 redirects")
        } else {
            attempt.follow()
        }
    })
}

fn configure(policy: &Policy, redirects: Redirect) -> reqwest::blocking::ClientBuilder {
    let builder = reqwest::blocking::Client::builder();
    let builder = if policy.proxies { builder } else { builder.no_proxy() };
    builder
        .user_agent(concat!("kube-bundle/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(policy.connect)
        // For the blocking client this bounds each read, not the whole body.
        .timeout(policy.idle)
        // The same for bytes that are sent: for so long none may be acknowledged.
        .tcp_user_timeout(policy.idle)
        .redirect(redirects)
}

/// A configured client with its policy.
#[derive(Clone, Copy)]
pub(super) struct Connected<'a> {
    client: &'a reqwest::blocking::Client,
    has_authorities: bool,
    pub(super) policy: &'a Policy,
    tokens: &'a Tokens,
    account: Option<&'a Account>,
    bucket: Option<&'a Bucket>,
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
        let response = self.authorized(url, &|proof| self.send(url, have, etag, proof))?;
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
        let is_page = text(headers, &CONTENT_TYPE).is_some_and(|kind| kind.starts_with("text/html"));
        // One that is asked for by its name is judged by its digest.
        let is_named = Path::new(url).extension().is_some_and(|ending| ending.eq_ignore_ascii_case("html"));
        if is_page && !is_named {
            return Err(TransferError::Permanent(Fault::Page("an HTML page instead of the file".to_owned())));
        }
        let etag = text(headers, &ETAG);
        Ok(Some(Answer { response, start, end, etag }))
    }
}

impl Connected<'_> {
    fn send(
        &self,
        url: &str,
        have: u64,
        etag: Option<&str>,
        proof: Option<&Authorization>,
    ) -> Result<Response, TransferError> {
        let mut request = self.client.get(self.address(Verb::Get, url, &[])?).header(ACCEPT, FORMATS);
        if have > 0 {
            request = request.header(RANGE, format!("bytes={have}-"));
        }
        if let Some(etag) = etag {
            request = request.header(IF_RANGE, etag);
        }
        // A redirect to another host is followed without it.
        if let Some(proof) = proof {
            request = proof.add_to(request);
        }
        request.send().map_err(|why| self.unanswered(why))
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

impl Connected<'_> {
    /// The error of a request that got no answer: whether trying again may help.
    fn unanswered(&self, why: reqwest::Error) -> TransferError {
        if why.is_redirect() {
            TransferError::Permanent(Fault::Unreachable(explain(why)))
        } else if let Some(reason) = no_network(&why) {
            TransferError::Permanent(Fault::NoNetwork(reason.to_owned()))
        } else if let Some(reason) = certificate_fault(&why) {
            let reason = if self.has_authorities { reason } else { "this machine has no CA certificates".to_owned() };
            TransferError::Permanent(Fault::Untrusted(format!("its certificate can't be verified: {reason}")))
        } else {
            TransferError::Transient(explain(why), None)
        }
    }
}

/// What is wrong with the certificate of a server, in the words of the TLS library.
fn certificate_fault(why: &reqwest::Error) -> Option<String> {
    let text = chain(why);
    let (_, reason) = text.split_once("invalid peer certificate: ")?;
    Some(if reason == "UnknownIssuer" { "no CA of this machine has issued it".to_owned() } else { reason.to_owned() })
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
        401 | 403 => TransferError::Permanent(Fault::Denied(text_of)),
        404 | 410 => TransferError::Permanent(Fault::Absent(text_of)),
        // Redirects that were not followed. S3 says where a bucket is when it is not where it was asked for.
        301 | 307 | 308 => {
            let region = headers.get("x-amz-bucket-region").and_then(|region| region.to_str().ok());
            let region = region.map_or_else(String::new, |region| format!("; the bucket is in the region `{region}`"));
            TransferError::Permanent(Fault::Unreachable(format!("{text_of}{region}")))
        }
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
