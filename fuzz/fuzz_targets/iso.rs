//! An ISO 9660 volume, without its first 32 KiB, which mean nothing.
#![no_main]

use kube_bundle_fuzz::read_artifact;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut volume = vec![0; 16 * 2048];
    volume.extend_from_slice(bytes);
    read_artifact(&volume);
});
