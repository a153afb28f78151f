//! Which objects go into which of several parts, so that each fits on a disk or a stick. Pure: the sizes of what lies beside
//! them are given.
//!
//! A file is counted as file systems count it: its bytes, rounded up to whole clusters, and one cluster more for its name
//! and its directory.

use std::str::FromStr;

use super::error::Error;
use super::index::Index;

/// How much a part may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxSize {
    /// Bytes of the disk or stick.
    limit: u64,
    /// Bytes of a cluster.
    cluster: u64,
    /// Bytes that the file system itself takes.
    reserved: u64,
}

/// What the largest common clusters are: those of sticks with FAT32.
const CLUSTER: u64 = 32 << 10;

impl MaxSize {
    /// A DVD with one layer: 2,295,104 sectors of 2048 bytes (ECMA-267). ISO 9660 and UDF take less than 1 MiB besides files.
    pub const DVD: Self = Self { limit: 4_700_372_992, cluster: 2048, reserved: 1 << 20 };
    /// As large as a file on FAT32 can be, so that a part may be one, as an archive or an image.
    pub const FAT32: Self = Self { limit: (4 << 30) - 1, cluster: CLUSTER, reserved: 1 << 20 };

    /// Bytes that a file takes.
    fn of(self, size: u64) -> u64 {
        (size.div_ceil(self.cluster) + 1).saturating_mul(self.cluster)
    }
}

impl FromStr for MaxSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "dvd" => Ok(Self::DVD),
            "fat32" => Ok(Self::FAT32),
            _ => match text.parse() {
                Ok(limit) => Ok(Self { limit, cluster: CLUSTER, reserved: 0 }),
                Err(_) => Err(format!("expected a number of bytes, `dvd` or `fat32`, got `{text}`")),
            },
        }
    }
}

/// Divides objects, given by their numbers, among parts that are no larger than `most`. `loose` are the sizes of the files
/// that every part has. The largest objects come first, each into the first part that has room for it.
///
/// # Errors
/// An object that fits into no part.
pub fn divide(index: &Index, objects: &[usize], loose: &[u64], most: MaxSize) -> Result<Vec<Vec<usize>>, Error> {
    // The list of parts has less than twelve bytes for each object.
    let list = most.of(1024 + 12 * objects.len() as u64);
    let lists = loose.iter().map(|size| most.of(*size)).sum::<u64>() + list + most.reserved;
    let size = |number: usize| most.of(index.objects()[number].size);
    let mut sorted = objects.to_vec();
    sorted.sort_by_key(|number| (std::cmp::Reverse(size(*number)), *number));
    let least = lists + sorted.first().map_or(0, |number| size(*number));
    let Some(room) = most.limit.checked_sub(lists).filter(|_| least <= most.limit) else {
        return Err(Error::TooSmall { limit: most.limit, least });
    };
    let mut parts: Vec<(u64, Vec<usize>)> = vec![(room, Vec::new())];
    for number in sorted {
        let size = size(number);
        match parts.iter_mut().find(|(left, _)| *left >= size) {
            Some((left, part)) => {
                *left -= size;
                part.push(number);
            }
            None => parts.push((room - size, vec![number])),
        }
    }
    let sorted = |(_, mut part): (u64, Vec<usize>)| {
        part.sort_unstable();
        part
    };
    Ok(parts.into_iter().map(sorted).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hash::Sha256;

    fn index(sizes: &[u64]) -> Index {
        let object = |size: &u64| format!(r#"{{"sha256":"{}","size":{size}}}"#, Sha256::of(&size.to_le_bytes()));
        let objects: Vec<_> = sizes.iter().map(object).collect();
        let text = format!(r#"{{"format":"kube-bundle-index/1","objects":[{}],"files":{{}}}}"#, objects.join(","));
        Index::parse(text.as_bytes()).expect("consistent")
    }

    /// As the documentation says it.
    fn taken(size: u64) -> u64 {
        size.next_multiple_of(32768) + 32768
    }

    proptest! {
        #[test]
        fn every_object_is_in_one_part_and_no_part_is_too_large(
            sizes in proptest::collection::vec(0u64..200_000, 1..40),
            limit in 300_000u64..1_000_000,
        ) {
            let (index, all) = (index(&sizes), (0..sizes.len()).collect::<Vec<_>>());
            let loose = [5000, 70_000];
            let lists: u64 = loose.iter().map(|size| taken(*size)).sum();
            let largest = sizes.iter().map(|size| taken(*size)).max().unwrap_or(0);
            match divide(&index, &all, &loose, limit.to_string().parse().expect("a number")) {
                Ok(parts) => {
                    let mut divided = parts.concat();
                    divided.sort_unstable();
                    prop_assert_eq!(divided, all);
                    for part in parts {
                        let objects: u64 = part.iter().map(|number| taken(sizes[*number])).sum();
                        prop_assert!(lists + objects <= limit);
                    }
                }
                Err(_) => prop_assert!(lists + 2 * 32768 + largest > limit),
            }
        }
    }

    #[test]
    fn sizes_have_names_or_are_bytes() {
        assert_eq!("dvd".parse(), Ok(MaxSize::DVD));
        assert_eq!("fat32".parse(), Ok(MaxSize::FAT32));
        assert!("4700000000".parse::<MaxSize>().is_ok());
        for wrong in ["", "4.7G", "-1", "cd"] {
            assert!(wrong.parse::<MaxSize>().is_err(), "{wrong}");
        }
    }
}
