//! What lies where on each machine, with every text that holds no secret rendered and its flags checked.

use std::collections::BTreeMap;

use serde::Serialize;

use super::NodePlan;
use super::certificates::{CertId, etcd_hosts, etcd_member_id};
use crate::recipe::Recipe;
use crate::recipe::flags::unknown_flags;
use crate::recipe::layout::{Condition, Credential, FileRule, FileSource, Kubeconfig, Server};
use crate::recipe::template::Renderer;
use crate::spec::names::{Host, NodeName};
use crate::spec::{API_PORT, ClusterSpec, Node};
use crate::target::{InstallPath, Mode, Owner};

/// One file or directory of a machine.
#[derive(Debug, Clone, Serialize)]
pub struct FilePlan {
    /// Where, without a leading slash.
    pub path: InstallPath,
    /// Permission bits.
    pub mode: Mode,
    /// Owner and group.
    pub owner: Owner,
    /// What is in it.
    pub source: Source,
}

/// What a file is made of.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Nothing.
    Directory,
    /// A symbolic link to this path.
    Link(String),
    /// This text.
    Text(String),
    /// This text, as `gzip -9n` writes it.
    Gzipped(String),
    /// A verified binary.
    Component(String),
    /// A certificate, or the public half of a key pair.
    Certificate(CertId),
    /// A private key.
    Key(CertId),
    /// A kubeconfig with its key or token.
    Kubeconfig(KubeconfigPlan),
    /// The Secret with the bootstrap token.
    BootstrapToken,
    /// `EncryptionConfiguration` with its key.
    EncryptionConfig,
}

impl Source {
    /// Whether only root may see it: the line between the public and the secret layer.
    pub fn is_secret(&self) -> bool {
        matches!(self, Self::Key(_) | Self::Kubeconfig(_) | Self::BootstrapToken | Self::EncryptionConfig)
    }
}

/// A kubeconfig without its secret.
#[derive(Debug, Clone, Serialize)]
pub struct KubeconfigPlan {
    /// Name of the cluster entry.
    pub cluster: String,
    /// URL of the API server.
    pub server: String,
    /// Name of the user entry.
    pub user: String,
    /// Name of the context.
    pub context: String,
    /// What proves who the user is.
    pub credential: Credential,
}

/// Directories that depend on who installs: the FHS gives `/usr/local` to the administrator.
#[derive(Debug, Clone, Copy, Serialize)]
struct Directories {
    bin: &'static str,
    lib: &'static str,
    units: &'static str,
}

const LOCAL: Directories =
    Directories { bin: "usr/local/bin", lib: "usr/local/lib/kube-bundle", units: "etc/systemd/system" };

/// Older versions of deb-systemd-helper(1p) look for units below `/lib` alone; where that is a link to `usr/lib`,
/// it is the same place.
const PACKAGED: Directories = Directories { bin: "usr/bin", lib: "usr/lib/kube-bundle", units: "lib/systemd/system" };

/// What templates may name.
#[derive(Serialize)]
struct Values<'a> {
    #[serde(flatten)]
    directories: Directories,
    cluster: ClusterValues<'a>,
    etcd: EtcdValues,
    vars: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<&'a Node>,
}

#[derive(Serialize)]
struct ClusterValues<'a> {
    name: &'a str,
    version: &'a str,
    endpoint: String,
    pod_cidr: String,
    service_cidr: String,
    domain: &'a str,
    pod_security_policy: bool,
}

#[derive(Serialize)]
struct EtcdValues {
    endpoints: Vec<String>,
}

/// All files of a cluster.
pub(super) struct Planned {
    pub(super) nodes: Vec<NodePlan>,
    pub(super) operator: Vec<FilePlan>,
}

pub(super) fn plan(spec: &ClusterSpec, recipe: &Recipe) -> Result<Planned, Vec<String>> {
    let planner = Planner::new(spec, recipe, LOCAL)?;
    let mut faults = Vec::new();
    let nodes = spec.nodes.iter().map(|node| NodePlan {
        name: node.name.clone(),
        address: node.address,
        install: recipe.layout.install.clone(),
        files: planner.files(&recipe.layout.files, Some(node), &mut faults),
    });
    let nodes = nodes.collect();
    let mut operator = planner.files(&recipe.layout.operator, None, &mut faults);
    operator.extend(etcd_hosts(spec).into_iter().flat_map(etcd_files));
    operator.sort_by(|one, other| one.path.cmp(&other.path));
    unless_faulty(faults, Planned { nodes, operator })
}

/// The files of each machine, where packages put them.
pub(super) fn packaged(spec: &ClusterSpec, recipe: &Recipe) -> Result<Vec<(NodeName, Vec<FilePlan>)>, Vec<String>> {
    let planner = Planner::new(spec, recipe, PACKAGED)?;
    let mut faults = Vec::new();
    let files = |node: &Node| (node.name.clone(), planner.files(&recipe.layout.files, Some(node), &mut faults));
    let nodes = spec.nodes.iter().map(files).collect();
    unless_faulty(faults, nodes)
}

