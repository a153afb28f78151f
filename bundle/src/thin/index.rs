//! `bundle.index`: of which objects each file of a bundle consists.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::hash::Sha256;
use crate::manifest::{MANIFEST, OBJECT_INDEX, OBJECT_SUMS, SUMS, is_signature};
use crate::object::{Object, Run};
use crate::out::WrittenFile;
use crate::regular::is_relative;
use crate::target::Mode;

/// What the `format` key says; a reader refuses any other.
const FORMAT: &str = "kube-bundle-index/1";

/// Bytes of a file; what is larger, `verify` does not read either.
const LARGEST_FILE: u64 = crate::inspect::LARGEST_CONTENT;

/// All files that were built before it, and their objects. What [`Index::parse`] returns is consistent: each run lies in its
/// object, and the runs of a file are as long as the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    format: String,
    objects: Vec<IndexedObject>,
    files: BTreeMap<String, IndexedFile>,
}

/// One object. The others name it by its place in the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexedObject {
    pub sha256: Sha256,
    /// Bytes.
    pub size: u64,
    /// Whether it consists of literals of a file that only its owner may read.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub secret: bool,
    /// The object whose Deflate blocks are this one compressed. It is not carried then, but made from that.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub inflated_from: Option<usize>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexedFile {
    pub mode: Mode,
    /// Bytes.
    pub size: u64,
    pub sha256: Sha256,
    pub runs: Vec<Run<usize>>,
}

/// Where an object lies in a bundle or in a thin copy, as a path.
pub fn object_path(sha256: Sha256) -> String {
    let name = sha256.to_string();
    format!("pieces/{}/{name}", &name[..2])
}

