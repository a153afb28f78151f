//! `public.SHA256SUMS`: what depends on no key. Whoever has `cluster.toml` and the recipe can build it again and compare,
//! without `pki/`.
//!
//! ```text
//! DIGEST  deb/NAME.deb              a package of a program
//! DIGEST  nodes/NODE/root/PATH      a program, an image, a unit or a configuration of a machine
//! DIGEST  nodes/NODE/install.sh     what root runs there
//! ```

use std::collections::BTreeMap;

use super::{Error, Ingredients, images, installer, missing};
use crate::artifact::WrittenFiles;
use crate::hash::Sha256;
use crate::plan::{FilePlan, OutputKind, Source};

/// The text of the list. `written` has what machines share.
pub(super) fn list(from: Ingredients<'_>, written: &WrittenFiles) -> Result<String, Error> {
    // The number of a build is counted where the keys are.
    let shared = from.plan.outputs.iter().filter(
        |output| matches!(&output.kind, OutputKind::Package(package) if package.node.is_none() && !package.is_numbered),
    );
    let shared = shared.filter_map(|output| Some((output.path.clone(), written.get(&output.path)?.file.sha256())));
    let mut list: BTreeMap<_, _> = shared.collect();
    let is_archived = from.plan.outputs.iter().any(|output| matches!(output.kind, OutputKind::Archive { .. }));
    for node in &from.plan.content.nodes {
        for file in &node.files {
            let found = digests(file, from)?;
            list.extend(found.into_iter().map(|(path, sha256)| (format!("nodes/{}/root/{path}", node.name), sha256)));
        }
        if is_archived {
            list.insert(format!("nodes/{}/{}", node.name, installer::INSTALLER), installer::sha256());
        }
    }
    Ok(list.into_iter().map(|(path, sha256)| format!("{sha256}  {path}\n")).collect())
}

/// The files that a planned one becomes, if nothing in them comes from a key.
fn digests(file: &FilePlan, from: Ingredients<'_>) -> Result<Vec<(String, Sha256)>, Error> {
    let one = |sha256| Ok(vec![(file.path.to_string(), sha256)]);
    match &file.source {
        Source::Text(text) => one(Sha256::of(text.as_bytes())),
        Source::Component(name) => {
            let blob = from.blobs.get(name);
            one(blob.ok_or_else(|| missing(file.path.as_str(), format!("component `{name}`")))?.sha256())
        }
        Source::Images(references) => {
            let layout = images::layout(file, references, from)?.into_iter();
            Ok(layout.filter_map(|(path, entry)| Some((path.to_string(), entry.sha256()?))).collect())
        }
        Source::Directory
        | Source::Link(_)
        | Source::Certificate(_)
        | Source::Key(_)
        | Source::Kubeconfig(_)
        | Source::BootstrapToken
        | Source::EncryptionConfig => Ok(Vec::new()),
    }
}
