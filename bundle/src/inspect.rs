//! Reading our own artifacts back, with a reader that shares no code with the writer.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::hash::HashingReader;
use crate::manifest::Member;
use crate::target::Mode;

/// Texts worth keeping while an archive streams by; nothing larger than this is one.
const LONGEST_TEXT: u64 = 4 << 20;

/// What an archive holds.
#[derive(Debug, Default)]
pub struct Contents {
    /// Entries by path.
    pub entries: BTreeMap<String, Member>,
    /// Text of the files that [`read`] was asked to keep, by their last path part.
    pub kept: BTreeMap<String, String>,
}

/// Lists a `.tar.gz`, hashing every file in it. Files whose name is in `keep` are returned as text as well.
#[expect(clippy::disallowed_methods, reason = "reads a file the user named")]
pub fn read(path: &Path, keep: &[&str]) -> io::Result<Contents> {
    let file = io::BufReader::with_capacity(256 << 10, std::fs::File::open(path)?);
    let mut archive = tar::Archive::new(MultiGzDecoder::new(file));
    let mut contents = Contents::default();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = entry.path()?.to_string_lossy().trim_end_matches('/').to_owned();
        let mode: Mode = format!("{:o}", entry.header().mode()? & 0o7777).parse().map_err(io::Error::other)?;
        let member = if entry.header().entry_type().is_dir() {
            Member { mode, size: None, sha256: None }
        } else {
            let last = name.rsplit('/').next().unwrap_or(&name).to_owned();
            let kept = keep.contains(&last.as_str()) && !contents.kept.contains_key(&last);
            let mut reader = HashingReader::new(&mut entry);
            if kept {
                let mut text = String::new();
                reader.by_ref().take(LONGEST_TEXT).read_to_string(&mut text)?;
                contents.kept.insert(last, text);
            }
            io::copy(&mut reader, &mut io::sink())?;
            let (sha256, size) = reader.finish();
            Member { mode, size: Some(size), sha256: Some(sha256) }
        };
        contents.entries.insert(name, member);
    }
    // What stands behind the archive's end belongs to nobody, and a cut stream shows only there.
    io::copy(&mut archive.into_inner(), &mut io::sink())?;
    Ok(contents)
}
