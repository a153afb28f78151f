//! `kube-bundle plan`

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use super::Console;
use super::attempt::Attempt;
use super::cluster::{Cluster, Overrides, jobs};
use super::console::{print, show};
use super::diff;
use super::table::table;
use crate::cli::{ClusterArgs, OutputArgs};
use crate::error::ExitCode;
use crate::pki::revision;
use crate::plan::certificates::CertPlan;
use crate::plan::{Content, Download, FilePlan, NodePlan, Output, PkiPlan, Plan, Source};
use crate::printable::printable;
use crate::progress::bytes;
use crate::{Error, diff as differ, pki};

pub(super) fn plan(args: &ClusterArgs, diff: bool, output: &OutputArgs, console: &Console) -> Result<(), Error> {
    let cluster = Cluster::judge(args, &Overrides::of(output), console)?;
    let out = cluster.out(output.out.as_deref());
    let plan = cluster.plan()?;
    // A build says why it can't be numbered; a plan, be it of another person's directory, shows the rest.
    let number = revision::expected_number(&plan, &cluster.pki(1, &BTreeSet::new())).unwrap_or_else(|why| {
        console
            .progress()
            .warn(&format!("the number of the next build is not known, so versions of packages are not: {why}"));
        1
    });
    let plan = plan.number(number);
    if diff {
        return changes(&cluster, &plan, &out, console);
    }
    if console.json() { print(&plan.to_json()) } else { show(&text(&plan, &out)) }
}

/// What a build would change in `out`.
#[expect(clippy::disallowed_methods, reason = "looks whether there is a bundle to compare with")]
fn changes(cluster: &Cluster, plan: &Plan, out: &Path, console: &Console) -> Result<(), Error> {
    if !out.exists() {
        console.note(&format!("There is no `{}` to compare with: a build makes all that `plan` shows", out.display()));
        return if console.json() { print("null") } else { Ok(()) };
    }
    let old = Attempt { path: out, command: "plan --diff -o", exit: ExitCode::Failed }.manifest()?;
    let next = pki::next(&plan.content.pki, &cluster.pki(1, &BTreeSet::new()))?;
    let differences = differ::planned((out, &old), plan, next, jobs(None));
    diff::show(&differences, &format!("A build would change nothing in `{}`", out.display()), console)
}

fn text(plan: &Plan, out: &Path) -> String {
    let Plan { content: plan, outputs, .. } = plan;
    let mut text = summary(plan, outputs) + "\nDownloads\n" + &downloads(&plan.downloads);
    text += "\nCertificates and keys\n";
    text += &table(&["ID", "SIGNED BY", "SUBJECT", "NAMES"], &certificates(&plan.pki));
    for (nodes, files) in alike(&plan.nodes) {
        let names: Vec<_> = nodes.iter().map(|node| node.name.as_str()).collect();
        let heading = if nodes.len() == 1 { "Node" } else { "Each of the nodes" };
        // Writing to a string can't fail.
        let _ = write!(text, "\n{heading} {}: {} files\n{}", names.join(", "), files.len(), table(&COLUMNS, &files));
    }
    text += "\nFor people and later workers\n";
    text += &table(&COLUMNS, &files(&plan.operator, "operator/", ""));
    let _ = writeln!(text, "\nOutputs in {}", printable(&out.display().to_string()));
    text += &outputs.iter().map(|output| format!("{}\n", output.path)).collect::<String>();
    text
}

const COLUMNS: [&str; 3] = ["MODE", "PATH", "FROM"];

/// The machines, how much there is of everything, and how long certificates are valid.
fn summary(plan: &Content, outputs: &[Output]) -> String {
    let mut text = format!(
        "Cluster {}: Kubernetes {} (recipe {}), at {}\n",
        plan.cluster, plan.version, plan.recipe, plan.endpoint
    );
    let nodes: Vec<_> = plan
        .nodes
        .iter()
        .map(|node| vec![format!("  {}", node.name), node.address.to_string(), node.role_names()])
        .collect();
    text += &table(&["  NODE", "ADDRESS", "ROLES"], &nodes);
    let of_leaves: BTreeSet<_> =
        plan.pki.certificates.values().filter_map(|planned| lifetime(planned, false)).collect();
    let of_authorities: BTreeSet<_> =
        plan.pki.certificates.values().filter_map(|planned| lifetime(planned, true)).collect();
    let _ = writeln!(
        text,
        "\n{}, {}, {}, {}.",
        counted(plan.nodes.len(), "node"),
        counted(plan.downloads.len(), "download"),
        counted(plan.pki.certificates.len(), "certificate or key"),
        counted(outputs.len(), "output")
    );
    let list = |all: BTreeSet<String>| all.into_iter().collect::<Vec<_>>().join(", ");
    let _ = writeln!(
        text,
        "New certificates expire after {}, new CAs after {}; those in pki/ are kept.",
        list(of_leaves),
        list(of_authorities)
    );
    text
}

