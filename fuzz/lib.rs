//! What targets share: a file in memory for readers that take a path.

use std::io::Write as _;
use std::path::PathBuf;

use kube_bundle::{inspect, verify};

/// Reads bytes as `kube-bundle inspect FILE` and `kube-bundle verify FILE` do.
pub fn read_artifact(bytes: &[u8]) {
    let path = file(bytes);
    let contents = inspect::read(&path, &[]);
    let report = verify::file(&path, None);
    // Whatever can't be listed can't be "as it was built" either.
    if contents.is_err() {
        assert!(report.is_err() || report.is_ok_and(|report| !report.faults.is_empty()));
    }
}

/// One file for each process, overwritten by each input.
fn file(bytes: &[u8]) -> PathBuf {
    let path = PathBuf::from(format!("/dev/shm/kube-bundle-fuzz-{}", std::process::id()));
    std::fs::write(&path, bytes).expect("room in /dev/shm");
    path
}

/// Wraps bytes without compressing them, so that what is inside can be changed bit by bit.
pub fn stored_gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    writer.write_all(bytes).expect("memory");
    writer.finish().expect("memory")
}

/// A package of two tar archives.
pub fn package(control: &[u8], data: &[u8]) -> Vec<u8> {
    let mut package = b"!<arch>\n".to_vec();
    for (name, bytes) in [
        ("debian-binary", b"2.0\n".to_vec()),
        ("control.tar.gz", stored_gzip(control)),
        ("data.tar.gz", stored_gzip(data)),
    ] {
        let numbers = format!("{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, "100644", bytes.len());
        package.extend(format!("{name:<16}{numbers}").bytes());
        package.extend(&bytes);
        package.resize(package.len().next_multiple_of(2), b'\n');
    }
    package
}
