//! `cluster.toml`: what one cluster is to be.
//!
//! A [`ClusterSpec`] exists only if every rule of the file holds, so no later stage checks again. Faults are
//! reported all at once, each with its place and a way out. Nothing here reads a file or knows a release.

mod check;
pub mod names;
pub mod network;
mod output;
mod raw;
mod read;
mod seed;

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use ipnet::IpNet;
use serde::Serialize;

use crate::diagnostic::Faults;
use names::{ClusterName, DnsName, Endpoint, Host, NodeName};
pub use output::{Compression, DebLayout, DebSpec, Format};
pub use seed::{
    Addressing, Interface, InterfaceName, MacAddress, MirrorUrl, Network, Payload, SeedImage, SeedLayout, SeedSpec,
    SshKey,
};

/// The commented file that `kube-bundle init` writes.
pub const TEMPLATE: &str = include_str!("spec/template.toml");

/// TCP port the API server listens on; it serves nothing else.
pub const API_PORT: u16 = 6443;

/// A checked `cluster.toml`.
#[derive(Debug, Clone)]
pub struct ClusterSpec {
    /// Begins every file name of the bundle.
    pub name: ClusterName,
    /// Which release, and how it is rendered.
    pub recipe: RecipeRef,
    /// What every component and user dials.
    pub endpoint: Endpoint,
    /// Addresses of pods.
    pub pod_cidr: IpNet,
    /// Addresses of services.
    pub service_cidr: IpNet,
    /// The cluster's own DNS domain.
    pub domain: DnsName,
    /// Further names of the API server.
    pub apiserver_sans: Vec<Host>,
    /// Whether pods must be allowed by a policy (the admission plugin of that name).
    pub pod_security_policy: bool,
    /// The etcd that the API servers store in.
    pub etcd: Etcd,
    /// The machines, in the order of the file.
    pub nodes: Vec<Node>,
    /// Keys and certificates.
    pub pki: PkiSpec,
    /// What is packed.
    pub formats: BTreeSet<Format>,
    /// How Debian packages are made.
    pub deb: DebSpec,
    /// How seeds for the first boot are made.
    pub seed: SeedSpec,
    /// Where machines that boot without a seed disk find the output directory.
    pub mirror: Option<MirrorUrl>,
}

/// Where a recipe comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecipeRef {
    /// One that the program carries, by its name.
    Embedded(String),
    /// A directory, as written; relative to the file that names it.
    Directory(PathBuf),
}

impl FromStr for RecipeRef {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let directory = text.starts_with('.') || text.contains('/');
        Ok(if directory { Self::Directory(text.into()) } else { Self::Embedded(text.to_owned()) })
    }
}

/// The etcd cluster.
#[derive(Debug, Clone)]
pub struct Etcd {
    /// Client URLs of its members.
    pub endpoints: Vec<Endpoint>,
    /// How to reach an etcd that exists already; otherwise its certificates are made here.
    pub existing: Option<ExistingEtcd>,
}

/// Files for an etcd run by somebody else. Relative paths are relative to `cluster.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExistingEtcd {
    /// CA certificate of the members.
    pub ca: PathBuf,
    /// Client certificate for the API servers.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// A machine.
#[derive(Debug, Clone, Serialize)]
pub struct Node {
    /// Its host name.
    pub name: NodeName,
    /// The address the others reach it at.
    pub address: IpAddr,
    /// What it does.
    pub roles: BTreeSet<Role>,
    /// How its first boot sets up its network; otherwise it is left as it is.
    pub network: Option<Network>,
}

/// What a machine does in the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Runs the control plane.
    Master,
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "master" => Ok(Self::Master),
            _ => Err("expected `master`; workers join later with `operator/bootstrap-kubeconfig`".to_owned()),
        }
    }
}

/// `[pki]`, with defaults filled in.
#[derive(Debug, Clone)]
pub struct PkiSpec {
    /// Kind of every key that is made.
    pub key: KeyAlgorithm,
    /// How long a CA lives.
    pub ca_validity: Lifetime,
    /// How long every other certificate lives.
    pub validity: Lifetime,
    /// How long the bootstrap token lives.
    pub token_validity: Lifetime,
    /// The part of each subject that is the same everywhere.
    pub subject: Subject,
    /// A cluster CA that exists already.
    pub existing_ca: Option<ExistingCa>,
}

/// Files of a CA made by somebody else. Relative paths are relative to `cluster.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExistingCa {
    /// Its certificate.
    pub cert: PathBuf,
    /// Its key, which kube-controller-manager signs kubelet certificates with.
    pub key: PathBuf,
}

/// Common parts of X.509 subjects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Subject {
    /// C, two letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// ST.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// L.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locality: Option<String>,
}

/// Kinds of key that Kubernetes v1.16 accepts everywhere it reads one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyAlgorithm {
    /// RSA, 2048 bits.
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    /// RSA, 3072 bits.
    #[serde(rename = "rsa-3072")]
    Rsa3072,
    /// RSA, 4096 bits.
    #[serde(rename = "rsa-4096")]
    Rsa4096,
    /// ECDSA on P-256.
    #[serde(rename = "ecdsa-p256")]
    EcdsaP256,
}

