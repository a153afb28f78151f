//! Errors and warnings about a text file, with excerpt, caret and help, in the style of rustc.

use std::fmt::Write as _;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The file is rejected.
    Error,
    /// The file is accepted, but this is probably a mistake.
    Warning,
}

/// One error or warning. Spans are byte ranges in the text.
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
    /// An error at `span`; `label` is printed next to the caret.
    pub fn error(span: Range<usize>, message: impl Into<String>, label: impl Into<String>) -> Self {
        Self { severity: Severity::Error, message: message.into(), span, label: label.into(), other: None, help: None }
    }

    /// Like [`Self::error`], but the file is accepted.
    pub fn warning(span: Range<usize>, message: impl Into<String>, label: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(span, message, label) }
    }

    /// Adds a second place in the text, with its own label.
    #[must_use]
    pub fn and(mut self, span: Range<usize>, label: impl Into<String>) -> Self {
        self.other = Some((span, label.into()));
        self
    }

    /// Adds a line that says how to fix it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// The title only, without location and help.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The whole text: title, file, line, excerpt, caret and help. `colour` adds ANSI escapes.
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

/// A TOML parser may point one past the end of the text, and an empty file has no position at all.
fn clamp(span: &Range<usize>, text: &str) -> Range<usize> {
    span.start.min(text.len())..span.end.min(text.len())
}

/// All errors and warnings of one file.
#[derive(Debug, Clone)]
pub struct Faults {
    /// The file's name as the user gave it.
    pub file: String,
    /// The file's text, for excerpts.
    pub text: String,
    /// Sorted by position in the text.
    pub diagnostics: Vec<Diagnostic>,
}

impl Faults {
    /// Sorts by position, so that the user can work through the file from top to bottom.
    pub fn new(file: &str, text: &str, mut diagnostics: Vec<Diagnostic>) -> Self {
        diagnostics.sort_by_key(|fault| fault.span.start);
        Self { file: file.to_owned(), text: text.to_owned(), diagnostics }
    }

    /// Every error and warning, then a line with the number of errors.
    pub fn render(&self, colour: bool) -> String {
        let mut out = String::new();
        for fault in &self.diagnostics {
            out.push_str(&fault.render(&self.file, &self.text, colour));
            out.push_str("\n\n");
        }
        let errors = self.diagnostics.iter().filter(|fault| fault.severity == Severity::Error).count();
        if errors > 0 {
            let plural = if errors == 1 { "error" } else { "errors" };
            // Writing to a string can't fail.
            let _ = write!(out, "error: {errors} {plural} in `{}`", self.file);
        }
        out.trim_end().to_owned()
    }
}
