//! `allowed_signers`, as ssh-keygen(1) reads it ("ALLOWED SIGNERS"), and lists of revoked keys.

use time::{Date, OffsetDateTime, PrimitiveDateTime, Time};

use super::PRINCIPAL;
use super::pattern::is_in_list;
use crate::sign::{PublicKey, Purpose};

/// A key that is allowed to sign, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AllowedSigner {
    pub(super) key: PublicKey,
    pub(super) purposes: Vec<Purpose>,
    pub(super) valid_after: Option<OffsetDateTime>,
    pub(super) valid_before: Option<OffsetDateTime>,
}

/// The Ed25519 keys that may sign something of a bundle; others in the list are for other purposes or programs.
///
/// # Errors
/// The first line that can't be understood, since it may be the one that forbids a key.
pub(super) fn parse(text: &str) -> Result<Vec<AllowedSigner>, String> {
    let mut signers = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let signer = signer(line).map_err(|why| format!("line {}: {why}", index + 1))?;
        signers.extend(signer);
    }
    Ok(signers)
}

/// `PRINCIPALS [OPTIONS] ALGORITHM KEY [COMMENT]`; `None` if the key is not for bundles.
fn signer(line: &str) -> Result<Option<AllowedSigner>, String> {
    let (principals, rest) = line.split_once(char::is_whitespace).ok_or("expected a name, options and a key")?;
    if principals.contains('"') {
        return Err("names in quotes are read by ssh-keygen alone".to_owned());
    }
    if !is_in_list(PRINCIPAL, principals) {
        return Ok(None);
    }
    let rest = rest.trim_start();
    let (options, key) = if is_algorithm(rest) { ("", rest) } else { split_options(rest)? };
    let (mut valid_after, mut valid_before, mut purposes) = (None, None, Purpose::ALL.to_vec());
    for option in options_of(options) {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let unquoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        let value = || unquoted.ok_or_else(|| format!("expected {name}=\"…\""));
        match name.to_ascii_lowercase().as_str() {
            "namespaces" => {
                let patterns = value()?;
                purposes.retain(|purpose| is_in_list(purpose.as_str(), patterns));
            }
            "valid-after" => valid_after = Some(instant(value()?)?),
            "valid-before" => valid_before = Some(instant(value()?)?),
            "cert-authority" => return Err("`cert-authority` is read by ssh-keygen alone".to_owned()),
            _ => return Err(format!("unknown option `{name}`")),
        }
    }
    if purposes.is_empty() || !key.starts_with("ssh-ed25519 ") {
        return Ok(None);
    }
    let key = PublicKey::from_ssh_line(key).ok_or("the key can't be read")?;
    Ok(Some(AllowedSigner { key, purposes, valid_after, valid_before }))
}

fn is_algorithm(text: &str) -> bool {
    ["ssh-", "ecdsa-", "sk-"].iter().any(|prefix| text.starts_with(prefix))
}

/// Cuts behind the options, which end at the first blank outside quotes.
fn split_options(text: &str) -> Result<(&str, &str), String> {
    let mut quoted = false;
    let end = text.find(|c: char| {
        quoted ^= c == '"';
        c.is_whitespace() && !quoted
    });
    let (options, key) = text.split_at(end.ok_or("there is no key")?);
    Ok((options, key.trim_start()))
}

/// Options are separated by commas outside quotes.
fn options_of(text: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let parts = text.split(move |c: char| {
        quoted ^= c == '"';
        c == ',' && !quoted
    });
    parts.filter(|part| !part.is_empty())
}

/// `YYYYMMDD[HHMM[SS]]`, with or without a `Z`: always taken as UTC, since a machine's time zone must not decide.
fn instant(text: &str) -> Result<OffsetDateTime, String> {
    let digits = text.strip_suffix('Z').unwrap_or(text);
    let read = || {
        let number = |range: std::ops::Range<usize>| digits.get(range)?.parse::<u16>().ok();
        let part = |range: std::ops::Range<usize>| u8::try_from(number(range)?).ok();
        let month = time::Month::try_from(part(4..6)?).ok()?;
        let date = Date::from_calendar_date(number(0..4)?.into(), month, part(6..8)?).ok()?;
        let (hour, minute, second) = match digits.len() {
            8 => (0, 0, 0),
            12 => (part(8..10)?, part(10..12)?, 0),
            14 => (part(8..10)?, part(10..12)?, part(12..14)?),
            _ => return None,
        };
        Some(PrimitiveDateTime::new(date, Time::from_hms(hour, minute, second).ok()?).assume_utc())
    };
    let is_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    is_digits.then(read).flatten().ok_or_else(|| format!("`{text}` is no date such as 20271231Z"))
}

/// A list of revoked public keys, one on each line.
///
/// # Errors
/// A line that is none; above all ssh-keygen's own binary format of such lists.
pub(super) fn parse_revoked(text: &str) -> Result<Vec<PublicKey>, String> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let key = |(number, line): (usize, &str)| match PublicKey::from_ssh_line(line) {
        Some(key) => Ok(Some(key)),
        None if is_algorithm(line) && !line.starts_with("ssh-ed25519 ") => Ok(None),
        None => Err(format!("line {number}: expected a public key, as in a .pub file")),
    };
    lines.map(key).filter_map(Result::transpose).collect()
}
