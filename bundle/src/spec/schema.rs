//! What `cluster.toml` can hold, as a JSON Schema for editors, and key by key for people.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

/// A JSON Schema (draft 7, which TOML editors read) of `cluster.toml`. What takes a look at several keys is not in it.
pub const SCHEMA: &str = include_str!("schema.json");

/// A key that `cluster.toml` does not have.
#[derive(Debug, thiserror::Error)]
#[error("cluster.toml has no key `{key}`; below `{parent}` are: {}", known.join(", "))]
pub struct UnknownKey {
    key: String,
    /// The longest part of the key that there is; empty for the file itself.
    parent: String,
    known: Vec<String>,
}

/// A key, and what the schema says of it.
#[derive(Debug, Serialize)]
pub struct Explained {
    /// `cluster.toml` for the file itself.
    key: String,
    required: bool,
    schema: Value,
}

impl Explained {
    /// What the key means, what it takes, and its default; of a table, which keys it has.
    pub fn text(&self) -> String {
        describe(&self.key, &self.schema, self.required)
    }
}

/// Looks up a key. The empty key is the whole file.
///
/// # Errors
/// There is no such key.
pub fn explain(key: &str) -> Result<Explained, UnknownKey> {
    let schema = schema();
    let (mut found, mut parent, mut is_required) = (&schema, String::new(), true);
    for name in key.split('.').filter(|name| !name.is_empty()) {
        let table = table_of(found);
        let Some(next) = table.get("properties").and_then(|keys| keys.get(name)) else {
            let known = keys(table).map(|(name, _)| name.to_owned()).collect();
            return Err(UnknownKey { key: key.to_owned(), parent: or_file(&parent).to_owned(), known });
        };
        is_required = requires(table, name);
        parent = if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") };
        found = next;
    }
    Ok(Explained { key: or_file(&parent).to_owned(), required: is_required, schema: found.clone() })
}

/// Every key with the first sentence that describes it; those of tables behind the tables.
pub fn all_keys() -> Vec<(String, String)> {
    let schema = schema();
    let mut all = Vec::new();
    add_keys("", &schema, &mut all);
    all
}

fn add_keys(parent: &str, value: &Value, all: &mut Vec<(String, String)>) {
    for (name, value) in keys(table_of(value)) {
        let key = if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") };
        all.push((key.clone(), first_sentence(value).to_owned()));
        add_keys(&key, value, all);
    }
}

fn schema() -> Value {
    serde_json::from_str(SCHEMA).unwrap_or_else(|why| unreachable!("the schema is part of the program: {why}"))
}

fn first_sentence(value: &Value) -> &str {
    text_of(value, "description").split(". ").next().unwrap_or_default().trim_end_matches('.')
}

fn or_file(key: &str) -> &str {
    if key.is_empty() { "cluster.toml" } else { key }
}

/// The table itself, or the one that an array of tables repeats.
fn table_of(value: &Value) -> &Value {
    value.get("items").filter(|items| items.get("properties").is_some()).unwrap_or(value)
}

fn keys(table: &Value) -> impl Iterator<Item = (&str, &Value)> {
    table.get("properties").and_then(Value::as_object).into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

fn requires(table: &Value, name: &str) -> bool {
    table.get("required").and_then(Value::as_array).is_some_and(|names| names.iter().any(|it| it == name))
}

fn text_of<'v>(value: &'v Value, field: &str) -> &'v str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn describe(key: &str, value: &Value, is_required: bool) -> String {
    let mut text = format!("{key}: {}", kind(value));
    // Writing to a string can't fail.
    let _ = match value.get("default") {
        Some(default) => writeln!(text, ", default {default}"),
        None if is_required => writeln!(text, ", required"),
        None => writeln!(text, ", optional"),
    };
    wrap(&mut text, text_of(value, "description"));
    let table = table_of(value);
    for (name, value) in keys(table) {
        let mark = if requires(table, name) { " (required)" } else { "" };
        let _ = writeln!(text, "\n  {name}{mark}");
        wrap(&mut text, first_sentence(value));
    }
    if let Some(example) = value.get("examples").and_then(|examples| examples.get(0)) {
        let _ = writeln!(text, "\n  Example: {} = {example}", key.rsplit('.').next().unwrap_or(key));
    }
    text
}

/// What values it takes, in the words of TOML.
fn kind(value: &Value) -> String {
    if let Some(values) = value.get("enum").and_then(Value::as_array) {
        return values.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ");
    }
    match text_of(value, "type") {
        "object" => "table".to_owned(),
        "array" if table_of(value) != value => "array of tables".to_owned(),
        "array" => format!("array of {}", kind(value.get("items").unwrap_or(&Value::Null))),
        other => other.to_owned(),
    }
}

/// Adds a paragraph of at most 76 columns, indented.
fn wrap(text: &mut String, paragraph: &str) {
    let mut column = 0;
    for word in paragraph.split(' ').filter(|word| !word.is_empty()) {
        let length = word.chars().count();
        let separator = match column {
            0 => "    ",
            _ if column + 1 + length > 72 => "\n    ",
            _ => " ",
        };
        column = if separator == " " { column + 1 + length } else { length };
        text.push_str(separator);
        text.push_str(word);
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_explained_and_a_wrong_one_names_the_right_ones() {
        let explain = |key: &str| explain(key).map(|found| found.text());
        assert!(explain("nodes.roles").is_ok_and(|text| text.starts_with("nodes.roles: array of string, required\n")));
        assert!(explain("pki.key").is_ok_and(|text| text.contains("\"ecdsa-p256\", default \"rsa-2048\"\n")));
        assert!(explain("").is_ok_and(|text| text.contains("\n  cluster (required)\n")));
        let wrong = explain("dns.adress").map_err(|why| why.to_string());
        assert_eq!(wrong, Err("cluster.toml has no key `dns.adress`; below `dns` are: address, upstream".to_owned()));
    }
}
