//! A package as deb(5) describes it: `debian-binary`, `control.tar.gz`, `data.tar.*` in an ar archive.
//!
//! The writer knows what Debian Policy wants of any package and nothing of what is in this one. Whatever lies below
//! `etc/` is a conffile (10.7); a [`Content::Secret`] leaves no digest in `md5sums`, which everybody may read.

use std::io;

use md5::{Digest as _, Md5};

use super::ar;
use super::compress;
use super::pieces::CompressedCache;
use super::segment::Segment;
use super::tar::{self, Names};
use crate::debian::{DebianPackage, control as fields};
use crate::spec::Compression;
use crate::target::{InstallPath, Mode};
use crate::tree::{Content, Entry, Tree};

/// What the control archive holds.
pub fn control(package: &DebianPackage, cache: &CompressedCache) -> io::Result<Tree> {
    let mut members = Tree::default();
    let mut add = |name: &str, mode, text: String| {
        let path: InstallPath = name.parse().map_err(io::Error::other)?;
        members.insert(path, Entry::text(mode, text)).map_err(io::Error::other)
    };
    add("control", Mode::PUBLIC, fields::stanza(&package.about, installed_size(&package.tree)))?;
    let sums = md5sums(package, cache)?;
    if !sums.is_empty() {
        add("md5sums", Mode::PUBLIC, sums)?;
    }
    let conffiles: String = package
        .tree
        .files()
        .filter(|(path, entry)| is_conffile(path, entry))
        .map(|(path, _)| format!("/{path}\n"))
        .collect();
    if !conffiles.is_empty() {
        add("conffiles", Mode::PUBLIC, conffiles)?;
    }
    for (script, text) in &package.scripts {
        add(script.name(), Mode::EXECUTABLE, text.clone())?;
    }
    Ok(members)
}

/// What a package says of itself, from its control archive.
pub fn stanza(control: &Tree) -> Option<String> {
    let (_, entry) = control.files().find(|(path, _)| path.as_str() == "control")?;
    match &entry.content {
        Content::Bytes(text) => Some(String::from_utf8_lossy(text).into_owned()),
        _ => None,
    }
}

/// dpkg takes no link for one.
fn is_conffile(path: &InstallPath, entry: &Entry) -> bool {
    path.as_str().starts_with("etc/") && entry.link_target().is_none()
}

/// KiB as dpkg-gencontrol(1) counts them: each file rounded up, each directory, the root among them, as one.
fn installed_size(tree: &Tree) -> u64 {
    let sizes = tree.iter().map(|(_, entry)| {
        if entry.is_directory() || entry.link_target().is_some() { 1 } else { entry.size().div_ceil(1024) }
    });
    1 + sizes.sum::<u64>()
}

/// `md5sums` as `dh_md5sums` writes it, for `dpkg --verify` and debsums(1).
fn md5sums(package: &DebianPackage, cache: &CompressedCache) -> io::Result<String> {
    let mut lines = String::new();
    for (path, entry) in package.tree.files().filter(|(path, entry)| !is_conffile(path, entry)) {
        let digest = match &entry.content {
            Content::Directory | Content::Link(_) | Content::Secret(_) => continue,
            Content::Bytes(bytes) => crate::hash::Md5::from(Md5::new_with_prefix(bytes)).to_string(),
            Content::Blob(blob) => cache.get(blob, package.compression)?.md5().to_string(),
            Content::WrittenFile(_) => return Err(io::Error::other("a package carries no artifact")),
        };
        lines += &format!("{digest}  {path}\n");
    }
    Ok(lines)
}

