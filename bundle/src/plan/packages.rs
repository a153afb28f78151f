//! The packages of a cluster: one for each group of components, the same for everybody, and one for each machine.
//!
//! Packages of components carry a prefix in their names. Other repositories own a `kubectl` too, and a newer one of
//! theirs would replace ours at the next upgrade; nobody else offers `kube-bundle-kubectl`. What takes the same places on
//! disk is in conflict with it, so neither is ever overwritten.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use time::OffsetDateTime;

use super::Source;
use super::files::{FilePlan, of_node};
use super::install_of;
use super::values::Templates;
use crate::package::{Architecture, Line, Malformed, Package, PackageManager, PackageName, Relation, Version};
use crate::recipe::install::RequiredCommand;
use crate::recipe::{Component, Recipe};
use crate::spec::names::NodeName;
use crate::spec::{ClusterSpec, Compression, DebLayout, Node, Seal, Service};

/// What the name of every package of components begins with.
const PREFIX: &str = "kube-bundle-";

/// One package.
#[derive(Debug, Clone, Serialize)]
pub struct PackagePlan {
    /// For which machine; `None` for one that several machines install.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeName>,
    /// Whether its revision is the number of the build: it is of this cluster.
    pub is_numbered: bool,
    /// Name, version and relations.
    pub about: Package,
    /// How its files are compressed.
    pub compression: Compression,
    /// Modification time of its files. A package of components is the same whatever the build says its date is.
    #[serde(with = "time::serde::rfc3339")]
    pub date: OffsetDateTime,
    /// What it installs, sorted by path.
    pub files: Vec<FilePlan>,
}

struct Packager<'a> {
    spec: &'a ClusterSpec,
    recipe: &'a Recipe,
    timestamp: OffsetDateTime,
    /// Packages of components by the names of their groups.
    groups: BTreeMap<&'a str, Package>,
}

/// Every package with its files, those of components first. Packages of machines have revision 1 yet.
///
/// # Errors
/// As [`of_node`], and names that no package can have.
pub(super) fn plan(
    spec: &ClusterSpec,
    recipe: &Recipe,
    manager: &dyn PackageManager,
    timestamp: OffsetDateTime,
) -> Result<Vec<PackagePlan>, Vec<String>> {
    let templates = Templates::new(spec, recipe, manager.directories()).map_err(|why| vec![why])?;
    let groups = groups(recipe).map_err(|why| vec![why.to_string()])?;
    let packager = Packager { spec, recipe, timestamp, groups };
    let (mut shared, mut of_images, mut own) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    for node in &spec.nodes {
        let files = of_node(&templates, node)?;
        let (components, rest): (Vec<_>, Vec<_>) =
            files.into_iter().partition(|file| matches!(file.source, Source::Component(_)));
        let (images, rest): (Vec<_>, Vec<_>) = match spec.deb.layout {
            DebLayout::Fat => (Vec::new(), rest),
            DebLayout::Split => rest.into_iter().partition(|file| matches!(file.source, Source::Images(_))),
        };
        let has_images = !images.is_empty();
        for file in images {
            of_images.insert(file.path.clone(), file);
        }
        let needed = packager.grouped(components);
        let names: BTreeSet<&str> = needed.keys().copied().collect();
        if spec.deb.layout == DebLayout::Fat {
            let mut files: Vec<_> = needed.into_values().flatten().chain(rest).collect();
            files.sort_by(|one, other| one.path.cmp(&other.path));
            own.push(packager.node(node, &names, files, false)?);
        } else {
            own.push(packager.node(node, &names, rest, has_images)?);
            for (group, files) in needed {
                let all: &mut Vec<FilePlan> = shared.entry(group).or_default();
                all.extend(files.into_iter().filter(|file| !all.contains(file)).collect::<Vec<_>>());
            }
        }
    }
    let shared = shared.into_iter().map(|(group, files)| packager.shared(group, files));
    let images = (!of_images.is_empty()).then(|| packager.images(of_images.into_values().collect())).transpose()?;
    Ok(shared.chain(images).chain(own).collect())
}

