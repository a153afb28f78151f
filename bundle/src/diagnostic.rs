//! A fault in a text file: what is wrong, where, and what to do, drawn as rustc and cargo draw it.

use std::fmt::Write as _;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Nothing is built.
    Error,
    /// Allowed, though hardly what is wanted.
    Warning,
}

/// One fault, with byte ranges into the text it was found in.
#[derive(Debug, Clone)]
pub struct Diagnostic {
    severity: Severity,
    message: String,
    span: Range<usize>,
    label: String,
    other: Option<(Range<usize>, String)>,
    help: Option<String>,
}

impl Diagnostic {
    /// A fault at `span`; `label` stands beside the caret.
    pub fn error(span: Range<usize>, message: impl Into<String>, label: impl Into<String>) -> Self {
        Self { severity: Severity::Error, message: message.into(), span, label: label.into(), other: None, help: None }
    }

    /// The same as a warning.
    pub fn warning(span: Range<usize>, message: impl Into<String>, label: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(span, message, label) }
    }

    /// Points at a second place that belongs to the fault.
    #[must_use]
    pub fn and(mut self, span: Range<usize>, label: impl Into<String>) -> Self {
        self.other = Some((span, label.into()));
        self
    }

    /// What to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Error or warning.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// What is wrong, without place and help.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The fault with file, line, caret and help, in colour or without.
    pub fn render(&self, file: &str, text: &str, colour: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let primary = AnnotationKind::Primary.span(clamp(&self.span, text)).label(self.label.as_str());
        let mut snippet = Snippet::source(text).path(file).annotation(primary);
        if let Some((span, label)) = &self.other {
            snippet = snippet.annotation(AnnotationKind::Context.span(clamp(span, text)).label(label.as_str()));
        }
        let mut group = level.primary_title(self.message.as_str()).element(snippet);
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&[group])
    }
}

/// A parser may point one past the end, and an empty file has no place at all.
fn clamp(span: &Range<usize>, text: &str) -> Range<usize> {
    span.start.min(text.len())..span.end.min(text.len())
}

/// All faults of one file.
#[derive(Debug, Clone)]
pub struct Faults {
    /// The file as the user named it.
    pub file: String,
    /// Its text, for the excerpts.
    pub text: String,
    /// What was found, in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
}

impl Faults {
    /// Sorts by place, so the user reads down the file.
    pub fn new(file: &str, text: &str, mut diagnostics: Vec<Diagnostic>) -> Self {
        diagnostics.sort_by_key(|fault| fault.span.start);
        Self { file: file.to_owned(), text: text.to_owned(), diagnostics }
    }

    /// Every fault drawn, then a line that counts them.
    pub fn render(&self, colour: bool) -> String {
        let mut out = String::new();
        for fault in &self.diagnostics {
            out.push_str(&fault.render(&self.file, &self.text, colour));
            out.push_str("\n\n");
        }
        let errors = self.diagnostics.iter().filter(|fault| fault.severity == Severity::Error).count();
        if errors > 0 {
            let plural = if errors == 1 { "fault" } else { "faults" };
            // Writing to a string can't fail.
            let _ = write!(out, "error: {errors} {plural} in `{}`", self.file);
        }
        out.trim_end().to_owned()
    }
}
