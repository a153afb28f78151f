//! Commands that are groups of others.

use std::path::PathBuf;

use clap::Subcommand;

use super::ClusterArgs;
use crate::sign::KeyReference;
use crate::spec::RecipeRef;

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
pub enum TrustCommand {
    /// Write a directory of trusted keys, for `verify --trust`, install.sh, ssh-keygen, gpgv, apt and openssl
    ///
    /// It replaces a directory that it wrote before. Bring it to where bundles are verified, but not along with a bundle.
    #[command(after_long_help = "\
Examples:
  kube-bundle trust init ./trust --key release-key
  kube-bundle trust init ./trust --key new-key --key old-key     # while a key is being replaced
  kube-bundle trust init ./trust --key new-key --revoke old-key.pub")]
    Init {
        /// Directory to write
        dir: PathBuf,
        /// An Ed25519 key; of its public half no certificate for gpgv and apt can be made, since it signs itself
        #[arg(long, value_name = "KEY", required = true)]
        key: Vec<KeyReference>,
        /// A key whose owner may say, by `attest`, that a bundle was built again; its public half is enough
        #[arg(long, value_name = "KEY")]
        rebuilder: Vec<KeyReference>,
        /// A key whose signatures must be refused; its public half is enough
        #[arg(long, value_name = "KEY")]
        revoke: Vec<KeyReference>,
    },
}

#[derive(Debug, Subcommand)]
pub enum ImagesCommand {
    /// Write the digests of images that you hold into `[images] extra` of cluster.toml
    ///
    /// Names in `[images] extra` may be without a digest before. Images are found by name in archives of `docker save`,
    /// and in OCI image layouts, as archives or directories. An archive without manifests gets the one that containerd
    /// makes when it imports the archive.
    #[command(after_long_help = "\
Example:
  docker save registry.example/shop/web:1.4 -o images/web.tar
  kube-bundle images pin --from ./images
  kube-bundle build --from ./images")]
    Pin {
        /// File that describes the cluster
        #[arg(short, long, value_name = "FILE", default_value = "cluster.toml")]
        cluster: PathBuf,
        /// Directory that holds archives or is an OCI image layout, or one archive
        #[arg(long, value_name = "DIR|FILE")]
        from: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Remove compressed programs that no build has used lately; a later build makes them again
    #[command(after_long_help = "Example:\n  kube-bundle store prune --days 0")]
    Prune {
        /// Remove what was not used for this many days; 0 removes everything
        #[arg(long, value_name = "DAYS", default_value_t = 30)]
        days: u16,
    },
}

#[derive(Debug, Subcommand)]
pub enum RecipeCommand {
    /// List the embedded recipes
    #[command(after_long_help = "Example:\n  kube-bundle recipe list --json | jq -r '.[].name'")]
    List,
    /// Show a recipe: components, pinned digests and who published them, files
    #[command(after_long_help = "Example:\n  kube-bundle recipe show v1.16.0")]
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
        /// Directory that holds the binaries, and images as for `images pin`
        #[arg(long, value_name = "DIR")]
        from: PathBuf,
    },
}
