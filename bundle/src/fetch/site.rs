//! Files on a server by their paths: on a web server, or in a bucket.

use super::http::{Client, Exchange, Verb};
use super::patient::{Patient, Wanted};
use super::{Blob, Error, Fault, Policy, Store};
use crate::progress::Progress;

/// A directory on a server.
pub struct Site<'p> {
    pub(super) patient: Patient<'p>,
    url: String,
}

impl<'p> Site<'p> {
    /// What a web server has below `url`, which ends with no slash; nothing is sent yet.
    pub fn new(url: String, policy: Policy, progress: &'p dyn Progress) -> Self {
        Self::by(Client::lazy(policy.clone()), url, policy, progress)
    }

    pub(super) fn by(client: Client, url: String, policy: Policy, progress: &'p dyn Progress) -> Self {
        Self { patient: Patient::new(client, policy, progress), url }
    }

    /// The URL of a file.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}/{}", self.url, encoded(path))
    }

    /// The bytes of a file, of which there are no more than `longest`; `None` if it is not there.
    pub fn read(&self, path: &str, longest: u64) -> Result<Option<Vec<u8>>, Fault> {
        let url = self.url(path);
        Ok(self.patient.find(&Exchange { longest, ..Exchange::new(Verb::Get, &url) })?.map(|reply| reply.body))
    }

    /// Fetches files into a store, on up to `jobs` threads; their titles are their paths. The error names all that could not
    /// be had.
    pub fn fetch(&self, wanted: &[Wanted], store: &Store, jobs: usize) -> Result<Vec<Blob>, Error> {
        self.patient.fetch(wanted, |it| self.url(&it.title), store, jobs)
    }
}

/// A path in a URL, every byte of which means itself: escaped as signatures of S3 want it (all but the unreserved characters of
/// RFC 3986), which every other server reads as well.
pub(super) fn encoded(path: &str) -> String {
    let escape = |byte: u8| match byte {
        b'/' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    path.bytes().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_byte_of_a_path_means_anything_else() {
        assert_eq!(encoded("pieces/ab/abcdef"), "pieces/ab/abcdef");
        assert_eq!(encoded("deb/a_1.0~b+c.deb"), "deb/a_1.0~b%2Bc.deb");
        assert_eq!(encoded("a?b#c%2F é"), "a%3Fb%23c%252F%20%C3%A9");
    }
}
