//! Which unit restarts when which file changes: the one rule, carried as the list `TRIGGERS` by archives and packages.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::tree::{Content, Tree};

/// A line `UNIT PATH` for each file of `installed` that a unit names, itself among them.
pub(super) fn triggers(installed: &Tree, units: &[String]) -> String {
    let mut lines = String::new();
    for (path, entry) in installed.files() {
        let name = path.as_str().rsplit('/').next();
        let unit = units.iter().find(|unit| name == Some(unit));
        let (Some(unit), Content::Bytes(text)) = (unit, &entry.content) else { continue };
        let text = String::from_utf8_lossy(text);
        let named = named_paths(&text);
        for file in installed.files().map(|(path, _)| path) {
            if file == path || named.contains(file.as_str()) {
                // Writing to a string can't fail.
                let _ = writeln!(lines, "{unit} {file}");
            }
        }
    }
    lines
}

/// Absolute paths in a unit, without their leading slash. `--flag=/path`, `"/path"`, `ExecStart=-/path` and
/// `--list=/one,/two` name a file as much as `/path` does.
fn named_paths(unit: &str) -> BTreeSet<&str> {
    let words = unit.split(|c: char| c.is_whitespace() || matches!(c, '=' | ',' | '"' | '\''));
    words.filter_map(|word| word.trim_start_matches(['-', '@', '+', '!', ':']).strip_prefix('/')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Mode;
    use crate::tree::Entry;

    #[test]
    fn a_unit_is_triggered_by_itself_and_by_what_it_names() {
        let mut tree = Tree::default();
        let unit = "[Service]\nExecStart=-/usr/bin/a --key=/k/a.pem \\\n  \"/k/plain\" --list=/k/1,/k/2\n\
                    EnvironmentFile=-/k/env\nX-Restart-Triggers=/k/x /k/y\n";
        for (path, text) in [
            ("lib/systemd/system/a.service", unit),
            ("usr/bin/a", ""),
            ("usr/bin/b", ""),
            ("k/1", ""),
            ("k/2", ""),
            ("k/a.pem", ""),
            ("k/env", ""),
            ("k/plain", ""),
            ("k/x", ""),
            ("k/y", ""),
            ("k/a.pem.old", ""),
        ] {
            tree.insert(path.parse().expect("a path"), Entry::text(Mode::PUBLIC, text)).expect("free");
        }
        let lines = triggers(&tree, &["a.service".to_owned()]);
        let paths: Vec<_> = lines.lines().filter_map(|line| line.strip_prefix("a.service ")).collect();
        let expected =
            ["k/1", "k/2", "k/a.pem", "k/env", "k/plain", "k/x", "k/y", "lib/systemd/system/a.service", "usr/bin/a"];
        assert_eq!(paths, expected);
    }
}
