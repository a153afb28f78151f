//! Lists of patterns, as `ssh_config(5)` describes them ("PATTERNS").

/// The longest pattern that OpenSSH reads.
const LONGEST: usize = 1023;

/// Whether a list of patterns, separated by commas, takes a name: one of them has to match it, and none with `!` before it.
pub(super) fn is_in_list(name: &str, patterns: &str) -> bool {
    let mut is_taken = false;
    for pattern in patterns.split(',') {
        let (refuses, pattern) = match pattern.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, pattern),
        };
        if pattern.len() > LONGEST || (refuses && matches(pattern.as_bytes(), name.as_bytes())) {
            return false;
        }
        is_taken |= matches(pattern.as_bytes(), name.as_bytes());
    }
    is_taken
}

/// `?` stands for one character, and `*` for any number of them.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match pattern {
        [] => name.is_empty(),
        [b'*', b'*', ..] => matches(&pattern[1..], name),
        [b'*', rest @ ..] => (0..=name.len()).any(|skipped| matches(rest, &name[skipped..])),
        [first, rest @ ..] => {
            name.split_first().is_some_and(|(c, name)| (*first == b'?' || first == c) && matches(rest, name))
        }
    }
}
