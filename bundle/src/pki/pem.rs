//! Cutting a PEM text (RFC 7468) into its blocks, since people keep several things in one file.

/// The blocks whose label ends with `label`, each from its first marker line to its last.
pub(super) fn blocks<'t>(text: &'t str, label: &str) -> Vec<&'t str> {
    let (mut found, mut rest) = (Vec::new(), text);
    while let Some(start) = rest.find("-----BEGIN ") {
        rest = &rest[start..];
        let Some(end) = rest.find("-----END ") else { break };
        let tail = rest[end..].lines().next().unwrap_or_default().len();
        let (block, after) = rest.split_at(end + tail);
        let head = block.lines().next().unwrap_or_default().trim_end();
        if head.ends_with(&format!("{label}-----")) {
            found.push(block);
        }
        rest = after;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_block_is_found_by_its_label() {
        let text = "x\n-----BEGIN EC PARAMETERS-----\nA\n-----END EC PARAMETERS-----\n-----BEGIN EC PRIVATE KEY-----\nB\n-----END EC PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----\nC";
        assert_eq!(blocks(text, "PRIVATE KEY"), ["-----BEGIN EC PRIVATE KEY-----\nB\n-----END EC PRIVATE KEY-----"]);
        assert!(blocks(text, "CERTIFICATE").is_empty(), "a block without an end is none");
    }
}
