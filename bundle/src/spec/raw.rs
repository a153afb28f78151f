//! Reads a TOML document key by key and collects every error instead of stopping at the first.
//!
//! A serde deserializer stops at its first error; a user who mistyped two keys wants to see both. This
//! reader knows nothing about clusters: `read.rs` says which keys there are, `check.rs` which rules hold
//! between them.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::PathBuf;
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::bad_value::BadValue;
use super::similar::nearest;
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
    /// Required keys that are not there, each with a help.
    lacking: RefCell<Vec<(&'static str, String)>>,
    faults: &'a FaultList,
}

impl<'a> Table<'a> {
    pub(super) fn root(entries: &'a Spanned<DeTable<'a>>, faults: &'a FaultList) -> Self {
        Self::new(String::new(), entries.get_ref(), 0..0, faults)
    }

    fn new(name: String, entries: &'a DeTable<'a>, span: Range<usize>, faults: &'a FaultList) -> Self {
        let (known, lacking) = (RefCell::default(), RefCell::default());
        Self { name, repeated: false, entries, span, known, lacking, faults }
    }

    fn path(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    fn get(&self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known.borrow_mut().insert(key);
        self.entries.get(key)
    }

    /// Adds an error: `value` has the wrong TOML type; `help` says how to write it.
    fn expected(&self, key: &str, value: &Spanned<DeValue<'_>>, what: &str, help: Option<String>) {
        let got = value.get_ref().type_str();
        let error = Diagnostic::error(
            value.span(),
            format!("`{}` is not {what}", self.path(key)),
            format!("expected {what}, got {got}"),
        );
        self.faults.add(match help {
            Some(help) => error.help(help),
            None => error,
        });
    }

    /// The table's heading as the file writes it, for messages.
    fn place(&self) -> String {
        match (self.name.as_str(), self.repeated) {
            ("", _) => "the file".to_owned(),
            (name, false) => format!("`[{name}]`"),
            (name, true) => format!("`[[{name}]]`"),
        }
    }

    /// Remembers that a required key is not there. [`Table::finish`] reports it, unless it was misspelt.
    fn missing(&self, key: &'static str, help: String) {
        self.lacking.borrow_mut().push((key, help));
    }

    /// A string parsed as `T`. `None` if the key is missing, or if it is invalid, which adds an error.
    pub(super) fn parse<T: FromStr<Err: Into<BadValue>>>(&self, key: &'static str) -> Option<Spanned<T>> {
        let value = self.get(key)?;
        let Some(text) = value.get_ref().as_str() else {
            self.expected(key, value, "a string", quoted(key, value.get_ref()));
            return None;
        };
        self.parse_text(key, value.span(), text)
    }

    fn parse_text<T: FromStr<Err: Into<BadValue>>>(
        &self,
        key: &str,
        span: Range<usize>,
        text: &str,
    ) -> Option<Spanned<T>> {
        match text.parse() {
            Ok(parsed) => Some(Spanned::new(span, parsed)),
            Err(why) => {
                let (why, message): (BadValue, _) =
                    (why.into(), format!("invalid value `{text}` for `{}`", self.path(key)));
                let error = Diagnostic::error(span, message, why.to_string());
                let listed = why.to_string();
                // What stands in quotes is what could be written.
                let near = nearest(text, listed.split('`').skip(1).step_by(2));
                self.faults.add(match (why.way_out(), near) {
                    (Some(help), _) => error.help(help),
                    (None, Some(near)) => error.help(format!("did you mean `{near}`?")),
                    (None, None) => error,
                });
                None
            }
        }
    }

    /// A boolean. `None` if the key is missing, or if it is invalid, which adds an error.
    pub(super) fn flag(&self, key: &'static str) -> Option<bool> {
        let value = self.get(key)?;
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            self.expected(key, value, "`true` or `false`", Some(format!("write `{key} = true`, without quotes")));
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
            self.expected(key, value, "a whole number of at least 1", Some(format!("for example `{key} = 1`")));
        }
        number
    }

    /// Like [`Self::parse`], but a missing key is an error; `example` is a value that the user could write.
    pub(super) fn require<T: FromStr<Err: Into<BadValue>>>(
        &self,
        key: &'static str,
        example: &str,
    ) -> Option<Spanned<T>> {
        if self.get(key).is_none() {
            self.missing(key, format!("for example `{key} = {example}`"));
        }
        self.parse(key)
    }

