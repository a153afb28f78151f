//! `public.SHA256SUMS`: what depends on no key. Whoever has `cluster.toml` and the recipe can build it again and compare,
//! without `pki/`.
//!
//! ```text
//! DIGEST  nodes/NODE/root/PATH      a program, an image, a unit or a configuration in the archive of a machine
//! DIGEST  nodes/NODE/install.sh     what root runs there
//! DIGEST  deb/NAME.deb              a package of a program
//! DIGEST  packages/NAME/PATH        the same as in an archive, in a package that has the number of its build
//! ```

use std::collections::BTreeMap;

use super::{Error, Ingredients, images, installer, missing, node_plan};
use crate::artifact::WrittenFiles;
use crate::hash::Sha256;
use crate::plan::{FilePlan, OutputKind, Source};

/// The text of the list. `written` has what machines share.
pub(super) fn list(from: Ingredients<'_>, written: &WrittenFiles) -> Result<String, Error> {
    let mut list = BTreeMap::new();
    for output in &from.plan.outputs {
        match &output.kind {
            OutputKind::Archive { node } => {
                let files = node_plan(from.plan, node).map(|node| &node.files[..]).unwrap_or_default();
                list.extend(below(&format!("nodes/{node}/root"), files, from)?);
                list.insert(format!("nodes/{node}/{}", installer::INSTALLER), installer::sha256());
            }
            // The number of a build is counted where the keys are.
            OutputKind::Package(package) if package.node.is_some() || package.is_numbered => {
                list.extend(below(&format!("packages/{}", package.about.name.as_str()), &package.files, from)?);
            }
            OutputKind::Package(_) => {
                list.extend(written.get(&output.path).map(|it| (output.path.clone(), it.file.sha256())));
            }
            _ => {}
        }
    }
    Ok(list.into_iter().map(|(path, sha256)| format!("{sha256}  {path}\n")).collect())
}

fn below(place: &str, files: &[FilePlan], from: Ingredients<'_>) -> Result<Vec<(String, Sha256)>, Error> {
    let mut all = Vec::new();
    for file in files {
        all.extend(digests(file, from)?.into_iter().map(|(path, sha256)| (format!("{place}/{path}"), sha256)));
    }
    Ok(all)
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
