//! An object store in memory that checks every signature as Amazon describes it, and of which a test can read everything.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_lc_rs::hmac;

use crate::harness::{Run, Workspace};
use crate::registry::digest;
use crate::server::{Reply, Request, Server};

pub(crate) const ID: &str = "AKIDEXAMPLE";
pub(crate) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/// Parts of an upload, by their numbers.
type Parts = BTreeMap<usize, Vec<u8>>;

/// The bucket `roc`. Its clones are the same bucket.
#[derive(Clone)]
pub(crate) struct Bucket {
    pub(crate) objects: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    /// Keys that were put or removed, in this order.
    pub(crate) written: Arc<Mutex<Vec<String>>>,
    /// Parts of uploads that are not complete, by the upload.
    pub(crate) uploads: Arc<Mutex<BTreeMap<String, Parts>>>,
    pub(crate) region: &'static str,
    pub(crate) token: Option<&'static str>,
    /// Whether requests without a signature may read.
    pub(crate) is_public: bool,
}

impl Default for Bucket {
    fn default() -> Self {
        Self {
            objects: Arc::default(),
            written: Arc::default(),
            uploads: Arc::default(),
            region: "us-east-1",
            token: None,
            is_public: false,
        }
    }
}

/// An error in the format of S3.
pub(crate) fn error(status: u16, code: &str) -> Reply {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{ID} {SECRET}</Message></Error>"
    );
    Reply::new(status, body.as_bytes()).header("Content-Type", "application/xml")
}

fn unescaped(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
        bytes.extend(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).unwrap()
}

fn sign(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

/// Path and query of a request, as they were sent.
fn parts(request: &Request) -> (&str, Vec<(&str, &str)>) {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    (path, query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap()).collect())
}

impl Bucket {
    pub(crate) fn serve(&self) -> Server {
        let bucket = self.clone();
        Server::start(move |request| bucket.reply(request))
    }

