//! `cluster.toml`: the description of one cluster.
//!
//! A [`ClusterSpec`] exists only if every rule of the file holds, so no later stage checks again. All errors are
//! reported at once, with location and help. Nothing here reads a file or depends on a Kubernetes release.

mod bad_value;
mod check;
pub mod filled;
pub mod names;
pub mod network;
mod numbers;
mod output;
mod pki;
pub mod pods;
mod raw;
mod read;
pub mod recipe_ref;
pub mod roles;
pub mod schema;
pub mod secrets;
mod seed;
pub(crate) mod similar;
mod subject;
mod syntax;

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use ipnet::IpNet;
use serde::Serialize;

use crate::diagnostic::Faults;
use crate::hash::Sha256;
pub use bad_value::BadValue;
use names::{ClusterName, DnsName, Endpoint, Host, NodeName, RoleName};
pub use numbers::{Address, Cidr};
pub use output::{Compression, DebLayout, DebSpec, Format};
pub use pki::{ExistingCa, KeyAlgorithm, PkiSpec};
pub use pods::{Dns, ImageName, ImageReference, NetworkPlugin, check_parts, registry_host};
pub use recipe_ref::RecipeRef;
pub use roles::{RoleCatalog, Service};
pub use secrets::{Recipient, Seal};
pub use seed::{
    Addressing, Interface, InterfaceName, MacAddress, MirrorUrl, Network, Payload, SeedImage, SeedLayout, SeedSpec,
    SshKey,
};

/// The commented file that `kube-bundle init` writes. Its addresses, 198.51.100.*, are examples that
/// [`ClusterSpec::parse`] refuses.
pub const TEMPLATE: &str = include_str!("spec/template.toml");

/// What all addresses in [`TEMPLATE`] begin with. The other two networks for documentation may be used.
pub const EXAMPLE_PREFIX: &str = "198.51.100.";

/// TCP port of the API server on every master. It is the only one: the insecure port is off.
pub const API_PORT: u16 = 6443;

/// TCP port on which members of etcd that are nodes of the cluster serve clients.
pub const ETCD_PORT: u16 = 2379;

/// A checked `cluster.toml`.
#[derive(Debug, Clone)]
pub struct ClusterSpec {
    /// Digest of the text that it was read from.
    pub text: Sha256,
    /// Prefix of every file and package name of the bundle.
    pub name: ClusterName,
    /// The Kubernetes release, as data.
    pub recipe: RecipeRef,
    /// The URL of the API server for people, and for machines that join with the bootstrap token.
    pub endpoint: Endpoint,
    pub pod_cidr: IpNet,
    pub service_cidr: IpNet,
    /// DNS domain of services, `cluster.local` by default.
    pub domain: DnsName,
    /// Additional subject alternative names of the API server's certificate.
    pub apiserver_sans: Vec<Host>,
    /// Whether the admission plugin `PodSecurityPolicy` is on.
    pub pod_security_policy: bool,
    pub network_plugin: NetworkPlugin,
    pub dns: Dns,
    /// Images that every node with pods gets, besides those of the recipe.
    pub images: BTreeSet<ImageReference>,
    pub etcd: Etcd,
    /// In the order of the file.
    pub nodes: Vec<Node>,
    pub pki: PkiSpec,
    /// What opens the secrets of nodes.
    pub seal: Seal,
    /// What is packed. Never empty.
    pub formats: BTreeSet<Format>,
    pub deb: DebSpec,
    pub seed: SeedSpec,
    /// URL of the output directory, for machines that boot with user data alone.
    pub mirror: Option<MirrorUrl>,
}

/// The etcd cluster.
#[derive(Debug, Clone)]
pub struct Etcd {
    /// Client URLs of the members. Where nodes provide etcd, theirs.
    pub endpoints: Vec<Endpoint>,
    /// Certificates for an etcd that exists already. `None`: certificates for its members are made here.
    pub existing: Option<ExistingEtcd>,
}

