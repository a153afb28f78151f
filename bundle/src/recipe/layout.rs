//! `layout.toml`: what a machine consists of. Shapes only; `plan` gives them a cluster.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::install::{RequiredCommand, SystemUser};
use super::{Recipe, template};
use crate::package::Line;
use crate::target::{InstallPath, Mode, Owner, PathPattern};

/// What lies where, and which certificates it takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    /// Units and ports.
    pub install: Install,
    /// What Debian packages say of themselves.
    pub deb: Deb,
    /// Files on every master.
    pub files: Vec<FileRule>,
    /// Files for people, below `operator/`.
    pub operator: Vec<FileRule>,
    /// Certificate authorities by ID.
    pub authorities: BTreeMap<String, Authority>,
    /// Other certificates by ID.
    pub certificates: BTreeMap<String, Leaf>,
    /// What each etcd member of our own gets.
    pub etcd_member: Leaf,
    /// IDs of key pairs without a certificate.
    pub key_pairs: BTreeSet<String>,
    /// Kubeconfigs by name.
    pub kubeconfigs: BTreeMap<String, Kubeconfig>,
}

/// What the installer starts and checks.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Install {
    /// Units in the order of starting.
    pub units: Vec<String>,
    /// TCP ports that must be free.
    pub ports: Vec<u16>,
    /// Directories that units write to and that go with them.
    pub state: Vec<InstallPath>,
    /// Directories of logs, which stay until a purge.
    pub logs: Vec<InstallPath>,
    /// What units write into these directories; the last part may be a pattern of glob(7). A package's purge removes
    /// it and nothing else.
    pub writes: Vec<PathPattern>,
    /// Directories that nothing but the installer's `--purge` removes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub data: Vec<InstallPath>,
    /// System users that are created where they are missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<SystemUser>,
    /// Commands that must be there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<RequiredCommand>,
}

/// What Debian packages say of themselves.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deb {
    /// Who answers for them: a name and an address in angle brackets (Debian Policy 5.6.2).
    pub maintainer: Line,
    /// Where more is to be read.
    pub homepage: Line,
    /// The file of this recipe that is their copyright file.
    pub copyright: String,
    /// What is said of each component.
    #[serde(default)]
    pub components: BTreeMap<String, DebComponent>,
}

/// The package of one component.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DebComponent {
    /// What it is, in a phrase.
    #[serde(default)]
    pub synopsis: Option<Line>,
    /// What it is, at length: paragraphs.
    #[serde(default)]
    pub description: Vec<Line>,
    /// Packages of others that own the same files.
    #[serde(default)]
    pub conflicts: Vec<String>,
}

/// One file or directory.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRule {
    /// Where; a template.
    pub path: String,
    /// Permission bits.
    pub mode: Mode,
    /// Whose it is.
    #[serde(default)]
    pub owner: Owner,
    /// What is in it.
    pub source: FileSource,
    /// Only then is it there.
    #[serde(default)]
    pub when: Option<Condition>,
}

/// Options of `cluster.toml` that a file can hang on.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// `pod_security_policy = true`.
    PodSecurityPolicy,
}

/// What a file is made from.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileSource {
    /// Nothing.
    Directory,
    /// A symbolic link to this path.
    Link(String),
    /// A template of the recipe.
    Text(String),
    /// A binary.
    Component(String),
    /// A certificate, or the public half of a key pair.
    Certificate(String),
    /// A private key.
    Key(String),
    /// A kubeconfig.
    Kubeconfig(String),
    /// The Secret that holds the bootstrap token.
    BootstrapToken,
    /// `EncryptionConfiguration` with a key of its own.
    EncryptionConfig,
}

/// A CA.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authority {
    /// CN.
    pub common_name: String,
}

/// A certificate that a CA signs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leaf {
    /// ID of its CA.
    pub issuer: String,
    /// CN, which Kubernetes takes as the user's name.
    pub common_name: String,
    /// O, which Kubernetes takes as the user's group.
    #[serde(default)]
    pub organization: Option<String>,
    /// Extended key usages.
    pub usages: Vec<Usage>,
    /// Which subject alternative names it carries.
    #[serde(default)]
    pub names: Option<NameSet>,
}

