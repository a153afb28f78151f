//! Which keys and certificates a cluster has, and what stands in each: the guide's table of signing requests.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use serde::Serialize;

use crate::recipe::Recipe;
use crate::recipe::layout::{Leaf, NameSet, Usage};
use crate::spec::names::{DnsName, Host};
use crate::spec::{ClusterSpec, KeyAlgorithm, Lifetime, Subject, network};

/// Name of a certificate: its file in `pki/`, without `.pem`.
pub type CertId = String;

/// Everything secret that is to exist, without a secret in it.
#[derive(Debug, Serialize)]
pub struct PkiPlan {
    /// Kind of every key that is made.
    pub key: KeyAlgorithm,
    /// How long the bootstrap token lives.
    pub token_validity: Lifetime,
    /// Certificates and keys by ID.
    pub certificates: BTreeMap<CertId, CertPlan>,
}

/// One certificate or key.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum CertPlan {
    /// A CA of our own.
    Authority {
        /// Who it is.
        subject: Name,
        /// How long it lives.
        lifetime: Lifetime,
    },
    /// Signed by one of the CAs.
    Leaf {
        /// ID of the CA.
        issuer: CertId,
        /// Who it is.
        subject: Name,
        /// Extended key usages, sorted.
        usages: Vec<Usage>,
        /// Subject alternative names: DNS names, then addresses.
        names: Vec<Host>,
        /// How long it lives, unless its CA ends earlier.
        lifetime: Lifetime,
    },
    /// A key without a certificate.
    KeyPair,
    /// Made by somebody else; paths relative to `cluster.toml`.
    External {
        /// The certificate.
        cert: PathBuf,
        /// The key, unless only the certificate is needed.
        #[serde(skip_serializing_if = "Option::is_none")]
        key: Option<PathBuf>,
    },
}

/// An X.509 subject: C, ST, L, O, CN, in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Name {
    /// C, ST and L.
    #[serde(flatten)]
    pub place: Subject,
    /// O.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// CN.
    pub common_name: String,
}

pub(super) fn plan(spec: &ClusterSpec, recipe: &Recipe) -> PkiPlan {
    let layout = &recipe.layout;
    let name = |common_name: &str, organization: Option<&String>| Name {
        place: spec.pki.subject.clone(),
        organization: organization.cloned(),
        common_name: common_name.to_owned(),
    };
    let leaf = |leaf: &Leaf, names| CertPlan::Leaf {
        issuer: leaf.issuer.clone(),
        subject: name(&leaf.common_name, leaf.organization.as_ref()),
        usages: leaf.usages.clone(),
        names,
        lifetime: spec.pki.validity,
    };
    let authorities = layout.authorities.iter().map(|(id, authority)| {
        (
            id.clone(),
            CertPlan::Authority { subject: name(&authority.common_name, None), lifetime: spec.pki.ca_validity },
        )
    });
    let leaves = layout.certificates.iter().map(|(id, described)| {
        let names = match described.names {
            Some(NameSet::ApiServer) => api_server_names(spec),
            None => Vec::new(),
        };
        (id.clone(), leaf(described, names))
    });
    let key_pairs = layout.key_pairs.iter().map(|id| (id.clone(), CertPlan::KeyPair));
    let mut certificates: BTreeMap<_, _> = authorities.chain(leaves).chain(key_pairs).collect();

    if let Some(ca) = &spec.pki.existing_ca {
        certificates.insert("ca".to_owned(), CertPlan::External { cert: ca.cert.clone(), key: Some(ca.key.clone()) });
    }
    if let Some(etcd) = &spec.etcd.existing {
        certificates.insert("etcd-ca".to_owned(), CertPlan::External { cert: etcd.ca.clone(), key: None });
        let client = CertPlan::External { cert: etcd.cert.clone(), key: Some(etcd.key.clone()) };
        certificates.insert("apiserver-etcd-client".to_owned(), client);
    } else {
        for host in etcd_hosts(spec) {
            certificates.insert(etcd_member_id(host), leaf(&layout.etcd_member, member_names(host, spec)));
        }
    }
    PkiPlan { key: spec.pki.key, token_validity: spec.pki.token_validity, certificates }
}

impl PkiPlan {
    /// Certificates whose CA is there without its key: with an etcd of somebody else, nothing more can be signed
    /// for it.
    pub(super) fn unsigned(&self) -> Vec<String> {
        let can_sign = |id: &CertId| match self.certificates.get(id) {
            Some(CertPlan::Authority { .. }) => true,
            Some(CertPlan::External { key, .. }) => key.is_some(),
            _ => false,
        };
        let issuers = self.certificates.iter().filter_map(|(id, planned)| match planned {
            CertPlan::Leaf { issuer, .. } if !can_sign(issuer) => Some((id, issuer)),
            _ => None,
        });
        issuers.map(|(id, issuer)| format!("`{id}` can't be signed: the key of `{issuer}` is not ours")).collect()
    }
}

/// Machines that run a member of our own etcd.
pub(super) fn etcd_hosts(spec: &ClusterSpec) -> BTreeSet<&Host> {
    spec.etcd.endpoints.iter().filter(|_| spec.etcd.existing.is_none()).map(|endpoint| &endpoint.host).collect()
}

/// ID of a member's certificate.
pub(super) fn etcd_member_id(host: &Host) -> CertId {
    format!("etcd/{host}")
}

/// The guide lists `kubernetes.default.svc.cluster` as well; it is no name that anything resolves.
fn api_server_names(spec: &ClusterSpec) -> Vec<Host> {
    let service = ["kubernetes", "kubernetes.default", "kubernetes.default.svc"].map(str::to_owned);
    let full = format!("kubernetes.default.svc.{}", spec.domain);
    let service = service.into_iter().chain([full]).filter_map(|name| name.parse::<DnsName>().ok()).map(Host::Name);
    let addresses = [Some(IpAddr::V4(Ipv4Addr::LOCALHOST)), network::first_service_ip(spec.service_cidr)];
    let addresses = addresses.into_iter().flatten().chain(spec.masters().map(|node| node.address)).map(Host::Ip);
    let others = spec.apiserver_sans.iter().chain([&spec.endpoint.host]).cloned();
    distinct(service.chain(addresses).chain(others))
}

/// Its own name and those of the other members: when the first endpoint is away, the etcd client of v1.16.0
/// holds every member's certificate against the first one's name (kubernetes#83028), and no API server finds etcd.
fn member_names(host: &Host, spec: &ClusterSpec) -> Vec<Host> {
    let local = [Host::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST))].into_iter().chain("localhost".parse().ok().map(Host::Name));
    distinct(local.chain([host.clone()]).chain(etcd_hosts(spec).into_iter().cloned()))
}

/// DNS names before addresses, each once, otherwise in the given order.
fn distinct(names: impl Iterator<Item = Host>) -> Vec<Host> {
    let mut all: Vec<Host> = Vec::new();
    for name in names {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    all.sort_by_key(|name| matches!(name, Host::Ip(_)));
    all
}
