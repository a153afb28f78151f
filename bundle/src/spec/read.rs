//! Which keys `cluster.toml` has, and the type each is parsed as. Values keep their spans for later errors.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::str::FromStr;

use ipnet::IpNet;
use toml::Spanned;

use super::names::{ClusterName, DnsName, Endpoint, Host, NodeName, RoleName};
use super::raw::{FaultList, Table};
use super::{
    DebSpec, ExistingCa, ExistingEtcd, Format, ImageReference, InterfaceName, KeyAlgorithm, Lifetime, MacAddress,
    MirrorUrl, NetworkPlugin, Payload, RecipeRef, SeedImage, SeedLayout, Service, SshKey, Subject,
};
use crate::diagnostic::Diagnostic;

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
    pub(super) nodes_span: Option<Range<usize>>,
    pub(super) nodes: Vec<ReadNode>,
    pub(super) pki: ReadPki,
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
    /// Whether `mac` or `interface` is present, even if invalid; an invalid one must not also count as missing.
    pub(super) names_card: bool,
    /// Whether `address` is present, even if invalid.
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
}

pub(super) struct ReadPki {
    pub(super) key: KeyAlgorithm,
    pub(super) ca_validity: Spanned<Lifetime>,
    pub(super) validity: Spanned<Lifetime>,
    pub(super) token_validity: Lifetime,
    pub(super) subject: Subject,
    pub(super) existing_ca: Option<ExistingCa>,
}

pub(super) fn read(root: &Table<'_>, faults: &FaultList) -> Read {
    let cluster = root.require_table("cluster");
    let etcd = root.table("etcd");
    let nodes_span = root.span_of("nodes");
    let nodes = root.tables("nodes").into_iter().map(read_node).collect();
    let pki = read_pki(root.table("pki"), faults);
    let output = read_output(root.table("output"));
    let pods = read_pods(root);
    let mut read = Read {
        name: None,
        recipe: None,
        endpoint: None,
        pod_cidr: None,
        service_cidr: None,
        domain: "cluster.local".parse().ok().map(|domain| Spanned::new(0..0, domain)),
        sans: None,
        pod_security_policy: false,
        pods,
        etcd_span: None,
        etcd: Some(Vec::new()),
        existing_etcd: None,
        nodes_span,
        nodes,
        pki,
        output,
    };
    if let Some(cluster) = cluster {
        read.name = cluster.require("name", "\"roc\"");
        read.recipe = cluster.require("recipe", "\"v1.16.0\"");
        read.endpoint = cluster.require("endpoint", "\"https://10.200.16.79:6443\"");
        read.pod_cidr = cluster.require_number("pod_cidr", "10.10.0.0/16");
        read.service_cidr = cluster.require_number("service_cidr", "10.32.0.0/16");
        if cluster.span_of("domain").is_some() {
            read.domain = cluster.parse("domain");
        }
        read.sans = cluster.list("apiserver_sans");
        read.pod_security_policy = cluster.flag("pod_security_policy").unwrap_or_default();
        cluster.finish();
    }
    if let Some(etcd) = etcd {
        read.etcd_span = Some(etcd.span.clone());
        if etcd.span_of("endpoints").is_some() {
            read.etcd = etcd.list("endpoints");
        }
        read.existing_etcd =
            together(&etcd, ["ca", "cert", "key"], faults).map(|[ca, cert, key]| ExistingEtcd { ca, cert, key });
        etcd.finish();
    }
    read
}

fn read_pods(root: &Table<'_>) -> ReadPods {
    let mut pods =
        ReadPods { plugin: None, dns_address: None, dns_upstream: Some(Vec::new()), images: Some(Vec::new()) };
    if let Some(network) = root.table("network") {
        pods.plugin = network.parse("plugin");
        network.finish();
    }
    if let Some(dns) = root.table("dns") {
        pods.dns_address = dns.number("address", "10.32.0.10");
        if dns.span_of("upstream").is_some() {
            pods.dns_upstream = dns.list("upstream");
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
        mirror: None,
    };
    let Some(table) = table else { return output };
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
        output.mirror = mirror.require("url", "\"http://10.200.0.1/roc\"");
        mirror.finish();
    }
    table.finish();
    output
}

