//! As much of a kubeconfig as a client needs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Whom to dial, and with what.
pub(crate) struct Kubeconfig {
    pub(crate) server: String,
    pub(crate) ca: String,
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Kubeconfig {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wanted = |key: &str| value(text, key).ok_or_else(|| format!("the kubeconfig has no {key}"));
        let decoded = |key: &str| {
            let bytes = STANDARD.decode(wanted(key)?).map_err(|why| format!("{key}: {why}"))?;
            String::from_utf8(bytes).map_err(|why| format!("{key}: {why}"))
        };
        Ok(Self {
            server: wanted("server")?,
            ca: decoded("certificate-authority-data")?,
            certificate: decoded("client-certificate-data")?,
            key: decoded("client-key-data")?,
        })
    }
}

/// The value of the first `key:` of a YAML file, folded (`>-`) or on its line.
pub(crate) fn value(text: &str, key: &str) -> Option<String> {
    let mut lines =
        text.lines().skip_while(|line| !line.trim_start_matches([' ', '-']).starts_with(&format!("{key}:")));
    let first = lines.next()?;
    let value = first.split_once(':')?.1.trim();
    if value != ">-" {
        return Some(value.trim_matches('"').to_owned());
    }
    let indentation = first.len() - first.trim_start_matches([' ', '-']).len();
    let deeper = |line: &&str| line.len() - line.trim_start().len() > indentation;
    Some(lines.take_while(deeper).map(str::trim).collect())
}
