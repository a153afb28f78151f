//! Rules for the first boot: network interfaces, and what seeds are made of.

use ipnet::IpNet;
use toml::Spanned;

use crate::diagnostic::Diagnostic;
use crate::spec::raw::FaultList;
use crate::spec::read::{Read, ReadNetwork, ReadNode};
use crate::spec::{Addressing, DebLayout, Format, Interface, InterfaceName, Network, Payload, SeedLayout};

/// Bits of the prefix of the widest network that a machine may be in: there is no wider one (RFC 791, class A).
const WIDEST: u8 = 8;

/// The network settings, if there are any. Also `None` if an error was added for them.
pub(super) fn network(read: Option<ReadNetwork>) -> Option<Network> {
    let read = read?;
    let interface = match (read.mac, read.interface.map(Spanned::into_inner)) {
        (Some(mac), name) => Interface::Mac(mac.into_inner(), name.unwrap_or_else(InterfaceName::default_name)),
        (None, Some(name)) => Interface::Name(name),
        (None, None) => return None,
    };
    let addressing = match read.address {
        Some(address) => Addressing::Static {
            address: address.into_inner(),
            gateway: read.gateway.map(Spanned::into_inner),
            dns: super::inner(read.dns?),
        },
        None => Addressing::Dhcp,
    };
    Some(Network { interface, addressing })
}

fn networks(read: &Read) -> impl Iterator<Item = (&ReadNode, &ReadNetwork)> {
    read.nodes.iter().filter_map(|node| Some((node, node.network.as_ref()?)))
}

pub(super) fn a_card_is_told_from_the_others(read: &Read, faults: &FaultList) {
    for (_, network) in networks(read) {
        if !network.names_card {
            faults.add(
                Diagnostic::error(
                    network.span.clone(),
                    "no network interface is selected",
                    "neither `mac` nor `interface` is set",
                )
                .help("for example `mac = \"52:54:00:12:34:56\"`, or `interface = \"eth0\"`"),
            );
        }
    }
}

pub(super) fn a_card_gets_the_machines_address(read: &Read, faults: &FaultList) {
    for (node, network) in networks(read) {
        match (&network.address, network.dhcp) {
            (Some(address), true) => faults.add(
                Diagnostic::error(address.span(), "`address` and `dhcp = true` exclude each other", "static address")
                    .help("keep one of them"),
            ),
            (None, false) if !network.names_address => faults.add(
                Diagnostic::error(network.span.clone(), "the network interface has no address", "neither `address` nor `dhcp` is set")
                    .help("write the machine's address with its network's prefix, such as \"192.0.2.11/24\", or `dhcp = true`"),
            ),
            (Some(address), false) => {
                if let Some(known) = node.address.as_ref().filter(|known| *known.get_ref() != address.get_ref().addr()) {
                    let message = format!("interface address `{}` differs from node address `{known}`", address.get_ref().addr(), known = known.get_ref());
                    faults.add(
                        Diagnostic::error(address.span(), message, "not the node's address")
                            .and(known.span(), "certificates are issued for this address"),
                    );
                }
                its_network_has_a_size(address, network, faults);
            }
            (None, _) => {}
        }
    }
}

fn its_network_has_a_size(address: &Spanned<IpNet>, network: &ReadNetwork, faults: &FaultList) {
    let prefix = address.get_ref().prefix_len();
    let (message, label) = if prefix < WIDEST {
        ("the network contains machines all over the world", "prefix of no network of machines")
    } else if prefix == address.get_ref().max_prefix_len() && network.gateway.is_none() {
        ("the network contains only this address", "prefix of a single address")
    } else {
        return;
    };
    faults.add(
        Diagnostic::error(address.span(), message, label)
            .help("write the prefix of the machines' network, such as `/16`"),
    );
}

pub(super) fn dhcp_says_the_rest(read: &Read, faults: &FaultList) {
    for (_, network) in networks(read).filter(|(_, network)| network.dhcp && network.address.is_none()) {
        let gateway = network.gateway.as_ref().map(|gateway| ("gateway", gateway.span()));
        let dns = network.dns.iter().flatten().next().map(|dns| ("dns", dns.span()));
        let Some((key, span)) = gateway.or(dns) else { continue };
        faults.add(
            Diagnostic::error(span, format!("`{key}` and `dhcp = true` exclude each other"), "the DHCP server says it")
                .help("remove `gateway` and `dns`, or write `address` instead of `dhcp`"),
        );
    }
}

pub(super) fn its_gateway_can_be_reached(read: &Read, faults: &FaultList) {
    for (_, network) in networks(read) {
        let (Some(address), Some(gateway)) = (&network.address, &network.gateway) else { continue };
        let (of, to) = (address.get_ref(), gateway.get_ref());
        // Networks of two addresses have neither (RFC 3021).
        let is_of_all = of.max_prefix_len() - of.prefix_len() > 1 && [of.network(), of.broadcast()].contains(to);
        let what = if of.addr() == *to {
            Some("this is the machine's own address")
        } else if !of.contains(to) {
            Some("not on the interface's network")
        } else {
            is_of_all.then_some("the first and the last address of a network are no machine's")
        };
        if let Some(what) = what {
            faults.add(
                Diagnostic::error(gateway.span(), format!("gateway `{to}` is not reachable"), what)
                    .and(address.span(), "this is the interface's network")
                    .help("write the router's address on that network"),
            );
        }
    }
}

pub(super) fn split_seeds_are_made_of_split_packages(read: &Read, faults: &FaultList) {
    let Some(layout) = read.output.seed.layout.as_ref().filter(|layout| *layout.get_ref() == SeedLayout::Split) else {
        return;
    };
    let why = match (read.output.seed.payload, read.output.deb.layout) {
        (Payload::Tarball, _) => "an archive holds both programs and keys",
        (Payload::Deb, DebLayout::Fat) => "a fat package holds both programs and keys",
        (Payload::Deb, DebLayout::Split) => return,
    };
    faults.add(
        Diagnostic::error(layout.span(), format!("a seed can't be split: {why}"), "requires split packages")
            .help("leave `payload` and `[output.deb] layout` at their defaults, or write `layout = \"whole\"` here"),
    );
}

pub(super) fn user_data_alone_wants_a_mirror(read: &Read, faults: &FaultList) {
    let formats = read.output.formats.iter().flatten();
    for format in formats.filter(|format| *format.get_ref() == Format::UserData && !read.output.names_mirror) {
        faults.add(
            Diagnostic::error(
                format.span(),
                "format `user-data` needs a mirror to fetch from",
                "`[output.mirror]` is missing",
            )
            .help("add `[output.mirror]` with `url = \"http://…\"`, the URL that serves the output directory"),
        );
    }
}
