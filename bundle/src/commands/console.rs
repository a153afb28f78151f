//! stdout for results, stderr for people.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use super::Failure;
use crate::Error;
use crate::cli::{Color, Common};
use crate::clock;
use crate::diagnostic::Faults;
use crate::message::Message;
use crate::printable::{printable, printable_json};
use crate::progress::{Bars, JsonLines, Plain, Progress, Quiet};

/// How to speak.
pub struct Console {
    json: bool,
    colour: bool,
    progress: Box<dyn Progress>,
}

impl Console {
    /// Looks at the arguments and at whether anybody watches.
    pub fn new(common: &Common) -> Self {
        let watched = io::stderr().is_terminal();
        let colour = match common.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => watched && clock::variable("NO_COLOR").is_none(),
        };
        let progress: Box<dyn Progress> = match (common.quiet, watched) {
            (quiet, _) if common.json => Box::new(JsonLines { quiet }),
            (true, _) => Box::new(Quiet),
            (false, true) => Box::new(Bars::new(colour)),
            (false, false) => Box::new(Plain),
        };
        Self { json: common.json, colour, progress }
    }

    /// Whether results are for machines.
    pub(super) fn json(&self) -> bool {
        self.json
    }

    /// Where stages report to.
    pub(super) fn progress(&self) -> &dyn Progress {
        self.progress.as_ref()
    }

    /// Something a person may want to know.
    pub(super) fn note(&self, text: &str) {
        self.progress.note(text);
    }

    /// Faults that stop nothing. They are drawn with their place, and so carry their own heading.
    #[expect(clippy::print_stderr, reason = "warnings go to stderr")]
    pub(super) fn warn(&self, faults: &Faults) {
        if self.json {
            for fault in faults.list() {
                eprintln!("{}", Message::Warning { message: fault.message.clone(), fault: Some(fault) }.line());
            }
        } else if !faults.diagnostics.is_empty() {
            eprintln!("{}\n", faults.render(self.colour));
        }
    }

    /// A result as text or as JSON, whichever was asked for.
    pub(super) fn result(&self, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Error> {
        if self.json {
            let json =
                serde_json::to_string_pretty(value).unwrap_or_else(|why| unreachable!("string keys only: {why}"));
            print(&printable_json(&json))
        } else {
            print(&text())
        }
    }

    /// Says why the command failed.
    #[expect(clippy::print_stderr, reason = "errors go to stderr")]
    pub fn fail(&self, Failure { error, exit }: &Failure) {
        if self.json {
            eprintln!("{}", error.message(*exit).line());
        } else {
            eprintln!("{}", error.render(self.colour));
        }
    }
}

/// A result as text.
pub(super) fn print(text: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    let written = writeln!(out, "{}", text.trim_end_matches('\n')).and_then(|()| out.flush());
    match written {
        // `kube-bundle plan | head` is no failure.
        Err(why) if why.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::Io { verb: "write to", path: "stdout".into(), source: why })
        }
        _ => Ok(()),
    }
}

/// Columns as wide as their widest cell, two spaces between; the last one hangs free. On a terminal that is too narrow,
/// the widest columns are cut. Cells may come from files: what a terminal would obey is written out.
pub(super) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let header = header.iter().map(|cell| (*cell).to_owned()).collect();
    let rows = rows.iter().map(|row| row.iter().map(|cell| printable(cell).into_owned()).collect());
    let lines: Vec<Vec<String>> = std::iter::once(header).chain(rows).collect();
    let mut widths = Vec::new();
    for line in &lines {
        widths.resize(widths.len().max(line.len()), 0);
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    if let Some(columns) = terminal_columns() {
        narrow(&mut widths, columns);
    }
    let mut table = String::new();
    for line in &lines {
        let mut gap = 0;
        for (cell, width) in line.iter().zip(&widths) {
            let cell = &cut(cell, *width);
            // Not with `format!`, which pads to 65535 characters at most; and no line ends in spaces.
            let length = cell.chars().count();
            if length > 0 {
                table.extend(std::iter::repeat_n(' ', std::mem::take(&mut gap)));
                table.push_str(cell);
            }
            gap += width - length + 2;
        }
        table.push('\n');
    }
    table
}

/// How wide the terminal is that results go to; `None` if they go to a file or a program.
fn terminal_columns() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}

/// Takes from the widest columns until all fit, but leaves each enough to be told apart.
fn narrow(widths: &mut [usize], columns: usize) {
    const LEAST: usize = 10;
    let gaps = 2 * widths.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > columns {
        match widths.iter_mut().max().filter(|widest| **widest > LEAST) {
            Some(widest) => *widest -= 1,
            None => return,
        }
    }
}

fn cut(cell: &str, width: usize) -> std::borrow::Cow<'_, str> {
    if cell.chars().count() <= width {
        return cell.into();
    }
    cell.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}
