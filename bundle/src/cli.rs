//! The command line: options, arguments and help texts. No logic.

mod arguments;
mod subcommands;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::LazyLock;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use arguments::{
    AuditArgs, ClusterArgs, ExportArgs, ImportArgs, InitArgs, OutputArgs, PullArgs, PushArgs, RegistryArgs, SourceArgs,
    TrustArgs,
};
pub use subcommands::{ImagesCommand, PkiCommand, RecipeCommand, StoreCommand, TrustCommand};

use crate::sign::KeyReference;

/// Build offline bundles that turn bare machines into a Kubernetes cluster.
///
/// One `cluster.toml` describes a cluster. `kube-bundle build` downloads the release, verifies every byte
/// against pinned digests, makes all keys and certificates, and packs one archive for each machine. The
/// operator unpacks it there and runs `install.sh`; no network is needed.
#[derive(Debug, Parser)]
#[command(
    name = "kube-bundle",
    version,
    long_version = LONG_VERSION.as_str(),
    max_term_width = 100,
    after_help = "Exit codes: 0 success, 1 failure, 2 wrong usage or invalid cluster.toml, 3 verification failed (diff has its own)",
    after_long_help = "\
Examples:
  kube-bundle init                   # write cluster.toml, then edit it
  kube-bundle plan                   # show what a build would make
  kube-bundle build                  # write the bundle to ./out/<cluster>
  kube-bundle verify out/<cluster>   # check it again, here or elsewhere

Exit codes: 0 success, 1 failure, 2 wrong usage or invalid cluster.toml, 3 verification failed (diff has its own)"
)]
pub struct Cli {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Command,
}

/// What `--version` prints: a release says what it was built from, by what `cargo xtask dist` sets.
static LONG_VERSION: LazyLock<String> = LazyLock::new(|| {
    let version = env!("CARGO_PKG_VERSION");
    match (option_env!("KUBE_BUNDLE_COMMIT"), option_env!("KUBE_BUNDLE_DATE")) {
        (Some(commit), Some(date)) => format!("{version} (commit {commit}, {date})"),
        _ => format!("{version} (built from source)"),
    }
});

/// Options of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Common {
    /// Print results as JSON on stdout; notes, warnings and errors as JSON on stderr, one object on each line
    #[arg(long, global = true)]
    pub json: bool,
    /// Print only results, warnings and errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Also print where files came from, what was reused or reissued, and how long each stage took
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
}

/// Values of `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal; `NO_COLOR`, `CLICOLOR` and `CLICOLOR_FORCE` are obeyed
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Shells with completions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a commented cluster.toml: with example addresses to replace, or with your machines
    #[command(after_long_help = "\
Examples:
  kube-bundle init clusters/roc.toml   # with examples; edit it
  kube-bundle init --name roc --node master-1=192.0.2.11 --node worker-1=192.0.2.21:worker")]
    Init {
        /// File to write; an existing file is never overwritten
        #[arg(default_value = "cluster.toml")]
        path: PathBuf,
        #[command(flatten)]
        values: InitArgs,
    },
    /// Show what a build would make: machines, files, certificates, downloads
    #[command(after_long_help = "\
