//! Rules for what opens the secrets of nodes.

use std::collections::BTreeMap;

use toml::Spanned;

use crate::diagnostic::Diagnostic;
use crate::spec::Seal;
use crate::spec::raw::FaultList;
use crate::spec::read::{Read, ReadNode};

/// How to find out what to write.
const HELP: &str = "`cat /etc/ssh/ssh_host_ecdsa_key.pub` on the node prints it";

fn way(read: &Read) -> Option<Seal> {
    read.seal.as_ref().map(|seal| *seal.get_ref())
}

pub(super) fn a_node_that_opens_with_its_host_key_names_it(read: &Read, faults: &FaultList) {
    if way(read) != Some(Seal::SshHost) {
        return;
    }
    for node in read.nodes.iter().filter(|node| !node.names_recipient) {
        let error = Diagnostic::error(node.span.clone(), "this node has no `recipient`", "its public SSH host key");
        faults.add(error.help(format!("`seal = \"ssh-host\"` needs it: {HELP}")));
    }
}

pub(super) fn a_recipient_is_for_host_keys(read: &Read, faults: &FaultList) {
    // A mode that can't be read may be meant as the one that needs it.
    if way(read).is_none() || way(read) == Some(Seal::SshHost) {
        return;
    }
    for recipient in read.nodes.iter().filter_map(|node| node.recipient.as_ref()) {
        let what = "nothing is encrypted for this `recipient`";
        let warning = Diagnostic::warning(recipient.span(), what, "not used");
        faults.add(warning.help("write `seal = \"ssh-host\"` below `[secrets]`, or delete this line"));
    }
}

/// Machines that were copied from one image have one host key, and could open each other's secrets.
pub(super) fn each_node_has_a_recipient_of_its_own(read: &Read, faults: &FaultList) {
    let mut seen = BTreeMap::new();
    let named = |node: &'_ ReadNode| node.recipient.as_ref().map(|it: &Spanned<_>| (*it.get_ref(), it.span()));
    for (recipient, span) in read.nodes.iter().filter_map(named) {
        if let Some(first) = seen.insert(recipient, span.clone()) {
            let error = Diagnostic::error(span, "two nodes have the same `recipient`", "used again here");
            faults.add(error.and(first, "first used here").help(
                "each could open the other's secrets; on copies of one image, delete /etc/ssh/ssh_host_* and run \
                 `ssh-keygen -A`",
            ));
        }
    }
}

pub(super) fn the_cas_key_is_for_masters(read: &Read, faults: &FaultList) {
    // A node whose name or roles can't be read may be the one that is meant.
    if !read.knows_nodes || read.nodes.iter().any(|node| node.name.is_none() || node.roles.is_none()) {
        return;
    }
    let masters: Vec<_> = read.masters().filter_map(|node| node.name.as_ref()).map(Spanned::get_ref).collect();
    for name in read.pki.ca_key_on.iter().flatten().filter(|name| !masters.contains(&name.get_ref())) {
        let names: Vec<_> = masters.iter().map(|name| format!("`{name}`")).collect();
        let message = format!("`{}` in `ca_key_on` is no master", name.get_ref());
        let error = Diagnostic::error(name.span(), message, format!("expected one of {}", names.join(", ")));
        faults.add(error.help("only masters sign certificates; `[]` means that no machine does"));
    }
}
