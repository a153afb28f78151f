//! A disk of a machine's own: when the power is cut, it loses what was not written to it, as real ones do.
#![expect(clippy::disallowed_methods, reason = "xtask runs programs and touches files")]

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context, Result};

use super::shell::stdout_of;

/// Bytes; the image has holes.
const SIZE: u64 = 4 << 30;

/// Makes a disk with ext4, and mounts it on `directory/changes`.
pub(super) fn make(directory: &Path) -> Result<()> {
    let image = directory.join("disk.img");
    File::create(&image).and_then(|file| file.set_len(SIZE)).context("could not make a disk")?;
    stdout_of("mkfs.ext4", &["-q", &image.display().to_string()])?;
    mount(directory)
}

fn mount(directory: &Path) -> Result<()> {
    let [image, place] = ["disk.img", "changes"].map(|name| directory.join(name).display().to_string());
    stdout_of("mount", &["-o", "loop", &image, &place]).map(drop)
}

/// What is on the disk at this moment, without what the kernel still has to write. To be called while it is mounted.
pub(super) fn freeze(directory: &Path) -> Result<()> {
    let [image, frozen] = ["disk.img", "frozen.img"].map(|name| directory.join(name).display().to_string());
    stdout_of("cp", &["--sparse=always", &image, &frozen]).map(drop)
}

/// Goes on with what [`freeze`] found.
pub(super) fn go_back(directory: &Path) -> Result<()> {
    unmount(directory)?;
    fs::rename(directory.join("frozen.img"), directory.join("disk.img")).context("could not replace a disk")?;
    mount(directory)
}

pub(super) fn unmount(directory: &Path) -> Result<()> {
    stdout_of("umount", &[&directory.join("changes").display().to_string()]).map(drop)
}
