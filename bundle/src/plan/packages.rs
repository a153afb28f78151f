//! The Debian packages of a cluster: one for each component, the same for everybody, and one for each machine.
//!
//! Components carry a prefix in their packages' names. Other repositories own a `kubectl` too, and a newer one of
//! theirs would replace ours at the next `apt-get upgrade`; nobody else offers `kube-bundle-kubectl`. What takes the
//! same places on disk is in conflict with it, so neither is ever overwritten.

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::files::FilePlan;
use super::{Output, OutputKind, Source};
use crate::package::{Architecture, Control, Line, Malformed, Relation, Version};
use crate::plan::files::packaged;
use crate::recipe::Recipe;
use crate::spec::names::NodeName;
use crate::spec::{ClusterSpec, Compression, DebLayout};
use crate::target::{InstallPath, Mode, Owner};

/// What the name of every component's package begins with.
const PREFIX: &str = "kube-bundle-";

/// One package.
#[derive(Debug, Serialize)]
pub struct PackagePlan {
    /// For which machine, unless it is for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeName>,
    /// What it says of itself.
    pub control: Control,
    /// How its files are compressed.
    pub compression: Compression,
    /// Modification time of its files.
    #[serde(with = "time::serde::rfc3339")]
    pub date: OffsetDateTime,
    /// What it installs, sorted by path.
    pub files: Vec<FilePlan>,
}

struct Packager<'a> {
    spec: &'a ClusterSpec,
    recipe: &'a Recipe,
    timestamp: OffsetDateTime,
    /// What package carries each component.
    components: Vec<(&'a str, Control)>,
}

/// Every package with its files, the shared ones first. `revision` counts the builds of this cluster.
pub(super) fn plan(
    spec: &ClusterSpec,
    recipe: &Recipe,
    revision: u32,
    timestamp: OffsetDateTime,
) -> Result<Vec<Output>, Vec<String>> {
    let fault = |why: Malformed| vec![why.to_string()];
    let nodes = packaged(spec, recipe)?;
    let components = components(recipe).map_err(fault)?;
    let packager = Packager { spec, recipe, timestamp, components };
    let shared = match spec.deb.layout {
        DebLayout::Split => packager.shared(nodes.first().map_or(&[], |(_, files)| files)),
        DebLayout::Fat => Vec::new(),
    };
    let nodes = nodes.into_iter().map(|(node, files)| packager.node(node, files, revision));
    let nodes = nodes.collect::<Result<Vec<_>, _>>()?;
    Ok(shared.into_iter().chain(nodes).collect())
}

/// The control file of each component that a package is made of.
fn components(recipe: &Recipe) -> Result<Vec<(&str, Control)>, Malformed> {
    let (release, deb) = (&recipe.release, &recipe.layout.deb);
    let version = Version::of_release(&release.version, release.revision)?;
    let control = |name: &str| {
        let about = deb.components.get(name).cloned().unwrap_or_default();
        let others = about.conflicts.iter().map(|other| Ok(Relation::any(other.parse()?)));
        let others: Vec<_> = others.collect::<Result<_, Malformed>>()?;
        Ok(Control {
            package: format!("{PREFIX}{name}").parse()?,
            version: version.clone(),
            architecture: Architecture::Amd64,
            maintainer: deb.maintainer.clone(),
            homepage: deb.homepage.clone(),
            depends: Vec::new(),
            provides: vec![Relation { package: name.parse()?, exactly: Some(version.clone()) }],
            conflicts: others.clone(),
            replaces: others,
            synopsis: about.synopsis.map_or_else(|| format!("Kubernetes component {name}").parse(), Ok)?,
            description: about.description,
        })
    };
    release.components.keys().map(|name| Ok((name.as_str(), control(name)?))).collect()
}

