//! The manifest under which a registry keeps a bundle: an artifact by the OCI image specification 1.1, with a layer for each
//! file, titled by its path.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::hash::Sha256;
use crate::manifest::{PROVENANCE, is_signature};
use crate::regular::is_relative;

/// What kind of artifact a bundle is.
pub(super) const ARTIFACT_TYPE: &str = "application/vnd.kube-bundle.bundle.v1";
/// What kind its signature is, where registries list what refers to it.
pub(super) const SIGNATURE_TYPE: &str = "application/vnd.kube-bundle.signature.v1";
/// Media type of the manifest itself.
pub(super) const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of any other file.
const FILE_TYPE: &str = "application/vnd.kube-bundle.file.v1";
/// An artifact has a configuration, and a bundle needs none: this is the one that the specification has for that.
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
pub(super) const EMPTY: &[u8] = b"{}";
/// By which `oras pull` calls the file of a layer.
const TITLE: &str = "org.opencontainers.image.title";

/// What a file is, as far as others than us know such files.
pub(super) fn kind(title: &str) -> &'static str {
    match title {
        "sbom.cdx.json" => "application/vnd.cyclonedx+json",
        "sbom.spdx.json" => "application/spdx+json",
        PROVENANCE => "application/vnd.in-toto+json",
        _ if is_signature(title) => SIGNATURE_TYPE,
        _ => FILE_TYPE,
    }
}

/// Whether a registry lists such files beside a bundle, if it lists anything.
pub(super) fn is_about(title: &str) -> bool {
    kind(title) != FILE_TYPE
}

/// A manifest.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Artifact {
    schema_version: u32,
    media_type: String,
    #[serde(rename = "artifactType", skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    config: Descriptor,
    layers: Vec<Descriptor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<Descriptor>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    annotations: BTreeMap<String, String>,
}

/// A file of an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layer {
    /// Its path in a copy of the artifact.
    pub title: String,
    pub sha256: Sha256,
    /// Bytes.
    pub size: u64,
}

impl Descriptor {
    fn new(media_type: &str, bytes: &[u8]) -> Self {
        Self::of(media_type, Sha256::of(bytes), bytes.len() as u64)
    }

    fn of(media_type: &str, sha256: Sha256, size: u64) -> Self {
        let digest = format!("sha256:{sha256}");
        Self { media_type: media_type.to_owned(), digest, size, annotations: BTreeMap::new() }
    }

    fn layer(&self) -> Result<Layer, String> {
        let digest = self.digest.strip_prefix("sha256:").and_then(|digest| digest.parse().ok());
        let sha256 = digest.ok_or_else(|| format!("`{}` is not a SHA-256 digest", self.digest))?;
        let title = self.annotations.get(TITLE).ok_or_else(|| format!("{} has no title", self.digest))?;
        // It comes from the network, and will be a path on a disk.
        if !is_relative(title) {
            return Err(format!("`{title}` is not the path of a file"));
        }
        Ok(Layer { title: title.clone(), sha256, size: self.size })
    }
}

impl From<&Layer> for Descriptor {
    fn from(layer: &Layer) -> Self {
        let annotations = BTreeMap::from([(TITLE.to_owned(), layer.title.clone())]);
        Self { annotations, ..Self::of(kind(&layer.title), layer.sha256, layer.size) }
    }
}

impl Artifact {
    /// The manifest of a bundle.
    pub(super) fn bundle(layers: &[Layer], annotations: BTreeMap<String, String>) -> Self {
        Self::new(ARTIFACT_TYPE, layers, None, annotations)
    }

    /// The manifest of files that say something of a bundle, whose manifest is `of`.
    pub(super) fn about(of: &[u8], kind: &str, layers: &[Layer]) -> Self {
        Self::new(kind, layers, Some(Descriptor::new(MANIFEST_TYPE, of)), BTreeMap::new())
    }

    fn new(kind: &str, layers: &[Layer], subject: Option<Descriptor>, annotations: BTreeMap<String, String>) -> Self {
        Self {
            schema_version: 2,
            media_type: MANIFEST_TYPE.to_owned(),
            kind: Some(kind.to_owned()),
            config: Descriptor::new(EMPTY_TYPE, EMPTY),
            layers: layers.iter().map(Descriptor::from).collect(),
            subject,
            annotations,
        }
    }

    /// The text of the manifest.
    pub(super) fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_else(|why| unreachable!("string keys only: {why}"))
    }

    /// Reads the text of a bundle's manifest: its layers, with different titles that are all paths below a directory.
    ///
    /// # Errors
    /// In words that complete "it is no bundle: ".
    pub(super) fn layers(text: &[u8]) -> Result<Vec<Layer>, String> {
        let artifact: Self =
            serde_json::from_slice(text).map_err(|why| format!("its manifest does not read: {why}"))?;
        match artifact.kind.as_deref() {
            Some(ARTIFACT_TYPE) => {}
            Some(other) => return Err(format!("expected the artifact type `{ARTIFACT_TYPE}`, got `{other}`")),
            None => return Err(format!("expected the artifact type `{ARTIFACT_TYPE}`, got an image")),
        }
        let layers: Vec<_> = artifact.layers.iter().map(Descriptor::layer).collect::<Result<_, _>>()?;
        let mut titles = BTreeSet::new();
        match layers.iter().find(|layer| !titles.insert(layer.title.as_str())) {
            Some(twice) => Err(format!("`{}` is in it twice", twice.title)),
            None => Ok(layers),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(title: &str) -> Layer {
        Layer { title: title.to_owned(), sha256: Sha256::of(title.as_bytes()), size: 3 }
    }

    #[test]
    fn a_manifest_reads_as_it_was_written() {
        let layers = [layer("SHA256SUMS"), layer("deb/a.deb"), layer("SHA256SUMS.sig")];
        let text = Artifact::bundle(&layers, BTreeMap::new()).to_json();
        assert_eq!(Artifact::layers(text.as_bytes()), Ok(layers.to_vec()));
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(value["config"]["mediaType"], "application/vnd.oci.empty.v1+json");
        assert_eq!(value["config"]["size"], 2);
        assert_eq!(value["layers"][2]["mediaType"], SIGNATURE_TYPE);
        let about: serde_json::Value =
            serde_json::from_str(&Artifact::about(text.as_bytes(), SIGNATURE_TYPE, &layers[2..]).to_json())
                .expect("JSON");
        assert_eq!(about["subject"]["digest"], format!("sha256:{}", Sha256::of(text.as_bytes())));
    }

    #[test]
    fn a_manifest_that_is_no_bundles_is_refused() {
        let text = |layers: &[Layer]| Artifact::bundle(layers, BTreeMap::new()).to_json();
        let refused = |text: &str| Artifact::layers(text.as_bytes()).expect_err("refused");
        for title in ["../a", "/a", "a/../../b", "a//b", "", "a\u{1b}[2J"] {
            assert!(refused(&text(&[layer(title)])).contains("not the path"), "{title}");
        }
        assert!(refused(&text(&[layer("a"), layer("a")])).contains("twice"));
        assert!(refused(&text(&[layer("a")]).replace("sha256:", "sha512:")).contains("SHA-256"));
        assert!(refused(&text(&[]).replace(ARTIFACT_TYPE, "application/x")).contains("artifact type"));
        assert!(refused("{}").contains("does not read"));
        let image =
            r#"{"schemaVersion":2,"mediaType":"m","config":{"mediaType":"c","digest":"d","size":1},"layers":[]}"#;
        assert!(refused(image).contains("an image"));
    }
}
