//! What a package is made from: its own files, and for a machine's package what its scripts need to know.

use super::about::About;
use super::{Error, Ingredients, conflict, conflict_at, installer, missing, node_plan, restarts, tree};
use crate::artifact::ArtifactInput;
use crate::debian::{self, NodeRecord};
use crate::package::Relation;
use crate::plan::{FilePlan, OutputKind, PackagePlan, Plan};
use crate::recipe::install::Install;
use crate::scripts::join;
use crate::seal;

pub(super) fn package(package: &PackagePlan, from: Ingredients<'_>) -> Result<ArtifactInput, Error> {
    let PackagePlan { about, compression, date, .. } = package;
    let name = about.name.as_str();
    let mut own = tree(name, &package.files, from)?;
    let made = match &package.node {
        None => debian::shared(about, own, *compression, *date).map_err(|source| conflict_at(name, source))?,
        Some(node) => {
            let node = node_plan(from.plan, node).ok_or_else(|| missing(name, format!("node `{node}`")))?;
            // The machine also needs the programs that other packages bring.
            let installed: Vec<_> = package.files.iter().chain(files_of(&about.depends, from.plan)).cloned().collect();
            let mut installed = tree(name, &installed, from)?;
            let sealed = super::sealed(&own, Some(&node.name), name, from)?;
            let mut secrets = Vec::new();
            if sealed.is_some() {
                (own, secrets) = seal::without_secrets(own);
            }
            for files in [&mut own, &mut installed] {
                let inserted = debian::insert_status(files);
                let inserted =
                    inserted.and_then(|()| sealed.iter().try_for_each(|it| debian::insert_sealed(files, it.files())));
                inserted.map_err(|source| conflict_at(name, source))?;
            }
            let about_node = super::about(node, from);
            let record = NodeRecord {
                settings: settings(about_node),
                files: vec![
                    ("bundle.conf", installer::conf(about_node)),
                    ("FILES", installer::listing(&installed, sealed.is_some())),
                    ("TRIGGERS", restarts::triggers(&installed, &node.install.units)),
                ],
                sealed: secrets,
            };
            debian::node(about, own, &record, *compression, *date).map_err(|source| conflict(&node.name, source))?
        }
    };
    Ok(ArtifactInput::Debian(Box::new(made)))
}

/// What an archive's scripts know; and what a purge removes, file by file, since dpkg keeps no list of it. It removes state
/// and logs alike, as `directories`; in scripts `state` is the directory of our own records.
fn settings(about: About<'_>) -> Vec<(&'static str, String)> {
    let Install { state, logs, writes, .. } = &about.node.install;
    let known = installer::settings(about).into_iter().filter(|(key, _)| !matches!(*key, "state" | "logs"));
    known.chain([("writes", join(writes)), ("directories", join(&[&state[..], logs].concat()))]).collect()
}

fn files_of<'p>(relations: &'p [Relation], plan: &'p Plan) -> impl Iterator<Item = &'p FilePlan> {
    let packages = plan.outputs.iter().filter_map(|output| match &output.kind {
        OutputKind::Package(package) => Some(package),
        _ => None,
    });
    let needed = packages.filter(|package| relations.iter().any(|relation| relation.package == package.about.name));
    needed.flat_map(|package| &package.files)
}
