//! `kube-bundle pki status` and `kube-bundle pki renew`

use std::collections::BTreeSet;

use time::OffsetDateTime;

use super::Console;
use super::cluster::{Cluster, Overrides, jobs};
use super::table::Table;
use crate::cli::ClusterArgs;
use crate::pki::State;
use crate::pki::info::{CertificateInfo, day};
use crate::plan::certificates::CertPlan;
use crate::printable::Tone;
use crate::{Error, clock, pki};

pub(super) fn status(args: &ClusterArgs, check: Option<u16>, console: &Console) -> Result<(), Error> {
    let cluster = Cluster::load(args, &Overrides::default())?;
    let plan = cluster.plan()?;
    let nothing = BTreeSet::new();
    let all = pki::status(&plan.content().pki, &cluster.pki(1, &nothing))?;
    if let Some(days) = check {
        return check_end(&all, days, console);
    }
    if all.is_empty() {
        console.note("There are no certificates yet; `kube-bundle build` makes them");
    }
    console.result(&all, || {
        let now = clock::now();
        let rows = all.iter().map(|line| row(line, now)).collect();
        let table = Table { header: &COLUMNS, rows, spare: &SPARE, sentences: true, paint: console.paint };
        table.text(|row, column| match column {
            0 => Tone::Name,
            _ if column + 1 == COLUMNS.len() => tone(&all[row].state),
            _ => Tone::Plain,
        })
    })
}

/// For cron: says nothing but what ends within `days` days.
fn check_end(all: &[pki::Status], days: u16, console: &Console) -> Result<(), Error> {
    if all.is_empty() {
        // A job that looks into the wrong directory has to be noticed.
        return Err(Error::Usage("`pki/` beside this cluster.toml holds no certificates".to_owned()));
    }
    if console.json() {
        console.result(&all, String::new)?;
    }
    let certificates = pki::expiring(all, clock::now(), days);
    if !certificates.is_empty() {
        return Err(Error::Expiring { days, certificates });
    }
    console.note(&format!("No certificate ends within {days} days"));
    Ok(())
}

const COLUMNS: [&str; 7] = ["ID", "SUBJECT", "SIGNED BY", "FOR", "EXPIRES", "DAYS", "STATE"];

/// SUBJECT, FOR, SIGNED BY: `--json` has them on any terminal.
const SPARE: [usize; 3] = [1, 3, 2];

fn tone(state: &State) -> Tone {
    match state {
        State::Ok => Tone::Good,
        State::Missing | State::Outdated(_) => Tone::Notable,
        State::Unusable(_) => Tone::Bad,
    }
}

fn row(line: &pki::Status, now: OffsetDateTime) -> Vec<String> {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let certificate = line.certificate.as_ref();
    vec![
        line.id.clone(),
        or_dash(certificate.map(|info| info.subject.clone())),
        or_dash(line.issuer.clone()),
        or_dash(certificate.map(purpose)),
        or_dash(line.expires.map(day)),
        or_dash(line.expires.map(|end| (end - now).whole_days().to_string())),
        line.state.to_string(),
    ]
}

fn purpose(info: &CertificateInfo) -> String {
    if info.is_ca {
        return "CA".to_owned();
    }
    info.usages.iter().map(|usage| format!("{usage:?}").to_lowercase()).collect::<Vec<_>>().join(", ")
}

pub(super) fn renew(args: &ClusterArgs, names: Vec<String>, console: &Console) -> Result<(), Error> {
    let cluster = Cluster::load(args, &Overrides::default())?;
    let plan = cluster.plan()?;
    let plan = &plan.content().pki;
    if pki::status(plan, &cluster.pki(1, &BTreeSet::new()))?.is_empty() {
        return Err(Error::Usage(
            "there is nothing to renew beside this cluster.toml; `kube-bundle build` makes the first".to_owned(),
        ));
    }
    let leaves = plan.certificates.iter().filter(|(_, planned)| matches!(planned, CertPlan::Leaf { .. }));
    let renew: BTreeSet<_> = if names.is_empty() {
        leaves.map(|(id, _)| id.clone()).collect()
    } else {
        pki::renewable(plan, &names.into_iter().collect())?
    };
    pki::issue(plan, &cluster.pki(jobs(None), &renew), console.progress())?;
    console
        .note("Next: `kube-bundle build`, then install the new archives; services restart with the new certificates");
    console.result(&renew, || renew.iter().map(|id| format!("{id}\n")).collect())
}