Examples:
  kube-bundle plan
  kube-bundle plan --diff                  # against the bundle in ./out/<cluster>
  kube-bundle plan --json | jq '.outputs'")]
    Plan {
        #[command(flatten)]
        cluster: ClusterArgs,
        /// Show instead what a build would change in the bundle that is in the output directory
        ///
        /// Compared are machines, files, flags of units, certificates, pins and formats. Installers, indexes and images of
        /// disks are not; files with keys or tokens are, by whether these are issued anew. The exit code is 0 whether
        /// anything would change or not; `--json` says which in `equal`.
        #[arg(long)]
        diff: bool,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Download everything that a build needs into the store, where all builds find it
    #[command(after_long_help = "Example:\n  kube-bundle fetch && kube-bundle build --offline")]
    Fetch {
        #[command(flatten)]
        cluster: ClusterArgs,
        #[command(flatten)]
        sources: SourceArgs,
    },
    /// Build the bundle
    #[command(after_long_help = "Example:\n  kube-bundle build --format tarball,deb -o out/roc")]
    Build {
        #[command(flatten)]
        cluster: ClusterArgs,
        #[command(flatten)]
        sources: SourceArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Verify a bundle, or one of its artifacts, against its checksums and signatures
    #[command(after_long_help = "\
Examples:
  kube-bundle verify --deep out/roc
  kube-bundle verify out/roc --trust ./trust   # exit code 3 unless it is signed by a trusted key")]
    Verify {
        /// Directory of a bundle or of an export, or an archive, package or image of a bundle
        path: PathBuf,
        /// Also verify every file inside every artifact
        #[arg(long)]
        deep: bool,
        #[command(flatten)]
        trust: TrustArgs,
    },
    /// Build a cluster again, and compare what depends on no key with a bundle
    ///
    /// It takes the same `cluster.toml` and recipe, and not `pki/`: keys are made for it and thrown away. What is compared,
    /// `public.SHA256SUMS` of the bundle lists. Exit code 3 if anything differs.
    #[command(after_long_help = "Example:\n  kube-bundle rebuild out/roc -c cluster.toml")]
    Rebuild {
        /// Directory of a bundle
        bundle: PathBuf,
        #[command(flatten)]
        cluster: ClusterArgs,
        #[command(flatten)]
        sources: SourceArgs,
    },
    /// Build a cluster again as `rebuild` does, and sign that the result was the same
    ///
    /// The signature is a file in the bundle, and counts for whoever trusts the key as that of a rebuilder
    /// (`trust init --rebuilder`).
    #[command(after_long_help = "Example:\n  kube-bundle attest out/roc -c cluster.toml --key my-key")]
    Attest {
        /// Directory of a bundle
        bundle: PathBuf,
        /// An Ed25519 key: a file of ssh-keygen or openssl, or agent:SHA256:…
        #[arg(long, value_name = "KEY")]
        key: KeyReference,
        #[command(flatten)]
        cluster: ClusterArgs,
        #[command(flatten)]
        sources: SourceArgs,
    },
    /// Sign a bundle: its checksum list, and its index of packages
    ///
    /// Archives that were built without `--sign` stay without a signature inside, which `install.sh` would look for: where
    /// keys are known, it takes them with `--archive FILE`.
    #[command(after_long_help = "\
Example:
  ssh-keygen -t ed25519 -f release-key
  kube-bundle sign out/roc --key release-key")]
    Sign {
        /// Directory of a bundle
        out: PathBuf,
        /// An Ed25519 key: a file of ssh-keygen or openssl, or agent:SHA256:…; repeat the option for several
        #[arg(long, value_name = "KEY", required = true)]
        key: Vec<KeyReference>,
    },
    /// Write a thin copy of a bundle, with each piece once: a sixth of its size for three machines in three formats
    ///
    /// `import` makes the same bundle of it again, byte for byte. With `--since` only what another bundle lacks is written,
    /// and with `--max-size` parts that fit on disks or sticks.
    #[command(after_long_help = "\
Examples:
  kube-bundle export out/roc /media/stick/roc
  kube-bundle export out/roc /media/stick/roc-2 --since out/roc-1   # a delta
  kube-bundle export out/roc dvds --max-size dvd                    # dvds/part-01-of-02, ...")]
    Export(ExportArgs),
    /// Make a bundle again of what `export` wrote
    ///
    /// Every file is compared with the checksum list before the bundle appears at OUT, where an older one may be.
    #[command(after_long_help = "\
Examples:
  kube-bundle import /media/stick/roc -o out/roc --trust ./trust
  kube-bundle import part-02-of-02 part-01-of-02 -o out/roc
  kube-bundle import /media/stick/roc-2 out/roc -o out/roc          # a delta, and what it is to")]
    Import(ImportArgs),
    /// Choose whose signatures are trusted
    #[command(subcommand)]
    Trust(TrustCommand),
    /// List the files of a bundle or of one of its artifacts, without unpacking it
    #[command(
        after_long_help = "Example:\n  kube-bundle inspect out/roc/nodes/master-1/roc-master-1-v1.16.0-amd64.tar.gz"
    )]
    Inspect {
        /// Directory of a bundle, or one of its archives, packages or images
        path: PathBuf,
    },
    /// Look up what is in a bundle in a database of vulnerabilities, without a network; a list, and no verdict
    #[command(after_long_help = "Example:\n  kube-bundle audit out/roc --osv ./osv-go")]
    Audit(AuditArgs),
    /// Compare two bundles: machines, versions, flags of units, certificates, files
    ///
    /// Manifests are compared, and units are read out of archives and packages; `verify` says whether files match the
    /// manifests. Of keys and tokens no more is said than that they differ.
    #[command(after_long_help = "\
Exit codes, as those of diff(1): 0 equal, 1 different, 2 errors

Examples:
  kube-bundle diff out/roc.old out/roc
  kube-bundle diff --pieces out/roc.old out/roc   # how large a delta is")]
    Diff {
        /// Directory of the older bundle
        #[arg(value_name = "A")]
        from: PathBuf,
        /// Directory of the newer bundle
        #[arg(value_name = "B")]
        to: PathBuf,
        /// Say instead how many bytes `export B --since A` writes; A and B may be thin copies, or the bundle.index of a bundle
        #[arg(long)]
        pieces: bool,
    },
    /// Serve a bundle to the machines of a site over HTTP, apt included
    ///
    /// Served is what the manifest lists, with the lists and signatures; nothing else that lies in the directory. Nothing is
    /// encrypted on its way, and what arrives is checked against signatures and digests. Files with private keys that are
    /// not sealed (see `[secrets]`) are refused.
    #[command(after_long_help = "\
