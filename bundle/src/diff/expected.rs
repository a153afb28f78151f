//! The manifest that a build would write, as far as a plan can say before it: so that [`super::bundles`] tells what a build
//! would change.
//!
//! A plan has the texts, modes and links of files, and the pins of what is downloaded; `pki/` has the certificates that are
//! kept. What else a build makes (installers, indexes, sheets, images of disks) is taken to be as it was. Files with keys
//! or tokens are taken to change when their certificate, their key or their token does.

use std::collections::{BTreeMap, BTreeSet};

use time::{OffsetDateTime, Time};

use super::machines::files;
use crate::debian;
use crate::hash::{Pin, Sha256};
use crate::manifest::origin::{CertificateRecord, ComponentRecord};
use crate::manifest::{Artifact, Built, FileRecord, Manifest, Member, Validity};
use crate::pki::{self, Next};
use crate::plan::downloads::{Content, Download};
use crate::plan::files::KubeconfigPlan;
use crate::plan::{FilePlan, Medium, Output, OutputKind, Plan, Source};
use crate::recipe::layout::Credential;
use crate::target::Mode;

/// What an earlier manifest says of what a plan knows, and what the next one will say of it.
pub(super) fn manifests(plan: &Plan, next: &Next, old: &Manifest) -> (Manifest, Manifest) {
    let comparable = comparable(plan, old);
    let expectation = Expectation { plan, next, components: components(plan, old), old: &comparable };
    let artifacts: BTreeMap<_, _> = plan.outputs.iter().filter_map(|output| expectation.artifact(output)).collect();
    let certificates = certificates(next, old);
    let built = Built {
        cluster_toml: old.cluster_toml,
        window: window(&certificates, old.validity),
        files: expectation.files(&artifacts),
        components: expectation.components.clone(),
        certificates,
        // A new one is among the keys that the build issues.
        bootstrap_token_expires: old.bootstrap_token_expires,
        artifacts,
    };
    let expected = Manifest::new(plan, built);
    (comparable, expected)
}

/// The manifest without files that a plan doesn't know, in archives and packages.
fn comparable(plan: &Plan, old: &Manifest) -> Manifest {
    let mut comparable = old.clone();
    let planned = plan.outputs.iter().filter_map(|output| plan.files_of(&output.path)).flatten();
    let layouts = planned.filter(|file| matches!(file.source, Source::Images(_)));
    // Their images are compared by name and pin.
    let layouts: Vec<_> = layouts.map(|file| format!("{}/", file.path)).collect();
    for artifact in comparable.artifacts.values_mut() {
        let is_archive = artifact.format == "tarball";
        artifact.entries.retain(|entry, member| {
            let inside = if is_archive {
                entry.split_once('/').and_then(|(_, inside)| inside.strip_prefix("root/"))
            } else {
                Some(entry.as_str()).filter(|entry| artifact.format != "deb" || is_planned(entry))
            };
            let is_directory = !member.is_file() && member.link.is_none();
            inside.is_some_and(|path| !is_directory && !layouts.iter().any(|layout| path.starts_with(layout)))
        });
    }
    comparable
}

/// Whether a file of a package is there because a plan says so.
fn is_planned(entry: &str) -> bool {
    !entry.starts_with(crate::manifest::CONTROL) && !debian::is_added(entry)
}

/// From the plan; digests are those of before where the pin is.
fn components(plan: &Plan, old: &Manifest) -> BTreeMap<String, ComponentRecord> {
    let of = |download| ComponentRecord::of(download, move |name| Some(digest(download, name, old)));
    plan.content.downloads.iter().flat_map(of).collect()
}

/// Digest and size of a component: as they were, or as published. Of one that is new they may be made up.
fn digest(download: &Download, name: &str, old: &Manifest) -> (Sha256, u64) {
    let member = download.members().iter().find(|member| member.component == name);
    let (was, size) = old.components.get(name).map_or((unknown(), 0), |was| (was.sha256, was.size));
    let is_kept = old.components.get(name).is_some_and(|was| was.origin.pin == download.pin);
    match (&download.content, download.pin, member.and_then(|member| member.sha256)) {
        _ if is_kept => (was, size),
        (_, _, Some(sha256)) => (sha256, size),
        (Content::Binary(_), Pin::Sha256(sha256), None) => (sha256, download.size.unwrap_or(size)),
        _ => (was, size),
    }
}

/// Stands for a digest that only a build can compute, and differs from every other.
fn unknown() -> Sha256 {
    Sha256::of(b"known after the build")
}

