//! What a user may have meant by a name that does not exist.

/// What users of other programs call these keys.
const OTHER_NAMES: [(&str, &str); 7] = [
    ("machines", "nodes"),
    ("servers", "nodes"),
    ("hosts", "nodes"),
    ("ip", "address"),
    ("hostname", "name"),
    ("version", "recipe"),
    ("san", "apiserver_sans"),
];

/// The known name that differs from `name` in at most two letters, least of all; capitals, hyphens and underscores
/// make no difference.
pub(crate) fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let bare = |text: &str| text.to_lowercase().replace(['_', '-', ' '], "");
    let name = bare(name);
    let other = OTHER_NAMES.iter().find(|(other, _)| *other == name).map(|(_, key)| *key);
    let distance = |key: &str| if other == Some(key) { 0 } else { strsim::levenshtein(&name, &bare(key)) };
    // Two letters of a name of two are another name.
    let most = name.chars().count().saturating_sub(1).min(2);
    known
        .into_iter()
        .map(|key| (distance(key), key))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, key)| key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_finds_its_key() {
        let known = ["pod_cidr", "service_cidr", "nodes"];
        assert_eq!(nearest("pod_cdir", known), Some("pod_cidr"));
        assert_eq!(nearest("podCIDR", known), Some("pod_cidr"));
        assert_eq!(nearest("machines", known), Some("nodes"));
        assert_eq!(nearest("zone", known), None);
        assert_eq!(nearest("1.16.0", ["v1.16.0", "v1.16.15"]), Some("v1.16.0"));
    }
}