Examples:
  kube-bundle serve out/roc
  kube-bundle serve out/roc --listen 192.0.2.5:8000   # to a local network
  # and on a machine: deb [signed-by=/etc/kube-bundle/trust/apt.gpg] http://192.0.2.5:8000/deb ./")]
    Serve {
        /// Directory of a bundle
        out: PathBuf,
        /// Address and port; port 0 is any that is free
        #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8000")]
        listen: SocketAddr,
        /// Also serve files with private keys and tokens; everybody who can reach the address can read them
        #[arg(long)]
        include_secrets: bool,
    },
    /// Push a bundle to a registry of container images or an object store, which keep what bundles share once
    ///
    /// Only what is lacking there is sent, and the tag, or SHA256SUMS, leads to the bundle when all of it is there; after a
    /// failure, the same command goes on. Passwords of registries are those of `skopeo login`, `podman login`, `docker login` or
    /// `oras login`; keys of object stores are those of `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or of
    /// `~/.aws/credentials`, and `AWS_ENDPOINT_URL` is where a store is that is not Amazon's.
    #[command(after_long_help = "\
Examples:
  kube-bundle push out/roc oci://registry.example/site/roc:1
  kube-bundle push out/roc oci://127.0.0.1:5000/roc:1 --whole-files   # for `oras pull` and `sha256sum -c`
  kube-bundle push out/roc s3://bucket/site/roc")]
    Push(PushArgs),
    /// Pull a bundle from a registry, an object store or a web server: the bytes, modes and signatures that were put there
    ///
    /// Every byte is verified before it appears under its name. What arrived is kept beside the output until all of it is
    /// there; after a failure, the same command goes on.
    #[command(after_long_help = "\
Examples:
  kube-bundle pull oci://registry.example/site/roc:1 -o out/roc --trust ./trust
  kube-bundle pull s3://bucket/site/roc -o out/roc --trust ./trust
  kube-bundle pull https://www.example/roc -o out/roc --trust ./trust")]
    Pull(PullArgs),
    /// Show and renew keys and certificates
    #[command(subcommand)]
    Pki(PkiCommand),
    /// Show, copy and edit recipes: Kubernetes releases as data
    #[command(subcommand)]
    Recipe(RecipeCommand),
    /// Pin container images that you hold
    #[command(subcommand)]
    Images(ImagesCommand),
    /// Clean up the store: the cache of downloads and compressed programs that all builds share
    #[command(subcommand)]
    Store(StoreCommand),
    /// Explain a key of cluster.toml: what it means, what it takes, its default
    #[command(after_long_help = "Examples:\n  kube-bundle explain\n  kube-bundle explain nodes.roles")]
    Explain {
        /// Such as `pki` or `nodes.roles`; without it, the tables of cluster.toml
        #[arg(default_value = "", hide_default_value = true)]
        key: String,
    },
    /// Print a JSON Schema of cluster.toml, for editors that check and complete TOML
    #[command(after_long_help = "\
Example, with Taplo or an editor that uses it:
  kube-bundle schema > cluster.schema.json
  # and as the first line of cluster.toml:
  #:schema ./cluster.schema.json")]
    Schema,
    /// Print what completes kube-bundle's commands and options in a shell
    #[command(after_long_help = "\
Examples:
  kube-bundle completions bash > ~/.local/share/bash-completion/completions/kube-bundle
  kube-bundle completions zsh > ~/.zfunc/_kube-bundle   # with fpath+=(~/.zfunc) before compinit
  kube-bundle completions fish > ~/.config/fish/completions/kube-bundle.fish")]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Run the whole pipeline with stand-in programs, without network or files
    #[command(after_long_help = "Example:\n  kube-bundle demo && cat out/demo/README.txt")]
    Demo {
        /// Output directory
        #[arg(short, long, value_name = "DIR", default_value = "out/demo")]
        out: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn leaves<'c>(command: &'c clap::Command, all: &mut Vec<&'c clap::Command>) {
        match command.get_subcommands().next() {
            Some(_) => command.get_subcommands().for_each(|below| leaves(below, all)),
            None => all.push(command),
        }
    }

    #[test]
    fn help_of_each_command_has_an_example_of_it() {
        let cli = Cli::command();
        let mut all = Vec::new();
        leaves(&cli, &mut all);
        assert!(all.len() > 15);
        for command in all {
            let name = command.get_name();
            let help = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
            let shown = help.split_once("Example").map(|(_, examples)| examples.contains(name));
            assert_eq!(shown, Some(true), "{name}: {help}");
        }
    }

    #[test]
    fn help_names_the_default_that_a_build_uses() {
        let mut cli = Cli::command();
        cli.build();
        let build = cli.find_subcommand("build").expect("a subcommand");
        for (option, default) in [
            ("format", "tarball"),
            ("deb_layout", "split"),
            ("deb_compression", "gzip"),
            ("seed", "whole"),
            ("seed_image", "iso"),
        ] {
            let argument = build.get_arguments().find(|argument| argument.get_id() == option).expect(option);
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.ends_with(&format!("[default: as in cluster.toml, or {default}]")), "{option}: {help}");
        }
        let deb = crate::spec::DebSpec::default();
        assert_eq!("split".parse(), Ok(deb.layout));
        assert_eq!("gzip".parse(), Ok(deb.compression));
        let seed = crate::spec::SeedSpec::default();
        assert_eq!(("whole".parse(), "iso".parse()), (Ok(seed.layout), Ok(seed.image)));
    }
}
