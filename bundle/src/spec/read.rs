//! Which keys `cluster.toml` has, and the type each is parsed as. Values keep their spans for later errors.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::Range;

use ipnet::IpNet;
use toml::Spanned;

use super::names::{ClusterName, DnsName, Endpoint, Host, NodeName, RoleName};
use super::numbers::{Address, Cidr};
use super::raw::Table;
use super::subject::{Country, Printable};
use super::{
    DebSpec, ExistingCa, ExistingEtcd, Format, ImageReference, InterfaceName, KeyAlgorithm, Lifetime, MacAddress,
    MirrorUrl, NetworkPlugin, Payload, RecipeRef, Recipient, Seal, SeedImage, SeedLayout, Service, SshKey, Subject,
};

/// The parsed file, with spans. A required value is `None` only if an error was added for it.
pub(super) struct Read {
    pub(super) name: Option<Spanned<ClusterName>>,
    pub(super) recipe: Option<Spanned<RecipeRef>>,
    pub(super) endpoint: Option<Spanned<Endpoint>>,
    pub(super) pod_cidr: Option<Spanned<IpNet>>,
    pub(super) service_cidr: Option<Spanned<IpNet>>,
    pub(super) domain: Option<Spanned<DnsName>>,
    pub(super) sans: Option<Vec<Spanned<Host>>>,
    pub(super) pod_security_policy: bool,
    pub(super) pods: ReadPods,
    pub(super) etcd_span: Option<Range<usize>>,
    pub(super) etcd: Option<Vec<Spanned<Endpoint>>>,
    pub(super) existing_etcd: Option<ExistingEtcd>,
    /// Where the text ends: the place of what is not there.
    pub(super) end: usize,
    pub(super) nodes_span: Option<Range<usize>>,
    pub(super) nodes: Vec<ReadNode>,
    /// Whether `nodes` are all that the file means; an error was added if not.
    pub(super) knows_nodes: bool,
    pub(super) pki: ReadPki,
    pub(super) seal: Option<Spanned<Seal>>,
    pub(super) output: ReadOutput,
}

/// `[network]`, `[dns]` and `[images]`. A list is `None` only if an error was added for it.
pub(super) struct ReadPods {
    pub(super) plugin: Option<Spanned<NetworkPlugin>>,
    pub(super) dns_address: Option<Spanned<IpAddr>>,
    pub(super) dns_upstream: Option<Vec<Spanned<IpAddr>>>,
    pub(super) images: Option<Vec<Spanned<ImageReference>>>,
}

pub(super) struct ReadOutput {
    pub(super) formats_span: Option<Range<usize>>,
    pub(super) formats: Option<Vec<Spanned<Format>>>,
    pub(super) deb: DebSpec,
    pub(super) seed: ReadSeed,
    /// Whether `mirror` is present, even if invalid or misspelt.
    pub(super) names_mirror: bool,
    pub(super) mirror: Option<Spanned<MirrorUrl>>,
}

#[derive(Default)]
pub(super) struct ReadSeed {
    pub(super) payload: Payload,
    pub(super) image: SeedImage,
    pub(super) layout: Option<Spanned<SeedLayout>>,
    pub(super) ssh_authorized_keys: Option<Vec<Spanned<SshKey>>>,
}

pub(super) struct ReadNetwork {
    pub(super) span: Range<usize>,
    /// Whether `mac` or `interface` is present, even if invalid or misspelt; such a one must not also count as missing.
    pub(super) names_card: bool,
    /// Whether `address` or `dhcp` is present, even if invalid or misspelt.
    pub(super) names_address: bool,
    pub(super) mac: Option<Spanned<MacAddress>>,
    pub(super) interface: Option<Spanned<InterfaceName>>,
    pub(super) dhcp: bool,
    pub(super) address: Option<Spanned<IpNet>>,
    pub(super) gateway: Option<Spanned<IpAddr>>,
    pub(super) dns: Option<Vec<Spanned<IpAddr>>>,
}

pub(super) struct ReadNode {
    pub(super) span: Range<usize>,
    pub(super) name: Option<Spanned<NodeName>>,
    pub(super) address: Option<Spanned<IpAddr>>,
    pub(super) roles_span: Option<Range<usize>>,
    pub(super) roles: Option<Vec<Spanned<RoleName>>>,
    /// Known once roles were looked up in the recipe.
    pub(super) provides: BTreeSet<Service>,
    pub(super) pod_cidr: Option<Spanned<IpNet>>,
    pub(super) network: Option<ReadNetwork>,
    /// Whether `recipient` is present, even if invalid or misspelt.
    pub(super) names_recipient: bool,
    pub(super) recipient: Option<Spanned<Recipient>>,
}

