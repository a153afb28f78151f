//! `CycloneDX` 1.6 as JSON (ECMA-424).
#![expect(clippy::struct_field_names, reason = "the standard names them")]

use serde::Serialize;
use time::OffsetDateTime;

use super::{Inventory, Kind, Part, digests, pin_source};
use crate::golang::Library;
use crate::hash::Pin;
use crate::plan::downloads::Content;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bom {
    #[serde(rename = "$schema")]
    schema: &'static str,
    bom_format: &'static str,
    spec_version: &'static str,
    serial_number: String,
    version: u32,
    metadata: Metadata,
    components: Vec<Component>,
    compositions: Vec<Composition>,
}

#[derive(Serialize)]
struct Metadata {
    #[serde(with = "time::serde::rfc3339")]
    timestamp: OffsetDateTime,
    lifecycles: [Lifecycle; 1],
    tools: Tools,
    component: Component,
    properties: Vec<Property>,
}

#[derive(Serialize)]
struct Lifecycle {
    phase: &'static str,
}

#[derive(Serialize)]
struct Tools {
    components: [Component; 1],
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Component {
    r#type: &'static str,
    #[serde(rename = "bom-ref", skip_serializing_if = "Option::is_none")]
    bom_ref: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    supplier: Option<Supplier>,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hashes: Vec<Hash>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    licenses: Vec<License>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpe: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purl: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    external_references: Vec<ExternalReference>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    components: Vec<Component>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<Evidence>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    properties: Vec<Property>,
}

#[derive(Serialize)]
struct Supplier {
    name: String,
}

#[derive(Serialize)]
struct Hash {
    alg: &'static str,
    content: String,
}

#[derive(Serialize)]
struct License {
    expression: String,
}

#[derive(Serialize)]
struct ExternalReference {
    r#type: &'static str,
    url: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hashes: Vec<Hash>,
}

#[derive(Serialize)]
struct Evidence {
    occurrences: Vec<Occurrence>,
}

#[derive(Serialize)]
struct Occurrence {
    location: String,
}

#[derive(Serialize)]
struct Property {
    name: &'static str,
    value: String,
}

/// How complete the list of what is inside of these components is.
#[derive(Serialize)]
struct Composition {
    aggregate: &'static str,
    assemblies: Vec<String>,
}

/// The reference to the whole bundle.
const BUNDLE: &str = "bundle";

pub(super) fn render(inventory: &Inventory<'_>) -> String {
    let content = &inventory.plan.content;
    let tool = Component {
        r#type: "application",
        name: "kube-bundle".to_owned(),
        version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        ..Component::default()
    };
    let bundle = Component {
        r#type: "platform",
        bom_ref: Some(BUNDLE.to_owned()),
        name: content.cluster.to_string(),
        version: Some(content.version.clone()),
        ..Component::default()
    };
    let recipe = format!("{}, sha256:{}", content.recipe, content.recipe_digest);
    let bom = Bom {
        schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
        bom_format: "CycloneDX",
        spec_version: "1.6",
        serial_number: format!("urn:uuid:{}", inventory.uuid),
        version: 1,
        metadata: Metadata {
            timestamp: content.timestamp,
            lifecycles: [Lifecycle { phase: "build" }],
            tools: Tools { components: [tool] },
            component: bundle,
            properties: vec![Property { name: "kube-bundle:recipe", value: recipe }],
        },
        components: inventory.parts.iter().map(|part| component(part, inventory)).collect(),
        compositions: compositions(&inventory.parts),
    };
    serde_json::to_string_pretty(&bom).unwrap_or_else(|why| unreachable!("it has string keys: {why}")) + "\n"
}

fn component(part: &Part<'_>, inventory: &Inventory<'_>) -> Component {
    let layers = part.layers.iter().map(|index| library_or_layer(&inventory.parts[*index]));
    let libraries = part.libraries.iter().flatten().map(library);
    let occurrences: Vec<_> = part.places.iter().map(|place| Occurrence { location: place.text() }).collect();
    let identity = part.identity.clone();
    Component {
        r#type: match part.kind {
            Kind::Program => "application",
            Kind::Image => "container",
            Kind::Download | Kind::Layer | Kind::Artifact | Kind::File => "file",
        },
        bom_ref: Some(part.id.clone()),
        supplier: identity.supplier.map(|name| Supplier { name }),
        name: part.name.clone(),
        version: part.version.clone(),
        hashes: digests(part).into_iter().map(|(alg, content)| Hash { alg, content }).collect(),
        licenses: identity.license.map(|expression| License { expression }).into_iter().collect(),
        cpe: identity.cpe,
        purl: part.purl.clone(),
        external_references: references(part),
        components: layers.chain(libraries).collect(),
        evidence: (!occurrences.is_empty()).then_some(Evidence { occurrences }),
        properties: properties(part),
    }
}

fn library(library: &Library) -> Component {
    let (name, version) = (library.path.clone(), library.version.clone());
    Component { r#type: "library", name, version, purl: Some(library.purl()), ..Component::default() }
}

/// A layer inside of its image; the same is a component of its own, with the places where it is.
fn library_or_layer(layer: &Part<'_>) -> Component {
    let hashes = digests(layer).into_iter().map(|(alg, content)| Hash { alg, content }).collect();
    Component { r#type: "file", name: layer.name.clone(), hashes, ..Component::default() }
}

fn references(part: &Part<'_>) -> Vec<ExternalReference> {
    let upstream = part.identity.upstream.clone();
    let upstream = upstream.map(|url| ExternalReference { r#type: "vcs", url, hashes: Vec::new() });
    let mut references: Vec<_> = upstream.into_iter().collect();
    if let (Some(download), Some(origin)) = (part.download, part.origin()) {
        // The URL of an image is that of its repository, which has no digest.
        let hash = |pin: Pin| match pin {
            Pin::Sha256(digest) => Hash { alg: "SHA-256", content: digest.to_string() },
            Pin::Sha512(digest) => Hash { alg: "SHA-512", content: digest.to_string() },
        };
        let is_image = matches!(download.content, Content::Image(_));
        references.extend(origin.urls.into_iter().map(|url| {
            let hashes = (!is_image).then(|| hash(download.pin)).into_iter().collect();
            ExternalReference { r#type: "distribution", url, hashes }
        }));
    }
    references
}

fn properties(part: &Part<'_>) -> Vec<Property> {
    let pin = part.origin().map(|origin| Property { name: "kube-bundle:pin", value: pin_source(&origin) });
    let secret = part.sha256.is_none().then(|| Property { name: "kube-bundle:secret", value: "true".to_owned() });
    pin.into_iter().chain(secret).collect()
}

/// Everything in artifacts is listed; of programs, only what can be found in them.
fn compositions(parts: &[Part<'_>]) -> Vec<Composition> {
    let of = |wanted: &dyn Fn(&Part<'_>) -> bool| -> Vec<String> {
        parts.iter().filter(|part| wanted(part)).map(|part| part.id.clone()).collect()
    };
    let complete = of(&|part| matches!(part.kind, Kind::Artifact | Kind::Image));
    let incomplete = of(&|part| part.libraries.is_some());
    let unknown = of(&|part| part.libraries.is_none() && matches!(part.kind, Kind::Program | Kind::Layer));
    let complete = [vec![BUNDLE.to_owned()], complete].concat();
    let all = [("complete", complete), ("incomplete", incomplete), ("unknown", unknown)];
    let all = all.into_iter().filter(|(_, assemblies)| !assemblies.is_empty());
    all.map(|(aggregate, assemblies)| Composition { aggregate, assemblies }).collect()
}
