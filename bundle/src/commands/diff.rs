//! `kube-bundle diff`

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::Console;
use super::attempt::Attempt;
use super::cluster::jobs;
use crate::diff::{self, Changes, Content, Differences, Field, MachineChanges, Side};
use crate::error::ExitCode;
use crate::printable::{Paint, Tone, printable};
use crate::progress::{bytes, columns};
use crate::thin::delta;
use crate::{Error, workers};

/// Columns of a page, if the terminal is not narrower.
const WIDTH: usize = 80;

/// Exit codes as `diff(1)` has them: an error is not 1, which says that the bundles differ.
pub(super) const FAILED: ExitCode = ExitCode::Usage;

pub(super) fn diff(from: &Path, to: &Path, console: &Console) -> Result<ExitCode, Error> {
    let paths = [from, to];
    let manifests = workers::each(2, &paths, |path| Attempt { path, command: "diff", exit: FAILED }.manifest())?;
    let side = |index: usize| -> Option<Side<'_>> {
        Some(Side { content: Content::Directory(paths[index]), manifest: manifests.get(index)? })
    };
    let (Some(old), Some(new)) = (side(0), side(1)) else { return Ok(FAILED) };
    let differences = diff::bundles(old, new, jobs(None));
    show(&differences, "The bundles are equal", console)?;
    Ok(if differences.equal { ExitCode::Success } else { ExitCode::Failed })
}

/// Says what it costs to carry the newer bundle to where the older one is.
pub(super) fn pieces(from: &Path, to: &Path, console: &Console) -> Result<ExitCode, Error> {
    let (old, new) = (delta::open(from)?, delta::open(to)?);
    let cost = delta::cost(&old.index, &new.index);
    console.result(&cost, || {
        let line =
            |count: delta::Count, what: &str| format!("{} objects, {}: {what}\n", count.objects, bytes(count.bytes));
        line(cost.new, "only in the newer one, which `export --since` writes") + &line(cost.both, "in both")
    })?;
    Ok(if old.sha256 == new.sha256 { ExitCode::Success } else { ExitCode::Failed })
}

/// Prints what differs, or the sentence that says that nothing does.
pub(super) fn show(differences: &Differences, equal: &str, console: &Console) -> Result<(), Error> {
    for why in &differences.not_compared {
        console.progress().warn(&format!("not compared: {}", printable(why)));
    }
    if differences.equal {
        console.note(equal);
    }
    if console.json() || !differences.equal {
        console.result(differences, || text(differences, console.paint))?;
    }
    Ok(())
}

fn text(differences: &Differences, paint: Paint) -> String {
    let width = columns(io::stdout()).map_or(WIDTH, |columns| columns.clamp(40, WIDTH));
    let mut page = Page { text: String::new(), width, paint };
    page.section("Bundle", |page| page.fields(2, &differences.bundle));
    page.section("Machines", |page| page.changes(2, &differences.nodes));
    page.section("Programs and downloaded files", |page| page.changes(2, &differences.components));
    page.section("Images", |page| page.changes(2, &differences.images));
    page.section("Certificates", |page| page.changes(2, &differences.certificates));
    page.section("Issued by the build", |page| page.issued(&differences.issued));
    for (names, machine) in groups(&differences.machines) {
        page.section(&format!("Files of {}", names.join(", ")), |page| page.machine(machine));
    }
    if let Some(machine) = &differences.all_machines {
        page.section("Files of all machines", |page| page.machine(machine));
    }
    page.section("Output", |page| page.changes(2, &differences.outputs));
    page.text
}

/// Machines with the same differences together.
fn groups(machines: &BTreeMap<String, MachineChanges>) -> Vec<(Vec<&str>, &MachineChanges)> {
    let mut groups: Vec<(Vec<&str>, &MachineChanges)> = Vec::new();
    for (name, machine) in machines {
        match groups.iter_mut().find(|(_, other)| *other == machine) {
            Some((names, _)) => names.push(name),
            None => groups.push((vec![name], machine)),
        }
    }
    groups
}

/// Text with lines of a width.
struct Page {
    text: String,
    /// In columns.
    width: usize,
    paint: Paint,
}

impl Page {
    /// A title over what `write` writes, or nothing if that is nothing.
    fn section(&mut self, title: &str, write: impl FnOnce(&mut Self)) {
        let mut below = Self { text: String::new(), ..*self };
        write(&mut below);
        if !below.text.is_empty() {
            if !self.text.is_empty() {
                self.text.push('\n');
            }
            self.line(0, title);
            self.text += &below.text;
        }
    }

