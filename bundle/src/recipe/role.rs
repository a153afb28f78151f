//! `roles/NAME/role.toml`: what a machine with a role consists of.
//!
//! These types are what a role can say. Which roles there are is data: a new one is a directory of the recipe.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::install::{RequiredCommand, SystemUser};
use super::layout::{FileRule, Kubeconfig, Leaf};
use crate::spec::Service;
use crate::spec::names::RoleName;
use crate::target::{InstallPath, PathPattern};

/// What a machine with this role consists of.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// What the rest of the cluster relies on it for.
    #[serde(default)]
    pub provides: BTreeSet<Service>,
    /// Roles whose units start first, where a machine has both.
    #[serde(default)]
    pub after: BTreeSet<RoleName>,
    /// Components that it needs.
    #[serde(default)]
    pub components: BTreeSet<String>,
    /// Units, ports and directories.
    pub install: Install,
    /// Files besides the components.
    #[serde(default)]
    pub files: Vec<FileRule>,
    /// Certificates by ID, as in `layout.toml`.
    #[serde(default)]
    pub certificates: BTreeMap<String, Leaf>,
    /// Kubeconfigs by name, as in `layout.toml`.
    #[serde(default)]
    pub kubeconfigs: BTreeMap<String, Kubeconfig>,
}

/// What the installer checks, starts and removes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Install {
    /// Units in the order of starting; they are stopped in the reverse order.
    pub units: Vec<String>,
    /// TCP ports that must be free.
    pub ports: Vec<u16>,
    /// Directories that units write to and that are removed with them.
    pub state: Vec<InstallPath>,
    /// Directories of logs, which stay until a purge.
    pub logs: Vec<InstallPath>,
    /// What units write into these directories; the last part may be a pattern of glob(7). A package's purge removes
    /// it and nothing else.
    pub writes: Vec<PathPattern>,
    /// Directories that nothing but the installer's `--purge` removes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub data: Vec<InstallPath>,
    /// System users that are created where they are missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<SystemUser>,
    /// Commands that must be installed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<RequiredCommand>,
}

impl Install {
    /// Adds what another role of the same machine needs; what both need is there once.
    pub fn add(&mut self, other: &Self) {
        fn extend<T: Clone + PartialEq>(all: &mut Vec<T>, more: &[T]) {
            for one in more {
                if !all.contains(one) {
                    all.push(one.clone());
                }
            }
        }
        extend(&mut self.units, &other.units);
        extend(&mut self.ports, &other.ports);
        extend(&mut self.state, &other.state);
        extend(&mut self.logs, &other.logs);
        extend(&mut self.writes, &other.writes);
        extend(&mut self.data, &other.data);
        extend(&mut self.users, &other.users);
        extend(&mut self.commands, &other.commands);
    }
}