/// Certificates of the next build; what can't be known of a new one is as it was. When it begins and ends is known to the
/// day: the same plan says the same all day.
fn certificates(next: &Next, old: &Manifest) -> BTreeMap<String, CertificateRecord> {
    let mut certificates = next.records.clone();
    for (id, record) in certificates.iter_mut().filter(|(id, _)| next.issued.contains_key(*id)) {
        for time in [&mut record.not_before, &mut record.not_after] {
            *time = time.replace_time(Time::MIDNIGHT);
        }
        if let Some(was) = old.certificates.get(id).cloned() {
            record.serial = was.serial;
            (record.public_key, record.sha256) = (was.public_key, was.sha256);
        }
    }
    certificates
}

/// When all are valid; as before, where that is the same to the day.
fn window(certificates: &BTreeMap<String, CertificateRecord>, before: Validity) -> (OffsetDateTime, OffsetDateTime) {
    let begin = certificates.values().map(|record| record.not_before).max();
    let end = certificates.values().map(|record| record.not_after).min();
    let known =
        |now: Option<OffsetDateTime>, was: OffsetDateTime| now.filter(|now| now.date() != was.date()).unwrap_or(was);
    (known(begin, before.not_before), known(end, before.not_after))
}

/// Whether it is a seed that a manifest lists the inside of.
fn is_image(kind: &OutputKind) -> bool {
    match kind {
        OutputKind::Seed(seed) => !matches!(seed.medium, Medium::Directory | Medium::File),
        _ => false,
    }
}

struct Expectation<'a> {
    plan: &'a Plan,
    next: &'a Next,
    components: BTreeMap<String, ComponentRecord>,
    old: &'a Manifest,
}

