//! Progress on stderr: bars on a terminal, lines elsewhere, JSON with `--json`, only warnings with `--quiet`.

use std::fmt;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::message::Message;

/// Receives messages and progress of a stage, from any thread.
pub trait Progress: Sync {
    /// A message that `--quiet` suppresses.
    fn note(&self, text: &str);
    /// A problem that does not end the work; always shown.
    fn warn(&self, text: &str);
    /// Begins a task of `size` bytes, if that is known.
    fn task(&self, name: &str, size: Option<u64>) -> Box<dyn Task>;
}

/// One task. Dropping it clears its progress bar; the caller reports the outcome.
pub trait Task: Send + Sync {
    /// Sets the total in bytes, when it becomes known.
    fn expect(&self, _size: u64) {}
    /// Adds bytes that are done.
    fn advance(&self, _bytes: u64) {}
    /// A message that `--quiet` suppresses.
    fn note(&self, _text: &str) {}
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
    fn warn(&self, text: &str) {
        line(&format!("warning: {text}"));
    }
    fn task(&self, _: &str, _: Option<u64>) -> Box<dyn Task> {
        Box::new(NoTask)
    }
}

struct NoTask;

impl Task for NoTask {}

/// One line for each event, for logs.
#[derive(Debug, Default)]
pub struct Plain;

impl Progress for Plain {
    fn note(&self, text: &str) {
        line(text);
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
pub struct JsonLines {
    /// Whether only warnings are printed.
    pub quiet: bool,
}

impl Progress for JsonLines {
    fn note(&self, text: &str) {
        if !self.quiet {
            line(&Message::Note { message: text.to_owned() }.line());
        }
    }
    fn warn(&self, text: &str) {
        line(&Message::Warning { message: text.to_owned(), fault: None }.line());
    }
    fn task(&self, _: &str, _: Option<u64>) -> Box<dyn Task> {
        Box::new(Self { quiet: self.quiet })
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

/// Bars with rate and remaining time.
#[derive(Debug, Default)]
pub struct Bars(MultiProgress);

impl Progress for Bars {
    fn note(&self, text: &str) {
        self.0.suspend(|| line(text));
    }
    fn warn(&self, text: &str) {
        self.0.suspend(|| line(&format!("warning: {text}")));
    }
    fn task(&self, name: &str, size: Option<u64>) -> Box<dyn Task> {
        let bar = self.0.add(ProgressBar::new(size.unwrap_or(0)));
        let known =
            "{msg:32!} [{bar:24}] {decimal_bytes:>10}/{decimal_total_bytes:10} {decimal_bytes_per_sec:>12} {eta:>4}";
        bar.set_style(
            ProgressStyle::with_template(known).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "),
        );
        bar.set_message(name.to_owned());
        Box::new(BarTask { all: self.0.clone(), bar })
    }
}

struct BarTask {
    all: MultiProgress,
    bar: ProgressBar,
}

impl Task for BarTask {
    fn expect(&self, size: u64) {
        self.bar.set_length(size);
    }
    fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
    }
    fn note(&self, text: &str) {
        self.all.suspend(|| line(text));
    }
}

impl Drop for BarTask {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
