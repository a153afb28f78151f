//! `cluster.toml`: it is accepted, or its errors can be shown.
#![no_main]

use std::sync::LazyLock;

use kube_bundle::recipe::embedded;
use kube_bundle::spec::{ClusterSpec, RoleCatalog, recipe_ref};

static ROLES: LazyLock<RoleCatalog> =
    LazyLock::new(|| embedded::load("v1.16.0").expect("an embedded recipe loads").role_catalog());

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = recipe_ref::find(text);
    match ClusterSpec::parse("cluster.toml", text, &ROLES) {
        Ok((spec, warnings)) => {
            assert!(!spec.nodes.is_empty());
            warnings.render(false);
        }
        Err(faults) => {
            assert!(!faults.render(false).is_empty());
            faults.render(true);
        }
    }
});
