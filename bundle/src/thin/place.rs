//! Where objects lie: in files of their own, or in pieces all over the files of a bundle.

use std::collections::BTreeMap;

use super::export_list::ExportList;
use super::index::{Index, object_path};
use crate::hash::Sha256;
use crate::object::Run;

/// Where the bytes of one object lie, all in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Path in the directory.
    pub file: String,
    /// Offset in the file and length of each stretch, in the order of the object.
    pub stretches: Vec<(u64, u64)>,
    /// Bytes of all stretches.
    pub size: u64,
}

impl Place {
    /// The stretches that hold `length` bytes of the object from `offset` on.
    pub fn part(&self, offset: u64, length: u64) -> impl Iterator<Item = (u64, u64)> {
        let (mut begin, end) = (0, offset + length);
        self.stretches.iter().filter_map(move |(at, count)| {
            let (from, to) = (offset.max(begin), end.min(begin + count));
            let stretch = (from < to).then(|| (at + from - begin, to - from));
            begin += count;
            stretch
        })
    }
}

/// The objects that a directory holds: those of its list, or, without one, all of a bundle.
pub(super) fn places(index: &Index, export: Option<&ExportList>) -> BTreeMap<Sha256, Place> {
    let Some(export) = export else { return in_files(index) };
    let held = export.held().iter().filter_map(|number| index.objects().get(*number));
    let place = |size, sha256| Place { file: object_path(sha256), stretches: vec![(0, size)], size };
    held.map(|object| (object.sha256, place(object.size, object.sha256))).collect()
}

/// Of each object the first file that has all of it, in order.
fn in_files(index: &Index) -> BTreeMap<Sha256, Place> {
    let mut places = BTreeMap::new();
    for (path, file) in index.files() {
        let (mut here, mut at): (BTreeMap<usize, Place>, u64) = (BTreeMap::new(), 0);
        for run in &file.runs {
            if let Run::Part { object, offset, length } = *run {
                let new = || Place { file: path.clone(), stretches: Vec::new(), size: 0 };
                let place = here.entry(object).or_insert_with(new);
                if place.size == offset {
                    place.stretches.push((at, length));
                    place.size += length;
                }
            }
            at += run.length();
        }
        for (number, place) in here {
            let object = &index.objects()[number];
            if place.size == object.size {
                places.entry(object.sha256).or_insert(place);
            }
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_an_object_is_found_in_its_stretches() {
        let place = Place { file: String::new(), stretches: vec![(100, 10), (200, 5), (300, 20)], size: 35 };
        let part = |offset, length| place.part(offset, length).collect::<Vec<_>>();
        assert_eq!(part(0, 35), place.stretches);
        assert_eq!(part(3, 4), [(103, 4)]);
        assert_eq!(part(8, 9), [(108, 2), (200, 5), (300, 2)]);
        assert_eq!(part(15, 20), [(300, 20)]);
        assert_eq!(part(35, 0), []);
    }
}
