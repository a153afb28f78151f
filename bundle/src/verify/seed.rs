//! What a first boot reads: an image with `SHA256SUMS` over all files in it, and, on a machine's own, user data that lists
//! the sha256 of what the machine installs.

use std::collections::BTreeMap;

use super::expected::{Entries, Expected, compare, parents, sums};
use super::{Report, kept};
use crate::hash::Sha256;
use crate::inspect::{Contents, Kind};
use crate::manifest::SUMS;
use crate::target::Mode;

/// cloud-init's names.
pub(super) const USER_DATA: &str = "user-data";
pub(super) const META_DATA: &str = "meta-data";
pub(super) const NETWORK_CONFIG: &str = "network-config";

/// Where the kernel unpacks what cloud-init is to find.
const IN_INITRAMFS: &str = "kube-bundle/seed/";
/// What lies here is run by the initramfs.
const INITRAMFS_SCRIPTS: &str = "scripts/";
/// cloud-init looks for a disk of this name; the second is for a disk that machines share.
const LABEL: &str = "cidata";
const SHARED_LABEL: &str = "kube-bundle";
/// The line that begins the list in user data, and the one that ends it.
const PAYLOAD_BEGIN: &str = "<<'SHA256SUMS'";
const PAYLOAD_END: &str = "SHA256SUMS";
/// Digits of the digest that ends the name of an instance.
const INSTANCE_DIGITS: usize = 16;

pub(super) fn check(report: &mut Report, contents: &Contents) {
    let prefix = if contents.kind == Kind::Cpio { IN_INITRAMFS } else { "" };
    let of_seed = |name: &str| kept(contents, &format!("{prefix}{name}"));
    let Some(list) = of_seed(SUMS) else {
        return report.fault(format!("it has no {prefix}{SUMS}: not a cloud-init seed"));
    };
    let listed = sums(report, SUMS, list);
    // No other list has this one, so its form is all that can be compared.
    if listed.iter().map(|(path, sha256)| format!("{sha256}  {path}\n")).collect::<String>() != list {
        report.fault(format!("{prefix}{SUMS}: not sorted, or without an end of a line"));
    }
    let user_data = of_seed(USER_DATA);
    let label = if user_data.is_some() { LABEL } else { SHARED_LABEL };
    if let Some(got) = contents.label.as_ref().filter(|got| *got != label) {
        report.fault(format!("it is labelled `{got}`, and is found as `{label}`"));
    }
    let mut own = String::new();
    if let Some(user_data) = user_data {
        let machine = check_instance(report, user_data, of_seed(META_DATA), of_seed(NETWORK_CONFIG));
        own = machine.unwrap_or_default();
        check_payload(report, user_data, &own, prefix, &listed);
    }
    let expected = entries(contents.kind, prefix, user_data.is_some(), &own, &listed);
    compare(report, &expected, contents, SUMS);
}

/// What the image should hold.
fn entries(kind: Kind, prefix: &str, is_machines: bool, own: &str, listed: &BTreeMap<&str, Sha256>) -> Entries {
    let list = format!("{prefix}{SUMS}");
    let files = listed.iter().map(|(path, sha256)| (*path, Some(*sha256))).chain([(list.as_str(), None)]);
    let mut expected = Entries::new();
    for (path, sha256) in files {
        let in_seed = path.strip_prefix(prefix);
        let is_private = in_seed.is_some_and(|name| {
            is_machines && ([USER_DATA, META_DATA, NETWORK_CONFIG, SUMS].contains(&name) || is_own(name, own))
        });
        let mode = match kind {
            // It has no modes, and the kernel shows this.
            Kind::Fat => Mode::EXECUTABLE,
            _ if is_private => Mode::SECRET,
            Kind::Cpio if path.starts_with(INITRAMFS_SCRIPTS) => Mode::EXECUTABLE,
            _ => Mode::PUBLIC,
        };
        expected.insert(path.to_owned(), Expected::file(Some(mode), sha256));
    }
    let files: Vec<_> = expected.keys().cloned().collect();
    for directory in parents(files.iter().map(String::as_str)) {
        expected.insert(directory.to_owned(), Expected::directory(Some(Mode::EXECUTABLE)));
    }
    expected
}

