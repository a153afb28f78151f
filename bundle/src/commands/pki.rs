//! `kube-bundle pki status` and `kube-bundle pki renew`

use std::collections::BTreeSet;

use super::Console;
use super::cluster::{Cluster, Overrides, jobs};
use super::console::table;
use crate::cli::ClusterArgs;
use crate::pki::info::day;
use crate::plan::certificates::CertPlan;
use crate::{Error, clock, pki};

pub(super) fn status(args: &ClusterArgs, console: &Console) -> Result<(), Error> {
    let cluster = Cluster::load(args, &Overrides::default(), console)?;
    let plan = cluster.plan()?;
    let nothing = BTreeSet::new();
    let all = pki::status(&plan.content().pki, &cluster.pki(1, &nothing))?;
    if all.is_empty() {
        console.note("There are no certificates yet; `kube-bundle build` makes them");
    }
    console.result(&all, || {
        let now = clock::now();
        let row = |line: &pki::Status| {
            let end = line.certificate.as_ref().map(|info| info.not_after);
            let usages = line.certificate.as_ref().map(|info| match (info.is_ca, &info.usages) {
                (true, _) => "CA".to_owned(),
                (false, usages) => {
                    usages.iter().map(|usage| format!("{usage:?}").to_lowercase()).collect::<Vec<_>>().join(", ")
                }
            });
            let subject = line.certificate.as_ref().map(|info| info.subject.clone());
            vec![
                line.id.clone(),
                subject.unwrap_or_else(|| "-".to_owned()),
                line.issuer.clone().unwrap_or_else(|| "-".to_owned()),
                usages.unwrap_or_else(|| "-".to_owned()),
                end.map_or_else(|| "-".to_owned(), day),
                end.map_or_else(|| "-".to_owned(), |end| (end - now).whole_days().to_string()),
                line.state.clone(),
            ]
        };
        table(
            &["ID", "SUBJECT", "SIGNED BY", "FOR", "EXPIRES", "DAYS", "STATE"],
            &all.iter().map(row).collect::<Vec<_>>(),
        )
    })
}

pub(super) fn renew(args: &ClusterArgs, ids: Vec<String>, console: &Console) -> Result<(), Error> {
    let cluster = Cluster::load(args, &Overrides::default(), console)?;
    let plan = cluster.plan()?;
    let planned = &plan.content().pki;
    let nothing = BTreeSet::new();
    if pki::status(planned, &cluster.pki(1, &nothing))?.is_empty() {
        return Err(Error::Usage(
            "there is nothing to renew beside this cluster.toml; `kube-bundle build` makes the first".to_owned(),
        ));
    }
    let leaves = planned.certificates.iter().filter(|(_, planned)| matches!(planned, CertPlan::Leaf { .. }));
    let renew: BTreeSet<_> =
        if ids.is_empty() { leaves.map(|(id, _)| id.clone()).collect() } else { ids.into_iter().collect() };
    pki::issue(planned, &cluster.pki(jobs(None), &renew), console.progress())?;
    console
        .note("Next: `kube-bundle build`, then install the new archives; services restart with the new certificates");
    console.result(&renew, || renew.iter().map(|id| format!("{id}\n")).collect())
}
