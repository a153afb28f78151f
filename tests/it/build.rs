//! The same spec, recipe and keys give the same bytes, and a build never half-replaces what was there.

use std::process::Stdio;

use crate::harness::{Run, Workspace, files, has, tool};

#[test]
fn the_same_input_gives_the_same_bytes_whatever_the_machine() {
    let workspace = Workspace::small(200_000);
    workspace.edit(
        "cluster.toml",
        "[pki]",
        "[[nodes]]\nname = \"second\"\naddress = \"192.0.2.2\"\nroles = [\"master\"]\n[pki]",
    );
    workspace.write("cluster.toml", workspace.text("cluster.toml") + "[output]\nformats = [\"tarball\", \"nocloud\", \"initrd\", \"user-data\"]\n[output.mirror]\nurl = \"http://192.0.2.9\"\n");
    workspace.build().success();
    let one = files(&workspace.path("out/small"));
    for name in
        ["deb/small-second_1.16.0-1_all.deb", "nodes/only/cidata.iso", "nodes/only/initrd.cpio", "nodes/only/user-data"]
    {
        assert!(one.contains_key(name), "{:?}", one.keys());
    }
    let directories = crate::harness::directories(&workspace.path("out/small"));
    let args = ["build", "--offline", "--from", "files", "-o", "again", "-j"];
    for (umask, zone, lang, jobs) in
        [("000", "Pacific/Kiritimati", "tr_TR.UTF-8", "1"), ("077", "America/St_Johns", "C", "7")]
    {
        let program = workspace.command(&[]).get_program().to_owned();
        let script = format!("umask {umask}; exec \"$0\" \"$@\"");
        let mut command = std::process::Command::new("sh");
        command.arg("-c").arg(script).arg(program).args(args).arg(jobs).current_dir(workspace.path("")).env_clear();
        command
            .env("HOME", workspace.path(""))
            .env("XDG_CACHE_HOME", workspace.path("cache"))
            .env("TZ", zone)
            .env("LANG", lang)
            .env("LC_ALL", lang);
        Run::from(command.output().unwrap()).success();
        // Modes are compared too.
        assert_eq!(directories, crate::harness::directories(&workspace.path("again")), "umask {umask}");
        assert_eq!(one, files(&workspace.path("again")), "umask {umask}, {zone}, {lang}, {jobs} threads");
    }
}

/// Copies what a build is made of, with `theirs` as another user's if this one may do that, and returns the command that
/// builds there.
fn elsewhere(workspace: &Workspace, place: &str) -> std::process::Command {
    let there = workspace.path(place);
    std::fs::create_dir_all(&there).unwrap();
    for name in ["cluster.toml", "recipe", "files", "pki", "key"] {
        let (from, to) = (workspace.path(name).display().to_string(), there.display().to_string());
        tool("cp", &["-a", &from, &to]);
    }
    let program = env!("CARGO_BIN_EXE_kube-bundle");
    if tool("id", &["-u"]).trim() != "0" {
        return std::process::Command::new(program);
    }
    // Another user can't enter the workspace, nor where the program lies.
    tool("cp", &[program, &there.join("program").display().to_string()]);
    tool("chown", &["-R", "nobody", &workspace.path("elsewhere").display().to_string()]);
    tool("chmod", &["755", &workspace.path("").display().to_string()]);
    let mut command = std::process::Command::new("setpriv");
    command.args(["--reuid", "nobody", "--clear-groups"]).arg(there.join("program"));
    command
}

