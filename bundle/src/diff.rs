//! What differs between two bundles, by their manifests, and by the units in their archives and packages.
//!
//! Files are compared by the digests in the manifests; `verify` says whether these are true. Of what only root may read,
//! keys and tokens among it, no more is said than that it differs.

mod changes;
mod expected;
mod machines;
mod units;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

pub use changes::{Changes, Field};
pub use units::UnitChanges;

use crate::manifest::Manifest;
use crate::manifest::origin::{CertificateRecord, ComponentRecord, NodeRecord, Origin};
use crate::pki::Next;
use crate::pki::info::moment;
use crate::plan::Plan;
use crate::workers;
use changes::Fields;

/// One of the two bundles.
#[derive(Debug, Clone, Copy)]
pub struct Side<'s> {
    pub content: Content<'s>,
    pub manifest: &'s Manifest,
}

/// Where the texts of units are.
#[derive(Debug, Clone, Copy)]
pub enum Content<'s> {
    /// In the archives and packages of the directory that `build` wrote.
    Directory(&'s Path),
    /// In the plan of a bundle that does not exist yet.
    Plan(&'s Plan),
}

impl Side<'_> {
    /// As people know it.
    fn name(&self) -> String {
        match self.content {
            Content::Directory(path) => path.display().to_string(),
            Content::Plan(_) => "the plan".to_owned(),
        }
    }
}

/// Everything that differs.
#[derive(Debug, Serialize)]
pub struct Differences {
    /// Whether nothing differs: both manifests are the same.
    pub equal: bool,
    /// Cluster, version, recipe, program.
    pub bundle: Vec<Field>,
    /// Machines, their addresses and roles.
    pub nodes: Changes,
    /// Programs and files that were downloaded.
    pub components: Changes,
    pub images: Changes,
    pub certificates: Changes,
    /// Of a plan: keys and certificates that the build issues, with the reason where it replaces one.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub issued: BTreeMap<String, Option<String>>,
    /// Files and units of machines that both bundles have, by name; left out are machines without a difference.
    pub machines: BTreeMap<String, MachineChanges>,
    /// Files of packages that all machines share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub all_machines: Option<MachineChanges>,
    /// Files of the output directories.
    pub outputs: Changes,
    /// A sentence for each machine or unit that could not be compared.
    pub not_compared: Vec<String>,
}

/// What differs on one machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct MachineChanges {
    pub files: Changes,
    /// Units among the changed files, by path.
    pub units: BTreeMap<String, UnitChanges>,
    #[serde(skip)]
    not_compared: Vec<String>,
}

/// Compares two bundles, reading units of up to `jobs` machines at a time.
pub fn bundles(from: Side<'_>, to: Side<'_>, jobs: usize) -> Differences {
    let (old, new) = (from.manifest, to.manifest);
    let mut differences = Differences {
        equal: old == new,
        bundle: bundle(old, new),
        nodes: Changes::between(&old.nodes, &new.nodes, node),
        components: Changes::between(&old.components, &new.components, component),
        images: Changes::between(&old.images, &new.images, |old, new| origin(Fields::default(), old, new).done()),
        certificates: Changes::between(&old.certificates, &new.certificates, certificate),
        issued: BTreeMap::new(),
        machines: BTreeMap::new(),
        all_machines: None,
        outputs: Changes::between(&old.files, &new.files, |old, new| {
            let size = if old.sha256 == new.sha256 { (old.size, old.size) } else { (old.size, new.size) };
            Fields::default().text("mode", &old.mode, &new.mode).text("bytes", &size.0, &size.1).done()
        }),
        not_compared: Vec::new(),
    };
    differences.compare_machines(&from, &to, jobs);
    differences
}

/// What the build of a plan would change in the bundle in `directory`, reading units of up to `jobs` machines at a time.
/// `expected.rs` says what can't be known before it. `next` is what `pki/` will hold.
pub fn planned((directory, old): (&Path, &Manifest), plan: &Plan, next: Next, jobs: usize) -> Differences {
    let (old, new) = expected::manifests(plan, &next, old);
    let from = Side { content: Content::Directory(directory), manifest: &old };
    let mut differences = bundles(from, Side { content: Content::Plan(plan), manifest: &new }, jobs);
    differences.equal &= next.issued.is_empty();
    differences.issued = next.issued;
    differences.not_compared.extend(next.unusable);
    differences
}

