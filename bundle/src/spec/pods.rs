//! `[network]`, `[dns]` and `[images]`: what pods need of a cluster.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::hash::Sha256;

/// How pods reach pods of other nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkPlugin {
    /// Each node has a route to the pods of every other one. No daemon; all nodes are in one network segment.
    Routes,
    /// flanneld on each node wraps what pods send to pods of other nodes (VXLAN), so nodes may be in several segments.
    Flannel,
    /// Nothing is installed: the cluster's operator brings a network plugin.
    None,
}

impl FromStr for NetworkPlugin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "routes" => Ok(Self::Routes),
            "flannel" => Ok(Self::Flannel),
            "none" => Ok(Self::None),
            _ => Err("expected `routes`, `flannel` or `none`".to_owned()),
        }
    }
}

/// `[dns]`, with defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dns {
    /// Address of the Service `kube-dns`, inside the service network.
    pub address: IpAddr,
    /// Servers that are asked for names outside the cluster. Empty: those names don't exist.
    pub upstream: Vec<IpAddr>,
}

/// The name of a container image as containerd and Kubernetes complete it, and the digest of its manifest:
/// `registry/name:tag@sha256:…`.
///
/// ```
/// use kube_bundle::spec::ImageReference;
///
/// let digest = "sha256:59eec8837a4d942cc19a52b8c09ea75121acc38114a2c68b98983ce9356b8610";
/// let image: ImageReference = format!("busybox:1.36@{digest}").parse()?;
/// assert_eq!(image.name.to_string(), "docker.io/library/busybox:1.36");
/// assert!("busybox:1.36".parse::<ImageReference>().is_err(), "a tag alone can mean another image tomorrow");
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ImageReference {
    pub name: ImageName,
    /// Of the manifest, or of the list of manifests for several platforms.
    pub digest: Sha256,
}

impl FromStr for ImageReference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, digest) = text
            .split_once('@')
            .ok_or("expected the digest of the manifest behind the name, such as `registry/name:tag@sha256:59eec8…`; of an image that you hold, `kube-bundle images pin` writes it")?;
        let digest = digest.strip_prefix("sha256:").ok_or("expected a digest that begins with `sha256:`")?;
        Ok(Self { name: name.parse()?, digest: digest.parse().map_err(|why| format!("the digest is invalid: {why}"))? })
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@sha256:{}", self.name, self.digest)
    }
}

/// The complete name of an image: a registry, a repository in it, and a tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImageName {
    registry: String,
    repository: String,
    tag: String,
}

/// The registry of names that have none, and the host that serves it.
const DEFAULT_REGISTRY: &str = "docker.io";
const DEFAULT_REGISTRY_HOST: &str = "registry-1.docker.io";

impl ImageName {
    /// Where the registry serves the repository, by the OCI distribution specification.
    pub fn repository_url(&self) -> String {
        format!("https://{}/v2/{}", registry_host(&self.registry), self.repository)
    }

    /// The package URL of the image with this digest (type `oci` of the purl specification).
    pub fn purl(&self, digest: Sha256) -> String {
        let name = self.repository.rsplit('/').next().unwrap_or(&self.repository);
        format!("pkg:oci/{name}@sha256%3A{digest}?repository_url={}&tag={}", self.without_tag(), self.tag)
    }

    /// The tag.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// The name without its tag, as it stands before a digest.
    pub fn without_tag(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }
}

/// The host that serves a registry.
pub fn registry_host(registry: &str) -> &str {
    if registry == DEFAULT_REGISTRY { DEFAULT_REGISTRY_HOST } else { registry }
}

/// Whether these can be the parts of a name, by the grammar of the distribution project.
///
/// # Errors
/// The first part that can't.
pub fn check_parts(registry: &str, repository: &str, tag: Option<&str>) -> Result<(), String> {
    let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':');
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
    let is_part = |part: &str| {
        part.chars().all(inner)
            && part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.ends_with(|c: char| c.is_ascii_alphanumeric())
    };
    if registry.is_empty() || !registry.chars().all(is_host) {
        return Err(format!("`{registry}` is not the host of a registry"));
    }
    if !repository.split('/').all(is_part) {
        return Err(format!("`{repository}` is not a repository: expected lower-case names, separated by `/`"));
    }
    let in_tag = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let fits =
        |tag: &str| !tag.is_empty() && tag.len() <= 128 && tag.chars().all(in_tag) && !tag.starts_with(['.', '-']);
    match tag {
        Some(tag) if !fits(tag) => Err(format!("`{tag}` is not a tag")),
        _ => Ok(()),
    }
}

impl FromStr for ImageName {
    type Err = String;

    /// The grammar of the distribution project, and its defaults: `docker.io`, `library/`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (registry, rest) = match text.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest.to_owned()),
            _ => (DEFAULT_REGISTRY, text.to_owned()),
        };
        // What containerd does, so that pods find what was imported.
        let registry = if registry == "index.docker.io" { DEFAULT_REGISTRY } else { registry };
        let rest = if registry == DEFAULT_REGISTRY && !rest.contains('/') { format!("library/{rest}") } else { rest };
        let (repository, tag) =
            rest.rsplit_once(':').ok_or("expected a tag, such as `registry/name:1.0`: `latest` is not assumed")?;
        if text.len() > 255 {
            return Err(format!("`{text}` is too long for a name: 255 characters at most"));
        }
        check_parts(registry, repository, Some(tag))?;
        Ok(Self { registry: registry.to_owned(), repository: repository.to_owned(), tag: tag.to_owned() })
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", self.registry, self.repository, self.tag)
    }
}

impl Serialize for ImageName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for ImageName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_completed_as_containerd_completes_them() {
        let name = |text: &str| text.parse::<ImageName>().map(|name| name.to_string());
        assert_eq!(name("busybox:1").as_deref(), Ok("docker.io/library/busybox:1"));
        assert_eq!(name("docker.io/busybox:1").as_deref(), Ok("docker.io/library/busybox:1"));
        assert_eq!(name("index.docker.io/a/b:1").as_deref(), Ok("docker.io/a/b:1"));
        assert_eq!(name("coredns/coredns:1.6.2").as_deref(), Ok("docker.io/coredns/coredns:1.6.2"));
        assert_eq!(name("k8s.gcr.io/pause:3.1").as_deref(), Ok("k8s.gcr.io/pause:3.1"));
        assert_eq!(name("localhost:5000/a/b:c").as_deref(), Ok("localhost:5000/a/b:c"));
        for wrong in ["pause", "a/B:1", "a/:1", "a b:1", "x.y/../z:1", "x.y/a:", "x.y/a:-1", "x.y/a$(id):1"] {
            assert!(name(wrong).is_err(), "{wrong}");
        }
        let url = |text: &str| text.parse::<ImageName>().map(|name| name.repository_url());
        assert_eq!(url("busybox:1").as_deref(), Ok("https://registry-1.docker.io/v2/library/busybox"));
        assert_eq!(url("quay.io/a/b:1").as_deref(), Ok("https://quay.io/v2/a/b"));
    }
}