pub(super) struct ReadPki {
    pub(super) key: KeyAlgorithm,
    pub(super) ca_validity: Spanned<Lifetime>,
    pub(super) validity: Spanned<Lifetime>,
    pub(super) token_validity: Lifetime,
    pub(super) subject: Subject,
    pub(super) existing_ca: Option<ExistingCa>,
    /// `None` if the key is missing.
    pub(super) ca_key_on: Option<Vec<Spanned<NodeName>>>,
}

/// Reads the whole document, which ends at `end`.
pub(super) fn read(root: Table<'_>, end: usize) -> Read {
    let cluster = root.require_table("cluster");
    let nodes_span = root.span_of("nodes");
    let nodes = root.tables("nodes");
    let mut read = Read {
        name: None,
        recipe: None,
        endpoint: None,
        pod_cidr: None,
        service_cidr: None,
        domain: "cluster.local".parse().ok().map(|domain| Spanned::new(0..0, domain)),
        sans: None,
        pod_security_policy: false,
        pods: read_pods(&root),
        etcd_span: root.span_of("etcd"),
        etcd: Some(Vec::new()),
        existing_etcd: None,
        end,
        nodes_span,
        knows_nodes: nodes.is_some(),
        nodes: nodes.into_iter().flatten().map(read_node).collect(),
        pki: read_pki(root.table("pki")),
        seal: read_secrets(&root),
        output: read_output(root.table("output")),
    };
    if let Some(cluster) = cluster {
        read_cluster(cluster, &mut read);
    }
    if let Some(etcd) = root.table("etcd") {
        read_etcd(etcd, &mut read);
    } else if read.etcd_span.is_some() {
        read.etcd = None;
    }
    let misspelt = root.finish();
    read.knows_nodes &= !misspelt.contains("nodes");
    read.output.names_mirror |= misspelt.contains("output");
    if misspelt.contains("etcd") {
        read.etcd = None;
    }
    if misspelt.contains("secrets") {
        read.seal = None;
    }
    read
}

fn read_cluster(cluster: Table<'_>, read: &mut Read) {
    read.name = cluster.require("name", "\"roc\"");
    read.recipe = cluster.require("recipe", "\"v1.16.0\"");
    read.endpoint = cluster.require("endpoint", "\"https://192.0.2.11:6443\"");
    read.pod_cidr = cluster.require("pod_cidr", "\"10.10.0.0/16\"").map(network);
    read.service_cidr = cluster.require("service_cidr", "\"10.32.0.0/16\"").map(network);
    if cluster.span_of("domain").is_some() {
        read.domain = cluster.parse("domain");
    }
    read.sans = cluster.list("apiserver_sans");
    read.pod_security_policy = cluster.flag("pod_security_policy").unwrap_or_default();
    if cluster.finish().contains("apiserver_sans") {
        read.sans = None;
    }
}

fn read_etcd(etcd: Table<'_>, read: &mut Read) {
    if etcd.span_of("endpoints").is_some() {
        read.etcd = etcd.list("endpoints");
    }
    read.existing_etcd = etcd.together(["ca", "cert", "key"]).map(|[ca, cert, key]| ExistingEtcd { ca, cert, key });
    read.etcd_span = Some(etcd.span.clone());
    if etcd.finish().contains("endpoints") {
        read.etcd = None;
    }
}

fn address(read: Spanned<Address>) -> Spanned<IpAddr> {
    Spanned::new(read.span(), read.into_inner().0)
}

fn addresses(read: Vec<Spanned<Address>>) -> Vec<Spanned<IpAddr>> {
    read.into_iter().map(address).collect()
}

fn network(read: Spanned<Cidr>) -> Spanned<IpNet> {
    Spanned::new(read.span(), read.into_inner().0)
}

fn read_pods(root: &Table<'_>) -> ReadPods {
    let mut pods =
        ReadPods { plugin: None, dns_address: None, dns_upstream: Some(Vec::new()), images: Some(Vec::new()) };
    if let Some(network) = root.table("network") {
        pods.plugin = network.parse("plugin");
        network.finish();
    }
    if let Some(dns) = root.table("dns") {
        pods.dns_address = dns.parse("address").map(address);
        if dns.span_of("upstream").is_some() {
            pods.dns_upstream = dns.list("upstream").map(addresses);
        }
        dns.finish();
    }
    if let Some(images) = root.table("images") {
        if images.span_of("extra").is_some() {
            pods.images = images.list("extra");
        }
        images.finish();
    }
    pods
}

