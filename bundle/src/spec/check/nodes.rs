//! Rules for nodes, their roles, and the endpoint that leads to the masters.

use std::collections::BTreeMap;
use std::fmt::Display;

use toml::Spanned;

use super::examples;
use crate::diagnostic::Diagnostic;
use crate::spec::names::{Endpoint, Host};
use crate::spec::raw::FaultList;
use crate::spec::read::{Read, ReadNode};
use crate::spec::similar::nearest;
use crate::spec::{API_PORT, RoleCatalog};

/// Whether the recipe has the roles that nodes name, and what the nodes provide by them.
pub(super) fn look_up_roles(read: &mut Read, roles: &RoleCatalog, faults: &FaultList) {
    for node in &mut read.nodes {
        let Some(named) = &node.roles else { continue };
        let (known, unknown): (Vec<_>, Vec<_>) = named.iter().partition(|role| roles.has(role.get_ref()));
        node.provides = roles.services(known.into_iter().map(Spanned::get_ref));
        for role in &unknown {
            let existing: Vec<_> = roles.names().map(ToString::to_string).collect();
            let help = match nearest(role.get_ref().as_str(), existing.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "`kube-bundle recipe show` lists a recipe's roles".to_owned(),
            };
            let expected: Vec<_> = existing.iter().map(|name| format!("`{name}`")).collect();
            let message = format!("the recipe has no role `{}`", role.get_ref());
            let label = format!("expected one of {}", expected.join(", "));
            faults.add(Diagnostic::error(role.span(), message, label).help(help));
        }
        if !unknown.is_empty() {
            node.roles = None;
        }
    }
}

/// A node's address may be the one that the endpoint means, if an error about the address was reported already.
fn is_unsure(node: &ReadNode) -> bool {
    let is_refused = |address: &std::net::IpAddr| address.is_ipv6() || examples::is_one(*address);
    node.roles.is_none() || node.address.as_ref().is_none_or(|address| is_refused(address.get_ref()))
}

pub(super) fn endpoint_is_a_name_of_the_api_server(read: &Read, faults: &FaultList) {
    let (Some(endpoint), Some(sans)) = (&read.endpoint, &read.sans) else { return };
    let host = &endpoint.get_ref().host;
    let is_reported = matches!(host, Host::Ip(address) if address.is_ipv6() || examples::is_one(*address));
    if is_reported || read.masters().next().is_none() || !read.knows_nodes || read.nodes.iter().any(is_unsure) {
        return;
    }
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

pub(super) fn a_master_is_dialled_at_its_port(read: &Read, faults: &FaultList) {
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

pub(super) fn they_are_distinct(read: &Read, faults: &FaultList) {
    let each = "each machine has its own";
    check_unique("node name", each, read.nodes.iter().filter_map(|node| node.name.as_ref()), faults);
    check_unique("node address", each, read.addresses(), faults);
    let macs = read.nodes.iter().filter_map(|node| node.network.as_ref()?.mac.as_ref());
    check_unique("MAC address", each, macs, faults);
    check_unique("etcd endpoint", "name each member once", read.etcd.iter().flatten(), faults);
}

fn check_unique<'r, T: Ord + Display + 'r>(
    what: &str,
    help: &str,
    values: impl Iterator<Item = &'r Spanned<T>>,
    faults: &FaultList,
) {
    let mut seen = BTreeMap::new();
    for value in values {
        if let Some(first) = seen.insert(value.get_ref(), value.span()) {
            faults.add(
                Diagnostic::error(value.span(), format!("duplicate {what} `{}`", value.get_ref()), "used again here")
                    .and(first, "first used here")
                    .help(help),
            );
        }
    }
}

pub(super) fn there_are_some(read: &Read, faults: &FaultList) {
    if read.knows_nodes && read.nodes.is_empty() {
        let span = read.nodes_span.clone().unwrap_or(read.end..read.end);
        faults.add(Diagnostic::error(span, "there are no nodes", "expected `[[nodes]]` for each machine").help(
            "for example `[[nodes]]`, and below it `name = \"master-1\"`, `address = \"192.0.2.11\"` and \
                 `roles = [\"etcd\", \"master\"]`",
        ));
    }
}

pub(super) fn there_is_a_master(read: &Read, faults: &FaultList) {
    // A node whose roles are invalid or missing may be meant as a master; that error is reported already.
    let may_be = |node: &ReadNode| node.roles.as_ref().is_none_or(Vec::is_empty);
    let is_reported = !read.knows_nodes || read.nodes.is_empty() || read.nodes.iter().any(may_be);
    if read.masters().next().is_none() && !is_reported {
        let span = read.nodes_span.clone().unwrap_or(0..0);
        faults.add(
            Diagnostic::error(span, "no node has the role `master`", "a control plane needs at least one")
                .help("add `\"master\"` to the `roles` of a node"),
        );
    }
}

pub(super) fn each_has_a_role(read: &Read, faults: &FaultList) {
    for node in read.nodes.iter().filter(|node| node.roles.as_ref().is_some_and(Vec::is_empty)) {
        let (span, why) = match &node.roles_span {
            Some(span) => (span, "`roles` is empty"),
            None => (&node.span, "`roles` is missing"),
        };
        faults.add(Diagnostic::error(span.clone(), "this node has no role", why).help("write `roles = [\"master\"]`"));
    }
}
