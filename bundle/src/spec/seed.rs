//! `[output.seed]`, `[output.mirror]` and `[nodes.network]`: settings of a machine's first boot.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::Serialize;

/// `[output.seed]`, with defaults filled in.
#[derive(Debug, Clone, Default)]
pub struct SeedSpec {
    pub payload: Payload,
    pub image: SeedImage,
    pub layout: SeedLayout,
    /// Keys that may log in as the distribution's default user.
    pub ssh_authorized_keys: Vec<SshKey>,
}

/// What the first boot installs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Payload {
    /// The machine's packages.
    #[default]
    Deb,
    /// The machine's archive, for systems without dpkg.
    Tarball,
}

impl FromStr for Payload {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "deb" => Ok(Self::Deb),
            "tarball" => Ok(Self::Tarball),
            _ => Err("expected `deb` or `tarball`".to_owned()),
        }
    }
}

/// The file system of a seed disk. cloud-init's `NoCloud` reads both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SeedImage {
    /// ISO 9660 with Rock Ridge: read-only, with file modes.
    #[default]
    Iso,
    /// FAT16, for platforms that can't attach an optical disk. It has no file modes.
    Vfat,
}

impl FromStr for SeedImage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "iso" => Ok(Self::Iso),
            "vfat" => Ok(Self::Vfat),
            _ => Err("expected `iso` or `vfat`".to_owned()),
        }
    }
}

/// How a seed is divided among images.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SeedLayout {
    /// One image for each machine, with everything in it.
    #[default]
    Whole,
    /// One image with the programs, shared by all machines, and a small one for each machine with its own files.
    Split,
}

impl FromStr for SeedLayout {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "whole" => Ok(Self::Whole),
            "split" => Ok(Self::Split),
            _ => Err("expected `whole` or `split`".to_owned()),
        }
    }
}

/// Declares a string newtype; its `FromStr`, written separately, does the checking.
macro_rules! text {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
        pub struct $name(String);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text! {
    /// A public key as one line of `authorized_keys` (`sshd(8)`), without options.
    SshKey
}

impl FromStr for SshKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = text.chars().all(|c| c == ' ' || (c.is_ascii_graphic() && !matches!(c, '\'' | '"' | '\\')));
        let mut words = text.split(' ');
        let kind = words.next().unwrap_or_default();
        let known = ["ssh-", "ecdsa-sha2-", "sk-"].iter().any(|prefix| kind.starts_with(prefix));
        let key = words.next().unwrap_or_default();
        // Base64 of a key begins with the length of its type's name, four bytes that are mostly zero: `AAAA`.
        if plain && known && key.starts_with("AAAA") {
            Ok(Self(text.to_owned()))
        } else {
            Err("expected a public key such as `ssh-ed25519 AAAA… name`".to_owned())
        }
    }
}

text! {
    /// An http or https URL to which file names are appended. A trailing slash is removed.
    MirrorUrl
}

impl FromStr for MirrorUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let host = ["http://", "https://"].iter().find_map(|scheme| text.strip_prefix(scheme));
        let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '\'' | '"' | '\\' | '`' | '$' | '?' | '#' | '@');
        match host {
            Some(host) if !host.is_empty() && !host.starts_with('/') && host.chars().all(plain) => {
                Ok(Self(text.trim_end_matches('/').to_owned()))
            }
            _ => Err("expected an http:// or https:// URL without user name, query or quotes".to_owned()),
        }
    }
}

text! {
    /// Six pairs of hexadecimal digits, in lower case because netplan compares them so.
    MacAddress
}

impl FromStr for MacAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let pair = |part: &str| part.len() == 2 && part.chars().all(|c| c.is_ascii_hexdigit());
        if text.split(':').count() == 6 && text.split(':').all(pair) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err("expected six pairs of hexadecimal digits such as `52:54:00:12:34:56`".to_owned())
        }
    }
}

text! {
    /// Name of a network interface on Linux: 1 to 15 characters.
    InterfaceName
}

impl FromStr for InterfaceName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if (1..=15).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.chars().all(plain)
        {
            Ok(Self(text.to_owned()))
        } else {
            Err("expected the name of a network interface such as `eth0`".to_owned())
        }
    }
}

/// Which network interface of a machine to set up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Interface {
    /// The one with this MAC address, which is renamed to this name: before cloud-init 22.1 an interface could not be
    /// matched by its address alone, except with netplan.
    Mac(MacAddress, InterfaceName),
    /// The one that the kernel or udev gives this name.
    Name(InterfaceName),
}

impl InterfaceName {
    /// The name of an interface that is selected by its MAC address, if `cluster.toml` names none.
    pub fn default_name() -> Self {
        Self("kube0".to_owned())
    }
}

/// `[nodes.network]`: the network of a machine at its first boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Network {
    pub interface: Interface,
    pub addressing: Addressing,
}

/// Where an interface's addresses come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Addressing {
    /// A DHCP server, which must give the machine its address from `cluster.toml`.
    Dhcp,
    /// Fixed in `cluster.toml`.
    Static {
        /// The machine's address with its network's prefix length.
        address: IpNet,
        gateway: Option<IpAddr>,
        dns: Vec<IpAddr>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_break_out_of_a_script_or_of_yaml_is_refused() {
        for bad in
            ["", "ssh-ed25519", "ssh-rsa BBBB", "ssh-rsa AAAA'x", "command=\"x\" ssh-rsa AAAA", "ssh-rsa AAAA\nx"]
        {
            bad.parse::<SshKey>().expect_err(bad);
        }
        for bad in ["ftp://a", "http://", "http:///a", "http://a/'x", "http://a b", "http://u@a", "http://a/$x", "a"] {
            bad.parse::<MirrorUrl>().expect_err(bad);
        }
        for bad in ["", "52:54:00:12:34", "52:54:00:12:34:5g", "52-54-00-12-34-56"] {
            bad.parse::<MacAddress>().expect_err(bad);
        }
        for bad in ["", "eth0: x", "e*", "abcdefghijklmnop", ".x"] {
            bad.parse::<InterfaceName>().expect_err(bad);
        }
        let url: MirrorUrl = "http://10.0.0.1:8080/roc/".parse().expect("a URL");
        assert_eq!(url.to_string(), "http://10.0.0.1:8080/roc");
    }
}
