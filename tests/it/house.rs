//! What the house promises to those who live in it: which module may name what, how long things get, and that
//! documents tell the truth about files.
//!
//! An exception is listed by name; one that is not needed any more fails its test, so that it is removed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::source::{bare, code, functions, paths, root, sources};

/// Modules that compute and do nothing else.
const PURE: [&str; 18] = [
    "spec",
    "plan",
    "assemble",
    "tree.rs",
    "package.rs",
    "target.rs",
    "diagnostic.rs",
    "recipe/flags.rs",
    "recipe/layout.rs",
    "recipe/template.rs",
    "hash.rs",
    "secret.rs",
    "manifest",
    "object.rs",
    "thin/export_list.rs",
    "thin/index.rs",
    "thin/parts.rs",
    "thin/place.rs",
];

const EFFECTS: [&str; 13] = [
    "std::fs",
    "std::os",
    "std::net::Tcp",
    "std::net::Udp",
    "std::process",
    "std::thread",
    "std::env",
    "std::time::Instant",
    "std::time::SystemTime",
    "reqwest",
    "aws_lc_rs",
    "rustix",
    "tempfile",
];

/// Methods that look at a disk or a clock without importing anything.
const METHODS: [&str; 6] =
    [".exists()", ".canonicalize()", ".symlink_metadata()", ".read_dir()", "now_utc()", "clock::"];

/// Module, and what it must not import.
const WALLS: [(&str, &str); 8] = [
    ("pack", "plan"),
    ("pack", "assemble"),
    ("verify", "pack"),
    ("verify", "assemble"),
    ("inspect", "pack"),
    ("inspect", "assemble"),
    ("diff", "pack"),
    ("diff", "assemble"),
];

const LONGEST_FILE: usize = 350;
const LONGEST_FUNCTION: usize = 60;
/// Nine of ten functions of a crate have no more lines.
const USUAL_FUNCTION: usize = 30;

#[test]
fn every_file_says_what_it_is() {
    for below in ["bundle/src", "xtask/src", "tests/it", "tests/stand-in/src"] {
        for (name, text) in sources(below) {
            assert!(text.starts_with("//! "), "{below}/{name} does not open with what it is");
        }
    }
}

#[test]
fn pure_modules_name_no_effect() {
    for (name, text) in sources("bundle/src") {
        if !PURE.iter().any(|pure| name.starts_with(pure)) {
            continue;
        }
        let text = bare(code(&text));
        // The manifest is read from a directory in one function, which says so.
        let is_allowed = |effect: &str| name == "manifest.rs" && effect == "std::fs";
        for path in paths(&text) {
            let effect = EFFECTS.into_iter().find(|effect| path.starts_with(effect));
            assert!(effect.is_none_or(is_allowed), "{name} names `{path}`");
        }
        let text: String = text.split_whitespace().collect();
        for method in METHODS {
            assert!(!text.contains(method), "{name} calls `{method}`");
        }
    }
}

#[test]
fn the_network_is_reached_from_one_module() {
    for (name, text) in sources("bundle/src") {
        let names_it = paths(&bare(code(&text))).iter().any(|path| path.starts_with("reqwest"));
        let may = name == "fetch/http.rs" || name.starts_with("fetch/http/");
        assert!(!names_it || may, "{name} names reqwest");
    }
}

/// The module of a file: `pack/tar.rs` is `[pack, tar]`.
fn module(name: &str) -> Vec<&str> {
    name.trim_end_matches(".rs").split('/').collect()
}

/// Modules of the crate that each module imports, both as long as there are files for them.
fn imports() -> BTreeMap<Vec<String>, BTreeSet<Vec<String>>> {
    let sources = sources("bundle/src");
    let owned = |path: &[&str]| path.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>();
    let modules: BTreeSet<_> = sources.keys().map(|name| owned(&module(name))).collect();
    let mut imports = BTreeMap::new();
    for (name, text) in &sources {
        let here = module(name);
        let resolve = |path: &str| {
            let parts: Vec<_> = path.split("::").collect();
            let ups = parts.iter().take_while(|part| **part == "super").count();
            let target = match parts[0] {
                "crate" => parts[1..].to_vec(),
                "self" => [&here[..], &parts[1..]].concat(),
                "super" => [&here[..here.len().checked_sub(ups)?], &parts[ups..]].concat(),
                _ => return None,
            };
            (1..=target.len()).rev().map(|length| owned(&target[..length])).find(|path| modules.contains(path))
        };
        let found = paths(&bare(code(text))).iter().filter_map(|path| resolve(path)).collect::<BTreeSet<_>>();
        imports.insert(owned(&here), found);
    }
    imports
}