#[test]
fn somebody_else_gets_the_same_bytes_elsewhere_signatures_included() {
    if !has("ssh-keygen") {
        return;
    }
    let workspace = Workspace::small(20_000);
    tool(
        "ssh-keygen",
        &["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", &workspace.path("key").display().to_string()],
    );
    let build = ["build", "--offline", "--from", "files", "-q", "--format", "tarball,deb,nocloud", "--sign", "key"];
    workspace.run(&[&build[..], &["-o", "one"]].concat()).success();
    let place = "elsewhere/in a directory/with a long name";
    let mut command = elsewhere(&workspace, place);
    // With a cache of its own, so that nothing is taken from the first build.
    command
        .args(build)
        .args(["-o", "two"])
        .current_dir(workspace.path(place))
        .env("XDG_CACHE_HOME", "")
        .env("HOME", workspace.path(place));
    Run::from(command.output().unwrap()).success();
    let (one, two) = (workspace.path("one"), workspace.path(place).join("two"));
    if files(&one) != files(&two) {
        // Only where something is wrong; it says what in an archive differs.
        let [one, two] = [one, two].map(|path| path.display().to_string());
        let report = std::process::Command::new("diffoscope").args([&one, &two]).output();
        panic!(
            "{}",
            report.map_or_else(|why| why.to_string(), |report| String::from_utf8_lossy(&report.stdout).into_owned())
        );
    }
}

#[test]
fn what_is_printed_is_what_was_written() {
    let workspace = Workspace::small(1000);
    let run = workspace.build().success();
    assert_eq!(run.stdout, format!("{}\nout/small/manifest.json\n", Workspace::ARCHIVE));
    for path in run.stdout.lines() {
        assert!(workspace.path(path).is_file());
    }
    let json = workspace.run(&["build", "--offline", "--json", "-q"]).success();
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["manifest"]["cluster"], "small");
    assert_eq!(
        json["manifest"]["validity"],
        serde_json::from_str::<serde_json::Value>(&workspace.text("out/small/manifest.json")).unwrap()["validity"]
    );
}

#[test]
fn the_plan_digest_in_the_manifest_is_the_digest_of_the_printed_plan() {
    let workspace = Workspace::small(1000);
    workspace.build().success();
    let plan = workspace.run(&["plan", "--json"]).success().stdout;
    let manifest: serde_json::Value = serde_json::from_slice(&workspace.read("out/small/manifest.json")).unwrap();
    assert_eq!(manifest["plan"], kube_bundle::hash::Sha256::of(plan.trim_end().as_bytes()).to_string());
}

#[test]
fn a_bundle_of_another_cluster_is_never_replaced() {
    let workspace = Workspace::small(1000);
    workspace.build().success();
    let (bundle, keys) = (files(&workspace.path("out")), files(&workspace.path("pki")));
    workspace.edit("cluster.toml", "name = \"small\"", "name = \"other\"");
    let other = ["build", "--offline", "--from", "files", "-o", "out/small"];
    workspace.run(&other).exits(1).says(&[
        "`out/small` holds the bundle of cluster `small`, and this is a build of cluster `other`",
        "hint: choose another directory with `-o`, or remove this one",
    ]);
    assert_eq!((files(&workspace.path("out")), files(&workspace.path("pki"))), (bundle, keys), "before any work");
    std::fs::remove_dir_all(workspace.path("out/small")).unwrap();
    workspace.run(&other).success();
    workspace.run(&other).success();
}

#[test]
fn a_directory_that_is_no_bundle_is_never_replaced() {
    let workspace = Workspace::small(1000);
    workspace.write("out/small/thesis.tex", "years of work");
    workspace.build().exits(1).says(&["`out/small` exists and is no bundle", "hint: choose another directory"]);
    assert_eq!(workspace.text("out/small/thesis.tex"), "years of work");
}

#[test]
fn a_bundle_with_files_of_a_person_in_it_is_not_replaced() {
    let workspace = Workspace::small(1000);
    workspace.build().success();
    workspace.write("out/small/operator/notes.txt", "call Ann first");
    workspace.build().exits(1).says(&["holds files that no build wrote", "operator/notes.txt"]);
    assert_eq!(workspace.text("out/small/operator/notes.txt"), "call Ann first");
}

#[test]
fn an_output_that_is_a_link_stays_one() {
    let workspace = Workspace::small(1000);
    workspace.write("disk/x", "");
    std::fs::create_dir_all(workspace.path("out")).unwrap();
    std::fs::create_dir_all(workspace.path("disk/bundle")).unwrap();
    std::os::unix::fs::symlink("../disk/bundle", workspace.path("out/small")).unwrap();
    workspace.build().success();
    assert!(std::fs::symlink_metadata(workspace.path("out/small")).unwrap().is_symlink());
    workspace.run(&["verify", "disk/bundle"]).success();
}

