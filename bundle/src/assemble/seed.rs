//! What a first boot reads: cloud-init's three files, and beside them what is installed.
//!
//! User data holds the digest of every file that it installs, and so does the instance's name: a changed payload is
//! another instance, for which cloud-init does again what it does once.

use super::Error;
use super::about::About;
use super::guide;
use super::installer::settings;
use crate::artifact::{ArtifactInput, ImageKind, WrittenFiles};
use crate::hash::Sha256;
use crate::manifest::SUMS;
use crate::out::WrittenFile;
use crate::plan::{Medium, Output, SeedPlan};
use crate::scripts::script;
use crate::target::{InstallPath, Mode, Owner};
use crate::tree::{Conflict, Content, Entry, Tree};

/// What user data runs.
const BOOT: &str = include_str!("boot.sh");
/// Where the kernel unpacks what cloud-init is to find.
const IN_INITRAMFS: &str = "kube-bundle/seed";
/// What makes an initramfs plant it, whether initramfs-tools or dracut made that. No directory here may be a link in any
/// of them, or the kernel would put an empty one over it; `lib` and `usr/lib/dracut/hooks` are.
const HOOKS: [(&str, Mode, &str); 5] = [
    ("kube-bundle/plant.sh", Mode::PUBLIC, include_str!("seed/plant.sh")),
    ("conf/conf.d/zz-kube-bundle", Mode::PUBLIC, include_str!("seed/order.sh")),
    ("scripts/init-bottom/kube-bundle", Mode::EXECUTABLE, include_str!("seed/initramfs-tools.sh")),
    ("etc/systemd/system/kube-bundle-seed.service", Mode::PUBLIC, include_str!("seed/kube-bundle-seed.service")),
    ("etc/systemd/system/initrd.target.d/kube-bundle.conf", Mode::PUBLIC, include_str!("seed/initrd.target.conf")),
];

#[derive(Debug)]
struct Host {
    name: String,
    instance: String,
    settings: Vec<(&'static str, String)>,
    payload: Vec<String>,
    network: String,
    ssh_authorized_keys: Vec<String>,
}

/// The seed of a machine, or what several share. `written` are the outputs that it may carry, by their paths.
pub(super) fn seed(
    of: &SeedPlan,
    about: Option<About<'_>>,
    signers: &[String],
    written: &WrittenFiles,
) -> Result<ArtifactInput, Error> {
    let host = about.map(|about| {
        let About { plan, node, .. } = about;
        let mut settings = settings(about);
        settings.push(("trusted", signers.join("\n")));
        settings.push(("mirror", of.mirror.as_ref().map(ToString::to_string).unwrap_or_default()));
        Host {
            name: node.name.to_string(),
            instance: format!("{}-{}", plan.content.cluster, node.name),
            settings,
            payload: of.payload.clone(),
            network: of.network.clone(),
            ssh_authorized_keys: of.ssh_authorized_keys.iter().map(ToString::to_string).collect(),
        }
    });
    // Lower case, which cloud-init finds since its first versions; the other is for the user data's script alone.
    let label = if host.is_some() { "cidata" } else { "kube-bundle" };
    let mut files = host.map_or_else(|| Ok(Vec::new()), |host| host.files(of.medium, written))?;
    for path in &of.carries {
        let file = finished(written, path)?;
        // What is a machine's own stays private there, whether its secrets are encrypted or not.
        let mode = if about.is_some_and(|about| is_own(about, path)) { Mode::SECRET } else { file.mode() };
        let entry = Entry { mode, owner: Owner::ROOT, content: Content::WrittenFile(file.clone()) };
        files.push((last(path), entry));
    }
    // An initramfs is for a kernel, and a file is user data alone.
    if let Some(about) = about.filter(|_| matches!(of.medium, Medium::Directory | Medium::Iso | Medium::Vfat)) {
        files.push((guide::NAME, Entry::text(Mode::PUBLIC, guide::machine(about, false)?)));
    }
    let tree = tree(of, files).map_err(|source| Error::Conflict { node: label.to_owned(), source })?;
    let image = |kind, tree| ArtifactInput::Image { kind, label, tree };
    Ok(match of.medium {
        Medium::Directory => ArtifactInput::Directory(tree),
        Medium::Iso => image(ImageKind::Iso, tree),
        Medium::Vfat => image(ImageKind::Vfat, tree),
        Medium::Cpio => image(ImageKind::Cpio, tree),
        Medium::File => {
            let first = tree.files().next().map(|(_, entry)| entry.clone());
            ArtifactInput::File(first.ok_or_else(|| super::missing("a seed", "user data".to_owned()))?)
        }
    })
}

/// Whether an output is this machine's alone.
fn is_own(about: About<'_>, path: &str) -> bool {
    let own = |output: &Output| output.path == path && output.kind.node() == Some(&about.node.name);
    about.plan.outputs.iter().any(own)
}

/// The files of a seed where its medium has them: an initramfs needs hooks that copy them, and every image has a list.
fn tree(of: &SeedPlan, files: Vec<(&str, Entry)>) -> Result<Tree, Conflict> {
    let mut tree = Tree::default();
    let directory = (of.medium == Medium::Cpio).then(|| InstallPath::known(IN_INITRAMFS));
    let place = |name: &str| match &directory {
        Some(directory) => InstallPath::known(name).below(directory),
        None => InstallPath::known(name),
    };
    if directory.is_some() {
        for (name, mode, text) in HOOKS {
            tree.insert(InstallPath::known(name), Entry::text(mode, text))?;
        }
    }
    for (name, entry) in files {
        tree.insert(place(name), entry)?;
    }
    if !matches!(of.medium, Medium::Directory | Medium::File) {
        // It begins like the others' if what all machines share comes before what is private.
        let mode = if of.node.is_some() { Mode::SECRET } else { Mode::PUBLIC };
        let list = Entry::text(mode, sums(&tree));
        tree.insert(place(SUMS), list)?;
    }
    Ok(tree)
}

/// Digest and path of each file in an image, as sha256sum(1) writes them.
fn sums(tree: &Tree) -> String {
    let digests = tree.files().filter_map(|(path, entry)| Some((entry.sha256()?, path)));
    digests.map(|(sha256, path)| format!("{sha256}  {path}\n")).collect()
}

impl Host {
    /// What cloud-init looks for, by name.
    fn files(&self, medium: Medium, written: &WrittenFiles) -> Result<Vec<(&'static str, Entry)>, Error> {
        let user_data = self.user_data(written)?;
        let meta_data = self.meta_data(&user_data);
        // None is secret. In an image, what is a machine's own is its owner's alone, and comes after what all share.
        let mode = if matches!(medium, Medium::Directory | Medium::File) { Mode::PUBLIC } else { Mode::SECRET };
        let mut files = vec![("user-data", Entry::text(mode, user_data))];
        if medium != Medium::File {
            files.push(("meta-data", Entry::text(mode, meta_data)));
            files.push(("network-config", Entry::text(mode, &self.network)));
        }
        Ok(files)
    }

