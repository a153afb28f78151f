//! The command line: options, arguments and help texts. No logic.

use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::fetch::mirror::Mirror;
use crate::spec::{Compression, DebLayout, Format, RecipeRef, SeedImage, SeedLayout};

/// Build offline bundles that turn bare machines into a Kubernetes control plane.
///
/// One `cluster.toml` describes a cluster. `kube-bundle build` downloads the release, verifies every byte
/// against pinned digests, makes all keys and certificates, and packs one archive for each machine. The
/// operator unpacks it there and runs `install.sh`; no network is needed.
#[derive(Debug, Parser)]
#[command(
    name = "kube-bundle",
    version,
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
    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
}

/// Values of `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a commented cluster.toml to start from
    #[command(after_long_help = "Example:\n  kube-bundle init clusters/roc.toml")]
    Init {
        /// File to write; an existing file is never overwritten
        #[arg(default_value = "cluster.toml")]
        path: PathBuf,
    },
    /// Show what a build would make: machines, files, certificates, downloads
    #[command(after_long_help = "Example:\n  kube-bundle plan --json | jq '.outputs'")]
    Plan(ClusterArgs),
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
    /// Verify a bundle, or one of its artifacts, against its checksums
    #[command(after_long_help = "Example:\n  kube-bundle verify --deep out/roc")]
    Verify {
        /// Directory of a bundle, or one of its archives, packages or images
        path: PathBuf,
        /// Also verify every file inside every artifact
        #[arg(long)]
        deep: bool,
    },
    /// List the files of a bundle or of one of its artifacts, without unpacking it
    Inspect {
        /// Directory of a bundle, or one of its archives, packages or images
        path: PathBuf,
    },
    /// Compare two bundles: machines, versions, flags of units, certificates, files
    ///
    /// Manifests are compared, and units are read out of archives and packages; `verify` says whether files match the
    /// manifests. Of keys and tokens no more is said than that they differ.
    #[command(after_long_help = "\
Exit codes, as those of diff(1): 0 equal, 1 different, 2 errors

Example:
  kube-bundle diff out/roc.old out/roc")]
    Diff {
        /// Directory of the older bundle
        #[arg(value_name = "A")]
        from: PathBuf,
        /// Directory of the newer bundle
        #[arg(value_name = "B")]
        to: PathBuf,
    },
    /// Show and renew keys and certificates
    #[command(subcommand)]
    Pki(PkiCommand),
    /// Show, copy and edit recipes: Kubernetes releases as data
    #[command(subcommand)]
    Recipe(RecipeCommand),
    /// Clean up the store: the cache of downloads and compressed programs that all builds share
    #[command(subcommand)]
    Store(StoreCommand),
    /// Run the whole pipeline with stand-in programs, without network or files
    Demo {
        /// Output directory
        #[arg(short, long, value_name = "DIR", default_value = "out/demo")]
        out: PathBuf,
    },
}

/// Which cluster.
#[derive(Debug, Args)]
pub struct ClusterArgs {
    /// File that describes the cluster
    #[arg(short, long, value_name = "FILE", default_value = "cluster.toml")]
    pub cluster: PathBuf,
    /// Use this recipe instead of the one in cluster.toml: the name of an embedded one, or ./DIR
    #[arg(long, value_name = "NAME|DIR")]
    pub recipe: Option<RecipeRef>,
}

/// Where files come from.
#[derive(Debug, Args)]
#[command(next_help_heading = "Download options")]
pub struct SourceArgs {
    /// Try this directory or mirror first: files by name, or in the directory layout of upstream; may be repeated
    #[arg(long, value_name = "DIR|URL")]
    pub from: Vec<Mirror>,
    /// Never access the network
    #[arg(long)]
    pub offline: bool,
    /// Number of parallel jobs [default: number of processors; at least 4 for downloads]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// Idle timeout: give up on a connection after this many seconds without data
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: u64,
    /// Number of retries after a server error or a broken connection
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub retries: u32,
}

/// Where the bundle goes, and the options that override `[output]` in `cluster.toml`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output options")]
pub struct OutputArgs {
    /// Output directory [default: ./out/<cluster>]
    #[arg(short, long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Formats to write; separate several with commas, or repeat the option [default: as in cluster.toml, or tarball]
    #[arg(long, value_name = "FORMAT", value_delimiter = ',', value_parser = one_of::<Format>(FORMATS))]
    pub format: Vec<Format>,
    /// How files are divided among packages [default: as in cluster.toml, or split]
    #[arg(long, value_name = "LAYOUT", value_parser = one_of::<DebLayout>(DEB_LAYOUTS))]
    pub deb_layout: Option<DebLayout>,
    /// Compression of packages [default: as in cluster.toml, or gzip]
    #[arg(long, value_name = "COMPRESSION", value_parser = one_of::<Compression>(COMPRESSIONS))]
    pub deb_compression: Option<Compression>,
    /// How seeds for the first boot are divided among images [default: as in cluster.toml, or whole]
    #[arg(long, value_name = "LAYOUT", value_parser = one_of::<SeedLayout>(SEED_LAYOUTS))]
    pub seed: Option<SeedLayout>,
    /// File system of seed disks [default: as in cluster.toml, or iso]
    #[arg(long, value_name = "KIND", value_parser = one_of::<SeedImage>(SEED_IMAGES))]
    pub seed_image: Option<SeedImage>,
}

