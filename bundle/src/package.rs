//! Packages: what one says of itself, whichever package manager installs it, and the managers there are.
//!
//! `plan` describes packages in the neutral terms of [`description`]. What a manager wants of them, such as names of
//! files, control fields, scripts and an index, is in a module of its own; [`Manager`] chooses the module.

pub mod debian;
mod description;

pub use description::{Architecture, Line, Malformed, Package, PackageName, Relation, Version};

use serde::Serialize;

use crate::hash::Sha256;

/// What installs packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Manager {
    /// dpkg, and apt in front of it.
    Dpkg,
}

/// Directories that depend on who installs a file.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Directories {
    /// Programs.
    pub bin: &'static str,
    /// What programs and scripts of ours are made of.
    pub lib: &'static str,
    /// systemd units.
    pub units: &'static str,
}

impl Directories {
    /// What `install.sh` uses: the FHS gives `/usr/local` to the administrator.
    pub const LOCAL: Self =
        Self { bin: "usr/local/bin", lib: "usr/local/lib/kube-bundle", units: "etc/systemd/system" };
}

impl Manager {
    /// Where its packages install to.
    pub fn directories(self) -> Directories {
        match self {
            Self::Dpkg => debian::DIRECTORIES,
        }
    }

    /// The directory of an output that packages and their index are in.
    pub fn repository(self) -> &'static str {
        match self {
            Self::Dpkg => debian::REPOSITORY,
        }
    }

    /// The file of a package.
    pub fn file_name(self, package: &Package) -> String {
        match self {
            Self::Dpkg => debian::control::file_name(package),
        }
    }

    /// A digest over what the manager's module adds to every package: a build's revision has to grow with it.
    pub fn scripts_digest(self) -> Sha256 {
        match self {
            Self::Dpkg => debian::scripts::digest(),
        }
    }
}
