//! `kube-bundle verify`

use std::collections::BTreeSet;
use std::path::Path;

use super::Console;
use super::attempt::Attempt;
use super::console::show;
use crate::cli::TrustArgs;
use crate::error::ExitCode;
use crate::printable::{Paint, Tone, printable};
use crate::progress::bytes;
use crate::trust::Trust;
use crate::{Error, clock, verify as verifier};

#[expect(clippy::disallowed_methods, reason = "a command looks at the path that it is given")]
pub(super) fn verify(path: &Path, deep: bool, args: &TrustArgs, console: &Console) -> Result<(), Error> {
    let trust = trust(args)?;
    let command = Attempt { path, command: "verify", exit: ExitCode::Verification };
    let report = if verifier::is_thin(path) {
        if deep {
            return Err(Error::Usage(
                "`--deep` reads artifacts, and a thin copy has none: `kube-bundle import` first".into(),
            ));
        }
        verifier::thin(path, trust.as_ref())
    } else if path.is_dir() {
        command.expect_bundle()?;
        verifier::directory(path, deep, trust.as_ref())
    } else {
        verifier::file(path, trust.as_ref())
    };
    let mut report = report.map_err(|source| command.failed(source))?;
    if trust.is_some() && report.faults.is_empty() {
        report.faults.extend(too_few(&report, args.threshold.into()));
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

/// The keys that the user trusts, if that is asked for.
pub(super) fn trust(args: &TrustArgs) -> Result<Option<Trust>, Error> {
    Ok(args.trust.as_deref().map(|directory| Trust::read(directory, clock::now())).transpose()?)
}

/// That so many keys as the user wants vouch for what is in `directory`; errors call it `path`.
pub(super) fn check_origin(
    directory: &Path,
    path: &Path,
    trust: &Trust,
    threshold: u8,
) -> Result<verifier::Report, Error> {
    let report = verifier::origin(directory, trust);
    let mut report = report.map_err(|source| Error::Io { verb: "read", path: directory.to_owned(), source })?;
    if report.faults.is_empty() {
        report.faults.extend(too_few(&report, threshold.into()));
    }
    if report.faults.is_empty() {
        Ok(report)
    } else {
        Err(Error::Verification { path: path.to_owned(), faults: report.faults })
    }
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
    let what = report.thin.as_ref().map(|thin| format!("{thin}: ")).unwrap_or_default();
    let mut text = format!("{path}: {what}{files} files, {}, {verdict}\n", bytes(report.bytes));
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
