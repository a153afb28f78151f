//! What explains the bundle to the people who carry and install it: a page and a text, each in two languages.

use serde::Serialize;

use super::{Output, OutputKind};

/// In which language a guide is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Language {
    #[serde(rename = "en")]
    English,
    #[serde(rename = "zh-CN")]
    Chinese,
}

/// What a guide is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// Markdown, which is read as it is.
    Text,
    /// One HTML file with a picture of the cluster, for a browser or a printer.
    Page,
}

/// The guides of a bundle. They name the other outputs, so they come last.
pub(super) fn outputs() -> impl Iterator<Item = Output> {
    let guides = [
        ("README.txt", Language::English, Form::Text),
        ("README.zh-CN.txt", Language::Chinese, Form::Text),
        ("index.html", Language::English, Form::Page),
        ("index.zh-CN.html", Language::Chinese, Form::Page),
    ];
    guides
        .into_iter()
        .map(|(path, language, form)| Output { path: path.to_owned(), kind: OutputKind::Guide { language, form } })
}