fn read_output(table: Option<Table<'_>>) -> ReadOutput {
    let mut output = ReadOutput {
        formats_span: None,
        formats: Some(vec![Spanned::new(0..0, Format::Tarball)]),
        deb: DebSpec::default(),
        seed: ReadSeed { ssh_authorized_keys: Some(Vec::new()), ..ReadSeed::default() },
        names_mirror: false,
        mirror: None,
    };
    let Some(table) = table else { return output };
    output.names_mirror = table.span_of("mirror").is_some();
    output.formats_span = table.span_of("formats");
    if output.formats_span.is_some() {
        output.formats = table.list("formats");
    }
    if let Some(deb) = table.table("deb") {
        output.deb = DebSpec {
            layout: deb.parse("layout").map(Spanned::into_inner).unwrap_or_default(),
            compression: deb.parse("compression").map(Spanned::into_inner).unwrap_or_default(),
            revision: deb.count("revision"),
        };
        deb.finish();
    }
    if let Some(seed) = table.table("seed") {
        output.seed = ReadSeed {
            payload: seed.parse("payload").map(Spanned::into_inner).unwrap_or_default(),
            image: seed.parse("image").map(Spanned::into_inner).unwrap_or_default(),
            layout: seed.parse("layout"),
            ssh_authorized_keys: seed.list("ssh_authorized_keys"),
        };
        seed.finish();
    }
    if let Some(mirror) = table.table("mirror") {
        output.mirror = mirror.require("url", "\"http://192.0.2.1/roc\"");
        mirror.finish();
    }
    output.names_mirror |= table.finish().contains("mirror");
    output
}

fn read_node(table: Table<'_>) -> ReadNode {
    let mut node = ReadNode {
        span: table.span.clone(),
        name: table.require("name", "\"master-1\""),
        address: table.require("address", "\"192.0.2.11\"").map(address),
        roles_span: table.span_of("roles"),
        roles: table.list("roles"),
        provides: BTreeSet::new(),
        pod_cidr: table.parse("pod_cidr").map(self::network),
        network: table.table("network").map(read_network),
        names_recipient: table.span_of("recipient").is_some(),
        recipient: table.parse("recipient"),
    };
    let misspelt = table.finish();
    if misspelt.contains("roles") {
        node.roles = None;
    }
    node.names_recipient |= misspelt.contains("recipient");
    node
}

fn read_network(table: Table<'_>) -> ReadNetwork {
    let mut network = ReadNetwork {
        span: table.span.clone(),
        names_card: table.span_of("mac").or_else(|| table.span_of("interface")).is_some(),
        names_address: table.span_of("address").is_some(),
        mac: table.parse("mac"),
        interface: table.parse("interface"),
        dhcp: table.flag("dhcp").unwrap_or_default(),
        address: table.parse("address").map(self::network),
        gateway: table.parse("gateway").map(address),
        dns: table.list("dns").map(addresses),
    };
    let misspelt = table.finish();
    network.names_card |= ["mac", "interface"].iter().any(|key| misspelt.contains(key));
    network.names_address |= ["address", "dhcp"].iter().any(|key| misspelt.contains(key));
    network
}

/// `None` only if an error was added for it.
fn read_secrets(root: &Table<'_>) -> Option<Spanned<Seal>> {
    let off = Some(Spanned::new(0..0, Seal::Off));
    let Some(table) = root.table("secrets") else { return off };
    let seal = if table.span_of("seal").is_some() { table.parse("seal") } else { off };
    let misspelt = table.finish().contains("seal");
    seal.filter(|_| !misspelt)
}

fn read_pki(table: Option<Table<'_>>) -> ReadPki {
    let mut pki = ReadPki {
        key: KeyAlgorithm::Rsa2048,
        ca_validity: Spanned::new(0..0, Lifetime::days(3650)),
        validity: Spanned::new(0..0, Lifetime::days(365)),
        token_validity: Lifetime::days(7),
        subject: Subject::default(),
        existing_ca: None,
        ca_key_on: None,
    };
    let Some(table) = table else { return pki };
    if let Some(key) = table.parse("key") {
        pki.key = key.into_inner();
    }
    if let Some(validity) = table.parse("ca_validity") {
        pki.ca_validity = validity;
    }
    if let Some(validity) = table.parse("validity") {
        pki.validity = validity;
    }
    if let Some(validity) = table.parse("token_validity") {
        pki.token_validity = validity.into_inner();
    }
    if let Some(subject) = table.table("subject") {
        pki.subject = Subject {
            country: subject.parse("country").map(Spanned::into_inner).map(|Country(text)| text),
            state: subject.parse("state").map(Spanned::into_inner).map(|Printable(text)| text),
            locality: subject.parse("locality").map(Spanned::into_inner).map(|Printable(text)| text),
        };
        subject.finish();
    }
    pki.existing_ca = table.together(["ca_cert", "ca_key"]).map(|[cert, key]| ExistingCa { cert, key });
    pki.ca_key_on = table.span_of("ca_key_on").and_then(|_| table.list("ca_key_on"));
    table.finish();
    pki
}
