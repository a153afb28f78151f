//! `manifest.json`: every file of a bundle, and every file inside each of its artifacts. It is written last, so
//! its presence means that the bundle is whole. `SHA256SUMS` says the same for `sha256sum -c`.

pub mod origin;
pub mod provenance;
mod reader;
mod secrets;
mod signatures;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::hash::Sha256;
use crate::out::WrittenFile;
use crate::plan::downloads::{self, Download};
use crate::plan::{NodePlan, Plan};
pub use crate::plan::{OBJECT_INDEX, OBJECT_SUMS, PUBLIC_SUMS};
use crate::target::Mode;
use crate::tree::{Content, Entry, Tree};
use origin::{CertificateRecord, ComponentRecord, NodeRecord, Origin};
pub use signatures::{attestation_file, is_attestation, is_signature, signature_files, signature_files_of};

/// Name of the manifest in an output directory.
pub const MANIFEST: &str = "manifest.json";
/// Name of the checksum list.
pub const SUMS: &str = "SHA256SUMS";
/// Name of the index that apt reads, and of the same with a signature in it.
pub const RELEASE: &str = "deb/Release";
pub const IN_RELEASE: &str = "deb/InRelease";
/// Name of the signed statement of how a bundle was built. As a signature, it is not in the manifest.
pub const PROVENANCE: &str = "provenance.intoto.jsonl";
/// How many keys can sign a bundle.
pub const MOST_SIGNERS: usize = 9;
/// Bytes of a manifest or checksum list that is read: what a thousand machines need, and some 210 MB of memory.
pub const LARGEST_LIST: u64 = 32 << 20;
/// What the `format` key says; a reader refuses any other.
const FORMAT: &str = "kube-bundle/1";

/// Name of the file in an archive or package that holds what is secret, encrypted.
pub const SEALED: &str = "secrets.cms";
/// Name of the machine's key beside it, encrypted with a passphrase.
pub const LOCKED_KEY: &str = "secrets-key.pem";
/// What lists have instead of the digest of a file that is encrypted.
pub const NO_DIGEST: &str = "sealed";

/// Name of the signature that every signed bundle has.
pub const SIGNATURE: &str = "SHA256SUMS.sig";

/// The content of `manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    format: String,
    /// Name of the cluster.
    pub cluster: String,
    /// Kubernetes version.
    pub version: String,
    /// Recipe and its digest.
    pub recipe: RecipeRecord,
    /// Digest of the plan, as `kube-bundle plan --json` prints it.
    pub plan: Sha256,
    /// Version of the kube-bundle that built it. Bundles of the first versions lack this and the next six.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kube_bundle: Option<String>,
    /// Digest of the text of `cluster.toml`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cluster_toml: Option<Sha256>,
    /// Modification time of packed files: `SOURCE_DATE_EPOCH`, or that of the recipe.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none", default)]
    pub timestamp: Option<OffsetDateTime>,
    /// Machines by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub nodes: BTreeMap<String, NodeRecord>,
    /// Downloaded programs and files by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub components: BTreeMap<String, ComponentRecord>,
    /// Container images by name and tag.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub images: BTreeMap<String, Origin>,
    /// Certificates by ID.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub certificates: BTreeMap<String, CertificateRecord>,
    /// When all certificates inside are valid.
    pub validity: Validity,
    /// End of the token with which machines join that are not in `cluster.toml`. Bundles of earlier versions lack it.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none", default)]
    pub bootstrap_token_expires: Option<OffsetDateTime>,
    /// Files by their path in the output directory, without the manifest and the checksums.
    pub files: BTreeMap<String, FileRecord>,
    /// What is inside the packed ones.
    pub artifacts: BTreeMap<String, Artifact>,
}

/// The recipe that a bundle was built with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecipeRecord {
    pub name: String,
    /// Digest over all its texts.
    pub sha256: Sha256,
}

/// A span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validity {
    /// Begin of the last certificate to become valid.
    #[serde(with = "time::serde::rfc3339")]
    pub not_before: OffsetDateTime,
    /// End of the first one to expire.
    #[serde(with = "time::serde::rfc3339")]
    pub not_after: OffsetDateTime,
}

/// One file of the output directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Length in bytes.
    pub size: u64,
    /// Digest.
    pub sha256: Sha256,
    /// Permission bits in the output directory.
    pub mode: Mode,
}

/// A packed file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Whose it is, unless it is for all.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub node: Option<String>,
    /// How it is packed.
    pub format: String,
    /// What is inside, by path.
    pub entries: BTreeMap<String, Member>,
}

/// One entry of an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Permission bits on the target.
    pub mode: Mode,
    /// Length in bytes; absent for a directory, and for a file with a secret.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub size: Option<u64>,
    /// Digest; absent for a directory, and for a file with a secret, which it would help to guess.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sha256: Option<Sha256>,
    /// Where a symbolic link leads to; absent for anything else.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub link: Option<String>,
    /// Whether it is a file with a secret. Bundles of earlier versions have digests of these too.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub secret: bool,
}

