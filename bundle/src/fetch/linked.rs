//! What is linked into programs: read once, and then kept in the store beside them, as reading costs a tenth of a second for
//! each.

use std::collections::BTreeMap;
use std::io::{self, BufReader};

use super::{Blob, Blobs, Error, Store};
use crate::golang::Linked;
use crate::hash::Sha256;
use crate::out;
use crate::regular::{self, Links};
use crate::target::Mode;

/// Bytes of the largest list that is read back.
const LARGEST: u64 = 16 << 20;

/// What is known of programs, by their digest. One that Go did not make is not in it.
pub type LinkedPrograms = BTreeMap<Sha256, Linked>;

/// Looks into every component, one after the other: the table of one takes 15 MB of memory.
///
/// # Errors
/// A blob that can't be read, or is damaged.
pub fn linked(blobs: &Blobs, store: &Store) -> Result<LinkedPrograms, Error> {
    let mut programs = LinkedPrograms::new();
    for blob in blobs.0.values() {
        let linked = of(blob, store);
        let linked = linked.map_err(|source| Error::Store { verb: "read", path: blob.path().to_owned(), source })?;
        programs.extend(linked.map(|linked| (blob.sha256(), linked)));
    }
    Ok(programs)
}

fn of(blob: &Blob, store: &Store) -> io::Result<Option<Linked>> {
    let place = store.linked(blob.sha256());
    if let Some(kept) = regular::read(&place, Links::Refuse, LARGEST).ok().as_deref().and_then(kept) {
        return Ok(serde_json::from_str(kept)?);
    }
    let mut file = blob.open()?;
    if Sha256::of_reader(BufReader::with_capacity(256 << 10, &file))?.0 != blob.sha256() {
        return Err(blob.damaged());
    }
    let linked = Linked::read(&mut file)?;
    // What could not be kept is read again the next time.
    let _ = out::make_parent(&place)
        .and_then(|()| out::write_atomically(&place, render(linked.as_ref()).as_bytes(), Mode::PUBLIC));
    Ok(linked)
}

/// A line with the digest of the rest, which is the list.
fn render(linked: Option<&Linked>) -> String {
    let text = serde_json::to_string(&linked).unwrap_or_else(|why| unreachable!("it has string keys: {why}"));
    format!("{}\n{text}", Sha256::of(text.as_bytes()))
}

/// The list; `None` for a damaged one, so that the program is read again.
fn kept(file: &[u8]) -> Option<&str> {
    let (digest, text) = std::str::from_utf8(file).ok()?.split_once('\n')?;
    (digest.parse() == Ok(Sha256::of(text.as_bytes()))).then_some(text)
}
