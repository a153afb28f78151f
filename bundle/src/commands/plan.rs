//! `kube-bundle plan`

use std::fmt::Write as _;

use super::Console;
use super::cluster::{Cluster, Overrides};
use super::console::{print, table};
use crate::Error;
use crate::cli::ClusterArgs;
use crate::plan::certificates::CertPlan;
use crate::plan::{FilePlan, Plan, Source};
use crate::progress::bytes;

pub(super) fn plan(args: &ClusterArgs, console: &Console) -> Result<(), Error> {
    let plan = Cluster::load(args, &Overrides::default(), console)?.plan;
    if console.json() { print(&plan.to_json()) } else { print(&text(&plan)) }
}

fn text(plan: &Plan) -> String {
    let mut text =
        format!("Cluster {}, Kubernetes {}, recipe {}\n\nDownloads\n", plan.cluster, plan.version, plan.recipe);
    let downloads: Vec<_> = plan
        .downloads
        .iter()
        .map(|download| {
            let size = download.size.map_or_else(|| "not published".to_owned(), |size| bytes(size).to_string());
            let components: Vec<_> = download.members().iter().map(|member| member.component.as_str()).collect();
            vec![download.file.clone(), size, components.join(", "), download.pin.to_string()]
        })
        .collect();
    text += &table(&["FILE", "SIZE", "COMPONENTS", "PIN"], &downloads);
    text += "\nCertificates and keys\n";
    let certificates: Vec<_> = plan.pki.certificates.iter().map(|(id, planned)| certificate(id, planned)).collect();
    text += &table(&["ID", "SIGNED BY", "SUBJECT", "NAMES"], &certificates);
    for node in &plan.nodes {
        // Writing to a string can't fail.
        let _ = write!(text, "\nNode {} ({})\n", node.name, node.address);
        text += &files(&node.files, "/");
    }
    text += "\nFor people and later workers\n";
    text += &files(&plan.operator, "operator/");
    text += "\nArchives\n";
    plan.outputs.iter().for_each(|output| text += &format!("{}\n", output.path));
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
        CertPlan::External { cert, .. } => ("given", cert.display().to_string(), String::new()),
    };
    vec![id.to_owned(), issuer.to_owned(), subject, names]
}

fn files(files: &[FilePlan], root: &str) -> String {
    let rows: Vec<_> = files
        .iter()
        .map(|file| {
            let source = match &file.source {
                Source::Directory => "directory".to_owned(),
                Source::Text(text) | Source::Gzipped(text) => format!("text, {}", bytes(text.len() as u64)),
                Source::Component(name) => format!("component {name}"),
                Source::Certificate(id) => format!("certificate {id}"),
                Source::Key(id) => format!("key {id}"),
                Source::Kubeconfig(kubeconfig) => {
                    format!("kubeconfig of {} for {}", kubeconfig.user, kubeconfig.server)
                }
                Source::BootstrapToken => "bootstrap token".to_owned(),
                Source::EncryptionConfig => "encryption key".to_owned(),
                Source::Link(target) => format!("link to {target}"),
            };
            vec![file.mode.to_string(), format!("{root}{}", file.path), source]
        })
        .collect();
    table(&["MODE", "PATH", "FROM"], &rows)
}