#[test]
fn modules_do_not_import_what_they_need_not_know() {
    let imports = imports();
    for wall in WALLS {
        let through = imports.iter().filter(|(from, _)| from[0] == wall.0);
        let through: Vec<_> =
            through.filter(|(_, to)| to.iter().any(|to| to[0] == wall.1)).map(|(from, _)| from).collect();
        assert!(through.is_empty(), "`{}` must know no `{}`, and these do: {through:?}", wall.0, wall.1);
    }
}

/// Modules at each level, by the module they are in, and what of the same level they import. A module and what is
/// inside it may know each other.
fn levels() -> BTreeMap<Vec<String>, BTreeMap<String, BTreeSet<String>>> {
    let mut levels: BTreeMap<Vec<String>, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for (from, targets) in imports() {
        for to in targets {
            let common = from.iter().zip(&to).take_while(|(one, other)| one == other).count();
            if let (Some(one), Some(other)) = (from.get(common), to.get(common)) {
                let level = levels.entry(from[..common].to_vec()).or_default();
                level.entry(one.clone()).or_default().insert(other.clone());
            }
        }
    }
    levels
}

#[test]
fn no_modules_import_each_other_in_a_circle() {
    let mut circles: BTreeSet<Vec<String>> = BTreeSet::new();
    for (inside, level) in levels() {
        let reached = |from: &str| {
            let (mut reached, mut open) = (BTreeSet::new(), vec![from.to_owned()]);
            while let Some(next) = open.pop() {
                open.extend(level.get(&next).into_iter().flatten().filter(|to| reached.insert((*to).clone())).cloned());
            }
            reached
        };
        for module in level.keys() {
            let circle: Vec<_> = reached(module).into_iter().filter(|other| reached(other).contains(module)).collect();
            if circle.len() > 1 {
                circles.insert(
                    circle
                        .iter()
                        .map(|module| [&inside[..], std::slice::from_ref(module)].concat().join("::"))
                        .collect(),
                );
            }
        }
    }
    assert!(circles.is_empty(), "{circles:?}");
}

#[test]
fn files_stay_small() {
    let mut long = Vec::new();
    for below in ["bundle/src", "xtask/src"] {
        let lines = sources(below).into_iter().map(|(name, text)| (name, code(&text).lines().count()));
        long.extend(lines.filter(|(_, lines)| *lines > LONGEST_FILE).map(|(name, _)| format!("{below}/{name}")));
    }
    assert!(long.is_empty(), "more than {LONGEST_FILE} lines before the tests: {long:?}");
}

#[test]
fn functions_stay_small() {
    let mut long = Vec::new();
    for below in ["bundle/src", "xtask/src"] {
        let mut lengths = Vec::new();
        for (file, text) in sources(below) {
            for (name, lines) in functions(&bare(code(&text))) {
                lengths.push(lines);
                if lines > LONGEST_FUNCTION {
                    long.push(format!("{below}/{file}: {name}"));
                }
            }
        }
        lengths.sort_unstable();
        let usual = lengths[lengths.len() * 9 / 10];
        let said = format!("one in ten of {} functions in {below} has {usual} lines or more", lengths.len());
        assert!(usual <= USUAL_FUNCTION, "{said}");
    }
    assert!(long.is_empty(), "more than {LONGEST_FUNCTION} lines: {long:?}");
}

#[test]
fn nothing_is_left_for_later() {
    for (name, text) in sources("bundle/src") {
        for word in ["todo!", "unimplemented!", "FIXME", "XXX", ".unwrap()"] {
            assert!(!code(&text).contains(word), "{name} has {word}");
        }
    }
    // Ignored tests are the slow ones, and all of them are run by that.
    for (name, text) in ["bundle/src", "tests/it"].into_iter().flat_map(sources).filter(|(name, _)| name != "house.rs")
    {
        let said = text.matches("`cargo xtask ci --slow` runs it").count();
        assert_eq!(text.matches("#[ignore").count(), said, "{name}");
    }
}

