//! With `--json` a program reads everything: results on stdout, and notes, warnings and errors on stderr.

use clap::CommandFactory as _;
use serde_json::Value;

use crate::harness::{Run, SMALL, Workspace};

/// Every line of stderr; each has to be an object with a level.
fn lines(run: &Run) -> Vec<Value> {
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}"));
    let lines: Vec<Value> = run.stderr.lines().map(parse).collect();
    for line in &lines {
        assert!(["note", "warning", "error"].contains(&line["level"].as_str().unwrap()), "{line}");
    }
    lines
}

/// The only error, which is the last line; it has all members.
fn error(run: &Run) -> Value {
    let lines = lines(run);
    let errors: Vec<_> = lines.iter().filter(|line| line["level"] == "error").collect();
    assert_eq!(errors.len(), 1, "{}", run.stderr);
    let error = lines.last().unwrap().clone();
    let keys: Vec<_> = error.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["causes", "exit_code", "faults", "hint", "kind", "level", "message"]);
    assert_eq!(error["exit_code"], run.code.unwrap());
    error
}

#[test]
fn every_failure_is_one_object_with_the_exit_code_of_the_text() {
    let workspace = Workspace::small(1000);
    let cases: [(&[&str], &str); 7] = [
        (&["init"], "exists"),
        (&["plan", "-c", "nope.toml"], "io"),
        (&["plan", "--recipe", "v9"], "recipe"),
        (&["fetch", "--offline"], "fetch"),
        (&["verify", "files"], "not-a-bundle"),
        (&["inspect", "nonesuch"], "no-such-path"),
        (&["pki", "renew"], "usage"),
    ];
    for (args, kind) in cases {
        let text = workspace.run(args);
        let run = workspace.run(&[args, &["--json"]].concat());
        let error = error(&run);
        assert_eq!((&run.code, error["kind"].as_str()), (&text.code, Some(kind)), "{error}");
        // Nothing is lost that a person reads.
        let message = error["message"].as_str().unwrap().lines().next().unwrap().to_owned();
        assert!(text.stderr.contains(&message), "{message} is not in {}", text.stderr);
        if let Some(hint) = error["hint"].as_str() {
            assert!(text.stderr.contains(&format!("hint: {hint}")), "{hint} is not in {}", text.stderr);
        }
        assert_eq!(run.stdout, "");
    }
    let unreadable = error(&workspace.run(&["plan", "-c", "nope.toml", "--json"]));
    assert_eq!(unreadable["causes"][0], "No such file or directory (os error 2)");
}

#[test]
fn each_error_of_a_cluster_toml_has_file_line_and_column() {
    let workspace = Workspace::new();
    let twice = "[[nodes]]\nname = \"only\"\naddress = \"192.0.2.7\"\nroles = [\"master\"]\n";
    workspace.write("cluster.toml", SMALL.replacen("roles", "rolls", 1) + twice);
    let text = workspace.run(&["build"]).exits(2);
    let error = error(&workspace.run(&["build", "--json"]).exits(2));
    let faults = error["faults"].as_array().unwrap();
    assert_eq!((error["kind"].as_str(), text.stderr.matches("-->").count()), (Some("cluster-toml"), faults.len()));
    for fault in faults {
        let place = format!("{}:{}:{}", fault["file"].as_str().unwrap(), fault["line"], fault["column"]);
        for part in [&place, fault["message"].as_str().unwrap(), fault["label"].as_str().unwrap()] {
            assert!(text.stderr.contains(part), "{part} is not in {}", text.stderr);
        }
    }
    let misspelt = faults.iter().find(|fault| fault["message"].as_str().unwrap().contains("rolls")).unwrap();
    assert!(misspelt["help"].is_string() || misspelt["label"].as_str().unwrap().contains("roles"), "{misspelt}");
    let duplicate = faults.iter().find(|fault| fault["message"] == "duplicate node name `only`").unwrap();
    assert!(duplicate["other"]["line"].as_u64() < duplicate["line"].as_u64(), "{duplicate}");
}

