//! `manifest.json`: what reads can be written, and reads as the same again.
#![no_main]

use kube_bundle::manifest::Manifest;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(manifest) = Manifest::parse(bytes) {
        let text = manifest.to_json();
        assert_eq!(Manifest::parse(text.as_bytes()).expect("what was written"), manifest);
        assert!(manifest.sums(&text).lines().count() > manifest.files.len());
    }
});
