//! `cargo xtask dist`: what a release consists of, in `target/dist/`.
//!
//! The program is linked statically (musl), so that it runs on any Linux, in an empty root directory too. The package is
//! made by our own packer.
#![expect(clippy::disallowed_methods, reason = "xtask runs programs and touches files")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use kube_bundle::artifact::ArtifactInput;
use kube_bundle::debian;
use kube_bundle::fetch::Store;
use kube_bundle::out::Staging;
use kube_bundle::pack::{self, PackContext};
use kube_bundle::package::{Architecture, Package, Version};
use kube_bundle::progress::Quiet;
use kube_bundle::spec::Compression;
use kube_bundle::target::{InstallPath, Mode};
use kube_bundle::tree::{Entry, Tree};
use time::OffsetDateTime;

const TARGET: &str = "x86_64-unknown-linux-musl";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Builds the program, and packs it as an archive and as a package.
#[expect(clippy::print_stdout, reason = "xtask talks to the developer")]
pub(crate) fn run() -> Result<()> {
    let head = Head::read()?;
    let program = build(&head)?;
    let dist = crate::root().join("target/dist");
    let _ = fs::remove_dir_all(&dist);
    let staging = Staging::begin(&dist, |_, _| None)?;
    let store = Store::open(crate::root().join("target/dist-store"))?;
    let cache = pack::compress(&[], &store, 1, &Quiet)?;
    let context = PackContext { staging: &staging, cache: &cache, mtime: head.date.unix_timestamp(), progress: &Quiet };

    let name = format!("kube-bundle-{VERSION}-{TARGET}");
    let mut sums = String::new();
    for (path, input) in [
        (format!("{name}.tar.gz"), ArtifactInput::Archive(archive(&name, &program)?)),
        (format!("kube-bundle_{VERSION}-1_amd64.deb"), ArtifactInput::Debian(Box::new(package(&program, &head)?))),
    ] {
        for (path, written) in pack::pack(&path, &input, &context)? {
            sums += &format!("{}  {path}\n", written.file.sha256());
        }
    }
    staging.finish()?;
    fs::write(dist.join("SHA256SUMS"), &sums).context("could not write SHA256SUMS")?;
    print!("{sums}");
    Ok(())
}

/// What is built, by git.
struct Head {
    commit: String,
    /// The day of the commit.
    day: String,
    date: OffsetDateTime,
}

impl Head {
    fn read() -> Result<Self> {
        let git = |arguments: &[&str]| -> Result<String> {
            let output = Command::new("git").args(arguments).current_dir(crate::root()).output();
            let output = output.context("could not run git")?;
            ensure!(output.status.success(), "git: {}", String::from_utf8_lossy(&output.stderr));
            Ok(String::from_utf8(output.stdout)?)
        };
        ensure!(git(&["status", "--porcelain"])?.is_empty(), "a release is built from a commit: there are changes");
        let of_head = git(&["show", "--no-patch", "--format=%h %cs %ct", "--abbrev=12", "HEAD"])?;
        let mut words = of_head.split_whitespace().map(str::to_owned);
        let mut next = || words.next().context("git show printed less than a commit, a day and a time");
        let (commit, day, seconds) = (next()?, next()?, next()?);
        Ok(Self { commit, day, date: OffsetDateTime::from_unix_timestamp(seconds.parse()?)? })
    }
}

/// The program: the same bytes in whichever directory it is built.
fn build(head: &Head) -> Result<Vec<u8>> {
    let root = fs::canonicalize(crate::root()).context("could not find the repository")?;
    let cargo = std::env::var("CARGO_HOME").or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cargo")))?;
    let maps = [(root.display().to_string(), "/kube-bundle"), (cargo, "/cargo")];
    let for_rust: Vec<_> = maps.iter().map(|(from, to)| format!("--remap-path-prefix={from}={to}")).collect();
    let for_c: Vec<_> = maps.iter().map(|(from, to)| format!("-ffile-prefix-map={from}={to}")).collect();
    let build = ["build", "--quiet", "--locked", "--release", "--package", "kube-bundle", "--target", TARGET];
    let environment = [
        ("CARGO_TARGET_DIR", &*root.join("target").display().to_string()),
        ("CARGO_ENCODED_RUSTFLAGS", &for_rust.join("\x1f")),
        ("CC_x86_64_unknown_linux_musl", "musl-gcc"),
        ("CFLAGS_x86_64_unknown_linux_musl", &for_c.join(" ")),
        ("KUBE_BUNDLE_COMMIT", &head.commit),
        ("KUBE_BUNDLE_DATE", &head.day),
    ];
    crate::run_with("cargo", &build, &environment)
        .context("a build needs `rustup target add x86_64-unknown-linux-musl` and `apt-get install musl-tools`")?;
    let path = root.join("target").join(TARGET).join("release/kube-bundle");
    fs::read(&path).with_context(|| format!("could not read `{}`", path.display()))
}

fn archive(name: &str, program: &[u8]) -> Result<Tree> {
    let mut tree = Tree::default();
    let top: InstallPath = name.parse()?;
    tree.insert("kube-bundle".parse::<InstallPath>()?.below(&top), Entry::text(Mode::EXECUTABLE, program))?;
    for from in ["README.md", "README.zh-CN.md", "CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT"]
        .map(PathBuf::from)
        .into_iter()
        .chain(documents()?)
    {
        let text =
            fs::read(crate::root().join(&from)).with_context(|| format!("could not read `{}`", from.display()))?;
        let path: InstallPath = from.display().to_string().parse()?;
        tree.insert(path.below(&top), Entry::text(Mode::PUBLIC, text))?;
    }
    Ok(tree)
}

/// Man pages and completions, below the root directory.
fn documents() -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for directory in ["docs/man", "docs/completions"] {
        for entry in fs::read_dir(crate::root().join(directory)).context("could not list documents")? {
            all.push(Path::new(directory).join(entry?.file_name()));
        }
    }
    all.sort();
    Ok(all)
}

fn package(program: &[u8], head: &Head) -> Result<debian::DebianPackage> {
    let mut tree = Tree::default();
    tree.insert("usr/bin/kube-bundle".parse()?, Entry::text(Mode::EXECUTABLE, program))?;
    for from in documents()? {
        let text = fs::read(crate::root().join(&from)).context("could not read a document")?;
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
        copyright: copyright()?,
    };
    Ok(debian::shared(&about, tree, Compression::Gzip, head.date)?)
}

/// As Debian Policy 12.5 wants it; the text of Apache-2.0 is on every Debian system.
fn copyright() -> Result<String> {
    let mit = fs::read_to_string(crate::root().join("LICENSE-MIT")).context("could not read LICENSE-MIT")?;
    Ok(format!(
        "kube-bundle is licensed under Apache-2.0, which is in /usr/share/common-licenses/Apache-2.0, or, at your\n\
         option, under the following license.\n\n{mit}"
    ))
}