/// A test that returns early has checked nothing, so whatever makes it do so must have said so.
#[test]
fn no_test_ends_early_in_silence() {
    for (name, text) in sources("tests/it") {
        let text = bare(&text);
        let lines: Vec<_> = text.lines().collect();
        for (number, line) in lines.iter().enumerate().filter(|(_, line)| line.trim() == "return;") {
            let before = lines[number.saturating_sub(1)];
            let is_said = ["has(", "has_all(", "has_browser(", "left_out("].iter().any(|asks| before.contains(asks));
            // These are no tests.
            let is_said = is_said || ["server.rs", "source.rs", "summary.rs"].contains(&name.as_str());
            assert!(is_said, "{name}:{}: {line}", number + 1);
        }
        for (number, line) in lines.iter().enumerate().filter(|(_, line)| line.contains("else { return }")) {
            let is_known = ["Machine::new()", "Machine::with_dpkg()", "machine()", "read_request("];
            assert!(is_known.iter().any(|known| line.contains(known)), "{name}:{}: {line}", number + 1);
        }
    }
}

/// Files of the repository, without what is built or made.
fn tracked() -> BTreeMap<String, Vec<u8>> {
    fn walk(directory: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in std::fs::read_dir(directory).unwrap().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() && ![".git", "target", "out", "artifacts", "pki"].contains(&name.as_str()) {
                walk(&entry.path(), found);
            } else if kind.is_file() && name != ".git" {
                let path = entry.path().strip_prefix(root()).unwrap().display().to_string();
                found.insert(path, std::fs::read(entry.path()).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(&root(), &mut found);
    found.retain(|name, _| !name.starts_with("fuzz/corpus/"));
    assert!(found.len() > 100);
    found
}

/// What a heading is linked by.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = kept.chars().filter(|character| character.is_alphanumeric() || [' ', '-', '_'].contains(character));
    kept.map(|character| if character == ' ' { '-' } else { character }).collect()
}

#[test]
fn documents_name_files_and_headings_that_exist() {
    let documents: BTreeMap<_, _> = tracked().into_iter().filter(|(name, _)| name.ends_with(".md")).collect();
    assert!(documents.len() >= 10, "{:?}", documents.keys());
    for (document, text) in &documents {
        let text = String::from_utf8(text.clone()).unwrap();
        for target in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if target.starts_with("https://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let path = root().join(document);
            let path = if file.is_empty() { path } else { path.parent().unwrap().join(file) };
            assert!(path.exists(), "{document} links to {target}");
            if !heading.is_empty() {
                let text = std::fs::read_to_string(&path).unwrap();
                let has_it = text.lines().any(|line| line.starts_with('#') && anchor(line) == heading);
                assert!(has_it, "{document} links to {target}");
            }
        }
    }
}

/// Where somebody's machine keeps things, and which mirror of a registry it uses, is nobody else's business.
#[test]
fn no_file_names_a_place_on_somebodys_machine() {
    let here = root().canonicalize().unwrap().display().to_string();
    let places = [here, ["/ho", "me/"].concat(), ["/root/.", "cargo"].concat(), ["/root/.", "rustup"].concat()];
    let hosts = ["crates.", "io/api"].concat();
    let hosts = [hosts, ["static.crates.", "io"].concat(), ["index.crates.", "io"].concat(), ["py", "pi.org"].concat()];
    for (name, bytes) in tracked() {
        let text = String::from_utf8_lossy(&bytes);
        for place in places.iter().chain(&hosts) {
            assert!(!text.contains(place.as_str()), "{name} names `{place}`");
        }
    }
}

/// A tag can be moved by whoever owns the action; a commit can't.
#[test]
fn actions_of_workflows_are_pinned_to_commits() {
    let mut pinned = 0;
    for (name, bytes) in tracked().into_iter().filter(|(name, _)| name.starts_with(".github/workflows/")) {
        let text = String::from_utf8(bytes).unwrap();
        for line in text.lines().filter(|line| line.trim_start().trim_start_matches("- ").starts_with("uses:")) {
            let (_, version) = line.split_once('@').unwrap();
            let (commit, comment) = version.split_once(" # v").unwrap_or_else(|| panic!("{name}: {line}"));
            assert!(commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}: {line}");
            assert!(comment.starts_with(|digit: char| digit.is_ascii_digit()), "{name}: {line}");
            pinned += 1;
        }
    }
    assert!(pinned >= 1, "there is no workflow");
}
