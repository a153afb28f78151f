//! Who vouches for a bundle: signatures of its checksum list by keys that the user trusts.

use std::collections::{BTreeMap, BTreeSet};

use super::{Cause, Report};
use crate::manifest::provenance::PAYLOAD_TYPE;
use crate::manifest::{MOST_SIGNERS, PROVENANCE, SUMS, signature_files, signature_files_of};
use crate::sign::PublicKey;
use crate::trust::{self, Refusal, Trust};

/// Text of each file of signatures, by its name.
pub(super) type Signatures = BTreeMap<String, String>;

/// Checks all signatures of a checksum list. One by a trusted key is enough, since others may be by keys that somebody else
/// trusts; but none may be damaged. Returns the keys that they name, trusted or not.
pub(super) fn check(report: &mut Report, trust: &Trust, sums: &[u8], signatures: &Signatures) -> Vec<PublicKey> {
    let found = signature_files().filter_map(|name| Some((signatures.get(&name)?, name)));
    let results: Vec<_> = found.map(|(text, name)| (trust.signer(&name, text, sums), name)).collect();
    let mut keys: Vec<_> = results.iter().filter_map(|(result, _)| result.ok()).collect();
    keys.sort_unstable();
    keys.dedup();
    if results.is_empty() {
        report.fault_of(Cause::Unsigned, format!("{SUMS}: it has no signature"));
    }
    for (why, name) in results.iter().filter_map(|(result, name)| Some((result.err()?, name))) {
        if keys.is_empty() || !is_of_another(why, name, &results) {
            report.fault_of(cause(why), format!("{name}: {why}"));
        } else {
            report.warnings.push(format!("{name}: {why}"));
        }
    }
    report.signed_by = keys.iter().map(ToString::to_string).collect();
    let others = results.iter().filter_map(|(result, _)| result.err()?.key());
    keys.into_iter().chain(others).collect()
}

/// Checks the signed statement of how the bundle was built, which follows from its lists: `expected`. It is signed by `keys`,
/// those that signed the checksum list, of which one is trusted.
pub(super) fn check_provenance(report: &mut Report, envelope: Option<&str>, expected: &str, keys: &[PublicKey]) {
    let Some(envelope) = envelope else {
        return report.fault_of(Cause::Unsigned, format!("{PROVENANCE}: missing"));
    };
    match trust::envelope(envelope, PAYLOAD_TYPE, expected, keys) {
        Ok(signers) if signers.iter().any(|key| report.signed_by.contains(&key.to_string())) => {}
        Ok(_) => report.fault_of(Cause::Untrusted, format!("{PROVENANCE}: {}", Refusal::NoTrustedKey)),
        Err(why) => report.fault_of(cause(why), format!("{PROVENANCE}: {why}")),
    }
}

/// Checks that a signed bundle has all that `sign` writes, as regular files: machines check with what they have, and one that
/// has gpgv alone would refuse a bundle without SHA256SUMS.asc.
pub(super) fn check_complete(report: &mut Report, files: &BTreeSet<String>, signatures: &Signatures) {
    let of_signers = (1..=MOST_SIGNERS).map(signature_files_of).filter(|of| of.iter().any(|name| files.contains(name)));
    let mut expected: Vec<_> = of_signers.flatten().collect();
    if !signatures.is_empty() {
        expected.push(format!("{SUMS}.asc"));
    }
    for name in expected.iter().filter(|name| !signatures.contains_key(*name)) {
        let why = if files.contains(name) { "not a regular file that can be read" } else { "missing" };
        report.fault_of(Cause::Damaged, format!("{name}: {why}"));
    }
}

/// Checks the signature of a text that stands in the same file as the text.
pub(super) fn check_one(report: &mut Report, trust: &Trust, name: &str, signed: Option<&str>, text: &[u8]) {
    let Some(signed) = signed else {
        return report.fault_of(Cause::Unsigned, format!("{name}: missing"));
    };
    if let Err(why) = trust.signer(name, signed, text) {
        report.fault_of(cause(why), format!("{name}: {why}"));
    }
}

/// Checks what others say who built the bundle again. Keys that are not trusted say nothing.
pub(super) fn attested(report: &mut Report, trust: &Trust, public: &[u8], attestations: &Signatures) {
    for (name, attestation) in attestations {
        match trust.rebuilder(attestation, public) {
            Ok(key) => report.rebuilt_by.push(key.to_string()),
            Err(why) if is_of_another(why, name, &[]) => report.warnings.push(format!("{name}: {why}")),
            Err(why) => report.fault_of(cause(why), format!("{name}: {why}")),
        }
    }
}

fn cause(why: Refusal) -> Cause {
    match why {
        Refusal::NoTrustedKey => Cause::Untrusted,
        _ if why.key().is_some() => Cause::Untrusted,
        _ => Cause::Damaged,
    }
}

/// Whether a signature may be right, and by a key that others trust. One that does not say by which key it is, is that if
/// the one beside it is.
fn is_of_another(why: Refusal, name: &str, results: &[(Result<PublicKey, Refusal>, String)]) -> bool {
    match why {
        Refusal::Unknown(_)
        | Refusal::TrustedFor(..)
        | Refusal::Revoked(_)
        | Refusal::Expired(..)
        | Refusal::NotYet(..) => true,
        Refusal::Unreadable | Refusal::OtherPurpose | Refusal::OtherText | Refusal::Wrong(_) => false,
        Refusal::NoTrustedKey => {
            let beside = name.strip_suffix("ed25519").map(|stem| format!("{stem}sig"));
            let beside = results.iter().find(|(_, name)| Some(name) == beside.as_ref());
            matches!(beside, Some((Err(why), _)) if *why != Refusal::NoTrustedKey && is_of_another(*why, "", results))
        }
    }
}
