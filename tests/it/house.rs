//! What the house promises to those who live in it.

use std::path::PathBuf;

use crate::harness::files;

fn sources(below: &str) -> Vec<(String, String)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(below);
    let files = files(&root).into_iter().filter(|(name, _)| name.ends_with(".rs"));
    let files: Vec<_> = files.map(|(name, (_, bytes))| (name, String::from_utf8(bytes).unwrap())).collect();
    assert!(!files.is_empty(), "{below}");
    files
}

/// The part of a file before its tests.
fn code(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap()
}

#[test]
fn every_room_says_what_it_is() {
    for below in ["bundle/src", "xtask/src", "tests/it"] {
        for (name, text) in sources(below) {
            assert!(text.starts_with("//! "), "{below}/{name} does not open with what it is");
        }
    }
}

#[test]
fn pure_rooms_name_no_effect() {
    let pure = [
        "spec",
        "plan",
        "assemble",
        "tree.rs",
        "package.rs",
        "target.rs",
        "diagnostic.rs",
        "recipe/flags.rs",
        "recipe/layout.rs",
        "recipe/template.rs",
        "hash.rs",
        "secret.rs",
        "manifest.rs",
    ];
    for (name, text) in sources("bundle/src").iter().filter(|(name, _)| pure.iter().any(|room| name.starts_with(room)))
    {
        for effect in [
            "std::fs",
            "std::net::Tcp",
            "reqwest",
            "now_utc",
            "aws_lc_rs",
            "std::process",
            "std::thread",
            "std::env",
            "clock::",
        ] {
            // The manifest is read from a directory in one function, which says so.
            let allowed = name == "manifest.rs" && effect == "std::fs";
            assert!(allowed || !code(text).contains(effect), "{name} names {effect}");
        }
    }
}

#[test]
fn the_network_has_one_room() {
    for (name, text) in sources("bundle/src") {
        assert!(!code(&text).contains("reqwest") || name == "fetch/http.rs", "{name} names reqwest");
    }
}

#[test]
fn rooms_stay_small_and_nothing_is_left_for_later() {
    for (name, text) in sources("bundle/src") {
        let lines = code(&text).lines().count();
        assert!(lines <= 400, "{name} has {lines} lines");
        for word in ["todo!", "unimplemented!", "FIXME", "XXX", "#[ignore", ".unwrap()"] {
            assert!(!code(&text).contains(word), "{name} has {word}");
        }
    }
}

#[test]
fn documents_name_files_that_exist() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    for document in ["README.md", "docs/installing.md", "docs/packages.md", "docs/security.md"] {
        let text = std::fs::read_to_string(root.join(document)).unwrap();
        for target in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            assert!(
                target.starts_with("https://") || root.join(document).parent().unwrap().join(target).exists(),
                "{document} links to {target}"
            );
        }
    }
}
