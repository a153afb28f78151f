//! JSON as a reviewer reads it: nothing is left out, but long texts are named by their digest, what fits in a line is one
//! line, and what is nearly like an item before it says only where it differs.

use std::collections::BTreeMap;

use kube_bundle::hash::Sha256;
use serde_json::Value;

const WIDTH: usize = 140;

/// Texts of a file are in `texts-master-2.snap`, where they can be read.
const LONGEST_TEXT: usize = 160;

/// Any JSON, whatever its shape.
pub(crate) fn of(json: &Value) -> String {
    let mut text = String::new();
    write(json, 0, &mut text);
    text.trim_start().to_owned()
}

fn scalar(json: &Value) -> String {
    match json {
        Value::String(text) if text.len() > LONGEST_TEXT || text.contains('\n') => {
            format!("({} lines, sha256 {})", text.lines().count(), &Sha256::of(text.as_bytes()).to_string()[..12])
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The whole of it in a line.
fn line(json: &Value) -> String {
    match json {
        Value::Array(items) => format!("[{}]", items.iter().map(line).collect::<Vec<_>>().join(", ")),
        Value::Object(members) => {
            let members: Vec<_> = members.iter().map(|(key, value)| format!("{key}: {}", line(value))).collect();
            format!("{{{}}}", members.join(", "))
        }
        other => scalar(other),
    }
}

/// Writes a value behind its key, on the same line or indented on the next ones.
fn write(json: &Value, depth: usize, text: &mut String) {
    let short = line(json);
    let indent = "  ".repeat(depth);
    if indent.len() + short.len() <= WIDTH {
        *text += &format!(" {short}\n");
        return;
    }
    *text += "\n";
    match json {
        Value::Object(members) => {
            for (key, value) in members {
                *text += &format!("{indent}{key}:");
                write(value, depth + 1, text);
            }
        }
        Value::Array(items) => write_items(items, depth, text),
        _ => *text += &format!("{indent}{short}\n"),
    }
}

fn write_items(items: &[Value], depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    let all: Vec<_> = items.iter().map(leaves).collect();
    for (number, item) in items.iter().enumerate() {
        let differences = |former: &usize| different(&all[*former], &all[number]);
        let like = (0..number).min_by_key(|former| differences(former).len());
        if let Some(like) =
            like.filter(|like| all[number].len() >= 10 && differences(like).len() * 4 <= all[number].len())
        {
            *text += &format!("{indent}- as {}, except:\n", label(&items[like]).unwrap_or_else(|| like.to_string()));
            text.extend(differences(&like).iter().map(|difference| format!("{indent}    {difference}\n")));
        } else {
            let mut own = String::new();
            write(item, depth + 1, &mut own);
            *text += &format!("{indent}- {}", own.trim_start());
        }
    }
}

/// What an item is called.
fn label(item: &Value) -> Option<String> {
    ["path", "name"].iter().find_map(|key| item.get(key)?.as_str().map(str::to_owned))
}

/// Where one item differs from another, by what it has there itself.
fn different(from: &BTreeMap<String, Leaf>, own: &BTreeMap<String, Leaf>) -> Vec<String> {
    let value = |leaves: &BTreeMap<String, Leaf>, place: &str| leaves.get(place).map(|leaf| leaf.value.clone());
    let places = from.keys().chain(own.keys().filter(|place| !from.contains_key(*place)));
    let places = places.filter(|place| value(from, place) != value(own, place));
    places
        .map(|place| match own.get(place) {
            Some(leaf) => format!("{}: {}", leaf.path, leaf.value),
            None => format!("{} is absent", from[place].path),
        })
        .collect()
}

/// A value that holds no other.
struct Leaf {
    /// For people: items of a list are called by their names.
    path: String,
    value: String,
}

/// By their places, where items of a list have numbers.
fn leaves(json: &Value) -> BTreeMap<String, Leaf> {
    fn walk(json: &Value, place: &str, path: &str, found: &mut BTreeMap<String, Leaf>) {
        match json {
            Value::Object(members) if !members.is_empty() => {
                for (key, value) in members {
                    walk(value, &format!("{place}.{key}"), &format!("{path}.{key}"), found);
                }
            }
            Value::Array(items) if !items.is_empty() => {
                for (number, item) in items.iter().enumerate() {
                    let label = label(item).unwrap_or_else(|| number.to_string());
                    walk(item, &format!("{place}[{number:04}]"), &format!("{path}[{label}]"), found);
                }
            }
            other => {
                let leaf = Leaf { path: path.trim_start_matches('.').to_owned(), value: line(other) };
                found.insert(place.to_owned(), leaf);
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(json, "", "", &mut found);
    found
}

#[test]
fn whatever_changes_in_a_value_changes_what_is_said_of_it() {
    fn change_each(json: &Value, tell: &mut dyn FnMut(Value)) {
        match json {
            Value::Object(members) => {
                for (key, value) in members {
                    change_each(value, &mut |changed| {
                        let mut members = members.clone();
                        members.insert(key.clone(), changed);
                        tell(Value::Object(members));
                    });
                }
            }
            Value::Array(items) => {
                for number in 0..items.len() {
                    change_each(&items[number], &mut |changed| {
                        let mut items = items.clone();
                        items[number] = changed;
                        tell(Value::Array(items));
                    });
                }
            }
            other => tell(Value::String(format!("{}x", scalar(other)))),
        }
    }
    let item = |name: &str| {
        let files: Vec<_> = (0..12).map(|number| serde_json::json!({"path": number, "text": "a\nb\nc"})).collect();
        serde_json::json!({"name": name, "files": files})
    };
    let json = serde_json::json!({"version": 1, "long": "x".repeat(200), "nodes": [item("a"), item("b")]});
    let (before, mut count) = (of(&json), 0);
    change_each(&json, &mut |changed| {
        assert_ne!(of(&changed), before);
        count += 1;
    });
    assert!(count > 50);
}
