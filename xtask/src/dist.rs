//! `cargo xtask dist`: what a release consists of, in `target/dist/`.
//!
//! The program is linked statically (musl), so that it runs on any Linux, in an empty root directory too. The package is
//! made by our own packer. Whoever builds the same commit with the same compilers gets the same bytes; `--twice` builds
//! a second time, elsewhere, and compares.
#![expect(clippy::disallowed_methods, reason = "xtask runs programs and touches files")]

mod program;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use kube_bundle::artifact::ArtifactInput;
use kube_bundle::debian;
use kube_bundle::fetch::Store;
use kube_bundle::hash::Sha256;
use kube_bundle::out::{self, Staging};
use kube_bundle::pack::{self, PackContext};
use kube_bundle::package::{Architecture, Package, Version};
use kube_bundle::progress::Quiet;
use kube_bundle::spec::Compression;
use kube_bundle::target::{InstallPath, Mode};
use kube_bundle::tree::{Entry, Tree};

pub(crate) use program::{Head, Place};

use program::TARGET;

const MAN: &str = "docs/man";
const COMPLETIONS: &str = "docs/completions";
const SUMS: &str = "SHA256SUMS";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Builds the program, and packs it as an archive and as a package.
#[expect(clippy::print_stdout, reason = "xtask talks to the developer")]
pub(crate) fn run() -> Result<()> {
    let dist = release(&Place::here()?)?;
    print!("{}", fs::read_to_string(dist.join(SUMS)).context("could not read SHA256SUMS")?);
    Ok(())
}

/// The same in two places. Fails with the first byte that differs.
#[expect(clippy::print_stdout, reason = "xtask talks to the developer")]
pub(crate) fn run_twice() -> Result<()> {
    let here = Place::here()?;
    let elsewhere = here.elsewhere()?;
    let [one, other] = [release(&here)?, release(&elsewhere)?];
    let program = format!("../{TARGET}/release/kube-bundle");
    for name in [program, archive_name() + ".tar.gz", package_name(), SUMS.to_owned()] {
        println!("{}", same(&one.join(&name), &other.join(&name))?);
    }
    Ok(())
}

/// One line about two files that hold the same bytes.
fn same(one: &Path, other: &Path) -> Result<String> {
    let [bytes, others] = [one, other].map(|path| fs::read(path).with_context(|| format!("no `{}`", path.display())));
    let (bytes, others) = (bytes?, others?);
    if bytes != others {
        let equal = bytes.iter().zip(&others).take_while(|(byte, other)| byte == other).count();
        bail!("`{}` and `{}` differ from byte {equal} on; diffoscope(1) tells in what", one.display(), other.display());
    }
    let name = one.file_name().unwrap_or_default().display().to_string();
    Ok(format!("{name}: {} bytes, the same in both, sha256 {}", bytes.len(), Sha256::of(&bytes)))
}

/// Builds and packs below `target/` of a place; returns where.
fn release(place: &Place) -> Result<PathBuf> {
    let head = Head::of_release(&place.sources)?;
    let program = fs::read(place.build(&head)?).context("could not read the program")?;
    Head::of_release(&place.sources).context("somebody worked here during the build")?;
    let dist = place.sources.join("target/dist");
    let _ = fs::remove_dir_all(&dist);
    let staging = Staging::begin(&dist, &|there| Err(out::Error::Foreign(there.to_owned())))?;
    let store = Store::open(place.sources.join("target/dist-store"))?;
    let cache = pack::compress(&[], &store, 1, &Quiet)?;
    let context = PackContext { staging: &staging, cache: &cache, mtime: head.date.unix_timestamp(), progress: &Quiet };
    let mut sums = String::new();
    for (path, input) in [
        (archive_name() + ".tar.gz", ArtifactInput::Archive(archive(place, &program)?)),
        (package_name(), ArtifactInput::Debian(Box::new(package(place, &program, &head)?))),
    ] {
        for (path, written) in pack::pack(&path, &input, &context)? {
            sums += &format!("{}  {path}\n", written.file.sha256());
        }
    }
    staging.finish()?;
    fs::write(dist.join(SUMS), &sums).context("could not write SHA256SUMS")?;
    Ok(dist)
}

