//! SPDX 2.3 as JSON (ISO/IEC 5962 has version 2.2.1).
//!
//! All parts are packages, files too: an SPDX file needs a SHA-1, which says nothing any more.
#![expect(clippy::struct_field_names, reason = "the standard names them")]

use std::collections::BTreeMap;

use serde::Serialize;
use time::OffsetDateTime;

use super::{Inventory, Kind, Part, digests, pin_source};
use crate::golang::Library;

/// The value that SPDX 2.3 wants where nothing is known.
const NOTHING_KNOWN: &str = "NOASSERTION";
const DOCUMENT: &str = "SPDXRef-DOCUMENT";
const BUNDLE: &str = "SPDXRef-Bundle";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    spdx_version: &'static str,
    data_license: &'static str,
    #[serde(rename = "SPDXID")]
    id: &'static str,
    name: String,
    document_namespace: String,
    creation_info: CreationInfo,
    packages: Vec<Package>,
    relationships: Vec<Relationship>,
}

#[derive(Serialize)]
struct CreationInfo {
    #[serde(with = "time::serde::rfc3339")]
    created: OffsetDateTime,
    creators: [String; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Package {
    name: String,
    #[serde(rename = "SPDXID")]
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_info: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    supplier: Option<String>,
    download_location: String,
    files_analyzed: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checksums: Vec<Checksum>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_info: Option<String>,
    license_concluded: &'static str,
    license_declared: String,
    copyright_text: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    external_refs: Vec<ExternalRef>,
    primary_package_purpose: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Checksum {
    algorithm: String,
    checksum_value: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExternalRef {
    reference_category: &'static str,
    reference_type: &'static str,
    reference_locator: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Relationship {
    spdx_element_id: String,
    relationship_type: &'static str,
    related_spdx_element: String,
}

pub(super) fn render(inventory: &Inventory<'_>) -> String {
    let content = &inventory.plan.content;
    // A library is one package, whatever it is linked into.
    let linked = inventory.parts.iter().flat_map(|part| part.libraries.iter().flatten());
    let mut libraries: BTreeMap<&Library, String> = linked.map(|library| (library, String::new())).collect();
    for (number, id) in libraries.values_mut().enumerate() {
        *id = format!("SPDXRef-Library-{number}");
    }
    let bundle = Package {
        version_info: Some(content.version.clone()),
        ..package(content.cluster.to_string(), BUNDLE.to_owned(), "INSTALL")
    };
    let parts = inventory.parts.iter().enumerate().map(|(number, part)| of_part(part, number));
    let document = Document {
        spdx_version: "SPDX-2.3",
        data_license: "CC0-1.0",
        id: DOCUMENT,
        name: format!("{}-{}", content.cluster, content.version),
        document_namespace: format!("urn:uuid:{}", inventory.uuid),
        creation_info: CreationInfo {
            created: content.timestamp,
            creators: [format!("Tool: kube-bundle-{}", env!("CARGO_PKG_VERSION"))],
        },
        packages: std::iter::once(bundle)
            .chain(parts)
            .chain(libraries.iter().map(|(library, id)| of_library(library, id)))
            .collect(),
        relationships: relationships(inventory, &libraries),
    };
    serde_json::to_string_pretty(&document).unwrap_or_else(|why| unreachable!("it has string keys: {why}")) + "\n"
}

/// A package of which nothing more is known.
fn package(name: String, id: String, purpose: &'static str) -> Package {
    Package {
        name,
        id,
        version_info: None,
        supplier: None,
        download_location: NOTHING_KNOWN.to_owned(),
        files_analyzed: false,
        checksums: Vec::new(),
        source_info: None,
        license_concluded: NOTHING_KNOWN,
        license_declared: NOTHING_KNOWN.to_owned(),
        copyright_text: NOTHING_KNOWN,
        comment: None,
        external_refs: Vec::new(),
        primary_package_purpose: purpose,
    }
}

fn part_id(number: usize) -> String {
    format!("SPDXRef-Part-{number}")
}

fn of_part(part: &Part<'_>, number: usize) -> Package {
    let purpose = match part.kind {
        Kind::Program => "APPLICATION",
        Kind::Image => "CONTAINER",
        Kind::Artifact => "ARCHIVE",
        Kind::Download | Kind::Layer | Kind::File => "FILE",
    };
    let origin = part.origin();
    let identity = part.identity.clone();
    let purl = part.purl.clone().map(|purl| reference("PACKAGE-MANAGER", "purl", purl));
    let cpe = identity.cpe.map(|cpe| reference("SECURITY", "cpe23Type", cpe));
    let checksum = |(algorithm, checksum_value): (&str, String)| Checksum {
        algorithm: algorithm.replace('-', ""),
        checksum_value,
    };
    let places: Vec<_> = part.places.iter().map(super::Place::text).collect();
    Package {
        version_info: part.version.clone(),
        supplier: identity.supplier.map(|name| format!("Organization: {name}")),
        download_location: origin
            .as_ref()
            .and_then(|origin| origin.urls.first().cloned())
            .unwrap_or_else(|| NOTHING_KNOWN.to_owned()),
        checksums: digests(part).into_iter().map(checksum).collect(),
        source_info: origin.map(|origin| format!("verified against {}", pin_source(&origin))),
        license_declared: identity.license.unwrap_or_else(|| NOTHING_KNOWN.to_owned()),
        comment: (!places.is_empty()).then(|| format!("in the bundle at {}", places.join(", "))),
        external_refs: purl.into_iter().chain(cpe).collect(),
        ..package(part.name.clone(), part_id(number), purpose)
    }
}

fn of_library(library: &Library, id: &str) -> Package {
    Package {
        version_info: library.version.clone(),
        external_refs: vec![reference("PACKAGE-MANAGER", "purl", library.purl())],
        ..package(library.path.clone(), id.to_owned(), "LIBRARY")
    }
}

fn reference(category: &'static str, kind: &'static str, locator: String) -> ExternalRef {
    ExternalRef { reference_category: category, reference_type: kind, reference_locator: locator }
}

/// The bundle has files, those that are packed have others, programs have libraries and images have layers.
fn relationships(inventory: &Inventory<'_>, libraries: &BTreeMap<&Library, String>) -> Vec<Relationship> {
    let numbered = || inventory.parts.iter().enumerate();
    let artifacts: BTreeMap<_, _> = numbered()
        .filter(|(_, part)| part.kind == Kind::Artifact)
        .map(|(number, part)| (part.name.as_str(), part_id(number)))
        .collect();
    let mut all = vec![relation(DOCUMENT, "DESCRIBES", BUNDLE)];
    for (number, part) in numbered() {
        let id = part_id(number);
        let mut holders: Vec<&str> = part
            .places
            .iter()
            .map(|place| match place.inside {
                Some(_) => artifacts.get(place.file).map_or(BUNDLE, String::as_str),
                None => BUNDLE,
            })
            .collect();
        holders.sort_unstable();
        holders.dedup();
        all.extend(holders.into_iter().map(|holder| relation(holder, "CONTAINS", &id)));
        all.extend(part.layers.iter().map(|layer| relation(&id, "CONTAINS", &part_id(*layer))));
        let linked = part.libraries.iter().flatten().filter_map(|library| libraries.get(library));
        all.extend(linked.map(|library| relation(&id, "STATIC_LINK", library)));
    }
    all
}

fn relation(from: &str, kind: &'static str, to: &str) -> Relationship {
    Relationship { spdx_element_id: from.to_owned(), relationship_type: kind, related_spdx_element: to.to_owned() }
}
