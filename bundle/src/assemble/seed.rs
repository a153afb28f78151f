//! What a first boot reads: cloud-init's three files, and beside them what is installed.
//!
//! User data holds the digest of every file that it installs, and so does the instance's name: a changed payload is
//! another instance, for which cloud-init does again what it does once.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::Error;
use super::installer::settings;
use super::shell::script;
use crate::hash::Sha256;
use crate::manifest::SUMS;
use crate::out::WrittenFile;
use crate::plan::{Medium, NodePlan, Plan, SeedPlan};
use crate::target::{InstallPath, Mode, Owner};
use crate::tree::{Content, Entry, Tree};

/// What user data runs.
const BOOT: &str = include_str!("boot.sh");
/// Where the kernel unpacks what cloud-init is to find.
pub const IN_INITRAMFS: &str = "kube-bundle/seed";
/// What makes an initramfs plant it, whether initramfs-tools or dracut made that. No directory here may be a link in any
/// of them, or the kernel would put an empty one over it; `lib` and `usr/lib/dracut/hooks` are.
pub const HOOKS: [(&str, Mode, &str); 5] = [
    ("kube-bundle/plant.sh", Mode::PUBLIC, include_str!("seed/plant.sh")),
    ("conf/conf.d/zz-kube-bundle", Mode::PUBLIC, include_str!("seed/order.sh")),
    ("scripts/init-bottom/kube-bundle", Mode::EXECUTABLE, include_str!("seed/initramfs-tools.sh")),
    ("etc/systemd/system/kube-bundle-seed.service", Mode::PUBLIC, include_str!("seed/kube-bundle-seed.service")),
    ("etc/systemd/system/initrd.target.d/kube-bundle.conf", Mode::PUBLIC, include_str!("seed/initrd.target.conf")),
];

/// What a first boot reads.
#[derive(Debug)]
pub struct Seed {
    /// What it is written as.
    pub medium: Medium,
    /// Name of its file system.
    pub label: &'static str,
    /// Its files.
    pub tree: Tree,
}

#[derive(Debug)]
struct Host {
    name: String,
    instance: String,
    settings: Vec<(&'static str, String)>,
    payload: Vec<String>,
    network: String,
    ssh_authorized_keys: Vec<String>,
}

/// The seed of a machine, or what several share. `packed` are the outputs that it may carry, by their paths.
pub(super) fn seed(
    of: &SeedPlan,
    plan: &Plan,
    node: Option<&NodePlan>,
    window: (OffsetDateTime, OffsetDateTime),
    packed: &BTreeMap<String, WrittenFile>,
) -> Result<Seed, Error> {
    let host = node.map(|node| {
        let mut settings: Vec<_> = settings(plan, node, window).into();
        settings.push(("mirror", of.mirror.as_ref().map(ToString::to_string).unwrap_or_default()));
        Host {
            name: node.name.to_string(),
            instance: format!("{}-{}", plan.cluster, node.name),
            settings,
            payload: of.payload.clone(),
            network: of.network.clone(),
            ssh_authorized_keys: of.ssh_authorized_keys.iter().map(ToString::to_string).collect(),
        }
    });
    // Lower case, which cloud-init finds since its first versions; the other is for the user data's script alone.
    let label = if host.is_some() { "cidata" } else { "kube-bundle" };
    let mut files = match host {
        Some(host) => host.files(of.medium, packed)?,
        None => vec![(SUMS, Entry::text(Mode::PUBLIC, sums(&of.carries, packed)?))],
    };
    for path in &of.carries {
        let file = finished(packed, path)?;
        let entry = Entry { mode: file.mode(), owner: Owner::ROOT, content: Content::WrittenFile(file.clone()) };
        files.push((last(path), entry));
    }
    let mut tree = Tree::default();
    let mut insert = |path: InstallPath, entry| {
        tree.insert(path, entry).map_err(|source| Error::Conflict { node: label.to_owned(), source })
    };
    let directory = (of.medium == Medium::Cpio).then(|| path(IN_INITRAMFS));
    if directory.is_some() {
        for (name, mode, text) in HOOKS {
            insert(path(name), Entry::text(mode, text))?;
        }
    }
    for (name, entry) in files {
        let path = path(name);
        insert(directory.as_ref().map_or_else(|| path.clone(), |directory| path.below(directory)), entry)?;
    }
    Ok(Seed { medium: of.medium, label, tree })
}

/// What says whether the files that machines share are whole.
fn sums(carries: &[String], packed: &BTreeMap<String, WrittenFile>) -> Result<String, Error> {
    carries.iter().map(|path| Ok(format!("{}  {}\n", finished(packed, path)?.sha256(), last(path)))).collect()
}

impl Host {
    /// What cloud-init looks for, by name.
    fn files(
        &self,
        medium: Medium,
        packed: &BTreeMap<String, WrittenFile>,
    ) -> Result<Vec<(&'static str, Entry)>, Error> {
        let user_data = self.user_data(packed)?;
        let meta_data = self.meta_data(&user_data);
        let mut files = vec![("user-data", Entry::text(Mode::SECRET, user_data))];
        if medium != Medium::File {
            files.push(("meta-data", Entry::text(Mode::SECRET, meta_data)));
            files.push(("network-config", Entry::text(Mode::SECRET, &self.network)));
        }
        Ok(files)
    }