/// Extended key usages (RFC 5280, 4.2.1.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Usage {
    /// id-kp-serverAuth.
    Server,
    /// id-kp-clientAuth.
    Client,
}

/// Sets of names that depend on the cluster.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NameSet {
    /// Every name an API server is called by.
    ApiServer,
}

/// Who dials whom with what.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kubeconfig {
    /// Name of the user entry.
    pub user: String,
    /// Name of the context entry.
    #[serde(default = "default_context")]
    pub context: String,
    /// What proves who it is.
    pub credential: Credential,
    /// Whom it dials.
    #[serde(default)]
    pub server: Server,
}

fn default_context() -> String {
    "default".to_owned()
}

/// What proves an identity.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Credential {
    /// A client certificate, by ID.
    Certificate(String),
    /// The bootstrap token.
    BootstrapToken,
}

/// Which API server.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Server {
    /// The cluster's endpoint.
    #[default]
    Endpoint,
    /// The one on the same machine.
    Local,
}

impl Layout {
    /// Notes every reference that leads nowhere and every template that doesn't compile.
    pub(super) fn contradictions(&self, recipe: &Recipe, faults: &mut Vec<String>) {
        let known = |id: &String| {
            self.authorities.contains_key(id) || self.certificates.contains_key(id) || self.key_pairs.contains(id)
        };
        for rule in self.files.iter().chain(&self.operator) {
            let lost = match &rule.source {
                FileSource::Text(file) => recipe.files.get(file).is_none().then(|| format!("file `{file}`")),
                FileSource::Component(name) => {
                    (!recipe.release.components.contains_key(name)).then(|| format!("component `{name}`"))
                }
                FileSource::Certificate(id) | FileSource::Key(id) => {
                    (!known(id)).then(|| format!("certificate `{id}`"))
                }
                FileSource::Kubeconfig(name) => {
                    (!self.kubeconfigs.contains_key(name)).then(|| format!("kubeconfig `{name}`"))
                }
                FileSource::Directory
                | FileSource::Link(_)
                | FileSource::BootstrapToken
                | FileSource::EncryptionConfig => None,
            };
            faults.extend(lost.map(|what| format!("`{}` wants {what}, which is not there", rule.path)));
        }
        faults.extend(super::install::contradictions(self));
        for (id, leaf) in self.certificates.iter().chain([(&"etcd_member".to_owned(), &self.etcd_member)]) {
            if !self.authorities.contains_key(&leaf.issuer) {
                faults.push(format!("certificate `{id}` is issued by `{}`, which is no authority", leaf.issuer));
            }
        }
        // Kubeconfigs trust the one, `[pki] ca_cert` and `[etcd]` of cluster.toml replace the others.
        for id in ["ca", "etcd-ca"].iter().filter(|id| !self.authorities.contains_key(**id)) {
            faults.push(format!("there is no authority `{id}`"));
        }
        if !self.certificates.contains_key("apiserver-etcd-client") {
            faults.push("there is no certificate `apiserver-etcd-client`".to_owned());
        }
        for (name, kubeconfig) in &self.kubeconfigs {
            if let Credential::Certificate(id) = &kubeconfig.credential
                && !self.certificates.contains_key(id)
            {
                faults.push(format!("kubeconfig `{name}` uses certificate `{id}`, which is not there"));
            }
        }
        if recipe.files.get(&self.deb.copyright).is_none() {
            faults.push(format!("packages want file `{}`, which is not there", self.deb.copyright));
        }
        for name in self.deb.components.keys().filter(|name| !recipe.release.components.contains_key(*name)) {
            faults.push(format!("`[deb.components.{name}]` describes a component that is not there"));
        }
        if let Err(why) = template::compile(&recipe.files) {
            faults.push(why);
        }
    }
}
