//! `kube-bundle verify`

use std::path::Path;

use super::Console;
use super::attempt::Attempt;
use super::console::show;
use crate::cli::TrustArgs;
use crate::error::ExitCode;
use crate::manifest::{LARGEST_LIST, SIGNATURE, SUMS};
use crate::printable::{Paint, Tone, printable};
use crate::progress::bytes;
use crate::regular::{self, Links};
use crate::sign::PublicKey;
use crate::trust::{Trust, key_of};
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
        report.want_keys(args.threshold.into());
    }
    report.warnings.iter().for_each(|warning| console.progress().warn(&printable(warning)));
    if console.json() {
        console.result(&report, String::new)?;
    }
    if let Some(cause) = report.cause() {
        return Err(Error::Verification { path: path.to_owned(), faults: report.faults, cause });
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
        report.want_keys(threshold.into());
    }
    match report.cause() {
        None => Ok(report),
        Some(cause) => Err(Error::Verification { path: path.to_owned(), faults: report.faults, cause }),
    }
}

/// Whose signature lies beside the list of checksums, whether anybody trusts it or not.
fn signer_of(directory: &Path) -> Option<PublicKey> {
    let read = |name| regular::read(&directory.join(name), Links::Refuse, LARGEST_LIST).ok();
    key_of(str::from_utf8(&read(SIGNATURE)?).ok()?, &read(SUMS)?)
}

/// The verdict for people. Checksums say that nothing was damaged, and not who made them.
pub(super) fn result(path: &Path, report: &verifier::Report, paint: Paint) -> String {
    let signer = report.signed_by.is_empty().then(|| signer_of(path)).flatten();
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
        let not_checked = paint.text("origin not checked", Tone::Notable);
        let signer = signer.map(|key| format!("it is signed by the key {key}, and ")).unwrap_or_default();
        return text + &not_checked + ": " + &signer + "`--trust DIR` compares who signed it with the keys in DIR";
    }
    if !report.rebuilt_by.is_empty() {
        text += &format!("built again, with the same result, by the key {}\n", report.rebuilt_by.join(", and by "));
    }
    text + &paint.text("signed by the trusted key", Tone::Good) + " " + &report.signed_by.join(", and by ")
}