/// Certificate files for an etcd that exists already. Relative paths are relative to `cluster.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExistingEtcd {
    /// CA certificate of the members.
    pub ca: PathBuf,
    /// Client certificate for the API servers.
    pub cert: PathBuf,
    /// Key of the client certificate.
    pub key: PathBuf,
}

/// A machine.
#[derive(Debug, Clone, Serialize)]
pub struct Node {
    pub name: NodeName,
    /// The address at which other machines reach it.
    pub address: IpAddr,
    /// Roles of the recipe.
    pub roles: BTreeSet<RoleName>,
    /// The services of its roles.
    pub provides: BTreeSet<Service>,
    /// The addresses of its pods. `None`: it has no pods, or another network plugin decides.
    pub pod_cidr: Option<IpNet>,
    /// Network settings for its first boot. `None`: the network is left as the image sets it up.
    pub network: Option<Network>,
    /// Its SSH host key, if that opens its secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipient: Option<Recipient>,
}

/// X.509 subject attributes that all certificates share.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Subject {
    /// `C`: two letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// `ST`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// `L`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locality: Option<String>,
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
    /// Whether this format is written: because it was requested, or because it is the payload of a seed.
    pub fn packs(&self, format: Format) -> bool {
        let carried = match self.seed.payload {
            Payload::Deb => Format::Deb,
            Payload::Tarball => Format::Tarball,
        };
        self.formats.contains(&format) || (carried == format && self.formats.iter().any(|format| format.boots()))
    }

    /// An error that only command-line options can cause: they are applied after the rules of the file were checked.
    pub fn contradiction(&self) -> Option<&'static str> {
        let is_split = self.seed.payload == Payload::Deb && self.deb.layout == DebLayout::Split;
        if self.seed.layout == SeedLayout::Split && !is_split {
            return Some(
                "a seed can be split only if its payload is split packages: `payload = \"deb\"` and `--deb-layout split`",
            );
        }
        if self.formats.contains(&Format::UserData) && self.mirror.is_none() {
            return Some(
                "format `user-data` needs `[output.mirror]` with `url` in cluster.toml: the URL that serves the output directory",
            );
        }
        None
    }

    /// Parses and checks the text of a `cluster.toml`; `file` is its name in messages, `roles` are those of its recipe.
    /// The second value of `Ok` holds the warnings.
    ///
    /// # Errors
    /// All errors of the file, each with its location.
    ///
    /// ```
    /// use kube_bundle::recipe::embedded;
    /// use kube_bundle::spec::{ClusterSpec, TEMPLATE};
    ///
    /// let roles = embedded::load("v1.16.0")?.role_catalog();
    /// let text = TEMPLATE.replace("198.51.100.", "10.20.30."); // its addresses are examples
    /// let (spec, _) = ClusterSpec::parse("cluster.toml", &text, &roles).expect("an edited file");
    /// assert_eq!(spec.masters().count(), 3);
    ///
    /// let errors = ClusterSpec::parse("cluster.toml", "[cluster]\nnmae = \"roc\"\n", &roles).expect_err("a typo");
    /// let text = errors.render(false);
    /// assert!(text.contains("cluster.toml:2:1") && text.contains("did you mean `name`?"), "{text}");
    /// # Ok::<(), kube_bundle::recipe::Error>(())
    /// ```
    pub fn parse(file: &str, text: &str, roles: &RoleCatalog) -> Result<(Self, Faults), Faults> {
        check::check(text, roles)
            .map(|(spec, warnings)| (spec, Faults::new(file, text, warnings)))
            .map_err(|faults| Faults::new(file, text, faults))
    }

    /// Machines that run an API server.
    pub fn masters(&self) -> impl Iterator<Item = &Node> {
        self.providing(Service::ApiServer)
    }

    /// Machines that run a member of etcd; none if etcd runs elsewhere.
    pub fn etcd_members(&self) -> impl Iterator<Item = &Node> {
        self.providing(Service::Etcd)
    }

    /// Machines that run pods.
    pub fn workers(&self) -> impl Iterator<Item = &Node> {
        self.providing(Service::Pods)
    }

    fn providing(&self, service: Service) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(move |node| node.provides.contains(&service))
    }
}