    fn machine(&mut self, machine: &MachineChanges) {
        let Changes { added, removed, changed } = &machine.files;
        self.names(2, removed, added);
        for (path, fields) in changed {
            let what: Vec<_> = fields.iter().map(|it| short(&it.field, it)).collect();
            self.line(2, &format!("~ {path}: {}", what.join(", ")));
            if let Some(unit) = machine.units.get(path) {
                for (command, flags) in &unit.commands {
                    self.line(6, command);
                    for flag in flags {
                        self.flag(8, flag);
                    }
                }
                self.fields(6, &unit.settings);
            }
        }
    }

    fn issued(&mut self, issued: &BTreeMap<String, Option<String>>) {
        for (id, why) in issued {
            let line = why.as_ref().map_or_else(|| format!("+ {id}"), |why| format!("~ {id}: {why}"));
            self.line(2, &line);
        }
    }

    fn changes(&mut self, indent: usize, changes: &Changes) {
        self.names(indent, &changes.removed, &changes.added);
        for (name, fields) in &changes.changed {
            self.line(indent, &format!("~ {name}"));
            self.fields(indent + 4, fields);
        }
    }

    fn names(&mut self, indent: usize, removed: &[String], added: &[String]) {
        let marked = |names: &[String], mark| names.iter().map(|name| format!("{mark} {name}")).collect::<Vec<_>>();
        for name in marked(removed, "-").iter().chain(&marked(added, "+")) {
            self.line(indent, name);
        }
    }

    fn fields(&mut self, indent: usize, fields: &[Field]) {
        for field in fields {
            self.values(indent, &format!("{}: ", field.field), field);
        }
    }

    fn flag(&mut self, indent: usize, flag: &Field) {
        let written = |value: &String| match (flag.field.starts_with('-'), value.as_str()) {
            (true, "") => flag.field.clone(),
            (true, value) => format!("{}={value}", flag.field),
            (false, value) => value.to_owned(),
        };
        self.both(indent, flag.from.as_ref().map(written), flag.to.as_ref().map(written));
    }

    /// The old value and the new one, each on a line.
    fn both(&mut self, indent: usize, from: Option<String>, to: Option<String>) {
        let lines = from.map(|from| format!("- {from}")).into_iter().chain(to.map(|to| format!("+ {to}")));
        for line in lines {
            self.line(indent, &line);
        }
    }

    fn values(&mut self, indent: usize, title: &str, field: &Field) {
        let whole = short(title, field);
        if indent + whole.chars().count() <= self.width || field.from.is_none() || field.to.is_none() {
            return self.line(indent, &whole);
        }
        self.line(indent, title.trim_end());
        self.both(indent + 2, field.from.as_deref().map(shown), field.to.as_deref().map(shown));
    }

    /// A line, broken where it is too long: behind a comma or a space if there is one.
    fn line(&mut self, indent: usize, text: &str) {
        let text = printable(text);
        let tone = match text.get(..2) {
            Some("+ ") => Tone::Good,
            Some("- ") => Tone::Bad,
            Some("~ ") => Tone::Notable,
            _ if indent == 0 => Tone::Name,
            _ => Tone::Plain,
        };
        let (mut rest, mut indent) = (&*text, indent);
        loop {
            let end = rest.char_indices().nth(self.width - indent).map_or(rest.len(), |(at, _)| at);
            // The mark that a line begins with is nothing to break behind.
            let space = rest[..end].rfind([',', ' ']).map(|at| at + 1).filter(|at| *at > 2);
            let cut = if end == rest.len() { end } else { space.unwrap_or(end) };
            self.text += &format!("{:indent$}{}\n", "", self.paint.text(rest[..cut].trim_end(), tone));
            rest = &rest[cut..];
            if rest.is_empty() {
                return;
            }
            if rest.len() + cut == text.len() {
                indent += 4;
            }
        }
    }
}

/// `title from -> to` in one line.
fn short(title: &str, field: &Field) -> String {
    match (&field.from, &field.to) {
        (Some(from), Some(to)) => format!("{} {} -> {}", title.trim_end(), shown(from), shown(to)),
        (Some(from), None) => format!("{} - {}", title.trim_end(), shown(from)),
        (None, Some(to)) => format!("{} + {}", title.trim_end(), shown(to)),
        (None, None) => title.trim_end().to_owned(),
    }
}

/// A digest or serial number by its first digits: `--json` has all of them.
fn shown(value: &str) -> String {
    let digits = value.rsplit(':').next().unwrap_or(value);
    if digits.len() >= 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let kind = &value[..value.len() - digits.len()];
        return format!("{kind}{}...", &digits[..16]);
    }
    value.to_owned()
}
