//! Seeds: what a machine's first boot finds, on which medium, and what of the rest of the bundle lies beside it.
//!
//! cloud-init's data source `NoCloud` takes a directory, or a disk labelled `cidata`, with `user-data`, `meta-data` and
//! `network-config` (its documentation, "No cloud"). Our user data installs what it finds; it knows every digest.

use std::fmt::Write as _;

use serde::Serialize;

use super::{Output, OutputKind};
use crate::spec::names::NodeName;
use crate::spec::{
    Addressing, ClusterSpec, Format, Interface, MirrorUrl, Network, Payload, SeedImage, SeedLayout, SshKey,
};

/// One seed, or what several share.
#[derive(Debug, Serialize)]
pub struct SeedPlan {
    /// For which machine; none for what is the same for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeName>,
    /// What it is written as.
    pub medium: Medium,
    /// Which outputs the machine installs.
    pub payload: Vec<String>,
    /// Which of them lie on this medium.
    pub carries: Vec<String>,
    /// The text of `network-config`.
    pub network: String,
    /// Public keys that may log in with SSH.
    pub ssh_authorized_keys: Vec<SshKey>,
    /// From where the machine fetches what it installs, instead of finding it on a medium.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirror: Option<MirrorUrl>,
}

/// What a seed is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Medium {
    /// Loose files.
    Directory,
    /// An image with ISO 9660.
    Iso,
    /// An image with FAT16.
    Vfat,
    /// An archive that the kernel unpacks behind an initrd.
    Cpio,
    /// User data alone.
    File,
}

impl Medium {
    /// Which format of `cluster.toml` asks for it.
    pub fn format(self) -> Format {
        match self {
            Self::Directory | Self::Iso | Self::Vfat => Format::Nocloud,
            Self::Cpio => Format::Initrd,
            Self::File => Format::UserData,
        }
    }
}

/// All seeds of a cluster. `packed` is what they can carry.
pub(super) fn plan(spec: &ClusterSpec, packed: &[Output]) -> Vec<Output> {
    let image = match spec.seed.image {
        SeedImage::Iso => (Medium::Iso, "iso"),
        SeedImage::Vfat => (Medium::Vfat, "img"),
    };
    let media = [
        (Medium::Directory, "nocloud".to_owned(), None),
        (image.0, format!("cidata.{}", image.1), Some(format!("programs.{}", image.1))),
        (Medium::Cpio, "initrd.cpio".to_owned(), Some("programs.cpio".to_owned())),
        (Medium::File, "user-data".to_owned(), None),
    ];
    let wanted = media.into_iter().filter(|(medium, ..)| spec.formats.contains(&medium.format()));
    let split = spec.seed.layout == SeedLayout::Split;
    let mut outputs = Vec::new();
    for (medium, name, shared) in wanted {
        for node in &spec.nodes {
            let payload = payload(spec.seed.payload, &node.name, packed);
            let is_loose = matches!(medium, Medium::Directory | Medium::File);
            let lies_here = |output: &&&Output| !is_loose && (!split || output.kind.node().is_some());
            let seed = SeedPlan {
                node: Some(node.name.clone()),
                medium,
                carries: paths(payload.iter().filter(lies_here)),
                payload: paths(payload.iter()),
                network: network_config(node.network.as_ref()),
                ssh_authorized_keys: spec.seed.ssh_authorized_keys.clone(),
                mirror: spec.mirror.clone().filter(|_| medium == Medium::File),
            };
            outputs.push(output(format!("nodes/{}/{name}", node.name), seed));
        }
        if let Some(name) = shared.filter(|_| split) {
            let programs: Vec<_> = packed.iter().filter(|output| is_shared(output)).collect();
            let seed = SeedPlan {
                node: None,
                medium,
                payload: Vec::new(),
                carries: paths(programs.iter()),
                network: String::new(),
                ssh_authorized_keys: Vec::new(),
                mirror: None,
            };
            outputs.push(output(name, seed));
        }
    }
    outputs
}

fn output(path: String, seed: SeedPlan) -> Output {
    Output { path, kind: OutputKind::Seed(Box::new(seed)) }
}

fn paths<'o>(outputs: impl Iterator<Item = &'o &'o Output>) -> Vec<String> {
    outputs.map(|output| output.path.clone()).collect()
}

fn is_shared(output: &Output) -> bool {
    matches!(&output.kind, OutputKind::Package(package) if package.node.is_none())
}

/// What a machine installs, of what was packed.
pub(crate) fn payload<'o>(kind: Payload, node: &NodeName, packed: &'o [Output]) -> Vec<&'o Output> {
    let is_own = |output: &&Output| output.kind.node() == Some(node);
    // A machine needs its own package and those that this one depends on.
    let needed = packed.iter().find_map(|output| match &output.kind {
        OutputKind::Package(package) if package.node.as_ref() == Some(node) => Some(&package.about.depends),
        _ => None,
    });
    let is_needed = |output: &&Output| match &output.kind {
        OutputKind::Package(package) => {
            needed.is_some_and(|needed| needed.iter().any(|relation| relation.package == package.about.name))
        }
        _ => false,
    };
    let wanted = |output: &&Output| match (kind, &output.kind) {
        (Payload::Tarball, OutputKind::Archive { .. }) => is_own(output),
        (Payload::Deb, OutputKind::Package(_)) => is_needed(output) || is_own(output),
        _ => false,
    };
    packed.iter().filter(wanted).collect()
}

/// Version 2 of cloud-init's network configuration, without what its older versions lack; `disabled` leaves cards as
/// the image has them, where no file at all would make cloud-init ask for DHCP on the first one.
fn network_config(network: Option<&Network>) -> String {
    let Some(Network { interface, addressing }) = network else {
        return "# cluster.toml has no [nodes.network] for this machine: its image sets up the network.\nconfig: disabled\n"
            .to_owned();
    };
    let mut text = "version: 2\nethernets:\n".to_owned();
    // Writing to a string can't fail.
    let _ = match interface {
        Interface::Name(name) => writeln!(text, "  \"{name}\":"),
        Interface::Mac(mac, name) => {
            writeln!(text, "  \"{name}\":\n    match:\n      macaddress: \"{mac}\"\n    set-name: \"{name}\"")
        }
    };
    match addressing {
        Addressing::Dhcp => text += "    dhcp4: true\n",
        Addressing::Static { address, gateway, dns } => {
            let _ = writeln!(text, "    addresses:\n      - {address}");
            if let Some(gateway) = gateway {
                let _ = writeln!(text, "    routes:\n      - to: 0.0.0.0/0\n        via: {gateway}");
            }
            if !dns.is_empty() {
                text += "    nameservers:\n      addresses:\n";
                for server in dns {
                    let _ = writeln!(text, "        - {server}");
                }
            }
        }
    }
    text
}