    /// An array of strings, each parsed as `T`; empty if the key is missing. `None` if any element is invalid,
    /// which adds an error for each.
    pub(super) fn list<T: FromStr<Err: Into<BadValue>>>(&self, key: &'static str) -> Option<Vec<Spanned<T>>> {
        let Some(value) = self.get(key) else { return Some(Vec::new()) };
        let Some(elements) = value.get_ref().as_array() else {
            let help = value.get_ref().as_str().map(|text| format!("write `{key} = [\"{text}\"]`"));
            self.expected(key, value, "an array of strings", help);
            return None;
        };
        let parse = |element: &Spanned<DeValue<'_>>| {
            let Some(text) = element.get_ref().as_str() else {
                self.expected(key, element, "a string", None);
                return None;
            };
            self.parse_text(key, element.span(), text)
        };
        // Collect before checking, so that every invalid element is reported.
        let parsed: Vec<_> = elements.iter().map(parse).collect();
        parsed.into_iter().collect()
    }

    /// Paths that must be set together. `None` if none is set, or only some are, which adds an error.
    pub(super) fn together<const N: usize>(&self, keys: [&'static str; N]) -> Option<[PathBuf; N]> {
        let values = keys.map(|key| self.parse::<PathBuf>(key));
        let given: Vec<_> = values.iter().flatten().collect();
        if let (Some(first), true) = (given.first(), given.len() < N) {
            let names = keys.map(|key| format!("`{key}`")).join(", ");
            self.faults.add(
                Diagnostic::error(first.span(), format!("{names} must be set together"), "only some are set")
                    .help(format!("set all of {names}, or none")),
            );
        }
        let paths: Option<Vec<PathBuf>> = values.into_iter().map(|value| value.map(Spanned::into_inner)).collect();
        paths?.try_into().ok()
    }

    /// Where the value of `key` is, or `None` if the key is missing.
    pub(super) fn span_of(&self, key: &'static str) -> Option<Range<usize>> {
        self.get(key).map(Spanned::span)
    }

    /// A nested table. `None` if the key is missing, or if it is not a table, which adds an error.
    pub(super) fn table(&self, key: &'static str) -> Option<Table<'a>> {
        let value = self.get(key)?;
        let Some(entries) = value.get_ref().as_table() else {
            let heading = format!("write `[{}]`, with one pair of brackets", self.path(key));
            self.expected(key, value, "a table", value.get_ref().as_array().map(|_| heading));
            return None;
        };
        Some(Table::new(self.path(key), entries, value.span(), self.faults))
    }

    /// Like [`Self::table`], but a missing table is an error.
    pub(super) fn require_table(&self, key: &'static str) -> Option<Table<'a>> {
        if self.get(key).is_none() {
            self.missing(key, format!("add a table `[{key}]`; `kube-bundle init` writes a file with every key"));
        }
        self.table(key)
    }

    /// An array of tables, written `[[key]]`; empty if the key is missing. `None` if it is something else, which adds an
    /// error.
    pub(super) fn tables(&self, key: &'static str) -> Option<Vec<Table<'a>>> {
        let Some(value) = self.get(key) else { return Some(Vec::new()) };
        let Some(elements) = value.get_ref().as_array() else {
            match value.get_ref() {
                DeValue::Table(_) => self.faults.add(one_pair_of_brackets(key, value.span())),
                _ => self.expected(key, value, &format!("an array of tables, written as `[[{key}]]`"), None),
            }
            return None;
        };
        let table = |element: &'a Spanned<DeValue<'a>>| {
            if let Some(entries) = element.get_ref().as_table() {
                Some(Table { repeated: true, ..Table::new(key.to_owned(), entries, element.span(), self.faults) })
            } else {
                self.expected(key, element, "a table", Some(format!("write `[[{key}]]`, and its keys below")));
                None
            }
        };
        elements.iter().map(table).collect()
    }

    /// Adds an error for every key that was not asked for, and suggests the known key with the most similar name; then one
    /// for every required key that is not there. Returns the keys that were misspelt: that they are not there is no mistake
    /// of its own.
    pub(super) fn finish(self) -> BTreeSet<&'static str> {
        let (known, place, mut misspelt) = (self.known.borrow(), self.place(), BTreeSet::new());
        for key in self.entries.keys().filter(|key| !known.contains(key.get_ref().as_ref())) {
            let name = key.get_ref().as_ref();
            let near = nearest(name, known.iter().copied());
            let help = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => {
                    format!("known keys: {}", known.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", "))
                }
            };
            misspelt.extend(near.filter(|near| self.entries.get(*near).is_none()));
            self.faults.add(
                Diagnostic::error(key.span(), format!("unknown key `{name}` in {place}"), "not a key of this table")
                    .help(help),
            );
        }
        for (key, help) in self.lacking.take().into_iter().filter(|(key, _)| !misspelt.contains(key)) {
            let message = format!("missing key `{key}` in {place}");
            self.faults.add(Diagnostic::error(self.span.clone(), message, "add it here").help(help));
        }
        misspelt
    }
}

/// How to write a value that is not in quotes, and should be.
fn quoted(key: &str, value: &DeValue<'_>) -> Option<String> {
    let is_bare = matches!(value, DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_));
    is_bare.then(|| format!("a text stands between quotes: `{key} = \"…\"`"))
}

/// The error about an array of tables that is written like a single table.
pub(super) fn one_pair_of_brackets(key: &str, span: Range<usize>) -> Diagnostic {
    Diagnostic::error(span, format!("`[{key}]` has one pair of brackets, and needs two"), format!("write `[[{key}]]`"))
        .help(format!("there can be several: each of them begins with a line `[[{key}]]`"))
}
