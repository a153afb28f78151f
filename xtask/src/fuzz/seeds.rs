//! What each target begins with: what a small build writes, the texts of this repository, and tiny volumes.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::volumes;
use crate::small::SmallCluster;
use crate::{root, run};

/// Where they are written: `corpus/TARGET/seed-NAME`.
struct Corpus<'a>(&'a Path);

impl Corpus<'_> {
    fn add(&self, target: &str, name: &str, bytes: &[u8]) -> Result<()> {
        put(&self.0.join(target).join(format!("seed-{name}")), bytes)
    }
}

/// Writes them below `corpus`, where those that were found before stay.
pub(super) fn write(corpus: &Path) -> Result<()> {
    let corpus = &Corpus(corpus);
    artifacts(corpus)?;
    texts(corpus)?;
    corpus.add("iso", "tiny", &volumes::iso()[16 * 2048..])?;
    corpus.add("fat", "tiny", &volumes::fat())?;
    corpus.add("cpio", "tiny", &volumes::cpio())
}

/// Adds every artifact of a build with programs of 64 bytes.
fn artifacts(corpus: &Corpus<'_>) -> Result<()> {
    let scratch = root().join("target/fuzz-seeds");
    if scratch.exists() {
        std::fs::remove_dir_all(&scratch)?;
    }
    run("cargo", &["build", "--quiet", "--package", "kube-bundle"])?;
    let cluster = SmallCluster::prepare(&scratch, &root().join("target/debug/kube-bundle"), "", 64)?;
    for (compression, formats) in [("gzip", "tarball,deb,initrd,nocloud"), ("zstd", "deb"), ("xz", "deb")] {
        cluster.build(compression, &["--format", formats, "--deb-compression", compression])?;
        for path in below(&cluster.path(compression))? {
            artifact(corpus, compression, &path)?;
        }
    }
    Ok(())
}

fn artifact(corpus: &Corpus<'_>, build: &str, path: &Path) -> Result<()> {
    let name = path.file_name().context("a file has a name")?.to_string_lossy().into_owned();
    let bytes = std::fs::read(path)?;
    let named = format!("{build}-{name}");
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz") if name.ends_with(".tar.gz") => {
            corpus.add("tarball", &named, &bytes)?;
            // What is inside, to be wrapped by the target.
            corpus.add("tarball", &format!("{named}-inside"), &gunzip(&bytes)?)
        }
        Some("deb") => {
            corpus.add("deb", &named, &bytes)?;
            if build == "gzip" { corpus.add("deb", &format!("{named}-inside"), &inside(&bytes)?) } else { Ok(()) }
        }
        Some("iso") => corpus.add("iso", &named, &bytes[16 * 2048..]),
        Some("cpio") => corpus.add("cpio", &named, &bytes),
        Some("json") if name == "manifest.json" => corpus.add("manifest", &named, &bytes),
        _ => Ok(()),
    }
}

/// Both archives of a package, to be compressed by the target: in how many blocks the first one ends, and they.
fn inside(package: &[u8]) -> Result<Vec<u8>> {
    let (mut archives, mut rest) = (Vec::new(), package.get(8..).unwrap_or_default());
    while let Some(header) = rest.get(..60) {
        let size: usize = std::str::from_utf8(&header[48..58])?.trim().parse()?;
        archives.push(rest.get(60..60 + size).context("a package is cut off")?);
        rest = rest.get(60 + size.next_multiple_of(2)..).unwrap_or_default();
    }
    let [_, control, data] = archives[..] else { bail!("a package has {} members", archives.len()) };
    let (control, data) = (gunzip(control)?, gunzip(data)?);
    let blocks = u16::try_from(control.len() / 512)?;
    Ok([&blocks.to_be_bytes(), &control[..], &data[..]].concat())
}

fn gunzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let packed = root().join("target/fuzz-seeds/packed");
    put(&packed, bytes)?;
    Ok(std::process::Command::new("gzip").arg("-dc").stdin(std::fs::File::open(packed)?).output()?.stdout)
}

/// Texts of the repository.
fn texts(corpus: &Corpus<'_>) -> Result<()> {
    let directories = ["tests/specs", "examples", "bundle/src/spec"].map(|directory| root().join(directory));
    for path in directories.iter().filter(|directory| directory.exists()).map(|path| below(path)) {
        for path in path?.iter().filter(|path| path.extension().is_some_and(|extension| extension == "toml")) {
            corpus.add(
                "cluster_toml",
                &path.file_name().unwrap_or_default().to_string_lossy(),
                &std::fs::read(path)?,
            )?;
        }
    }
    let recipe = root().join("recipes/v1.16.0");
    for path in below(&recipe)? {
        let name = path.strip_prefix(&recipe)?.display().to_string();
        let bytes = [name.as_bytes(), b"\n", &std::fs::read(&path)?].concat();
        corpus.add("recipe", &name.replace('/', "-"), &bytes)?;
    }
    Ok(())
}

fn below(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).with_context(|| format!("could not list `{}`", directory.display()))? {
        let path = entry?.path();
        if path.is_dir() { found.extend(below(&path)?) } else { found.push(path) }
    }
    found.sort();
    Ok(found)
}

fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::create_dir_all(path.parent().context("it lies in a directory")?)?;
    std::fs::write(path, bytes).with_context(|| format!("could not write `{}`", path.display()))
}
