//! Errors and warnings about a text file, with excerpt, caret and help, in the style of rustc.

use std::fmt::Write as _;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
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

/// A place in a text. Both are counted from 1, columns in characters.
fn place(offset: usize, text: &str) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(offset)];
    let line = before.rsplit('\n').next().unwrap_or(before);
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

/// A TOML parser may point one past the end of the text, and an empty file has no position at all.
fn clamp(span: &Range<usize>, text: &str) -> Range<usize> {
    span.start.min(text.len())..span.end.min(text.len())
}

/// An error or warning in parts, for programs.
#[derive(Debug, Clone, Serialize)]
pub struct Fault {
    pub severity: Severity,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// The error or warning in a sentence.
    pub message: String,
    /// How to correct it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Another place that it is about, such as the first of two equal names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other: Option<Place>,
}

/// A place in a file, and what is said of it there.
#[derive(Debug, Clone, Serialize)]
pub struct Place {
    /// The file's name as the user gave it.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    pub label: String,
}

impl Fault {
    /// An error that has no place in a text file.
    pub fn nowhere(message: &str) -> Self {
        Self { severity: Severity::Error, place: None, message: message.to_owned(), help: None, other: None }
    }
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

    /// The same for programs.
    pub fn list(&self) -> Vec<Fault> {
        let place = |span: &Range<usize>, label: &str| {
            let (line, column) = place(span.start.min(self.text.len()), &self.text);
            Place { file: self.file.clone(), line, column, label: label.to_owned() }
        };
        let fault = |it: &Diagnostic| Fault {
            severity: it.severity,
            place: Some(place(&it.span, &it.label)),
            message: it.message.clone(),
            help: it.help.clone(),
            other: it.other.as_ref().map(|(span, label)| place(span, label)),
        };
        self.diagnostics.iter().map(fault).collect()
    }

    /// How many errors the file has; `None` if there are only warnings.
    pub fn summary(&self) -> Option<String> {
        let errors = self.diagnostics.iter().filter(|fault| fault.severity == Severity::Error).count();
        let plural = if errors == 1 { "error" } else { "errors" };
        (errors > 0).then(|| format!("{errors} {plural} in `{}`", self.file))
    }

    /// Every error and warning, then a line with the number of errors.
    pub fn render(&self, colour: bool) -> String {
        let mut out = String::new();
        for fault in &self.diagnostics {
            out.push_str(&fault.render(&self.file, &self.text, colour));
            out.push_str("\n\n");
        }
        if let Some(summary) = self.summary() {
            // Writing to a string can't fail.
            let _ = write!(out, "error: {summary}");
        }
        out.trim_end().to_owned()
    }
}
