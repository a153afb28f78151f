//! Where a run of the tests notes what it leaves out. libtest shows nothing that a passing test prints, so what was
//! left out is written to a list, and the test target `left_out`, which runs last, prints that.

use std::path::PathBuf;

/// The list of this run: the file that `KUBE_BUNDLE_LEFT_OUT` names, or one that all processes of one `cargo test` or
/// `cargo nextest` find by themselves.
pub(crate) fn list() -> PathBuf {
    if let Some(path) = std::env::var_os("KUBE_BUNDLE_LEFT_OUT") {
        return path.into();
    }
    // Under `cargo test` the parent of every test program is the one cargo.
    let run = std::env::var("NEXTEST_RUN_ID").unwrap_or_else(|_| std::os::unix::process::parent_id().to_string());
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("left-out-{run}"))
}
