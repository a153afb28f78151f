//! Which keys and certificates a cluster has, and what stands in each: the guide's table of signing requests.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use serde::Serialize;

pub use super::values::CertId;
use super::values::{Holder, Templates, holds};
use crate::recipe::layout::{External, Leaf, Names, Scope, Usage};
use crate::spec::names::{DnsName, Host, NodeName};
use crate::spec::{self, ClusterSpec, KeyAlgorithm, Lifetime, Node, Recipient, Seal, network};

/// Everything secret that is to exist, without a secret in it.
#[derive(Debug, Serialize)]
pub struct PkiPlan {
    /// Kind of every key that is made.
    pub key: KeyAlgorithm,
    /// How long the bootstrap token lives.
    pub token_validity: Lifetime,
    /// Certificates and keys by ID.
    pub certificates: BTreeMap<CertId, CertPlan>,
    /// Whose keys open what is secret; `None` if it is not encrypted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seal: Option<SealPlan>,
}

/// Keys that open secrets.
#[derive(Debug, Serialize)]
pub struct SealPlan {
    /// What the keys of machines are.
    pub by: Seal,
    /// The machines, with the key of those that have one already.
    pub nodes: BTreeMap<NodeName, Option<Recipient>>,
}

/// One certificate or key.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum CertPlan {
    /// A CA of our own.
    Authority {
        /// X.509 subject.
        subject: Name,
        /// How long it lives.
        lifetime: Lifetime,
    },
    /// Signed by one of the CAs.
    Leaf {
        /// ID of the CA.
        issuer: CertId,
        /// X.509 subject.
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
    pub place: spec::Subject,
    /// O.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// CN.
    pub common_name: String,
}

/// The certificates and keys of a cluster.
///
/// # Errors
/// Templates that fail, and certificates whose CA is there without its key: with an etcd that exists already, nothing
/// more can be signed for it.
pub(super) fn plan(templates: &Templates<'_>) -> Result<PkiPlan, Vec<String>> {
    let (spec, recipe) = (templates.spec, templates.recipe);
    let mut faults = Vec::new();
    let mut certificates = BTreeMap::new();
    for (id, authority) in &recipe.layout.authorities {
        let subject = name(spec, authority.common_name.clone(), None);
        let made = CertPlan::Authority { subject, lifetime: spec.pki.ca_validity };
        certificates.insert(id.clone(), external(spec, authority.external).unwrap_or(made));
    }
    certificates.extend(recipe.layout.key_pairs.iter().map(|id| (id.clone(), CertPlan::KeyPair)));
    let mut add = |id: &String, leaf: &Leaf, holders: Vec<Holder<'_>>| {
        for holder in holders {
            match planned(templates, leaf, holder) {
                Ok(planned) => drop(certificates.insert(holder.certificate_id(id, leaf.per), planned)),
                Err(why) => faults.push(why),
            }
        }
    };
    for (id, leaf) in &recipe.layout.certificates {
        add(id, leaf, holders(spec, leaf.per, &|_| true));
    }
    for (role, described) in &recipe.roles {
        let has_role = |node: &Node| node.roles.contains(role);
        for (id, leaf) in &described.certificates {
            if spec.nodes.iter().any(has_role) && holds(leaf.when, spec, Holder::Cluster) {
                add(id, leaf, holders(spec, leaf.per, &has_role));
            }
        }
    }
    let plan = PkiPlan { key: spec.pki.key, token_validity: spec.pki.token_validity, certificates, seal: seal(spec) };
    faults.extend(plan.unsigned());
    if faults.is_empty() { Ok(plan) } else { Err(faults) }
}

fn seal(spec: &ClusterSpec) -> Option<SealPlan> {
    let nodes = || spec.nodes.iter().map(|node| (node.name.clone(), node.recipient)).collect();
    (spec.seal != Seal::Off).then(|| SealPlan { by: spec.seal, nodes: nodes() })
}