impl Differences {
    fn compare_machines(&mut self, from: &Side<'_>, to: &Side<'_>, jobs: usize) {
        let names = |manifest: &Manifest| {
            let owners = manifest.artifacts.values().filter_map(|artifact| artifact.node.clone());
            owners.collect::<std::collections::BTreeSet<_>>()
        };
        let both: Vec<_> = names(from.manifest).intersection(&names(to.manifest)).cloned().map(Some).collect();
        let shared = machines::shares_packages(from.manifest, to.manifest).then_some(None);
        let all: Vec<Option<String>> = both.into_iter().chain(shared).collect();
        let compare =
            |node: &Option<String>| Ok::<_, std::convert::Infallible>(machines::compare(from, to, node.as_deref()));
        let Ok(compared) = workers::each(jobs, &all, compare);
        for (node, compared) in all.into_iter().zip(compared) {
            match (node, compared) {
                (_, Err(why)) => self.not_compared.push(why),
                (node, Ok(mut machine)) => {
                    self.not_compared.append(&mut machine.not_compared);
                    match node {
                        _ if machine.files.is_empty() => {}
                        Some(node) => drop(self.machines.insert(node, machine)),
                        None => self.all_machines = Some(machine),
                    }
                }
            }
        }
        self.not_compared.sort();
        self.not_compared.dedup();
    }
}

fn bundle(old: &Manifest, new: &Manifest) -> Vec<Field> {
    Fields::default()
        .text("cluster", &old.cluster, &new.cluster)
        .text("Kubernetes", &old.version, &new.version)
        .text("recipe", &old.recipe.name, &new.recipe.name)
        .text("recipe sha256", &old.recipe.sha256, &new.recipe.sha256)
        .text("plan sha256", &old.plan, &new.plan)
        .text("valid from", &moment(old.validity.not_before), &moment(new.validity.not_before))
        .text("valid until", &moment(old.validity.not_after), &moment(new.validity.not_after))
        .optional("token until", old.bootstrap_token_expires.map(moment), new.bootstrap_token_expires.map(moment))
        .optional("kube-bundle", old.kube_bundle.clone(), new.kube_bundle.clone())
        .list("format", &formats(old), &formats(new))
        .done()
}

fn formats(manifest: &Manifest) -> Vec<String> {
    manifest.formats().into_iter().collect()
}

fn node(old: &NodeRecord, new: &NodeRecord) -> Vec<Field> {
    Fields::default().text("address", &old.address, &new.address).list("role", &old.roles, &new.roles).done()
}

fn component(old: &ComponentRecord, new: &ComponentRecord) -> Vec<Field> {
    let fields = Fields::default()
        .text("version", &old.version, &new.version)
        .text("sha256", &old.sha256, &new.sha256)
        .text("bytes", &old.size, &new.size)
        .optional("license", old.license.clone(), new.license.clone())
        .optional("member", old.member.clone(), new.member.clone());
    origin(fields, &old.origin, &new.origin).done()
}

fn origin(fields: Fields, old: &Origin, new: &Origin) -> Fields {
    let publishers = |origin: &Origin| origin.publishers.iter().map(ToString::to_string).collect::<Vec<_>>();
    fields.text("pin", &old.pin, &new.pin).list("URL", &old.urls, &new.urls).list(
        "publisher",
        &publishers(old),
        &publishers(new),
    )
}

fn certificate(old: &CertificateRecord, new: &CertificateRecord) -> Vec<Field> {
    let usages =
        |of: &CertificateRecord| of.usages.iter().map(|usage| format!("{usage:?}").to_lowercase()).collect::<Vec<_>>();
    let fields = Fields::default()
        .text("subject", &old.subject, &new.subject)
        .optional("signed by", old.issuer.clone(), new.issuer.clone())
        .list("name", &old.names, &new.names)
        .list("usage", &usages(old), &usages(new))
        .text("CA", &old.is_ca, &new.is_ca)
        .text("from", &moment(old.not_before), &moment(new.not_before))
        .text("expires", &moment(old.not_after), &moment(new.not_after))
        .text("serial", &old.serial, &new.serial)
        .text("public key", &old.public_key, &new.public_key)
        .done();
    // It differs whenever anything else does.
    if fields.is_empty() { Fields::default().text("sha256", &old.sha256, &new.sha256).done() } else { fields }
}
