//! What `cluster.toml` has to know of roles: their names, and what a role provides to the rest of the cluster.
//!
//! Roles themselves are data of a recipe (`roles/NAME/role.toml`). The rules of `cluster.toml` speak of what a role
//! provides, never of a role by its name.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::names::RoleName;

/// What the rest of a cluster relies on a role for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Service {
    /// An API server listens on the node's address: the endpoint may lead there, and certificates name it.
    ApiServer,
    /// An etcd member listens on the node's address: API servers store the cluster's objects there.
    Etcd,
    /// A kubelet runs pods: the node has a range of the pod network.
    Pods,
}

/// The roles of a recipe, and what each provides.
#[derive(Debug, Clone, Default)]
pub struct RoleCatalog(BTreeMap<RoleName, BTreeSet<Service>>);

impl FromIterator<(RoleName, BTreeSet<Service>)> for RoleCatalog {
    fn from_iter<I: IntoIterator<Item = (RoleName, BTreeSet<Service>)>>(roles: I) -> Self {
        Self(roles.into_iter().collect())
    }
}

impl RoleCatalog {
    /// The roles' names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &RoleName> {
        self.0.keys()
    }

    /// Whether the recipe has this role.
    pub fn has(&self, role: &RoleName) -> bool {
        self.0.contains_key(role)
    }

    /// The services of a machine with all of `roles`.
    pub fn services<'r>(&self, roles: impl IntoIterator<Item = &'r RoleName>) -> BTreeSet<Service> {
        roles.into_iter().filter_map(|role| self.0.get(role)).flatten().copied().collect()
    }

    /// The first role that provides `service`, for error messages.
    pub fn providing(&self, service: Service) -> Option<&RoleName> {
        self.0.iter().find(|(_, services)| services.contains(&service)).map(|(name, _)| name)
    }
}
