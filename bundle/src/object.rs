//! What files of a bundle consist of: runs of objects, which several files share.
//!
//! An object is a sequence of bytes, named by its SHA-256. It is one of three:
//! - the compressed form of a blob, as archives and packages hold it;
//! - a blob as it is;
//! - the literals of one file: everything in it that is neither of these, put together.
//!
//! An artifact that another one carries consists of its own runs there, so a bundle in all formats has each object once.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::hash::{Hasher, Sha256};

/// Bytes that several files may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Object {
    pub sha256: Sha256,
    /// Bytes.
    pub size: u64,
    /// Whether only the owner may read a file with these literals.
    pub secret: bool,
    /// The blob whose compressed form it is, and the size of that, if Deflate gives the blob again.
    pub inflated: Option<(Sha256, u64)>,
}

impl Object {
    /// Something public that is stored as it is.
    pub fn plain(sha256: Sha256, size: u64) -> Self {
        Self { sha256, size, secret: false, inflated: None }
    }
}

/// Consecutive bytes of a file. `O` names an object: the object itself, or its number in a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<u64>", into = "Vec<u64>", bound = "O: TryFrom<u64> + TryInto<u64> + Clone")]
pub enum Run<O> {
    /// So many zero bytes: padding, and what is unused on disks.
    Zeros(u64),
    /// A part of an object, in bytes.
    Part { object: O, offset: u64, length: u64 },
}

impl<O> Run<O> {
    /// Bytes.
    pub fn length(&self) -> u64 {
        match self {
            Self::Zeros(length) | Self::Part { length, .. } => *length,
        }
    }
}

/// As lists have it: a length alone stands for zeros.
impl<O: TryFrom<u64>> TryFrom<Vec<u64>> for Run<O> {
    type Error = &'static str;

    fn try_from(numbers: Vec<u64>) -> Result<Self, Self::Error> {
        match numbers[..] {
            [length] => Ok(Self::Zeros(length)),
            [object, offset, length] => {
                let object = object.try_into().map_err(|_| "a number of an object is too large")?;
                Ok(Self::Part { object, offset, length })
            }
            _ => Err("a run has one number or three"),
        }
    }
}

impl<O: TryInto<u64>> From<Run<O>> for Vec<u64> {
    fn from(run: Run<O>) -> Self {
        match run {
            Run::Zeros(length) => vec![length],
            // A table is in memory, so its numbers fit.
            Run::Part { object, offset, length } => {
                vec![object.try_into().unwrap_or(u64::MAX), offset, length]
            }
        }
    }
}

/// The runs of a whole file, in their order.
pub type Runs = Arc<[Run<Object>]>;

/// Stretches of at least so many zero bytes are no literals; a run takes about twenty bytes in a list.
const MIN_ZEROS: usize = 256;

/// The runs of a file that is being written.
#[derive(Default)]
pub struct Composition {
    /// `None` stands for the literals, whose digest is known at the end.
    runs: Vec<Run<Option<Object>>>,
    literals: Hasher,
}