#[test]
fn wrong_arguments_are_json_too_and_help_stays_help() {
    let workspace = Workspace::new();
    let cases: [(&[&str], &str, &str); 4] = [
        (&["bild", "--json"], "unrecognized subcommand 'bild'", "'build'"),
        (&["--json", "build", "--frm", "x"], "unexpected argument '--frm'", "'--from'"),
        (&["build", "--format", "zip", "--json"], "possible values: tarball", "--help"),
        (&["recipe", "--json"], "requires a subcommand", "--help"),
    ];
    for (args, message, hint) in cases {
        let error = error(&workspace.run(args).exits(2));
        assert_eq!(error["kind"], "usage");
        assert!(error["message"].as_str().unwrap().contains(message), "{error}");
        assert!(error["hint"].as_str().unwrap().contains(hint), "{error}");
    }
    assert!(workspace.run(&["build", "--json", "--help"]).success().stdout.contains("Usage: kube-bundle build"));
    assert!(workspace.run(&["bild"]).exits(2).stderr.starts_with("error: "));
    assert!(workspace.run(&["verify", "--", "--json"]).exits(1).stderr.starts_with("error: "));
}

#[test]
fn notes_and_warnings_are_lines_of_json() {
    let workspace = Workspace::small(1000);
    // One member of etcd more makes an even number, which is a warning with a place.
    workspace.edit("cluster.toml", "https://192.0.2.1:2379\"", "https://192.0.2.1:2379\", \"https://192.0.2.2:2379\"");
    let args = ["build", "--offline", "--from", "files", "--json"];
    let lines = lines(&workspace.run(&args).success());
    let warning = lines.iter().find(|line| line["level"] == "warning").expect("a warning");
    assert_eq!(warning["fault"]["severity"], "warning");
    assert_eq!(warning["fault"]["message"], warning["message"]);
    assert!(lines.iter().any(|line| line["level"] == "note"));
    let quiet = workspace.run(&[&args[..], &["-q"]].concat()).success();
    assert!(!quiet.stderr.contains("\"note\"") && quiet.stderr.contains("\"warning\""), "{}", quiet.stderr);
}

#[test]
fn names_in_files_reach_no_terminal_as_control_characters() {
    let workspace = Workspace::small(1000);
    workspace.build().success();
    workspace.write("out/small/\u{9b}2J\u{202e}x", "");
    let run = workspace.run(&["verify", "out/small", "--json"]).exits(3);
    assert!(!run.stderr.contains('\u{9b}') && !run.stdout.contains('\u{202e}'));
    let error = error(&run);
    assert_eq!(error["faults"][0]["message"], "\u{9b}2J\u{202e}x: not in the manifest");
}

#[test]
fn errors_and_hints_are_coloured_when_asked_for_and_plain_otherwise() {
    let workspace = Workspace::new();
    let coloured = workspace.run(&["--color", "always", "verify", "nonesuch"]).exits(1).stderr;
    assert!(
        coloured.starts_with("\u{1b}[1;91merror\u{1b}[0m: ") && coloured.contains("\u{1b}[1;96mhint\u{1b}[0m: "),
        "{coloured}"
    );
    for arguments in [&["verify", "nonesuch"][..], &["--color", "never", "verify", "nonesuch"]] {
        assert!(!workspace.run(arguments).exits(1).stderr.contains('\u{1b}'));
    }
}

/// Commands by what is typed: `recipe show`.
fn commands(command: &clap::Command, before: &str) -> Vec<String> {
    let name = |below: &clap::Command| format!("{before} {}", below.get_name()).trim_start().to_owned();
    let below = command.get_subcommands().filter(|below| below.get_name() != "help");
    let all = below.flat_map(|below| {
        let further = commands(below, &name(below));
        if further.is_empty() { vec![name(below)] } else { further }
    });
    all.collect()
}

#[test]
fn what_each_command_prints_is_described() {
    let text = include_str!("../../docs/json.md");
    let all = commands(&kube_bundle::cli::Cli::command(), "");
    assert!(all.contains(&"recipe pin".to_owned()) && all.len() > 25, "{all:?}");
    let missing: Vec<_> = all.iter().filter(|command| !text.contains(&format!("`{command}`"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_members_of_results_are_those_that_are_described() {
    let workspace = Workspace::small(1000);
    workspace.build().success();
    let text = include_str!("../../docs/json.md");
    for command in [
        &["verify", "out/small"][..],
        &["plan"],
        &["fetch", "--offline"],
        &["build", "--offline"],
        &["pki", "status"],
        &["recipe", "list"],
        &["store", "prune"],
        &["explain", "pki.key"],
    ] {
        let run = workspace.run(&[command, &["--json"]].concat()).success();
        let value: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|why| panic!("{command:?}: {why}"));
        let object = value.get(0).unwrap_or(&value).as_object().unwrap();
        for key in object.keys() {
            assert!(text.contains(&format!("`{key}`")), "{command:?} prints `{key}`");
        }
    }
}
