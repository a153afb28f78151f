//! The only room that names the network: one file over HTTP, resumed and retried until it is whole.
//!
//! To the reader a [`Resumable`] is a plain stream. Behind it, bytes that arrived in an earlier run come from
//! the part file, a broken connection is taken up where it broke (`Range`, `If-Range`), and a server that
//! starts over is read past what is known. Whether all those bytes fit together, the digest says at the end.

use std::io::{self, Read};
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::blocking::Response;
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, IF_RANGE, RANGE, RETRY_AFTER};

use super::Fault;
use super::mirror::without_password;
use super::part::{Part, Source};
use crate::progress::Task;

/// Timeouts and retries.
#[derive(Debug, Clone)]
pub struct Policy {
    /// For how long nothing may arrive.
    pub idle: Duration,
    /// For how long a connection may take.
    pub connect: Duration,
    /// How often to try again without a byte of progress in between.
    pub retries: u32,
    /// The first pause; each further one is twice as long.
    pub pause: Duration,
    /// The longest pause, whatever `Retry-After` asks for.
    pub longest_pause: Duration,
    /// Whether to ask the environment for proxies.
    pub proxies: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(30),
            connect: Duration::from_secs(10),
            retries: 4,
            pause: Duration::from_secs(1),
            longest_pause: Duration::from_mins(1),
            proxies: true,
        }
    }
}

impl Policy {
    /// How long to wait before the `attempt`-th retry, counted from 1.
    fn pause_before(&self, attempt: u32, asked: Option<Duration>) -> Duration {
        let doubled = self.pause.saturating_mul(1 << attempt.saturating_sub(1).min(16));
        asked.unwrap_or(doubled).min(self.longest_pause)
    }
}

/// Connections, configured when the first is needed; a run that needs none never looks at proxies or CAs.
pub(super) struct Client {
    policy: Policy,
    inner: OnceLock<Result<reqwest::blocking::Client, String>>,
}

impl Client {
    pub(super) fn lazy(policy: Policy) -> Self {
        Self { policy, inner: OnceLock::new() }
    }

    pub(super) fn get(&self) -> Result<Connected<'_>, Fault> {
        let inner = self.inner.get_or_init(|| configure(&self.policy).map_err(|why| chain(&why)));
        match inner {
            Ok(client) => Ok(Connected { client, policy: &self.policy }),
            Err(why) => Err(Fault::Unreachable(format!("no connection can be configured: {why}"))),
        }
    }
}

/// A configured client with its policy.
#[derive(Clone, Copy)]
pub(super) struct Connected<'a> {
    client: &'a reqwest::blocking::Client,
    policy: &'a Policy,
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

/// One file as a stream.
pub(super) struct Resumable<'a> {
    connected: Connected<'a>,
    url: &'a str,
    part: Part,
    position: u64,
    live: Option<Live>,
    attempts: u32,
    spliced: bool,
    /// The whole length, where it is known beforehand.
    size: Option<u64>,
    task: &'a dyn Task,
}

struct Live {
    response: Response,
    /// Bytes that are known already and come once more.
    skip: u64,
    /// Where the body ends, if the server said.
    end: Option<u64>,
}

enum TransferError {
    /// Trying again may help; the server may have said when.
    Transient(String, Option<Duration>),
    Permanent(Fault),
}

impl<'a> Resumable<'a> {
    pub(super) fn new(
        connected: Connected<'a>,
        url: &'a str,
        part: Part,
        size: Option<u64>,
        task: &'a dyn Task,
    ) -> Self {
        Self { size, connected, url, part, position: 0, live: None, attempts: 0, spliced: false, task }
    }

    /// Whether bytes of more than one answer were put together.
    pub(super) fn is_spliced(&self) -> bool {
        self.spliced
    }