impl Packager<'_> {
    fn output(&self, node: Option<NodeName>, control: Control, files: Vec<FilePlan>) -> Output {
        // A program's package is the same whatever the build says its date is.
        let date = if node.is_some() { self.timestamp } else { self.recipe.release.released };
        let files = self.documented(files, &control, date);
        let path = format!("deb/{}", control.file_name());
        let package = PackagePlan { node, control, compression: self.spec.deb.compression, date, files };
        Output { path, kind: OutputKind::Deb(Box::new(package)) }
    }

    /// One package for each component. Its files are the same on every node.
    fn shared(&self, files: &[FilePlan]) -> Vec<Output> {
        let package = |(name, control): &(&str, Control)| {
            let own = files.iter().filter(|file| matches!(&file.source, Source::Component(of) if of == name));
            let own = own.cloned().collect();
            self.output(None, control.clone(), own)
        };
        self.components.iter().map(package).collect()
    }

    /// What is a machine's own: its units, which carry its address, its configuration and its keys.
    fn node(&self, node: NodeName, files: Vec<FilePlan>, revision: u32) -> Result<Output, Vec<String>> {
        let fat = self.spec.deb.layout == DebLayout::Fat;
        let control = self.node_control(&node, revision, fat).map_err(|why| vec![why.to_string()])?;
        if let Some((name, _)) = self.components.iter().find(|(_, component)| component.package == control.package) {
            return Err(vec![format!(
                "the package of node `{node}` of cluster `{}` would have the name of {name}'s, `{}`; choose another name",
                self.spec.name, control.package
            )]);
        }
        let mine = files.into_iter().filter(|file| fat || !matches!(file.source, Source::Component(_))).collect();
        Ok(self.output(Some(node), control, mine))
    }

    fn node_control(&self, node: &NodeName, revision: u32, fat: bool) -> Result<Control, Malformed> {
        let (release, deb) = (&self.recipe.release, &self.recipe.layout.deb);
        let cluster = &self.spec.name;
        let exactly =
            |control: &Control| Relation { package: control.package.clone(), exactly: Some(control.version.clone()) };
        let any = |control: &Control| Relation::any(control.package.clone());
        let all = |relation: &dyn Fn(&Control) -> Relation| {
            self.components.iter().map(|(_, control)| relation(control)).collect::<Vec<_>>()
        };
        let taken = || self.components.iter().flat_map(|(_, control)| control.conflicts.clone());
        let (architecture, depends, conflicts, what) = if fat {
            let conflicts = all(&any).into_iter().chain(taken()).collect();
            (Architecture::Amd64, Vec::new(), conflicts, "The programs are in it.")
        } else {
            let what = "The programs come from the packages that it depends on, in exactly these versions.";
            (Architecture::All, all(&exactly), Vec::new(), what)
        };
        let paragraph = |text: String| text.parse::<Line>();
        Ok(Control {
            package: format!("{cluster}-{node}").parse()?,
            version: Version::of_release(&release.version, revision)?,
            architecture,
            maintainer: deb.maintainer.clone(),
            homepage: deb.homepage.clone(),
            depends,
            provides: vec![Relation::any("kube-bundle-node".parse()?)],
            replaces: conflicts.clone(),
            conflicts,
            synopsis: format!("Kubernetes {} master {node} of cluster {cluster}", release.version).parse()?,
            description: vec![
                paragraph(format!(
                    "Units, configuration, certificates and keys of one machine, which alone may install them. {what}"
                ))?,
                paragraph(
                    "It holds private keys: keep the file from others, and delete it once installed.".to_owned(),
                )?,
            ],
        })
    }

    /// Adds what Policy wants in every package, copyright (12.5) and change log (12.7), and what lintian is told.
    fn documented(&self, mut files: Vec<FilePlan>, control: &Control, date: OffsetDateTime) -> Vec<FilePlan> {
        let deb = &self.recipe.layout.deb;
        let copyright = self.recipe.files.get(&deb.copyright).unwrap_or_default();
        let directory = format!("usr/share/doc/{}", control.package);
        files.push(public(&format!("{directory}/copyright"), Source::Text(copyright.to_owned())));
        files.push(public(&format!("{directory}/changelog.Debian.gz"), Source::Gzipped(self.changelog(control, date))));
        let overrides = overrides(&files, control);
        files.push(public(&format!("usr/share/lintian/overrides/{}", control.package), Source::Text(overrides)));
        files.sort_by(|one, other| one.path.cmp(&other.path));
        files
    }

    /// One entry (4.4), dated like every packed file.
    fn changelog(&self, control: &Control, date: OffsetDateTime) -> String {
        let date = date.format(&Rfc2822).unwrap_or_else(|why| unreachable!("it is after 1900: {why}"));
        format!(
            "{} ({}) unstable; urgency=medium\n\n  * Kubernetes {}, packed by kube-bundle.\n\n -- {}  {date}\n",
            control.package, control.version, self.recipe.release.version, control.maintainer
        )
    }
}

/// What lintian(1) would say of these files and why it is meant to be so.
fn overrides(files: &[FilePlan], control: &Control) -> String {
    let package = &control.package;
    let program = files.iter().any(|file| matches!(file.source, Source::Component(_)));
    let secret = files.iter().any(|file| file.source.is_secret());
    let private = files.iter().any(|file| file.mode == Mode::PRIVATE);
    let reasons = [
        (
            control.version.to_string().ends_with("-1"),
            "no bug of Debian asked for this package",
            "initial-upload-closes-no-bugs",
        ),
        (program, "Kubernetes is released as static Go programs", "statically-linked-binary"),
        (program, "and without manual pages", "no-manual-page"),
        (secret, "keys are for root alone", "non-standard-file-perm"),
        (private, "and nobody else enters their directory", "non-standard-dir-perm"),
        (secret, "deb-systemd-invoke is used wherever it is there", "maintainer-script-calls-systemctl"),
        (secret, "everybody reads md5sums, and no digest of a key belongs there", "file-missing-in-md5sums"),
    ];
    let wanted = reasons.iter().filter(|(wanted, _, _)| *wanted);
    wanted.map(|(_, reason, tag)| format!("# {reason}\n{package}: {tag}\n")).collect()
}

fn public(path: &str, source: Source) -> FilePlan {
    let path: InstallPath = path.parse().unwrap_or_else(|why| unreachable!("built from a package's name: {why}"));
    FilePlan { path, mode: Mode::PUBLIC, owner: Owner::ROOT, source }
}
