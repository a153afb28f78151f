//! What scripts that run on machines have in common: the parts that they include, and their settings.

/// What scripts include by name.
const PARTS: [(&str, &str); 5] = [
    ("common.sh", include_str!("scripts/common.sh")),
    ("records.sh", include_str!("scripts/records.sh")),
    ("checks.sh", include_str!("scripts/checks.sh")),
    ("units.sh", include_str!("scripts/units.sh")),
    ("paths.sh", include_str!("scripts/paths.sh")),
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
    // No name, path or address that gets here holds a quote.
    let settings: String = used.map(|(key, value)| format!("{key}='{value}'\n")).collect();
    format!("#!/bin/sh\nset -eu\n{settings}\n{body}")
}
