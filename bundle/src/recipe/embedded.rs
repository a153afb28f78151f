//! The recipes inside the program. A test holds this list against the directory.

use super::files::RecipeFiles;
use super::{Error, Recipe};

macro_rules! recipe {
    ($name:literal: $($file:literal),+ $(,)?) => {
        ($name, &[$(($file, include_str!(concat!("../../../recipes/", $name, "/", $file)))),+])
    };
}

type Texts = &'static [(&'static str, &'static str)];

const RECIPES: &[(&str, Texts)] = &[
    recipe!("v1.16.0":
        "deb/copyright",
        "flags/kube-apiserver.tsv",
        "flags/kube-controller-manager.tsv",
        "flags/kube-proxy.tsv",
        "flags/kube-scheduler.tsv",
        "flags/kubelet.tsv",
        "layout.toml",
        "recipe.toml",
        "roles/master/config/audit-policy.yaml",
        "roles/master/config/kube-scheduler.yaml",
        "roles/master/manifests/kube-apiserver-to-kubelet.yaml",
        "roles/master/manifests/kubelet-bootstrap.yaml",
        "roles/master/manifests/pod-security-policies.yaml",
        "roles/master/role.toml",
        "roles/master/scripts/kube-bootstrap",
        "roles/master/units/kube-apiserver.service",
        "roles/master/units/kube-bootstrap.service",
        "roles/master/units/kube-controller-manager.service",
        "roles/master/units/kube-scheduler.service",
        "shared/sandbox.conf",
    ),
    recipe!("v1.16.15": "recipe.toml"),
];

/// Names, oldest release first.
pub fn names() -> impl Iterator<Item = &'static str> {
    RECIPES.iter().map(|(name, _)| *name)
}

/// The texts of one recipe, without what its base lends.
pub fn files(name: &str) -> Result<RecipeFiles, Error> {
    let texts = RECIPES.iter().find(|(known, _)| *known == name).map(|(_, texts)| *texts);
    let texts = texts.ok_or_else(|| Error::Unknown { name: name.to_owned() })?;
    Ok(texts.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect())
}

/// One recipe, ready to plan with.
pub fn load(name: &str) -> Result<Recipe, Error> {
    Recipe::from_files(name, files(name)?.with_base()?)
}
