//! What people see while the program works: as much as they want, in an order that they can follow, in colour if they like.

use serde_json::Value;

use crate::harness::Workspace;

#[test]
fn lines_have_the_order_of_the_plan_on_any_number_of_threads() {
    let workspace = Workspace::small(3000);
    let nodes =
        (2..9).map(|n| format!("[[nodes]]\nname = \"n{n}\"\naddress = \"192.0.2.{n}\"\nroles = [\"master\"]\n"));
    workspace.edit("cluster.toml", "[pki]", &(nodes.collect::<String>() + "[pki]"));
    let plan: Value = serde_json::from_str(&workspace.run(&["plan", "--json"]).success().stdout).unwrap();
    let list = |key: &str, name: &str| -> Vec<String> {
        plan[key].as_array().unwrap().iter().map(|it| it[name].as_str().unwrap().to_owned()).collect()
    };
    let archives = list("outputs", "path").into_iter().filter(|path| path.ends_with(".tar.gz"));
    let run = workspace.run(&["build", "--offline", "--from", "files", "-j", "8"]).success();
    let said = |verb: &str| -> Vec<String> {
        let lines = run.stderr.lines().filter_map(|line| line.strip_prefix(verb));
        lines.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    };
    assert_eq!(said("Packed "), archives.collect::<Vec<_>>());
    assert_eq!(said("Fetched "), list("downloads", "file"));
}

#[test]
fn verbose_says_where_everything_came_from_and_what_was_kept() {
    let workspace = Workspace::small(1000);
    let build = ["build", "--offline", "--from", "files", "-v"];
    let first = workspace.run(&build).success().says(&["Fetched kubectl from ", "Issued `admin`, valid until 2"]);
    assert!(first.stderr.contains("Compressed earlier: 0 of 4"), "{}", first.stderr);
    for stage in ["Planning: ", "Fetching: ", "Issuing: ", "Compressing: ", "Packing: "] {
        assert!(first.stderr.lines().any(|line| line.starts_with(stage) && line.ends_with(" s")), "{}", first.stderr);
    }
    workspace.edit("cluster.toml", "10.32.0.0/16", "10.33.0.0/16");
    let second = workspace.run(&build).success().says(&[
        "In the store: kubectl\n",
        "Kept CA `ca`, valid until 2",
        "Kept `admin`, valid until 2",
        "Reissued `kubernetes/only`: it did not name 10.33.0.1\n",
        "Kept the bootstrap token, good until 2",
        "Compressed earlier: 4 of 4",
    ]);
    assert!(!second.stderr.contains("Fetched"), "{}", second.stderr);
    let usual = workspace.build().success().stderr;
    assert!(!["In the store", "Kept", "Packing: "].iter().any(|text| usual.contains(text)), "{usual}");

    let json = workspace.run(&["build", "--offline", "--json", "-v"]).success();
    let lines: Vec<Value> = json.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["level"] == "detail" && line["message"] == "In the store: kubectl"));
    workspace.run(&["build", "-q", "-v"]).exits(2).says(&["cannot be used with"]);
}

#[test]
fn states_are_coloured_when_asked_for_and_say_the_same_without() {
    let workspace = Workspace::small(1000);
    workspace.build().success();
    let green_ok = "\u{1b}[32mok\u{1b}[0m";
    let status = |more: &[&str]| workspace.run(&[&["pki", "status"], more].concat()).success().stdout;
    // A day less is left from one second to the next, so the plain text has to be the same before and after.
    let around = || {
        let (before, coloured, after) = (status(&[]), status(&["--color", "always"]), status(&[]));
        (before == after).then_some((before, coloured))
    };
    let (plain, coloured) = std::iter::repeat_with(around).take(3).flatten().next().expect("two equal texts");
    assert!(!plain.contains('\u{1b}') && coloured.contains(green_ok), "{coloured}");
    let mut stripped = coloured.replace("\u{1b}[0m", "");
    for code in ["1", "31", "32", "33"] {
        stripped = stripped.replace(&format!("\u{1b}[{code}m"), "");
    }
    assert_eq!(stripped, plain);
    let with = |variables: &[(&str, &str)]| {
        let output = workspace.command(&["pki", "status"]).envs(variables.iter().copied()).output().unwrap();
        String::from_utf8(output.stdout).unwrap().contains('\u{1b}')
    };
    assert!(with(&[("CLICOLOR_FORCE", "1")]));
    assert!(!with(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]) && !with(&[("CLICOLOR_FORCE", "0")]));

    assert!(
        workspace.run(&["recipe", "list", "--color", "always"]).success().stdout.contains("\u{1b}[1mv1.16.0\u{1b}[0m")
    );
    let verified = workspace.run(&["verify", "out/small", "--color", "always"]).success().stdout;
    assert!(verified.contains("\u{1b}[32mall checksums match\u{1b}[0m"), "{verified}");
    workspace.run(&["build", "--offline", "-q", "--format", "deb", "-o", "other"]).success();
    let diff = workspace.run(&["diff", "out/small", "other", "--color", "always"]).exits(1).stdout;
    assert!(diff.contains("  \u{1b}[32m+ deb/") && diff.contains("  \u{1b}[31m- nodes/"), "{diff}");
    let json = workspace.run(&["pki", "status", "--json", "--color", "always"]).success().stdout;
    assert!(!json.contains('\u{1b}') && json.contains("\"state\": \"ok\""), "{json}");
}
