//! What a wrong clock does, since a test of the program can't set one.
#![expect(clippy::disallowed_methods, reason = "a test looks at files, and takes some away")]

use std::path::Path;

use tempfile::TempDir;
use time::{Date, Month};

use super::*;
use crate::plan::certificates::Name;
use crate::progress::Quiet;
use crate::recipe::layout::Usage;
use crate::spec::{KeyAlgorithm, Subject};

const NOW: OffsetDateTime = new_year(2026);

/// The first moment of a year.
const fn new_year(year: i32) -> OffsetDateTime {
    match Date::from_calendar_date(year, Month::January, 1) {
        Ok(date) => date.midnight().assume_utc(),
        Err(_) => panic!("no such year"),
    }
}

/// A CA, a client and a key pair.
fn plan() -> PkiPlan {
    let name =
        |common_name: &str| Name { place: Subject::default(), organization: None, common_name: common_name.to_owned() };
    let ca = CertPlan::Authority { subject: name("kubernetes"), lifetime: "3650d".parse().expect("is there") };
    let admin = CertPlan::Leaf {
        issuer: "ca".to_owned(),
        subject: name("admin"),
        usages: vec![Usage::Client],
        names: Vec::new(),
        lifetime: "365d".parse().expect("is there"),
    };
    let certificates = [("ca", ca), ("admin", admin), ("service-account", CertPlan::KeyPair)];
    PkiPlan {
        key: KeyAlgorithm::EcdsaP256,
        token_validity: "7d".parse().expect("is there"),
        certificates: certificates.into_iter().map(|(id, planned)| (id.to_owned(), planned)).collect(),
        seal: None,
    }
}

fn issue_at(directory: &Path, now: OffsetDateTime) -> Result<Pki, Error> {
    issue(
        &plan(),
        &PkiContext { directory, base: directory, now, jobs: 1, renew: &BTreeSet::new(), passphrase: None },
        &Quiet,
    )
}

#[expect(clippy::disallowed_methods, reason = "a test looks at what was written")]
fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let names = crate::out::list(directory).expect("is there");
    names.into_iter().map(|name| (name.clone(), std::fs::read(directory.join(&name)).expect("is there"))).collect()
}

#[test]
fn a_run_of_the_far_future_fails_and_changes_nothing() {
    let directory = TempDir::new().expect("is there");
    issue_at(directory.path(), NOW).expect("works");
    let before = files(directory.path());
    for now in [new_year(2100), new_year(9990), new_year(9999)] {
        assert!(matches!(issue_at(directory.path(), now), Err(Error::Expired { .. })));
    }
    let token = directory.path().join("bootstrap-token.json");
    std::fs::remove_file(&token).expect("is there");
    assert!(issue_at(directory.path(), new_year(9990)).is_err());
    assert!(!token.exists(), "no token was drawn that lives for ever");
    issue_at(directory.path(), NOW).expect("works");
    let after = files(directory.path());
    assert!(before.iter().all(|(name, bytes)| name == "bootstrap-token.json" || after[name] == *bytes));
}

#[test]
fn what_a_clock_a_year_ahead_issued_is_reissued() {
    let directory = TempDir::new().expect("is there");
    let first = issue_at(directory.path(), NOW).expect("works");
    issue_at(directory.path(), NOW + time::Duration::days(370)).expect("works");
    let now = NOW + time::Duration::hours(1);
    let pki = issue_at(directory.path(), now).expect("works");
    let (begin, end) = pki.window();
    assert!(begin <= now && end < NOW + time::Duration::days(366), "{begin} to {end}");
    assert!(pki.token().expiration <= now + time::Duration::days(7));
    assert!(pki.certificate("ca").expect("is there").public == first.certificate("ca").expect("is there").public);
}

#[test]
fn a_ca_of_tomorrow_is_refused_today() {
    let directory = TempDir::new().expect("is there");
    issue_at(directory.path(), NOW + time::Duration::days(2)).expect("works");
    assert!(matches!(issue_at(directory.path(), NOW), Err(Error::NotYetValid { .. })));
}

#[test]
fn a_clock_near_the_end_of_time_is_an_error() {
    for now in [new_year(9998), new_year(9999) + time::Duration::days(364)] {
        let directory = TempDir::new().expect("is there");
        let why = issue_at(directory.path(), now).err().expect("fails").to_string();
        assert!(why.contains("could not sign `ca`: a lifetime of 10y from"), "{why}");
        assert!(!directory.path().join("ca.pem").exists());
    }
}

#[test]
fn a_token_for_less_time_than_the_old_one_is_drawn_anew() {
    let token = BootstrapToken::draw(NOW + time::Duration::days(7)).expect("works");
    let reason = |validity: &str, now| token.reason_to_replace(validity.parse().expect("is there"), now);
    assert_eq!(reason("7d", NOW), None);
    assert_eq!(reason("7d", NOW - time::Duration::hours(23)), None, "a clock that was put right by a little");
    assert!(
        reason("7d", NOW - time::Duration::hours(25)).expect("is there").starts_with("it would live until 2026-01-08")
    );
    assert!(reason("5d", NOW).is_some());
    assert!(reason("7d", token.expiration).expect("is there").starts_with("the old one expired"));
}

#[test]
fn a_revision_is_counted_once_for_each_content() {
    let directory = TempDir::new().expect("is there");
    let content = |text: &str| crate::hash::Sha256::of(text.as_bytes());
    let next = |text: &str| revision::of_content(directory.path(), content(text)).expect("works");
    assert_eq!(next("a").number(), 1);
    assert_eq!(next("b").number(), 1, "nothing was recorded");
    next("a").write(directory.path()).expect("works");
    assert_eq!((next("a").number(), next("b").number()), (1, 2));
    next("b").write(directory.path()).expect("works");
    assert_eq!((next("b").number(), next("a").number()), (2, 3), "a change taken back is a change");
}

#[test]
fn of_two_builds_at_a_time_only_one_gets_a_number() {
    let directory = TempDir::new().expect("is there");
    let begin =
        |text: &str| revision::of_content(directory.path(), crate::hash::Sha256::of(text.as_bytes())).expect("works");
    let (first, second, same) = (begin("a"), begin("b"), begin("a"));
    first.write(directory.path()).expect("works");
    same.write(directory.path()).expect("the same bundle has the same number");
    assert!(matches!(second.write(directory.path()), Err(Error::Numbered { .. })));
    assert_eq!((begin("a").number(), begin("b").number()), (1, 2), "what was recorded is still there");

    let (slow, fast, faster) = (begin("b"), begin("b"), begin("c"));
    fast.write(directory.path()).expect("works");
    assert!(faster.write(directory.path()).is_err());
    begin("d").write(directory.path()).expect("works");
    assert!(slow.write(directory.path()).is_err(), "the counter never goes backwards");
    assert_eq!(begin("e").number(), 4);
}
