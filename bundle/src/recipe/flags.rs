//! Which flags a binary knows, and whether a rendered unit uses only those.
//!
//! The guide's kube-controller-manager restarts forever over two flags that belong to the kubelet. Here such a
//! unit is never packed.

use std::collections::BTreeMap;

/// Flags of one binary, by name without dashes.
#[derive(Debug, Default)]
pub struct FlagTable(BTreeMap<String, State>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Current,
    Deprecated,
}

impl FlagTable {
    /// Reads lines of name, type and state, separated by tabs.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut flags = BTreeMap::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let columns: Vec<_> = line.split('\t').collect();
            let state = match columns[..] {
                [_, _, "current"] => State::Current,
                [_, _, "deprecated"] => State::Deprecated,
                _ => return Err(format!("expected name, type and `current` or `deprecated`, got `{line}`")),
            };
            flags.insert(normalize(columns[0]), state);
        }
        Ok(Self(flags))
    }

    /// Whether the binary starts with this flag on its command line.
    pub fn knows(&self, flag: &str) -> bool {
        self.0.contains_key(&normalize(flag))
    }

    /// How many flags there are, and how many of them are deprecated.
    pub fn counts(&self) -> (usize, usize) {
        let deprecated = self.0.values().filter(|state| **state == State::Deprecated).count();
        (self.0.len(), deprecated)
    }
}

/// Kubernetes components take `_` for `-` (component-base, `WordSepNormalizeFunc`).
fn normalize(flag: &str) -> String {
    flag.replace('_', "-")
}

/// The command lines of a unit (`systemd.service(5)`): every `ExecStart=` with its continued lines, in words
/// without their quotes.
fn command_lines(unit: &str) -> Vec<Vec<String>> {
    let joined = unit.replace("\\\n", " ");
    let settings = joined.lines().filter_map(|line| line.split_once('='));
    let commands = settings.filter(|(key, _)| key.trim() == "ExecStart").map(|(_, command)| command);
    commands
        .map(|command| command.split_whitespace().map(|word| word.trim_matches(['"', '\'']).to_owned()).collect())
        .collect()
}

/// Every flag in `unit` that its binary doesn't know, as a sentence. Binaries without a table are not judged.
pub fn unknown_flags(unit: &str, tables: &BTreeMap<String, FlagTable>) -> Vec<String> {
    command_lines(unit).iter().flat_map(|command| unknown_in(command, tables)).collect()
}

fn unknown_in(command: &[String], tables: &BTreeMap<String, FlagTable>) -> Vec<String> {
    let binary = command.first().map_or("", |path| path.rsplit('/').next().unwrap_or(path));
    let Some(table) = tables.get(binary) else { return Vec::new() };
    let flags = command.iter().skip(1).filter_map(|word| word.strip_prefix("--"));
    let names = flags.map(|flag| flag.split_once('=').map_or(flag, |(name, _)| name));
    let complain = |flag: &str| {
        let owners: Vec<_> =
            tables.iter().filter(|(_, table)| table.knows(flag)).map(|(name, _)| name.as_str()).collect();
        let belongs = if owners.is_empty() { String::new() } else { format!(" (it belongs to {})", owners.join(", ")) };
        format!("`{binary}` knows no flag `--{flag}`{belongs}")
    };
    names.filter(|flag| !table.knows(flag)).map(complain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables() -> BTreeMap<String, FlagTable> {
        let table = |text| FlagTable::parse(text).expect("a table");
        BTreeMap::from([
            ("kube-controller-manager".to_owned(), table("port\tint\tdeprecated\nkubeconfig\tstring\tcurrent")),
            ("kubelet".to_owned(), table("rotate-certificates\tbool\tcurrent")),
        ])
    }

    #[test]
    fn a_flag_of_another_binary_is_named_with_its_owner() {
        let unit = "ExecStart=/usr/local/bin/kube-controller-manager \\\n  --port=0 \\\n  --rotate-certificates \\\n  --kubeconfig=/x\n";
        assert_eq!(
            unknown_flags(unit, &tables()),
            ["`kube-controller-manager` knows no flag `--rotate-certificates` (it belongs to kubelet)"]
        );
    }

    #[test]
    fn no_way_of_writing_hides_a_flag() {
        for unit in [
            "ExecStart = /x/kube-controller-manager --rotate-certificates",
            "ExecStart=\nExecStart=/x/kube-controller-manager '--rotate-certificates'",
            "ExecStart=/x/kube-controller-manager \"--rotate_certificates=true\"",
        ] {
            assert_eq!(unknown_flags(unit, &tables()).len(), 1, "{unit}");
        }
    }

    #[test]
    fn underscores_are_dashes() {
        assert!(tables()["kubelet"].knows("rotate_certificates"));
    }

    #[test]
    fn a_table_with_a_mistyped_state_is_refused() {
        assert!(FlagTable::parse("port\tint\told").is_err());
    }
}
