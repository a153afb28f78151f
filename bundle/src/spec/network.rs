//! Arithmetic on networks: what Kubernetes v1.16 derives from a CIDR.

use std::net::IpAddr;

use ipnet::IpNet;

/// Default of kube-controller-manager's `--node-cidr-mask-size`: each node gets a /24 of the pod network.
pub const NODE_PREFIX: u8 = 24;

/// The address of the `kubernetes` Service: the network address plus one. `None` if the network has no such address.
pub fn first_service_ip(network: IpNet) -> Option<IpAddr> {
    match network.network() {
        IpAddr::V4(base) => u32::from(base).checked_add(1).map(|next| IpAddr::V4(next.into())),
        IpAddr::V6(base) => u128::from(base).checked_add(1).map(|next| IpAddr::V6(next.into())),
    }
    .filter(|address| network.contains(address))
}

/// The address that the Service `kube-dns` has by convention: the network address plus ten.
pub fn dns_service_ip(network: IpNet) -> Option<IpAddr> {
    let IpAddr::V4(base) = network.network() else { return None };
    u32::from(base).checked_add(10).map(|address| IpAddr::V4(address.into())).filter(|it| network.contains(it))
}

/// The /24 of the pod network that belongs to the node with this address. It follows from the address alone, so it never
/// changes when other nodes come or go: the last bits of the address, as many as there are ranges. `None` where the
/// networks are not IPv4, or the pod network has no /24.
pub fn pod_range(pods: IpNet, node: IpAddr) -> Option<IpNet> {
    let (IpAddr::V4(base), IpAddr::V4(node)) = (pods.network(), node) else { return None };
    let bits = NODE_PREFIX.checked_sub(pods.prefix_len())?;
    let last_bits = 1u32.checked_shl(bits.into()).map_or(u32::MAX, |count| count - 1);
    let address = u32::from(base) | ((u32::from(node) & last_bits) << (32 - NODE_PREFIX));
    ipnet::Ipv4Net::new(address.into(), NODE_PREFIX).ok().map(IpNet::V4)
}

/// Whether two networks share an address.
pub fn overlap(one: IpNet, other: IpNet) -> bool {
    one.contains(&other.network()) || other.contains(&one.network())
}

/// Bits of an address that are not network prefix.
pub fn host_bits(network: IpNet) -> u8 {
    network.max_prefix_len() - network.prefix_len()
}

/// The kubelet's default.
pub const MOST_PODS: u32 = 110;

/// How many pods a node with this range is offered: one for each address beside those of the network, of the bridge, and for
/// broadcasts.
pub fn max_pods(range: IpNet) -> u32 {
    1u32.checked_shl(host_bits(range).into()).unwrap_or(u32::MAX).saturating_sub(3).min(MOST_PODS)
}

/// How many networks of [`NODE_PREFIX`] a pod network contains; 0 if it is smaller than one.
pub fn node_capacity(network: IpNet) -> u64 {
    NODE_PREFIX.checked_sub(network.prefix_len()).map_or(0, |bits| 1u64.checked_shl(bits.into()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn net(text: &str) -> IpNet {
        text.parse().expect("a network")
    }

    #[test]
    fn the_guides_service_network_starts_at_one() {
        assert_eq!(first_service_ip(net("10.32.0.0/16")), Some([10, 32, 0, 1].into()));
        assert_eq!(first_service_ip(net("10.32.0.0/32")), None);
        assert_eq!(node_capacity(net("10.10.0.0/16")), 256);
    }

    #[test]
    fn a_nodes_pods_follow_from_its_address() {
        let range = |pods: &str, node: [u8; 4]| pod_range(net(pods), node.into()).map(|range| range.to_string());
        assert_eq!(range("10.10.0.0/16", [10, 200, 16, 79]).as_deref(), Some("10.10.79.0/24"));
        assert_eq!(range("10.8.0.0/14", [10, 200, 17, 6]).as_deref(), Some("10.9.6.0/24"));
        assert_eq!(range("10.10.7.0/24", [10, 200, 17, 6]).as_deref(), Some("10.10.7.0/24"));
        assert_eq!(range("10.10.7.0/25", [10, 200, 17, 6]), None);
        assert_eq!(dns_service_ip(net("10.32.0.0/16")), Some([10, 32, 0, 10].into()));
        assert_eq!(dns_service_ip(net("10.32.0.0/29")), None);
    }

    #[test]
    fn a_node_is_offered_no_more_pods_than_it_has_addresses_for() {
        let of = |prefix: u8| max_pods(net(&format!("10.10.7.0/{prefix}")));
        assert_eq!([of(8), of(24), of(25), of(26), of(30), of(32)], [110, 110, 110, 61, 1, 0]);
    }

    proptest! {
        #[test]
        fn overlap_agrees_with_counting_addresses(a in 0u32..64, b in 0u32..64, p in 26u8..=32, q in 26u8..=32) {
            let network = |base: u32, prefix: u8| {
                ipnet::Ipv4Net::new(base.into(), prefix).expect("a prefix").trunc()
            };
            let (one, other) = (network(a, p), network(b, q));
            let share = (0u32..128).any(|n| one.contains(&std::net::Ipv4Addr::from(n)) && other.contains(&std::net::Ipv4Addr::from(n)));
            prop_assert_eq!(overlap(one.into(), other.into()), share);
        }
    }
}