    /// `#cloud-config` with a script in it. Nothing in it is secret, and nothing is to be changed.
    fn user_data(&self, packed: &BTreeMap<String, WrittenFile>) -> Result<String, Error> {
        let line = |path: &String| Ok(format!("{} {path}", finished(packed, path)?.sha256()));
        let payload = self.payload.iter().map(line).collect::<Result<Vec<_>, Error>>()?.join("\n");
        let settings = self.settings.iter().cloned().chain([("payload", payload)]).collect::<Vec<_>>();
        let mut text =
            format!("#cloud-config\n# Made by kube-bundle. Sets up {} once, at its first boot.\n", self.instance);
        if !self.ssh_authorized_keys.is_empty() {
            text += "ssh_authorized_keys:\n";
            self.ssh_authorized_keys.iter().for_each(|key| text += &format!("  - \"{key}\"\n"));
        }
        // After a power cut in the middle cloud-init would take it for done.
        text += "bootcmd:\n- |\n  [ \"$(cat /var/lib/cloud/instance/kube-bundle 2>/dev/null)\" != started ] ||\n    \
                 rm -f /var/lib/cloud/instance/sem/config_scripts_user\n";
        text += "runcmd:\n- |\n";
        // Clouds take 16 KiB, so what only people read stays at home. cloud-init adds the first line.
        let script = script(&settings, BOOT);
        let lines = script.lines().filter(|line| !line.is_empty() && !line.trim_start().starts_with('#'));
        lines.for_each(|line| text += &format!("  {line}\n"));
        Ok(text)
    }

    fn meta_data(&self, user_data: &str) -> String {
        let instance = format!("{}-{}", self.instance, of_instance(user_data, &self.network));
        // A host name may look like a number, or like `no`.
        format!("instance-id: \"{instance}\"\nlocal-hostname: \"{}\"\n", self.name)
    }
}

/// What the name of an instance ends with.
pub fn of_instance(user_data: &str, network_config: &str) -> String {
    let mut digest = Sha256::of(format!("{user_data}{network_config}").as_bytes()).to_string();
    digest.truncate(16);
    digest
}

fn finished<'p>(packed: &'p BTreeMap<String, WrittenFile>, path: &str) -> Result<&'p WrittenFile, Error> {
    packed.get(path).ok_or_else(|| super::lacking("a seed", format!("`{path}`")))
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn path(text: &str) -> InstallPath {
    text.parse().unwrap_or_else(|why| unreachable!("built from checked names: {why}"))
}
