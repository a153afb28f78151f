//! The rules of `cluster.toml`, one small function each.
//!
//! [`read()`] parses each value and keeps its span, [`RULES`] check values against each other, [`Read::into_spec`]
//! drops the spans. Every rule runs, even after another one failed, so that all errors are reported at once.

mod etcd;
mod networks;
mod pods;
mod seeds;

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
use super::{API_PORT, ClusterSpec, ETCD_PORT, Etcd, Node, PkiSpec, RoleCatalog, SeedSpec, Service};
use crate::diagnostic::Diagnostic;

type Rule = fn(&Read, &FaultList);

const RULES: &[Rule] = &[
    networks::networks_have_no_host_bits,
    networks::networks_do_not_overlap,
    networks::service_network_has_a_size_the_api_server_takes,
    networks::pod_network_has_room_for_every_node,
    networks::nodes_are_outside_the_cluster_networks,
    networks::etcd_and_endpoint_are_outside_the_cluster_networks,
    endpoint_is_a_name_of_the_api_server,
    a_master_is_dialled_at_its_port,
    nodes_are_distinct,
    networks::addresses_can_be_dialled,
    there_is_a_master,
    every_node_has_a_role,
    etcd::it_has_members,
    etcd::an_even_number_of_members_is_no_safer,
    etcd::members_are_nodes_or_elsewhere,
    pods::each_node_has_a_range_of_its_own,
    pods::ranges_are_for_nodes_with_pods,
    pods::dns_is_a_service,
    pods::upstream_servers_are_elsewhere,
    pods::an_image_has_one_digest,
    pods::images_are_for_nodes_with_pods,
    leaves_do_not_outlive_their_ca,
    certificates_outlive_their_own_making,
    networks::everything_is_ipv4,
    the_domain_leaves_room_for_a_service,
    there_is_something_to_pack,
    seeds::a_card_is_told_from_the_others,
    seeds::a_card_gets_the_machines_address,
    seeds::its_gateway_can_be_reached,
    seeds::split_seeds_are_made_of_split_packages,
    seeds::user_data_alone_wants_a_mirror,
];

/// The checked spec and its warnings, or all errors.
pub(super) fn check(text: &str, roles: &RoleCatalog) -> Result<(ClusterSpec, Vec<Diagnostic>), Vec<Diagnostic>> {
    let faults = FaultList::default();
    let (table, syntax) = DeTable::parse_recoverable(text);
    for fault in &syntax {
        faults.add(Diagnostic::error(
            fault.span().unwrap_or(0..0),
            format!("not valid TOML: {}", fault.message()),
            "here",
        ));
    }
    // After a syntax error part of the file may be unread; errors about missing keys would mislead.
    if faults.has_errors() {
        return Err(faults.into_vec());
    }
    let root = Table::root(&table, &faults);
    let mut read = read(&root, &faults);
    root.finish();
    look_up_roles(&mut read, roles, &faults);
    for rule in RULES {
        rule(&read, &faults);
    }
    let failed = faults.has_errors();
    match read.into_spec() {
        Some(spec) if !failed => Ok((spec, faults.into_vec())),
        _ => Err(faults.into_vec()),
    }
}

/// Where clients reach the member of etcd on a node.
fn client_url(node: &ReadNode) -> Option<Endpoint> {
    Some(Endpoint { host: Host::Ip(*node.address.as_ref()?.get_ref()), port: ETCD_PORT })
}

fn inner<T>(values: Vec<Spanned<T>>) -> Vec<T> {
    values.into_iter().map(Spanned::into_inner).collect()
}

