//! Where a bundle is on a server: in a registry, in a bucket, or in a directory of a web server.

use std::fmt;
use std::str::FromStr;

use super::reference::{Reference, is_loopback};
use crate::fetch::Url;
use crate::regular::is_relative;

/// The name of a bundle on a server.
///
/// ```
/// use kube_bundle::registry::Location;
///
/// for name in ["oci://registry.example/site/roc:1", "s3://bucket/site/roc", "https://www.example/site/roc"] {
///     assert_eq!(name.parse::<Location>()?.to_string(), name);
/// }
/// assert!("registry.example/site/roc".parse::<Location>().is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    Registry(Reference),
    Bucket(BucketPrefix),
    Web(WebDirectory),
}

/// Objects of a bucket whose keys begin alike: `s3://BUCKET/PREFIX`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketPrefix {
    pub bucket: String,
    /// Without a slash at its end; empty for the whole bucket.
    pub prefix: String,
}

/// A directory of a web server: `https://HOST/PATH`, without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebDirectory(String);

impl WebDirectory {
    /// Its URL.
    pub fn url(&self) -> &str {
        &self.0
    }
}

/// Whether a URL is one that is spoken to without encryption, and leads to another machine.
pub fn is_exposed(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| url.scheme() == "http" && !url.host_str().is_some_and(is_loopback))
}

impl FromStr for Location {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once("://") {
            Some(("oci", _)) => text.parse().map(Self::Registry),
            Some(("s3", rest)) => bucket(rest).map(Self::Bucket),
            Some(("http" | "https", rest)) => web(text, rest).map(Self::Web),
            _ => Err("expected `oci://HOST/REPOSITORY:TAG`, `s3://BUCKET/PREFIX` or `https://HOST/PATH`".to_owned()),
        }
    }
}

fn bucket(rest: &str) -> Result<BucketPrefix, String> {
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let prefix = prefix.trim_end_matches('/');
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if bucket.len() < 3 || bucket.len() > 63 || !bucket.bytes().all(is_plain) || bucket.starts_with('.') {
        return Err(format!("`{bucket}` is not the name of a bucket"));
    }
    if !prefix.is_empty() && !is_relative(prefix) {
        return Err(format!("`{prefix}` is not the path of a directory"));
    }
    Ok(BucketPrefix { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
}

fn web(text: &str, rest: &str) -> Result<WebDirectory, String> {
    let (host, path) = rest.trim_end_matches('/').split_once('/').unwrap_or((rest.trim_end_matches('/'), ""));
    if host.contains('@') {
        return Err("a password in a URL is seen by everybody on this machine, and is not used".to_owned());
    }
    let is_plain = |character: char| character.is_ascii_graphic() && !"?#\\\"<>".contains(character);
    if host.is_empty() || !rest.chars().all(is_plain) || !(path.is_empty() || is_relative(path)) {
        return Err("expected the URL of a directory, without `?` and `#`".to_owned());
    }
    Ok(WebDirectory(text.trim_end_matches('/').to_owned()))
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(reference) => reference.fmt(f),
            Self::Bucket(BucketPrefix { bucket, prefix }) if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::Bucket(BucketPrefix { bucket, prefix }) => write!(f, "s3://{bucket}/{prefix}"),
            Self::Web(directory) => f.write_str(&directory.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_prints_without_a_slash_at_its_end_and_a_wrong_one_says_what_is_wrong() {
        let shown = |text: &str| text.parse::<Location>().expect("a location").to_string();
        assert_eq!(shown("s3://roc"), "s3://roc");
        assert_eq!(shown("s3://roc/"), "s3://roc");
        assert_eq!(shown("s3://roc/site a/1/"), "s3://roc/site a/1");
        assert_eq!(shown("https://www.example/"), "https://www.example");
        assert_eq!(shown("http://www.example:8000/a/b/"), "http://www.example:8000/a/b");
        let wrong = |text: &str| text.parse::<Location>().expect_err("no location");
        assert!(wrong("ftp://www.example/a").contains("expected `oci://"));
        for bucket in ["s3://", "s3://ab", "s3://a b c/x", "s3://me:secret@roc/x", "s3://../x"] {
            assert!(wrong(bucket).contains("not the name of a bucket"), "{bucket}");
        }
        for prefix in ["s3://roc//x", "s3://roc/../x", "s3://roc/./x", "s3://roc/a\nb"] {
            assert!(wrong(prefix).contains("not the path"), "{prefix}");
        }
        assert!(wrong("https://me:secret@www.example/a").contains("password"));
        for url in ["https://", "https://www.example/a?b", "https://www.example/a#b", "https://www.example/../a"] {
            assert!(wrong(url).contains("the URL of a directory"), "{url}");
        }
    }

    #[test]
    fn this_machine_is_told_from_others() {
        for url in
            ["http://localhost/a", "http://127.0.0.1:80", "http://127.8.0.1/", "http://[::1]:80/", "https://a.example"]
        {
            assert!(!is_exposed(url), "{url}");
        }
        for url in [
            "http://a.example",
            "HTTP://a.example",
            "http://127.0.0.1.example/",
            "http://127.0.0.1:80@a.example/",
            "http://localhost.example",
            "http://10.0.0.1:80/a",
        ] {
            assert!(is_exposed(url), "{url}");
        }
    }
}
