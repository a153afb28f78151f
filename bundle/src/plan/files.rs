//! What lies where on each machine, with every text that holds no secret rendered and its flags checked.

use serde::Serialize;

use super::certificates::{CertId, holders};
use super::values::{Holder, Templates, holds};
use crate::recipe::Component;
use crate::recipe::check::text_path;
use crate::recipe::component::Kind;
use crate::recipe::flags::unknown_flags;
use crate::recipe::layout::{Credential, FileRule, FileSource, Kubeconfig, Server};
use crate::spec::names::NodeName;
use crate::spec::{API_PORT, ImageReference, Node};
use crate::target::{InstallPath, Mode, Owner};

/// One file or directory of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FilePlan {
    /// Where, without a leading slash.
    pub path: InstallPath,
    /// Permission bits.
    pub mode: Mode,
    /// Owner and group.
    pub owner: Owner,
    /// The content.
    pub source: Source,
}

/// The content of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Nothing.
    Directory,
    /// This text.
    Text(String),
    /// A symbolic link to this path.
    Link(String),
    /// A verified download.
    Component(String),
    /// These container images, as an OCI image layout: a directory.
    Images(Vec<ImageReference>),
    /// A certificate, or the public half of a key pair.
    Certificate(CertId),
    /// A private key.
    Key(CertId),
    /// A kubeconfig with its key or token.
    Kubeconfig(KubeconfigPlan),
    /// The Secret with the bootstrap token.
    BootstrapToken,
    /// `EncryptionConfiguration` with its key.
    EncryptionConfig,
}

impl Source {
    /// Whether only root may see it: the line between the public and the secret layer.
    pub fn is_secret(&self) -> bool {
        matches!(self, Self::Key(_) | Self::Kubeconfig(_) | Self::BootstrapToken | Self::EncryptionConfig)
    }
}

/// A kubeconfig without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KubeconfigPlan {
    /// Name of the cluster entry.
    pub cluster: String,
    /// URL of the API server.
    pub server: String,
    /// Name of the user entry.
    pub user: String,
    /// Name of the context.
    pub context: String,
    /// Further contexts: name, and URL of the API server.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub masters: Vec<(NodeName, String)>,
    /// What proves who the user is.
    pub credential: Credential,
}

/// Files and the errors met on the way, so that all of them are reported at once.
struct Planner<'t> {
    templates: &'t Templates<'t>,
    files: Vec<FilePlan>,
    faults: Vec<String>,
}

/// The files of a machine: the components of its roles, and what else the roles say. Sorted by path.
///
/// # Errors
/// Templates that fail, flags that a program does not know, secrets that others could read, and files of two roles that
/// differ though they lie at one place.
pub(super) fn of_node(templates: &Templates<'_>, node: &Node) -> Result<Vec<FilePlan>, Vec<String>> {
    let mut planner = Planner { templates, files: Vec::new(), faults: Vec::new() };
    let holder = Holder::Node(node);
    for (name, role) in templates.recipe.roles.iter().filter(|(name, _)| node.roles.contains(name)) {
        for component in role.components.iter().filter(|name| !templates.is_image(name)) {
            let file = planner.component(component, holder);
            planner.add(file);
        }
        for rule in &role.files {
            planner.rule(rule, &format!("roles/{name}/"), holder);
        }
    }
    planner.finish()
}

/// The files for people, sorted by path.
///
/// # Errors
/// As [`of_node`].
pub(super) fn of_operator(templates: &Templates<'_>) -> Result<Vec<FilePlan>, Vec<String>> {
    let mut planner = Planner { templates, files: Vec::new(), faults: Vec::new() };
    for rule in &templates.recipe.layout.operator {
        for holder in holders(templates.spec, rule.per, &|_| true) {
            planner.rule(rule, "", holder);
        }
    }
    planner.finish()
}

