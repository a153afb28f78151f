//! The command line: shapes and help texts, no logic.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::fetch::mirror::Mirror;
use crate::spec::{Compression, DebLayout, Format, RecipeRef, SeedImage, SeedLayout};

/// Offline bundles that turn bare machines into a Kubernetes control plane.
///
/// One `cluster.toml` describes a cluster. `kube-bundle build` fetches the release, checks every byte
/// against pinned digests, makes all keys and certificates, and packs one archive for each machine. The
/// operator unpacks it there and runs `install.sh`; no network is needed.
#[derive(Debug, Parser)]
#[command(
    name = "kube-bundle",
    version,
    max_term_width = 100,
    after_help = "Exit codes: 0 done, 1 failed, 2 usage or cluster.toml wrong, 3 verification failed"
)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub common: Common,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
pub struct Common {
    /// Print results as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// Say nothing but results, warnings and errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// When to use colour
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a commented cluster.toml to begin with
    Init {
        /// Where
        #[arg(default_value = "cluster.toml")]
        path: PathBuf,
    },
    /// Show what a build would make: machines, files, certificates, downloads
    Plan(ClusterArgs),
    /// Fill the store with everything a build needs from the network
    Fetch {
        /// Which cluster.
        #[command(flatten)]
        cluster: ClusterArgs,
        /// From where.
        #[command(flatten)]
        sources: SourceArgs,
    },
    /// Build the bundle
    Build {
        /// Which cluster.
        #[command(flatten)]
        cluster: ClusterArgs,
        /// From where.
        #[command(flatten)]
        sources: SourceArgs,
        /// Where to [default: ./out/<cluster>]
        #[arg(short, long, value_name = "DIR")]
        out: Option<PathBuf>,
        /// What to pack, instead of what cluster.toml says: `tarball`, `deb`, `nocloud`, `initrd`, `user-data`;
        /// the last three carry packages or archives, which are written too
        #[arg(long, value_name = "FORMAT", value_delimiter = ',')]
        format: Vec<Format>,
        /// How files are spread over packages: `split` shares one package for each program among all machines, `fat`
        /// makes one package for each machine, with everything in it
        #[arg(long, value_name = "LAYOUT")]
        deb_layout: Option<DebLayout>,
        /// How packages are compressed: `gzip`, which every dpkg reads; `zstd`, for Debian 12, Ubuntu 18.04 and later;
        /// `xz`, which every dpkg reads and which takes ten times as long to write
        #[arg(long, value_name = "HOW")]
        deb_compression: Option<Compression>,
        /// How seeds for the first boot are spread over images: `whole` makes one for each machine, with everything in it,
        /// `split` puts the programs on one that all machines share
        #[arg(long, value_name = "LAYOUT")]
        seed: Option<SeedLayout>,
        /// The file system of seed disks: `iso`, or `vfat` for platforms that attach no optical disk
        #[arg(long, value_name = "KIND")]
        seed_image: Option<SeedImage>,
    },
    /// Check a bundle, or one archive of it, against its checksums
    Verify {
        /// A bundle's directory, or an archive
        path: PathBuf,
        /// Read inside every archive as well
        #[arg(long)]
        deep: bool,
    },
    /// List what is inside an archive, without unpacking it
    Inspect {
        /// The archive
        path: PathBuf,
    },
    /// Keys and certificates
    #[command(subcommand)]
    Pki(PkiCommand),
    /// Releases as data
    #[command(subcommand)]
    Recipe(RecipeCommand),
    /// What builds share: downloads, and programs that are compressed already
    #[command(subcommand)]
    Store(StoreCommand),
    /// Run the whole pipeline with stand-in programs: no network, no files needed
    Demo {
        /// Where to
        #[arg(short, long, value_name = "DIR", default_value = "out/demo")]
        out: PathBuf,
    },
}

/// Which cluster.
#[derive(Debug, Args)]
pub struct ClusterArgs {
    /// The file that describes the cluster
    #[arg(short, long, value_name = "FILE", default_value = "cluster.toml")]
    pub cluster: PathBuf,
    /// Another recipe than cluster.toml names: an embedded one, or ./DIR
    #[arg(long, value_name = "NAME|DIR")]
    pub recipe: Option<RecipeRef>,
}

/// Where files come from.
#[derive(Debug, Args)]
pub struct SourceArgs {
    /// A mirror to try first: files by name, or laid out as upstream serves them; may be repeated
    #[arg(long, value_name = "DIR|URL")]
    pub from: Vec<Mirror>,
    /// Never touch the network
    #[arg(long)]
    pub offline: bool,
    /// How many things to do at a time [default: the number of processors, and four downloads at least]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// For how long a server may send nothing
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: u64,
    /// How often to try again when a server fails or a connection breaks
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub retries: u32,
}

/// Keys and certificates.
#[derive(Debug, Subcommand)]
pub enum PkiCommand {
    /// Show who signs whom, and what expires when
    Status(ClusterArgs),
    /// Reissue certificates with their keys; without an ID, all that are no CA
    Renew {
        /// Which cluster.
        #[command(flatten)]
        cluster: ClusterArgs,
        /// Which ones, as `pki status` names them; `bootstrap-token` draws a new token
        id: Vec<String>,
    },
}

/// What builds share.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Remove compressed programs that no build has used lately; a build that wants them makes them again
    Prune {
        /// For how many days they were not used; 0 removes all
        #[arg(long, value_name = "N", default_value_t = 30)]
        days: u16,
    },
}

/// Releases as data.
#[derive(Debug, Subcommand)]
pub enum RecipeCommand {
    /// List the recipes that the program carries
    List,
    /// Show a recipe: components, pins and who published them, files
    Show {
        /// An embedded recipe, or ./DIR
        #[arg(value_name = "NAME|DIR")]
        recipe: RecipeRef,
    },
    /// Write an editable copy of a recipe
    Export {
        /// An embedded recipe, or ./DIR
        #[arg(value_name = "NAME|DIR")]
        recipe: RecipeRef,
        /// Where: a new or empty directory
        dir: PathBuf,
    },
    /// Compute digests and sizes of binaries you hold, and write them into recipe.toml
    Pin {
        /// The recipe's directory
        dir: PathBuf,
        /// Where the binaries are
        #[arg(long, value_name = "DIR")]
        from: PathBuf,
    },
}
