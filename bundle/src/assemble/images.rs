//! The container images of a machine as an OCI image layout: what `ctr images import` reads, wherever it comes from.
//!
//! ```text
//! oci-layout              the version of the layout
//! index.json              which manifest has which name
//! blobs/sha256/…          manifests, configurations and layers, as they were fetched; one that several images share is
//!                         there once
//! ```

use std::collections::BTreeMap;

use serde_json::json;

use super::{Error, Ingredients, missing};
use crate::fetch::Image;
use crate::plan::FilePlan;
use crate::spec::ImageReference;
use crate::target::{InstallPath, Mode};
use crate::tree::{Content, Entry};

const OCI_LAYOUT: &str = "{\"imageLayoutVersion\":\"1.0.0\"}\n";

/// What lies at the path of `file` and below it, in order.
pub(super) fn layout(
    file: &FilePlan,
    images: &[ImageReference],
    from: Ingredients<'_>,
) -> Result<Vec<(InstallPath, Entry)>, Error> {
    let below = |name: &str| InstallPath::known(name).below(&file.path);
    let (mut manifests, mut blobs) = (Vec::new(), BTreeMap::new());
    for reference in images {
        let name = reference.name.to_string();
        let image = from.blobs.image(reference);
        let image = image.ok_or_else(|| missing(file.path.as_str(), format!("the image `{name}`")))?;
        // Pods may ask for the name, or for the digest that is pinned.
        let by_digest = format!("{}@sha256:{}", reference.name.without_tag(), reference.digest);
        manifests.extend([name, by_digest].map(|name| entry(image, &name)));
        let own = std::iter::once(&image.manifest).chain(&image.content);
        blobs.extend(own.map(|blob| (blob.sha256(), blob.clone())));
    }
    let index = json!({ "schemaVersion": 2, "manifests": manifests });
    let index = serde_json::to_string_pretty(&index).unwrap_or_else(|why| unreachable!("it has string keys: {why}"));
    let mut entries = vec![
        (file.path.clone(), Entry { owner: file.owner.clone(), ..Entry::directory(file.mode) }),
        (below("oci-layout"), Entry::text(Mode::PUBLIC, OCI_LAYOUT)),
        (below("index.json"), Entry::text(Mode::PUBLIC, index + "\n")),
    ];
    entries.extend(blobs.into_iter().map(|(sha256, blob)| {
        let entry = Entry { content: Content::Blob(blob), ..Entry::text(Mode::PUBLIC, "") };
        (below(&format!("blobs/sha256/{sha256}")), entry)
    }));
    Ok(entries)
}

/// A manifest under a name. containerd reads the first annotation since 1.3, and the other one before; a name without a
/// registry would be one of its own there.
fn entry(image: &Image, name: &str) -> serde_json::Value {
    json!({
        "mediaType": image.media_type,
        "digest": format!("sha256:{}", image.manifest.sha256()),
        "size": image.manifest.size(),
        "platform": { "architecture": "amd64", "os": "linux" },
        "annotations": { "io.containerd.image.name": name, "org.opencontainers.image.ref.name": name },
    })
}
