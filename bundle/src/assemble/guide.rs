//! What a bundle says to somebody who has it on a stick and nothing else: what to carry where, how to check and install
//! it, and what expires when.
//!
//! The texts are Markdown templates, one for each language, which people read as they are; the page is made from the same
//! text.

mod page;
mod topology;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use minijinja::value::Serde;
use serde::Serialize;
use time::OffsetDateTime;

use super::about::About;
use super::{Error, Ingredients};
use crate::pki::{self, info::day};
use crate::plan::guide::{Form, Language};
use crate::plan::{FilePlan, Medium, NodePlan, OutputKind, Plan, seeds};
use crate::recipe::template::strict_environment;
use crate::spec::{Payload, Seal, Service};

const ENGLISH: &str = include_str!("guide/bundle.en.md");
const CHINESE: &str = include_str!("guide/bundle.zh-CN.md");
const MACHINE: &str = include_str!("guide/machine.md");

/// The name of the guide in an archive and on a seed.
pub(super) const NAME: &str = "README.txt";

#[derive(Serialize)]
struct Values<'a> {
    cluster: &'a str,
    version: &'a str,
    recipe: &'a str,
    program: &'static str,
    endpoint: String,
    /// Tables, as Markdown.
    machines: String,
    expiry: String,
    authorities: Vec<Authority<'a>>,
    nodes: Vec<Machine<'a>>,
    shared_packages: Vec<Shared<'a>>,
    /// Media that are the same for all machines.
    shared_seeds: Vec<&'a str>,
    steps: Vec<Step>,
    /// Ways to install it: `archive`, `package`, `disk`, `initrd`, `user-data`.
    ways: Vec<&'static str>,
    has_pods: bool,
    has_etcd: bool,
    /// Addresses of members that others install, with certificates of this bundle; empty if there are none.
    etcd_elsewhere: String,
    /// What opens keys and tokens; empty if they are not encrypted.
    seal: &'static str,
}

type IsOne = fn(&OutputKind) -> bool;
const WAYS: [(&str, IsOne); 5] = [
    ("archive", |kind| matches!(kind, OutputKind::Archive { .. })),
    ("package", |kind| matches!(kind, OutputKind::Package(_))),
    ("disk", |kind| matches!(kind, OutputKind::Seed(seed) if matches!(seed.medium, Medium::Iso | Medium::Vfat))),
    ("initrd", |kind| matches!(kind, OutputKind::Seed(seed) if seed.medium == Medium::Cpio)),
    ("user-data", |kind| matches!(kind, OutputKind::Seed(seed) if seed.medium == Medium::File)),
];

#[derive(Serialize)]
struct Authority<'a> {
    id: &'a str,
    expires: String,
    /// SHA-256 of the certificate, in groups that can be read aloud.
    fingerprint: String,
}

#[derive(Serialize)]
struct Machine<'a> {
    name: &'a str,
    address: String,
    archive: Option<&'a str>,
    /// The package of this machine alone.
    package: Option<&'a str>,
    seeds: Vec<&'a str>,
}

/// Packages of programs and images, which are the same for all machines of a line.
#[derive(Serialize)]
struct Shared<'a> {
    machines: String,
    packages: Vec<&'a str>,
}

/// Machines that can be installed at the same time.
#[derive(Serialize)]
struct Step {
    machines: String,
    roles: String,
    /// Whether none of them is ready before most of them are.
    waits: bool,
}

/// The guide of the whole bundle.
pub(super) fn bundle(language: Language, form: Form, from: Ingredients<'_>) -> Result<String, Error> {
    let template = match language {
        Language::English => ENGLISH,
        Language::Chinese => CHINESE,
    };
    let text = render(template, &values(language, from))?;
    Ok(match form {
        Form::Text => text,
        Form::Page => page::page(language, &text, &topology::picture(&from.plan.content)),
    })
}

/// The guide beside what one machine installs: in its archive, or on the medium of its first boot.
pub(super) fn machine(About { plan, node, seal, .. }: About<'_>, is_archive: bool) -> Result<String, Error> {
    #[derive(Serialize)]
    struct Values<'a> {
        cluster: &'a str,
        version: &'a str,
        program: &'static str,
        node: &'a str,
        address: String,
        is_archive: bool,
        seal: &'static str,
    }
    let values = Values {
        cluster: plan.content.cluster.as_str(),
        version: &plan.content.version,
        program: env!("CARGO_PKG_VERSION"),
        node: node.name.as_str(),
        address: node.address.to_string(),
        is_archive,
        seal: seal.map(Seal::as_str).unwrap_or_default(),
    };
    render(MACHINE, &values)
}

