//! One file as a plain stream of bytes, whatever happens on the way.
//!
//! Bytes that arrived in an earlier run come from the part file, a broken connection is taken up where it broke
//! (`Range`, `If-Range`), and a server that starts over is read past what is known. Whether all those bytes fit
//! together, the digest says at the end.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use super::http::{Answer, BodyError, Connected, TransferError};
use super::mirror::without_password;
use super::part::{Part, Source};
use super::policy::Speed;
use super::{Fault, Policy};
use crate::clock;
use crate::progress::Task;

/// A download that resumes and retries behind [`Read`]. Its errors carry a [`Fault`].
pub(super) struct Resumable<'a> {
    connected: Connected<'a>,
    url: &'a str,
    part: Part,
    position: u64,
    live: Option<Live>,
    began: Instant,
    /// Failures since there was progress.
    attempts: u32,
    /// New bytes since the last failure, or since there was progress.
    arrived: u64,
    spliced: bool,
    /// The whole length, where it is known beforehand.
    size: Option<u64>,
    task: &'a dyn Task,
}

/// A connection whose body is being read.
struct Live {
    answer: Answer,
    /// Bytes that are known already and come once more.
    skip: u64,
    speed: Speed,
}

impl<'a> Resumable<'a> {
    pub(super) fn new(
        connected: Connected<'a>,
        url: &'a str,
        part: Part,
        size: Option<u64>,
        task: &'a dyn Task,
    ) -> Self {
        let began = clock::monotonic();
        Self {
            connected,
            url,
            part,
            position: 0,
            live: None,
            began,
            attempts: 0,
            arrived: 0,
            spliced: false,
            size,
            task,
        }
    }

    /// Whether bytes of more than one answer were put together.
    pub(super) fn is_spliced(&self) -> bool {
        self.spliced
    }

    /// Connects. `None` means that the part is the whole.
    fn connect(&mut self) -> Result<Option<Live>, TransferError> {
        let have = self.part.length();
        if self.size == Some(have) {
            return Ok(None);
        }
        self.spliced |= have > 0;
        // A tag of another server says nothing about this one; without a tag the digest has to notice.
        let known = self.part.source();
        let is_same = |etag: &&String| known.url == without_password(self.url) && !etag.starts_with("W/");
        let etag = known.etag.as_ref().filter(|_| have > 0).filter(is_same);
        let Some(answer) = self.connected.request(self.url, have, etag.map(String::as_str))? else { return Ok(None) };
        self.task.begin_transfer();
        if let Some(end) = answer.end {
            self.task.expect(end);
        }
        let source = Source { url: without_password(self.url), etag: answer.etag.clone() };
        self.part.set_source(source).map_err(TransferError::Permanent)?;
        Ok(Some(Live { skip: have - answer.start, answer, speed: Speed::default() }))
    }

    /// The next bytes from the network; 0 at the end.
    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TransferError> {
        if self.live.is_none() {
            self.live = self.connect()?;
        }
        let Some(live) = &mut self.live else { return Ok(0) };
        let policy = self.connected.policy;
        loop {
            if clock::monotonic().duration_since(self.began) > policy.longest {
                let why = format!("not complete after {} s", policy.longest.as_secs());
                return Err(TransferError::Permanent(Fault::Unreachable(why)));
            }
            let count = live.read(buffer, self.part.length(), policy)?;
            let skipped = usize::try_from(live.skip).map_or(count, |skip| skip.min(count));
            live.skip -= skipped as u64;
            if skipped < count || count == 0 {
                buffer.copy_within(skipped..count, 0);
                return Ok(count - skipped);
            }
        }
    }

    /// Waits before the next try, or gives up.
    fn pause(&mut self, why: &str, asked: Option<Duration>) -> io::Result<()> {
        self.live = None;
        self.attempts += 1;
        self.arrived = 0;
        let paused = pause(self.connected.policy, self.attempts, self.url, why, asked, self.task);
        paused.map_err(io::Error::other)
    }

    /// Keeps new bytes, and counts failures anew when they are many enough.
    fn keep(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.part.append(bytes)?;
        self.position += bytes.len() as u64;
        self.arrived += bytes.len() as u64;
        if self.arrived >= self.connected.policy.progress() {
            (self.attempts, self.arrived) = (0, 0);
        }
        Ok(())
    }
}

impl Live {
    /// The next bytes of the body, of which `have` are known; 0 at the end of the file.
    fn read(&mut self, buffer: &mut [u8], have: u64, policy: &Policy) -> Result<usize, TransferError> {
        let again = |why| Err(TransferError::Transient(why, None));
        let total = self.answer.end.map_or_else(String::new, |end| format!(" of {end}"));
        let began = clock::monotonic();
        let count = match self.answer.read(buffer) {
            Ok(count) => count,
            Err(BodyError::Timeout) => return again("nothing arrived in time".to_owned()),
            Err(BodyError::Broken) => return again(format!("the connection broke after {have}{total} bytes")),
        };
        if count == 0 && self.answer.end.is_some_and(|end| end > have) {
            return again(format!("the body ended after {have}{total} bytes"));
        }
        let waited = clock::monotonic().duration_since(began);
        self.speed.count(count, waited, policy).map_or_else(again, |()| Ok(count))
    }
}

impl Read for Resumable<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.position < self.part.length() {
            let count = self.part.read_at(self.position, buffer).map_err(io::Error::other)?;
            self.position += count as u64;
            return Ok(count);
        }
        loop {
            match self.receive(buffer) {
                Ok(count) => {
                    self.keep(&buffer[..count]).map_err(io::Error::other)?;
                    return Ok(count);
                }
                Err(TransferError::Transient(why, asked)) => self.pause(&why, asked)?,
                Err(TransferError::Permanent(fault)) => return Err(io::Error::other(fault)),
            }
        }
    }
}

/// Waits after so many failures, of which `why` is the last, before the next try; the error is that there were too many.
#[expect(clippy::disallowed_methods, reason = "the pause between two tries")]
pub(super) fn pause(
    policy: &Policy,
    failures: u32,
    url: &str,
    why: &str,
    asked: Option<Duration>,
    task: &dyn Task,
) -> Result<(), Fault> {
    if failures > policy.retries {
        return Err(Fault::Unreachable(format!("{why} (attempts: {failures})")));
    }
    let pause = policy.pause_before(failures, asked);
    let url = without_password(url);
    task.note(&format!("{url}: {why}; trying again in {} s", pause.as_secs_f32().ceil()));
    std::thread::sleep(pause);
    Ok(())
}
