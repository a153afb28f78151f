//! What was added, removed and changed between two maps, in a form for programs and people.

use std::collections::BTreeMap;

use serde::Serialize;

/// A property that differs. One of the two is `None` where it was added or removed, and both where it can't be shown.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Field {
    pub field: String,
    pub from: Option<String>,
    pub to: Option<String>,
}

/// The differing properties of one thing.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<Field>);

impl Fields {
    /// A property that both have.
    pub(super) fn text<T: ToString + PartialEq>(mut self, field: &str, from: &T, to: &T) -> Self {
        if from != to {
            self.0.push(Field { field: field.to_owned(), from: Some(from.to_string()), to: Some(to.to_string()) });
        }
        self
    }

    /// A property that one of them may lack.
    pub(super) fn optional(mut self, field: &str, from: Option<String>, to: Option<String>) -> Self {
        if from != to {
            self.0.push(Field { field: field.to_owned(), from, to });
        }
        self
    }

    /// A property with several values: one field for each that only one of them has.
    pub(super) fn list(mut self, field: &str, from: &[String], to: &[String]) -> Self {
        let removed = from.iter().filter(|value| !to.contains(value));
        let added = to.iter().filter(|value| !from.contains(value));
        let before = self.0.len();
        let one = |from: Option<&String>, to: Option<&String>| Field {
            field: field.to_owned(),
            from: from.cloned(),
            to: to.cloned(),
        };
        self.0.extend(removed.map(|value| one(Some(value), None)));
        self.0.extend(added.map(|value| one(None, Some(value))));
        if self.0.len() == before && from != to {
            // The same values in another order, or another number of times.
            return self.text(field, &from.join(", "), &to.join(", "));
        }
        self
    }

    pub(super) fn done(self) -> Vec<Field> {
        self.0
    }
}

/// The differences of two maps, by key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    pub added: Vec<String>,
    pub removed: Vec<String>,
    pub changed: BTreeMap<String, Vec<Field>>,
}

impl Changes {
    /// Compares by key; `fields` says how two values of one key differ.
    pub(super) fn between<T: PartialEq>(
        from: &BTreeMap<String, T>,
        to: &BTreeMap<String, T>,
        fields: impl Fn(&T, &T) -> Vec<Field>,
    ) -> Self {
        let missing = |here: &BTreeMap<String, T>, there: &BTreeMap<String, T>| {
            here.keys().filter(|key| !there.contains_key(*key)).cloned().collect()
        };
        let both = from.iter().filter_map(|(key, old)| Some((key, old, to.get(key)?)));
        let differ = both.filter(|(_, old, new)| old != new);
        Self {
            added: missing(to, from),
            removed: missing(from, to),
            changed: differ.map(|(key, old, new)| (key.clone(), fields(old, new))).collect(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}