impl Read {
    fn into_spec(self) -> Option<ClusterSpec> {
        let members: Vec<_> = self.members().filter_map(client_url).collect();
        let network_plugin = self.network_plugin();
        let ranges: Vec<_> = self.nodes.iter().map(|node| self.pod_range(node)).collect();
        let endpoints = if members.is_empty() { inner(self.etcd?) } else { members };
        let node = |(node, pod_cidr): (ReadNode, Option<IpNet>)| {
            Some(Node {
                name: node.name?.into_inner(),
                address: node.address?.into_inner(),
                roles: node.roles?.into_iter().map(Spanned::into_inner).collect(),
                provides: node.provides,
                pod_cidr,
                network: seeds::network(node.network),
            })
        };
        let service_cidr = self.service_cidr?.into_inner();
        Some(ClusterSpec {
            name: self.name?.into_inner(),
            recipe: self.recipe?.into_inner(),
            endpoint: self.endpoint?.into_inner(),
            pod_cidr: self.pod_cidr?.into_inner(),
            service_cidr,
            domain: self.domain?.into_inner(),
            apiserver_sans: self.sans?.into_iter().map(Spanned::into_inner).collect(),
            pod_security_policy: self.pod_security_policy,
            network_plugin,
            dns: pods::dns(&self.pods, service_cidr),
            images: self.pods.images?.into_iter().map(Spanned::into_inner).collect(),
            etcd: Etcd { endpoints, existing: self.existing_etcd },
            nodes: self.nodes.into_iter().zip(ranges).map(node).collect::<Option<_>>()?,
            pki: PkiSpec {
                key: self.pki.key,
                ca_validity: self.pki.ca_validity.into_inner(),
                validity: self.pki.validity.into_inner(),
                token_validity: self.pki.token_validity,
                subject: self.pki.subject,
                existing_ca: self.pki.existing_ca,
            },
            formats: self.output.formats?.into_iter().map(Spanned::into_inner).collect(),
            deb: self.output.deb,
            seed: SeedSpec {
                payload: self.output.seed.payload,
                image: self.output.seed.image,
                layout: self.output.seed.layout.map(Spanned::into_inner).unwrap_or_default(),
                ssh_authorized_keys: inner(self.output.seed.ssh_authorized_keys?),
            },
            mirror: self.output.mirror.map(Spanned::into_inner),
        })
    }

    fn networks(&self) -> impl Iterator<Item = (&'static str, &Spanned<IpNet>)> {
        let named = [("pod_cidr", &self.pod_cidr), ("service_cidr", &self.service_cidr)];
        named.into_iter().filter_map(|(key, network)| Some((key, network.as_ref()?)))
    }

    fn addresses(&self) -> impl Iterator<Item = &Spanned<IpAddr>> {
        self.nodes.iter().filter_map(|node| node.address.as_ref())
    }

    /// Nodes with an API server.
    fn masters(&self) -> impl Iterator<Item = &ReadNode> {
        self.providing(Service::ApiServer)
    }

    /// Nodes with a member of etcd.
    fn members(&self) -> impl Iterator<Item = &ReadNode> {
        self.providing(Service::Etcd)
    }

    /// Nodes that run pods.
    fn workers(&self) -> impl Iterator<Item = &ReadNode> {
        self.providing(Service::Pods)
    }

    fn providing(&self, service: Service) -> impl Iterator<Item = &ReadNode> {
        self.nodes.iter().filter(move |node| node.provides.contains(&service))
    }

    /// Whether a node with an API server has this address.
    fn is_master(&self, host: &Host) -> bool {
        let mut addresses = self.masters().filter_map(|node| node.address.as_ref());
        addresses.any(|address| *host == Host::Ip(*address.get_ref()))
    }

    /// Adds an error if `address` is in the pod or service network, which only exist inside the cluster.
    fn reject_cluster_network_address(&self, address: IpAddr, span: &Range<usize>, who: &str, faults: &FaultList) {
        for (key, cidr) in self.networks().filter(|(_, cidr)| cidr.get_ref().contains(&address)) {
            faults.add(
                Diagnostic::error(span.clone(), format!("{who} `{address}` is inside `{key}`"), "this address")
                    .and(cidr.span(), "this network exists only inside the cluster")
                    .help("choose cluster networks that contain no machine's address"),
            );
        }
    }
}

/// Whether the recipe has the roles that nodes name, and what the nodes provide by them.
fn look_up_roles(read: &mut Read, roles: &RoleCatalog, faults: &FaultList) {
    for node in &mut read.nodes {
        let Some(named) = &node.roles else { continue };
        let (known, unknown): (Vec<_>, Vec<_>) = named.iter().partition(|role| roles.has(role.get_ref()));
        node.provides = roles.services(known.into_iter().map(Spanned::get_ref));
        for role in &unknown {
            let expected: Vec<_> = roles.names().map(|name| format!("`{name}`")).collect();
            faults.add(
                Diagnostic::error(
                    role.span(),
                    format!("the recipe has no role `{}`", role.get_ref()),
                    format!("expected one of {}", expected.join(", ")),
                )
                .help("`kube-bundle recipe show` lists a recipe's roles"),
            );
        }
        if !unknown.is_empty() {
            node.roles = None;
        }
    }
}