/// Of the archive, and of the directory in it.
fn archive_name() -> String {
    format!("kube-bundle-{VERSION}-{TARGET}")
}

fn package_name() -> String {
    format!("kube-bundle_{VERSION}-1_amd64.deb")
}

fn archive(place: &Place, program: &[u8]) -> Result<Tree> {
    let mut tree = Tree::default();
    let top: InstallPath = archive_name().parse()?;
    tree.insert("kube-bundle".parse::<InstallPath>()?.below(&top), Entry::text(Mode::EXECUTABLE, program))?;
    let texts = ["README.md", "README.zh-CN.md", "CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT"].map(PathBuf::from);
    // What README links to, since whoever unpacks this may have no network.
    for from in texts.into_iter().chain(files_in(place, &["docs", "examples", MAN, COMPLETIONS])?) {
        let path: InstallPath = from.display().to_string().parse()?;
        tree.insert(path.below(&top), Entry::text(Mode::PUBLIC, place.read(&from)?))?;
    }
    Ok(tree)
}

/// Files of these directories, without those below, by their paths in the repository.
fn files_in(place: &Place, directories: &[&str]) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for directory in directories {
        for entry in fs::read_dir(place.sources.join(directory)).with_context(|| format!("no `{directory}`"))? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                all.push(Path::new(directory).join(entry.file_name()));
            }
        }
    }
    all.sort();
    Ok(all)
}

fn package(place: &Place, program: &[u8], head: &Head) -> Result<debian::DebianPackage> {
    let mut tree = Tree::default();
    tree.insert("usr/bin/kube-bundle".parse()?, Entry::text(Mode::EXECUTABLE, program))?;
    for from in files_in(place, &[MAN, COMPLETIONS])? {
        let text = place.read(&from)?;
        let name = from.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let (path, text) = match name.as_str() {
            "kube-bundle.bash" => ("usr/share/bash-completion/completions/kube-bundle".to_owned(), text),
            "_kube-bundle" => ("usr/share/zsh/vendor-completions/_kube-bundle".to_owned(), text),
            "kube-bundle.fish" => ("usr/share/fish/vendor_completions.d/kube-bundle.fish".to_owned(), text),
            page => (format!("usr/share/man/man1/{page}.gz"), debian::gzipped(&text)),
        };
        tree.insert(path.parse()?, Entry::text(Mode::PUBLIC, text))?;
    }
    let about = Package {
        name: "kube-bundle".parse()?,
        version: Version::new(VERSION, 1)?,
        architecture: Architecture::Amd64,
        maintainer: "kube-bundle <packages@kube-bundle.invalid>".parse()?,
        homepage: "https://kubernetes.io/".parse()?,
        depends: Vec::new(),
        provides: Vec::new(),
        conflicts: Vec::new(),
        replaces: Vec::new(),
        synopsis: "offline bundle builder for Kubernetes clusters".parse()?,
        description: vec![
            "Makes everything that turns bare machines without a network into a Kubernetes cluster, from one file: \
             archives, Debian packages and seeds for cloud-init."
                .parse()?,
        ],
        copyright: copyright(place)?,
    };
    Ok(debian::shared(&about, tree, Compression::Gzip, head.date)?)
}

/// As Debian Policy 12.5 wants it; the text of Apache-2.0 is on every Debian system.
fn copyright(place: &Place) -> Result<String> {
    let mit = String::from_utf8(place.read("LICENSE-MIT")?).context("LICENSE-MIT is not UTF-8")?;
    Ok(format!(
        "kube-bundle is licensed under Apache-2.0, which is in /usr/share/common-licenses/Apache-2.0, or, at your\n\
         option, under the following license.\n\n{mit}"
    ))
}