#[test]
fn a_build_into_a_directory_that_another_build_writes_is_refused_and_touches_nothing() {
    let workspace = Workspace::small(1000);
    workspace.build().success();
    let before = files(&workspace.path("out/small"));
    workspace.edit("cluster.toml", "10.32.0.0/16", "10.33.0.0/16");
    // Held as the other build holds it.
    let lock = std::fs::File::create(workspace.path("out/.small.lock")).unwrap();
    lock.lock().unwrap();
    workspace.build().exits(1).says(&["another build is writing"]);
    assert_eq!(files(&workspace.path("out/small")), before);
    drop(lock);
    workspace.build().success();
    assert_ne!(files(&workspace.path("out/small")), before);
}

#[test]
fn two_builds_into_one_directory_do_not_mix() {
    let workspace = Workspace::small(4_000_000);
    // Archives have the number of the build, which would change with each recipe.
    workspace.write("cluster.toml", workspace.text("cluster.toml") + "[output.deb]\nrevision = 1\n");
    workspace.run(&["recipe", "export", "./recipe", "other"]).success();
    workspace.write("other/manifests/kubelet-bootstrap.yaml", "# another recipe\n");
    let args = |recipe, out| ["build", "--offline", "--from", "files", "-q", "--recipe", recipe, "-o", out];
    // What each of the two writes alone.
    let alone = ["./recipe", "./other"].map(|recipe| {
        workspace.run(&args(recipe, "alone")).success();
        files(&workspace.path("alone"))
    });
    assert_ne!(alone[0], alone[1]);
    for _ in 0..3 {
        let run = |recipe| {
            workspace.command(&args(recipe, "together")).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let runs = [run("./recipe"), run("./other")].map(|child| Run::from(child.wait_with_output().unwrap()));
        let done = runs.iter().filter(|run| run.code == Some(0)).count();
        let refused = runs.iter().filter(|run| run.code == Some(1) && run.stderr.contains("another build is writing"));
        assert!(done >= 1 && done + refused.count() == 2, "{runs:?}");
        let found = files(&workspace.path("together"));
        // Of whoever came last, or of the only one that was let in.
        let whose: Vec<_> = (0..2).filter(|which| found == alone[*which]).collect();
        assert!(whose.len() == 1 && runs[whose[0]].code == Some(0), "a mixture: {:?}", found.keys());
    }
}

#[test]
fn an_output_that_cannot_be_written_leaves_the_old_one_whole() {
    let workspace = Workspace::small(1000);
    workspace.build().success();
    workspace.write("flat", "a file");
    workspace.run(&["build", "--offline", "-o", "flat/out"]).exits(1).says(&["could not create `flat`"]);
    workspace.run(&["verify", "out/small"]).success();
}

#[test]
fn offline_and_a_url_contradict_each_other() {
    let workspace = Workspace::small(1000);
    workspace.run(&["build", "--offline", "--from", "http://127.0.0.1:1"]).exits(2);
}

#[test]
fn a_recipe_in_a_directory_is_found_beside_cluster_toml_from_anywhere() {
    let workspace = Workspace::small(1000);
    workspace.write("elsewhere/x", "");
    let mut command = workspace.command(&["build", "--offline", "-c", "../cluster.toml", "--from", "../files"]);
    Run::from(command.current_dir(workspace.path("elsewhere")).output().unwrap()).success();
    assert!(workspace.path("pki/ca.pem").exists() && workspace.path("elsewhere/out/small/manifest.json").exists());
}

#[test]
fn outputs_of_an_earlier_format_do_not_vanish_silently() {
    let workspace = Workspace::small(3000);
    workspace.run(&["build", "--offline", "--from", "files", "--format", "tarball,deb"]).success();
    let again = workspace.build().success();
    assert!(again.stderr.contains("`out/small` had `deb` before, which this build does not write"), "{}", again.stderr);
    assert!(!workspace.build().success().stderr.contains("before"));
}
