//! What is said of a text that is not TOML: one error for each mistake, however many the parser makes of it.

use std::collections::BTreeSet;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue, Error};

use super::raw::one_pair_of_brackets;
use crate::diagnostic::Diagnostic;

const A_LINE: &str = "a line is `key = \"value\"`, `key = [\"one\", \"another\"]` for a list, a heading such as \
                      `[cluster]`, or a comment behind `#`";
const ANOTHER: &str = "`kube-bundle init` writes a file with every key to start from";

/// An error for a text that is in another language, or in none; TOML's parser would find a mistake in each line.
pub(super) fn another_language(text: &str) -> Option<Diagnostic> {
    let mut lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with('#'));
    let Some(first) = first else {
        let is_empty = text.trim().is_empty();
        let what = if is_empty { "the file is empty" } else { "the file contains nothing but comments" };
        return Some(Diagnostic::error(0..0, what, "expected a table `[cluster]`").help(ANOTHER));
    };
    let at = text.find(first).unwrap_or_default();
    let error = |what: &str, label: &str| {
        let what = format!("the file is {what}; cluster.toml is written in TOML");
        Some(Diagnostic::error(at..at + first.len(), what, label).help(ANOTHER))
    };
    let is_key = |text: &str| text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '"' | '\''));
    if first.starts_with('{') {
        return error("JSON", "JSON begins like this; TOML writes `[cluster]`");
    }
    if first.starts_with('<') {
        return error("XML or HTML", "XML begins like this; TOML writes `[cluster]`");
    }
    let is_pair = first
        .split_once(':')
        .is_some_and(|(key, rest)| !key.is_empty() && is_key(key) && (rest.is_empty() || rest.starts_with(' ')));
    if first == "---" || first.starts_with("- ") || first.starts_with("%YAML") || is_pair {
        return error("YAML", "YAML begins like this; TOML writes `[cluster]`, and `key = \"value\"`");
    }
    None
}

/// Errors about a text, in the order of their places. `repeated` are the tables that are written `[[name]]`.
pub(super) fn errors(text: &str, document: &DeTable<'_>, errors: &[Error], repeated: &[&str]) -> Vec<Diagnostic> {
    let mut errors: Vec<_> = errors.iter().map(|error| (error.span().unwrap_or_default(), error.message())).collect();
    errors.sort_by_key(|(span, _)| span.start);
    let (mut found, mut headings, mut unread, mut last_line) = (Vec::new(), BTreeSet::new(), 0, usize::MAX);
    for (span, message) in errors {
        let (line, here) = line_of(text, span.start);
        if message != "duplicate key" {
            // The first error of a line is the mistake; the parser goes on in its middle.
            if last_line != line {
                found.push(not_toml(text, &span, message));
            }
            last_line = line;
            // What follows an open bracket may belong to it; and whoever writes one key with `:` writes all like that.
            let is_open = here.contains(['[', '{']) || message.contains("array") || message.contains("table");
            if is_open || (here.contains(':') && !here.contains('=')) {
                break;
            }
        } else if let Some(heading) = heading(here) {
            // All keys below a heading that is there twice are duplicates, too.
            unread = next_heading(text, line + here.len());
            if headings.insert(heading.to_owned()) {
                found.push(duplicate_heading(text, line, here, heading, repeated));
            }
        } else if span.start >= unread {
            found.push(duplicate_key(text, document, &span));
        }
    }
    found
}

fn not_toml(text: &str, span: &Range<usize>, message: &str) -> Diagnostic {
    let (line, here) = line_of(text, span.start);
    let seen = text.get(span.clone()).unwrap_or_default().trim();
    let label = match seen.chars().count() {
        0 if span.start >= line + here.trim_end().len() => "the line ends here".to_owned(),
        1..=30 => format!("found `{seen}`"),
        _ => "here".to_owned(),
    };
    let (why, help) = plain(here, message);
    Diagnostic::error(span.clone(), format!("not valid TOML: {why}"), label).help(help)
}

