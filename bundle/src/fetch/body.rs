//! The body of one download: a reader that counts, limits and hashes what passes, and refuses HTML pages.

use std::io::{self, Read};

use super::Fault;
use crate::hash::{Pin, PinHasher};
use crate::plan::Download;
use crate::plan::downloads::Content;
use crate::progress::Task;
use crate::recipe::component::Kind;

/// Limit in bytes for a file of unknown size. No release file comes near it.
const LONGEST: u64 = 4 << 30;

/// Reads from `source`; [`Body::verify`] says at the end whether it was the right file.
pub(super) struct Body<'a, R> {
    source: R,
    hasher: Option<PinHasher>,
    pin: Pin,
    length: u64,
    size: Option<u64>,
    task: &'a dyn Task,
    /// Whether a web page may be what was asked for.
    may_be_page: bool,
    /// Why reading failed. Kept here, since readers built on this one (gzip, tar) replace the error by their own.
    refused: Option<Fault>,
}

impl<'a, R: Read> Body<'a, R> {
    pub(super) fn new(source: R, download: &Download, task: &'a dyn Task) -> Self {
        let hasher = Some(download.pin.hasher());
        // A program is none, and a file of a bundle may be one.
        let may_be_page = matches!(&download.content, Content::Binary(member) if member.kind == Kind::File);
        Self { source, hasher, pin: download.pin, length: 0, size: download.size, task, may_be_page, refused: None }
    }

    pub(super) fn source(&self) -> &R {
        &self.source
    }

    fn refuse(&mut self, fault: Fault) -> io::Error {
        let text = fault.to_string();
        self.refused = Some(fault);
        io::Error::other(text)
    }

    /// Reads the rest, which is part of the digest.
    pub(super) fn drain(&mut self) -> io::Result<()> {
        io::copy(self, &mut io::sink()).map(drop)
    }

    /// The reason behind an error that came out of a reader built on this one.
    pub(super) fn fault(&mut self, why: io::Error) -> Fault {
        match (self.refused.take(), why.downcast::<Fault>()) {
            (Some(fault), _) | (None, Ok(fault)) => fault,
            (None, Err(why)) => Fault::Wrong(why.to_string()),
        }
    }

    /// Reads the rest, and returns the digest if length and digest are the expected ones.
    pub(super) fn verify(&mut self) -> Result<Pin, Fault> {
        self.drain().map_err(|why| self.fault(why))?;
        if let Some(size) = self.size.filter(|size| *size != self.length) {
            return Err(Fault::Wrong(format!("expected {size} bytes, got {}", self.length)));
        }
        let got = self.hasher.take().map(PinHasher::finish);
        match got {
            Some(got) if got == self.pin => Ok(got),
            Some(got) => Err(Fault::Wrong(format!("expected {}, got {got} ({} bytes)", self.pin, self.length))),
            None => Err(Fault::Wrong("verified twice".to_owned())),
        }
    }
}

impl<R: Read> Read for Body<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match self.source.read(buffer) {
            Ok(count) => count,
            Err(why) if why.kind() == io::ErrorKind::Interrupted => return Err(why),
            Err(why) => {
                let fault = match why.downcast::<Fault>() {
                    Ok(fault) => fault,
                    Err(why) => Fault::Unreachable(why.to_string()),
                };
                return Err(self.refuse(fault));
            }
        };
        let bytes = &buffer[..count];
        if self.length == 0 && !self.may_be_page && looks_like_html(bytes) {
            return Err(self.refuse(Fault::Wrong("an HTML page instead of the file".to_owned())));
        }
        self.length += count as u64;
        if self.length > self.size.unwrap_or(LONGEST) {
            let expected = self.size.unwrap_or(LONGEST);
            return Err(self.refuse(Fault::Wrong(format!("expected {expected} bytes, and more keep coming"))));
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
        self.task.advance(count as u64);
        Ok(count)
    }
}

/// Captive portals and some error pages answer with status 200.
fn looks_like_html(bytes: &[u8]) -> bool {
    let head = bytes[..bytes.len().min(64)].trim_ascii_start().to_ascii_lowercase();
    head.starts_with(b"<!doctype html") || head.starts_with(b"<html")
}
