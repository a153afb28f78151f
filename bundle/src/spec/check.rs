//! The rules of `cluster.toml`, one small function each.
//!
//! [`read()`] turns text into values with places, [`RULES`] hold between values, [`Read::into_spec`] drops the
//! places. Every rule runs, whatever the others found.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::IpAddr;
use std::ops::Range;

use ipnet::IpNet;
use toml::Spanned;
use toml::de::DeTable;

use super::names::{Endpoint, Host};
use super::raw::{FaultList, Table};
use super::read::{Read, ReadNode, read};
use super::{API_PORT, ClusterSpec, Etcd, Node, PkiSpec, network};
use crate::diagnostic::Diagnostic;

type Rule = fn(&Read, &FaultList);

const RULES: &[Rule] = &[
    networks_have_no_host_bits,
    networks_do_not_overlap,
    service_network_has_a_size_the_api_server_takes,
    pod_network_has_room_for_every_node,
    nodes_are_outside_the_cluster_networks,
    etcd_and_endpoint_are_outside_the_cluster_networks,
    endpoint_is_a_name_of_the_api_server,
    a_master_is_dialled_at_its_port,
    nodes_are_distinct,
    addresses_can_be_dialled,
    there_is_a_master,
    every_node_has_a_role,
    etcd_has_members,
    leaves_do_not_outlive_their_ca,
    certificates_outlive_their_own_making,
    everything_is_ipv4,
    the_domain_leaves_room_for_a_service,
    there_is_something_to_pack,
];

/// The spec and its warnings, or all faults.
pub(super) fn check(text: &str) -> Result<(ClusterSpec, Vec<Diagnostic>), Vec<Diagnostic>> {
    let faults = FaultList::default();
    let (table, syntax) = DeTable::parse_recoverable(text);
    for fault in &syntax {
        faults.add(Diagnostic::error(
            fault.span().unwrap_or(0..0),
            format!("the file is no TOML: {}", fault.message()),
            "here",
        ));
    }
    // After a syntax error half the file may be missing; faults about the missing half would mislead.
    if faults.has_errors() {
        return Err(faults.into_vec());
    }
    let root = Table::root(&table, &faults);
    let read = read(&root, &faults);
    root.finish();
    for rule in RULES {
        rule(&read, &faults);
    }
    let failed = faults.has_errors();
    match read.into_spec() {
        Some(spec) if !failed => Ok((spec, faults.into_vec())),
        _ => Err(faults.into_vec()),
    }
}

impl Read {
    fn into_spec(self) -> Option<ClusterSpec> {
        let node = |node: ReadNode| {
            Some(Node {
                name: node.name?.into_inner(),
                address: node.address?.into_inner(),
                roles: node.roles?.into_iter().map(Spanned::into_inner).collect(),
            })
        };
        Some(ClusterSpec {
            name: self.name?.into_inner(),
            recipe: self.recipe?.into_inner(),
            endpoint: self.endpoint?.into_inner(),
            pod_cidr: self.pod_cidr?.into_inner(),
            service_cidr: self.service_cidr?.into_inner(),
            domain: self.domain?.into_inner(),
            apiserver_sans: self.sans?.into_iter().map(Spanned::into_inner).collect(),
            etcd: Etcd {
                endpoints: self.etcd?.into_iter().map(Spanned::into_inner).collect(),
                existing: self.existing_etcd,
            },
            nodes: self.nodes.into_iter().map(node).collect::<Option<_>>()?,
            pki: PkiSpec {
                key: self.pki.key,
                ca_validity: self.pki.ca_validity.into_inner(),
                validity: self.pki.validity.into_inner(),
                token_validity: self.pki.token_validity,
                subject: self.pki.subject,
                existing_ca: self.pki.existing_ca,
            },
            formats: self.formats?.into_iter().map(Spanned::into_inner).collect(),
        })
    }

    fn networks(&self) -> impl Iterator<Item = (&'static str, &Spanned<IpNet>)> {
        let named = [("pod_cidr", &self.pod_cidr), ("service_cidr", &self.service_cidr)];
        named.into_iter().filter_map(|(key, network)| Some((key, network.as_ref()?)))
    }

    fn addresses(&self) -> impl Iterator<Item = &Spanned<IpAddr>> {
        self.nodes.iter().filter_map(|node| node.address.as_ref())
    }

