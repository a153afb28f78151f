//! The template with a user's values in place of its examples.

use std::fmt::Write as _;
use std::str::FromStr;

use super::bad_value::BadValue;
use super::names::{ClusterName, Endpoint, Host, NodeName, RoleName};
use super::numbers::{Address, Cidr};
use super::{API_PORT, RoleCatalog, Service, TEMPLATE};

/// What replaces the template's examples; what is `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct Values {
    pub name: Option<ClusterName>,
    /// `None`: the first master among `nodes`, if there are any.
    pub endpoint: Option<Endpoint>,
    pub pod_cidr: Option<Cidr>,
    pub service_cidr: Option<Cidr>,
    /// In place of the three examples. Empty: these stay.
    pub nodes: Vec<NodeArgument>,
    /// Members of an etcd that runs elsewhere. Empty: it runs on nodes.
    pub etcd: Vec<Endpoint>,
}

/// A machine in one word: `NAME=ADDRESS`, or `NAME=ADDRESS:ROLE,ROLE`.
///
/// ```
/// use kube_bundle::spec::filled::NodeArgument;
///
/// let node: NodeArgument = "worker-1=192.0.2.21:worker".parse()?;
/// assert_eq!(node.roles[0].as_str(), "worker");
/// assert!("192.0.2.21".parse::<NodeArgument>().is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeArgument {
    pub name: NodeName,
    pub address: Address,
    /// `etcd` and `master` if none is given.
    pub roles: Vec<RoleName>,
}

impl FromStr for NodeArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, rest) = text.split_once('=').ok_or_else(|| example(text))?;
        // An IPv6 address has colons itself; it is refused with the reason by whoever checks the cluster.
        let is_ipv6 = rest.parse::<std::net::Ipv6Addr>().is_ok();
        let (address, roles) = rest.split_once(':').filter(|_| !is_ipv6).unwrap_or((rest, "etcd,master"));
        let roles = roles
            .split(',')
            .map(|role| role.parse().map_err(|why: BadValue| format!("role `{role}`: {}", why.sentence())));
        Ok(Self {
            name: name.parse().map_err(|why: BadValue| format!("name `{name}`: {}", why.sentence()))?,
            address: address.parse().map_err(|why: BadValue| format!("address `{address}`: {}", why.sentence()))?,
            roles: roles.collect::<Result<_, String>>()?,
        })
    }
}

/// What to write instead of a text without an address.
fn example(text: &str) -> String {
    let (name, roles) = text.split_once(':').unwrap_or((text, ""));
    let is_name = name.parse::<NodeName>().is_ok() && name.parse::<std::net::IpAddr>().is_err();
    let name = if is_name { name } else { "master-1" };
    let roles = if is_name && !roles.is_empty() { format!(":{roles}") } else { String::new() };
    format!("expected `NAME=ADDRESS` or `NAME=ADDRESS:ROLE,ROLE`, such as `{name}=192.0.2.11{roles}`")
}

impl Values {
    /// The template's text with these values. `roles` are those of its recipe.
    pub fn fill(&self, roles: &RoleCatalog) -> String {
        let is_master = |node: &&NodeArgument| roles.services(&node.roles).contains(&Service::ApiServer);
        let first = self.nodes.iter().find(is_master).or(self.nodes.first());
        let first = first.map(|node| Endpoint { host: Host::Ip(node.address.0), port: API_PORT });
        let endpoint = self.endpoint.as_ref().or(first.as_ref());
        let mut text = String::with_capacity(TEMPLATE.len());
        let lines = [
            ("name = \"roc\"", self.name.as_ref().map(ToString::to_string)),
            ("endpoint = ", endpoint.map(ToString::to_string)),
            ("pod_cidr = ", self.pod_cidr.map(|network| network.0.to_string())),
            ("service_cidr = ", self.service_cidr.map(|network| network.0.to_string())),
            ("# apiserver_sans = ", self.further_name().map(ToString::to_string)),
            (
                "# endpoints = ",
                (!self.etcd.is_empty())
                    .then(|| self.etcd.iter().map(ToString::to_string).collect::<Vec<_>>().join("\", \"")),
            ),
        ];
        for line in TEMPLATE.lines() {
            let value = lines.iter().find(|(start, _)| line.starts_with(start)).and_then(|(_, value)| value.as_ref());
            let key = line.trim_start_matches("# ").split(' ').next().unwrap_or_default();
            // Writing to a string can't fail.
            let _ = match value {
                Some(value) if ["apiserver_sans", "endpoints"].contains(&key) => {
                    writeln!(text, "{key} = [\"{value}\"]")
                }
                Some(value) => writeln!(text, "{key} = \"{value}\""),
                None if line == "# [etcd]" && !self.etcd.is_empty() => writeln!(text, "[etcd]"),
                None => writeln!(text, "{line}"),
            };
        }
        if self.nodes.is_empty() { text } else { self.with_nodes(&text) }
    }

    /// The endpoint's host, if it is none of the nodes: then it has to be in the API server's certificate by its name.
    pub fn further_name(&self) -> Option<&Host> {
        let host = &self.endpoint.as_ref()?.host;
        let is_node = self.nodes.iter().any(|node| *host == Host::Ip(node.address.0));
        (!is_node).then_some(host)
    }

    /// Replaces the example nodes; the comments of the first and the last one stay.
    fn with_nodes(&self, text: &str) -> String {
        const HEADING: &str = "[[nodes]]\n";
        let mut parts = text.split(HEADING);
        let (before, first) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let last = parts.last().unwrap_or_default();
        let (comments, after) = last.split_once("\n# ").unwrap_or_default();
        debug_assert!(comments.starts_with("name = "), "the last node begins with its keys");
        let mut filled = before.to_owned();
        for (number, node) in self.nodes.iter().enumerate() {
            let NodeArgument { name, address, roles } = node;
            let roles: Vec<_> = roles.iter().map(|role| format!("\"{role}\"")).collect();
            let keys = [
                ("name = ", format!("name = \"{name}\"")),
                ("address = ", format!("address = \"{}\"", address.0)),
                ("roles = ", format!("roles = [{}]", roles.join(", "))),
            ];
            filled += HEADING;
            for line in first.lines() {
                let key = keys.iter().find(|(start, _)| line.starts_with(start));
                match key {
                    Some((_, key)) => filled += key,
                    // What a key means is said once.
                    None if number > 0 && line.starts_with('#') => continue,
                    None => filled += line,
                }
                filled.push('\n');
            }
        }
        format!("{}\n# {after}", filled.trim_end())
    }
}
