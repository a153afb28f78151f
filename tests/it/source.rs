//! Rust source, read as far as the walls of `house.rs` need it: what a file imports, and how long its functions are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The top of the repository.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Text of every Rust file below `below`, by its path from there.
pub(crate) fn sources(below: &str) -> BTreeMap<String, String> {
    let files = crate::harness::files(&root().join(below)).into_iter().filter(|(name, _)| name.ends_with(".rs"));
    let files: BTreeMap<_, _> = files.map(|(name, (_, bytes))| (name, String::from_utf8(bytes).unwrap())).collect();
    assert!(!files.is_empty(), "{below}");
    files
}

/// The part of a file before its tests.
pub(crate) fn code(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap()
}

/// The same text with comments and the content of literals blanked out; lines stay where they are.
pub(crate) fn bare(text: &str) -> String {
    let mut bare = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (length, is_blank) = token(rest, bare.chars().last());
        let token = &rest[..length.max(first.len_utf8())];
        if is_blank {
            bare.extend(token.chars().map(|character| if character == '\n' { '\n' } else { ' ' }));
        } else {
            bare.push_str(token);
        }
        rest = &rest[token.len()..];
    }
    bare
}

/// Length of what the text begins with, and whether that is a comment or a literal.
fn token(rest: &str, before: Option<char>) -> (usize, bool) {
    let is_word = before.is_some_and(|character| character.is_alphanumeric() || character == '_');
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), true);
    }
    if rest.starts_with("/*") {
        return (rest.find("*/").map_or(rest.len(), |end| end + 2), true);
    }
    if !is_word && (rest.starts_with("r\"") || rest.starts_with("r#") || rest.starts_with("br")) {
        let opening = rest.trim_start_matches('b').trim_start_matches('r');
        let hashes = opening.len() - opening.trim_start_matches('#').len();
        if opening[hashes..].starts_with('"') {
            let begin = rest.len() - opening.len() + hashes + 1;
            let closing = format!("\"{}", "#".repeat(hashes));
            return (rest[begin..].find(&closing).map_or(rest.len(), |end| begin + end + closing.len()), true);
        }
    }
    if rest.starts_with('"') {
        let mut escaped = false;
        let end = rest.char_indices().skip(1).find(|(_, character)| {
            let is_end = *character == '"' && !escaped;
            escaped = *character == '\\' && !escaped;
            is_end
        });
        return (end.map_or(rest.len(), |(end, _)| end + 1), true);
    }
    // A lifetime has no second quote where a character has one.
    if let Some(inside) = rest.strip_prefix('\'') {
        let length = match inside.strip_prefix('\\') {
            Some(escape) => escape.chars().next().map_or(0, char::len_utf8) + 1,
            None => inside.chars().next().map_or(0, char::len_utf8),
        };
        if inside.starts_with("\\u") || inside.starts_with("\\x") {
            return (inside.find('\'').map_or(rest.len(), |end| end + 2), true);
        }
        if inside[length..].starts_with('\'') {
            return (length + 2, true);
        }
    }
    (0, false)
}

/// Every path that a [`bare`] text names: `use` declarations taken apart, and paths written where they are used.
pub(crate) fn paths(bare: &str) -> BTreeSet<String> {
    let words = bare.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut found = BTreeSet::new();
    for part in words.split("use ").skip(1) {
        let tree = part.split(';').next().unwrap();
        let tree = tree.replace(" :: ", "::").replace(", ", ",").replace("{ ", "{").replace(" }", "}");
        expand("", &tree, &mut found);
    }
    let is_path = |character: char| character.is_alphanumeric() || character == '_' || character == ':';
    let squeezed = words.replace(" ::", "::").replace(":: ", "::");
    found.extend(squeezed.split(|character| !is_path(character)).filter(|path| path.contains("::")).map(str::to_owned));
    found
}

/// `a::{b, c::{d, e}}` is `a::b`, `a::c::d` and `a::c::e`.
fn expand(prefix: &str, tree: &str, found: &mut BTreeSet<String>) {
    let Some((head, group)) = tree.split_once('{') else {
        let path = format!("{prefix}{}", tree.split(" as ").next().unwrap().trim());
        found.insert(path.trim_end_matches("::self").to_owned());
        return;
    };
    let group = group.strip_suffix('}').unwrap_or(group);
    let mut depth = 0;
    let parts = group.split(|character| {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        character == ',' && depth == 0
    });
    for part in parts.map(str::trim).filter(|part| !part.is_empty()) {
        expand(&format!("{prefix}{}", head.trim()), part, found);
    }
}

/// Lines of every function of a [`bare`] text, from its first line to its closing brace.
pub(crate) fn functions(bare: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = bare.lines().collect();
    let mut found = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let words: Vec<_> = line.split_whitespace().collect();
        let Some(at) = words.iter().position(|word| *word == "fn") else { continue };
        let is_qualifier =
            |word: &&str| ["const", "async", "extern", "unsafe"].contains(word) || word.starts_with("pub");
        if !words[..at].iter().all(|word| is_qualifier(word) || word.starts_with("crate") || word.ends_with(')')) {
            continue;
        }
        let name = words[at + 1].split(['(', '<']).next().unwrap().to_owned();
        found.extend(length(&lines[number..]).map(|length| (name, length)));
    }
    found
}

/// Lines up to the brace that closes the first one; none where a declaration ends without a body.
fn length(lines: &[&str]) -> Option<usize> {
    let (mut depth, mut parentheses) = (0, 0);
    for (number, line) in lines.iter().enumerate() {
        for character in line.chars() {
            match character {
                '(' | '[' => parentheses += 1,
                ')' | ']' => parentheses -= 1,
                '{' => depth += 1,
                '}' if depth == 1 => return Some(number + 1),
                '}' => depth -= 1,
                ';' if depth == 0 && parentheses == 0 => return None,
                _ => {}
            }
        }
    }
    None
}

#[test]
fn imports_are_found_however_they_are_written() {
    let text = "use std::{\n    fs,\n    net::{self, TcpStream as Stream},\n};\nlet x = \"std::env\"; // std::process\nstd :: thread\n    ::sleep(1);";
    let found = paths(&bare(text));
    for path in ["std::fs", "std::net", "std::net::TcpStream", "std::thread::sleep"] {
        assert!(found.contains(path), "{path} in {found:?}");
    }
    assert!(!found.iter().any(|path| path.contains("env") || path.contains("process")), "{found:?}");
}

#[test]
fn functions_end_where_their_braces_do() {
    let text = "fn one(a: [u8; 3]) -> char {\n    '{'\n}\ntrait T {\n    fn none();\n}\npub(crate) fn two() {\n    let a = \"}\";\n    if a == r#\"}\"# {\n    }\n}\n";
    assert_eq!(functions(&bare(text)), [("one".to_owned(), 3), ("two".to_owned(), 5)]);
}
