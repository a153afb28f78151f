//! Rules for networks and addresses: what kube-apiserver and kube-controller-manager v1.16 accept, and which
//! addresses other machines can connect to.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;

use ipnet::{IpNet, Ipv4Net};

use crate::diagnostic::Diagnostic;
use crate::spec::names::Host;
use crate::spec::network;
use crate::spec::raw::FaultList;
use crate::spec::read::Read;

/// Bits of the service network's addresses that may differ, at most.
const MOST_SERVICE_BITS: u8 = 20;

/// Bits by which the pod network may be wider than the range of one node, at most.
const MOST_POD_BITS: u8 = 16;

pub(super) fn networks_have_no_host_bits(read: &Read, faults: &FaultList) {
    for (key, cidr) in read.networks() {
        let network = cidr.get_ref().trunc();
        if network != *cidr.get_ref() {
            faults.add(
                Diagnostic::error(
                    cidr.span(),
                    format!("`{key}` has host bits set: {}", cidr.get_ref()),
                    "this is an address, not a network",
                )
                .help(format!("write `{network}`")),
            );
        }
    }
}

pub(super) fn networks_do_not_overlap(read: &Read, faults: &FaultList) {
    let (Some(pods), Some(services)) = (&read.pod_cidr, &read.service_cidr) else { return };
    let is_reported = read.networks().any(|(key, cidr)| is_too_large(key, *cidr.get_ref()));
    if !is_reported && network::overlap(*pods.get_ref(), *services.get_ref()) {
        faults.add(
            Diagnostic::error(services.span(), "`pod_cidr` and `service_cidr` overlap", "service network")
                .and(pods.span(), "pod network")
                .help("choose two networks that share no address, such as 10.10.0.0/16 and 10.32.0.0/16"),
        );
    }
}

/// Addresses that mean something else to every machine, so that nothing is routed to them.
const SPECIAL: [(Ipv4Net, &str); 4] = [
    (Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 8), "this machine"),
    (Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8), "loopback"),
    (Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 0, 0), 16), "link-local"),
    (Ipv4Net::new_assert(Ipv4Addr::new(224, 0, 0, 0), 3), "multicast and reserved"),
];

pub(super) fn networks_can_be_routed(read: &Read, faults: &FaultList) {
    for (key, cidr) in read.networks().filter(|(key, cidr)| !is_too_large(key, *cidr.get_ref())) {
        let found = SPECIAL.iter().find(|(special, _)| network::overlap(IpNet::V4(*special), *cidr.get_ref()));
        if let Some((special, meaning)) = found {
            faults.add(
                Diagnostic::error(
                    cidr.span(),
                    format!("`{key}` has addresses of {special}, which are never routed"),
                    format!("special addresses: {meaning}"),
                )
                .help("choose a private network (RFC 1918) that no machine is in, such as 10.10.0.0/16"),
            );
        }
    }
}

/// Whether a network is refused for its size: what else is wrong with it may change with that.
fn is_too_large(key: &str, cidr: IpNet) -> bool {
    match key {
        "service_cidr" => network::host_bits(cidr) > MOST_SERVICE_BITS,
        _ => cidr.addr().is_ipv4() && cidr.prefix_len() + MOST_POD_BITS < network::NODE_PREFIX,
    }
}

/// `validateClusterIPFlags` of kube-apiserver v1.16: at most 20 host bits, at least 8 addresses.
pub(super) fn service_network_has_a_size_the_api_server_takes(read: &Read, faults: &FaultList) {
    let Some(cidr) = &read.service_cidr else { return };
    let bits = network::host_bits(*cidr.get_ref());
    if bits < 3 {
        faults.add(
            Diagnostic::error(cidr.span(), "`service_cidr` is too small", "fewer than 8 addresses")
                .help("kube-apiserver needs at least 8 addresses: use a /29 or wider; a /16 is common"),
        );
    } else if bits > MOST_SERVICE_BITS {
        faults.add(
            Diagnostic::error(cidr.span(), "`service_cidr` is too large", "more than 2^20 addresses")
                .help("kube-apiserver v1.16 refuses more than 20 host bits: use a /12 or narrower"),
        );
    }
}

/// kube-controller-manager gives each node a /24, and refuses a pod network more than 16 bits wider than that.
pub(super) fn pod_network_has_room_for_every_node(read: &Read, faults: &FaultList) {
    // IPv6 is an error already (`everything_is_ipv4`), and its default node prefix is another one.
    let Some(cidr) = read.pod_cidr.as_ref().filter(|cidr| cidr.get_ref().addr().is_ipv4()) else { return };
    if cidr.get_ref().prefix_len() > network::NODE_PREFIX {
        let prefix = network::NODE_PREFIX;
        faults.add(
            Diagnostic::error(
                cidr.span(),
                "`pod_cidr` is too small for one node",
                format!("expected a /{prefix} or wider"),
            )
            .help(format!("each node takes a /{prefix}: a /16 is enough for 256 nodes")),
        );
        return;
    }
    let capacity = network::node_capacity(*cidr.get_ref());
    // Without nodes that run pods, any of them may get a kubelet later.
    let workers = read.workers().filter(|node| node.pod_cidr.is_none()).count();
    let nodes = if read.workers().next().is_some() { workers } else { read.nodes.len() } as u64;
    if capacity < nodes.max(1) {
        faults.add(
            Diagnostic::error(
                cidr.span(),
                "`pod_cidr` is too small for the number of nodes",
                format!("room for {capacity}, need {nodes}"),
            )
            .help(format!("each node takes a /{}: a /16 is enough for 256 nodes", network::NODE_PREFIX)),
        );
    } else if is_too_large("pod_cidr", *cidr.get_ref()) {
        faults.add(
            Diagnostic::error(cidr.span(), "`pod_cidr` is too large", "kube-controller-manager refuses it")
                .help("use a /8 or narrower"),
        );
    }
}

