//! Arguments that clap refuses: as text, or as JSON where `--json` is among them.

use std::ffi::OsString;

use crate::error::ExitCode;
use crate::message::Message;

/// Prints what clap says, which may be the help that was asked for; returns the exit code.
#[expect(clippy::print_stderr, reason = "errors go to stderr")]
pub fn refuse(why: &clap::Error, mut arguments: impl Iterator<Item = OsString>) -> u8 {
    let is_json = arguments.by_ref().take_while(|argument| argument != "--").any(|argument| argument == "--json");
    if why.use_stderr() && is_json {
        eprintln!("{}", message(why).line());
    } else {
        // Nobody is left to tell when this fails.
        let _ = why.print();
    }
    u8::try_from(why.exit_code()).unwrap_or(ExitCode::Usage as u8)
}

/// clap prints paragraphs: the error, tips, the usage, and how to get help.
fn message(why: &clap::Error) -> Message {
    let text = why.render().to_string();
    let tips: Vec<_> = text.lines().filter_map(|line| line.trim().strip_prefix("tip: ")).collect();
    let message = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ").trim_end().to_owned();
    let hint =
        if tips.is_empty() { "`kube-bundle --help` lists commands and options".to_owned() } else { tips.join("; ") };
    Message::Error {
        kind: "usage",
        exit_code: ExitCode::Usage as u8,
        message,
        hint: Some(hint),
        causes: Vec::new(),
        faults: Vec::new(),
    }
}
