//! What a team would write without kube-bundle: a script around tar, pigz, nfpm, xorriso and cfssl.
#![expect(clippy::disallowed_methods, reason = "xtask touches files")]

use std::fs;

use anyhow::{Context, Result};

use super::environment::Environment;
use super::measure::Run;
use super::programs::COMPONENTS;
use super::tools;

/// A command that makes, for each of three masters, an archive, a package and an ISO image with that package, and seven
/// certificates; nothing if one of the tools is missing.
pub(super) fn pipeline(environment: &Environment) -> Result<Option<Run>> {
    let Some(nfpm) = &environment.nfpm else { return Ok(None) };
    if !tools::has_peers() {
        return Ok(None);
    }
    let contents: String = COMPONENTS
        .iter()
        .map(|name| format!("- src: {}/{name}\n  dst: /usr/bin/{name}\n", environment.binaries.display()))
        .collect();
    let config =
        format!("name: node\narch: amd64\nversion: 1.16.0\nmaintainer: a <a@b.invalid>\ncontents:\n{contents}");
    let config_path = environment.work.join("nfpm.yaml");
    fs::write(&config_path, config).context("could not write nfpm's configuration")?;
    let request = environment.work.join("csr.json");
    fs::write(&request, "{\"CN\":\"x\",\"key\":{\"algo\":\"rsa\",\"size\":2048},\"hosts\":[\"10.200.0.1\"]}")
        .context("could not write a request")?;
    let script = format!(
        "set -e\ncd {peers}\n\
         cfssl gencert -loglevel=5 -initca {request} | cfssljson -bare ca\n\
         for name in 1 2 3 4 5 6; do cfssl gencert -loglevel=5 -ca=ca.pem -ca-key=ca-key.pem {request} | cfssljson -bare $name; done\n\
         for node in 1 2 3; do\n\
         tar -C {binaries} -cf - . | pigz -6 -p {processors} >$node.tar.gz\n\
         {nfpm} package --config {config} --packager deb --target $node.deb >/dev/null\n\
         mkdir $node && ln $node.deb $node/ && echo x >$node/user-data && echo x >$node/meta-data\n\
         xorriso -as genisoimage -quiet -V cidata -J -R -o $node.iso $node 2>/dev/null\n\
         done\n\
         sha256sum *.tar.gz *.deb *.iso >SHA256SUMS\n\
         sync -f .",
        peers = environment.work.join("peers").display(),
        request = request.display(),
        binaries = environment.binaries.display(),
        processors = environment.processors,
        nfpm = nfpm.display(),
        config = config_path.display(),
    );
    let mut run = environment.shell(&script);
    "the peers' pipeline".clone_into(&mut run.what);
    Ok(Some(run))
}

/// The size of the package that nfpm made, with all programs in it.
pub(super) fn package_size(environment: &Environment) -> Result<String> {
    let about = fs::metadata(environment.work.join("peers/1.deb")).context("nfpm left no package")?;
    Ok(super::measure::megabytes(about.len()))
}
