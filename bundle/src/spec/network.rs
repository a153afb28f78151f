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

/// Whether two networks share an address.
pub fn overlap(one: IpNet, other: IpNet) -> bool {
    one.contains(&other.network()) || other.contains(&one.network())
}

/// Bits of an address that are not network prefix.
pub fn host_bits(network: IpNet) -> u8 {
    network.max_prefix_len() - network.prefix_len()
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
