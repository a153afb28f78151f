//! `export.json`: which objects of a bundle a directory holds.
//!
//! No signature covers it, since a bundle is the same however it is carried. It only says where to look: whatever is found
//! there is compared with lists that can be signed.

use serde::{Deserialize, Serialize};

use crate::hash::Sha256;

/// Name of the file.
pub const EXPORT_LIST: &str = "export.json";
/// What the `format` key says; a reader refuses any other.
const FORMAT: &str = "kube-bundle-export/1";

/// What one directory of an export holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportList {
    format: String,
    /// Of the bundle: SHA-256 of its `SHA256SUMS`.
    pub bundle: Sha256,
    /// Of the bundle whose objects are left out: SHA-256 of its `bundle.index`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub base: Option<Sha256>,
    /// Which part this is, from 1 on; absent if all parts are in one directory.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub part: Option<usize>,
    /// The numbers that objects have in `bundle.index`, by part.
    pub parts: Vec<Vec<usize>>,
}

impl ExportList {
    /// All in one directory.
    pub fn whole(bundle: Sha256, base: Option<Sha256>, objects: Vec<usize>) -> Self {
        Self { format: FORMAT.to_owned(), bundle, base, part: None, parts: vec![objects] }
    }

    /// One of several parts.
    #[must_use]
    pub fn part(&self, part: usize, parts: &[Vec<usize>]) -> Self {
        Self { part: Some(part), parts: parts.to_vec(), ..self.clone() }
    }

    /// Numbers of the objects that are here.
    pub fn held(&self) -> &[usize] {
        self.parts.get(self.part.unwrap_or(1) - 1).map_or(&[], Vec::as_slice)
    }

    /// In which part an object is.
    pub fn part_of(&self, object: usize) -> Option<usize> {
        self.parts.iter().position(|part| part.contains(&object)).map(|index| index + 1)
    }

    /// What it says of its directory, for people.
    pub fn describe(&self) -> String {
        let what = match self.base {
            Some(base) => format!("delta to the bundle whose bundle.index has SHA-256 {base}"),
            None => "thin copy".to_owned(),
        };
        match self.part {
            Some(part) => format!("part {part} of {} of a {what}", self.parts.len()),
            None => what,
        }
    }

    /// The text of `export.json`.
    pub fn to_json(&self) -> String {
        let text = serde_json::to_string(self).unwrap_or_else(|why| unreachable!("string keys only: {why}"));
        text + "\n"
    }

    /// Reads the text; the error says what does not fit.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let list: Self = serde_json::from_slice(text).map_err(|why| why.to_string())?;
        if list.format != FORMAT {
            return Err(format!("its format is `{}`, and this program reads `{FORMAT}`", list.format));
        }
        let is_there = match list.part {
            Some(part) => (1..=list.parts.len()).contains(&part),
            None => list.parts.len() == 1,
        };
        if is_there { Ok(list) } else { Err("it lists other parts than it names".to_owned()) }
    }
}