/// Under this name a package's control archive is listed beside its files, as `dpkg-deb --raw-extract` does it.
pub const CONTROL: &str = "DEBIAN";

impl Artifact {
    /// Lists a tree.
    pub fn describe(tree: &Tree) -> BTreeMap<String, Member> {
        tree.iter().map(|(path, entry)| (path.to_string(), Member::of(entry))).collect()
    }

    /// Lists the files of a package and its control archive.
    pub fn describe_package(tree: &Tree, control: &Tree) -> BTreeMap<String, Member> {
        let mut members = Self::describe(tree);
        members.extend(control.iter().map(|(path, entry)| (format!("{CONTROL}/{path}"), Member::of(entry))));
        members
    }
}

impl FileRecord {
    /// The record of a file that was just written.
    pub(crate) fn of(file: &WrittenFile) -> Self {
        Self { size: file.size(), sha256: file.sha256(), mode: file.mode() }
    }
}

impl Member {
    fn of(entry: &Entry) -> Self {
        let secret = matches!(entry.content, Content::Secret(_));
        let sha256 = entry.sha256().filter(|_| !secret);
        let link = entry.link_target().map(str::to_owned);
        Self { mode: entry.mode, size: sha256.map(|_| entry.size()), sha256, link, secret }
    }

    /// Whether it is a file, with a secret or without.
    pub fn is_file(&self) -> bool {
        self.secret || self.sha256.is_some()
    }

    /// Whether `found`, which was read from an artifact, is what this says.
    pub fn describes(&self, found: &Self) -> bool {
        let is_same_secret = self.secret && found.is_file() && self.mode == found.mode;
        is_same_secret || self == found
    }
}

/// What a manifest says beyond its plan.
pub(crate) struct Built {
    pub(crate) cluster_toml: Option<Sha256>,
    pub(crate) window: (OffsetDateTime, OffsetDateTime),
    pub(crate) certificates: BTreeMap<String, CertificateRecord>,
    pub(crate) bootstrap_token_expires: Option<OffsetDateTime>,
    pub(crate) components: BTreeMap<String, ComponentRecord>,
    pub(crate) files: BTreeMap<String, FileRecord>,
    pub(crate) artifacts: BTreeMap<String, Artifact>,
}

/// Images that machines get as they are.
fn images(plan: &Plan) -> BTreeMap<String, Origin> {
    let image = |download: &Download| match &download.content {
        downloads::Content::Image(image) if image.members.is_empty() => {
            Some((image.name.to_string(), Origin::of(download)))
        }
        _ => None,
    };
    plan.content.downloads.iter().filter_map(image).collect()
}

fn nodes(plan: &Plan) -> BTreeMap<String, NodeRecord> {
    let record = |node: &NodePlan| {
        let roles = node.roles.iter().map(ToString::to_string).collect();
        (node.name.to_string(), NodeRecord { address: node.address, roles })
    };
    plan.content.nodes.iter().map(record).collect()
}

impl Manifest {
    pub(crate) fn new(plan: &Plan, built: Built) -> Self {
        let (not_before, not_after) = built.window;
        Self {
            format: FORMAT.to_owned(),
            kube_bundle: Some(env!("CARGO_PKG_VERSION").to_owned()),
            cluster_toml: built.cluster_toml,
            timestamp: Some(plan.content.timestamp),
            nodes: nodes(plan),
            components: built.components,
            images: images(plan),
            certificates: built.certificates,
            cluster: plan.content.cluster.to_string(),
            version: plan.content.version.clone(),
            recipe: RecipeRecord { name: plan.content.recipe.clone(), sha256: plan.content.recipe_digest },
            plan: plan.digest(),
            validity: Validity { not_before, not_after },
            bootstrap_token_expires: built.bootstrap_token_expires,
            files: built.files,
            artifacts: built.artifacts,
        }
    }

    /// The text of `manifest.json`.
    pub fn to_json(&self) -> String {
        let text = serde_json::to_string_pretty(self).unwrap_or_else(|why| unreachable!("string keys only: {why}"));
        text + "\n"
    }

    /// The text of `SHA256SUMS`, with the manifest of the given text.
    pub fn sums(&self, manifest: &str) -> String {
        let files = self.files.iter().map(|(path, record)| (path.as_str(), record.sha256));
        let mut all: Vec<_> = files.chain([(MANIFEST, Sha256::of(manifest.as_bytes()))]).collect();
        all.sort_unstable();
        all.iter().map(|(path, sha256)| format!("{sha256}  {path}\n")).collect()
    }

    /// Formats of its artifacts, as `cluster.toml` names them.
    pub fn formats(&self) -> BTreeSet<String> {
        self.artifacts.values().map(|artifact| artifact.format.clone()).collect()
    }

    /// User data that is given to a machine as it is: the machine's name, and bytes.
    pub fn user_data(&self) -> impl Iterator<Item = (&str, u64)> {
        self.nodes.keys().filter_map(|node| {
            let record = self.files.get(&format!("nodes/{node}/user-data"))?;
            Some((node.as_str(), record.size))
        })
    }
}
