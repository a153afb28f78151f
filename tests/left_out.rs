//! The last target of `cargo test`: prints which checks were left out on this machine, and why.
//!
//! It has no harness, because a harness hides what a passing test prints.
#![expect(clippy::disallowed_methods, reason = "tests read and remove files of their own")]
#![expect(clippy::print_stdout, reason = "this is all it is for")]

#[path = "it/left_out.rs"]
mod left_out;

use std::collections::BTreeMap;

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        // What cargo-nextest asks of every test program, and again for the ignored ones.
        if !arguments.iter().any(|argument| argument == "--ignored") {
            println!("what_was_left_out_is_listed: test");
        }
        return;
    }
    let path = left_out::list();
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    if text.is_empty() {
        println!("\nNo check was left out.\n");
        return;
    }
    print!("\n{}\n", report(&text));
    // Whoever named the list reads it.
    if std::env::var_os("KUBE_BUNDLE_LEFT_OUT").is_none() {
        let _ = std::fs::remove_file(path);
    }
}

/// Lines are `TEST<tab>REASON`.
fn report(text: &str) -> String {
    let mut tests_by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (test, reason) in text.lines().filter_map(|line| line.split_once('\t')) {
        let tests = tests_by_reason.entry(reason).or_default();
        if !tests.contains(&test) {
            tests.push(test);
        }
    }
    let count: usize = tests_by_reason.values().map(Vec::len).sum();
    let mut report = format!("{count} checks were LEFT OUT on this machine (`.ci/run` installs what they need):\n");
    for (reason, tests) in tests_by_reason {
        report += &format!("  {reason}\n");
        report.extend(tests.iter().map(|test| format!("    {test}\n")));
    }
    report
}
