//! `kube-bundle verify`

use std::collections::BTreeSet;
use std::path::Path;

use super::Console;
use super::attempt::Attempt;
use super::console::show;
use crate::error::ExitCode;
use crate::printable::{Paint, Tone, printable};
use crate::progress::bytes;
use crate::trust::Trust;
use crate::{Error, clock, verify as verifier};

#[expect(clippy::disallowed_methods, reason = "a command looks at the path that it is given")]
pub(super) fn verify(
    path: &Path,
    deep: bool,
    trust: Option<&Path>,
    threshold: usize,
    console: &Console,
) -> Result<(), Error> {
    let trust = trust.map(|directory| Trust::read(directory, clock::now())).transpose()?;
    let command = Attempt { path, command: "verify", exit: ExitCode::Verification };
    let report = if path.is_dir() {
        command.expect_bundle()?;
        verifier::directory(path, deep, trust.as_ref())
    } else {
        verifier::file(path, trust.as_ref())
    };
    let mut report = report.map_err(|source| command.failed(source))?;
    if trust.is_some() && report.faults.is_empty() {
        report.faults.extend(too_few(&report, threshold));
    }
    report.warnings.iter().for_each(|warning| console.progress().warn(&printable(warning)));
    if console.json() {
        console.result(&report, String::new)?;
    }
    if !report.faults.is_empty() {
        return Err(Error::Verification { path: path.to_owned(), faults: report.faults });
    }
    if console.json() { Ok(()) } else { show(&result(path, &report, console.paint)) }
}

/// That fewer keys vouch for a bundle than the user wants. One that signed it and rebuilt it counts once.
fn too_few(report: &verifier::Report, threshold: usize) -> Option<String> {
    let keys: BTreeSet<_> = report.signed_by.iter().chain(&report.rebuilt_by).collect();
    let counted = keys.len();
    (counted < threshold).then(|| format!("{threshold} trusted keys must vouch for it, and {counted} do"))
}

/// The verdict for people. Checksums say that nothing was damaged, and not who made them.
pub(super) fn result(path: &Path, report: &verifier::Report, paint: Paint) -> String {
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
    if report.signed_by.is_empty() {
        return text + &paint.text("origin not checked", Tone::Notable);
    }
    if !report.rebuilt_by.is_empty() {
        text += &format!("built again, with the same result, by the key {}\n", report.rebuilt_by.join(", and by "));
    }
    text + &paint.text("signed by the trusted key", Tone::Good) + " " + &report.signed_by.join(", and by ")
}
