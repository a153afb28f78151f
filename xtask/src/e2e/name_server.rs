//! A name server on loopback that knows one name and remembers what it was asked: the whole of RFC 1035 that a stub
//! resolver needs.

use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};

/// Serves until this process ends.
pub(super) struct NameServer {
    asked: Arc<Mutex<BTreeSet<String>>>,
}

/// Of the question in a query, which follows the header.
const QUESTION: usize = 12;
const TYPE_A: [u8; 4] = [0, 1, 0, 1];

impl NameServer {
    /// `known` has the address 127.0.0.1; no other name exists.
    pub(super) fn start(known: &'static str) -> Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:53").context("could not listen as a name server")?;
        let asked = Arc::default();
        let server = Self { asked: Arc::clone(&asked) };
        std::thread::spawn(move || {
            let mut query = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut query) {
                let Some((name, answer)) = answer(&query[..length], known) else { continue };
                asked.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
                let _ = socket.send_to(&answer, from);
            }
        });
        Ok(server)
    }

    /// Whether somebody has asked for a name since this was called the last time.
    pub(super) fn was_asked(&self, name: &str) -> bool {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *asked).contains(name)
    }
}

/// The name that is asked for, and the answer to a query.
fn answer(query: &[u8], known: &str) -> Option<(String, Vec<u8>)> {
    let (mut labels, mut at) = (Vec::new(), QUESTION);
    while *query.get(at)? != 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(query.get(at + 1..end)?).to_lowercase());
        at = end;
    }
    let (name, question) = (labels.join("."), query.get(QUESTION..at + 5)?);
    let exists = name == known;
    // For other types, such as AAAA, the name exists and has no record.
    let has_address = exists && question.ends_with(&TYPE_A);
    // A response with recursion; 3 says that there is no such name.
    let flags = [0x81, if exists { 0x80 } else { 0x83 }];
    let counts = [0, 1, 0, u8::from(has_address), 0, 0, 0, 0];
    let mut answer = [&query[..2], &flags, &counts, question].concat();
    if has_address {
        // A pointer to the name of the question, type and class, a minute to live, and four bytes of address.
        answer.extend([&[0xc0, 12][..], &TYPE_A, &[0, 0, 0, 60, 0, 4, 127, 0, 0, 1]].concat());
    }
    Some((name, answer))
}