fn counted(count: usize, what: &str) -> String {
    match (count, what) {
        (1, _) => format!("1 {what}"),
        (_, "certificate or key") => format!("{count} certificates and keys"),
        _ => format!("{count} {what}s"),
    }
}

/// How long a certificate that is made here is valid.
fn lifetime(planned: &CertPlan, of_authority: bool) -> Option<String> {
    match planned {
        CertPlan::Authority { lifetime, .. } if of_authority => Some(lifetime.to_string()),
        CertPlan::Leaf { lifetime, .. } if !of_authority => Some(lifetime.to_string()),
        _ => None,
    }
}

fn downloads(downloads: &[Download]) -> String {
    let row = |download: &Download| {
        let size = download.size.map_or_else(|| "-".to_owned(), |size| bytes(size).to_string());
        let components: Vec<_> = download.members().iter().map(|member| member.component.as_str()).collect();
        vec![download.title(), size, components.join(", "), download.pin.to_string()]
    };
    table(&["FILE", "SIZE", "COMPONENTS", "PIN"], &downloads.iter().map(row).collect::<Vec<_>>())
}

/// A row for each certificate; those that each node has of its own share one.
fn certificates(pki: &PkiPlan) -> Vec<Vec<String>> {
    let mut rows: Vec<Vec<String>> = Vec::new();
    for (id, planned) in &pki.certificates {
        let mut row = certificate(id, planned);
        if let Some((kind, node)) = id.split_once('/') {
            row[0] = format!("{kind}/NODE");
            row[2] = of_node(&row[2], node, ':');
        }
        match rows.last_mut().filter(|last| last[0] == row[0] && last[2] == row[2]) {
            Some(last) => {
                let more = row[3].split(' ').filter(|name| !last[3].split(' ').any(|known| known == *name));
                let more: Vec<_> = more.map(str::to_owned).collect();
                last[3] = [&[last[3].clone()][..], &more].concat().join(" ");
            }
            None => rows.push(row),
        }
    }
    rows
}

/// Nodes with the same files, and these; what is each node's own is called NODE.
fn alike(nodes: &[NodePlan]) -> Vec<(Vec<&NodePlan>, Vec<Vec<String>>)> {
    let mut groups: Vec<(Vec<&NodePlan>, Vec<Vec<String>>)> = Vec::new();
    for node in nodes {
        let files = files(&node.files, "/", node.name.as_str());
        match groups.iter_mut().find(|(_, known)| *known == files) {
            Some((nodes, _)) => nodes.push(node),
            None => groups.push((vec![node], files)),
        }
    }
    groups
}

fn certificate(id: &str, planned: &CertPlan) -> Vec<String> {
    let (issuer, subject, names) = match planned {
        CertPlan::Authority { subject, .. } => ("itself", subject.common_name.clone(), String::new()),
        CertPlan::Leaf { issuer, subject, names, .. } => {
            let names: Vec<_> = names.iter().map(ToString::to_string).collect();
            (issuer.as_str(), subject.common_name.clone(), names.join(" "))
        }
        CertPlan::KeyPair => ("-", "(key pair)".to_owned(), String::new()),
        CertPlan::External { cert, .. } => ("external", cert.display().to_string(), String::new()),
    };
    vec![id.to_owned(), issuer.to_owned(), subject, names]
}

/// The name without the node that it ends with, behind `separator`.
fn of_node(name: &str, node: &str, separator: char) -> String {
    let kind = name.strip_suffix(node).filter(|kind| kind.ends_with(separator));
    kind.map_or_else(|| name.to_owned(), |kind| format!("{kind}NODE"))
}

/// A row for each file; certificates and keys of `node` are called after no node.
fn files(files: &[FilePlan], root: &str, node: &str) -> Vec<Vec<String>> {
    let row = |file: &FilePlan| {
        let source = match &file.source {
            Source::Directory => "directory".to_owned(),
            Source::Text(_) => "text".to_owned(),
            Source::Link(target) => format!("link to {target}"),
            Source::Component(name) => format!("component {name}"),
            Source::Images(images) => {
                let names: Vec<_> = images.iter().map(|image| image.name.to_string()).collect();
                format!("images {}", names.join(", "))
            }
            Source::Certificate(name) => format!("certificate {}", of_node(name, node, '/')),
            Source::Key(name) => format!("key {}", of_node(name, node, '/')),
            Source::Kubeconfig(kubeconfig) => format!("kubeconfig of {} for {}", kubeconfig.user, kubeconfig.server),
            Source::BootstrapToken => "bootstrap token".to_owned(),
            Source::EncryptionConfig => "encryption key".to_owned(),
        };
        vec![file.mode.to_string(), format!("{root}{}", file.path), source]
    };
    files.iter().map(row).collect()
}