    /// Notes that `address` lies in one of the networks that only the cluster's inside knows.
    fn refuse_inside(&self, address: IpAddr, span: &Range<usize>, who: &str, faults: &FaultList) {
        for (key, cidr) in self.networks().filter(|(_, cidr)| cidr.get_ref().contains(&address)) {
            faults.add(
                Diagnostic::error(span.clone(), format!("{who} `{address}` lies inside `{key}`"), "this address")
                    .and(cidr.span(), "this network is routed inside the cluster only")
                    .help("choose cluster networks that no machine has an address in"),
            );
        }
    }
}

fn networks_have_no_host_bits(read: &Read, faults: &FaultList) {
    for (key, cidr) in read.networks() {
        let network = cidr.get_ref().trunc();
        if network != *cidr.get_ref() {
            faults.add(
                Diagnostic::error(
                    cidr.span(),
                    format!("`{key}` has host bits set: {}", cidr.get_ref()),
                    "names an address, not a network",
                )
                .help(format!("write `{network}`")),
            );
        }
    }
}

fn networks_do_not_overlap(read: &Read, faults: &FaultList) {
    let (Some(pods), Some(services)) = (&read.pod_cidr, &read.service_cidr) else { return };
    if network::overlap(*pods.get_ref(), *services.get_ref()) {
        faults.add(
            Diagnostic::error(services.span(), "`pod_cidr` and `service_cidr` overlap", "services here")
                .and(pods.span(), "pods here")
                .help("choose two networks that share no address, such as 10.10.0.0/16 and 10.32.0.0/16"),
        );
    }
}

/// `validateClusterIPFlags` of kube-apiserver v1.16: at most 20 host bits, at least 8 addresses.
fn service_network_has_a_size_the_api_server_takes(read: &Read, faults: &FaultList) {
    let Some(cidr) = &read.service_cidr else { return };
    let bits = network::host_bits(*cidr.get_ref());
    if bits < 3 {
        faults.add(
            Diagnostic::error(cidr.span(), "`service_cidr` is too small", "fewer than 8 addresses")
                .help("kube-apiserver wants at least 8 addresses: a /29 or wider, better a /16"),
        );
    } else if bits > 20 {
        faults.add(
            Diagnostic::error(cidr.span(), "`service_cidr` is too large", "more than 2^20 addresses")
                .help("kube-apiserver v1.16 refuses more than 20 host bits: a /12 or narrower"),
        );
    }
}

/// kube-controller-manager hands each node a /24, and refuses more than 16 bits between the two masks.
fn pod_network_has_room_for_every_node(read: &Read, faults: &FaultList) {
    // How IPv6 is divided among nodes is another story, and v1.16 does not take it here.
    let Some(cidr) = read.pod_cidr.as_ref().filter(|cidr| cidr.get_ref().addr().is_ipv4()) else { return };
    let capacity = network::node_capacity(*cidr.get_ref());
    let nodes = read.nodes.len() as u64;
    if capacity < nodes.max(1) {
        faults.add(
            Diagnostic::error(
                cidr.span(),
                format!("`pod_cidr` has room for {capacity} nodes, and there are {nodes}"),
                "too small",
            )
            .help(format!("each node takes a /{}: a /16 serves 256 nodes", network::NODE_PREFIX)),
        );
    } else if cidr.get_ref().prefix_len() + 16 < network::NODE_PREFIX {
        faults.add(
            Diagnostic::error(cidr.span(), "`pod_cidr` is too large", "kube-controller-manager refuses it")
                .help("a /8 or narrower"),
        );
    }
}

fn nodes_are_outside_the_cluster_networks(read: &Read, faults: &FaultList) {
    for address in read.addresses() {
        read.refuse_inside(*address.get_ref(), &address.span(), "node address", faults);
    }
}

fn etcd_and_endpoint_are_outside_the_cluster_networks(read: &Read, faults: &FaultList) {
    let etcd = read.etcd.iter().flatten().map(|endpoint| ("etcd endpoint", endpoint));
    for (who, endpoint) in etcd.chain(read.endpoint.iter().map(|endpoint| ("endpoint", endpoint))) {
        if let Host::Ip(address) = endpoint.get_ref().host {
            read.refuse_inside(address, &endpoint.span(), who, faults);
        }
    }
}

