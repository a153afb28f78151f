//! Images that are made here, in an OCI image layout: one that holds a pod's namespaces, and one for tests.
#![expect(clippy::disallowed_methods, reason = "xtask writes files")]

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use kube_bundle::hash::Sha256;
use serde_json::{Value, json};

use super::shell::stdout_of;

/// The name of the image that holds a pod's namespaces, as the recipe has it.
const PAUSE: &str = "k8s.gcr.io/pause:3.1";
/// An image with busybox, for pods.
pub(super) const APP: &str = "registry.example/app:1";

/// Commands of busybox that the image has by their names.
const COMMANDS: [&str; 8] = ["cat", "hostname", "httpd", "mkdir", "nc", "nslookup", "ping", "sh"];

/// Writes the layout into the directory of the components. `busybox` is a static program.
pub(super) fn write(directory: &Path, busybox: &Path) -> Result<()> {
    let pause = image(directory, busybox, &[], &["/bin/busybox", "sleep", "2147483647"])?;
    let app = image(directory, busybox, &COMMANDS, &["/bin/sh"])?;
    let entry = |(name, manifest): (&str, &[u8])| {
        json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": format!("sha256:{}", Sha256::of(manifest)),
            "size": manifest.len(),
            "annotations": { "org.opencontainers.image.ref.name": name },
        })
    };
    let manifests: Vec<Value> = [(PAUSE, &pause[..]), (APP, &app[..])].into_iter().map(entry).collect();
    let index = json!({ "schemaVersion": 2, "manifests": manifests }).to_string();
    fs::write(directory.join("index.json"), index).context("could not write the index of images")?;
    fs::write(directory.join("oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}").context("could not write a layout")
}

/// Writes the blobs of an image with one layer; returns its manifest.
fn image(directory: &Path, busybox: &Path, commands: &[&str], entrypoint: &[&str]) -> Result<Vec<u8>> {
    let root = directory.with_file_name("image");
    let _ = fs::remove_dir_all(&root);
    fs::create_dir_all(root.join("bin")).context("could not make the root of an image")?;
    fs::copy(busybox, root.join("bin/busybox")).context("could not copy busybox")?;
    for command in commands {
        std::os::unix::fs::symlink("busybox", root.join("bin").join(command)).context("could not make a link")?;
    }
    let layer = directory.with_file_name("layer.tar");
    let (from, to) = (root.display().to_string(), layer.display().to_string());
    stdout_of("tar", &["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "-cf", &to, "-C", &from, "bin"])?;
    let plain = fs::read(&layer).context("could not read a layer")?;
    stdout_of("gzip", &["--force", "--no-name", &to])?;
    let packed = fs::read(layer.with_extension("tar.gz")).context("could not read a layer")?;
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "config": { "Entrypoint": entrypoint, "Env": ["PATH=/bin"] },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{}", Sha256::of(&plain))] },
    });
    let config = blob(directory, "application/vnd.oci.image.config.v1+json", config.to_string().as_bytes())?;
    let layer = blob(directory, "application/vnd.oci.image.layer.v1.tar+gzip", &packed)?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config,
        "layers": [layer],
    });
    let manifest = manifest.to_string().into_bytes();
    blob(directory, "", &manifest)?;
    Ok(manifest)
}

fn blob(directory: &Path, media_type: &str, bytes: &[u8]) -> Result<Value> {
    let (sha256, blobs) = (Sha256::of(bytes), directory.join("blobs/sha256"));
    fs::create_dir_all(&blobs).context("could not make the directory of blobs")?;
    fs::write(blobs.join(sha256.to_string()), bytes).context("could not write a blob")?;
    Ok(json!({ "mediaType": media_type, "digest": format!("sha256:{sha256}"), "size": bytes.len() }))
}