impl Planner<'_> {
    fn add(&mut self, planned: Result<FilePlan, Vec<String>>) {
        match planned {
            Ok(file) => match self.files.iter().find(|other| other.path == file.path) {
                // Two roles of one machine may need the same file.
                Some(other) if *other == file => {}
                Some(_) => self.faults.push(format!("`/{}` is described twice, and differently", file.path)),
                None => self.files.push(file),
            },
            Err(faults) => self.faults.extend(faults),
        }
    }

    fn finish(mut self) -> Result<Vec<FilePlan>, Vec<String>> {
        self.files.sort_by(|one, other| one.path.cmp(&other.path));
        if self.faults.is_empty() { Ok(self.files) } else { Err(self.faults) }
    }

    /// Adds what a rule says; `directory` is where the recipe's file that has the rule lies.
    fn rule(&mut self, rule: &FileRule, directory: &str, holder: Holder<'_>) {
        if holds(rule.when, self.templates.spec, holder) {
            let planned = self.file(rule, directory, holder);
            self.add(planned);
        }
    }

    fn file(&self, rule: &FileRule, directory: &str, holder: Holder<'_>) -> Result<FilePlan, Vec<String>> {
        let source = match &rule.source {
            FileSource::Directory => Source::Directory,
            FileSource::Text(file) => Source::Text(self.text(&text_path(directory, file), holder)?),
            FileSource::Link(target) => Source::Link(target.clone()),
            FileSource::Component(name) => Source::Component(self.known_component(name)?.0.clone()),
            FileSource::Images => Source::Images(self.templates.images(holder)),
            FileSource::Certificate(id) => Source::Certificate(self.certificate_id(id, holder)),
            FileSource::Key(id) => Source::Key(self.certificate_id(id, holder)),
            FileSource::Kubeconfig(name) => Source::Kubeconfig(self.kubeconfig(name, holder)?),
            FileSource::BootstrapToken => Source::BootstrapToken,
            FileSource::EncryptionConfig => Source::EncryptionConfig,
        };
        let path = self.path(&rule.path, holder)?;
        if source.is_secret() && rule.mode.bits() & 0o077 != 0 {
            return Err(vec![format!("`{path}` holds a secret, and mode {} lets others read it", rule.mode)]);
        }
        let mode = if matches!(source, Source::Link(_)) { Mode::LINK } else { rule.mode };
        Ok(FilePlan { path, mode, owner: rule.owner.clone(), source })
    }

    /// A recipe with a base may have roles that were not there when it was written, and lack their components.
    fn known_component(&self, name: &str) -> Result<(&String, &Component), Vec<String>> {
        let known = self.templates.recipe.release.components.get_key_value(name);
        known.ok_or_else(|| vec![format!("a role needs the component `{name}`, which `recipe.toml` does not have")])
    }

    fn component(&self, name: &str, holder: Holder<'_>) -> Result<FilePlan, Vec<String>> {
        let (_, component) = self.known_component(name)?;
        let path = component.path.clone().unwrap_or_else(|| format!("{{{{ bin }}}}/{name}"));
        let mode = match component.kind {
            Kind::Program => Mode::EXECUTABLE,
            Kind::File | Kind::Image => Mode::PUBLIC,
        };
        let path = self.path(&path, holder)?;
        Ok(FilePlan { path, mode, owner: Owner::ROOT, source: Source::Component(name.to_owned()) })
    }

    fn path(&self, template: &str, holder: Holder<'_>) -> Result<InstallPath, Vec<String>> {
        let path = self.templates.inline(template, holder).map_err(|why| vec![why])?;
        path.parse().map_err(|why| vec![format!("`{template}`: {why}")])
    }

    fn text(&self, file: &str, holder: Holder<'_>) -> Result<String, Vec<String>> {
        let text = self.templates.file(file, holder).map_err(|why| vec![why])?;
        let unknown = unknown_flags(&text, &self.templates.recipe.flags);
        let unknown: Vec<_> = unknown.into_iter().map(|fault| format!("`{file}`: {fault}")).collect();
        if unknown.is_empty() { Ok(text) } else { Err(unknown) }
    }

    fn certificate_id(&self, id: &str, holder: Holder<'_>) -> CertId {
        // Authorities and key pairs are the cluster's.
        let per = self.templates.recipe.certificate(id).map(|leaf| leaf.per).unwrap_or_default();
        holder.certificate_id(id, per)
    }

    fn kubeconfig(&self, name: &str, holder: Holder<'_>) -> Result<KubeconfigPlan, Vec<String>> {
        let described: &Kubeconfig =
            self.templates.recipe.kubeconfig(name).ok_or_else(|| vec![format!("there is no kubeconfig `{name}`")])?;
        let spec = self.templates.spec;
        // kubectl refuses a file in which a name is there twice.
        let is_free = |name: &str| name != spec.name.as_str() && name != described.context;
        Ok(KubeconfigPlan {
            cluster: spec.name.to_string(),
            server: match described.server {
                Server::Endpoint => spec.endpoint.to_string(),
                Server::Local => format!("https://127.0.0.1:{API_PORT}"),
            },
            user: described.user.clone(),
            context: described.context.clone(),
            masters: if described.masters {
                spec.masters()
                    .filter(|node| is_free(node.name.as_str()))
                    .map(|node| (node.name.clone(), format!("https://{}:{API_PORT}", node.address)))
                    .collect()
            } else {
                Vec::new()
            },
            credential: match &described.credential {
                Credential::Certificate(id) => Credential::Certificate(self.certificate_id(id, holder)),
                Credential::BootstrapToken => Credential::BootstrapToken,
            },
        })
    }
}
