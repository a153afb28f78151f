//! Rules for etcd: on nodes of the cluster, or elsewhere, and with how many members.

use std::collections::BTreeSet;
use std::ops::Range;

use toml::Spanned;

use super::client_url;
use crate::diagnostic::Diagnostic;
use crate::spec::raw::FaultList;
use crate::spec::read::Read;

pub(super) fn it_has_members(read: &Read, faults: &FaultList) {
    // A node whose roles are invalid may be meant as a member, and so may all nodes; that error is reported already.
    let may_be_member =
        !read.knows_nodes || read.nodes.is_empty() || read.nodes.iter().any(|node| node.roles.is_none());
    let has_members = read.members().next().is_some() || may_be_member;
    if has_members || read.etcd.as_ref().is_none_or(|endpoints| !endpoints.is_empty()) {
        return;
    }
    let help = "add the role `etcd` to an odd number of `[[nodes]]`; or name an etcd that runs elsewhere, for example \
                `endpoints = [\"https://192.0.2.21:2379\"]` in `[etcd]`, which `init --etcd URL` writes";
    let (span, here) = match &read.etcd_span {
        Some(span) => (span.clone(), "`endpoints` is missing or empty"),
        None => (read.nodes_span.clone().unwrap_or(0..0), "no node has the role `etcd`, and there is no `[etcd]`"),
    };
    faults.add(Diagnostic::error(span, "the cluster has no etcd", here).help(help));
}

pub(super) fn an_even_number_of_members_is_no_safer(read: &Read, faults: &FaultList) {
    let nodes: Vec<_> =
        read.members().map(|node| node.roles_span.clone().unwrap_or_else(|| node.span.clone())).collect();
    // A node whose roles are invalid may be the one that makes them odd; that error is reported already.
    if !read.knows_nodes || read.nodes.iter().any(|node| node.roles.is_none()) {
        return;
    }
    let spans = if nodes.is_empty() { read.etcd.iter().flatten().map(Spanned::span).collect() } else { nodes };
    let [.., last] = &spans[..] else { return };
    let count = spans.len();
    if count % 2 == 0 {
        let message = format!("etcd with {count} members tolerates no more failures than with {}", count - 1);
        faults.add(Diagnostic::warning(last.clone(), message, "an even number").help("use 1, 3 or 5 members"));
    }
}

/// Two descriptions of one etcd must not differ, and members on nodes get their certificates here.
pub(super) fn members_are_nodes_or_elsewhere(read: &Read, faults: &FaultList) {
    let members: BTreeSet<_> = read.members().filter_map(client_url).collect();
    let (Some(given), false) = (&read.etcd, members.is_empty()) else { return };
    let refuse = |span: Range<usize>, what: &str| {
        faults.add(
            Diagnostic::error(span, what, "this is for an etcd that runs elsewhere")
                .help("leave it out; or take the role `etcd` from the nodes"),
        );
    };
    let named: BTreeSet<_> = given.iter().map(|endpoint| endpoint.get_ref().clone()).collect();
    if let Some(first) = given.first()
        && named != members
    {
        refuse(first.span(), "`endpoints` are others than the nodes with the role `etcd`");
    }
    if let (Some(_), Some(span)) = (&read.existing_etcd, &read.etcd_span) {
        refuse(span.clone(), "`ca`, `cert` and `key` belong to an etcd that exists, and nodes have the role `etcd`");
    }
}