    /// `#cloud-config` with a script in it. Nothing in it is secret, and nothing is to be changed.
    fn user_data(&self, written: &WrittenFiles) -> Result<String, Error> {
        let line = |path: &String| Ok(format!("{}  {path}\n", finished(written, path)?.sha256()));
        let payload = self.payload.iter().map(line).collect::<Result<String, Error>>()?;
        // The list is between two marker lines, so that `verify` can read it without reading the script.
        let body = format!("payload=$(cat <<'{SUMS}'\n{payload}{SUMS}\n)\n{BOOT}");
        let mut text =
            format!("#cloud-config\n# Made by kube-bundle. Sets up {} once, at its first boot.\n", self.instance);
        if !self.ssh_authorized_keys.is_empty() {
            text += "ssh_authorized_keys:\n";
            self.ssh_authorized_keys.iter().for_each(|key| text += &format!("  - \"{key}\"\n"));
        }
        // After a power cut, early or in the middle, or without a key, cloud-init would take it for done.
        text += "bootcmd:\n- |\n  cd /var/lib/cloud/instance\n  case $(cat kube-bundle 2>/dev/null) in\n  \
                 installed*|failed) ;;\n  *) rm -f sem/config_runcmd sem/config_scripts_user;;\n  esac\n";
        text += "runcmd:\n- |\n";
        // Clouds take 16 KiB, so what only people read stays at home, and a level of indentation is one blank. cloud-init
        // adds the first line.
        let script = script(&self.settings, &body);
        let lines = script.lines().filter(|line| !line.is_empty() && !line.trim_start().starts_with('#'));
        lines.for_each(|line| {
            let code = line.trim_start();
            let depth = (line.len() - code.len()) / 2;
            text += &format!("  {:depth$}{code}\n", "");
        });
        Ok(text)
    }

    fn meta_data(&self, user_data: &str) -> String {
        let instance = format!("{}-{}", self.instance, of_instance(user_data, &self.network));
        // A host name may look like a number, or like `no`.
        format!("instance-id: \"{instance}\"\nlocal-hostname: \"{}\"\n", self.name)
    }
}

/// What the name of an instance ends with.
fn of_instance(user_data: &str, network_config: &str) -> String {
    let mut digest = Sha256::of(format!("{user_data}{network_config}").as_bytes()).to_string();
    digest.truncate(16);
    digest
}

fn finished<'p>(written: &'p WrittenFiles, path: &str) -> Result<&'p WrittenFile, Error> {
    written.get(path).map(|it| &it.file).ok_or_else(|| super::missing("a seed", format!("`{path}`")))
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
