//! The part of `sbom.cdx.json` that can be looked up.

use serde::Deserialize;

/// The list of a bundle.
#[derive(Debug, Deserialize)]
pub struct Bom {
    metadata: Metadata,
    components: Vec<Component>,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    component: Component,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Component {
    name: String,
    version: Option<String>,
    purl: Option<String>,
    #[serde(default)]
    external_references: Vec<ExternalReference>,
    #[serde(default)]
    components: Vec<Component>,
}

#[derive(Debug, Deserialize)]
struct ExternalReference {
    r#type: String,
    url: String,
}

/// A name to look up, and the program that it is in.
pub(super) struct Named<'b> {
    pub(super) name: &'b str,
    pub(super) version: Option<&'b str>,
    pub(super) program: &'b str,
}

impl Bom {
    /// Version of Kubernetes.
    pub(super) fn release(&self) -> &str {
        self.metadata.component.version.as_deref().unwrap_or_default()
    }

    /// Programs by their module and by their repository, since advisories use either; and libraries.
    pub(super) fn named(&self) -> impl Iterator<Item = Named<'_>> {
        self.components.iter().flat_map(|program| {
            let module = program.purl.as_deref().and_then(|purl| purl.strip_prefix("pkg:golang/")?.split('@').next());
            let sources = program.external_references.iter().filter(|reference| reference.r#type == "vcs");
            let repository = sources.filter_map(|reference| reference.url.strip_prefix("https://"));
            let repository = repository.filter(move |repository| Some(*repository) != module);
            // What is no Go module is not looked up in advisories about Go modules.
            let own = module.into_iter().chain(repository).filter(move |_| module.is_some());
            let own = own.map(|name| Named { name, version: program.version.as_deref(), program: &program.name });
            let libraries = program.components.iter().filter(|library| library.purl.is_some());
            own.chain(libraries.map(|library| Named {
                name: &library.name,
                version: library.version.as_deref(),
                program: &program.name,
            }))
        })
    }
}
