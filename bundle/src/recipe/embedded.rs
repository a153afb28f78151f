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
        "config/audit-policy.yaml",
        "config/kube-scheduler.yaml",
        "deb/copyright",
        "flags/kube-apiserver.tsv",
        "flags/kube-controller-manager.tsv",
        "flags/kube-proxy.tsv",
        "flags/kube-scheduler.tsv",
        "flags/kubelet.tsv",
        "layout.toml",
        "manifests/kube-apiserver-to-kubelet.yaml",
        "manifests/kubelet-bootstrap.yaml",
        "manifests/pod-security-policies.yaml",
        "recipe.toml",
        "scripts/kube-bootstrap",
        "units/kube-apiserver.service",
        "units/kube-bootstrap.service",
        "units/kube-controller-manager.service",
        "units/kube-scheduler.service",
        "units/sandbox.conf",
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
