//! What manifests, configurations and indexes of images say (OCI image specification; Docker's schema 2 has the same fields).

use serde::{Deserialize, Serialize};

use crate::hash::Sha256;
use crate::spec::ImageName;

/// The platform that images are for, by the names of Go.
const OS: &str = "linux";
const ARCHITECTURE: &str = "amd64";

/// Limit in bytes for a manifest, by the OCI distribution specification, and for a configuration.
pub(super) const LONGEST: u64 = 4 << 20;

/// A manifest, or a list of them for several platforms, or the index of a layout.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    schema_version: u32,
    pub(super) media_type: Option<String>,
    pub(super) manifests: Option<Vec<Descriptor>>,
    pub(super) config: Option<Descriptor>,
    pub(super) layers: Option<Vec<Descriptor>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    pub(super) media_type: String,
    digest: String,
    pub(super) size: u64,
    #[serde(skip_serializing)]
    platform: Option<Platform>,
    #[serde(skip_serializing, default)]
    annotations: Annotations,
}

#[derive(Debug, Clone, Deserialize)]
struct Platform {
    os: String,
    architecture: String,
    variant: Option<String>,
}

/// Where the index of a layout has the name of an image: containerd and docker write both, others the second one.
#[derive(Debug, Clone, Default, Deserialize)]
struct Annotations {
    #[serde(rename = "io.containerd.image.name")]
    complete: Option<String>,
    #[serde(rename = "org.opencontainers.image.ref.name")]
    reference: Option<String>,
}

/// The part of a configuration that is checked.
#[derive(Debug, Deserialize)]
struct Config {
    os: String,
    architecture: String,
    rootfs: RootFs,
}

#[derive(Debug, Deserialize)]
struct RootFs {
    diff_ids: Vec<String>,
}

impl Manifest {
    /// From the bytes of a manifest, a list or an index.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let manifest: Self =
            serde_json::from_slice(bytes).map_err(|why| format!("not the manifest of an image: {why}"))?;
        if manifest.schema_version == 2 {
            Ok(manifest)
        } else {
            Err(format!("expected a manifest of schema version 2, got {}", manifest.schema_version))
        }
    }
}

impl Descriptor {
    /// What describes a file of these properties.
    pub(super) fn of(media_type: &str, sha256: Sha256, size: u64) -> Self {
        let digest = format!("sha256:{sha256}");
        Self { media_type: media_type.to_owned(), digest, size, platform: None, annotations: Annotations::default() }
    }

    pub(super) fn sha256(&self) -> Result<Sha256, String> {
        sha256(&self.digest)
            .ok_or_else(|| format!("expected a SHA-256 digest of {}, got `{}`", self.media_type, self.digest))
    }

    /// The image's name in an index. A tag alone is none.
    pub(super) fn name(&self) -> Option<ImageName> {
        let Annotations { complete, reference } = &self.annotations;
        [complete, reference].into_iter().flatten().find_map(|name| name.parse().ok())
    }
}

/// Of a digest with the name of its algorithm.
pub(super) fn sha256(digest: &str) -> Option<Sha256> {
    digest.strip_prefix("sha256:").and_then(|digest| digest.parse().ok())
}

/// The manifest for our platform in a list.
pub(super) fn for_platform(platforms: &[Descriptor]) -> Result<&Descriptor, String> {
    let is_ours = |platform: &Platform| platform.os == OS && platform.architecture == ARCHITECTURE;
    if let [only] = platforms
        && only.platform.is_none()
    {
        // Its configuration says what it is for.
        return Ok(only);
    }
    let ours = platforms.iter().filter(|descriptor| descriptor.platform.as_ref().is_some_and(is_ours));
    // A variant of a platform is for newer processors.
    let found = ours.min_by_key(|descriptor| descriptor.platform.as_ref().and_then(|it| it.variant.clone()));
    found.ok_or_else(|| {
        let has = platforms.iter().filter_map(|descriptor| descriptor.platform.as_ref());
        let has: Vec<_> = has.map(|platform| format!("{}/{}", platform.os, platform.architecture)).collect();
        format!("expected an image for {OS}/{ARCHITECTURE}, got one for {}", has.join(", "))
    })
}

/// The digests of the uncompressed layers, by the bytes of a configuration that is for our platform and has as many layers
/// as the manifest.
pub(super) fn diff_ids(config: &[u8], layers: usize) -> Result<Vec<String>, String> {
    let config: Config =
        serde_json::from_slice(config).map_err(|why| format!("not the configuration of an image: {why}"))?;
    if (config.os.as_str(), config.architecture.as_str()) != (OS, ARCHITECTURE) {
        let got = format!("{}/{}", config.os, config.architecture);
        return Err(format!("expected an image for {OS}/{ARCHITECTURE}, got one for {got}"));
    }
    let diff_ids = config.rootfs.diff_ids;
    if diff_ids.len() != layers {
        return Err(format!("the configuration has {} layers, and the manifest {layers}", diff_ids.len()));
    }
    Ok(diff_ids)
}
