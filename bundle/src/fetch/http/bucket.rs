//! What `s3://BUCKET/KEY` stands for when it is asked for: a URL of the store's, signed for a short while.
//!
//! Nothing else in this program ever sees such a URL, so no message or file can show a signature.

use jiff::Timestamp;
use reqwest::Url;
use rusty_s3::{Method, signing};

use super::super::Fault;
use super::super::aws::Keys;
use super::{TransferError, Verb};
use crate::clock;

/// Seconds for which a signature is good: also by how much a machine's clock may be slow.
const GOOD_FOR: u64 = 3600;

/// Where the objects of one bucket are.
#[derive(Debug)]
pub(in crate::fetch) struct Bucket {
    /// `s3://BUCKET/`, by which all others call it.
    pub(in crate::fetch) name: String,
    /// URL of the bucket, with a slash at its end.
    pub(in crate::fetch) base: String,
    pub(in crate::fetch) region: String,
    /// The keys that sign requests. Without any, requests are not signed, which a public bucket accepts.
    pub(in crate::fetch) keys: Option<Keys>,
}

impl Bucket {
    /// The URL to ask for what is called `url`, whose key is encoded as S3 wants it; `None` if it is not in the bucket.
    pub(super) fn address(&self, verb: Verb, url: &str, query: &[(&str, &str)]) -> Option<Url> {
        let mut url = Url::parse(&format!("{}{}", self.base, url.strip_prefix(&self.name)?)).ok()?;
        let Some(keys) = &self.keys else {
            if !query.is_empty() {
                url.query_pairs_mut().extend_pairs(query);
            }
            return Some(url);
        };
        let method = match verb {
            Verb::Head => Method::Head,
            Verb::Get => Method::Get,
            Verb::Post => Method::Post,
            Verb::Put => Method::Put,
            Verb::Delete => Method::Delete,
        };
        let now = Timestamp::from_second(clock::now().unix_timestamp()).ok()?;
        let (id, secret, token) = keys.expose();
        let query = query.iter().copied();
        let signed =
            signing::sign(&now, method, url, id, secret, token, &self.region, GOOD_FOR, query, std::iter::empty());
        Some(signed)
    }
}

impl super::Connected<'_> {
    /// The URL that is really asked for.
    pub(super) fn address(&self, verb: Verb, url: &str, query: &[(&str, &str)]) -> Result<Url, TransferError> {
        let address = match self.bucket {
            Some(bucket) => bucket.address(verb, url, query),
            None => Url::parse(url).ok(),
        };
        address.ok_or_else(|| TransferError::Permanent(Fault::Unreachable("it is no URL that can be asked for".into())))
    }
}