/// What the packages of components say of themselves, by the names of their groups.
fn groups(recipe: &Recipe) -> Result<BTreeMap<&str, Package>, Malformed> {
    let mut groups = BTreeMap::new();
    for (name, component) in &recipe.release.components {
        let group = component.package(name);
        if groups.contains_key(group) {
            continue;
        }
        let (version, revision) = recipe.release.version_of(component);
        let version = Version::new(version, revision)?;
        let about = recipe.layout.packages.get(group).cloned().unwrap_or_default();
        let others = about.conflicts.iter().map(|other| Ok(Relation::any(other.parse()?)));
        let others: Vec<_> = others.collect::<Result<_, Malformed>>()?;
        let package = Package {
            name: format!("{PREFIX}{group}").parse()?,
            version: version.clone(),
            architecture: Architecture::Amd64,
            maintainer: recipe.layout.package.maintainer.clone(),
            homepage: component
                .upstream
                .as_ref()
                .map_or(Ok(recipe.layout.package.homepage.clone()), |url| url.parse())?,
            depends: Vec::new(),
            provides: vec![Relation { package: group.parse()?, exactly: Some(version) }],
            conflicts: others.clone(),
            replaces: others,
            synopsis: about.synopsis.map_or_else(|| format!("Kubernetes component {group}").parse(), Ok)?,
            description: about.description,
            copyright: copyright(name, component, recipe),
        };
        groups.insert(group, package);
    }
    Ok(groups)
}

/// Whose program it is, in the format of Debian's copyright files; what the recipe says of all packages where it says
/// nothing of this one.
fn copyright(name: &str, component: &Component, recipe: &Recipe) -> String {
    let common = recipe.files.get(&recipe.layout.package.copyright).unwrap_or_default();
    let (Some(license), Some(supplier)) = (&component.license, &component.supplier) else { return common.to_owned() };
    let source = component.upstream.as_deref();
    let upstream = source.and_then(|url| url.rsplit('/').next()).unwrap_or(name);
    let source = source.map(|url| format!("Source: {url}\n")).unwrap_or_default();
    let heading = format!("License: {license}\n");
    let terms = common.split("\n\n").find(|paragraph| paragraph.starts_with(&heading));
    let elsewhere = format!("{heading} The text of this license comes with the source.\n");
    format!(
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: {upstream}\n{source}\n\
         Files: *\nCopyright: {supplier}\n{heading}\n{}\n",
        terms.unwrap_or(&elsewhere).trim_end()
    )
}

