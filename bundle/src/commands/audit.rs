//! `kube-bundle audit`

use std::path::Path;

use super::Console;
use super::attempt::Attempt;
use super::table::table;
use crate::Error;
use crate::audit::bom::Bom;
use crate::audit::osv::Advisory;
use crate::audit::{Finding, Report, audit as look_up};
use crate::cli::AuditArgs;
use crate::error::ExitCode;
use crate::printable::printable;
use crate::regular::{self, Links};

const SBOM: &str = "sbom.cdx.json";
/// Bytes of the largest list of software, and of the largest advisory.
const LARGEST: u64 = 256 << 20;
const LARGEST_ADVISORY: u64 = 16 << 20;

pub(super) fn audit(args: &AuditArgs, console: &Console) -> Result<(), Error> {
    let command = Attempt { path: &args.bundle, command: "audit", exit: ExitCode::Failed };
    command.expect_bundle()?;
    let path = args.bundle.join(SBOM);
    let bom: Bom = read(&path, LARGEST)?;
    let database = database(&args.osv)?;
    if database.is_empty() {
        return Err(Error::Usage(format!(
            "`{}` holds no advisory: expected the JSON files of an OSV export, unpacked",
            args.osv.display()
        )));
    }
    let report = look_up(&bom, &database);
    console.result(&report, || text(&report))
}

fn read<T: serde::de::DeserializeOwned>(path: &Path, limit: u64) -> Result<T, Error> {
    let text = regular::read(path, Links::Follow, limit);
    let value = text.and_then(|text| Ok(serde_json::from_slice(&text)?));
    value.map_err(|source| Error::Io { verb: "read", path: path.to_owned(), source })
}

/// Every `.json` of a directory, in the order of names. Exports have one file for each advisory.
#[expect(clippy::disallowed_methods, reason = "a command looks at the path that it is given")]
fn database(directory: &Path) -> Result<Vec<Advisory>, Error> {
    let failed = |source| Error::Io { verb: "read", path: directory.to_owned(), source };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    paths.iter().map(|path| read(path, LARGEST_ADVISORY)).collect()
}

fn text(report: &Report<'_>) -> String {
    let version = printable(report.version);
    let age = match report.end_of_life {
        Some(end) => {
            format!("Kubernetes {version} is past its end of life: no fixes since {end}, so what follows is not all.\n")
        }
        None => format!("Kubernetes {version}\n"),
    };
    let date = printable(report.database.get(..10).unwrap_or(report.database)).into_owned();
    let head = format!(
        "{age}Database of {date}, {} advisories. Each is to be looked at: this is no verdict. Of libraries without a known version, all advisories are listed.\n",
        report.advisories
    );
    if report.findings.is_empty() {
        return head + "\nNone of them names anything in this bundle.\n";
    }
    let rows: Vec<_> = report.findings.iter().map(row).collect();
    head + "\n" + &table(&["ADVISORY", "MODULE OR PACKAGE", "VERSION", "FIXED IN", "PROGRAMS", "ABOUT"], &rows)
}

fn row(finding: &Finding<'_>) -> Vec<String> {
    let alias = finding.aliases.iter().find(|alias| alias.starts_with("CVE-")).map(String::as_str);
    let programs: Vec<_> = finding.programs.iter().copied().collect();
    let cells = [
        alias.unwrap_or(finding.id),
        finding.name,
        finding.version.unwrap_or("unknown"),
        finding.fixed.as_deref().unwrap_or("-"),
        &programs.join(" "),
        finding.summary,
    ];
    cells.map(|cell| printable(cell).into_owned()).into()
}