/// What is wrong with a line, and how to write it; by the mistakes that are made most, or else as the parser says it.
fn plain(line: &str, message: &str) -> (String, String) {
    let said = message.trim_end_matches(", expected literal string").to_owned();
    if said.contains("array") {
        return (said, "commas separate the elements of a list, and `]` ends it: `[\"one\", \"another\"]`".to_owned());
    }
    let Some((key, value)) = line.split_once('=').map(|(key, value)| (key.trim(), value.trim())) else {
        return if line.trim_start().starts_with('[') {
            (said, "a heading is written `[name]`, on a line of its own".to_owned())
        } else if line.contains(':') {
            ("expected `=`, got `:`".to_owned(), "TOML writes `key = \"value\"`".to_owned())
        } else {
            (said, A_LINE.to_owned())
        };
    };
    let text = value.trim_matches(['"', '\'', '“', '”', '„', '‘', '’']);
    let whole = format!("write `{key} = \"{text}\"`");
    if value.starts_with(['“', '”', '„', '‘', '’']) {
        return ("these quotes are not straight".to_owned(), whole);
    }
    let quotes = value.matches(['"', '\'']).count();
    if said.ends_with("string, expected `\"`") || (said.starts_with("invalid basic string") && quotes % 2 == 1) {
        let is_alone = value.starts_with(['"', '\'']) && quotes == 1;
        let help = if is_alone { whole } else { "each text stands between two quotes".to_owned() };
        return ("a closing quote is missing".to_owned(), help);
    }
    let is_bare = said.contains("must be quoted") && quotes == 0;
    (said, if is_bare { whole } else { A_LINE.to_owned() })
}

fn duplicate_heading(text: &str, line: usize, here: &str, heading: &str, repeated: &[&str]) -> Diagnostic {
    let place = |line: usize, here: &str| line..line + here.trim_end().len();
    let earlier = lines(text).find(|(_, other)| self::heading(other) == Some(heading));
    // Among those with two pairs of brackets, the one with a single pair is the mistake.
    let is_single = |other: &str| self::heading(other) == Some(heading) && !other.trim_start().starts_with("[[");
    if let Some((line, here)) = lines(text).find(|(_, other)| repeated.contains(&heading) && is_single(other)) {
        return one_pair_of_brackets(heading, place(line, here));
    }
    let error = Diagnostic::error(place(line, here), format!("the table `{heading}` is there twice"), "again here");
    let error = error.help(if repeated.contains(&heading) {
        format!("each begins with `[[{heading}]]`: leave out what else is called `{heading}`")
    } else {
        format!("write all of its keys below one heading `[{heading}]`")
    });
    match earlier {
        Some((earlier, text)) if earlier < line => error.and(place(earlier, text), "first used here"),
        _ => error,
    }
}

fn duplicate_key(text: &str, document: &DeTable<'_>, span: &Range<usize>) -> Diagnostic {
    let key = text.get(span.clone()).unwrap_or_default();
    let mut earlier = None;
    last_before(document, key.trim_matches(['"', '\'']), span.start, &mut earlier);
    let above = lines(text).filter(|(line, here)| *line < span.start && heading(here).is_some()).last();
    let help = match above {
        Some((_, heading)) if heading.trim_start().starts_with("[[") => {
            format!("keep one of them; or, if another one begins here, write `{}` above it", heading.trim())
        }
        _ => "keep one of them".to_owned(),
    };
    let error = Diagnostic::error(span.clone(), format!("the key `{key}` is there twice"), "again here").help(help);
    match earlier {
        Some(earlier) => error.and(earlier, "first used here"),
        None => error,
    }
}

/// Where `key` was last used before `end`, in a table that was still open there.
fn last_before(table: &DeTable<'_>, key: &str, end: usize, found: &mut Option<Range<usize>>) {
    for (name, value) in table {
        let at = name.span();
        if name.get_ref() == key && at.start < end && found.as_ref().is_none_or(|found| found.start < at.start) {
            *found = Some(at);
        }
        last_inside(value, key, end, found);
    }
}

fn last_inside(value: &Spanned<DeValue<'_>>, key: &str, end: usize, found: &mut Option<Range<usize>>) {
    match value.get_ref() {
        // A table in one line that ended before is another table.
        DeValue::Table(table) => {
            let is_inline = table.keys().any(|name| value.span().contains(&name.span().start));
            if !is_inline || value.span().contains(&end) {
                last_before(table, key, end, found);
            }
        }
        DeValue::Array(values) => values.iter().for_each(|value| last_inside(value, key, end, found)),
        _ => {}
    }
}

/// The lines of a text, each with the position of its first byte.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_inclusive('\n').scan(0, |next, line| {
        let start = *next;
        *next += line.len();
        Some((start, line))
    })
}

/// The line that has this position in it.
fn line_of(text: &str, at: usize) -> (usize, &str) {
    lines(text).take_while(|(start, _)| *start <= at).last().unwrap_or_default()
}

/// The name in a line that is a heading, `[name]` or `[[name]]`.
fn heading(line: &str) -> Option<&str> {
    let line = line.split('#').next()?.trim();
    let name = line.strip_prefix('[')?.strip_suffix(']')?;
    let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name).trim();
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    (!name.is_empty() && name.chars().all(is_name)).then_some(name)
}

/// Where the next heading begins.
fn next_heading(text: &str, after: usize) -> usize {
    let next = lines(text).find(|(line, here)| *line >= after && heading(here).is_some());
    next.map_or(text.len(), |(line, _)| line)
}
