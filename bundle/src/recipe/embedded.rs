//! The recipes inside the program. A test holds this list against the directory.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Error, Recipe};

/// Where a recipe names its base.
pub(super) const RECIPE_TOML: &str = "recipe.toml";

macro_rules! recipe {
    ($name:literal: $($file:literal),+ $(,)?) => {
        ($name, &[$(($file, include_str!(concat!("../../../recipes/", $name, "/", $file)))),+])
    };
}

type Pairs = &'static [(&'static str, &'static str)];

/// Texts of one recipe by their path in its directory.
#[derive(Debug, Clone, Copy)]
pub struct Texts(Pairs);

impl Texts {
    /// All texts, in the order of the list.
    pub fn iter(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.0.iter().copied()
    }
}

const RECIPES: &[(&str, Pairs)] = &[
    recipe!("v1.16.0":
        "deb/copyright",
        "flags/etcd.tsv",
        "flags/kube-apiserver.tsv",
        "flags/kube-controller-manager.tsv",
        "flags/kube-proxy.tsv",
        "flags/kube-scheduler.tsv",
        "flags/kubelet.tsv",
        "layout.toml",
        "recipe.toml",
        "roles/etcd/role.toml",
        "roles/etcd/scripts/kube-etcd",
        "roles/etcd/units/etcd.service",
        "roles/etcd/units/kube-etcd-backup.service",
        "roles/etcd/units/kube-etcd-backup.timer",
        "roles/master/config/Corefile",
        "roles/master/config/audit-policy.yaml",
        "roles/master/config/kube-scheduler.yaml",
        "roles/master/manifests/kube-apiserver-to-kubelet.yaml",
        "roles/master/manifests/kube-dns.yaml",
        "roles/master/manifests/kubelet-bootstrap.yaml",
        "roles/master/manifests/pod-security-policies.yaml",
        "roles/master/role.toml",
        "roles/master/scripts/kube-bootstrap",
        "roles/master/units/coredns.service",
        "roles/master/units/kube-apiserver.service",
        "roles/master/units/kube-bootstrap.service",
        "roles/master/units/kube-controller-manager.service",
        "roles/master/units/kube-scheduler.service",
        "roles/worker/config/cni.conflist",
        "roles/worker/config/containerd.toml",
        "roles/worker/config/crictl.yaml",
        "roles/worker/config/flannel.conflist",
        "roles/worker/config/flannel.json",
        "roles/worker/config/kubelet.yaml",
        "roles/worker/config/modules.conf",
        "roles/worker/config/resolv.conf",
        "roles/worker/config/sysctl.conf",
        "roles/worker/role.toml",
        "roles/worker/scripts/kube-flannel",
        "roles/worker/scripts/kube-images",
        "roles/worker/scripts/kube-node",
        "roles/worker/units/containerd.service",
        "roles/worker/units/flanneld.service",
        "roles/worker/units/kube-api-gateway.service",
        "roles/worker/units/kube-images.service",
        "roles/worker/units/kube-images.timer",
        "roles/worker/units/kube-proxy.service",
        "roles/worker/units/kubelet.service",
        "shared/kube-routes",
        "shared/kube-routes.service",
        "shared/kube-routes.timer",
        "shared/sandbox.conf",
    ),
    recipe!("v1.16.15": "recipe.toml"),
];

/// Names, oldest release first.
pub fn names() -> impl Iterator<Item = &'static str> {
    RECIPES.iter().map(|(name, _)| *name)
}

/// The texts of one recipe, without what its base lends.
pub fn files(name: &str) -> Result<Texts, Error> {
    let texts = RECIPES.iter().find(|(known, _)| *known == name).map(|(_, texts)| *texts);
    texts.map(Texts).ok_or_else(|| Error::Unknown { name: name.to_owned() })
}

/// The texts of one recipe by path, with what its base lends.
pub(super) fn complete(name: &str) -> Result<BTreeMap<&'static str, &'static str>, Error> {
    let mut all: BTreeMap<_, _> = files(name)?.iter().collect();
    if let Some(base) = all.get(RECIPE_TOML).copied().and_then(base) {
        for (path, text) in complete(&base)? {
            all.entry(path).or_insert(text);
        }
    }
    Ok(all)
}

/// The base that a text of [`RECIPE_TOML`] names. One that doesn't read is reported later, by whoever reads all of it.
pub(super) fn base(head: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Base {
        base: Option<String>,
    }
    toml::from_str::<Base>(head).ok()?.base
}

/// One recipe, ready to plan with.
pub fn load(name: &str) -> Result<Recipe, Error> {
    let texts = complete(name)?.into_iter().map(|(path, text)| (path.to_owned(), text.to_owned()));
    Recipe::from_files(name, texts.collect())
}
