//! The programs that bundles are built from: copies of real ones, or stand-ins; and one pass of the codec over them.
#![expect(clippy::disallowed_methods, reason = "xtask touches files")]

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use kube_bundle::pack::codec;
use kube_bundle::spec::Compression;

pub(super) const COMPONENTS: [&str; 4] = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"];
/// The sizes of the programs of v1.16.0 in bytes.
const SIZES: [usize; 4] = [52_899_840, 47_226_880, 35_422_208, 38_035_456];

/// Copies the components alone, whatever else lies in the directory.
pub(super) fn copy(from: &Path, work: &Path) -> Result<PathBuf> {
    let to = work.join("binaries");
    fs::create_dir_all(&to).context("could not make a directory")?;
    for name in COMPONENTS {
        fs::copy(from.join(name), to.join(name)).with_context(|| format!("could not copy `{name}`"))?;
    }
    Ok(to)
}

/// Writes files of the size of the real programs that compress about as well. They are the same on every machine.
pub(super) fn write_stand_ins(work: &Path) -> Result<PathBuf> {
    let directory = work.join("binaries");
    fs::create_dir_all(&directory).context("could not make a directory")?;
    for (name, size) in COMPONENTS.into_iter().zip(SIZES) {
        fs::write(directory.join(name), stand_in(name, size)?).with_context(|| format!("could not write `{name}`"))?;
    }
    Ok(directory)
}

/// Pseudo-random bytes that depend on `name`: an ELF header for x86-64, then words of different lengths out of 6000, some
/// much more often than others.
fn stand_in(name: &str, size: usize) -> Result<Vec<u8>> {
    let mut state = name.bytes().fold(0x9e37_79b9_7f4a_7c15u64, |state, byte| state.rotate_left(8) ^ u64::from(byte));
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let words: Vec<[u8; 12]> = (0..6000)
        .map(|_| {
            let (one, other) = (next().to_le_bytes(), next().to_le_bytes());
            std::array::from_fn(|at| if at < 8 { one[at] } else { other[at - 8] })
        })
        .collect();
    let mut bytes = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 62, 0];
    while bytes.len() < size {
        let random = next();
        let word = usize::try_from((random % 6000) * ((random >> 20) % 6000) / 6000)?;
        let length = 5 + usize::try_from((random >> 40) % 8)?;
        bytes.extend_from_slice(&words[word][..length]);
    }
    bytes.truncate(size);
    Ok(bytes)
}

/// Compresses every block of every program with kube-bundle's own codec, on all processors, and drops the result.
pub(super) fn pass(binaries: &Path) -> Result<()> {
    let how = Compression::Gzip;
    let programs = COMPONENTS.map(|name| fs::read(binaries.join(name)));
    let programs = programs.into_iter().collect::<std::io::Result<Vec<_>>>().context("could not read the programs")?;
    let blocks: Vec<_> = programs.iter().flat_map(|program| program.chunks(codec::block(how))).collect();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let done = kube_bundle::workers::each(processors, &blocks, |content| codec::piece(how, content));
    done.map(drop).context("could not compress")
}
