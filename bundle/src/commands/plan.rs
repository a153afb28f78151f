//! `kube-bundle plan`

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::Console;
use super::cluster::{Cluster, Overrides};
use super::console::{print, table};
use crate::Error;
use crate::cli::ClusterArgs;
use crate::pki::revision;
use crate::plan::certificates::CertPlan;
use crate::plan::{FilePlan, Plan, Source};
use crate::progress::bytes;

pub(super) fn plan(args: &ClusterArgs, console: &Console) -> Result<(), Error> {
    let cluster = Cluster::load(args, &Overrides::default(), console)?;
    let plan = cluster.plan()?;
    // A build says why it can't be numbered; a plan, be it of another person's directory, shows the rest.
    let number = revision::expected_number(&plan, &cluster.pki(1, &BTreeSet::new())).unwrap_or_else(|why| {
        console
            .progress()
            .warn(&format!("the number of the next build is not known, so versions of packages are not: {why}"));
        1
    });
    let plan = plan.number(number);
    if console.json() { print(&plan.to_json()) } else { print(&text(&plan)) }
}

fn text(plan: &Plan) -> String {
    let Plan { content: plan, outputs, .. } = plan;
    let mut text =
        format!("Cluster {}, Kubernetes {}, recipe {}\n\nDownloads\n", plan.cluster, plan.version, plan.recipe);
    let downloads: Vec<_> = plan
        .downloads
        .iter()
        .map(|download| {
            let size = download.size.map_or_else(|| "not published".to_owned(), |size| bytes(size).to_string());
            let components: Vec<_> = download.members().iter().map(|member| member.component.as_str()).collect();
            vec![download.title(), size, components.join(", "), download.pin.to_string()]
        })
        .collect();
    text += &table(&["FILE", "SIZE", "COMPONENTS", "PIN"], &downloads);
    text += "\nCertificates and keys\n";
    let certificates: Vec<_> = plan.pki.certificates.iter().map(|(id, planned)| certificate(id, planned)).collect();
    text += &table(&["ID", "SIGNED BY", "SUBJECT", "NAMES"], &certificates);
    for node in &plan.nodes {
        // Writing to a string can't fail.
        let roles: Vec<_> = node.roles.iter().map(ToString::to_string).collect();
        let _ = write!(text, "\nNode {} ({}): {}\n", node.name, node.address, roles.join(", "));
        text += &files(&node.files, "/");
    }
    text += "\nFor people and later workers\n";
    text += &files(&plan.operator, "operator/");
    text += "\nOutputs\n";
    text += &outputs.iter().map(|output| format!("{}\n", output.path)).collect::<String>();
    text
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

fn files(files: &[FilePlan], root: &str) -> String {
    let rows: Vec<_> = files
        .iter()
        .map(|file| {
            let source = match &file.source {
                Source::Directory => "directory".to_owned(),
                Source::Text(text) => format!("text, {}", bytes(text.len() as u64)),
                Source::Link(target) => format!("link to {target}"),
                Source::Component(name) => format!("component {name}"),
                Source::Images(images) => {
                    let names: Vec<_> = images.iter().map(|image| image.name.to_string()).collect();
                    format!("images {}", names.join(", "))
                }
                Source::Certificate(id) => format!("certificate {id}"),
                Source::Key(id) => format!("key {id}"),
                Source::Kubeconfig(kubeconfig) => {
                    format!("kubeconfig of {} for {}", kubeconfig.user, kubeconfig.server)
                }
                Source::BootstrapToken => "bootstrap token".to_owned(),
                Source::EncryptionConfig => "encryption key".to_owned(),
            };
            vec![file.mode.to_string(), format!("{root}{}", file.path), source]
        })
        .collect();
    table(&["MODE", "PATH", "FROM"], &rows)
}