fn unless_faulty<T>(mut faults: Vec<String>, planned: T) -> Result<T, Vec<String>> {
    // Three masters have the same fault three times.
    faults.sort();
    faults.dedup();
    if faults.is_empty() { Ok(planned) } else { Err(faults) }
}

struct Planner<'a> {
    spec: &'a ClusterSpec,
    recipe: &'a Recipe,
    directories: Directories,
    renderer: Renderer<'a>,
}

impl<'p> Planner<'p> {
    fn new(spec: &'p ClusterSpec, recipe: &'p Recipe, directories: Directories) -> Result<Self, Vec<String>> {
        let renderer = Renderer::new(&recipe.files).map_err(|why| vec![why])?;
        Ok(Self { spec, recipe, directories, renderer })
    }

    fn files(&self, rules: &[FileRule], node: Option<&Node>, faults: &mut Vec<String>) -> Vec<FilePlan> {
        let values = self.values(node);
        let mut files = Vec::new();
        for rule in rules.iter().filter(|rule| self.is_wanted(rule)) {
            match self.file(rule, &values) {
                Ok(file) => files.push(file),
                Err(more) => faults.extend(more),
            }
        }
        files.sort_by(|one, other| one.path.cmp(&other.path));
        files
    }

    fn is_wanted(&self, rule: &FileRule) -> bool {
        match rule.when {
            None => true,
            Some(Condition::PodSecurityPolicy) => self.spec.pod_security_policy,
        }
    }

    fn file(&self, rule: &FileRule, values: &Values<'_>) -> Result<FilePlan, Vec<String>> {
        let path = self.renderer.render_inline(&rule.path, values).map_err(|why| vec![why])?;
        let path = path.parse().map_err(|why| vec![format!("`{}`: {why}", rule.path)])?;
        let source = match &rule.source {
            FileSource::Directory => Source::Directory,
            FileSource::Link(target) => Source::Link(target.clone()),
            FileSource::Text(file) => Source::Text(self.text(file, values)?),
            FileSource::Component(name) => Source::Component(name.clone()),
            FileSource::Certificate(id) => Source::Certificate(id.clone()),
            FileSource::Key(id) => Source::Key(id.clone()),
            FileSource::Kubeconfig(name) => Source::Kubeconfig(self.kubeconfig(&self.recipe.layout.kubeconfigs[name])),
            FileSource::BootstrapToken => Source::BootstrapToken,
            FileSource::EncryptionConfig => Source::EncryptionConfig,
        };
        if source.is_secret() && rule.mode.bits() & 0o077 != 0 {
            return Err(vec![format!("`{path}` holds a secret, and mode {} lets others read it", rule.mode)]);
        }
        let mode = if matches!(source, Source::Link(_)) { Mode::LINK } else { rule.mode };
        Ok(FilePlan { path, mode, owner: rule.owner.clone(), source })
    }

    fn text(&self, file: &str, values: &Values<'_>) -> Result<String, Vec<String>> {
        let text = self.renderer.render(file, values).map_err(|why| vec![why])?;
        let unknown: Vec<_> =
            unknown_flags(&text, &self.recipe.flags).into_iter().map(|fault| format!("`{file}`: {fault}")).collect();
        if unknown.is_empty() { Ok(text) } else { Err(unknown) }
    }

    fn values<'a>(&'a self, node: Option<&'a Node>) -> Values<'a> {
        let spec = self.spec;
        Values {
            directories: self.directories,
            cluster: ClusterValues {
                name: spec.name.as_str(),
                version: &self.recipe.release.version,
                endpoint: spec.endpoint.to_string(),
                pod_cidr: spec.pod_cidr.to_string(),
                service_cidr: spec.service_cidr.to_string(),
                domain: spec.domain.as_str(),
                pod_security_policy: spec.pod_security_policy,
            },
            etcd: EtcdValues { endpoints: spec.etcd.endpoints.iter().map(ToString::to_string).collect() },
            vars: &self.recipe.release.vars,
            node,
        }
    }

    fn kubeconfig(&self, described: &Kubeconfig) -> KubeconfigPlan {
        KubeconfigPlan {
            cluster: self.spec.name.to_string(),
            server: match described.server {
                Server::Endpoint => self.spec.endpoint.to_string(),
                Server::Local => format!("https://127.0.0.1:{API_PORT}"),
            },
            user: described.user.clone(),
            context: described.context.clone(),
            credential: described.credential.clone(),
        }
    }
}

/// What whoever runs etcd on `host` puts into `/etc/etcd`, under the guide's names.
fn etcd_files(host: &Host) -> [FilePlan; 3] {
    let id = etcd_member_id(host);
    let file = |name: &str, mode, source| FilePlan {
        path: format!("etcd/{}/{name}", host.to_string().replace(':', "-"))
            .parse()
            .unwrap_or_else(|why| unreachable!("a host is a path part: {why}")),
        mode,
        owner: Owner::ROOT,
        source,
    };
    [
        file("ca.pem", Mode::PUBLIC, Source::Certificate("etcd-ca".to_owned())),
        file("etcd.pem", Mode::PUBLIC, Source::Certificate(id.clone())),
        file("etcd-key.pem", Mode::SECRET, Source::Key(id)),
    ]
}
