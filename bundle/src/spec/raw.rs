//! Reads a TOML document key by key and collects every error instead of stopping at the first.
//!
//! A serde deserializer stops at its first error; a user who mistyped two keys wants to see both. This
//! reader knows nothing about clusters: `read.rs` says which keys there are, `check.rs` which rules hold
//! between them.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::Range;
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Diagnostic, Severity};

/// Collects errors and warnings while a file is read. A `RefCell`, so that several tables can share it.
#[derive(Default)]
pub(super) struct FaultList(RefCell<Vec<Diagnostic>>);

impl FaultList {
    pub(super) fn add(&self, fault: Diagnostic) {
        self.0.borrow_mut().push(fault);
    }

    pub(super) fn has_errors(&self) -> bool {
        self.0.borrow().iter().any(|fault| fault.severity() == Severity::Error)
    }

    pub(super) fn into_vec(self) -> Vec<Diagnostic> {
        self.0.into_inner()
    }
}

/// One table of the file. It remembers each key that is asked for; [`Table::finish`] reports all others as unknown.
pub(super) struct Table<'a> {
    name: String,
    /// Whether it is an element of an array of tables, written `[[name]]`.
    repeated: bool,
    entries: &'a DeTable<'a>,
    pub(super) span: Range<usize>,
    known: RefCell<BTreeSet<&'static str>>,
    faults: &'a FaultList,
}

impl<'a> Table<'a> {
    pub(super) fn root(entries: &'a Spanned<DeTable<'a>>, faults: &'a FaultList) -> Self {
        Self::new(String::new(), entries.get_ref(), 0..0, faults)
    }

    fn new(name: String, entries: &'a DeTable<'a>, span: Range<usize>, faults: &'a FaultList) -> Self {
        Self { name, repeated: false, entries, span, known: RefCell::default(), faults }
    }

    fn path(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    fn get(&self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known.borrow_mut().insert(key);
        self.entries.get(key)
    }

    /// Adds an error: `value` has the wrong TOML type.
    fn expected(&self, key: &str, value: &Spanned<DeValue<'_>>, what: &str) {
        let got = value.get_ref().type_str();
        self.faults.add(Diagnostic::error(
            value.span(),
            format!("`{}` is not {what}", self.path(key)),
            format!("expected {what}, got {got}"),
        ));
    }

    /// The table's heading as the file writes it, for messages.
    fn place(&self) -> String {
        match (self.name.as_str(), self.repeated) {
            ("", _) => "the file".to_owned(),
            (name, false) => format!("`[{name}]`"),
            (name, true) => format!("`[[{name}]]`"),
        }
    }

    fn missing(&self, key: &str, help: &str) {
        let place = self.place();
        self.faults.add(
            Diagnostic::error(self.span.clone(), format!("missing key `{key}` in {place}"), "add it here").help(help),
        );
    }

    /// A string parsed as `T`. `None` if the key is missing, or if it is invalid, which adds an error.
    pub(super) fn parse<T: FromStr<Err: Display>>(&self, key: &'static str) -> Option<Spanned<T>> {
        let value = self.get(key)?;
        let Some(text) = value.get_ref().as_str() else {
            self.expected(key, value, "a string");
            return None;
        };
        self.parse_text(key, value.span(), text)
    }

    fn parse_text<T: FromStr<Err: Display>>(&self, key: &str, span: Range<usize>, text: &str) -> Option<Spanned<T>> {
        match text.parse() {
            Ok(parsed) => Some(Spanned::new(span, parsed)),
            Err(why) => {
                self.faults.add(Diagnostic::error(
                    span,
                    format!("invalid value `{text}` for `{}`", self.path(key)),
                    format!("{why}"),
                ));
                None
            }
        }
    }

    /// A boolean. `None` if the key is missing, or if it is invalid, which adds an error.
    pub(super) fn flag(&self, key: &'static str) -> Option<bool> {
        let value = self.get(key)?;
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            self.expected(key, value, "`true` or `false`");
        }
        flag
    }

    /// A whole number of at least 1. `None` if the key is missing, or if it is invalid, which adds an error.
    pub(super) fn count(&self, key: &'static str) -> Option<u32> {
        let value = self.get(key)?;
        let number = value.get_ref().as_integer();
        let number = number.and_then(|number| u32::from_str_radix(number.as_str(), number.radix()).ok());
        let number = number.filter(|number| *number > 0);
        if number.is_none() {
            self.expected(key, value, "a whole number of at least 1");
        }
        number
    }

    /// Like [`Self::parse`], but a missing key is an error; `example` is a value that the user could write.
    pub(super) fn require<T: FromStr<Err: Display>>(&self, key: &'static str, example: &str) -> Option<Spanned<T>> {
        if self.get(key).is_none() {
            self.missing(key, &format!("for example `{key} = {example}`"));
        }
        self.parse(key)
    }

