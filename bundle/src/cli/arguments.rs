//! Groups of options that commands share, or have many of.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use crate::fetch::mirror::Mirror;
use crate::registry::Location;
use crate::sign::KeyReference;
use crate::spec::filled::NodeArgument;
use crate::spec::names::{ClusterName, Endpoint};
use crate::spec::{BadValue, Cidr, Compression, DebLayout, Format, RecipeRef, SeedImage, SeedLayout};
use crate::thin::parts::MaxSize;

/// Values in place of the examples of a new cluster.toml; they are checked like those of a file.
#[derive(Debug, Args)]
#[command(next_help_heading = "Values in place of the examples")]
pub struct InitArgs {
    /// Name of the cluster; names of files begin with it [default: roc]
    #[arg(long, value_name = "NAME", value_parser = checked::<ClusterName>)]
    pub name: Option<ClusterName>,
    /// URL of the API server; what is no node's address is added to `apiserver_sans` [default: the first master]
    #[arg(long, value_name = "URL", requires = "nodes", value_parser = checked::<Endpoint>)]
    pub endpoint: Option<Endpoint>,
    /// A machine, with its roles (etcd, master, worker) if they are not etcd and master; repeat the option for each
    #[arg(long = "node", value_name = "NAME=ADDRESS[:ROLE,ROLE]")]
    pub nodes: Vec<NodeArgument>,
    /// URL of a member of an etcd that runs elsewhere, and that no machine has the role for; repeat the option for each
    #[arg(long = "etcd", value_name = "URL", requires = "nodes", value_parser = checked::<Endpoint>)]
    pub etcd: Vec<Endpoint>,
    /// Addresses of pods; must not contain the address of a machine [default: 10.10.0.0/16]
    #[arg(long, value_name = "NETWORK", value_parser = checked::<Cidr>)]
    pub pod_cidr: Option<Cidr>,
    /// Addresses of services; must not contain the address of a machine [default: 10.32.0.0/16]
    #[arg(long, value_name = "NETWORK", value_parser = checked::<Cidr>)]
    pub service_cidr: Option<Cidr>,
}

/// Parses a value of cluster.toml; an error says what to write instead.
fn checked<T: FromStr<Err = BadValue>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|why: BadValue| why.sentence())
}

/// Options of commands that read a cluster.toml.
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
    /// Try this directory, image archive or mirror first: files by name, or in the directory layout of upstream; may be repeated
    #[arg(long, value_name = "DIR|FILE|URL")]
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

/// Arguments of `push`.
#[derive(Debug, Args)]
pub struct PushArgs {
    /// Directory of a bundle
    pub bundle: PathBuf,
    /// Where to: `oci://HOST[:PORT]/REPOSITORY:TAG` or `s3://BUCKET/PREFIX`
    #[arg(value_name = "URL")]
    pub location: Location,
    /// Push each file as it is, for `oras pull` and `skopeo copy`; bundles share less then
    #[arg(long)]
    pub whole_files: bool,
    /// Also push private keys and tokens that are not encrypted; everybody who can read the repository or bucket can read them
    #[arg(long)]
    pub include_secrets: bool,
    /// A repository of the same registry that may have parts already, such as `site/roc`; they are not sent again
    #[arg(long, value_name = "REPOSITORY")]
    pub mount_from: Option<String>,
    #[command(flatten)]
    pub registry: RegistryArgs,
}

/// Arguments of `pull`.
#[derive(Debug, Args)]
pub struct PullArgs {
    /// Where it is: `oci://HOST[:PORT]/REPOSITORY:TAG` (or `@sha256:…` in place of the tag), `s3://BUCKET/PREFIX`, or
    /// `https://HOST/PATH`
    #[arg(value_name = "URL")]
    pub location: Location,
    /// Directory to write; a bundle that is there is replaced
    #[arg(short, long, value_name = "DIR")]
    pub out: PathBuf,
    #[command(flatten)]
    pub trust: TrustArgs,
    #[command(flatten)]
    pub registry: RegistryArgs,
}

/// How to speak to a server.
#[derive(Debug, Args)]
#[command(next_help_heading = "Server options")]
pub struct RegistryArgs {
    /// Speak to a registry without encryption (http), and allow it for `http://` URLs of other servers; `=false` for encryption
    /// on this machine [default: http for localhost and 127.0.0.0/8, https for all others]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub plain_http: Option<bool>,
    /// Number of files at a time
    #[arg(short, long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: u16,
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
    /// File whose first line is the passphrase that new keys of machines get, with `seal = "passphrase"`
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// Sign the bundle with this Ed25519 key; repeat the option for several
    ///
    /// The key is a file of ssh-keygen or openssl, or `agent:SHA256:…` for a key of ssh-agent, as `ssh-add -l` prints it.
    #[arg(long, value_name = "KEY")]
    pub sign: Vec<KeyReference>,
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

/// Options of commands that check signatures.
#[derive(Debug, Args)]
pub struct TrustArgs {
    /// Require a signature by a key in this directory, which `trust init` writes; it must not come with the bundle
    #[arg(long, value_name = "DIR")]
    pub trust: Option<PathBuf>,
    /// Require so many trusted keys: of those who signed the bundle, and of those who built it again
    #[arg(long, value_name = "N", default_value_t = 1, requires = "trust", value_parser = clap::value_parser!(u8).range(1..))]
    pub threshold: u8,
}

/// Arguments of `export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Directory of a bundle
    pub bundle: PathBuf,
    /// Directory to write; it may be one where an export of the same bundle was interrupted
    pub dir: PathBuf,
    /// Leave out what this bundle has: its directory, a thin copy of it, or its bundle.index
    #[arg(long, value_name = "OLD")]
    pub since: Option<PathBuf>,
    /// Write several parts, each in its own directory and no larger than this
    #[arg(long, value_name = "BYTES|dvd|fat32")]
    pub max_size: Option<MaxSize>,
    /// Number of parallel jobs [default: number of processors]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
}

/// Arguments of `import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Directories that `export` wrote, in any order; for a delta also the bundle that it is to, or a thin copy of that
    #[arg(required = true, value_name = "DIR")]
    pub dirs: Vec<PathBuf>,
    /// Directory of the bundle
    #[arg(short, long, value_name = "DIR")]
    pub out: PathBuf,
    #[command(flatten)]
    pub trust: TrustArgs,
    /// Number of parallel jobs [default: number of processors]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
}

/// What `audit` compares.
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// Directory of a bundle
    pub bundle: PathBuf,
    /// Directory with an unpacked export of osv.dev for the ecosystem Go: one JSON file for each advisory
    #[arg(long, value_name = "DIR")]
    pub osv: PathBuf,
}

/// Parses one of `values`, so that `--help` and shell completions can list them.
fn one_of<T>(values: Values) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err = String> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(values.iter().map(|(name, help)| PossibleValue::new(*name).help(*help)))
        .try_map(|text| text.parse())
}

#[cfg(test)]
mod tests {
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
}
