//! `layout.toml`: what a cluster has whichever roles its machines have; and the terms that roles are described in, too.
//! Shapes only; `plan` gives them a cluster.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::package::Line;
use crate::target::{Mode, Owner};

/// What belongs to no role.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    /// What all packages say of themselves.
    pub package: PackageDefaults,
    /// Packages that components are grouped into, by name.
    #[serde(default)]
    pub packages: BTreeMap<String, PackageGroup>,
    /// Files for people, below `operator/`.
    pub operator: Vec<FileRule>,
    /// Certificate authorities by ID.
    pub authorities: BTreeMap<String, Authority>,
    /// Certificates that belong to no role, by ID.
    #[serde(default)]
    pub certificates: BTreeMap<String, Leaf>,
    /// IDs of key pairs without a certificate.
    pub key_pairs: BTreeSet<String>,
    /// Kubeconfigs that belong to no role, by name.
    #[serde(default)]
    pub kubeconfigs: BTreeMap<String, Kubeconfig>,
}

/// What all packages say of themselves.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackageDefaults {
    /// Who answers for them: a name and an address in angle brackets.
    pub maintainer: Line,
    /// URL of the homepage.
    pub homepage: Line,
    /// The file of this recipe that states copyright and licenses.
    pub copyright: String,
}

/// A package of one or more components.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PackageGroup {
    /// One line that says what it is.
    pub synopsis: Option<Line>,
    /// Paragraphs that say more.
    pub description: Vec<Line>,
    /// Packages of other publishers that own the same files.
    pub conflicts: Vec<String>,
}

/// One file or directory.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRule {
    /// Where it is installed; a template.
    pub path: String,
    /// Permission bits.
    pub mode: Mode,
    /// `USER:GROUP`; root's if left out.
    #[serde(default)]
    pub owner: Owner,
    /// The content.
    pub source: FileSource,
    /// Left out unless `cluster.toml` asks for this.
    #[serde(default)]
    pub when: Option<Condition>,
    /// How many there are. A role's files are on every machine that has it; this is for `[[operator]]`.
    #[serde(default)]
    pub per: Scope,
}

/// What a file, a certificate or a part of `[install]` can depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// `pod_security_policy = true`.
    PodSecurityPolicy,
    /// Some node of the cluster runs pods.
    Pods,
    /// `[network] plugin = "routes"`.
    Routes,
    /// `[network] plugin = "flannel"`.
    Flannel,
    /// `[network] plugin` is one that the bundle installs.
    PodNetwork,
    /// The machine runs no API server itself.
    NoApiServer,
    /// The machine has the key of the cluster's CA.
    CaKey,
}

/// The content of a file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileSource {
    /// Nothing.
    Directory,
    /// A template of the recipe: a path beside the file that says so, or behind `/` one in the recipe's directory.
    Text(String),
    /// A symbolic link to this path.
    Link(String),
    /// A component, as it was fetched.
    Component(String),
    /// The container images of the machine, as an OCI image layout.
    Images,
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
    /// `cluster.toml` may name files that take its place.
    #[serde(default)]
    pub external: Option<External>,
}

/// What `cluster.toml` may bring along instead of having it made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum External {
    /// `[pki] ca_cert` and `ca_key`.
    ClusterCa,
    /// `[etcd] ca`.
    EtcdCa,
    /// `[etcd] cert` and `key`.
    EtcdClient,
}

/// How many certificates, or files, one description stands for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// One, whatever the cluster. Its ID is as described.
    #[default]
    Cluster,
    /// One for each machine that has the role. Its ID is `ID/NODE`.
    Node,
    /// One for each host of `[etcd] endpoints`, unless that is an etcd which exists already, or nodes run it. Its ID is `ID/HOST`.
    EtcdEndpoint,
}

/// A certificate that a CA signs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leaf {
    /// ID of its CA.
    pub issuer: String,
    /// CN, which Kubernetes takes as the user's name; a template.
    pub common_name: String,
    /// O, which Kubernetes takes as the user's group.
    #[serde(default)]
    pub organization: Option<String>,
    /// Extended key usages.
    pub usages: Vec<Usage>,
    /// How many there are.
    #[serde(default)]
    pub per: Scope,
    /// Subject alternative names.
    #[serde(default)]
    pub names: Vec<Names>,
    /// `cluster.toml` may name files that take its place.
    #[serde(default)]
    pub external: Option<External>,
    /// Not issued unless this holds for the cluster.
    #[serde(default)]
    pub when: Option<Condition>,
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

/// Subject alternative names that depend on the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Names {
    /// `localhost` and 127.0.0.1.
    Loopback,
    /// Whom the certificate is for: a node's name and address, or an etcd endpoint's host.
    Node,
    /// Addresses of all nodes with an API server.
    Masters,
    /// Names and addresses of all nodes with a member of etcd; hosts of `[etcd] endpoints` if it runs elsewhere.
    EtcdMembers,
    /// The host of the cluster's endpoint.
    Endpoint,
    /// The first address of the service network, which the Service `kubernetes` has.
    ServiceIp,
    /// `kubernetes.default.svc` and its short and long forms.
    ServiceNames,
    /// `[cluster] apiserver_sans`.
    Extra,
}

/// A kubeconfig: a user, a credential, and the API server to connect to.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kubeconfig {
    /// Name of the user entry.
    pub user: String,
    /// Name of the context entry.
    #[serde(default = "default_context")]
    pub context: String,
    /// Certificate or token of the user.
    pub credential: Credential,
    /// The API server to connect to.
    #[serde(default)]
    pub server: Server,
    /// Whether there is a further context for each master, by its name: for people, when the endpoint is away.
    #[serde(default)]
    pub masters: bool,
}

fn default_context() -> String {
    "default".to_owned()
}

/// Certificate or token of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Credential {
    /// A client certificate, by ID.
    Certificate(String),
    /// The bootstrap token.
    BootstrapToken,
}

/// The API server that a kubeconfig leads to.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Server {
    /// The cluster's endpoint.
    #[default]
    Endpoint,
    /// The one on the same machine.
    Local,
}
