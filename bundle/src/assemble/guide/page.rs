//! A guide as a page for a browser or a printer: one file, without scripts and without links to other places.

use pulldown_cmark::{Event, Options, Parser, html};

use crate::plan::guide::Language;

const STYLE: &str = include_str!("style.css");

/// The page of a Markdown text; the picture stands behind its title.
pub(super) fn page(language: Language, text: &str, picture: &str) -> String {
    let (code, other, name) = match language {
        Language::English => ("en", "index.zh-CN.html", "中文"),
        Language::Chinese => ("zh-CN", "index.html", "English"),
    };
    let mut body = String::new();
    // A line's end is a space in English, and nothing between Chinese characters.
    let is_shown = |event: &Event<'_>| language == Language::English || *event != Event::SoftBreak;
    html::push_html(&mut body, Parser::new_ext(text, Options::ENABLE_TABLES).filter(is_shown));
    let title = text.lines().next().unwrap_or_default().trim_start_matches("# ");
    let (head, rest) = body.split_once("</h1>").unwrap_or((&body, ""));
    format!(
        "<!doctype html>\n<html lang=\"{code}\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n\
         <p class=\"other\"><a href=\"{other}\">{name}</a></p>\n{head}</h1>\n{picture}{rest}</html>\n"
    )
}