/// The pod and the service network exist only inside the cluster. One error for each of them: either it was chosen
/// wrongly, and then it may contain every machine, or a single address is mistyped.
pub(super) fn machines_are_outside_the_cluster_networks(read: &Read, faults: &FaultList) {
    let nodes = read.addresses().map(|address| ("node address", *address.get_ref(), address.span()));
    let etcd = read.etcd.iter().flatten().map(|endpoint| ("etcd endpoint", endpoint));
    let endpoints = etcd.chain(read.endpoint.iter().map(|endpoint| ("endpoint", endpoint)));
    let endpoints = endpoints.filter_map(|(who, endpoint)| match endpoint.get_ref().host {
        Host::Ip(address) => Some((who, address, endpoint.span())),
        Host::Name(_) => None,
    });
    let mut machines: Vec<(&str, IpAddr, Range<usize>)> = nodes.collect();
    for endpoint in endpoints {
        // The endpoint is mostly a node, and then its address is reported with the node's.
        if !machines.iter().any(|(_, address, _)| *address == endpoint.1) {
            machines.push(endpoint);
        }
    }
    for (key, cidr) in read.networks().filter(|(key, cidr)| !is_too_large(key, *cidr.get_ref())) {
        let inside: Vec<_> = machines.iter().filter(|(_, address, _)| cidr.get_ref().contains(address)).collect();
        let [(who, address, span), others @ ..] = &inside[..] else { continue };
        let error = if others.is_empty() {
            Diagnostic::error(span.clone(), format!("{who} `{address}` is inside `{key}`"), "this address")
                .and(cidr.span(), "this network exists only inside the cluster")
        } else {
            let message = format!("`{key}` contains the addresses of {} machines", inside.len());
            Diagnostic::error(cidr.span(), message, "this network exists only inside the cluster")
                .and(span.clone(), "the first of these addresses")
        };
        faults.add(error.help("choose cluster networks that contain no machine's address"));
    }
}

pub(super) fn addresses_can_be_dialled(read: &Read, faults: &FaultList) {
    for address in read.addresses() {
        let ip = address.get_ref();
        if ip.is_loopback() || is_nobodys(ip) {
            faults.add(Diagnostic::error(
                address.span(),
                format!("node address `{ip}` is not reachable from other machines"),
                "expected the machine's own address on its network",
            ));
        }
    }
    for endpoint in read.etcd.iter().flatten().chain(&read.endpoint) {
        if let Host::Ip(ip) = endpoint.get_ref().host
            && is_nobodys(&ip)
        {
            let message = format!("`{ip}` can't be the address of a machine");
            faults.add(Diagnostic::error(endpoint.span(), message, "expected an address that others can connect to"));
        }
    }
}

/// Unspecified, broadcast, multicast and link-local addresses: none of them is reachable as one machine from another.
fn is_nobodys(ip: &IpAddr) -> bool {
    let special = match ip {
        IpAddr::V4(ip) => ip.is_broadcast() || ip.is_link_local(),
        IpAddr::V6(_) => false,
    };
    special || ip.is_unspecified() || ip.is_multicast()
}

/// The known issues of v1.16.0: its etcd client mangles IPv6 literals; dual stack is alpha. One error for all addresses.
pub(super) fn everything_is_ipv4(read: &Read, faults: &FaultList) {
    let networks = read.networks().map(|(_, cidr)| (cidr.get_ref().addr(), cidr.span()));
    let endpoints = read.etcd.iter().flatten().chain(&read.endpoint);
    let endpoints = endpoints.filter_map(|endpoint| match endpoint.get_ref().host {
        Host::Ip(address) => Some((address, endpoint.span())),
        Host::Name(_) => None,
    });
    let nodes = read.addresses().map(|address| (*address.get_ref(), address.span()));
    let mut found: Vec<_> = networks.chain(endpoints).chain(nodes).filter(|(address, _)| address.is_ipv6()).collect();
    found.sort_by_key(|(_, span)| span.start);
    let [(address, span), others @ ..] = &found[..] else { return };
    let message = match others.len() {
        0 => format!("`{address}` is IPv6"),
        more => format!("`{address}` and {more} more are IPv6"),
    };
    faults.add(
        Diagnostic::error(span.clone(), message, "expected IPv4")
            .help("Kubernetes v1.16.0 does not handle IPv6 addresses of etcd (release notes, known issues)"),
    );
}
