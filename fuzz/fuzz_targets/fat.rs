//! A FAT16 volume. What makes a file pass for one is put where it belongs.
#![no_main]

use kube_bundle_fuzz::read_artifact;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut volume = bytes.to_vec();
    // A volume of FAT16 has 2 MB at the least; what follows is zeros.
    volume.resize(volume.len().max(4120 * 512), 0);
    volume[54..62].copy_from_slice(b"FAT16   ");
    volume[510..512].copy_from_slice(b"\x55\xaa");
    read_artifact(&volume);
});
