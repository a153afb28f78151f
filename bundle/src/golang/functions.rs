//! The table of functions that Go's runtime needs for stack traces (`runtime.pclntab`), in its three layouts.
//!
//! Source: `debug/gosym/pclntab.go` of Go.

use super::elf::{u32_at, u64_at};

/// Where the parts of a table are. Offsets are bytes from its begin.
struct Layout {
    count: usize,
    /// NUL-terminated names.
    names: usize,
    /// One entry for each function, the last word of which says where its record is, from `records`.
    entries: usize,
    records: usize,
    /// Bytes of one word of an entry, and of the address at the begin of a record.
    word: usize,
}

impl Layout {
    fn of(table: &[u8]) -> Option<Self> {
        // Magic, two zeros, the size of an instruction, the size of a pointer.
        if table.get(4..8)? != [0, 0, 1, 8] {
            return None;
        }
        let field = |number: usize| usize::try_from(u64_at(table, 8 + 8 * number)?).ok();
        let count = field(0)?;
        Some(match u32_at(table, 0)? {
            // Go 1.2
            0xffff_fffb => Self { count, names: 0, entries: 16, records: 0, word: 8 },
            // Go 1.16
            0xffff_fffa => Self { count, names: field(2)?, entries: field(6)?, records: field(6)?, word: 8 },
            // Go 1.18 and 1.20
            0xffff_fff0 | 0xffff_fff1 => {
                Self { count, names: field(3)?, entries: field(7)?, records: field(7)?, word: 4 }
            }
            _ => return None,
        })
    }

    fn name<'t>(&self, table: &'t [u8], number: usize) -> Option<&'t str> {
        let entry = self.entries.checked_add(number.checked_mul(2 * self.word)?)?.checked_add(self.word)?;
        let record = self.word_at(table, entry)?.checked_add(self.records)?;
        let name = usize::try_from(u32_at(table, record.checked_add(self.word)?)?).ok()?.checked_add(self.names)?;
        let bytes = table.get(name..)?;
        let end = bytes.iter().position(|byte| *byte == 0)?;
        std::str::from_utf8(&bytes[..end]).ok()
    }

    fn word_at(&self, table: &[u8], at: usize) -> Option<usize> {
        let word = if self.word == 4 { u32_at(table, at)?.into() } else { u64_at(table, at)? };
        usize::try_from(word).ok()
    }
}

/// The names of all functions; `None` for a table of no known layout.
pub(super) fn names(table: &[u8]) -> Option<impl Iterator<Item = &str>> {
    let layout = Layout::of(table)?;
    // A damaged count must not make this run for years.
    let count = layout.count.min(table.len());
    Some((0..count).filter_map(move |number| layout.name(table, number)))
}

/// The import path in the name of a function; `None` for what the compiler made for no package.
pub(super) fn package(name: &str) -> Option<String> {
    if ["type.", "type:", "go:"].iter().any(|prefix| name.starts_with(prefix)) {
        return None;
    }
    // Receivers and type arguments may have paths of their own.
    let name = name.split(['(', '[', '{']).next().unwrap_or(name);
    let last = name.rfind('/').map_or(0, |slash| slash + 1);
    let end = last + name[last..].find('.')?;
    let path = &name[..end];
    // `go.shape…` is no package, `go.etcd.io/…` is one.
    (!path.is_empty() && path != "go").then(|| unescaped(path))
}

/// In the last part of a path, dots are written as `%2e`.
fn unescaped(path: &str) -> String {
    path.replace("%2e", ".")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table with these functions, in the layout of a magic number.
    fn table(magic: u32, functions: &[&str]) -> Vec<u8> {
        let (fields, word) = match magic {
            0xffff_fffb => (1, 8),
            0xffff_fffa => (7, 8),
            _ => (8, 4),
        };
        let head = 8 + 8 * fields;
        let entries = functions.len() * 2 * word + word;
        let record = word + 8;
        let names_at = head + entries + functions.len() * record;
        let (mut names, mut places) = (Vec::new(), Vec::new());
        for name in functions {
            places.push(names.len());
            names.extend(name.bytes().chain([0]));
        }
        let base = if fields == 1 { 0 } else { head };
        let mut table = Vec::new();
        table.extend(magic.to_le_bytes());
        table.extend([0, 0, 1, 8]);
        let mut head_words = vec![0u64; fields];
        head_words[0] = functions.len() as u64;
        if fields > 1 {
            head_words[fields - 5] = names_at as u64;
            head_words[fields - 1] = head as u64;
        }
        table.extend(head_words.iter().flat_map(|word| word.to_le_bytes()));
        let put = |table: &mut Vec<u8>, value: usize| table.extend(&(value as u64).to_le_bytes()[..word]);
        for number in 0..functions.len() {
            put(&mut table, 0x40_1000 + number);
            put(&mut table, head + entries + number * record - base);
        }
        put(&mut table, 0);
        for place in places {
            put(&mut table, 0);
            let place = if fields == 1 { names_at + place } else { place };
            table.extend(u32::try_from(place).expect("small").to_le_bytes());
            table.extend([0; 4]);
        }
        table.extend(names);
        table
    }

    #[test]
    fn all_layouts_are_read_and_damaged_ones_do_no_harm() {
        let functions = ["main.main", "github.com/a/b.(*T).F", "runtime.goexit"];
        for magic in [0xffff_fffb, 0xffff_fffa, 0xffff_fff0, 0xffff_fff1] {
            let table = table(magic, &functions);
            let found: Vec<_> = names(&table).expect("a known layout").collect();
            assert_eq!(found, functions, "{magic:x}");
            for length in 0..table.len() {
                let _ = names(&table[..length]).map(Iterator::count);
            }
            for at in 0..table.len() {
                let mut damaged = table.clone();
                damaged[at] = 0xff;
                let _ = names(&damaged).map(Iterator::count);
            }
        }
        assert!(names(&table(0xffff_ff00, &functions)).is_none());
    }
}
