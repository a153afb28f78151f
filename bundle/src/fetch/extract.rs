//! Extracts components from a release tarball while it is downloaded; other members are not written to the disk.

use std::collections::BTreeMap;
use std::io::{self, Read};

use tar::{Entry, PaxExtensions};

use super::store::{StagedFile, Store};
use crate::hash::{HashingReader, Sha256};
use crate::plan::downloads::Member;

/// Limit in bytes for all extracted members together. The digest is checked only at the end, so a hostile archive could
/// fill the disk before.
const LONGEST: u64 = 4 << 30;
/// Bytes of what an archive may say of one member beside its header, such as a long name.
const LARGEST_EXTENSION: u64 = 1 << 20;

/// `body` is the tar archive, decompressed. Copies the wanted members into temporary files of the store. The caller must check the digest of the archive before it
/// makes blobs of them.
pub(super) fn members(
    body: impl Read,
    wanted: &[Member],
    store: &Store,
) -> io::Result<BTreeMap<String, (StagedFile, Sha256)>> {
    let mut archive = tar::Archive::new(body);
    let mut found = BTreeMap::new();
    let mut total = 0;
    let mut long_name = None;
    // Raw, because a long name is read into memory otherwise, however long it says it is.
    for entry in archive.entries()?.raw(true) {
        let mut entry = entry?;
        if is_extension(&entry) {
            long_name = said_name(&mut entry)?.or(long_name);
            continue;
        }
        let path = long_name.take().unwrap_or_else(|| entry.path_bytes().into_owned());
        let path = String::from_utf8_lossy(&path).trim_start_matches("./").to_owned();
        if !wanted.iter().any(|member| member.path == path) {
            continue;
        }
        total += entry.size();
        if total > LONGEST {
            return Err(io::Error::other(format!("`{path}` unpacks to more than any release holds")));
        }
        let mut reader = HashingReader::new(&mut entry);
        let file = store.stage(&mut reader)?;
        let (sha256, _) = reader.finish();
        if found.insert(path.clone(), (file, sha256)).is_some() {
            return Err(io::Error::other(format!("`{path}` is in the archive twice")));
        }
    }
    // The file may go on behind the end of the archive, and its digest covers all of it.
    io::copy(&mut archive.into_inner(), &mut io::sink())?;
    Ok(found)
}

/// Whether it only says something of the member behind it.
fn is_extension<R: Read>(entry: &Entry<'_, R>) -> bool {
    let kind = entry.header().entry_type();
    kind.is_gnu_longname()
        || kind.is_gnu_longlink()
        || kind.is_pax_local_extensions()
        || kind.is_pax_global_extensions()
}

/// The name that an extension gives to the next member: one of GNU is the name, and one of pax (POSIX) may have it.
fn said_name<R: Read>(entry: &mut Entry<'_, R>) -> io::Result<Option<Vec<u8>>> {
    let kind = entry.header().entry_type();
    if !(kind.is_gnu_longname() || kind.is_pax_local_extensions()) {
        return Ok(None);
    }
    if entry.size() > LARGEST_EXTENSION {
        return Err(io::Error::other(format!("a member of the archive has a name of {} bytes", entry.size())));
    }
    let mut text = Vec::new();
    entry.read_to_end(&mut text)?;
    if kind.is_gnu_longname() {
        text.truncate(text.iter().position(|byte| *byte == 0).unwrap_or(text.len()));
        return Ok(Some(text));
    }
    for extension in PaxExtensions::new(&text) {
        let extension = extension?;
        if extension.key_bytes() == b"path" {
            return Ok(Some(extension.value_bytes().to_vec()));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tar::{Builder, EntryType, Header};
    use tempfile::TempDir;

    use super::*;
    use crate::plan::downloads::Identity;
    use crate::recipe::component::Kind;

    fn header(kind: EntryType, size: u64) -> Header {
        let mut header = Header::new_gnu();
        header.set_path("member").expect("short");
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o644);
        header.set_cksum();
        header
    }

    fn extract(body: impl Read, path: &str) -> io::Result<Vec<String>> {
        let directory = TempDir::new().expect("is there");
        let store = Store::open(directory.path()).expect("is there");
        let wanted = Member {
            component: "member".to_owned(),
            path: path.to_owned(),
            kind: Kind::File,
            sha256: None,
            version: "1".to_owned(),
            identity: Identity::default(),
        };
        Ok(members(body, &[wanted], &store)?.into_keys().collect())
    }

    #[test]
    fn members_with_long_names_are_found() {
        let long = format!("a/{}/member", "b".repeat(150));
        let mut gnu = Builder::new(Vec::new());
        gnu.append_data(&mut header(EntryType::Regular, 4), &long, &b"text"[..]).expect("works");
        let mut pax = Builder::new(Vec::new());
        pax.append_pax_extensions([("mtime", &b"1.5"[..]), ("path", long.as_bytes())]).expect("works");
        pax.append(&header(EntryType::Regular, 4), &b"text"[..]).expect("works");
        for archive in [gnu, pax] {
            let archive = archive.into_inner().expect("works");
            assert_eq!(extract(&archive[..], &long).expect("works"), vec![long.clone()]);
        }
    }

    #[test]
    fn a_name_of_a_gigabyte_is_refused_before_it_is_read() {
        for kind in [EntryType::GNULongName, EntryType::XHeader] {
            let head = header(kind, 1 << 30);
            let read = Cell::new(0);
            let body = head.as_bytes().chain(io::repeat(b'a').take(1 << 30));
            let why = extract(Counted(body, &read), "member").expect_err("fails").to_string();
            assert!(why.contains("a name of 1073741824 bytes"), "{why}");
            assert!(read.get() < 1 << 16, "{}", read.get());
        }
    }

    struct Counted<'c, R>(R, &'c Cell<usize>);

    impl<R: Read> Read for Counted<'_, R> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.0.read(buffer)?;
            self.1.set(self.1.get() + count);
            Ok(count)
        }
    }
}