impl FromStr for KeyAlgorithm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "rsa-2048" => Ok(Self::Rsa2048),
            "rsa-3072" => Ok(Self::Rsa3072),
            "rsa-4096" => Ok(Self::Rsa4096),
            "ecdsa-p256" => Ok(Self::EcdsaP256),
            // Go 1.12, which built v1.16.0, got Ed25519 certificates only in 1.13; the service-account
            // code knows RSA and ECDSA alone.
            "ed25519" => Err("Kubernetes v1.16 reads no Ed25519 key; expected `rsa-2048` or `ecdsa-p256`".to_owned()),
            _ => Err("expected `rsa-2048`, `rsa-3072`, `rsa-4096` or `ecdsa-p256`".to_owned()),
        }
    }
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rsa2048 => "rsa-2048",
            Self::Rsa3072 => "rsa-3072",
            Self::Rsa4096 => "rsa-4096",
            Self::EcdsaP256 => "ecdsa-p256",
        })
    }
}

/// A span of time in whole hours, written `10y`, `90d` or `24h`; a year is 365 days, as cfssl's `8760h` is.
///
/// ```
/// use kube_bundle::spec::Lifetime;
///
/// let year: Lifetime = "8760h".parse()?;
/// assert_eq!(year.to_string(), "1y");
/// assert!("2 years".parse::<Lifetime>().is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lifetime {
    hours: u32,
}

impl Lifetime {
    const fn days(days: u32) -> Self {
        Self { hours: days * 24 }
    }

    /// As a duration.
    pub fn duration(self) -> time::Duration {
        time::Duration::hours(self.hours.into())
    }
}

impl FromStr for Lifetime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unit = text.chars().next_back();
        let hours_each = match unit {
            Some('y') => 365 * 24,
            Some('d') => 24,
            Some('h') => 1,
            _ => return Err("expected a number with `y`, `d` or `h`, such as `1y` or `90d`".to_owned()),
        };
        let count: u32 =
            text[..text.len() - 1].parse().map_err(|_| "expected a whole number before the unit".to_owned())?;
        let hours = count.checked_mul(hours_each).filter(|hours| (1..=100 * 365 * 24).contains(hours));
        hours.map(|hours| Self { hours }).ok_or_else(|| "expected between `1h` and `100y`".to_owned())
    }
}

impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.hours {
            hours if hours % (365 * 24) == 0 => write!(f, "{}y", hours / (365 * 24)),
            hours if hours % 24 == 0 => write!(f, "{}d", hours / 24),
            hours => write!(f, "{hours}h"),
        }
    }
}

impl Serialize for Lifetime {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl ClusterSpec {
    /// Whether something is packed as this, be it because it was asked for or because seeds carry it.
    pub fn packs(&self, format: Format) -> bool {
        let carried = match self.seed.payload {
            Payload::Deb => Format::Deb,
            Payload::Tarball => Format::Tarball,
        };
        self.formats.contains(&format) || (carried == format && self.formats.iter().any(|format| format.boots()))
    }

    /// What a command line may have made of it that its file would not be allowed.
    pub fn contradiction(&self) -> Option<&'static str> {
        let is_split = self.seed.payload == Payload::Deb && self.deb.layout == DebLayout::Split;
        if self.seed.layout == SeedLayout::Split && !is_split {
            return Some("a seed can be split only if its payload is packages, and these are split too");
        }
        if self.formats.contains(&Format::UserData) && self.mirror.is_none() {
            return Some(
                "format `user-data` wants the URL where machines find the output directory: `[output.mirror]` with `url` in cluster.toml",
            );
        }
        None
    }

    /// Reads the text of a `cluster.toml`; `file` is how the user named it. The second value holds the warnings.
    ///
    /// ```
    /// use kube_bundle::spec::{ClusterSpec, TEMPLATE};
    ///
    /// let (spec, _) = ClusterSpec::parse("cluster.toml", TEMPLATE).expect("what `kube-bundle init` writes");
    /// assert_eq!(spec.masters().count(), 3);
    ///
    /// // All faults are shown at once, each with its place.
    /// let faults = ClusterSpec::parse("cluster.toml", "[cluster]\nnmae = \"roc\"\n").expect_err("many are missing");
    /// let text = faults.render(false);
    /// assert!(text.contains("cluster.toml:2:1") && text.contains("did you mean `name`?"), "{text}");
    /// ```
    pub fn parse(file: &str, text: &str) -> Result<(Self, Faults), Faults> {
        check::check(text)
            .map(|(spec, warnings)| (spec, Faults::new(file, text, warnings)))
            .map_err(|faults| Faults::new(file, text, faults))
    }

    /// Machines that run the control plane.
    pub fn masters(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.roles.contains(&Role::Master))
    }
}
