//! The rules of `cluster.toml`, one small function each.
//!
//! [`read()`] parses each value and keeps its span, [`RULES`] check values against each other, [`Read::into_spec`]
//! drops the spans. Every rule runs, even after another one failed, so that all errors are reported at once.

mod etcd;
mod examples;
mod networks;
mod nodes;
mod pods;
mod secrets;
mod seeds;

use std::net::IpAddr;

use ipnet::IpNet;
use toml::Spanned;
use toml::de::DeTable;

use super::names::{Endpoint, Host};
use super::raw::{FaultList, Table};
use super::read::{Read, ReadNode, read};
use super::{ClusterSpec, ETCD_PORT, Etcd, Node, PkiSpec, RoleCatalog, SeedSpec, Service, syntax};
use crate::diagnostic::Diagnostic;
use crate::hash::Sha256;

type Rule = fn(&Read, &FaultList);

const RULES: &[Rule] = &[
    networks::networks_have_no_host_bits,
    networks::networks_can_be_routed,
    networks::networks_do_not_overlap,
    networks::service_network_has_a_size_the_api_server_takes,
    networks::pod_network_has_room_for_every_node,
    networks::machines_are_outside_the_cluster_networks,
    nodes::endpoint_is_a_name_of_the_api_server,
    nodes::a_master_is_dialled_at_its_port,
    nodes::they_are_distinct,
    networks::addresses_can_be_dialled,
    nodes::there_are_some,
    nodes::there_is_a_master,
    nodes::each_has_a_role,
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
    secrets::a_node_that_opens_with_its_host_key_names_it,
    secrets::a_recipient_is_for_host_keys,
    secrets::the_cas_key_is_for_masters,
    secrets::each_node_has_a_recipient_of_its_own,
    networks::everything_is_ipv4,
    the_domain_leaves_room_for_a_service,
    there_is_something_to_pack,
    seeds::a_card_is_told_from_the_others,
    seeds::a_card_gets_the_machines_address,
    seeds::dhcp_says_the_rest,
    seeds::its_gateway_can_be_reached,
    seeds::split_seeds_are_made_of_split_packages,
    seeds::user_data_alone_wants_a_mirror,
];

/// The checked spec and its warnings, or all errors.
pub(super) fn check(text: &str, roles: &RoleCatalog) -> Result<(ClusterSpec, Vec<Diagnostic>), Vec<Diagnostic>> {
    if let Some(fault) = syntax::another_language(text) {
        return Err(vec![fault]);
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    // After a syntax error part of the file may be unread; errors about missing keys would mislead.
    if !errors.is_empty() {
        return Err(syntax::errors(text, table.get_ref(), &errors, &["nodes"]));
    }
    let faults = FaultList::default();
    examples::none_is_left(table.get_ref(), &faults);
    let mut read = read(Table::root(&table, &faults), text.len());
    nodes::look_up_roles(&mut read, roles, &faults);
    for rule in RULES {
        rule(&read, &faults);
    }
    let failed = faults.has_errors();
    match read.into_spec(Sha256::of(text.as_bytes())) {
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
    fn into_spec(self, text: Sha256) -> Option<ClusterSpec> {
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
                recipient: node.recipient.map(Spanned::into_inner),
            })
        };
        let service_cidr = self.service_cidr?.into_inner();
        Some(ClusterSpec {
            text,
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
                ca_key_on: self.pki.ca_key_on.map(|names| inner(names).into_iter().collect()),
            },
            seal: self.seal?.into_inner(),
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
