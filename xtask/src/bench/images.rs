//! Builds with large images: what they cost beside a copy of what is written.
#![expect(clippy::disallowed_methods, reason = "xtask writes files")]

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use kube_bundle::hash::Sha256;
use serde_json::{Value, json};

use super::environment::Environment;
use super::measure::{self, Run, compare};
use super::report::{Report, Row};
use crate::small::SmallCluster;

/// Layers of the image, and bytes of each: 500 MB in all.
const LAYERS: u64 = 10;
const LAYER: usize = 50_000_000;

/// Three masters and ten workers, with an image whose layers can't be compressed.
pub(super) fn images(environment: &Environment, report: &mut Report) -> Result<()> {
    report.section(
        "Images",
        "Three masters and ten workers with an image of 500 MB in ten layers, as packages: one of them has the image. \
         `cp` copies the output on the same disk.",
    );
    let directory = environment.work.join("images");
    let more = prepare(&directory.join("files"))?;
    let program = Environment::program("kube-bundle")?;
    let cluster = SmallCluster::prepare(&directory, Path::new(&program), &more, 3000)?;
    cluster.build("out", &["--format", "deb"])?;
    let build = Run {
        what: "build with images".to_owned(),
        program,
        arguments: ["build", "--offline", "--from", "files", "-q", "-o", "out", "--format", "deb"]
            .map(str::to_owned)
            .into(),
        directory: directory.clone(),
        variables: vec![("XDG_CACHE_HOME".to_owned(), cluster.path("cache").display().to_string())],
    };
    let (warm, copy) =
        compare(&build, || Ok(()), &environment.copy(&cluster.path("out")), || environment.remove_copy())?;
    let cold = measure::measure(&build, || super::cluster::remove_directory(&cluster.path("cache")))?;
    report.row(Row::new("kube-bundle, empty store", &cold));
    report.row(Row::new("kube-bundle, the image is in the store", &warm));
    report.row(Row::new("`cp -r` of the output", &copy));
    report.ratio("build / cp", warm.seconds / copy.seconds);
    super::cluster::remove_directory(&directory)
}

/// Writes an image layout; returns what cluster.toml needs besides one master.
fn prepare(layout: &Path) -> Result<String> {
    fs::create_dir_all(layout.join("blobs/sha256")).context("could not make a directory for images")?;
    let large = write_image(layout, (1..=LAYERS).map(|seed| random(seed, LAYER)))?;
    let pause = write_image(layout, std::iter::once(random(0, 1000)))?;
    let name = json!({ "org.opencontainers.image.ref.name": "k8s.gcr.io/pause:3.1" });
    let digest = format!("sha256:{pause}");
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({ "mediaType": media_type, "digest": digest, "size": 0, "annotations": name });
    fs::write(layout.join("index.json"), json!({ "schemaVersion": 2, "manifests": [manifest] }).to_string())
        .context("could not write the index of images")?;
    let node = |role: &str, number: u32, address: u32| {
        format!("[[nodes]]\nname = \"{role}-{number}\"\naddress = \"192.0.2.{address}\"\nroles = [\"{role}\"]\n")
    };
    let masters: String = (2..=3).map(|number| node("master", number, number)).collect();
    let workers: String = (1..=10).map(|number| node("worker", number, 10 + number)).collect();
    Ok(format!("{masters}{workers}[images]\nextra = [\"registry.example/large:1@sha256:{large}\"]\n"))
}

/// Bytes that begin as a gzip file does, and can't be compressed.
fn random(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = vec![0x1f, 0x8b];
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_be_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Writes the files of an image; returns the digest of its manifest.
fn write_image(layout: &Path, layers: impl Iterator<Item = Vec<u8>>) -> Result<Sha256> {
    let blob = |bytes: &[u8]| -> Result<Value> {
        let sha256 = Sha256::of(bytes);
        fs::write(layout.join("blobs/sha256").join(sha256.to_string()), bytes).context("could not write a blob")?;
        Ok(
            json!({ "mediaType": "application/octet-stream", "digest": format!("sha256:{sha256}"), "size": bytes.len() }),
        )
    };
    let layers = layers.map(|layer| blob(&layer)).collect::<Result<Vec<_>>>()?;
    let diff_ids: Vec<_> = layers.iter().map(|layer| &layer["digest"]).collect();
    let config = json!({ "os": "linux", "architecture": "amd64", "rootfs": { "diff_ids": diff_ids } });
    let manifest = json!({ "schemaVersion": 2, "config": blob(config.to_string().as_bytes())?, "layers": layers });
    let manifest = manifest.to_string();
    blob(manifest.as_bytes())?;
    Ok(Sha256::of(manifest.as_bytes()))
}