impl Expectation<'_> {
    /// An artifact with what the plan knows of its files; one of another kind is as it was.
    fn artifact(&self, output: &Output) -> Option<(String, Artifact)> {
        let (format, node) = (output.kind.format()?.to_string(), output.kind.node().map(ToString::to_string));
        let root = match &output.kind {
            OutputKind::Archive { .. } => {
                let name = output.path.rsplit('/').next().unwrap_or(&output.path);
                format!("{}/root/", name.trim_end_matches(".tar.gz"))
            }
            OutputKind::Package(_) => String::new(),
            _ => {
                let new = Artifact { node, format, entries: BTreeMap::new() };
                let artifact = self.old.artifacts.get(&output.path).cloned().unwrap_or(new);
                return is_image(&output.kind).then(|| (output.path.clone(), artifact));
            }
        };
        let was = files(self.old, node.as_deref(), &format);
        let entry = |file: &FilePlan| {
            let was = was.get(&format!("/{}", file.path)).map(|place| &place.member);
            Some((format!("{root}{}", file.path), self.member(file, was)?))
        };
        let entries = self.plan.files_of(&output.path)?.iter().filter_map(entry).collect();
        Some((output.path.clone(), Artifact { node, format, entries }))
    }

    /// A file of a machine or a package; `None` for a directory, and for images, which are compared by name.
    fn member(&self, file: &FilePlan, was: Option<&Member>) -> Option<Member> {
        if file.source.is_secret() {
            return self.secret(file, was);
        }
        let (sha256, size) = match &file.source {
            Source::Directory | Source::Images(_) => return None,
            Source::Link(target) => {
                let link = Some(target.clone());
                return Some(Member { mode: file.mode, size: None, sha256: None, link, secret: false });
            }
            Source::Text(text) => (Sha256::of(text.as_bytes()), Some(text.len() as u64)),
            Source::Component(name) if self.is_new_component(name) => {
                let record = self.components.get(name)?;
                let was = was.and_then(|was| was.sha256);
                (if Some(record.sha256) == was { unknown() } else { record.sha256 }, Some(record.size))
            }
            source => match was {
                Some(Member { sha256: Some(sha256), size, .. }) if !self.is_new(source) => (*sha256, *size),
                _ => (unknown(), was.and_then(|was| was.size)),
            },
        };
        Some(Member { mode: file.mode, size, sha256: Some(sha256), link: None, secret: false })
    }

    /// A file with a secret, of which manifests have no digest; `None` if it is sealed with the others.
    fn secret(&self, file: &FilePlan, was: Option<&Member>) -> Option<Member> {
        let kept = was.and_then(|was| was.sha256);
        let sha256 = if self.is_new(&file.source) { Some(unknown()) } else { kept };
        let size = was.and_then(|was| was.size);
        let secret = was.is_none_or(|was| was.secret);
        self.plan.content.pki.seal.is_none().then_some(Member { mode: file.mode, size, sha256, link: None, secret })
    }

    fn is_new_component(&self, name: &str) -> bool {
        let pin_and_member = |of: &BTreeMap<String, ComponentRecord>| {
            of.get(name).map(|record| (record.origin.pin, record.member.clone()))
        };
        pin_and_member(&self.components) != pin_and_member(&self.old.components)
    }

    /// Whether what this is made from is issued by the next build, or was since the earlier one.
    fn is_new(&self, source: &Source) -> bool {
        let is_issued = |id: &str| self.next.issued.contains_key(id);
        match source {
            Source::Certificate(id) => self.is_new_certificate(id),
            Source::Key(id) => self.next.new_keys.contains(id) || self.has_new_key(id),
            Source::Kubeconfig(KubeconfigPlan { credential, .. }) => {
                self.is_new_certificate("ca")
                    || match credential {
                        Credential::Certificate(id) => self.is_new_certificate(id),
                        Credential::BootstrapToken => is_issued(pki::TOKEN),
                    }
            }
            Source::BootstrapToken => is_issued(pki::TOKEN),
            Source::EncryptionConfig => is_issued(pki::ENCRYPTION_KEY),
            _ => false,
        }
    }

    fn is_new_certificate(&self, id: &str) -> bool {
        let was = self.old.certificates.get(id);
        let is = self.next.records.get(id);
        self.next.issued.contains_key(id) || was.map(|record| record.sha256) != is.map(|record| record.sha256)
    }

    fn has_new_key(&self, id: &str) -> bool {
        let both = self.old.certificates.get(id).zip(self.next.records.get(id));
        !self.next.issued.contains_key(id) && both.is_some_and(|(was, is)| was.public_key != is.public_key)
    }

    /// The files of the output directory: as they were, but for those of which it is known that they change.
    fn files(&self, artifacts: &BTreeMap<String, Artifact>) -> BTreeMap<String, FileRecord> {
        let (mut files, mut changed) = (BTreeMap::new(), BTreeSet::new());
        for output in &self.plan.outputs {
            if matches!(output.kind, OutputKind::Operator) {
                files.extend(self.plan.content.operator.iter().filter_map(|file| self.operator_file(output, file)));
                continue;
            }
            let kept: Vec<_> = self.kept(output).collect();
            // The files of an index have names that only a build knows; its packages say that it is new.
            if kept.is_empty() && !matches!(output.kind, OutputKind::Index) {
                files.insert(output.path.clone(), new_file());
            }
            files.extend(kept.into_iter().map(|(path, file)| (path.clone(), file.clone())));
            let is_other = artifacts.get(&output.path) != self.old.artifacts.get(&output.path);
            if is_other || inputs(&output.kind).any(|input| changed.contains(input)) {
                changed.insert(output.path.clone());
                files.entry(output.path.clone()).and_modify(|file| file.sha256 = unknown());
            }
        }
        files
    }

    /// The files that the earlier build wrote for an output: one, or those of a directory that no other output stands for.
    fn kept(&self, output: &Output) -> impl Iterator<Item = (&String, &FileRecord)> {
        let below = format!("{}/", output.path);
        self.old.files.iter().filter(move |(path, _)| {
            **path == output.path
                || path.starts_with(&below)
                    && !self.old.artifacts.contains_key(*path)
                    && self.plan.outputs.iter().all(|other| other.path != **path)
        })
    }

    fn operator_file(&self, output: &Output, file: &FilePlan) -> Option<(String, FileRecord)> {
        let path = format!("{}/{}", output.path, file.path);
        let was = self.old.files.get(&path);
        let member = was.map(|was| Member {
            mode: was.mode,
            size: Some(was.size),
            sha256: Some(was.sha256),
            link: None,
            secret: false,
        });
        let Member { mode, size, sha256, .. } = self.member(file, member.as_ref())?;
        Some((path, FileRecord { size: size.unwrap_or_default(), sha256: sha256?, mode }))
    }
}

/// Paths of the outputs that this one holds, or names the digests of.
fn inputs(kind: &OutputKind) -> impl Iterator<Item = &String> {
    let (listed, payload, carried) = match kind {
        OutputKind::Checksum { of, .. } => (Some(of), &[][..], &[][..]),
        OutputKind::Seed(seed) => (None, &seed.payload[..], &seed.carries[..]),
        _ => (None, &[][..], &[][..]),
    };
    listed.into_iter().chain(payload).chain(carried)
}

/// Only its name is shown.
fn new_file() -> FileRecord {
    FileRecord { size: 0, sha256: unknown(), mode: Mode::PUBLIC }
}