/// For whom a description is made, each in turn.
pub(super) fn holders<'s>(spec: &'s ClusterSpec, per: Scope, has_role: &dyn Fn(&Node) -> bool) -> Vec<Holder<'s>> {
    match per {
        Scope::Cluster => vec![Holder::Cluster],
        Scope::Node => spec.nodes.iter().filter(|node| has_role(node)).map(Holder::Node).collect(),
        Scope::EtcdEndpoint => etcd_hosts(spec).into_iter().map(Holder::EtcdEndpoint).collect(),
    }
}

fn planned(templates: &Templates<'_>, leaf: &Leaf, holder: Holder<'_>) -> Result<CertPlan, String> {
    let spec = templates.spec;
    if let Some(external) = external(spec, leaf.external) {
        return Ok(external);
    }
    let common_name = templates.inline(&leaf.common_name, holder)?;
    Ok(CertPlan::Leaf {
        issuer: leaf.issuer.clone(),
        subject: name(spec, common_name, leaf.organization.clone()),
        usages: leaf.usages.clone(),
        names: distinct(leaf.names.iter().flat_map(|names| hosts(*names, holder, spec))),
        lifetime: spec.pki.validity,
    })
}

fn name(spec: &ClusterSpec, common_name: String, organization: Option<String>) -> Name {
    Name { place: spec.pki.subject.clone(), organization, common_name }
}

/// The files that `cluster.toml` names instead.
fn external(spec: &ClusterSpec, which: Option<External>) -> Option<CertPlan> {
    let (ca, etcd) = (spec.pki.existing_ca.as_ref(), spec.etcd.existing.as_ref());
    Some(match which? {
        External::ClusterCa => ca.map(|ca| CertPlan::External { cert: ca.cert.clone(), key: Some(ca.key.clone()) })?,
        External::EtcdCa => etcd.map(|etcd| CertPlan::External { cert: etcd.ca.clone(), key: None })?,
        External::EtcdClient => {
            etcd.map(|etcd| CertPlan::External { cert: etcd.cert.clone(), key: Some(etcd.key.clone()) })?
        }
    })
}

impl PkiPlan {
    /// Certificates whose CA is there without its key.
    fn unsigned(&self) -> Vec<String> {
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

/// Hosts elsewhere that run a member of an etcd whose certificates are made here.
fn etcd_hosts(spec: &ClusterSpec) -> BTreeSet<&Host> {
    let elsewhere = spec.etcd.existing.is_none() && spec.etcd_members().next().is_none();
    spec.etcd.endpoints.iter().filter(|_| elsewhere).map(|endpoint| &endpoint.host).collect()
}

/// What a set of names means for one certificate.
fn hosts(names: Names, holder: Holder<'_>, spec: &ClusterSpec) -> Vec<Host> {
    let dns =
        |name: &str| Host::Name(name.parse::<DnsName>().unwrap_or_else(|why| unreachable!("names are checked: {why}")));
    match names {
        Names::Loopback => {
            vec![dns("localhost"), Host::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST))]
        }
        Names::Node => match holder {
            Holder::Cluster => Vec::new(),
            Holder::Node(node) => vec![dns(node.name.as_str()), Host::Ip(node.address)],
            Holder::EtcdEndpoint(host) => vec![host.clone()],
        },
        Names::Masters => spec.masters().map(|node| Host::Ip(node.address)).collect(),
        Names::EtcdMembers => {
            let nodes = spec.etcd_members().flat_map(|node| hosts(Names::Node, Holder::Node(node), spec));
            etcd_hosts(spec).into_iter().cloned().chain(nodes).collect()
        }
        Names::Endpoint => vec![spec.endpoint.host.clone()],
        Names::ServiceIp => network::first_service_ip(spec.service_cidr).map(Host::Ip).into_iter().collect(),
        // The guide lists `kubernetes.default.svc.cluster` as well; nothing resolves it.
        Names::ServiceNames => {
            let short = ["kubernetes", "kubernetes.default", "kubernetes.default.svc"].map(str::to_owned);
            let all = short.into_iter().chain([format!("kubernetes.default.svc.{}", spec.domain)]);
            all.map(|name| dns(&name)).collect()
        }
        Names::Extra => spec.apiserver_sans.clone(),
    }
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
