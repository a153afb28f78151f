//! Objects in a bucket, by the protocol of Amazon S3: how they get there.

use std::io::{Cursor, Read};
use std::sync::Arc;

use super::aws::Access;
use super::http::{Bucket, Client, Exchange, Open, Payload, Reply, TransferError, Verb, element};
use super::patient::{Outcome, Patient, Upload};
use super::site::Site;
use super::{Fault, Policy};
use crate::progress::Progress;

/// Bytes from which on an object is sent in parts. Less would do in one request; a part has at least 5 MiB, and an object no
/// more than 10,000 of them.
const LARGE: u64 = 64 << 20;
/// Bytes of such a part, each of which is in memory while it is sent.
const PART: u64 = 16 << 20;

/// The default region of Amazon's tools.
const USUAL_REGION: &str = "us-east-1";

/// A part of a bucket: the objects whose keys begin with one prefix.
pub struct ObjectStore<'p>(Site<'p>);

impl<'p> ObjectStore<'p> {
    /// The objects of `bucket` whose keys begin with `prefix` and a slash, or all of them. Nothing is sent yet.
    pub fn new(bucket: &str, prefix: &str, access: Access, policy: Policy, progress: &'p dyn Progress) -> Self {
        let url = format!("s3://{bucket}");
        let region = access.region.unwrap_or_else(|| USUAL_REGION.to_owned());
        let base = base(bucket, access.endpoint.as_deref(), &region);
        let bucket = Bucket { name: format!("{url}/"), base, region, keys: access.keys };
        let patient = Patient::new(Client::for_bucket(policy.clone(), bucket), policy, progress);
        Self(Site::in_bucket(patient, &url, prefix))
    }

    /// The same, to read from.
    pub fn into_site(self) -> Site<'p> {
        self.0
    }

    /// Bytes of an object, if it is there.
    fn size(&self, url: &str) -> Result<Option<u64>, Fault> {
        Ok(self.0.patient.find(&Exchange::new(Verb::Head, url))?.and_then(|reply| reply.size))
    }

    /// Puts a text, whatever is there.
    pub fn put(&self, path: &str, text: &[u8]) -> Result<(), Fault> {
        let text: Arc<[u8]> = text.into();
        let payload = Payload::Blob(&|| Ok(Box::new(Cursor::new(Arc::clone(&text)))), text.len() as u64);
        self.0.patient.ask(&Exchange { payload, ..Exchange::new(Verb::Put, &self.0.url(path)) }).map(drop)
    }

    /// Whether an object is there.
    pub fn has(&self, path: &str) -> Result<bool, Fault> {
        Ok(self.0.patient.find(&Exchange::new(Verb::Head, &self.0.url(path)))?.is_some())
    }

    /// Names below the prefix that begin so.
    pub fn list(&self, beginning: &str) -> Result<Vec<String>, Fault> {
        self.0.list(beginning)
    }

    /// Removes an object.
    pub fn remove(&self, path: &str) -> Result<(), Fault> {
        self.0.patient.find(&Exchange::new(Verb::Delete, &self.0.url(path))).map(drop)
    }

    /// Makes sure that an object is there whose key ends with its digest, so that one of the right size is the right one.
    pub fn upload(&self, upload: &Upload<'_>) -> Result<Outcome, Fault> {
        let url = self.0.url(upload.title);
        let there = self.size(&url)?;
        if there == Some(upload.size) {
            return Ok(Outcome::Present);
        }
        let is_there = || Ok(self.size(&url)? == Some(upload.size));
        self.0.patient.upload(upload, &url, is_there, |open| {
            let object = Object { url: &url, size: upload.size, is_new: there.is_none() };
            if upload.size > LARGE { self.send_in_parts(&object, open) } else { self.send(&object, open) }
        })
    }

    fn send(&self, object: &Object<'_>, open: Open<'_>) -> Result<Outcome, TransferError> {
        let put = |only_new| {
            let payload = Payload::Blob(open, object.size);
            self.0.patient.send(&Exchange { payload, only_new, ..Exchange::new(Verb::Put, object.url) })
        };
        object.outcome(&put)
    }

    /// Begins, sends all parts, and makes an object of them. What was sent of one that fails is given up.
    fn send_in_parts(&self, object: &Object<'_>, open: Open<'_>) -> Result<Outcome, TransferError> {
        let patient = &self.0.patient;
        let begun = patient.send(&Exchange { query: &[("uploads", "")], ..Exchange::new(Verb::Post, object.url) })?;
        let id = std::str::from_utf8(&begun.body).ok().and_then(|text| element(text, "UploadId"));
        let id = id.ok_or_else(|| wrong("the server did not begin an upload in parts"))?;
        let query = [("uploadId", id)];
        let made = self.parts(object, id, open).and_then(|tags| {
            let list = parts_list(&tags);
            let complete = |only_new| {
                let payload = Payload::Bytes("application/xml", list.as_bytes());
                let exchange = Exchange::new(Verb::Post, object.url);
                let reply = patient.send(&Exchange { payload, query: &query, only_new, ..exchange })?;
                // An error may come after status 200.
                let is_made = reply.status != 200 || String::from_utf8_lossy(&reply.body).contains("<ETag>");
                let again = || TransferError::Transient("the server did not put the parts together".to_owned(), None);
                if is_made { Ok(reply) } else { Err(again()) }
            };
            object.outcome(&complete)
        });
        if !matches!(made, Ok(Outcome::Sent)) {
            // Whether it can be given up changes nothing of why it failed.
            let _ = patient.send(&Exchange { query: &query, ..Exchange::new(Verb::Delete, object.url) });
        }
        made
    }

    /// Sends all parts. Returns their tags.
    fn parts(&self, object: &Object<'_>, id: &str, open: Open<'_>) -> Result<Vec<String>, TransferError> {
        let mut reader = open().map_err(TransferError::Permanent)?;
        let mut tags = Vec::new();
        for number in 1..=object.size.div_ceil(PART) {
            let mut part = Vec::new();
            let read = reader.by_ref().take(PART).read_to_end(&mut part);
            read.map_err(|why| wrong(&why.to_string()))?;
            let part: Arc<[u8]> = part.into();
            let number = number.to_string();
            let exchange = Exchange {
                query: &[("partNumber", &number), ("uploadId", id)],
                payload: Payload::Blob(&|| Ok(Box::new(Cursor::new(Arc::clone(&part)))), part.len() as u64),
                ..Exchange::new(Verb::Put, object.url)
            };
            let sent = self.0.patient.ask(&exchange).map_err(TransferError::Permanent)?;
            tags.push(sent.etag.ok_or_else(|| wrong("the server gave no tag for a part"))?);
        }
        Ok(tags)
    }
}

