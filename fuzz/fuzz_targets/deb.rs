//! A package, or a control and a data archive that are put into one here. The first two bytes say where they meet, in
//! blocks of a tar archive.
#![no_main]

use kube_bundle_fuzz::{package, read_artifact};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    match bytes {
        [b'!', ..] => read_artifact(bytes),
        [high, low, archives @ ..] => {
            let blocks = usize::from(u16::from_be_bytes([*high, *low]));
            let (control, data) = archives.split_at((512 * blocks).min(archives.len()));
            read_artifact(&package(control, data));
        }
        _ => {}
    }
});
