//! A gzipped tar archive, or a tar archive that is wrapped here so that its headers can be reached.
#![no_main]

use kube_bundle_fuzz::{read_artifact, stored_gzip};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if bytes.starts_with(b"\x1f\x8b") {
        read_artifact(bytes);
    } else {
        read_artifact(&stored_gzip(bytes));
    }
});