    /// By "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)" of the reference of Amazon S3.
    fn check(&self, request: &Request) -> Result<(), &'static str> {
        let (path, mut query) = parts(request);
        let given = |name: &str| query.iter().find(|(other, _)| *other == name).map(|(_, value)| unescaped(value));
        let signature = given("X-Amz-Signature").ok_or("AccessDenied")?;
        let scope = given("X-Amz-Credential").and_then(|it| it.strip_prefix(&format!("{ID}/")).map(str::to_owned));
        let scope = scope.ok_or("InvalidAccessKeyId")?;
        if given("X-Amz-Security-Token").as_deref() != self.token {
            return Err("InvalidToken");
        }
        let (date, names) = (given("X-Amz-Date").unwrap(), given("X-Amz-SignedHeaders").unwrap());
        let day = &date[..8];
        if scope != format!("{day}/{}/s3/aws4_request", self.region) {
            return Err("AuthorizationQueryParametersError");
        }
        assert!(given("X-Amz-Expires").unwrap().parse::<u32>().unwrap() <= 3600, "a signature is good for long");
        query.retain(|(name, _)| *name != "X-Amz-Signature");
        query.sort_unstable();
        let query: Vec<_> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let headers: String = names.split(';').map(|name| format!("{name}:{}\n", request.headers[name])).collect();
        assert!(names.split(';').any(|name| name == "host"));
        let canonical =
            format!("{}\n{path}\n{}\n{headers}\n{names}\nUNSIGNED-PAYLOAD", request.method, query.join("&"));
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", digest(canonical.as_bytes()));
        let key = [day, self.region, "s3", "aws4_request"]
            .into_iter()
            .fold(format!("AWS4{SECRET}").into_bytes(), |key, text| sign(&key, text));
        let expected: String = sign(&key, &text).iter().map(|byte| format!("{byte:02x}")).collect();
        if signature == expected { Ok(()) } else { Err("SignatureDoesNotMatch") }
    }

    /// What a decent store answers.
    pub(crate) fn reply(&self, request: &Request) -> Reply {
        let is_signed = request.path.contains("X-Amz-");
        let may = if !is_signed && self.is_public && ["GET", "HEAD"].contains(&request.method.as_str()) {
            Ok(())
        } else {
            self.check(request)
        };
        if let Err(code) = may {
            return error(403, code);
        }
        let (path, query) = parts(request);
        let Some(key) = path.strip_prefix("/roc/").map(unescaped) else { return error(404, "NoSuchBucket") };
        let query: BTreeMap<_, _> = query.into_iter().map(|(name, value)| (name, unescaped(value))).collect();
        match (request.method.as_str(), query.get("uploadId"), query.contains_key("uploads")) {
            ("POST", None, true) => self.begin(&key),
            ("PUT", Some(id), false) => self.take_part(request, id, &query["partNumber"]),
            ("POST", Some(id), false) => self.complete(request, &key, id),
            ("DELETE", Some(id), false) => match self.uploads.lock().unwrap().remove(id) {
                Some(_) => Reply::new(204, b""),
                None => error(404, "NoSuchUpload"),
            },
            ("GET", None, false) if query.contains_key("list-type") => self.list(&query["prefix"]),
            ("HEAD" | "GET", None, false) => match self.objects.lock().unwrap().get(&key) {
                Some(bytes) => Reply::file(request, bytes, &format!("\"{}\"", digest(bytes))),
                // Nobody is told what is not there who may not list it.
                None if !is_signed => error(403, "AccessDenied"),
                None => error(404, "NoSuchKey"),
            },
            ("PUT", None, false) => self.put(request, &key, request.body.clone()),
            ("DELETE", None, false) => {
                self.written.lock().unwrap().push(format!("-{key}"));
                self.objects.lock().unwrap().remove(&key);
                Reply::new(204, b"")
            }
            _ => error(400, "InvalidRequest"),
        }
    }

    fn list(&self, prefix: &str) -> Reply {
        let objects = self.objects.lock().unwrap();
        let keys = objects.keys().filter(|key| key.starts_with(prefix));
        let listed: String = keys.map(|key| format!("<Contents><Key>{key}</Key><Size>1</Size></Contents>")).collect();
        let body = format!("<ListBucketResult><Name>roc</Name><Prefix>{prefix}</Prefix>{listed}</ListBucketResult>");
        Reply::new(200, body.as_bytes())
    }

    fn put(&self, request: &Request, key: &str, bytes: Vec<u8>) -> Reply {
        let mut objects = self.objects.lock().unwrap();
        if request.headers.get("if-none-match").is_some_and(|tag| tag == "*") && objects.contains_key(key) {
            return error(412, "PreconditionFailed");
        }
        self.written.lock().unwrap().push(key.to_owned());
        objects.insert(key.to_owned(), bytes);
        Reply::new(200, b"").header("ETag", "\"tag\"")
    }

    fn begin(&self, key: &str) -> Reply {
        let id = format!("{}/+=", &digest(key.as_bytes())[..8]);
        self.uploads.lock().unwrap().insert(id.clone(), BTreeMap::new());
        let body = format!(
            "<InitiateMultipartUploadResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Bucket>roc</Bucket>\
             <Key>{key}</Key><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
        );
        Reply::new(200, body.as_bytes())
    }

    fn take_part(&self, request: &Request, id: &str, number: &str) -> Reply {
        match self.uploads.lock().unwrap().get_mut(id) {
            Some(parts) => {
                parts.insert(number.parse().unwrap(), request.body.clone());
                Reply::new(200, b"").header("ETag", &format!("\"{}&\"", digest(&request.body)))
            }
            None => error(404, "NoSuchUpload"),
        }
    }

    /// Puts parts together that are all named by their tags, and of which only the last is small.
    fn complete(&self, request: &Request, key: &str, id: &str) -> Reply {
        let list = String::from_utf8(request.body.clone()).unwrap();
        let Some(parts) = self.uploads.lock().unwrap().remove(id) else { return error(404, "NoSuchUpload") };
        let part = |(number, bytes): (&usize, &Vec<u8>)| {
            format!("<Part><PartNumber>{number}</PartNumber><ETag>\"{}&amp;\"</ETag></Part>", digest(bytes))
        };
        let expected: String = parts.iter().map(part).collect();
        assert!(list.contains(&expected), "{list}");
        assert!(parts.values().rev().skip(1).all(|part| part.len() >= 5 << 20), "S3 takes no smaller parts");
        let reply = self.put(request, key, parts.into_values().flatten().collect());
        let body = "<CompleteMultipartUploadResult><ETag>\"x-2\"</ETag></CompleteMultipartUploadResult>";
        if reply.status == 200 { Reply::new(200, body.as_bytes()) } else { reply }
    }
}

/// Runs the program as somebody who has the keys of the bucket, with other variables as well.
pub(crate) fn run_as(workspace: &Workspace, server: &str, variables: &[(&str, &str)], args: &[&str]) -> Run {
    let mut command = workspace.command(args);
    command.env("AWS_ENDPOINT_URL", server).env("AWS_ACCESS_KEY_ID", ID).env("AWS_SECRET_ACCESS_KEY", SECRET);
    Run::from(command.envs(variables.iter().copied()).output().unwrap())
}
