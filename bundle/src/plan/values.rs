//! What templates of a recipe may name, and for whom a text is rendered.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::Serialize;

use crate::package::Directories;
use crate::recipe::Recipe;
use crate::recipe::component::Kind;
use crate::recipe::layout::{Condition, Scope};
use crate::recipe::template::Renderer;
use crate::spec::names::Host;
use crate::spec::{ClusterSpec, Dns, ImageReference, NetworkPlugin, Node, Service, network};

/// Name of a certificate: its file in `pki/`, without `.pem`.
pub type CertId = String;

/// For whom a file or a certificate is made.
#[derive(Debug, Clone, Copy)]
pub(super) enum Holder<'a> {
    /// For the cluster as a whole.
    Cluster,
    /// For one machine.
    Node(&'a Node),
    /// For one host of `[etcd] endpoints`.
    EtcdEndpoint(&'a Host),
}

impl Holder<'_> {
    /// The ID of the certificate that is described under `id` for as many as `per` says.
    pub(super) fn certificate_id(self, id: &str, per: Scope) -> CertId {
        match (per, self) {
            (Scope::Node, Holder::Node(node)) => format!("{id}/{}", node.name),
            (Scope::EtcdEndpoint, Holder::EtcdEndpoint(host)) => format!("{id}/{host}"),
            // Loading a recipe makes sure that no file asks for a certificate of a narrower scope than its own.
            _ => id.to_owned(),
        }
    }
}

/// Whether a condition of the recipe holds for a machine, or for the cluster.
pub(super) fn holds(when: Option<Condition>, spec: &ClusterSpec, holder: Holder<'_>) -> bool {
    match when {
        None => true,
        Some(Condition::PodSecurityPolicy) => spec.pod_security_policy,
        Some(Condition::Pods) => spec.workers().next().is_some(),
        Some(Condition::PodNetwork) => spec.network_plugin != NetworkPlugin::None,
        Some(Condition::Flannel) => spec.network_plugin == NetworkPlugin::Flannel,
        Some(Condition::Routes) => spec.network_plugin == NetworkPlugin::Routes,
        Some(Condition::CaKey) => matches!(holder, Holder::Node(node) if spec.pki.has_ca_key(&node.name)),
        Some(Condition::NoApiServer) => {
            matches!(holder, Holder::Node(node) if !node.provides.contains(&Service::ApiServer))
        }
    }
}

/// Renders a recipe's templates for one cluster.
pub(super) struct Templates<'a> {
    pub(super) spec: &'a ClusterSpec,
    pub(super) recipe: &'a Recipe,
    directories: Directories,
    renderer: Renderer<'a>,
}

#[derive(Serialize)]
struct Values<'a> {
    #[serde(flatten)]
    directories: Directories,
    cluster: ClusterValues<'a>,
    etcd: EtcdValues<'a>,
    /// All machines.
    nodes: &'a [Node],
    /// Those with an API server.
    masters: Vec<&'a Node>,
    /// Names of the recipe's images, by component.
    images: BTreeMap<&'a str, String>,
    vars: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<&'a Node>,
    /// How many pods the machine may have.
    max_pods: u32,
    /// Whether the machine has the key of the cluster's CA.
    has_ca_key: bool,
    /// An etcd endpoint's host, as a part of a path.
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<String>,
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
    network_plugin: NetworkPlugin,
    /// Whether some node runs pods.
    has_pods: bool,
    /// Address of the Service `kubernetes`.
    service_ip: Option<IpAddr>,
    dns: &'a Dns,
}

#[derive(Serialize)]
struct EtcdValues<'a> {
    /// Client URLs; on a machine with a member, its own comes first.
    endpoints: Vec<String>,
    /// Nodes with a member.
    members: Vec<&'a Node>,
}

impl<'a> Templates<'a> {
    pub(super) fn new(spec: &'a ClusterSpec, recipe: &'a Recipe, directories: Directories) -> Result<Self, String> {
        Ok(Self { spec, recipe, directories, renderer: Renderer::new(&recipe.files)? })
    }

    /// A file of the recipe.
    pub(super) fn file(&self, path: &str, holder: Holder<'_>) -> Result<String, String> {
        self.renderer.render(path, &self.values(holder))
    }

    /// A short template that stands in a TOML file of the recipe.
    pub(super) fn inline(&self, text: &str, holder: Holder<'_>) -> Result<String, String> {
        self.renderer.render_inline(text, &self.values(holder))
    }

    /// Images that the recipe has, by component.
    fn recipe_images(&self) -> impl Iterator<Item = (&'a str, ImageReference)> {
        let components = self.recipe.release.components.iter();
        let images = components.filter(|(_, component)| component.kind == Kind::Image);
        images.filter_map(|(name, component)| {
            let (image, digest) = (component.image.clone()?, component.sha256?);
            Some((name.as_str(), ImageReference { name: image, digest }))
        })
    }

    /// Whether the component is an image.
    pub(super) fn is_image(&self, component: &str) -> bool {
        self.recipe_images().any(|(name, _)| name == component)
    }

    /// The images of a machine, sorted: those that its roles name, and those of `[images] extra`.
    pub(super) fn images(&self, holder: Holder<'_>) -> Vec<ImageReference> {
        let Holder::Node(node) = holder else { return Vec::new() };
        let roles = self.recipe.roles.iter().filter(|(name, _)| node.roles.contains(name));
        let named: BTreeSet<&str> = roles.flat_map(|(_, role)| &role.components).map(String::as_str).collect();
        let own = self.recipe_images().filter(|(name, _)| named.contains(name)).map(|(_, image)| image);
        own.chain(self.spec.images.iter().cloned()).collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn values<'v>(&'v self, holder: Holder<'v>) -> Values<'v> {
        let spec = self.spec;
        let (node, member) = match holder {
            Holder::Cluster => (None, None),
            Holder::Node(node) => (Some(node), None),
            Holder::EtcdEndpoint(host) => (None, Some(host.to_string().replace(':', "-"))),
        };
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
                network_plugin: spec.network_plugin,
                has_pods: spec.workers().next().is_some(),
                service_ip: network::first_service_ip(spec.service_cidr),
                dns: &spec.dns,
            },
            etcd: EtcdValues { endpoints: endpoints(spec, node), members: spec.etcd_members().collect() },
            nodes: &spec.nodes,
            masters: spec.masters().collect(),
            images: self.recipe_images().map(|(name, image)| (name, image.name.to_string())).collect(),
            vars: &self.recipe.release.vars,
            max_pods: node.and_then(|node| node.pod_cidr).map_or(network::MOST_PODS, network::max_pods),
            has_ca_key: holds(Some(Condition::CaKey), spec, holder),
            node,
            member,
        }
    }
}

/// An API server asks the first member first, and waits for the next one only when that is away.
fn endpoints(spec: &ClusterSpec, node: Option<&Node>) -> Vec<String> {
    let mut endpoints: Vec<_> = spec.etcd.endpoints.iter().collect();
    endpoints.sort_by_key(|endpoint| node.is_none_or(|node| endpoint.host != Host::Ip(node.address)));
    endpoints.into_iter().map(ToString::to_string).collect()
}