fn render(template: &str, values: &impl Serialize) -> Result<String, Error> {
    let render = || strict_environment().ok()?.render_str(template, Serde(values)).ok();
    // The templates are part of the program, and the tests render them all.
    render().ok_or_else(|| super::missing(NAME, "a value of its template".to_owned()))
}

fn values(language: Language, from: Ingredients<'_>) -> Values<'_> {
    let plan = from.plan;
    let content = &plan.content;
    let has = |wanted: IsOne| plan.outputs.iter().any(|output| wanted(&output.kind));
    let provides = |wanted| content.nodes.iter().any(|node| node.provides.contains(&wanted));
    Values {
        cluster: content.cluster.as_str(),
        version: &content.version,
        recipe: &content.recipe,
        program: env!("CARGO_PKG_VERSION"),
        endpoint: content.endpoint.to_string(),
        machines: machines(language, &content.nodes),
        expiry: expiry(language, from),
        authorities: authorities(from),
        nodes: content.nodes.iter().map(|node| files_of(node, plan)).collect(),
        shared_packages: shared_packages(plan),
        shared_seeds: paths(plan, |kind| matches!(kind, OutputKind::Seed(seed) if seed.node.is_none())),
        steps: steps(&content.nodes),
        ways: WAYS.iter().filter(|(_, wanted)| has(*wanted)).map(|(way, _)| *way).collect(),
        seal: seal(from),
        has_pods: provides(Service::Pods),
        has_etcd: provides(Service::Etcd),
        etcd_elsewhere: etcd_elsewhere(&content.operator),
    }
}

/// Members in `operator/etcd/ADDRESS/`.
fn etcd_elsewhere(operator: &[FilePlan]) -> String {
    let member = |file: &FilePlan| Some(file.path.as_str().strip_prefix("etcd/")?.split('/').next()?.to_owned());
    let mut members: Vec<_> = operator.iter().filter_map(member).collect();
    members.dedup();
    members.join(", ")
}

fn seal(from: Ingredients<'_>) -> &'static str {
    from.pki.seal().map(|keys| keys.by.as_str()).unwrap_or_default()
}

fn paths(plan: &Plan, wanted: impl Fn(&OutputKind) -> bool) -> Vec<&str> {
    plan.outputs.iter().filter(|output| wanted(&output.kind)).map(|output| output.path.as_str()).collect()
}

fn files_of<'a>(node: &'a NodePlan, plan: &'a Plan) -> Machine<'a> {
    let is_own = |kind: &OutputKind| kind.node() == Some(&node.name);
    Machine {
        name: node.name.as_str(),
        address: node.address.to_string(),
        archive: paths(plan, |kind| matches!(kind, OutputKind::Archive { .. }) && is_own(kind)).first().copied(),
        package: paths(plan, |kind| matches!(kind, OutputKind::Package(_)) && is_own(kind)).first().copied(),
        seeds: paths(plan, |kind| matches!(kind, OutputKind::Seed(_)) && is_own(kind)),
    }
}

/// Machines with the same ones are in one line, in the order of `cluster.toml`.
fn shared_packages(plan: &Plan) -> Vec<Shared<'_>> {
    let mut lines: Vec<(Vec<&str>, Vec<&str>)> = Vec::new();
    for node in &plan.content.nodes {
        let payload = seeds::payload(Payload::Deb, &node.name, &plan.outputs);
        let shared = payload.into_iter().filter(|output| output.kind.node().is_none());
        let packages: Vec<_> = shared.map(|output| output.path.as_str()).collect();
        match lines.iter_mut().find(|(_, others)| *others == packages) {
            Some((machines, _)) => machines.push(node.name.as_str()),
            None => lines.push((vec![node.name.as_str()], packages)),
        }
    }
    let lines = lines.into_iter().filter(|(_, packages)| !packages.is_empty());
    lines.map(|(machines, packages)| Shared { machines: machines.join(", "), packages }).collect()
}

/// Members of etcd first, then API servers, then the rest, as each needs what comes before.
fn steps(nodes: &[NodePlan]) -> Vec<Step> {
    let rank = |node: &NodePlan| match () {
        () if node.provides.contains(&Service::Etcd) => 0,
        () if node.provides.contains(&Service::ApiServer) => 1,
        () => 2,
    };
    let step = |wanted: usize| {
        let machines: Vec<_> = nodes.iter().filter(|node| rank(node) == wanted).collect();
        let names: Vec<_> = machines.iter().map(|node| node.name.as_str()).collect();
        let mut roles: Vec<_> = machines.iter().flat_map(|node| &node.roles).map(ToString::to_string).collect();
        roles.sort();
        roles.dedup();
        let waits = wanted == 0 && names.len() > 1;
        (!names.is_empty()).then(|| Step { machines: names.join(", "), roles: roles.join(", "), waits })
    };
    (0..3).filter_map(step).collect()
}

fn machines(language: Language, nodes: &[NodePlan]) -> String {
    let headers = match language {
        Language::English => ["machine", "address", "roles"],
        Language::Chinese => ["机器", "地址", "角色"],
    };
    let row = |node: &NodePlan| [node.name.to_string(), node.address.to_string(), node.role_names()];
    table(headers, &nodes.iter().map(row).collect::<Vec<_>>())
}

/// The first end among certificates of one kind, whichever machine it is for; and that of the bootstrap token.
fn expiry(language: Language, from: Ingredients<'_>) -> String {
    let mut ends: BTreeMap<&str, (OffsetDateTime, usize)> = BTreeMap::new();
    for (id, info) in from.pki.infos() {
        let kind = id.split('/').next().unwrap_or(id);
        let (end, count) = ends.entry(kind).or_insert((info.not_after, 0));
        *end = (*end).min(info.not_after);
        *count += 1;
    }
    let mut ends: Vec<_> = ends.into_iter().map(|(kind, (end, count))| (end, kind, count)).collect();
    ends.push((from.pki.token().expiration, pki::TOKEN, 1));
    ends.sort();
    let headers = match language {
        Language::English => ["certificate or token", "how many", "expires"],
        Language::Chinese => ["证书或令牌", "数量", "到期"],
    };
    let rows: Vec<_> =
        ends.into_iter().map(|(end, kind, count)| [kind.to_owned(), count.to_string(), day(end)]).collect();
    table(headers, &rows)
}

fn authorities<'a>(from: Ingredients<'a>) -> Vec<Authority<'a>> {
    let authorities = from.pki.infos().filter(|(_, info)| info.is_ca);
    let of = |(id, info): (&'a str, &crate::pki::info::CertificateInfo)| Authority {
        id,
        expires: day(info.not_after),
        fingerprint: grouped(&info.sha256.to_string().to_uppercase()),
    };
    authorities.map(of).collect()
}