fn endpoint_is_a_name_of_the_api_server(read: &Read, faults: &FaultList) {
    // A mistyped address elsewhere may be the one that is meant; it is a fault of its own.
    let (Some(endpoint), Some(sans)) = (&read.endpoint, &read.sans) else { return };
    if read.nodes.iter().any(|node| node.address.is_none()) {
        return;
    }
    let host = &endpoint.get_ref().host;
    let is_master = read.addresses().any(|address| *host == Host::Ip(*address.get_ref()));
    if !is_master && !sans.iter().any(|san| san.get_ref() == host) {
        faults.add(
            Diagnostic::error(
                endpoint.span(),
                format!("no API server is known by the endpoint's name `{host}`"),
                "neither a master's address nor in `apiserver_sans`",
            )
            .help(format!(
                "correct it, or, if it is a virtual address or a load balancer, add \"{host}\" to `apiserver_sans`"
            )),
        );
    }
}

fn a_master_is_dialled_at_its_port(read: &Read, faults: &FaultList) {
    let Some(endpoint) = &read.endpoint else { return };
    let Endpoint { host, port } = endpoint.get_ref();
    if *port != API_PORT && read.addresses().any(|address| *host == Host::Ip(*address.get_ref())) {
        faults.add(
            Diagnostic::error(
                endpoint.span(),
                format!("the endpoint is a master, and no master listens on port {port}"),
                format!("expected port {API_PORT}"),
            )
            .help(format!("write `https://{host}:{API_PORT}`; only a load balancer may use another port")),
        );
    }
}

fn nodes_are_distinct(read: &Read, faults: &FaultList) {
    no_twins("node name", read.nodes.iter().filter_map(|node| node.name.as_ref()), faults);
    no_twins("node address", read.addresses(), faults);
    no_twins("etcd endpoint", read.etcd.iter().flatten(), faults);
}

fn no_twins<'r, T: Ord + Display + 'r>(what: &str, values: impl Iterator<Item = &'r Spanned<T>>, faults: &FaultList) {
    let mut seen = BTreeMap::new();
    for value in values {
        if let Some(first) = seen.insert(value.get_ref(), value.span()) {
            faults.add(
                Diagnostic::error(value.span(), format!("{what} `{}` is given twice", value.get_ref()), "again here")
                    .and(first, "first here"),
            );
        }
    }
}

fn addresses_can_be_dialled(read: &Read, faults: &FaultList) {
    for address in read.addresses() {
        let ip = address.get_ref();
        if ip.is_loopback() || is_nobodys(ip) {
            faults.add(Diagnostic::error(
                address.span(),
                format!("node address `{ip}` can't be reached from another machine"),
                "expected the machine's own address on its network",
            ));
        }
    }
    for endpoint in read.etcd.iter().flatten().chain(&read.endpoint) {
        if let Host::Ip(ip) = endpoint.get_ref().host
            && is_nobodys(&ip)
        {
            let message = format!("nobody has the address `{ip}`");
            faults.add(Diagnostic::error(endpoint.span(), message, "expected an address that can be dialled"));
        }
    }
}

/// Addresses that no single machine on a network has.
fn is_nobodys(ip: &IpAddr) -> bool {
    let special = match ip {
        IpAddr::V4(ip) => ip.is_broadcast() || ip.is_link_local(),
        IpAddr::V6(_) => false,
    };
    special || ip.is_unspecified() || ip.is_multicast()
}

fn there_is_a_master(read: &Read, faults: &FaultList) {
    // Master is the only role, so a node without it is a fault of its own, and this one would only repeat it.
    if read.nodes.is_empty() {
        let span = read.nodes_span.clone().unwrap_or(0..0);
        faults.add(
            Diagnostic::error(span, "no node is a master", "a control plane needs at least one")
                .help("add `[[nodes]]` with `name`, `address` and `roles = [\"master\"]`"),
        );
    }
}

fn every_node_has_a_role(read: &Read, faults: &FaultList) {
    for node in read.nodes.iter().filter(|node| node.roles.as_ref().is_some_and(Vec::is_empty)) {
        let (span, why) = match &node.roles_span {
            Some(span) => (span, "`roles` is empty"),
            None => (&node.span, "`roles` is missing"),
        };
        faults.add(Diagnostic::error(span.clone(), "this node has no role", why).help("write `roles = [\"master\"]`"));
    }
}

