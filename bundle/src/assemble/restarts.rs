//! The one rule for restarts: a unit is restarted when a file that it names has changed. Archives and packages carry the
//! rule's result as a list, so that no script has to read unit files.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::tree::{Content, Tree};

/// Which files each unit names, itself among them, so that an upgrade restarts what a change touches.
pub(super) fn triggers(installed: &Tree, units: &[String]) -> String {
    let mut lines = String::new();
    for (unit, path, text) in installed.files().filter_map(|(path, entry)| {
        let name = path.as_str().rsplit('/').next()?;
        let unit = units.iter().find(|unit| *unit == name)?;
        let Content::Bytes(text) = &entry.content else { return None };
        Some((unit, path, String::from_utf8_lossy(text).into_owned()))
    }) {
        // `--flag=/path`, `"/path"` and `ExecStart=-/path` name a file as much as `/path` does.
        let words = text.split(|c: char| c.is_whitespace() || matches!(c, '=' | ',' | '"' | '\''));
        let named = words.map(|word| word.trim_start_matches(['-', '@', '+', '!', ':']));
        let named: BTreeSet<&str> = named.filter_map(|word| word.strip_prefix('/')).collect();
        let files = installed.files().map(|(path, _)| path);
        for file in files.filter(|file| *file == path || named.contains(file.as_str())) {
            // Writing to a string can't fail.
            let _ = writeln!(lines, "{unit} {file}");
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Mode;
    use crate::tree::Entry;

    #[test]
    fn a_unit_is_triggered_by_itself_and_by_what_it_names() {
        let mut tree = Tree::default();
        let unit = "[Service]\nExecStart=-/usr/bin/a --key=/k/a.pem \\\n  \"/k/plain\"\nX-Restart-Triggers=/k/x /k/y\n";
        for (path, text) in [
            ("lib/systemd/system/a.service", unit),
            ("usr/bin/a", ""),
            ("usr/bin/b", ""),
            ("k/a.pem", ""),
            ("k/plain", ""),
            ("k/x", ""),
            ("k/y", ""),
            ("k/a.pem.old", ""),
        ] {
            tree.insert(path.parse().expect("a path"), Entry::text(Mode::PUBLIC, text)).expect("free");
        }
        let lines = triggers(&tree, &["a.service".to_owned()]);
        let paths: Vec<_> = lines.lines().filter_map(|line| line.strip_prefix("a.service ")).collect();
        assert_eq!(paths, ["k/a.pem", "k/plain", "k/x", "k/y", "lib/systemd/system/a.service", "usr/bin/a"]);
    }
}