impl Composition {
    /// Bytes that no other file has.
    pub fn literals(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let zeros = rest.iter().position(|byte| *byte != 0).unwrap_or(rest.len());
            let (zeros, after) = rest.split_at(if zeros < MIN_ZEROS { 0 } else { zeros });
            self.push(Run::Zeros(zeros.len() as u64));
            let (literals, after) = after.split_at(before_zeros(after));
            self.push(Run::Part { object: None, offset: self.literals.length(), length: literals.len() as u64 });
            self.literals.update(literals);
            rest = after;
        }
    }

    /// All of an object.
    pub fn object(&mut self, object: Object) {
        self.push(Run::Part { object: Some(object), offset: 0, length: object.size });
    }

    /// All of a file that was written before.
    pub fn file(&mut self, runs: &[Run<Object>]) {
        for run in runs {
            self.push(match *run {
                Run::Zeros(length) => Run::Zeros(length),
                Run::Part { object, offset, length } => Run::Part { object: Some(object), offset, length },
            });
        }
    }

    /// A run that continues the one before becomes a part of that.
    fn push(&mut self, run: Run<Option<Object>>) {
        match (self.runs.last_mut(), &run) {
            _ if run.length() == 0 => return,
            (Some(Run::Zeros(before)), Run::Zeros(length)) => return *before += length,
            (Some(Run::Part { object: before, offset: at, length: so_far }), Run::Part { object, offset, length })
                if before == object && *at + *so_far == *offset =>
            {
                return *so_far += length;
            }
            _ => {}
        }
        self.runs.push(run);
    }

    /// The runs of the whole file; `secret` says whether only its owner may read it.
    pub fn finish(self, secret: bool) -> Runs {
        let (sha256, size) = self.literals.finish();
        let literals = Object { sha256, size, secret, inflated: None };
        let run = |run: Run<Option<Object>>| match run {
            Run::Zeros(length) => Run::Zeros(length),
            Run::Part { object, offset, length } => Run::Part { object: object.unwrap_or(literals), offset, length },
        };
        self.runs.into_iter().map(run).collect()
    }
}

/// How many bytes come before the first long stretch of zeros that does not begin at once.
fn before_zeros(bytes: &[u8]) -> usize {
    let mut begin = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if *byte != 0 {
            begin = at + 1;
        } else if at + 1 - begin == MIN_ZEROS && begin > 0 {
            return begin;
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Puts the file together again.
    fn bytes(runs: &[Run<Object>], objects: &[&[u8]]) -> Vec<u8> {
        let find =
            |object: &Object| objects.iter().find(|bytes| Sha256::of(bytes) == object.sha256).expect("an object");
        let of = |run: &Run<Object>| match run {
            Run::Zeros(length) => vec![0; usize::try_from(*length).expect("small")],
            Run::Part { object, offset, length } => {
                let range = usize::try_from(*offset).expect("small")..usize::try_from(offset + length).expect("small");
                find(object)[range].to_vec()
            }
        };
        runs.iter().flat_map(of).collect()
    }

    #[test]
    fn runs_put_together_are_the_file() {
        let blob = b"a program";
        for zeros in [0, 1, MIN_ZEROS - 1, MIN_ZEROS, MIN_ZEROS + 1, 5 * MIN_ZEROS] {
            for (before, after) in [(0, 0), (1, 0), (0, 1), (3, 4)] {
                let text = [vec![1; before], vec![0; zeros], vec![2; after]].concat();
                let mut inner = Composition::default();
                inner.literals(&text);
                inner.object(Object::plain(Sha256::of(blob), 9));
                inner.literals(b"end");
                let inner = inner.finish(true);
                let literals =
                    if zeros < MIN_ZEROS { text.clone() } else { [vec![1; before], vec![2; after]].concat() };
                let literals = [&literals[..], b"end"].concat();
                let whole = [&text[..], blob, b"end"].concat();
                assert_eq!(bytes(&inner, &[blob, &literals]), whole);

                let mut outer = Composition::default();
                outer.literals(b"head");
                outer.file(&inner);
                let outer = outer.finish(false);
                assert_eq!(bytes(&outer, &[blob, &literals, b"head"]), [b"head", &whole[..]].concat());
                let secret = |run: &&Run<Object>| matches!(run, Run::Part { object, .. } if object.secret);
                assert!(outer.iter().any(|run| secret(&run)), "what is carried stays secret");
            }
        }
    }

    #[test]
    fn literals_are_one_object_and_neighbours_one_run() {
        let mut file = Composition::default();
        for part in ["a", "b", "c"] {
            file.literals(part.as_bytes());
        }
        let object = Object::plain(Sha256::of(b"abc"), 3);
        assert_eq!(*file.finish(false), [Run::Part { object, offset: 0, length: 3 }]);
    }

    #[test]
    fn zeros_are_stored_nowhere() {
        let mut file = Composition::default();
        file.literals(&[0; 5000]);
        file.literals(&[0; 5000]);
        assert_eq!(*file.finish(false), [Run::Zeros(10000)]);
    }
}