impl Index {
    /// Of files by their paths.
    pub fn of<'w>(files: impl Iterator<Item = (&'w String, &'w WrittenFile)> + Clone) -> Self {
        let mut objects: BTreeMap<Sha256, Object> = BTreeMap::new();
        for run in files.clone().flat_map(|(_, file)| file.runs().iter()) {
            let Run::Part { object, .. } = run else { continue };
            let known = objects.entry(object.sha256).or_insert(*object);
            // What lies in a file that everybody may read is no secret in another.
            known.secret &= object.secret;
            known.inflated = known.inflated.or(object.inflated);
        }
        let numbers: BTreeMap<_, _> = objects.keys().enumerate().map(|(number, sha256)| (*sha256, number)).collect();
        let compressed: BTreeMap<_, _> =
            objects.values().filter_map(|it| Some((it.inflated?.0, numbers[&it.sha256]))).collect();
        let object = |object: &Object| IndexedObject {
            sha256: object.sha256,
            size: object.size,
            secret: object.secret,
            inflated_from: compressed.get(&object.sha256).copied(),
        };
        let run = |run: &Run<Object>| match *run {
            Run::Zeros(length) => Run::Zeros(length),
            Run::Part { object, offset, length } => Run::Part { object: numbers[&object.sha256], offset, length },
        };
        let file = |(path, file): (&String, &WrittenFile)| {
            let runs = file.runs().iter().map(run).collect();
            (path.clone(), IndexedFile { mode: file.mode(), size: file.size(), sha256: file.sha256(), runs })
        };
        Self {
            format: FORMAT.to_owned(),
            objects: objects.values().map(object).collect(),
            files: files.map(file).collect(),
        }
    }

    /// The text of `bundle.index`.
    pub fn to_json(&self) -> String {
        let text = serde_json::to_string(self).unwrap_or_else(|why| unreachable!("string keys only: {why}"));
        text + "\n"
    }

    /// The text of `pieces.SHA256SUMS`.
    pub fn sums(&self) -> String {
        let line =
            |(_, object): (usize, &IndexedObject)| format!("{}  {}\n", object.sha256, object_path(object.sha256));
        self.carried().map(line).collect()
    }

    /// Objects with their numbers, but for those that are made from others.
    pub fn carried(&self) -> impl Iterator<Item = (usize, &IndexedObject)> {
        self.objects.iter().enumerate().filter(|(_, object)| object.inflated_from.is_none())
    }

    /// All objects, in the order of their numbers.
    pub fn objects(&self) -> &[IndexedObject] {
        &self.objects
    }

    /// Files by path.
    pub fn files(&self) -> &BTreeMap<String, IndexedFile> {
        &self.files
    }

    /// Reads the text of an index; the error says what does not fit.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let index: Self = serde_json::from_slice(text).map_err(|why| why.to_string())?;
        if index.format != FORMAT {
            return Err(format!("its format is `{}`, and this program reads `{FORMAT}`", index.format));
        }
        for (number, object) in index.objects.iter().enumerate() {
            let whole = |from: usize| index.objects.get(from).is_some_and(|from| from.inflated_from.is_none());
            if object.inflated_from.is_some_and(|from| !whole(from)) {
                return Err(format!("object {number} is made from one that is not carried"));
            }
        }
        index.files.iter().try_for_each(|(path, file)| index.check_file(path, file))?;
        Ok(index)
    }

    fn check_file(&self, path: &str, file: &IndexedFile) -> Result<(), String> {
        let is_list = [SUMS, MANIFEST, OBJECT_INDEX, OBJECT_SUMS].contains(&path) || is_signature(path);
        if is_list || !is_relative(path) {
            return Err(format!("`{path}` is no name of such a file"));
        }
        if !file.mode.is_of_output() {
            return Err(format!("`{path}` has the mode {}, which no build gives", file.mode));
        }
        if file.size > LARGEST_FILE {
            return Err(format!("`{path}` has {} bytes, and no build writes more than {LARGEST_FILE}", file.size));
        }
        let lies_in = |run: &Run<usize>| match *run {
            Run::Zeros(_) => true,
            Run::Part { object, offset, length } => {
                let size = self.objects.get(object).map_or(0, |object| object.size);
                offset.checked_add(length).is_some_and(|end| end <= size)
            }
        };
        let length = file.runs.iter().try_fold(0u64, |sum, run| sum.checked_add(run.length()));
        if file.runs.iter().all(lies_in) && length == Some(file.size) {
            Ok(())
        } else {
            Err(format!("`{path}` does not consist of what it lists"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One file of two objects, and zeros.
    fn index(path: &str, change: impl Fn(&str) -> String) -> Result<Index, String> {
        let digest = Sha256::of(b"");
        let text = format!(
            r#"{{"format":"{FORMAT}","objects":[{{"sha256":"{digest}","size":9}},{{"sha256":"{digest}","size":40,"inflated_from":0}}],
            "files":{{"{path}":{{"mode":"0644","size":12,"sha256":"{digest}","runs":[[0,1,3],[5],[1,36,4]]}}}}}}"#
        );
        Index::parse(change(&text).as_bytes())
    }

    #[test]
    fn a_consistent_index_reads_and_is_written_again() {
        let read = index("deb/a.deb", str::to_owned).expect("consistent");
        assert_eq!(Index::parse(read.to_json().as_bytes()), Ok(read.clone()));
        let object = Sha256::of(b"");
        assert_eq!(read.sums(), format!("{object}  pieces/e3/{object}\n"), "what is made from another is not carried");
    }

    #[test]
    fn an_index_that_leads_elsewhere_is_refused() {
        for path in
            ["../a", "/a", "a//b", "a/./b", "a/..", "", "SHA256SUMS", "manifest.json", "bundle.index", "deb/InRelease"]
        {
            assert!(index(path, str::to_owned).is_err(), "{path}");
        }
        for (from, to) in [
            ("[0,1,3]", "[0,7,3]"),
            ("[0,1,3]", "[0,18446744073709551615,3]"),
            ("[0,1,3]", "[2,1,3]"),
            ("[0,1,3]", "[0,1,2]"),
            ("[5]", "[5,1]"),
            ("[5]", "[18446744073709551615]"),
            (
                "\"size\":12,\"sha256\":\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\",\"runs\":[[0,1,3],[5]",
                "\"size\":9000000000007,\"sha256\":\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\",\"runs\":[[0,1,3],[9000000000000]",
            ),
            ("\"0644\"", "\"4755\""),
            ("\"0644\"", "\"0666\""),
            ("\"inflated_from\":0", "\"inflated_from\":1"),
            ("\"inflated_from\":0", "\"inflated_from\":2"),
            (FORMAT, "kube-bundle-index/2"),
        ] {
            let change = |text: &str| {
                assert!(text.contains(from), "{from}");
                text.replace(from, to)
            };
            assert!(index("a", change).is_err(), "{from} -> {to}");
        }
    }
}