/// A package with the given [`control`] archive.
pub fn segments(package: &DebianPackage, control: &Tree, cache: &CompressedCache) -> io::Result<Vec<Segment>> {
    let (compression, mtime) = (package.compression, package.mtime);
    let tar = |tree| tar::segments(tree, mtime, Names::Dotted);
    let when = u64::try_from(mtime).map_err(io::Error::other)?;
    let mut segments = vec![ar::begin()];
    segments.extend(ar::member("debian-binary", when, vec![Segment::Bytes(b"2.0\n".to_vec())])?);
    // dpkg 1.17 takes no other control archive.
    let control = compress::segments(Compression::Gzip, tar(control)?, 0, cache)?;
    segments.extend(ar::member("control.tar.gz", when, control)?);
    let data = match compression {
        Compression::Gzip => "data.tar.gz",
        Compression::Zstd => "data.tar.zst",
        Compression::Xz => "data.tar.xz",
    };
    let at = segments.iter().map(Segment::size).sum::<u64>() + ar::HEADER;
    let files = compress::segments(compression, tar(&package.tree)?, at, cache)?;
    segments.extend(ar::member(data, when, files)?);
    Ok(segments)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::Blob;
    use crate::hash::Sha256;
    use crate::package::{Architecture, Package, Version};
    use crate::progress::{Progress as _, Quiet};
    use std::collections::BTreeMap;

    fn package(tree: Tree) -> DebianPackage {
        let line = |text: &str| text.parse().expect("a line");
        let about = Package {
            name: "large".parse().expect("a name"),
            version: Version::new("v1", 1).expect("a version"),
            architecture: Architecture::Independent,
            maintainer: line("a <a@b.invalid>"),
            homepage: line("https://b.invalid/"),
            depends: Vec::new(),
            provides: Vec::new(),
            conflicts: Vec::new(),
            replaces: Vec::new(),
            synopsis: line("a file"),
            description: vec![line("A file.")],
            copyright: String::new(),
        };
        DebianPackage { about, compression: Compression::Gzip, mtime: 0, scripts: BTreeMap::new(), tree }
    }

    fn tree_of(blob: Blob) -> Tree {
        let mut tree = Tree::default();
        let entry = Entry { mode: Mode::EXECUTABLE, owner: crate::target::Owner::ROOT, content: Content::Blob(blob) };
        tree.insert("usr/bin/large".parse().expect("a path"), entry).expect("free");
        tree
    }

    /// Sizes stand in a tar header (33 bits of octal digits) and in `Installed-Size`.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "tests make files")]
    fn sizes_of_more_than_32_bits_stand_where_tar_reads_them() {
        use std::io::{Seek as _, SeekFrom, Write as _};
        let size = 5 << 30;
        let tree = tree_of(Blob::known("nowhere".into(), size, Sha256::of(b"")));
        assert_eq!(installed_size(&tree), size / 1024 + 3);
        let directory = tempfile::tempdir().expect("a directory");
        let mut file = std::fs::File::create(directory.path().join("large.tar")).expect("a file");
        for segment in tar::segments(&tree, 0, Names::Dotted).expect("an archive") {
            match segment {
                Segment::Bytes(bytes) => file.write_all(&bytes).expect("room"),
                // Zeros that nobody writes and, since a file can be jumped in, nobody reads.
                large => drop(file.seek(SeekFrom::Current(large.size().cast_signed())).expect("a file of holes")),
            }
        }
        let file = std::fs::File::open(directory.path().join("large.tar")).expect("the file");
        let mut archive = ::tar::Archive::new(file);
        let entries = archive.entries_with_seek().expect("an archive").map(|entry| entry.expect("an entry"));
        let sizes: Vec<_> = entries.map(|entry| (entry.path().expect("a path").into_owned(), entry.size())).collect();
        assert_eq!(sizes.last(), Some(&("./usr/bin/large".into(), size)), "{sizes:?}");
    }

    /// Beside the former: the length and the checksum that gzip keeps, modulo 32 bits, and what a reader counts with.
    #[test]
    #[ignore = "compresses and reads 5 GiB, which takes minutes; `cargo xtask ci --slow` runs it, and so does CI"]
    #[expect(clippy::disallowed_methods, reason = "tests make files")]
    fn a_member_of_5_gib_is_whole() {
        let directory = tempfile::tempdir().expect("a directory");
        let size = 5 << 30;
        let path = directory.path().join("large");
        std::fs::File::create(&path).and_then(|file| file.set_len(size)).expect("a file of holes");
        let (sha256, _) = Sha256::of_reader(std::fs::File::open(&path).expect("the file")).expect("its digest");
        let blob = Blob::known(path, size, sha256);
        let package = package(tree_of(blob.clone()));
        let target = directory.path().join("large.deb");
        let store = crate::fetch::Store::open(directory.path().join("store")).expect("a store");
        let cache =
            crate::pack::pieces::ensure_compressed(&[(blob, Compression::Gzip)], &store, 4, &Quiet).expect("pieces");
        let control = control(&package, &cache).expect("a control archive");
        let segments = segments(&package, &control, &cache).expect("a package");
        let mut writer = crate::out::AtomicFileWriter::begin(target.clone()).expect("a file");
        let task = Quiet.task("", None);
        let written = crate::pack::segment::write_all(&segments, &mut writer, task.as_ref()).expect("a package");
        writer.finish(Mode::PUBLIC, written.finish(false)).expect("a file");

        let contents = crate::inspect::read(&target, &["control"]).expect("a package that reads");
        let member = &contents.entries["usr/bin/large"];
        assert_eq!((member.size, member.sha256), (Some(size), Some(sha256)));
        assert!(contents.kept["DEBIAN/control"].contains(&format!("Installed-Size: {}\n", size / 1024 + 3)));
    }
}
