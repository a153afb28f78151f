//! What the linker of Go noted of a build: its version and the modules that were at hand.
//!
//! Sources: `debug/buildinfo/buildinfo.go` and `cmd/go/internal/modload/build.go` of Go.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek};

use super::Module;
use super::elf::{Program, u64_at};

/// What stands before and behind the list of modules, wherever it is (Go 1.12 and later).
const BEGIN: [u8; 16] =
    [0x30, 0x77, 0xaf, 0x0c, 0x92, 0x74, 0x08, 0x02, 0x41, 0xe1, 0xc1, 0x07, 0xe6, 0xd6, 0x18, 0xe6];
const END: [u8; 16] = [0xf9, 0x32, 0x43, 0x31, 0x86, 0x18, 0x20, 0x72, 0x00, 0x82, 0x42, 0x10, 0x41, 0x16, 0xd8, 0xf2];
const MAGIC: &[u8] = b"\xff Go buildinf:";
/// Bytes of the longest string that is read.
const LONGEST: u64 = 16 << 20;

#[derive(Debug, Default)]
pub(super) struct BuildInfo {
    pub(super) go: Option<String>,
    pub(super) main: Option<String>,
    pub(super) modules: BTreeMap<String, Module>,
}

/// Reads what there is; in GOPATH mode, as Kubernetes v1.16 was built, there are no modules.
pub(super) fn read(program: &mut Program<'_, impl Read + Seek>) -> io::Result<BuildInfo> {
    let (go, text) = match program.section(&[".go.buildinfo"])? {
        Some(section) => strings(program, &section)?,
        // Before Go 1.13 the list was a constant among others.
        None => (None, program.section(&[".rodata"])?.unwrap_or_default()),
    };
    let (main, modules) = modules(&between(&text).map(String::from_utf8_lossy).unwrap_or_default());
    Ok(BuildInfo { go, main, modules })
}

/// The version and the list of modules, the latter with its marks.
fn strings(program: &mut Program<'_, impl Read + Seek>, section: &[u8]) -> io::Result<(Option<String>, Vec<u8>)> {
    let (Some(MAGIC), Some(flags)) = (section.get(..MAGIC.len()), section.get(15)) else {
        return Ok((None, Vec::new()));
    };
    let version = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok().filter(|text| !text.is_empty());
    // Since Go 1.18 both follow, each behind its length.
    if flags & 2 != 0 {
        let mut rest = section.get(32..).unwrap_or_default();
        let go = counted(&mut rest).and_then(version);
        return Ok((go, counted(&mut rest).unwrap_or_default().to_vec()));
    }
    let mut text = [Vec::new(), Vec::new()];
    for (number, text) in text.iter_mut().enumerate() {
        let pointer = u64_at(section, 16 + 8 * number).unwrap_or(0);
        let header = program.memory(pointer, 16)?.unwrap_or_default();
        if let (Some(address), Some(length @ 0..=LONGEST)) = (u64_at(&header, 0), u64_at(&header, 8)) {
            *text = program.memory(address, length)?.unwrap_or_default();
        }
    }
    let [go, modules] = text;
    Ok((version(&go), modules))
}

/// Takes a string off the front: its length as `encoding/binary` writes a varint, and its bytes.
fn counted<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let mut length = 0usize;
    for shift in (0..35).step_by(7) {
        let (first, after) = rest.split_first()?;
        *rest = after;
        length |= usize::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            let (text, after) = rest.split_at_checked(length)?;
            *rest = after;
            return Some(text);
        }
    }
    None
}

fn between(text: &[u8]) -> Option<&[u8]> {
    let find = |text: &[u8], mark: &[u8]| text.windows(mark.len()).position(|window| window == mark);
    let text = &text[find(text, &BEGIN)? + BEGIN.len()..];
    Some(&text[..find(text, &END)?])
}

/// The program's own module, and the others: lines `mod`, `dep` and, for a replaced one, `=>`.
fn modules(text: &str) -> (Option<String>, BTreeMap<String, Module>) {
    let (mut main, mut modules, mut last) = (None, BTreeMap::new(), String::new());
    for line in text.lines() {
        let mut words = line.split('\t');
        let (Some(kind), Some(path)) = (words.next(), words.next()) else { continue };
        let module = Module { path: path.to_owned(), version: words.next().unwrap_or_default().to_owned() };
        match kind {
            "mod" => main = Some(module.path),
            "dep" => {
                path.clone_into(&mut last);
                modules.insert(last.clone(), module);
            }
            // A directory is in no database.
            "=>" if !module.version.is_empty() => drop(modules.insert(last.clone(), module)),
            "=>" => drop(modules.remove(&last)),
            _ => {}
        }
    }
    (main, modules)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_read_with_their_replacements() {
        let text = "path\tx.org/m/cmd\nmod\tx.org/m\t(devel)\t\ndep\tx.org/a\tv1.0.0\th1:x=\ndep\tx.org/b\tv0.0.0\n\
                    =>\tx.org/c\tv0.2.0\th1:y=\ndep\tx.org/d\tv0.0.0\n=>\t./d\nbuild\tCGO_ENABLED=0\n";
        let noted = [b"rest of the constants", &BEGIN[..], text.as_bytes(), &END, b"more"].concat();
        let (main, found) = modules(std::str::from_utf8(between(&noted).expect("marks")).expect("text"));
        assert_eq!(main.as_deref(), Some("x.org/m"));
        let found: Vec<_> = found.iter().map(|(path, it)| format!("{path} {} {}", it.path, it.version)).collect();
        assert_eq!(found, ["x.org/a x.org/a v1.0.0", "x.org/b x.org/c v0.2.0"]);
    }

    #[test]
    fn lengths_are_those_of_go() {
        let long = [b"\xac\x02".as_slice(), &[b'x'; 300], b"\x02ok"].concat();
        let mut rest = long.as_slice();
        assert_eq!(counted(&mut rest).map(<[u8]>::len), Some(300));
        assert_eq!(counted(&mut rest), Some(&b"ok"[..]));
        assert_eq!(counted(&mut rest), None);
        assert_eq!(counted(&mut &b"\xff\xff\xff\xff\xff\xff"[..]), None);
    }
}
