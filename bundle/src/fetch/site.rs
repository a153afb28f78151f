//! Files on a server by their paths: on a web server, or in a bucket.

use super::http::{Client, Exchange, Verb, element};
use super::patient::{Patient, Wanted};
use super::{Blob, Error, Fault, Policy, Store};
use crate::progress::Progress;

/// A directory on a server.
pub struct Site<'p> {
    pub(super) patient: Patient<'p>,
    url: String,
    /// The bucket's URL, and with what the keys of the directory begin.
    listed: Option<(String, String)>,
}

/// Limit in bytes for a list of 1000 keys, each of at most 1024 bytes that may be escaped.
const LONGEST_LISTING: u64 = 8 << 20;

impl<'p> Site<'p> {
    /// What a web server has below `url`, which ends with no slash; nothing is sent yet.
    pub fn new(url: String, policy: Policy, progress: &'p dyn Progress) -> Self {
        Self { patient: Patient::new(Client::lazy(policy.clone()), policy, progress), url, listed: None }
    }

    /// What a bucket at `url` has below `prefix`, which ends with no slash.
    pub(super) fn in_bucket(patient: Patient<'p>, url: &str, prefix: &str) -> Self {
        let directory = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        let below = format!("{url}/{}", encoded(&directory));
        Self { patient, url: below.trim_end_matches('/').to_owned(), listed: Some((format!("{url}/"), directory)) }
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

    /// Names of files in this directory that begin so, if the server lists them: no web server does. The first thousand.
    pub fn list(&self, beginning: &str) -> Result<Vec<String>, Fault> {
        let Some((bucket, directory)) = &self.listed else { return Ok(Vec::new()) };
        let prefix = format!("{directory}{beginning}");
        let query = [("list-type", "2"), ("prefix", prefix.as_str())];
        let exchange = Exchange { query: &query, longest: LONGEST_LISTING, ..Exchange::new(Verb::Get, bucket) };
        let reply = self.patient.ask(&exchange)?;
        let text = String::from_utf8_lossy(&reply.body);
        let keys = text.split("<Contents>").skip(1).filter_map(|it| element(it, "Key"));
        // What is before the name may have been escaped.
        Ok(keys.filter_map(|key| key.rsplit('/').next().map(str::to_owned)).collect())
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
