//! Progress on stderr: bars on a terminal, lines elsewhere, JSON with `--json`, only warnings with `--quiet`.

use std::fmt;
use std::os::fd::AsFd;

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};

use crate::clock;
use crate::message::Message;
use crate::printable::{heading, wrapped};

/// How much is said on stderr; warnings always are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    Quiet,
    Normal,
    /// Also where files came from, what was reused, and how long a stage took.
    Verbose,
}

/// Receives messages and progress of a stage, from any thread.
pub trait Progress: Sync {
    /// A message that `--quiet` suppresses.
    fn note(&self, text: &str);
    /// A message that only `--verbose` shows.
    fn detail(&self, text: &str);
    /// A problem that does not end the work; always shown.
    fn warn(&self, text: &str);
    /// Begins a task of `size` bytes, if that is known.
    fn task(&self, name: &str, size: Option<u64>) -> Box<dyn Task>;
}

/// One task. Dropping it clears its progress bar; the caller reports the outcome.
pub trait Task: Send + Sync {
    /// Sets the total in bytes, when it becomes known.
    fn expect(&self, _size: u64) {}
    /// From here on bytes arrive, and the rate is theirs; what was counted before was there already.
    fn begin_transfer(&self) {}
    /// Adds bytes that are done.
    fn advance(&self, _bytes: u64) {}
    /// A message about work that goes on, which `--quiet` suppresses; it appears at once, whatever order results have.
    fn note(&self, _text: &str) {}
}

/// Does the work of a stage, and says how long it took.
pub fn timed<R>(progress: &dyn Progress, stage: &str, work: impl FnOnce() -> R) -> R {
    let began = clock::monotonic();
    let result = work();
    progress.detail(&format!("{stage}: {:.2} s", clock::monotonic().duration_since(began).as_secs_f64()));
    result
}

/// A number of bytes in decimal units: `52.9 MB`.
pub fn bytes(count: u64) -> impl fmt::Display {
    indicatif::DecimalBytes(count)
}

/// Shows warnings only.
#[derive(Debug, Default)]
pub struct Quiet;

impl Progress for Quiet {
    fn note(&self, _: &str) {}
    fn detail(&self, _: &str) {}
    fn warn(&self, text: &str) {
        line(&format!("warning: {text}"));
    }
    fn task(&self, _: &str, _: Option<u64>) -> Box<dyn Task> {
        Box::new(NoTask)
    }
}

struct NoTask;

impl Task for NoTask {}

/// Another one, whose notes are details: for work whose result nobody keeps, and for many files that are fetched.
pub struct WithoutNotes<'p>(pub &'p dyn Progress);

impl Progress for WithoutNotes<'_> {
    fn note(&self, text: &str) {
        self.0.detail(text);
    }
    fn detail(&self, text: &str) {
        self.0.detail(text);
    }
    fn warn(&self, text: &str) {
        self.0.warn(text);
    }
    fn task(&self, name: &str, size: Option<u64>) -> Box<dyn Task> {
        self.0.task(name, size)
    }
}

/// One line for each event, for logs.
#[derive(Debug)]
pub struct Plain {
    /// Whether details are printed.
    pub verbose: bool,
}

impl Progress for Plain {
    fn note(&self, text: &str) {
        line(text);
    }
    fn detail(&self, text: &str) {
        if self.verbose {
            line(text);
        }
    }
    fn warn(&self, text: &str) {
        line(&format!("warning: {text}"));
    }
    fn task(&self, _: &str, _: Option<u64>) -> Box<dyn Task> {
        Box::new(PlainTask)
    }
}

struct PlainTask;

impl Task for PlainTask {
    fn note(&self, text: &str) {
        line(text);
    }
}

/// One JSON object on each line, for programs.
#[derive(Debug)]
pub struct JsonLines(pub Verbosity);

impl Progress for JsonLines {
    fn note(&self, text: &str) {
        if self.0 >= Verbosity::Normal {
            line(&Message::Note { message: text.to_owned() }.line());
        }
    }
    fn detail(&self, text: &str) {
        if self.0 >= Verbosity::Verbose {
            line(&Message::Detail { message: text.to_owned() }.line());
        }
    }
    fn warn(&self, text: &str) {
        line(&Message::Warning { message: text.to_owned(), fault: None }.line());
    }
    fn task(&self, _: &str, _: Option<u64>) -> Box<dyn Task> {
        Box::new(Self(self.0))
    }
}

impl Task for JsonLines {
    fn note(&self, text: &str) {
        Progress::note(self, text);
    }
}

#[expect(clippy::print_stderr, reason = "stderr is where progress goes")]
fn line(text: &str) {
    eprintln!("{text}");
}

/// The text for the terminal that stderr is.
pub fn fitting(text: &str) -> String {
    columns(std::io::stderr()).map_or_else(|| text.to_owned(), |columns| wrapped(text, columns))
}

/// How wide a terminal is; `None` if it is a file or a pipe.
pub fn columns(terminal: impl AsFd) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(terminal).ok()?;
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}

/// Bars with rate and remaining time.
#[derive(Debug)]
pub struct Bars {
    all: MultiProgress,
    colour: bool,
    verbose: bool,
}

impl Bars {
    /// Bars on stderr; `colour` is for warnings between them, and `verbose` says whether details are.
    pub fn new(colour: bool, verbose: bool) -> Self {
        Self { all: MultiProgress::default(), colour, verbose }
    }
}

impl Progress for Bars {
    fn note(&self, text: &str) {
        self.all.suspend(|| line(&fitting(text)));
    }
    fn detail(&self, text: &str) {
        if self.verbose {
            self.note(text);
        }
    }
    fn warn(&self, text: &str) {
        self.all.suspend(|| line(&fitting(&format!("{}: {text}", heading("warning", self.colour)))));
    }
    fn task(&self, name: &str, size: Option<u64>) -> Box<dyn Task> {
        let bar = self.all.add(ProgressBar::new(size.unwrap_or(0)));
        bar.set_style(style());
        bar.set_message(name.to_owned());
        Box::new(BarTask { all: self.all.clone(), bar })
    }
}

/// Fits 60 columns, and the bar itself takes what a wider terminal has.
fn style() -> ProgressStyle {
    let template = "{msg:19!} [{wide_bar}] {decimal_bytes:>9}/{decimal_total_bytes:9} {rate:>9} {eta:>3}";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("=> ").with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
        let rate = state.per_sec().max(0.0);
        // What can't be written to a terminal can't be read either.
        let _ = if rate < 1e6 { write!(out, "{:.0} kB/s", rate / 1e3) } else { write!(out, "{:.1} MB/s", rate / 1e6) };
    })
}

struct BarTask {
    all: MultiProgress,
    bar: ProgressBar,
}

impl Task for BarTask {
    fn expect(&self, size: u64) {
        self.bar.set_length(size);
    }
    fn begin_transfer(&self) {
        // Without a tick, what was counted since the last one would be taken for fast.
        self.bar.tick();
        self.bar.reset_eta();
    }
    fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
    }
    fn note(&self, text: &str) {
        self.all.suspend(|| line(&fitting(text)));
    }
}

impl Drop for BarTask {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
