//! The same spec, recipe and keys give the same bytes, and a build never half-replaces what was there.

use std::process::Stdio;

use crate::harness::{Bench, Run, files};

#[test]
fn the_same_input_gives_the_same_bytes_whatever_the_machine() {
    let bench = Bench::small(200_000);
    bench.edit(
        "cluster.toml",
        "[pki]",
        "[[nodes]]\nname = \"second\"\naddress = \"192.0.2.2\"\nroles = [\"master\"]\n[pki]",
    );
    bench.write("cluster.toml", bench.text("cluster.toml") + "[output]\nformats = [\"tarball\", \"nocloud\", \"initrd\", \"user-data\"]\n[output.mirror]\nurl = \"http://192.0.2.9\"\n");
    bench.build().success();
    let one = files(&bench.path("out/small"));
    for name in
        ["deb/small-second_1.16.0-1_all.deb", "nodes/only/cidata.iso", "nodes/only/initrd.cpio", "nodes/only/user-data"]
    {
        assert!(one.contains_key(name), "{:?}", one.keys());
    }
    let directories = crate::harness::directories(&bench.path("out/small"));
    let args = ["build", "--offline", "--from", "files", "-o", "again", "-j"];
    for (umask, zone, lang, jobs) in
        [("000", "Pacific/Kiritimati", "tr_TR.UTF-8", "1"), ("077", "America/St_Johns", "C", "7")]
    {
        let program = bench.command(&[]).get_program().to_owned();
        let script = format!("umask {umask}; exec \"$0\" \"$@\"");
        let mut command = std::process::Command::new("sh");
        command.arg("-c").arg(script).arg(program).args(args).arg(jobs).current_dir(bench.path("")).env_clear();
        command
            .env("HOME", bench.path(""))
            .env("XDG_CACHE_HOME", bench.path("cache"))
            .env("TZ", zone)
            .env("LANG", lang)
            .env("LC_ALL", lang);
        Run::from(command.output().unwrap()).success();
        // Modes are compared too.
        assert_eq!(directories, crate::harness::directories(&bench.path("again")), "umask {umask}");
        assert_eq!(one, files(&bench.path("again")), "umask {umask}, {zone}, {lang}, {jobs} threads");
    }
}

#[test]
fn what_is_printed_is_what_was_written() {
    let bench = Bench::small(1000);
    let run = bench.build().success();
    assert_eq!(run.stdout, format!("{}\nout/small/manifest.json\n", Bench::ARCHIVE));
    for path in run.stdout.lines() {
        assert!(bench.path(path).is_file());
    }
    let json = bench.run(&["build", "--offline", "--json", "-q"]).success();
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["manifest"]["cluster"], "small");
    assert_eq!(
        json["manifest"]["validity"],
        serde_json::from_str::<serde_json::Value>(&bench.text("out/small/manifest.json")).unwrap()["validity"]
    );
}

#[test]
fn the_plan_digest_in_the_manifest_is_the_digest_of_the_printed_plan() {
    let bench = Bench::small(1000);
    bench.build().success();
    let plan = bench.run(&["plan", "--json"]).success().stdout;
    let manifest: serde_json::Value = serde_json::from_slice(&bench.read("out/small/manifest.json")).unwrap();
    assert_eq!(manifest["plan"], kube_bundle::hash::Sha256::of(plan.trim_end().as_bytes()).to_string());
}

#[test]
fn a_directory_that_is_no_bundle_is_never_replaced() {
    let bench = Bench::small(1000);
    bench.write("out/small/thesis.tex", "years of work");
    bench.build().exits(1).says(&["`out/small` exists and is no bundle", "hint: choose another directory"]);
    assert_eq!(bench.text("out/small/thesis.tex"), "years of work");
}

#[test]
fn a_bundle_with_files_of_a_person_in_it_is_not_replaced() {
    let bench = Bench::small(1000);
    bench.build().success();
    bench.write("out/small/operator/notes.txt", "call Ann first");
    bench.build().exits(1).says(&["holds files that no build wrote", "operator/notes.txt"]);
    assert_eq!(bench.text("out/small/operator/notes.txt"), "call Ann first");
}

#[test]
fn an_output_that_is_a_link_stays_one() {
    let bench = Bench::small(1000);
    bench.write("disk/x", "");
    std::fs::create_dir_all(bench.path("out")).unwrap();
    std::fs::create_dir_all(bench.path("disk/bundle")).unwrap();
    std::os::unix::fs::symlink("../disk/bundle", bench.path("out/small")).unwrap();
    bench.build().success();
    assert!(std::fs::symlink_metadata(bench.path("out/small")).unwrap().is_symlink());
    bench.run(&["verify", "disk/bundle"]).success();
}

#[test]
fn two_builds_into_one_directory_do_not_mix() {
    let bench = Bench::small(8_000_000);
    bench.build().success();
    let mut first = bench.command(&["build", "--offline"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let lock = bench.path("out/.small.lock");
    while !lock.exists() && first.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    let second = bench.build();
    assert!(first.wait().unwrap().success());
    assert!(second.code == Some(0) || second.stderr.contains("another build is writing"), "{second:?}");
    bench.run(&["verify", "out/small", "--deep"]).success();
}

#[test]
fn an_output_that_cannot_be_written_leaves_the_old_one_whole() {
    let bench = Bench::small(1000);
    bench.build().success();
    bench.write("flat", "a file");
    bench.run(&["build", "--offline", "-o", "flat/out"]).exits(1).says(&["could not create `flat`"]);
    bench.run(&["verify", "out/small"]).success();
}

#[test]
fn offline_and_a_url_contradict_each_other() {
    let bench = Bench::small(1000);
    bench.run(&["build", "--offline", "--from", "http://127.0.0.1:1"]).exits(2);
}

#[test]
fn a_recipe_in_a_directory_is_found_beside_cluster_toml_from_anywhere() {
    let bench = Bench::small(1000);
    bench.write("elsewhere/x", "");
    let mut command = bench.command(&["build", "--offline", "-c", "../cluster.toml", "--from", "../files"]);
    Run::from(command.current_dir(bench.path("elsewhere")).output().unwrap()).success();
    assert!(bench.path("pki/ca.pem").exists() && bench.path("elsewhere/out/small/manifest.json").exists());
}