/// `A1B2 C3D4 …`
fn grouped(digits: &str) -> String {
    let groups: Vec<_> = digits.as_bytes().chunks(4).map(String::from_utf8_lossy).collect();
    groups.join(" ")
}

/// A Markdown table whose columns are aligned, so that it reads well as text.
fn table<const N: usize>(headers: [&str; N], rows: &[[String; N]]) -> String {
    let widths: [usize; N] = std::array::from_fn(|column| {
        let cells = rows.iter().map(|row| width(&row[column]));
        cells.chain([width(headers[column]), 3]).max().unwrap_or(3)
    });
    let line = |cells: &[&str]| {
        let padded: Vec<_> =
            cells.iter().zip(widths).map(|(cell, wide)| format!("{cell}{}", " ".repeat(wide - width(cell)))).collect();
        format!("| {} |\n", padded.join(" | "))
    };
    let mut text = line(&headers);
    let rules: Vec<_> = widths.iter().map(|wide| "-".repeat(*wide)).collect();
    // Writing to a string can't fail.
    let _ = writeln!(text, "| {} |", rules.join(" | "));
    text.extend(rows.iter().map(|row| line(&row.each_ref().map(String::as_str))));
    text
}

/// Columns on a terminal: Chinese characters take two.
fn width(text: &str) -> usize {
    text.chars().map(|character| if character >= '\u{1100}' { 2 } else { 1 }).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_with_chinese_headers_too() {
        let text = table(["机器", "x"], &[["a".to_owned(), "b".to_owned()]]);
        assert_eq!(text, "| 机器 | x   |\n| ---- | --- |\n| a    | b   |\n");
    }
}
