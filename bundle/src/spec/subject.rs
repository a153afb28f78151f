//! Attributes of X.509 subjects, as texts that a certificate can hold.

use std::str::FromStr;

/// `C` of a subject: an ISO 3166-1 code, two letters.
pub(super) struct Country(pub(super) String);

impl FromStr for Country {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let good = text.len() == 2 && text.chars().all(|c| c.is_ascii_uppercase());
        good.then(|| Self(text.to_owned())).ok_or_else(|| "expected two capital letters (ISO 3166-1)".to_owned())
    }
}

/// `ST` and `L` of a subject: 1 to 64 characters (RFC 5280, appendix A.1), no invisible ones.
pub(super) struct Printable(pub(super) String);

impl FromStr for Printable {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let good = (1..=64).contains(&text.chars().count())
            && !text.chars().any(|character| character.is_control() || is_format(character));
        good.then(|| Self(text.to_owned()))
            .ok_or_else(|| "expected 1 to 64 characters, none of them a control or format character".to_owned())
    }
}

/// Unicode's categories Cf, Zl and Zp: characters that turn the direction of text, break lines, or are not seen.
fn is_format(character: char) -> bool {
    matches!(
        character,
        '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}'
            | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e007f}'
    )
}
