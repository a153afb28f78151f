//! `cluster.toml`: it is taken, or its faults can be shown.
#![no_main]

use kube_bundle::spec::ClusterSpec;

libfuzzer_sys::fuzz_target!(|text: &str| {
    match ClusterSpec::parse("cluster.toml", text) {
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
