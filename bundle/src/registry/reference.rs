//! Where a bundle is in a registry: `oci://HOST[:PORT]/REPOSITORY:TAG`, or with `@sha256:…` in place of the tag.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::hash::Sha256;
use crate::spec::{check_parts, registry_host};

/// The name of a bundle in a registry.
///
/// ```
/// use kube_bundle::registry::Reference;
///
/// let reference: Reference = "oci://registry.example/site/roc:1.2".parse()?;
/// assert_eq!(reference.url(None), "https://registry.example/v2/site/roc");
/// assert!("registry.example/site/roc:1.2".parse::<Reference>().is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    registry: String,
    repository: String,
    version: Version,
}

/// Whether a host, with or without a port, is this machine itself.
pub(super) fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.split(':').next().unwrap_or(host),
    };
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Which of the bundles in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Version {
    /// What the name leads to today.
    Tag(String),
    /// The one of that digest, whatever it is called.
    Digest(Sha256),
}

impl Reference {
    /// Host and port.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The name below the host.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag or digest.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// Where the registry serves the repository. Without encryption if `plain` says so, or if it says nothing and the
    /// registry is this machine itself.
    pub fn url(&self, plain: Option<bool>) -> String {
        let scheme = if plain.unwrap_or_else(|| is_loopback(&self.registry)) { "http" } else { "https" };
        format!("{scheme}://{}/v2/{}", registry_host(&self.registry), self.repository)
    }

    /// The bundle of that digest in the same repository.
    #[must_use]
    pub fn with_digest(&self, sha256: Sha256) -> Self {
        Self { version: Version::Digest(sha256), ..self.clone() }
    }
}

impl FromStr for Reference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("oci://").ok_or("expected `oci://HOST/REPOSITORY:TAG`")?;
        let (registry, rest) =
            rest.split_once('/').ok_or("expected a repository behind the host, such as `/site/roc:1`")?;
        let (repository, version) = if let Some((name, digest)) = rest.split_once('@') {
            let digest = digest.strip_prefix("sha256:").ok_or("expected a digest that begins with `sha256:`")?;
            let sha256 = digest.parse().map_err(|why| format!("the digest is invalid: {why}"))?;
            // A tag before a digest is a remark for people.
            (name.split_once(':').map_or(name, |(repository, _)| repository), Version::Digest(sha256))
        } else {
            let tag = rest.rsplit_once(':').ok_or("expected a tag, such as `:1.0`: `latest` is not assumed")?;
            (tag.0, Version::Tag(tag.1.to_owned()))
        };
        let tag = if let Version::Tag(tag) = &version { Some(tag.as_str()) } else { None };
        check_parts(registry, repository, tag)?;
        Ok(Self { registry: registry.to_owned(), repository: repository.to_owned(), version })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => f.write_str(tag),
            Self::Digest(sha256) => write!(f, "sha256:{sha256}"),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if matches!(self.version, Version::Tag(_)) { ':' } else { '@' };
        write!(f, "oci://{}/{}{separator}{}", self.registry, self.repository, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str, plain: Option<bool>) -> String {
        text.parse::<Reference>().expect("a reference").url(plain)
    }

    #[test]
    fn only_this_machine_is_spoken_to_without_encryption_unless_told_otherwise() {
        for host in ["localhost", "localhost:5000", "127.0.0.1:5000", "127.8.0.1"] {
            assert_eq!(url(&format!("oci://{host}/roc:1"), None), format!("http://{host}/v2/roc"));
            assert_eq!(url(&format!("oci://{host}/roc:1"), Some(false)), format!("https://{host}/v2/roc"));
        }
        for host in ["registry.example", "localhost.example", "10.0.0.1:5000", "127.0.0.1.example"] {
            assert_eq!(url(&format!("oci://{host}/roc:1"), None), format!("https://{host}/v2/roc"));
            assert_eq!(url(&format!("oci://{host}/roc:1"), Some(true)), format!("http://{host}/v2/roc"));
        }
        assert_eq!(url("oci://docker.io/a/roc:1", None), "https://registry-1.docker.io/v2/a/roc");
    }

    #[test]
    fn a_name_prints_as_it_was_typed_and_a_wrong_one_says_what_is_wrong() {
        let digest = "59eec8837a4d942cc19a52b8c09ea75121acc38114a2c68b98983ce9356b8610";
        for text in ["oci://r.example:5000/a/b:1.0".to_owned(), format!("oci://r.example/a@sha256:{digest}")] {
            assert_eq!(text.parse::<Reference>().expect("a reference").to_string(), text);
        }
        let tagged = format!("oci://r.example/a:1@sha256:{digest}").parse::<Reference>().expect("a reference");
        assert_eq!(tagged.to_string(), format!("oci://r.example/a@sha256:{digest}"));
        let wrong = |text: &str| text.parse::<Reference>().expect_err("no reference");
        assert!(wrong("docker://r.example/a:1").contains("oci://"));
        assert!(wrong("oci://r.example/a").contains("expected a tag"));
        assert!(wrong("oci://r.example").contains("repository"));
        assert!(wrong("oci://me:secret@r.example/a:1").contains("host"));
        assert!(wrong("oci://r.example/A:1").contains("lower-case"));
        assert!(wrong("oci://r.example/a:").contains("tag"));
        assert!(wrong("oci://r.example/../a:1").contains("not a repository"));
    }
}
