//! `roles/NAME/role.toml`: what a machine with a role consists of.
//!
//! These types are what a role can say. Which roles there are is data: a new one is a directory of the recipe.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::install::Install;
use super::layout::{Condition, FileRule, Kubeconfig, Leaf};
use crate::spec::Service;
use crate::spec::names::RoleName;

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
    /// What the installer looks after only where a condition holds.
    #[serde(default)]
    pub optional: Vec<Optional>,
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

/// A part of `[install]` that depends on the cluster or on the machine's other roles.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Optional {
    /// When it holds.
    pub when: Condition,
    /// Units, ports and the rest that are added.
    #[serde(flatten)]
    pub install: Install,
}
