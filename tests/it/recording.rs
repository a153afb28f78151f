//! The picture of a terminal in README.md shows what the program prints.

use std::process::Command;

use crate::harness::{Workspace, files};
use crate::source::root;

/// The lines of the picture, as text.
fn lines() -> Vec<String> {
    let picture = std::fs::read_to_string(root().join("docs/recording.svg")).unwrap();
    let texts = picture.lines().filter_map(|line| line.strip_prefix("<text ")?.strip_suffix("</text>"));
    texts.map(|line| line.split_once('>').unwrap().1.replace("&lt;", "<").replace("&amp;", "&")).collect()
}

/// A line without what differs from run to run: dates, sizes, ports, digests.
fn shape(line: &str) -> String {
    let mut shape = String::new();
    for character in line.chars() {
        let character = if character.is_ascii_digit() { '#' } else { character };
        if character != '#' || !shape.ends_with('#') {
            shape.push(character);
        }
    }
    shape
}

#[test]
fn the_recording_shows_what_is_printed() {
    let workspace = Workspace::new();
    let program = workspace.command(&[]).get_program().to_owned();
    let programs = std::path::Path::new(&program).parent().unwrap().display().to_string();
    let lines = lines();
    let recorded: Vec<_> = lines.chunk_by(|_, line| !line.starts_with("$ ")).collect();
    assert!(recorded.len() >= 4, "{recorded:?}");
    for command in recorded {
        let typed = command[0].strip_prefix("$ ").unwrap();
        let output = Command::new("sh")
            .args(["-c", &format!("exec 2>&1; PATH='{programs}':$PATH; {typed}")])
            .current_dir(workspace.path(""))
            .env("XDG_CACHE_HOME", workspace.path("cache"))
            .output()
            .unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        let mut printed: Vec<_> = printed.lines().filter(|line| !line.is_empty()).map(shape).collect();
        let mut shown: Vec<_> = command[1..].iter().map(|line| shape(line)).collect();
        // Threads write their lines when they are done.
        printed.sort();
        shown.sort();
        assert_eq!(printed, shown, "`{typed}` prints something else; `cargo xtask recording` draws it again");
    }
}

#[test]
fn pictures_of_documents_are_text_and_load_nothing() {
    let pictures = files(&root().join("docs")).into_iter().filter(|(name, _)| name.ends_with(".svg"));
    let mut looked_at = 0;
    for (name, (_, bytes)) in pictures {
        let text = String::from_utf8(bytes).unwrap();
        for word in ["<script", "<image", "<foreignObject", "href=", "url(", "@import", "@font-face"] {
            assert!(!text.contains(word), "{name} has {word}");
        }
        assert!(text.contains("<text"), "{name} says nothing");
        looked_at += 1;
    }
    assert!(looked_at >= 3, "{looked_at} pictures");
}