fn etcd_has_members(read: &Read, faults: &FaultList) {
    let (Some(span), Some(etcd)) = (&read.etcd_span, &read.etcd) else { return };
    match (etcd.first(), etcd.last()) {
        (Some(first), Some(last)) if etcd.len() % 2 == 0 => {
            let count = etcd.len();
            let message = format!("etcd with {count} members survives no more failures than with {}", count - 1);
            faults.add(
                Diagnostic::warning(first.span().start..last.span().end, message, "an even number")
                    .help("use 1, 3 or 5 members"),
            );
        }
        (None, _) => faults.add(
            Diagnostic::error(span.clone(), "etcd has no endpoint", "`endpoints` is missing or empty")
                .help("for example `endpoints = [\"https://10.200.16.79:2379\"]`"),
        ),
        _ => {}
    }
}

fn leaves_do_not_outlive_their_ca(read: &Read, faults: &FaultList) {
    let (ca, leaf) = (&read.pki.ca_validity, &read.pki.validity);
    if leaf.get_ref() > ca.get_ref() {
        faults.add(Diagnostic::error(
            leaf.span(),
            format!("certificates would outlive their CA: {} after {}", leaf.get_ref(), ca.get_ref()),
            "longer than `ca_validity`",
        ));
    }
}

/// Certificates begin a day before they are made; one that lives a day would be over at once.
fn certificates_outlive_their_own_making(read: &Read, faults: &FaultList) {
    for lifetime in [&read.pki.ca_validity, &read.pki.validity] {
        if lifetime.get_ref().duration() < time::Duration::days(2) {
            faults.add(
                Diagnostic::error(
                    lifetime.span(),
                    format!("a certificate can't live {} only", lifetime.get_ref()),
                    "expected at least `2d`",
                )
                .help("certificates begin a day before they are made, for the sake of clocks that run behind"),
            );
        }
    }
}

/// The known issues of v1.16.0: its etcd client mangles IPv6 literals; dual stack is alpha.
fn everything_is_ipv4(read: &Read, faults: &FaultList) {
    let networks = read.networks().map(|(_, cidr)| (cidr.get_ref().addr(), cidr.span()));
    let endpoints = read.etcd.iter().flatten().chain(&read.endpoint);
    let endpoints = endpoints.filter_map(|endpoint| match endpoint.get_ref().host {
        Host::Ip(address) => Some((address, endpoint.span())),
        Host::Name(_) => None,
    });
    let nodes = read.addresses().map(|address| (*address.get_ref(), address.span()));
    for (address, span) in networks.chain(endpoints).chain(nodes).filter(|(address, _)| address.is_ipv6()) {
        faults.add(
            Diagnostic::error(span, format!("`{address}` is IPv6"), "expected IPv4")
                .help("Kubernetes v1.16.0 mangles IPv6 addresses of etcd (its release notes, known issues)"),
        );
    }
}

/// The API server is named `kubernetes.default.svc.<domain>`, and a DNS name ends at 253 characters.
fn the_domain_leaves_room_for_a_service(read: &Read, faults: &FaultList) {
    let Some(domain) = &read.domain else { return };
    let longest = 253 - "kubernetes.default.svc.".len();
    if domain.get_ref().as_str().len() > longest {
        let help = format!("at most {longest} characters leave room for `kubernetes.default.svc.`");
        faults.add(
            Diagnostic::error(domain.span(), "`domain` is too long", "names of services would not fit").help(help),
        );
    }
}

fn there_is_something_to_pack(read: &Read, faults: &FaultList) {
    if let (Some(span), Some([])) = (&read.formats_span, read.formats.as_deref()) {
        faults.add(
            Diagnostic::error(span.clone(), "there is nothing to pack", "no format")
                .help("write `formats = [\"tarball\"]`"),
        );
    }
    let (ready, later): (Vec<_>, Vec<_>) =
        read.formats.iter().flatten().partition(|format| format.get_ref().is_available());
    for format in later {
        let message = format!("format `{}` is not written by this version", format.get_ref());
        if ready.is_empty() {
            faults.add(Diagnostic::error(format.span(), message, "nothing would be packed").help("add \"tarball\""));
        } else {
            faults.add(Diagnostic::warning(format.span(), message, "left out"));
        }
    }
}
