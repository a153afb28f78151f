//! `kube-bundle inspect`

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::Console;
use super::attempt::Attempt;
use super::table::{Table, table};
use crate::error::ExitCode;
use crate::hash::Pin;
use crate::manifest::origin::{CertificateRecord, Origin};
use crate::manifest::{MANIFEST, Manifest, SEALED};
use crate::pki::info::{day, moment};
use crate::printable::{Tone, printable};
use crate::progress::bytes;
use crate::recipe::component::Publisher;
use crate::target::Mode;
use crate::{Error, inspect as reader};

#[expect(clippy::disallowed_methods, reason = "a command looks at the path that it is given")]
pub(super) fn inspect(path: &Path, console: &Console) -> Result<(), Error> {
    let command = Attempt { path, command: "inspect", exit: ExitCode::Failed };
    if path.is_dir() {
        command.expect_bundle()?;
        let manifest =
            Manifest::read(path).map_err(|source| Error::Io { verb: "read", path: path.join(MANIFEST), source })?;
        return console.result(&manifest, || summary(&manifest, console.verbose));
    }
    let contents = reader::read(path, &[]).map_err(|source| command.failed(source))?;
    console.result(&contents.entries, || {
        let rows: Vec<_> = contents
            .entries
            .iter()
            .map(|(name, member)| {
                let size = member.size.map_or_else(|| "-".to_owned(), |size| bytes(size).to_string());
                let sha256 = member.sha256.map_or_else(|| "-".to_owned(), |sha256| sha256.to_string());
                vec![member.mode.to_string(), size, sha256, name.clone()]
            })
            .collect();
        table(&["MODE", "SIZE", "SHA256", "PATH"], &rows)
    })
}

fn summary(manifest: &Manifest, verbose: bool) -> String {
    let mut text = head(manifest);
    let mut add = |title: &str, lines: String| {
        if !lines.is_empty() {
            text += &format!("\n{title}\n{lines}");
        }
    };
    add("Machines", nodes(manifest));
    add("Certificates", certificates(manifest));
    if verbose {
        add("Certificates in detail", manifest.certificates.iter().map(certificate).collect());
    }
    add("Private keys and other secrets", secrets(manifest));
    add("Components", components(manifest));
    add("Origin of downloaded files", origins(manifest));
    add("Files", files(manifest));
    text
}

fn head(manifest: &Manifest) -> String {
    let by = manifest.kube_bundle.as_deref().unwrap_or("of a version that it does not say");
    let token = manifest.bootstrap_token_expires;
    let token = token.map(|end| format!("Bootstrap token valid until {}\n", moment(end))).unwrap_or_default();
    format!(
        "Cluster {}, Kubernetes {}, recipe `{}` ({})\nCertificates valid from {} to {}\n{token}Built by kube-bundle {}\n",
        printable(&manifest.cluster),
        printable(&manifest.version),
        printable(&manifest.recipe.name),
        manifest.recipe.sha256,
        moment(manifest.validity.not_before),
        moment(manifest.validity.not_after),
        printable(by),
    )
}

/// No title and no rows are no text.
fn filled(header: &[&str], rows: &[Vec<String>]) -> String {
    if rows.is_empty() { String::new() } else { table(header, rows) }
}

fn nodes(manifest: &Manifest) -> String {
    let row = |(name, node): (&String, &crate::manifest::origin::NodeRecord)| {
        vec![name.clone(), node.address.to_string(), node.roles.join(", ")]
    };
    filled(&["NAME", "ADDRESS", "ROLES"], &manifest.nodes.iter().map(row).collect::<Vec<_>>())
}

fn certificates(manifest: &Manifest) -> String {
    let rows = manifest.certificates.iter().map(|(id, certificate)| {
        let issuer = certificate.issuer.clone().unwrap_or_else(|| "-".to_owned());
        vec![id.clone(), issuer, day(certificate.not_before), day(certificate.not_after)]
    });
    filled(&["ID", "SIGNED BY", "FROM", "EXPIRES"], &rows.collect::<Vec<_>>())
}

