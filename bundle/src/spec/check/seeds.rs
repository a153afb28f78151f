//! Rules about the first boot: network cards, and what seeds are made of.

use toml::Spanned;

use crate::diagnostic::Diagnostic;
use crate::spec::raw::FaultList;
use crate::spec::read::{Read, ReadNetwork, ReadNode};
use crate::spec::{Addressing, DebLayout, Format, Interface, InterfaceName, Network, Payload, SeedLayout};

/// What the rules below leave no doubt about; `None` if there is no network, or a fault was noted.
pub(super) fn network(read: Option<ReadNetwork>) -> Option<Network> {
    let read = read?;
    let card = match (read.mac, read.interface.map(Spanned::into_inner)) {
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
    Some(Network { card, addressing })
}

fn networks(read: &Read) -> impl Iterator<Item = (&ReadNode, &ReadNetwork)> {
    read.nodes.iter().filter_map(|node| Some((node, node.network.as_ref()?)))
}

pub(super) fn a_card_is_told_from_the_others(read: &Read, faults: &FaultList) {
    for (_, network) in networks(read) {
        if !network.names_card {
            faults.add(
                Diagnostic::error(network.span.clone(), "no network card is named", "neither `mac` nor `interface`")
                    .help("for example `mac = \"52:54:00:12:34:56\"`, or `interface = \"eth0\"`"),
            );
        }
    }
}

pub(super) fn a_card_gets_the_machines_address(read: &Read, faults: &FaultList) {
    for (node, network) in networks(read) {
        match (&network.address, network.dhcp) {
            (Some(address), true) => faults.add(
                Diagnostic::error(address.span(), "an address is given, and `dhcp` asks for another", "this address")
                    .help("keep one of them"),
            ),
            (None, false) if !network.names_address => faults.add(
                Diagnostic::error(network.span.clone(), "the card gets no address", "neither `address` nor `dhcp`")
                    .help("write the machine's address with its network's prefix, such as \"10.200.16.79/16\", or `dhcp = true`"),
            ),
            (Some(address), false) => {
                if let Some(known) = node.address.as_ref().filter(|known| *known.get_ref() != address.get_ref().addr()) {
                    let message = format!("the card would get `{}`, and the cluster dials `{known}`", address.get_ref().addr(), known = known.get_ref());
                    faults.add(
                        Diagnostic::error(address.span(), message, "not the node's address")
                            .and(known.span(), "this is what its certificates name"),
                    );
                }
                let only = address.get_ref().prefix_len() == address.get_ref().max_prefix_len();
                if only && network.gateway.is_none() {
                    faults.add(
                        Diagnostic::error(address.span(), "nobody else is on this network", "a prefix with one address in it")
                            .help("write the prefix of the machines' network, such as `/16`"),
                    );
                }
            }
            (None, _) => {}
        }
    }
}

pub(super) fn its_gateway_can_be_reached(read: &Read, faults: &FaultList) {
    for (_, network) in networks(read) {
        let (Some(address), Some(gateway)) = (&network.address, &network.gateway) else { continue };
        let (of, to) = (address.get_ref(), gateway.get_ref());
        if !of.contains(to) || of.addr() == *to {
            let what = if of.addr() == *to { "it is the machine's own address" } else { "not on the card's network" };
            faults.add(
                Diagnostic::error(gateway.span(), format!("gateway `{to}` can't be reached"), what)
                    .and(address.span(), "this is the card's network"),
            );
        }
    }
}

pub(super) fn split_seeds_are_made_of_split_packages(read: &Read, faults: &FaultList) {
    let Some(layout) = read.output.seed.layout.as_ref().filter(|layout| *layout.get_ref() == SeedLayout::Split) else {
        return;
    };
    let why = match (read.output.seed.payload, read.output.deb.layout) {
        (Payload::Tarball, _) => "an archive holds programs and keys alike",
        (Payload::Deb, DebLayout::Fat) => "a fat package holds programs and keys alike",
        (Payload::Deb, DebLayout::Split) => return,
    };
    faults.add(
        Diagnostic::error(layout.span(), format!("a seed can't be split: {why}"), "wants packages that are split")
            .help("leave `payload` and `[output.deb] layout` at their defaults, or write `layout = \"whole\"`"),
    );
}

pub(super) fn user_data_alone_wants_a_mirror(read: &Read, faults: &FaultList) {
    let formats = read.output.formats.iter().flatten();
    for format in formats.filter(|format| *format.get_ref() == Format::UserData && read.output.mirror.is_none()) {
        faults.add(
            Diagnostic::error(format.span(), "user data alone has nowhere to fetch the bundle from", "no mirror").help(
                "name the URL where machines find the output directory: `[output.mirror]` with `url = \"http://…\"`",
            ),
        );
    }
}