impl<'a> Packager<'a> {
    /// The files of components by the group that carries them.
    fn grouped(&self, components: Vec<FilePlan>) -> BTreeMap<&'a str, Vec<FilePlan>> {
        let mut groups: BTreeMap<&str, Vec<FilePlan>> = BTreeMap::new();
        for file in components {
            let Source::Component(name) = &file.source else { continue };
            if let Some((name, component)) = self.recipe.release.components.get_key_value(name) {
                groups.entry(component.package(name)).or_default().push(file);
            }
        }
        groups
    }

    fn shared(&self, group: &str, mut files: Vec<FilePlan>) -> PackagePlan {
        files.sort_by(|one, other| one.path.cmp(&other.path));
        let about = self.groups[group].clone();
        let date = self.recipe.release.released;
        PackagePlan { node: None, is_numbered: false, about, compression: self.spec.deb.compression, date, files }
    }

    /// The images of all machines. Layers are compressed already, and gzip stores them as they are.
    fn images(&self, files: Vec<FilePlan>) -> Result<PackagePlan, Vec<String>> {
        let name = images_package(self.spec).map_err(|why| vec![why.to_string()])?;
        if self.spec.nodes.iter().any(|node| node.name.as_str() == IMAGES) {
            return Err(vec![format!("no node can be called `{IMAGES}`: the package of the images is `{name}`")]);
        }
        let about = self.about_images(name).map_err(|why| vec![why.to_string()])?;
        Ok(PackagePlan {
            node: None,
            is_numbered: true,
            about,
            compression: Compression::Gzip,
            date: self.timestamp,
            files,
        })
    }

    fn about_images(&self, name: PackageName) -> Result<Package, Malformed> {
        let layout = &self.recipe.layout;
        Ok(Package {
            name,
            version: Version::new(&self.recipe.release.version, 1)?,
            architecture: Architecture::Amd64,
            maintainer: layout.package.maintainer.clone(),
            homepage: layout.package.homepage.clone(),
            depends: Vec::new(),
            provides: Vec::new(),
            conflicts: Vec::new(),
            replaces: Vec::new(),
            synopsis: format!("container images of the Kubernetes cluster {}", self.spec.name).parse()?,
            description: vec![
                "Images that machines of the cluster import before they run pods, so that no registry is asked for them."
                    .parse()?,
            ],
            copyright: self.recipe.files.get(&layout.package.copyright).unwrap_or_default().to_owned(),
        })
    }

    /// What is a machine's own: its units, which carry its address, its configuration and its keys.
    fn node(
        &self,
        node: &Node,
        groups: &BTreeSet<&str>,
        files: Vec<FilePlan>,
        has_images: bool,
    ) -> Result<PackagePlan, Vec<String>> {
        let about = self.about_node(node, groups, has_images).map_err(|why| vec![why.to_string()])?;
        if let Some((group, _)) = self.groups.iter().find(|(_, package)| package.name == about.name) {
            return Err(vec![format!(
                "the package of node `{}` of cluster `{}` would have the name of {group}'s, `{}`; choose another name",
                node.name, self.spec.name, about.name
            )]);
        }
        Ok(PackagePlan {
            node: Some(node.name.clone()),
            is_numbered: true,
            about,
            compression: self.spec.deb.compression,
            date: self.timestamp,
            files,
        })
    }

    /// Packages of the distribution whose commands the machine's units call.
    fn commands(&self, node: &Node) -> Result<Vec<Relation>, Malformed> {
        let commands = install_of(node, self.spec, self.recipe).commands;
        let packages: BTreeSet<_> = commands.iter().filter_map(RequiredCommand::package).collect();
        packages.into_iter().map(|package| Ok(Relation::any(package.parse()?))).collect()
    }

    /// Packages of the distribution whose commands open what is encrypted.
    fn openers(&self) -> Result<Vec<Relation>, Malformed> {
        let packages: &[&str] = match self.spec.seal {
            Seal::Off => &[],
            Seal::Key | Seal::Passphrase => &["openssl"],
            Seal::SshHost => &["openssl", "openssh-client"],
        };
        packages.iter().map(|package| Ok(Relation::any(package.parse()?))).collect()
    }

    fn about_node(&self, node: &Node, groups: &BTreeSet<&str>, has_images: bool) -> Result<Package, Malformed> {
        let (release, layout) = (&self.recipe.release, &self.recipe.layout);
        let (cluster, fat) = (&self.spec.name, self.spec.deb.layout == DebLayout::Fat);
        let needed: Vec<_> = groups.iter().filter_map(|group| self.groups.get(group)).collect();
        let exactly = |it: &&Package| Relation { package: it.name.clone(), exactly: Some(it.version.clone()) };
        let (architecture, depends, conflicts, what) = if fat {
            let names = needed.iter().map(|it| Relation::any(it.name.clone()));
            // The images are in it as well.
            let images = node.provides.contains(&Service::Pods).then(|| images_package(self.spec)).transpose()?;
            let names = names.chain(images.map(Relation::any));
            let conflicts = names.chain(needed.iter().flat_map(|it| it.conflicts.clone())).collect();
            (Architecture::Amd64, Vec::new(), conflicts, "The programs are in it.")
        } else {
            let what = "The programs come from the packages that it depends on, in exactly these versions.";
            (Architecture::Independent, needed.iter().map(exactly).collect(), Vec::new(), what)
        };
        let mut depends: Vec<Relation> = depends;
        if has_images {
            let exactly = Some(Version::new(&release.version, 1)?);
            depends.push(Relation { package: images_package(self.spec)?, exactly });
        }
        depends.extend(self.commands(node)?);
        depends.extend(self.openers()?);
        let keys = if self.spec.seal == Seal::Off {
            "It holds private keys: keep the file from others, and delete it once installed."
        } else {
            "Its keys and tokens are encrypted; it looks for the key that opens them when it is installed."
        };
        let roles: Vec<_> = node.roles.iter().map(ToString::to_string).collect();
        Ok(Package {
            name: node_package(self.spec, &node.name)?,
            version: Version::new(&release.version, 1)?,
            architecture,
            maintainer: layout.package.maintainer.clone(),
            homepage: layout.package.homepage.clone(),
            depends,
            provides: vec![Relation::any("kube-bundle-node".parse()?)],
            replaces: conflicts.clone(),
            conflicts,
            synopsis: format!("Kubernetes {} {} {} of cluster {cluster}", release.version, roles.join("+"), node.name)
                .parse()?,
            description: vec![
                format!(
                    "Units, configuration, certificates and keys of one machine, which alone may install them. {what}"
                )
                .parse()?,
                keys.parse::<Line>()?,
            ],
            copyright: self.recipe.files.get(&layout.package.copyright).unwrap_or_default().to_owned(),
        })
    }
}

/// The end of the name of the package with the images.
const IMAGES: &str = "images";

fn images_package(spec: &ClusterSpec) -> Result<PackageName, Malformed> {
    format!("{}-{IMAGES}", spec.name).parse()
}

fn node_package(spec: &ClusterSpec, node: &NodeName) -> Result<PackageName, Malformed> {
    format!("{}-{node}", spec.name).parse()
}
