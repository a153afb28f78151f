//! Why the text of a value is refused, and what to write instead.

use std::convert::Infallible;

/// Why a text is no name, address or URL. The message says what is wrong, or what was expected.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{why}")]
pub struct BadValue {
    why: String,
    help: Option<String>,
}

impl BadValue {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), help: None }
    }

    /// Adds what to write instead.
    #[must_use]
    pub(super) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// Both in one sentence, for a message that has no place for the second.
    pub fn sentence(&self) -> String {
        match &self.help {
            Some(help) => format!("{}; {help}", self.why),
            None => self.why.clone(),
        }
    }

    /// What to write instead, where that can be guessed from the text.
    pub fn way_out(&self) -> Option<&str> {
        self.help.as_deref()
    }
}

impl From<String> for BadValue {
    fn from(why: String) -> Self {
        Self::new(why)
    }
}

impl From<Infallible> for BadValue {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
