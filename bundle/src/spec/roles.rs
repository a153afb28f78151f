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
pub struct RoleCatalog {
    roles: BTreeMap<RoleName, BTreeSet<Service>>,
    /// Whether the recipe may have other roles, too.
    is_open: bool,
}

impl FromIterator<(RoleName, BTreeSet<Service>)> for RoleCatalog {
    fn from_iter<I: IntoIterator<Item = (RoleName, BTreeSet<Service>)>>(roles: I) -> Self {
        Self { roles: roles.into_iter().collect(), is_open: false }
    }
}

impl RoleCatalog {
    /// The roles' names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &RoleName> {
        self.roles.keys()
    }

    /// Whether the recipe has this role, as far as it is known.
    pub fn has(&self, role: &RoleName) -> bool {
        self.is_open || self.roles.contains_key(role)
    }

    /// The same for a recipe that could not be loaded: it may have any other role, which provides nothing.
    #[must_use]
    pub fn and_others(self) -> Self {
        Self { is_open: true, ..self }
    }

    /// The services of a machine with all of `roles`.
    pub fn services<'r>(&self, roles: impl IntoIterator<Item = &'r RoleName>) -> BTreeSet<Service> {
        roles.into_iter().filter_map(|role| self.roles.get(role)).flatten().copied().collect()
    }

    /// The first role that provides `service`, for error messages.
    pub fn providing(&self, service: Service) -> Option<&RoleName> {
        self.roles.iter().find(|(_, services)| services.contains(&service)).map(|(name, _)| name)
    }
}
