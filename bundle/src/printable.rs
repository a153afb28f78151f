//! Text from files, made safe for a terminal: a name in an archive may hold what moves the cursor or forges a line.

use std::borrow::Cow;

/// One line of text with control characters, ends of lines and what changes the direction of writing as `\u{1b}`.
pub fn printable(text: &str) -> Cow<'_, str> {
    escape(text, is_unsafe)
}

/// The same for text of several lines, which may be indented by tabs.
pub fn printable_lines(text: &str) -> Cow<'_, str> {
    escape(text, |c| is_unsafe(c) && !matches!(c, '\n' | '\t'))
}

/// The text of JSON, with the same characters as `\u001b`, which reads back as it was; ends of lines and tabs between
/// values stay.
pub fn printable_json(json: &str) -> Cow<'_, str> {
    let is_unsafe = |c| is_unsafe(c) && !matches!(c, '\n' | '\t');
    if !json.contains(is_unsafe) {
        return Cow::Borrowed(json);
    }
    // All of them have four digits, so none needs a pair of surrogates.
    let escaped = json.chars().map(|c| if is_unsafe(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() });
    Cow::Owned(escaped.collect())
}

fn escape(text: &str, is_unsafe: fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let escaped = text.chars().map(|c| if is_unsafe(c) { c.escape_default().to_string() } else { c.to_string() });
    Cow::Owned(escaped.collect())
}

fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // Direction of writing: marks, embeddings, overrides, isolates.
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            // Separators of lines and paragraphs.
            | '\u{2028}' | '\u{2029}'
            // No width, so two names look the same.
            | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}')
}

/// `error`, `warning` or `hint` before a message, in the colours that rustc and cargo have for them.
pub fn heading(word: &str, colour: bool) -> String {
    let code = match word {
        _ if !colour => return word.to_owned(),
        "error" => "1;91",
        "warning" => "1;93",
        _ => "1;96",
    };
    format!("\u{1b}[{code}m{word}\u{1b}[0m")
}

/// What a part of a result means to its reader. The text says so too: colours are no more than a help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Plain,
    /// A name that is looked for.
    Name,
    /// In order, or added.
    Good,
    /// Worth a look, or changed.
    Notable,
    /// Wrong, or removed.
    Bad,
}

/// Whether results are coloured.
#[derive(Debug, Clone, Copy, Default)]
pub struct Paint(pub bool);

impl Paint {
    /// The text in the colour of its tone. It must be printable already.
    pub fn text(self, text: &str, tone: Tone) -> Cow<'_, str> {
        let code = match tone {
            _ if !self.0 => return Cow::Borrowed(text),
            Tone::Plain => return Cow::Borrowed(text),
            Tone::Name => "1",
            Tone::Good => "32",
            Tone::Notable => "33",
            Tone::Bad => "31",
        };
        Cow::Owned(format!("\u{1b}[{code}m{text}\u{1b}[0m"))
    }
}

/// Lines of at most `columns`, broken at spaces; what goes on is indented by two more. Words that are too long stay whole,
/// so that a path can be copied. Sequences that set a colour take no columns.
pub fn wrapped(text: &str, columns: usize) -> String {
    text.split('\n').map(|line| wrapped_line(line, columns)).collect::<Vec<_>>().join("\n")
}

fn wrapped_line(line: &str, columns: usize) -> String {
    if width(line) <= columns {
        return line.to_owned();
    }
    let indent = line.len() - line.trim_start_matches(' ').len();
    let (mut wrapped, mut column) = (line[..indent].to_owned(), indent);
    // A word and the spaces before it, so that columns of a list keep their distance.
    for word in line[indent..].split_inclusive(' ') {
        let length = width(word.trim_end());
        if column > indent && column + length > columns {
            wrapped.truncate(wrapped.trim_end().len());
            wrapped += &format!("\n{:1$}", "", indent + 2);
            column = indent + 2;
        }
        wrapped += word;
        column += width(word);
    }
    wrapped
}

/// Columns that a text takes, one for each character.
fn width(text: &str) -> usize {
    let mut in_sequence = false;
    let takes_none = |c: char| {
        in_sequence |= c == '\u{1b}';
        let takes_none = in_sequence;
        in_sequence &= c != 'm';
        takes_none
    };
    text.chars().map(takes_none).filter(|takes_none| !takes_none).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_written_out() {
        assert_eq!(
            printable("a\u{1b}[31m\r\nb\u{9b}2J\u{202e}c\u{2028}"),
            "a\\u{1b}[31m\\r\\nb\\u{9b}2J\\u{202e}c\\u{2028}"
        );
        assert_eq!(printable_lines("a\n\tb\u{7f}"), "a\n\tb\\u{7f}");
        assert!(matches!(printable("etc/kubernetes/Straße.yaml"), Cow::Borrowed(_)));
    }

    #[test]
    fn lines_are_broken_at_spaces_and_nowhere_else() {
        let text = "  Next: verify it, then carry it\nshort\n/a/very/long/path/to/a/file";
        assert_eq!(wrapped(text, 20), "  Next: verify it,\n    then carry it\nshort\n/a/very/long/path/to/a/file");
        let coloured = "\u{1b}[32mgreen\u{1b}[0m and more";
        assert_eq!((wrapped(coloured, 14), wrapped(coloured, 13).lines().count()), (coloured.to_owned(), 2));
    }

    #[test]
    fn json_says_the_same_and_no_terminal_obeys_it() {
        let text = "a\u{1b}[31m\u{9b}2J\u{202e}c\u{feff}\u{7f} ß";
        let json = serde_json::to_string_pretty(&[text]).expect("text");
        let safe = printable_json(&json);
        assert_eq!(serde_json::from_str::<[String; 1]>(&safe).expect("JSON"), [text]);
        assert!(!safe.contains(|c| is_unsafe(c) && c != '\n'), "{safe:?}");
    }
}
