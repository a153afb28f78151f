//! stdout for results, stderr for people.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use super::Failure;
use crate::Error;
use crate::cli::{Color, Common};
use crate::clock;
use crate::diagnostic::Faults;
use crate::message::Message;
use crate::printable::{Paint, printable_json, wrapped};
use crate::progress::{Bars, JsonLines, Plain, Progress, Quiet, Verbosity, columns, fitting};

/// How to speak.
pub struct Console {
    json: bool,
    /// Whether results have what few people need.
    pub(super) verbose: bool,
    /// Whether errors are coloured.
    colour: bool,
    /// Whether results are.
    pub(super) paint: Paint,
    progress: Box<dyn Progress>,
}

impl Console {
    /// Looks at the arguments and at whether anybody watches.
    pub fn new(common: &Common) -> Self {
        let watched = io::stderr().is_terminal();
        let colour = is_coloured(common.color, watched);
        let paint = Paint(is_coloured(common.color, io::stdout().is_terminal()));
        let verbosity = match (common.quiet, common.verbose) {
            (true, _) => Verbosity::Quiet,
            (false, false) => Verbosity::Normal,
            (false, true) => Verbosity::Verbose,
        };
        let verbose = common.verbose;
        let progress: Box<dyn Progress> = match (verbosity, watched) {
            _ if common.json => Box::new(JsonLines(verbosity)),
            (Verbosity::Quiet, _) => Box::new(Quiet),
            (_, true) => Box::new(Bars::new(colour, verbose)),
            (_, false) => Box::new(Plain { verbose }),
        };
        Self { json: common.json, verbose, colour, paint, progress }
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
            show(&text())
        }
    }

    /// Says why the command failed.
    #[expect(clippy::print_stderr, reason = "errors go to stderr")]
    pub fn fail(&self, Failure { error, exit }: &Failure) {
        if self.json {
            eprintln!("{}", error.message(*exit).line());
        } else {
            // Lines of a cluster.toml stay as they are.
            let text = error.render(self.colour);
            eprintln!("{}", if matches!(error, Error::Spec(_)) { text } else { fitting(&text) });
        }
    }
}

/// What was asked for comes first, then `NO_COLOR` (no-color.org), then `CLICOLOR_FORCE` and `CLICOLOR` (bixense.com/clicolors).
fn is_coloured(when: Color, is_terminal: bool) -> bool {
    let is = |name: &str, meaning: fn(&str) -> bool| clock::variable(name).is_some_and(|value| meaning(&value));
    match when {
        Color::Always => true,
        Color::Never => false,
        Color::Auto if is("NO_COLOR", |_| true) => false,
        Color::Auto if is("CLICOLOR_FORCE", |value| value != "0") => true,
        Color::Auto => is_terminal && !is("CLICOLOR", |value| value == "0"),
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

/// The same for people: on a terminal, lines that are too long are broken at spaces.
pub(super) fn show(text: &str) -> Result<(), Error> {
    print(&columns(io::stdout()).map_or_else(|| text.to_owned(), |columns| wrapped(text, columns)))
}
