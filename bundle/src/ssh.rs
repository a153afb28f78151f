//! Data types of the SSH protocols (RFC 4251, section 5), which signatures, public keys and
//! the agent's messages consist of.

/// Appends a `string`: its length as a `uint32`, and its bytes.
pub(crate) fn put_string(to: &mut Vec<u8>, bytes: &[u8]) {
    let length =
        u32::try_from(bytes.len()).unwrap_or_else(|why| unreachable!("nothing that is signed is so long: {why}"));
    to.extend(length.to_be_bytes());
    to.extend(bytes);
}

/// Takes values off the front of a message; `None` where it ends too early.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    /// The next `count` bytes.
    pub(crate) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.bytes(4)?.try_into().ok().map(u32::from_be_bytes)
    }

    pub(crate) fn string(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.u32()?).ok()?;
        self.bytes(length)
    }
}
