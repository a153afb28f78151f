//! `[output]`: what a bundle is packed as, and how.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// What a bundle is packed as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One `.tar.gz` with `install.sh` for each node.
    Tarball,
    /// Debian packages.
    Deb,
    /// A seed directory and a seed disk for each node, for cloud-init's `NoCloud`.
    Nocloud,
    /// A cpio archive for each node, which a boot loader passes to the kernel behind the distribution's initrd.
    Initrd,
    /// Cloud-init user data for each node, which fetches the bundle from a web server.
    #[serde(rename = "user-data")]
    UserData,
}

impl Format {
    /// Whether the machine installs itself at its first boot.
    pub fn boots(self) -> bool {
        matches!(self, Self::Nocloud | Self::Initrd | Self::UserData)
    }
}

impl Format {
    /// What a machine's archive of this format is called, without its directory.
    pub fn archive_name(stem: &str) -> String {
        format!("{stem}.tar.gz")
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "tarball" => Ok(Self::Tarball),
            "deb" => Ok(Self::Deb),
            "nocloud" => Ok(Self::Nocloud),
            "initrd" => Ok(Self::Initrd),
            "user-data" => Ok(Self::UserData),
            _ => Err("expected `tarball`, `deb`, `nocloud`, `initrd` or `user-data`".to_owned()),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tarball => "tarball",
            Self::Deb => "deb",
            Self::Nocloud => "nocloud",
            Self::Initrd => "initrd",
            Self::UserData => "user-data",
        })
    }
}

/// `[output.deb]`, with defaults filled in.
#[derive(Debug, Clone, Copy, Default)]
pub struct DebSpec {
    pub layout: DebLayout,
    pub compression: Compression,
    /// Debian revision of every machine's package; `None`: the number of the build, counted in `pki/`.
    pub revision: Option<u32>,
}

/// How files are divided among packages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DebLayout {
    /// One package for each program, shared by all machines, and a small one for each machine.
    #[default]
    Split,
    /// One package for each machine, with everything in it.
    Fat,
}

impl FromStr for DebLayout {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "split" => Ok(Self::Split),
            "fat" => Ok(Self::Fat),
            _ => Err("expected `split` or `fat`".to_owned()),
        }
    }
}

/// Compression of Debian packages. Every dpkg in use reads gzip and xz; zstd needs dpkg 1.21.18 (Debian 12) or
/// Ubuntu 18.04.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// RFC 1952.
    #[default]
    Gzip,
    /// RFC 8878: 6 % smaller than gzip, in less than half the time.
    Zstd,
    /// 30 % smaller than gzip, in sixteen times the time, with 25 MB of memory per thread.
    Xz,
}

impl FromStr for Compression {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "gzip" => Ok(Self::Gzip),
            "zstd" => Ok(Self::Zstd),
            "xz" => Ok(Self::Xz),
            _ => Err("expected `gzip`, `zstd` or `xz`".to_owned()),
        }
    }
}
