//! What a recipe may ask of a machine, in words that can stand in root's scripts.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Recipe;
use super::layout::{FileRule, FileSource};
use crate::target::{InstallPath, PathPattern, is_link_target, is_user_name};

/// What the installer checks, starts and removes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Install {
    /// Units in the order of starting; they are stopped in the reverse order.
    pub units: Vec<String>,
    /// TCP ports that must be free.
    pub ports: Vec<u16>,
    /// Directories that units write to and that are removed with them.
    pub state: Vec<InstallPath>,
    /// Directories of logs, which stay until a purge.
    pub logs: Vec<InstallPath>,
    /// What units write into these directories; the last part may be a pattern of glob(7). A package's purge removes
    /// it and nothing else.
    pub writes: Vec<PathPattern>,
    /// Directories that nothing but the installer's `--purge` removes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub data: Vec<InstallPath>,
    /// The authority of the cluster that they are of. The digest of its public key is noted beside them, and data of
    /// another one are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_of: Option<String>,
    /// System users that are created where they are missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<SystemUser>,
    /// Commands that must be installed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<RequiredCommand>,
    /// Requirements that are checked before anything is installed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub preflight: Vec<Requirement>,
}

impl Install {
    /// Adds what another role of the same machine needs; what both need is there once.
    pub fn add(&mut self, other: &Self) {
        fn extend<T: Clone + PartialEq>(all: &mut Vec<T>, more: &[T]) {
            for one in more {
                if !all.contains(one) {
                    all.push(one.clone());
                }
            }
        }
        extend(&mut self.units, &other.units);
        extend(&mut self.ports, &other.ports);
        extend(&mut self.state, &other.state);
        extend(&mut self.logs, &other.logs);
        extend(&mut self.writes, &other.writes);
        extend(&mut self.data, &other.data);
        self.data_of = self.data_of.take().or_else(|| other.data_of.clone());
        extend(&mut self.users, &other.users);
        extend(&mut self.commands, &other.commands);
        extend(&mut self.preflight, &other.preflight);
    }
}

/// What a machine must be like, beside the commands, users and ports that a role names. The scripts have a check for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Requirement {
    /// All controllers that a kubelet of v1.16 knows are mounted as version 1.
    CgroupV1,
    /// No swap is on.
    NoSwap,
    /// The host name is the node's name.
    HostName,
    /// There is a machine ID.
    MachineId,
    /// The kernel has bridges whose packets pass iptables, overlay file systems and connection tracking.
    KernelModules,
    /// iptables is not of a version that repeats rules without end (1.8.1 and 1.8.2).
    Iptables,
    /// No other containerd, such as Docker's, has the socket and the directories of ours.
    OnlyRuntime,
    /// The C library is new enough for the published containerd and kubelet.
    Glibc,
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CgroupV1 => "cgroup_v1",
            Self::NoSwap => "no_swap",
            Self::HostName => "host_name",
            Self::MachineId => "machine_id",
            Self::KernelModules => "kernel_modules",
            Self::Iptables => "iptables",
            Self::OnlyRuntime => "only_runtime",
            Self::Glibc => "glibc",
        })
    }
}

/// A system user, written `NAME:HOME`: `etcd:/var/lib/etcd`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SystemUser {
    name: String,
    home: InstallPath,
}

impl TryFrom<String> for SystemUser {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("expected a user such as `etcd:/var/lib/etcd`, got `{text}`");
        let (name, home) = text.split_once(':').filter(|(name, _)| is_user_name(name)).ok_or_else(wrong)?;
        Ok(Self { name: name.to_owned(), home: home.parse().map_err(|_| wrong())? })
    }
}

impl From<SystemUser> for String {
    fn from(user: SystemUser) -> Self {
        user.to_string()
    }
}

impl fmt::Display for SystemUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:/{}", self.name, self.home)
    }
}

/// A command that has to be there, written `COMMAND` or `COMMAND:PACKAGE`: `conntrack:conntrack`. The package is
/// Debian's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RequiredCommand(String);

impl TryFrom<String> for RequiredCommand {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '+' | '-');
        let is_word = |word: &str| word.starts_with(|c: char| c.is_ascii_alphanumeric()) && word.chars().all(inner);
        if text.splitn(2, ':').all(is_word) {
            Ok(Self(text))
        } else {
            Err(format!("expected a command such as `conntrack` or `ip:iproute2`, got `{text}`"))
        }
    }
}

