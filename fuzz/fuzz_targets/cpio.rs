//! A cpio archive for an initramfs.
#![no_main]

use kube_bundle_fuzz::read_artifact;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if bytes.starts_with(b"070701") {
        read_artifact(bytes);
    }
});