fn read_node(table: Table<'_>) -> ReadNode {
    let node = ReadNode {
        span: table.span.clone(),
        name: table.require("name", "\"master-1\""),
        address: table.require_number("address", "10.200.16.79"),
        roles_span: table.span_of("roles"),
        roles: table.list("roles"),
        provides: BTreeSet::new(),
        pod_cidr: table.number("pod_cidr", "10.10.79.0/24"),
        network: table.table("network").map(read_network),
    };
    table.finish();
    node
}

fn read_network(table: Table<'_>) -> ReadNetwork {
    let network = ReadNetwork {
        span: table.span.clone(),
        names_card: table.span_of("mac").or_else(|| table.span_of("interface")).is_some(),
        names_address: table.span_of("address").is_some(),
        mac: table.parse("mac"),
        interface: table.parse("interface"),
        dhcp: table.flag("dhcp").unwrap_or_default(),
        address: table.number("address", "10.200.16.79/16"),
        gateway: table.number("gateway", "10.200.0.1"),
        dns: table.list("dns"),
    };
    table.finish();
    network
}

fn read_pki(table: Option<Table<'_>>, faults: &FaultList) -> ReadPki {
    let mut pki = ReadPki {
        key: KeyAlgorithm::Rsa2048,
        ca_validity: Spanned::new(0..0, Lifetime::days(3650)),
        validity: Spanned::new(0..0, Lifetime::days(365)),
        token_validity: Lifetime::days(7),
        subject: Subject::default(),
        existing_ca: None,
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
    pki.existing_ca = together(&table, ["ca_cert", "ca_key"], faults).map(|[cert, key]| ExistingCa { cert, key });
    table.finish();
    pki
}

/// Paths that must be set together. `None` if none is set, or only some are, which adds an error.
fn together<const N: usize>(table: &Table<'_>, keys: [&'static str; N], faults: &FaultList) -> Option<[PathBuf; N]> {
    let values = keys.map(|key| table.parse::<PathBuf>(key));
    let given: Vec<_> = values.iter().flatten().collect();
    if let (Some(first), true) = (given.first(), given.len() < N) {
        let names = keys.map(|key| format!("`{key}`")).join(", ");
        faults.add(
            Diagnostic::error(first.span(), format!("{names} must be set together"), "only some are set")
                .help(format!("set all of {names}, or none")),
        );
    }
    let paths: Option<Vec<PathBuf>> = values.into_iter().map(|value| value.map(Spanned::into_inner)).collect();
    paths?.try_into().ok()
}

/// `C` of a subject: an ISO 3166-1 code, two letters.
struct Country(String);

impl FromStr for Country {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let good = text.len() == 2 && text.chars().all(|c| c.is_ascii_uppercase());
        good.then(|| Self(text.to_owned())).ok_or_else(|| "expected two capital letters (ISO 3166-1)".to_owned())
    }
}

/// `ST` and `L` of a subject: 1 to 64 characters (RFC 5280, appendix A.1), no invisible ones.
struct Printable(String);

impl FromStr for Printable {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let good = (1..=64).contains(&text.chars().count())
            && !text.chars().any(|character| character.is_control() || is_format(character));
        good.then(|| Self(text.to_owned()))
            .ok_or_else(|| "expected 1 to 64 characters, none of them a control or format character".to_owned())
    }
}

/// Unicode's categories Cf, Zl and Zp: characters that turn the direction of text, break lines, or are not seen.
fn is_format(character: char) -> bool {
    matches!(
        character,
        '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}'
            | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e007f}'
    )
}
