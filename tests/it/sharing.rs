//! Several users and builds beside each other: none can change what another reads, or have it write where it should not.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::fetch::{assert_whole, server, user};
use crate::harness::{Run, Workspace, directories, files};
use crate::server::Reply;

/// Runs the program with rights for everybody to everything that it does not give rights of its own.
fn run_with_open_umask(workspace: &Workspace, arguments: &str) -> Run {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("umask 000; exec {} {arguments}", env!("CARGO_BIN_EXE_kube-bundle"))]);
    shell.current_dir(workspace.path("")).env("XDG_CACHE_HOME", workspace.path("cache"));
    Run::from(shell.output().unwrap())
}

/// Asserts that nobody but the owner may write to `directory` or to anything below it.
#[track_caller]
fn assert_only_the_owner_writes(directory: &Path) {
    let files = files(directory).into_iter().map(|(name, (mode, _))| (name, mode));
    let modes = directories(directory).into_iter().chain(files);
    let open: Vec<_> =
        modes.filter(|(_, mode)| mode & 0o022 != 0).map(|(name, mode)| format!("{mode:o} {name}")).collect();
    assert!(open.is_empty(), "in {}: {open:#?}", directory.display());
}

#[test]
fn nobody_else_may_write_to_the_store_whatever_the_umask() {
    let server = server(|request, body| {
        let whole = Reply::file(request, body, "\"same\"");
        if request.before == 0 { whole.cut(100_000) } else { whole }
    });
    let workspace = user(&server.url());
    // First a file that is half there, then whole builds.
    run_with_open_umask(&workspace, "fetch --retries 0").exits(1);
    assert_only_the_owner_writes(&workspace.path("cache"));
    run_with_open_umask(&workspace, "build --format tarball,deb").success();
    assert_only_the_owner_writes(&workspace.path("cache"));
    assert_only_the_owner_writes(&workspace.path("out"));
}

#[test]
fn a_link_in_place_of_the_lock_of_a_build_is_not_followed() {
    let workspace = Workspace::small(1000);
    workspace.write("victim", "of somebody else");
    workspace.write("out/other", "");
    std::os::unix::fs::symlink(workspace.path("victim"), workspace.path("out/.small.lock")).unwrap();
    workspace.build().exits(1).says(&["out/.small.lock", "symbolic link", "hint: remove the link"]);
    assert_eq!(workspace.text("victim"), "of somebody else");
}

#[test]
fn a_file_in_place_of_the_lock_of_a_build_is_not_emptied() {
    let workspace = Workspace::small(1000);
    workspace.write("victim", "of somebody else");
    workspace.write("out/other", "");
    std::fs::hard_link(workspace.path("victim"), workspace.path("out/.small.lock")).unwrap();
    workspace.build().success();
    assert_eq!(workspace.text("victim"), "of somebody else");
}

#[test]
fn two_users_of_one_store_fetch_each_file_once() {
    let server = server(|request, body| Reply { drip: Some(20_000), ..Reply::file(request, body, "\"same\"") });
    let workspace = user(&server.url());
    let both: Vec<_> = (0..2).map(|_| workspace.command(&["fetch"]).stdout(Stdio::null()).spawn().unwrap()).collect();
    for mut child in both {
        assert!(child.wait().unwrap().success());
    }
    assert_whole(&workspace);
    assert_eq!(server.requests().len(), 4);
}