fn endpoint_is_a_name_of_the_api_server(read: &Read, faults: &FaultList) {
    // If a node's address is invalid, it may be the one that the endpoint means; that error is already reported.
    let (Some(endpoint), Some(sans)) = (&read.endpoint, &read.sans) else { return };
    if read.nodes.iter().any(|node| node.address.is_none() || node.roles.is_none()) {
        return;
    }
    let host = &endpoint.get_ref().host;
    if !read.is_master(host) && !sans.iter().any(|san| san.get_ref() == host) {
        faults.add(
            Diagnostic::error(
                endpoint.span(),
                format!("endpoint host `{host}` is not a name of the API server"),
                "neither a master's address nor in `apiserver_sans`",
            )
            .help(format!(
                "correct it; or, if it is a virtual address or a load balancer, add \"{host}\" to `apiserver_sans`"
            )),
        );
    }
}

fn a_master_is_dialled_at_its_port(read: &Read, faults: &FaultList) {
    let Some(endpoint) = &read.endpoint else { return };
    let Endpoint { host, port } = endpoint.get_ref();
    if *port != API_PORT && read.is_master(host) {
        faults.add(
            Diagnostic::error(
                endpoint.span(),
                format!("the endpoint is a master, but masters do not listen on port {port}"),
                format!("expected port {API_PORT}"),
            )
            .help(format!("write `https://{host}:{API_PORT}`; only a load balancer may use another port")),
        );
    }
}

fn nodes_are_distinct(read: &Read, faults: &FaultList) {
    check_unique("node name", read.nodes.iter().filter_map(|node| node.name.as_ref()), faults);
    check_unique("node address", read.addresses(), faults);
    check_unique("etcd endpoint", read.etcd.iter().flatten(), faults);
}

fn check_unique<'r, T: Ord + Display + 'r>(
    what: &str,
    values: impl Iterator<Item = &'r Spanned<T>>,
    faults: &FaultList,
) {
    let mut seen = BTreeMap::new();
    for value in values {
        if let Some(first) = seen.insert(value.get_ref(), value.span()) {
            faults.add(
                Diagnostic::error(value.span(), format!("duplicate {what} `{}`", value.get_ref()), "used again here")
                    .and(first, "first used here"),
            );
        }
    }
}

fn there_is_a_master(read: &Read, faults: &FaultList) {
    // A node whose roles are invalid or missing may be meant as a master; that error is reported already.
    let may_be = |node: &ReadNode| node.roles.as_ref().is_none_or(Vec::is_empty);
    if read.masters().next().is_none() && !read.nodes.iter().any(may_be) {
        let span = read.nodes_span.clone().unwrap_or(0..0);
        faults.add(
            Diagnostic::error(span, "no node has the role `master`", "a control plane needs at least one")
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

fn leaves_do_not_outlive_their_ca(read: &Read, faults: &FaultList) {
    let (ca, leaf) = (&read.pki.ca_validity, &read.pki.validity);
    if leaf.get_ref() > ca.get_ref() {
        faults.add(Diagnostic::error(
            leaf.span(),
            format!("`validity` ({}) is longer than `ca_validity` ({})", leaf.get_ref(), ca.get_ref()),
            "certificates would outlive their CA",
        ));
    }
}

/// Certificates are valid from one day before they are issued; a validity of one day would already be over.
fn certificates_outlive_their_own_making(read: &Read, faults: &FaultList) {
    for lifetime in [&read.pki.ca_validity, &read.pki.validity] {
        if lifetime.get_ref().duration() < time::Duration::days(2) {
            faults.add(
                Diagnostic::error(
                    lifetime.span(),
                    format!("a validity of {} is too short", lifetime.get_ref()),
                    "expected at least `2d`",
                )
                .help(
                    "certificates are valid from one day before they are issued, to allow for clocks that run behind",
                ),
            );
        }
    }
}

/// The API server is named `kubernetes.default.svc.<domain>`, and a DNS name has at most 253 characters.
fn the_domain_leaves_room_for_a_service(read: &Read, faults: &FaultList) {
    let Some(domain) = &read.domain else { return };
    let longest = 253 - "kubernetes.default.svc.".len();
    if domain.get_ref().as_str().len() > longest {
        let help = format!("at most {longest} characters leave room for `kubernetes.default.svc.`");
        faults.add(
            Diagnostic::error(domain.span(), "`domain` is too long", "service names would exceed 253 characters")
                .help(help),
        );
    }
}

fn there_is_something_to_pack(read: &Read, faults: &FaultList) {
    if let (Some(span), Some([])) = (&read.output.formats_span, read.output.formats.as_deref()) {
        faults.add(
            Diagnostic::error(span.clone(), "`output.formats` is empty", "expected at least one format")
                .help("write `formats = [\"tarball\"]`"),
        );
    }
}