/// A machine's own package or archive, `CLUSTER-NODE_1.16.0-1_all.deb` or `CLUSTER-NODE-v1.16.0-amd64.tar.gz`; the others
/// are the same for all machines.
fn is_own(name: &str, own: &str) -> bool {
    name.strip_prefix(own).is_some_and(|rest| rest.starts_with('_') || rest.starts_with("-v"))
}

/// The instance is named after what it is told, so that cloud-init takes a changed seed for a new machine. Returns
/// `CLUSTER-NODE`.
fn check_instance(
    report: &mut Report,
    user_data: &str,
    meta_data: Option<&str>,
    network_config: Option<&str>,
) -> Option<String> {
    let (Some(meta_data), Some(network_config)) = (meta_data, network_config) else {
        report.fault(format!("it has {USER_DATA} without {META_DATA} or {NETWORK_CONFIG}"));
        return None;
    };
    let value = |line: &str, key: &str| -> Option<String> {
        Some(line.strip_prefix(key)?.strip_prefix(": \"")?.strip_suffix('"')?.to_owned())
    };
    let mut lines = meta_data.lines();
    let instance = lines.next().and_then(|line| value(line, "instance-id"));
    let host = lines.next().and_then(|line| value(line, "local-hostname"));
    let (Some(instance), Some(host), None) = (instance, host, lines.next()) else {
        report.fault(format!("{META_DATA}: expected the two lines `instance-id: \"…\"` and `local-hostname: \"…\"`"));
        return None;
    };
    let mut digest = Sha256::of(format!("{user_data}{network_config}").as_bytes()).to_string();
    digest.truncate(INSTANCE_DIGITS);
    match instance.strip_suffix(&format!("-{digest}")) {
        Some(machine) if machine.ends_with(&format!("-{host}")) => Some(machine.to_owned()),
        Some(machine) => {
            report.fault(format!("{META_DATA}: the instance is of `{machine}`, and the host name is `{host}`"));
            None
        }
        None => {
            report.fault(format!("{META_DATA}: the instance is not the one of this {USER_DATA} and {NETWORK_CONFIG}"));
            None
        }
    }
}

/// What the machine installs lies here, or, all programs together, on the image that machines share.
fn check_payload(report: &mut Report, user_data: &str, own: &str, prefix: &str, listed: &BTreeMap<&str, Sha256>) {
    let list = payload(user_data);
    let payload = sums(report, USER_DATA, &list);
    if payload.is_empty() {
        return report.fault(format!("{USER_DATA}: it lists nothing to install"));
    }
    let (mut missing, mut found) = (Vec::new(), 0);
    for (path, sha256) in &payload {
        let name = path.rsplit('/').next().unwrap_or(path);
        match listed.get(format!("{prefix}{name}").as_str()) {
            Some(other) if other != sha256 => {
                report.fault(format!("{name}: {USER_DATA} expects sha256 {sha256}, and {SUMS} has {other}"));
            }
            Some(_) if is_own(name, own) => {}
            Some(_) => found += 1,
            None if is_own(name, own) => report.fault(format!("{prefix}{name}: missing")),
            None => missing.push(name),
        }
    }
    if found > 0 {
        for name in missing {
            report.fault(format!("{prefix}{name}: missing"));
        }
    } else if !missing.is_empty() {
        let names = missing.join(", ");
        report.warnings.push(format!("not on this image, and expected on the one that machines share: {names}"));
    }
}

/// The list in user data, without the indentation that YAML wants.
fn payload(user_data: &str) -> String {
    let lines = user_data.lines().map(str::trim_start);
    let list = lines.skip_while(|line| !line.ends_with(PAYLOAD_BEGIN)).skip(1);
    list.take_while(|line| *line != PAYLOAD_END).map(|line| format!("{line}\n")).collect()
}
