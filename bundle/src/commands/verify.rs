//! `kube-bundle verify`

use std::path::Path;

use super::Console;
use super::attempt::Attempt;
use super::console::show;
use crate::error::ExitCode;
use crate::printable::{Paint, Tone, printable};
use crate::progress::bytes;
use crate::{Error, verify as verifier};

#[expect(clippy::disallowed_methods, reason = "a command looks at the path that it is given")]
pub(super) fn verify(path: &Path, deep: bool, console: &Console) -> Result<(), Error> {
    let command = Attempt { path, command: "verify", exit: ExitCode::Verification };
    let report = if path.is_dir() {
        command.expect_bundle()?;
        verifier::directory(path, deep)
    } else {
        verifier::file(path)
    };
    let report = report.map_err(|source| command.failed(source))?;
    report.warnings.iter().for_each(|warning| console.progress().warn(&printable(warning)));
    if console.json() {
        console.result(&report, String::new)?;
    }
    if !report.faults.is_empty() {
        return Err(Error::Verification { path: path.to_owned(), faults: report.faults });
    }
    if console.json() { Ok(()) } else { show(&result(path, &report, console.paint)) }
}

/// What was found. Checksums say that nothing was damaged, and not who made them.
fn result(path: &Path, report: &verifier::Report, paint: Paint) -> String {
    let path = path.display().to_string();
    let (path, files) = (printable(&path), report.files);
    let verdict = paint.text("all checksums match", Tone::Good);
    let mut text = format!("{path}: {files} files, {}, {verdict}\n", bytes(report.bytes));
    if !report.not_compared.is_empty() {
        let names = report.not_compared.join(", ");
        text += &format!(
            "not compared: {} (in no list of this file; `verify OUT --deep` compares all)\n",
            printable(&names)
        );
    }
    text + &paint.text("origin not checked", Tone::Notable)
}