    /// Connects, or says why not and whether it is worth another try. `None` means that the part is the whole.
    fn connect(&mut self) -> Result<Option<Live>, TransferError> {
        let have = self.part.length();
        if self.size == Some(have) {
            return Ok(None);
        }
        let known = self.part.source();
        let mut request = self.connected.client.get(self.url);
        if have > 0 {
            self.spliced = true;
            request = request.header(RANGE, format!("bytes={have}-"));
            // A tag of another server says nothing about this one; without a tag the digest has to notice.
            if let Some(etag) =
                known.etag.as_ref().filter(|etag| known.url == without_password(self.url) && !etag.starts_with("W/"))
            {
                request = request.header(IF_RANGE, etag);
            }
        }
        let response = request.send().map_err(|why| {
            if why.is_redirect() {
                TransferError::Permanent(Fault::Unreachable(explain(why)))
            } else {
                TransferError::Transient(explain(why), None)
            }
        })?;
        let headers = response.headers();
        let (start, end) = match response.status() {
            StatusCode::OK => (0, response.content_length()),
            StatusCode::PARTIAL_CONTENT => match content_range(headers) {
                Some((start, end)) if start == have => (start, end),
                _ => {
                    return Err(TransferError::Permanent(Fault::Wrong(
                        "the server answered with another range than asked for".to_owned(),
                    )));
                }
            },
            // Nothing comes after what is here: it may be the whole.
            StatusCode::RANGE_NOT_SATISFIABLE if have > 0 => return Ok(None),
            status => return Err(refusal(status, headers)),
        };
        if is_html(headers) {
            return Err(TransferError::Permanent(Fault::Page("an HTML page instead of the file".to_owned())));
        }
        if let Some(end) = end {
            self.task.expect(end);
        }
        let source = Source { url: without_password(self.url), etag: text(headers, &ETAG) };
        self.part
            .set_source(source)
            .map_err(|why| TransferError::Permanent(Fault::Unreachable(format!("could not note the source: {why}"))))?;
        Ok(Some(Live { response, skip: have - start, end }))
    }

    /// The next bytes from the network; 0 at the end.
    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TransferError> {
        if self.live.is_none() {
            self.live = self.connect()?;
        }
        let Some(live) = &mut self.live else { return Ok(0) };
        loop {
            let have = self.part.length();
            let total = live.end.map_or_else(String::new, |end| format!(" of {end}"));
            let count = match live.response.read(buffer) {
                Ok(count) => count,
                Err(why) if is_timeout(&why) => {
                    return Err(TransferError::Transient("nothing arrived in time".to_owned(), None));
                }
                Err(_) => {
                    return Err(TransferError::Transient(
                        format!("the connection broke after {have}{total} bytes"),
                        None,
                    ));
                }
            };
            if count == 0 {
                return match live.end {
                    Some(end) if end > have => {
                        Err(TransferError::Transient(format!("the body ended after {have}{total} bytes"), None))
                    }
                    _ => Ok(0),
                };
            }
            let skipped = live.skip.min(count as u64);
            live.skip -= skipped;
            let fresh = count - usize::try_from(skipped).unwrap_or(count);
            if fresh > 0 {
                buffer.copy_within(count - fresh..count, 0);
                return Ok(fresh);
            }
        }
    }

    /// Waits before the next try, or gives up.
    fn pause(&mut self, why: &str, asked: Option<Duration>) -> io::Result<()> {
        self.live = None;
        self.attempts += 1;
        let policy = self.connected.policy;
        if self.attempts > policy.retries {
            let attempts = self.attempts;
            return Err(io::Error::other(Fault::Unreachable(format!("{why} (attempts: {attempts})"))));
        }
        let pause = policy.pause_before(self.attempts, asked);
        self.task.note(&format!(
            "{}: {why}; trying again in {} s",
            without_password(self.url),
            pause.as_secs_f32().ceil()
        ));
        sleep(pause);
        Ok(())
    }
}

impl Read for Resumable<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.position < self.part.length() {
            let count = self.part.read_at(self.position, buffer)?;
            self.position += count as u64;
            return Ok(count);
        }
        loop {
            match self.receive(buffer) {
                Ok(count) => {
                    if count > 0 {
                        self.attempts = 0;
                    }
                    self.part.append(&buffer[..count]).map_err(|source| {
                        io::Error::other(Fault::Disk { verb: "write to the store, at", path: "partial".into(), source })
                    })?;
                    self.position += count as u64;
                    return Ok(count);
                }
                Err(TransferError::Transient(why, asked)) => self.pause(&why, asked)?,
                Err(TransferError::Permanent(fault)) => return Err(io::Error::other(fault)),
            }
        }
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

fn is_html(headers: &HeaderMap) -> bool {
    text(headers, &CONTENT_TYPE).is_some_and(|kind| kind.starts_with("text/html"))
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

#[expect(clippy::disallowed_methods, reason = "the pause between two tries")]
fn sleep(pause: Duration) {
    std::thread::sleep(pause);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_a_server_may_not_ask_for_an_hour() {
        let policy = Policy::default();
        let seconds = |attempt, asked| policy.pause_before(attempt, asked).as_secs();
        assert_eq!([1, 2, 3, 4].map(|attempt| seconds(attempt, None)), [1, 2, 4, 8]);
        assert_eq!(seconds(1, Some(Duration::from_secs(7))), 7);
        assert_eq!(seconds(1, Some(Duration::from_hours(1))), 60);
        assert_eq!(seconds(100, None), 60);
    }

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