    /// Like [`Self::require`], for addresses and networks: their parsers don't say what they expected, so the error
    /// shows `example` instead.
    pub(super) fn require_number<T: FromStr>(&self, key: &'static str, example: &str) -> Option<Spanned<T>> {
        if self.get(key).is_none() {
            self.missing(key, &format!("for example `{key} = \"{example}\"`"));
        }
        self.number(key, example)
    }

    /// Like [`Self::require_number`], but the key may be missing.
    pub(super) fn number<T: FromStr>(&self, key: &'static str, example: &str) -> Option<Spanned<T>> {
        let text = self.parse::<String>(key)?;
        if let Ok(parsed) = text.get_ref().parse() {
            Some(Spanned::new(text.span(), parsed))
        } else {
            let message = format!("invalid value `{}` for `{}`", text.get_ref(), self.path(key));
            self.faults.add(Diagnostic::error(text.span(), message, format!("expected a value such as `{example}`")));
            None
        }
    }

    /// An array of strings, each parsed as `T`; empty if the key is missing. `None` if any element is invalid,
    /// which adds an error for each.
    pub(super) fn list<T: FromStr<Err: Display>>(&self, key: &'static str) -> Option<Vec<Spanned<T>>> {
        let Some(value) = self.get(key) else { return Some(Vec::new()) };
        let Some(elements) = value.get_ref().as_array() else {
            self.expected(key, value, "an array of strings");
            return None;
        };
        let parse = |element: &Spanned<DeValue<'_>>| {
            let Some(text) = element.get_ref().as_str() else {
                self.expected(key, element, "a string");
                return None;
            };
            self.parse_text(key, element.span(), text)
        };
        // Collect before checking, so that every invalid element is reported.
        let parsed: Vec<_> = elements.iter().map(parse).collect();
        parsed.into_iter().collect()
    }

    /// Where the value of `key` is, or `None` if the key is missing.
    pub(super) fn span_of(&self, key: &'static str) -> Option<Range<usize>> {
        self.get(key).map(Spanned::span)
    }

    /// A nested table. `None` if the key is missing, or if it is not a table, which adds an error.
    pub(super) fn table(&self, key: &'static str) -> Option<Table<'a>> {
        let value = self.get(key)?;
        let Some(entries) = value.get_ref().as_table() else {
            self.expected(key, value, "a table");
            return None;
        };
        Some(Table::new(self.path(key), entries, value.span(), self.faults))
    }

    /// Like [`Self::table`], but a missing table is an error.
    pub(super) fn require_table(&self, key: &'static str) -> Option<Table<'a>> {
        if self.get(key).is_none() {
            self.missing(key, &format!("add a table `[{key}]`; `kube-bundle init` writes a file with every key"));
        }
        self.table(key)
    }

    /// An array of tables, written `[[key]]`; empty if the key is missing.
    pub(super) fn tables(&self, key: &'static str) -> Vec<Table<'a>> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let Some(elements) = value.get_ref().as_array() else {
            self.expected(key, value, &format!("an array of tables, written as `[[{key}]]`"));
            return Vec::new();
        };
        let table = |element: &'a Spanned<DeValue<'a>>| {
            if let Some(entries) = element.get_ref().as_table() {
                Some(Table { repeated: true, ..Table::new(key.to_owned(), entries, element.span(), self.faults) })
            } else {
                self.expected(key, element, "a table");
                None
            }
        };
        elements.iter().filter_map(table).collect()
    }

    /// Adds an error for every key that was not asked for, and suggests the known key with the most similar name.
    pub(super) fn finish(self) {
        let known = self.known.borrow();
        for key in self.entries.keys().filter(|key| !known.contains(key.get_ref().as_ref())) {
            let name = key.get_ref().as_ref();
            let place = self.place();
            let help = match nearest(name, &known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => {
                    format!("known keys: {}", known.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", "))
                }
            };
            self.faults.add(
                Diagnostic::error(key.span(), format!("unknown key `{name}` in {place}"), "not a key of this table")
                    .help(help),
            );
        }
    }
}

/// The known key with the smallest edit distance to `name`, if that is at most 2.
fn nearest<'k>(name: &str, known: &BTreeSet<&'k str>) -> Option<&'k str> {
    known
        .iter()
        .map(|key| (strsim::levenshtein(name, key), *key))
        .filter(|(distance, _)| *distance <= 2)
        .min()
        .map(|(_, key)| key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_finds_its_key() {
        let known = BTreeSet::from(["pod_cidr", "service_cidr"]);
        assert_eq!(nearest("pod_cdir", &known), Some("pod_cidr"));
        assert_eq!(nearest("zone", &known), None);
    }
}
