//! `[output.seed]`, `[output.mirror]` and `[nodes.network]`: what a machine is told at its first boot.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::Serialize;

/// `[output.seed]`, with defaults filled in.
#[derive(Debug, Clone, Default)]
pub struct SeedSpec {
    /// What the first boot installs.
    pub payload: Payload,
    /// The file system of seed disks.
    pub image: SeedImage,
    /// How a seed is spread over images.
    pub layout: SeedLayout,
    /// Who may log in as the distribution's default user.
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

/// The file system of a seed disk; cloud-init's `NoCloud` takes these two.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SeedImage {
    /// ISO 9660 with Rock Ridge: read-only, and modes survive.
    #[default]
    Iso,
    /// FAT16, for platforms that attach no optical disk. It knows no modes.
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

/// How a seed is spread over images.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SeedLayout {
    /// One for each machine, with everything in it.
    #[default]
    Whole,
    /// One with the programs, the same for all machines, and a small one with what is a machine's own.
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

/// Declares a string newtype whose text was checked.
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
        // Every key begins with the length of its kind's name, in four bytes.
        if plain && known && key.starts_with("AAAA") {
            Ok(Self(text.to_owned()))
        } else {
            Err("expected a public key such as `ssh-ed25519 AAAA… name`".to_owned())
        }
    }
}

text! {
    /// An http or https URL that file names can be put behind; it ends without a slash.
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
            _ => Err("expected an http:// or https:// URL without user, query and quotes".to_owned()),
        }
    }
}

text! {
    /// Six pairs of lower-case hexadecimal digits, as netplan compares them.
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
    /// Name of a network card on Linux: at most 15 characters.
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
            Err("expected the name of a network card such as `eth0`".to_owned())
        }
    }
}

/// Which card of a machine is meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Interface {
    /// The one with this address, which gets this name: before cloud-init 22.1 a card could not be told by its address
    /// alone, unless netplan was there.
    Mac(MacAddress, InterfaceName),
    /// The one that the kernel or udev gives this name.
    Name(InterfaceName),
}

impl InterfaceName {
    /// What a card is named if nobody says.
    pub fn default_name() -> Self {
        Self("kube0".to_owned())
    }
}

/// `[nodes.network]`: how the first boot sets up a machine's network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Network {
    /// Which card.
    pub card: Interface,
    /// Where its addresses come from.
    pub addressing: Addressing,
}

/// Where a card's addresses come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Addressing {
    /// A DHCP server, which has to give the machine the address that `cluster.toml` knows it by.
    Dhcp,
    /// `cluster.toml` itself.
    Static {
        /// The machine's address and its network's prefix.
        address: IpNet,
        /// Who knows the way to other networks.
        gateway: Option<IpAddr>,
        /// Name servers.
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
