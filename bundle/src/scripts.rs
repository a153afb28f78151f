//! What scripts that run on machines have in common: parts that are included by name, and settings that are written
//! before them.

/// What scripts include by name.
const PARTS: [(&str, &str); 25] = [
    ("common.sh", include_str!("scripts/common.sh")),
    ("records.sh", include_str!("scripts/records.sh")),
    ("owners.sh", include_str!("scripts/owners.sh")),
    ("needs.sh", include_str!("scripts/needs.sh")),
    ("checks.sh", include_str!("scripts/checks.sh")),
    ("connections.sh", include_str!("scripts/connections.sh")),
    ("data.sh", include_str!("scripts/data.sh")),
    ("machine.sh", include_str!("scripts/machine.sh")),
    ("unit_keys.sh", include_str!("scripts/unit_keys.sh")),
    ("cleanup.sh", include_str!("scripts/cleanup.sh")),
    ("units.sh", include_str!("scripts/units.sh")),
    ("queue.sh", include_str!("scripts/queue.sh")),
    ("paths.sh", include_str!("scripts/paths.sh")),
    ("lock.sh", include_str!("scripts/lock.sh")),
    ("unseal.sh", include_str!("scripts/unseal.sh")),
    ("status.sh", include_str!("scripts/status.sh")),
    ("debian/secrets.sh", include_str!("debian/secrets.sh")),
    ("install/report.sh", include_str!("assemble/install/report.sh")),
    ("install/secrets.sh", include_str!("assemble/install/secrets.sh")),
    ("install/checks.sh", include_str!("assemble/install/checks.sh")),
    ("install/origin.sh", include_str!("assemble/install/origin.sh")),
    ("install/plan.sh", include_str!("assemble/install/plan.sh")),
    ("install/transaction.sh", include_str!("assemble/install/transaction.sh")),
    ("install/units.sh", include_str!("assemble/install/units.sh")),
    ("install/removal.sh", include_str!("assemble/install/removal.sh")),
];

/// A script with the parts that it includes.
pub fn expand_includes(script: &str) -> String {
    let include = |text: String, (name, part): &(&str, &str)| text.replace(&format!("#include {name}\n"), part);
    PARTS.iter().fold(script.to_owned(), include)
}

/// `#!/bin/sh`, those of the settings that it uses, and what is the same everywhere.
pub fn script(settings: &[(&str, String)], body: &str) -> String {
    let body = expand_includes(body);
    let used = settings.iter().filter(|(key, _)| body.contains(&format!("${key}")));
    let settings: String = used.map(|(key, value)| format!("{key}={}\n", quote(value))).collect();
    format!("#!/bin/sh\nset -eu\n{settings}\n{body}")
}

/// Words as scripts split them.
pub fn join<T: ToString>(words: &[T]) -> String {
    words.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// The text as one word of a shell, whatever is in it.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_setting_gets_out_of_its_quotes() {
        assert_eq!(quote("a b"), "'a b'");
        assert_eq!(quote("x'; touch /pwned; '"), r"'x'\''; touch /pwned; '\'''");
        let text = script(&[("units", "it's $(id)".to_owned()), ("ports", String::new())], "echo $units\n");
        assert_eq!(text, "#!/bin/sh\nset -eu\nunits='it'\\''s $(id)'\n\necho $units\n");
    }

    const SCRIPTS: [(&str, &str); 9] = [
        ("install.sh", include_str!("assemble/install.sh")),
        ("boot.sh", include_str!("assemble/boot.sh")),
        ("package/preinst.sh", include_str!("debian/preinst.sh")),
        ("package/postinst.sh", include_str!("debian/postinst.sh")),
        ("package/prerm.sh", include_str!("debian/prerm.sh")),
        ("package/postrm.sh", include_str!("debian/postrm.sh")),
        ("package/program.sh", include_str!("debian/program.sh")),
        ("package/kube-bundle-status.sh", include_str!("debian/kube-bundle-status.sh")),
        ("seed/plant.sh", include_str!("assemble/seed/plant.sh")),
    ];

    #[test]
    fn every_part_that_a_script_includes_is_there() {
        for (name, script) in SCRIPTS {
            let text = expand_includes(script);
            assert_eq!(text.lines().find(|line| line.starts_with("#include")), None, "{name}");
        }
    }

    /// Who has read one script knows what a name means in all of them.
    #[test]
    fn a_function_means_the_same_in_every_script() {
        let mut defined = std::collections::BTreeMap::new();
        for (name, text) in SCRIPTS.iter().chain(&PARTS) {
            for function in text.lines().filter_map(|line| line.split_once("() {")).map(|(function, _)| function) {
                let other = defined.insert(function, name);
                assert_eq!(other, None, "`{function}` of {name} is another function elsewhere");
            }
        }
        assert!(defined.len() > 80, "{}", defined.len());
    }
}
