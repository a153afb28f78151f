//! Rules for what pods need: ranges of addresses, DNS, images.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::diagnostic::Diagnostic;
use crate::spec::raw::FaultList;
use crate::spec::read::{Read, ReadNode, ReadPods};
use crate::spec::{Dns, NetworkPlugin, Service, network};

impl Read {
    /// Without nodes that run pods there is nothing to connect: machines that join later bring their own network.
    pub(super) fn network_plugin(&self) -> NetworkPlugin {
        let by_default = if self.workers().next().is_some() { NetworkPlugin::Routes } else { NetworkPlugin::None };
        self.pods.plugin.as_ref().map_or(by_default, |plugin| *plugin.get_ref())
    }

    /// The addresses of a node's pods, where this file decides about them.
    pub(super) fn pod_range(&self, node: &ReadNode) -> Option<IpNet> {
        if self.network_plugin() != NetworkPlugin::Routes || !node.provides.contains(&Service::Pods) {
            return None;
        }
        let own = node.pod_cidr.as_ref().map(|range| *range.get_ref());
        own.or_else(|| network::pod_range(*self.pod_cidr.as_ref()?.get_ref(), *node.address.as_ref()?.get_ref()))
    }
}

/// `[dns]` with its default.
pub(super) fn dns(pods: &ReadPods, service_cidr: IpNet) -> Dns {
    let address = pods.dns_address.as_ref().map(|address| *address.get_ref());
    let upstream = pods.dns_upstream.iter().flatten().map(|server| *server.get_ref()).collect();
    // A network without a tenth address needs an address of its own as soon as there are pods; see `dns_is_a_service`.
    let by_default = network::dns_service_ip(service_cidr).unwrap_or(service_cidr.addr());
    Dns { address: address.unwrap_or(by_default), upstream }
}

pub(super) fn each_node_has_a_range_of_its_own(read: &Read, faults: &FaultList) {
    let Some(pods) = &read.pod_cidr else { return };
    let mut taken: Vec<(IpNet, &ReadNode)> = Vec::new();
    for node in &read.nodes {
        let Some(range) = read.pod_range(node) else { continue };
        let span = node.pod_cidr.as_ref().map_or_else(|| node.span.clone(), toml::Spanned::span);
        if !pods.get_ref().contains(&range) {
            faults.add(
                Diagnostic::error(
                    span.clone(),
                    format!("the range `{range}` is outside `pod_cidr`"),
                    "pods of this node",
                )
                .and(pods.span(), "the pod network")
                .help("choose a part of the pod network"),
            );
        }
        if range.trunc() != range {
            faults.add(
                Diagnostic::error(
                    span.clone(),
                    format!("the range `{range}` has host bits set"),
                    "an address, not a network",
                )
                .help(format!("write `{}`", range.trunc())),
            );
        }
        if network::host_bits(range) < 2 {
            faults.add(
                Diagnostic::error(span.clone(), format!("the range `{range}` is too small"), "no address for a pod")
                    .help("use a /30 or wider; a /24 is common"),
            );
        }
        if let Some((other, first)) = taken.iter().find(|(other, _)| network::overlap(*other, range)) {
            let message = format!("two nodes would give their pods the same addresses: `{other}` and `{range}`");
            faults.add(Diagnostic::error(span, message, "this node").and(first.span.clone(), "and this one").help(
                "a range follows from the last bits of a node's address; give one of the nodes another with `pod_cidr`",
            ));
        }
        taken.push((range, node));
    }
}

pub(super) fn ranges_are_for_nodes_with_pods(read: &Read, faults: &FaultList) {
    for node in &read.nodes {
        let (Some(range), None) = (&node.pod_cidr, read.pod_range(node)) else { continue };
        // A node whose roles are invalid may be meant to run pods; that error is reported already.
        if node.roles.is_none() {
            continue;
        }
        faults.add(
            Diagnostic::error(range.span(), "this node gets no range of the pod network", "not used")
                .help("`pod_cidr` is for nodes with the role `worker`, with `plugin = \"routes\"`"),
        );
    }
}

pub(super) fn dns_is_a_service(read: &Read, faults: &FaultList) {
    let Some(services) = &read.service_cidr else { return };
    let network = *services.get_ref();
    let Some(address) = &read.pods.dns_address else {
        if network::dns_service_ip(network).is_none() && read.workers().next().is_some() {
            faults.add(
                Diagnostic::error(
                    services.span(),
                    "`service_cidr` has no tenth address for DNS",
                    "too small for the default",
                )
                .help("choose an address of this network: `address` in `[dns]`"),
            );
        }
        return;
    };
    let ends = [network.network(), network.broadcast()];
    let is_inside = network.contains(address.get_ref()) && !ends.contains(address.get_ref());
    if !is_inside || network::first_service_ip(network) == Some(*address.get_ref()) {
        faults.add(
            Diagnostic::error(
                address.span(),
                format!("`{}` can't be the address of DNS", address.get_ref()),
                "this address",
            )
            .and(services.span(), "the service network, whose first address is the API server's")
            .help("choose another address of the service network; the tenth is common"),
        );
    }
}

/// The cluster's DNS server would ask itself, and stop: its plugin `loop` sees that.
pub(super) fn upstream_servers_are_elsewhere(read: &Read, faults: &FaultList) {
    let own: Vec<IpAddr> = read.masters().filter_map(|node| node.address.as_ref()).map(|it| *it.get_ref()).collect();
    for server in read.pods.dns_upstream.iter().flatten() {
        let address = server.get_ref();
        let is_of_cluster = read.networks().any(|(_, network)| network.get_ref().contains(address));
        if address.is_loopback() || address.is_unspecified() || own.contains(address) || is_of_cluster {
            faults.add(
                Diagnostic::error(server.span(), format!("`{address}` would ask itself"), "a server of this cluster")
                    .help("name the site's DNS servers; or leave `upstream` out, and only names of the cluster exist"),
            );
        }
    }
}

pub(super) fn an_image_has_one_digest(read: &Read, faults: &FaultList) {
    let mut seen = BTreeMap::new();
    for image in read.pods.images.iter().flatten() {
        if let Some(first) = seen.insert(&image.get_ref().name, image.span()) {
            let message = format!("the image `{}` is named twice", image.get_ref().name);
            faults.add(Diagnostic::error(image.span(), message, "again here").and(first, "first named here"));
        }
    }
}

pub(super) fn images_are_for_nodes_with_pods(read: &Read, faults: &FaultList) {
    let Some(first) = read.pods.images.iter().flatten().next() else { return };
    if read.workers().next().is_none() && read.nodes.iter().all(|node| node.roles.is_some()) {
        faults.add(
            Diagnostic::error(first.span(), "no node runs pods, so no node needs images", "not used")
                .help("give a node the role `worker`, or remove `[images]`"),
        );
    }
}
