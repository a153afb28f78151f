//! Two versions of a systemd unit: which flags of its commands differ, and which other settings.

use std::collections::BTreeMap;

use serde::Serialize;

use super::changes::{Field, Fields};

/// How a unit differs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct UnitChanges {
    /// Flags and arguments, by key and program: `ExecStart kube-apiserver`.
    pub commands: BTreeMap<String, Vec<Field>>,
    /// Other settings, as `Service.Restart`. Empty lists mean that only comments differ.
    pub settings: Vec<Field>,
}

/// Values by flag or setting, in their order.
type Values = BTreeMap<String, Vec<String>>;

/// A unit as `systemd.syntax(7)` reads it, quotes apart.
#[derive(Debug, Default)]
struct Unit {
    commands: BTreeMap<String, Values>,
    settings: Values,
}

/// What stands for words that are no flags.
const ARGUMENTS: &str = "arguments";

impl UnitChanges {
    pub fn between(from: &str, to: &str) -> Self {
        let (from, to) = (Unit::parse(from), Unit::parse(to));
        let none = Values::new();
        let labels = from.commands.keys().chain(to.commands.keys().filter(|key| !from.commands.contains_key(*key)));
        let commands = labels.filter_map(|label| {
            let of = |unit: &'_ Unit| unit.commands.get(label).unwrap_or(&none).clone();
            let fields = differences(&of(&from), &of(&to));
            (!fields.is_empty()).then(|| (label.clone(), fields))
        });
        Self { commands: commands.collect(), settings: differences(&from.settings, &to.settings) }
    }
}

/// A flag that is there once on both sides is changed; others are added or removed value by value.
fn differences(from: &Values, to: &Values) -> Vec<Field> {
    let mut fields = Fields::default();
    for name in from.keys().chain(to.keys().filter(|name| !from.contains_key(*name))) {
        let values = |of: &Values| of.get(name).cloned().unwrap_or_default();
        fields = match (&values(from)[..], &values(to)[..]) {
            ([from], [to]) => fields.text(name, from, to),
            (from, to) => fields.list(name, from, to),
        };
    }
    fields.done()
}

impl Unit {
    fn parse(text: &str) -> Self {
        let mut unit = Self::default();
        let mut section = String::new();
        for line in joined(text) {
            let line = line.trim();
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                name.clone_into(&mut section);
            } else if let Some((key, value)) = line.split_once('=') {
                unit.set(&section, key.trim(), value.trim());
            }
        }
        unit
    }

    fn set(&mut self, section: &str, key: &str, value: &str) {
        let mut words = value.split_whitespace();
        let Some(program) = words.next().filter(|_| key.starts_with("Exec")) else {
            return self.settings.entry(format!("{section}.{key}")).or_default().push(value.to_owned());
        };
        // The path of the program is an argument too: a changed directory is a change.
        let name = program.rsplit('/').next().unwrap_or(program);
        let command = self.commands.entry(format!("{key} {name}")).or_default();
        let arguments = command.entry(ARGUMENTS.to_owned()).or_default();
        arguments.push(program.to_owned());
        for word in words {
            match word.split_once('=').unwrap_or((word, "")) {
                (flag, value) if flag.starts_with('-') => {
                    command.entry(flag.to_owned()).or_default().push(value.to_owned());
                }
                _ => command.entry(ARGUMENTS.to_owned()).or_default().push(word.to_owned()),
            }
        }
    }
}

/// Lines without comments, continued ones joined; a comment inside a continued line does not end it.
fn joined(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open = String::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with(['#', ';'])) {
        match line.strip_suffix('\\') {
            Some(begin) => open += &format!("{begin} "),
            None => lines.push(std::mem::take(&mut open) + line),
        }
    }
    lines.push(open);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(field: &str, from: Option<&str>, to: Option<&str>) -> Field {
        Field { field: field.to_owned(), from: from.map(str::to_owned), to: to.map(str::to_owned) }
    }

    #[test]
    fn flags_are_told_apart_however_lines_are_continued() {
        let from =
            "[Service]\nExecStart=/bin/kube-proxy \\\n  --v=2 \\\n  # a comment\n  --old \\\n  --same=1\nRestart=no\n";
        let to = "[Service]\nExecStart=/bin/kube-proxy --same=1 --v=4 --new=x\nRestart=always\nUser=nobody\n";
        let changes = UnitChanges::between(from, to);
        let flags =
            [field("--old", Some(""), None), field("--v", Some("2"), Some("4")), field("--new", None, Some("x"))];
        assert_eq!(changes.commands["ExecStart kube-proxy"], flags);
        let settings =
            [field("Service.Restart", Some("no"), Some("always")), field("Service.User", None, Some("nobody"))];
        assert_eq!(changes.settings, settings);
    }

    #[test]
    fn a_flag_that_is_repeated_is_compared_value_by_value() {
        let changes = UnitChanges::between("ExecStart=/a --x=1 --x=2", "ExecStart=/a --x=2 --x=3");
        assert_eq!(changes.commands["ExecStart a"], [field("--x", Some("1"), None), field("--x", None, Some("3"))]);
    }

    #[test]
    fn only_comments_differ() {
        assert_eq!(UnitChanges::between("# a\n[X]\nA=1\n", "[X]\n; b\nA=1\n"), UnitChanges::default());
    }
}