fn certificate((id, it): (&String, &CertificateRecord)) -> String {
    let usages: Vec<_> = it.usages.iter().map(|usage| format!("{usage:?}").to_lowercase()).collect();
    let fields = [
        ("subject", it.subject.clone()),
        ("names", it.names.join(", ")),
        ("for", if it.is_ca { "signing certificates".to_owned() } else { usages.join(", ") }),
        ("serial", it.serial.clone()),
        ("SHA-256", it.sha256.to_string()),
        ("public key", it.public_key.to_string()),
    ];
    let fields = fields.iter().filter(|(_, value)| !value.is_empty());
    let lines = fields.map(|(name, value)| format!("  {name:10}  {}\n", printable(value)));
    format!("{}\n{}", printable(id), lines.collect::<String>())
}

/// Each file with a secret once, with the machines that get it. Seeds are made of the archives and packages that are listed.
fn secrets(manifest: &Manifest) -> String {
    let mut files: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for artifact in manifest.artifacts.values() {
        let Some(node) = &artifact.node else { continue };
        for (path, member) in &artifact.entries {
            let (_, below) = path.split_once("/root/").unwrap_or(("", path));
            if member.secret {
                files.entry(format!("/{below}")).or_default().insert(node);
            } else if path.ends_with(&format!("/{SEALED}")) {
                files.entry(format!("{SEALED}, encrypted")).or_default().insert(node);
            }
        }
    }
    let of_operator =
        manifest.files.iter().filter(|(path, it)| path.starts_with("operator/") && it.mode == Mode::SECRET);
    let sealed = format!("operator/{SEALED}");
    let of_operator = of_operator.map(|(path, _)| path.clone()).filter(|path| *path != sealed);
    let sealed = manifest.files.contains_key(&sealed).then(|| format!("{sealed}, encrypted"));
    for path in of_operator.chain(sealed) {
        files.entry(path).or_default().insert("the administrator, no machine");
    }
    let row = |(file, machines): (String, BTreeSet<&str>)| vec![file, Vec::from_iter(machines).join(", ")];
    let rows: Vec<_> = files.into_iter().map(row).collect();
    if rows.is_empty() {
        return String::new();
    }
    Table { header: &["FILE", "FOR"], rows, sentences: true, ..Table::default() }.text(|_, _| Tone::Plain)
}

fn components(manifest: &Manifest) -> String {
    let rows = manifest.components.iter().map(|(name, it)| {
        let license = it.license.clone().unwrap_or_else(|| "-".to_owned());
        vec![name.clone(), it.version.clone(), license, bytes(it.size).to_string(), it.sha256.to_string()]
    });
    filled(&["NAME", "VERSION", "LICENSE", "SIZE", "SHA256"], &rows.collect::<Vec<_>>())
}

/// Each download once, with what came out of it.
fn origins(manifest: &Manifest) -> String {
    let mut downloads: BTreeMap<Pin, (&Origin, Vec<&str>)> = BTreeMap::new();
    let components = manifest.components.iter().map(|(name, it)| (name.as_str(), &it.origin));
    for (name, origin) in components.chain(manifest.images.iter().map(|(name, it)| (name.as_str(), it))) {
        downloads.entry(origin.pin).or_insert((origin, Vec::new())).1.push(name);
    }
    let mut downloads: Vec<_> = downloads.into_values().collect();
    downloads.sort_by(|(_, one), (_, other)| one.cmp(other));
    downloads.iter().map(|(origin, names)| download(origin, names)).collect()
}

fn download(origin: &Origin, names: &[&str]) -> String {
    let mut text = format!("{}\n  digest     {}\n", printable(&names.join(", ")), origin.pin);
    let urls = origin.urls.iter().map(|url| format!("  URL        {}\n", printable(url)));
    let publishers = origin.publishers.iter().map(|it| {
        // Whoever computed a digest has not published it.
        let what = if matches!(it, Publisher::Statement(_)) { "remark   " } else { "published" };
        format!("  {what}  {}\n", printable(&it.to_string()))
    });
    text.extend(urls.chain(publishers));
    text
}

fn files(manifest: &Manifest) -> String {
    let rows = manifest.files.iter().map(|(name, record)| {
        vec![record.mode.to_string(), bytes(record.size).to_string(), record.sha256.to_string(), name.clone()]
    });
    filled(&["MODE", "SIZE", "SHA256", "PATH"], &rows.collect::<Vec<_>>())
}
