//! Binary data as text between marker lines: PEM (RFC 7468) and what resembles it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// `bytes` between `BEGIN` and `END` lines with this label, `width` characters on each line.
pub(crate) fn encode(label: &str, bytes: &[u8], width: usize) -> String {
    format!("-----BEGIN {label}-----\n{}-----END {label}-----\n", lines(bytes, width))
}

/// Base64 in lines of `width` characters.
pub(crate) fn lines(bytes: &[u8], width: usize) -> String {
    let text = STANDARD.encode(bytes);
    let mut wrapped = String::with_capacity(text.len() + text.len() / width + 1);
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(width.min(rest.len()));
        wrapped.extend([line, "\n"]);
        rest = after;
    }
    wrapped
}

/// The bytes of the first block with this label; `None` if there is none that is whole.
pub(crate) fn decode(label: &str, text: &str) -> Option<Vec<u8>> {
    let (_, rest) = text.split_once(&format!("-----BEGIN {label}-----"))?;
    let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
    bytes(body)
}

/// The bytes that lines of Base64 stand for.
pub(crate) fn bytes(lines: &str) -> Option<Vec<u8>> {
    let text: String = lines.split_ascii_whitespace().collect();
    STANDARD.decode(text).ok()
}