impl RequiredCommand {
    /// The package that has it.
    pub fn package(&self) -> Option<&str> {
        self.0.split_once(':').map(|(_, package)| package)
    }
}

impl From<RequiredCommand> for String {
    fn from(command: RequiredCommand) -> Self {
        command.0
    }
}

impl fmt::Display for RequiredCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What systemd takes for a unit's name, without the backslash of systemd-escape(1).
fn is_unit_name(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '.' | '@' | '-');
    !name.is_empty() && !name.starts_with('-') && name.chars().all(inner)
}

/// What scripts could not carry out, or what a machine would refuse.
pub(super) fn contradictions(recipe: &Recipe) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, role) in &recipe.roles {
        let optional = role.optional.iter().map(|optional| &optional.install);
        let all = std::iter::once(&role.install).chain(optional);
        faults.extend(all.clone().flat_map(of_install).map(|fault| format!("role `{name}`: {fault}")));
        let unknown = all.filter_map(|install| install.data_of.as_ref());
        let unknown = unknown.filter(|id| !recipe.layout.authorities.contains_key(*id));
        faults.extend(unknown.map(|id| format!("role `{name}`: `data_of` is `{id}`, which is not an authority")));
    }
    let files = recipe.roles.iter().flat_map(|(_, role)| &role.files);
    faults.extend(files.chain(&recipe.layout.operator).filter_map(of_file));
    faults
}

fn of_install(install: &Install) -> Vec<String> {
    let mut faults = Vec::new();
    for unit in install.units.iter().filter(|unit| !is_unit_name(unit)) {
        faults.push(format!("`{unit}` is not the name of a unit: expected letters, digits and `:_.@-`"));
    }
    for data in &install.data {
        let holds = |other: &&InstallPath| format!("{data}/").starts_with(&format!("{other}/"));
        for other in install.state.iter().chain(&install.logs).filter(holds) {
            faults.push(format!("data in `{data}` would go with `{other}`, which an uninstallation removes"));
        }
    }
    faults
}

fn of_file(rule: &FileRule) -> Option<String> {
    match &rule.source {
        // A link's own rights mean nothing.
        FileSource::Link(target) => {
            (!is_link_target(target)).then(|| format!("`{}` links to `{target}`, which is not a path", rule.path))
        }
        _ if rule.mode.bits() & 0o7002 != 0 => Some(format!(
            "`{}` has mode {}: no file may be setuid, setgid, sticky or writable by everybody",
            rule.path, rule.mode
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_requirement_has_a_check() {
        let checks = include_str!("../scripts/machine.sh");
        let all =
            ["cgroup-v1", "no-swap", "host-name", "machine-id", "kernel-modules", "iptables", "only-runtime", "glibc"];
        for name in all {
            let requirement: Requirement = serde_json::from_value(name.into()).expect("a requirement");
            assert!(checks.contains(&format!("\nrequire_{requirement}() {{")), "{name}");
        }
        assert_eq!(checks.matches("\nrequire_").count(), all.len());
    }

    #[test]
    fn no_word_of_a_recipe_means_anything_to_a_shell() {
        for name in ["kube-apiserver.service", "getty@tty1.service", "a_b:c.timer"] {
            assert!(is_unit_name(name), "{name}");
        }
        for name in ["", "-a.service", "x'; touch /pwned; '", "a b.service", "a/b.service", "*.service"] {
            assert!(!is_unit_name(name), "{name}");
        }
        let user = |text: &str| SystemUser::try_from(text.to_owned());
        assert_eq!(user("etcd:/var/lib/etcd").map(|user| user.to_string()).as_deref(), Ok("etcd:/var/lib/etcd"));
        assert!(user("etcd").is_err() && user("a b:/x").is_err() && user("etcd:/$(id)").is_err());
        let command = |text: &str| RequiredCommand::try_from(text.to_owned());
        assert!(command("ip:iproute2").is_ok() && command("conntrack").is_ok());
        assert!(command("").is_err() && command("a;b").is_err() && command("a:").is_err() && command("-a").is_err());
    }
}
