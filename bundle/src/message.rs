//! What `--json` prints on stderr: one JSON object on each line. `docs/json.md` describes it for users.

use serde::Serialize;

use crate::diagnostic::Fault;
use crate::printable::printable_json;

/// One line of stderr.
#[derive(Debug, Serialize)]
#[serde(tag = "level", rename_all = "lowercase")]
pub enum Message {
    /// Something that `--quiet` suppresses.
    Note { message: String },
    /// Something that only `--verbose` shows.
    Detail { message: String },
    /// A problem that does not end the work.
    Warning {
        message: String,
        /// Where it is in `cluster.toml`, if it is there.
        #[serde(skip_serializing_if = "Option::is_none")]
        fault: Option<Fault>,
    },
    /// Why the command failed; at most one, and the last line.
    Error {
        /// Which part of the program failed; a word that stays the same when messages are reworded.
        kind: &'static str,
        /// Exit code of the process.
        exit_code: u8,
        message: String,
        /// What to do next.
        hint: Option<String>,
        /// What led to it, the nearest cause first.
        causes: Vec<String>,
        /// Each error and warning of `cluster.toml`, or each error that a verification found.
        faults: Vec<Fault>,
    },
}

impl Message {
    /// A line without its end. What a terminal would obey is escaped in it, as JSON allows it.
    pub fn line(&self) -> String {
        let json = serde_json::to_string(self).unwrap_or_else(|why| unreachable!("string keys only: {why}"));
        printable_json(&json).into_owned()
    }
}