/// Values of an option, each with its help text.
type Values = &'static [(&'static str, &'static str)];

const FORMATS: Values = &[
    ("tarball", "One archive with install.sh for each machine"),
    ("deb", "Debian packages and an apt repository"),
    ("nocloud", "A cloud-init seed disk for each machine; writes the packages or archives it carries, too"),
    ("initrd", "An archive for the boot loader for each machine; writes the packages or archives it carries, too"),
    (
        "user-data",
        "Cloud-init user data for each machine, which fetches its packages or archive from `[output.mirror]`",
    ),
];
const DEB_LAYOUTS: Values = &[
    ("split", "One package for each program, shared by all machines, and a small one for each machine"),
    ("fat", "One package for each machine, with everything in it"),
];
const COMPRESSIONS: Values = &[
    ("gzip", "Read by every dpkg"),
    ("zstd", "Smaller, in less than half the time; for Debian 12, Ubuntu 18.04 and later"),
    ("xz", "Smallest, read by every dpkg; takes sixteen times as long as gzip"),
];
const SEED_LAYOUTS: Values = &[
    ("whole", "One image for each machine, with everything in it"),
    ("split", "One image with the programs, shared by all machines, and a small one for each machine"),
];
const SEED_IMAGES: Values = &[("iso", "ISO 9660"), ("vfat", "FAT16, for platforms that can't attach an optical disk")];

/// Parses one of `values`, so that `--help` and shell completions can list them.
fn one_of<T>(values: Values) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err = String> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(values.iter().map(|(name, help)| PossibleValue::new(*name).help(*help)))
        .try_map(|text| text.parse())
}

#[derive(Debug, Subcommand)]
pub enum PkiCommand {
    /// Show all certificates: who signed them, and when they expire
    #[command(
        after_long_help = "Example, for cron, which mails what is printed:\n  kube-bundle pki status --check 30 -q"
    )]
    Status {
        #[command(flatten)]
        cluster: ClusterArgs,
        /// Instead of the table, name what ends within this many days; exit code 1 if there is any
        #[arg(long, value_name = "DAYS")]
        check: Option<u16>,
    },
    /// Reissue certificates, and keep their keys; without an ID, all except CAs
    #[command(after_long_help = "Example:\n  kube-bundle pki renew admin && kube-bundle build")]
    Renew {
        #[command(flatten)]
        cluster: ClusterArgs,
        /// Certificates to renew, by their ID in `pki status`; `bootstrap-token` makes a new token
        id: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Remove compressed programs that no build has used lately; a later build makes them again
    Prune {
        /// Remove what was not used for this many days; 0 removes everything
        #[arg(long, value_name = "DAYS", default_value_t = 30)]
        days: u16,
    },
}

#[derive(Debug, Subcommand)]
pub enum RecipeCommand {
    /// List the embedded recipes
    List,
    /// Show a recipe: components, pinned digests and who published them, files
    Show {
        /// Name of an embedded recipe, or ./DIR
        #[arg(value_name = "NAME|DIR")]
        recipe: RecipeRef,
    },
    /// Write an editable copy of a recipe
    #[command(after_long_help = "Example:\n  kube-bundle recipe export v1.16.0 ./recipe")]
    Export {
        /// Name of an embedded recipe, or ./DIR
        #[arg(value_name = "NAME|DIR")]
        recipe: RecipeRef,
        /// Output directory; must be new or empty
        dir: PathBuf,
    },
    /// Compute digests and sizes of your own binaries, and write them into recipe.toml
    #[command(after_long_help = "\
Example:
  kube-bundle recipe export v1.16.0 ./recipe
  kube-bundle recipe pin ./recipe --from ./binaries
  kube-bundle build --recipe ./recipe --from ./binaries --offline")]
    Pin {
        /// Directory of the recipe
        dir: PathBuf,
        /// Directory that holds the binaries
        #[arg(long, value_name = "DIR")]
        from: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// Every value that `--help` lists is accepted, and the type has no value that it does not list.
    fn accepts<T: FromStr<Err = String>>(values: Values) {
        let refusal = "no such value".parse::<T>().err().unwrap_or_default();
        assert_eq!(refusal.matches('`').count(), values.len() * 2, "{refusal}");
        for (name, _) in values {
            assert!(name.parse::<T>().is_ok() && refusal.contains(&format!("`{name}`")), "{name}: {refusal}");
        }
    }

    #[test]
    fn help_lists_exactly_the_values_that_an_option_takes() {
        accepts::<Format>(FORMATS);
        accepts::<DebLayout>(DEB_LAYOUTS);
        accepts::<Compression>(COMPRESSIONS);
        accepts::<SeedLayout>(SEED_LAYOUTS);
        accepts::<SeedImage>(SEED_IMAGES);
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