fn wrong(why: &str) -> TransferError {
    TransferError::Permanent(Fault::Unreachable(why.to_owned()))
}

/// An object that is sent.
struct Object<'o> {
    url: &'o str,
    /// Bytes.
    size: u64,
    /// Whether none was there.
    is_new: bool,
}

impl Object<'_> {
    /// Makes it by `put`, which is told not to replace one that somebody else has made meanwhile.
    fn outcome(&self, put: &dyn Fn(bool) -> Result<Reply, TransferError>) -> Result<Outcome, TransferError> {
        let reply = put(self.is_new)?;
        match reply.status {
            412 => Ok(Outcome::Present),
            // Not every server knows the condition.
            501 => put(false).map(|_| Outcome::Sent),
            _ => Ok(Outcome::Sent),
        }
    }
}

/// The list of parts that completes an object.
fn parts_list(tags: &[String]) -> String {
    let escaped = |tag: &str| tag.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let part = |(index, tag): (usize, &String)| {
        format!("<Part><PartNumber>{}</PartNumber><ETag>{}</ETag></Part>", index + 1, escaped(tag))
    };
    let parts: String = tags.iter().enumerate().map(part).collect();
    format!(
        "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{parts}</CompleteMultipartUpload>"
    )
}

/// URL of a bucket, with a slash at its end: a host of its own at Amazon's, unless a certificate for all buckets would not fit
/// its name, and a path elsewhere.
fn base(bucket: &str, endpoint: Option<&str>, region: &str) -> String {
    if let Some(endpoint) = endpoint {
        return format!("{}/{bucket}/", endpoint.trim_end_matches('/'));
    }
    let host = format!("s3.{region}.amazonaws.com{}", if region.starts_with("cn-") { ".cn" } else { "" });
    if bucket.contains('.') { format!("https://{host}/{bucket}/") } else { format!("https://{bucket}.{host}/") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_has_a_host_of_its_own_at_amazons_and_a_path_elsewhere() {
        assert_eq!(base("roc", None, "eu-west-1"), "https://roc.s3.eu-west-1.amazonaws.com/");
        assert_eq!(base("roc.example", None, "eu-west-1"), "https://s3.eu-west-1.amazonaws.com/roc.example/");
        assert_eq!(base("roc", None, "cn-north-1"), "https://roc.s3.cn-north-1.amazonaws.com.cn/");
        assert_eq!(base("roc", Some("http://127.0.0.1:9000/"), "x"), "http://127.0.0.1:9000/roc/");
    }
}
