//! How a bundle was built, as a statement that others can check (in-toto Statement v1 with SLSA provenance v1). It follows from
//! the manifest and the checksum list alone, so that a bundle can be signed, and the statement verified, at any later time.
//!
//! Neither the time of the build nor its machine is in it: a rebuild has the same statement.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::origin::Origin;
use super::{Manifest, RecipeRecord};
use crate::hash::{Pin, Sha256};

/// What is signed, by its media type.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// What the parameters mean: `docs/sbom.md` describes them. No domain is behind it, and `x-` says that nobody registered it.
const BUILD_TYPE: &str = "urn:x-kube-bundle:build:v1";
/// Whoever signs says where it was built; the program itself knows no more than that it was not a build service.
const BUILDER: &str = "urn:x-kube-bundle:builder:local";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Statement<'a> {
    #[serde(rename = "_type")]
    kind: &'static str,
    subject: Vec<Resource<'a>>,
    predicate_type: &'static str,
    predicate: Predicate<'a>,
}

/// A `ResourceDescriptor`.
#[derive(Default, Serialize)]
struct Resource<'a> {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<&'a str>,
    digest: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<Annotations<'a>>,
}

/// What is known of a download besides.
#[derive(Serialize)]
struct Annotations<'a> {
    /// Components that were taken from it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    components: Vec<&'a str>,
    /// Further places of the same bytes.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    mirrors: &'a [String],
    /// Who published the digest.
    publishers: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Predicate<'a> {
    build_definition: BuildDefinition<'a>,
    run_details: RunDetails,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BuildDefinition<'a> {
    build_type: &'static str,
    external_parameters: ExternalParameters<'a>,
    internal_parameters: InternalParameters,
    resolved_dependencies: Vec<Resource<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExternalParameters<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster_toml: Option<Sha256>,
    recipe: &'a RecipeRecord,
    formats: BTreeSet<&'a str>,
}

#[derive(Serialize)]
struct InternalParameters {
    #[serde(rename = "SOURCE_DATE_EPOCH", skip_serializing_if = "Option::is_none")]
    source_date_epoch: Option<String>,
    plan: Sha256,
}

#[derive(Serialize)]
struct RunDetails {
    builder: Builder,
    metadata: Metadata,
}

#[derive(Serialize)]
struct Builder {
    id: &'static str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    version: BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    invocation_id: String,
}

/// The statement about every file that the checksum list `sums` names.
pub fn statement(manifest: &Manifest, sums: &str) -> String {
    let formats = manifest.artifacts.values().map(|artifact| artifact.format.as_str()).collect();
    let statement = Statement {
        kind: "https://in-toto.io/Statement/v1",
        subject: sums.lines().filter_map(subject).collect(),
        predicate_type: "https://slsa.dev/provenance/v1",
        predicate: Predicate {
            build_definition: BuildDefinition {
                build_type: BUILD_TYPE,
                external_parameters: ExternalParameters {
                    cluster_toml: manifest.cluster_toml,
                    recipe: &manifest.recipe,
                    formats,
                },
                internal_parameters: InternalParameters {
                    source_date_epoch: manifest.timestamp.map(|date| date.unix_timestamp().to_string()),
                    plan: manifest.plan,
                },
                resolved_dependencies: dependencies(manifest),
            },
            run_details: RunDetails {
                builder: Builder {
                    id: BUILDER,
                    version: manifest.kube_bundle.iter().map(|version| ("kube-bundle", version.clone())).collect(),
                },
                metadata: Metadata { invocation_id: format!("sha256:{}", manifest.plan) },
            },
        },
    };
    serde_json::to_string(&statement).unwrap_or_else(|why| unreachable!("it has string keys: {why}"))
}

fn subject(line: &str) -> Option<Resource<'_>> {
    let (sha256, name) = line.split_once("  ")?;
    let digest = BTreeMap::from([("sha256", sha256.to_owned())]);
    Some(Resource { name: name.to_owned(), digest, ..Resource::default() })
}

/// Every download once, with the components that came out of it.
fn dependencies(manifest: &Manifest) -> Vec<Resource<'_>> {
    let mut downloads: BTreeMap<Pin, (&Origin, String, Vec<&str>)> = BTreeMap::new();
    for (name, component) in &manifest.components {
        let origin = &component.origin;
        let file = origin.urls.first().and_then(|url| url.rsplit('/').next()).filter(|_| component.member.is_some());
        let title = file.unwrap_or(name).to_owned();
        downloads.entry(origin.pin).or_insert_with(|| (origin, title, Vec::new())).2.push(name);
    }
    for (name, origin) in &manifest.images {
        downloads.entry(origin.pin).or_insert_with(|| (origin, name.clone(), Vec::new()));
    }
    downloads.into_values().map(|(origin, name, components)| dependency(origin, name, components)).collect()
}

fn dependency<'a>(origin: &'a Origin, name: String, components: Vec<&'a str>) -> Resource<'a> {
    let digest = match origin.pin {
        Pin::Sha256(digest) => ("sha256", digest.to_string()),
        Pin::Sha512(digest) => ("sha512", digest.to_string()),
    };
    let publishers = origin.publishers.iter().map(ToString::to_string).collect();
    let annotations = Annotations { components, mirrors: origin.urls.get(1..).unwrap_or_default(), publishers };
    Resource {
        name,
        uri: origin.urls.first().map(String::as_str),
        digest: BTreeMap::from([digest]),
        annotations: Some(annotations),
    }
}
