//! The few parts of ASN.1's DER (ITU-T X.690) that encrypted files consist of. It writes only; openssl reads.

/// Tags.
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// Of a field with a number of its own, and more fields inside: `[0]`, `[1]` …
pub(crate) const FIELD: u8 = 0xa0;
/// Of a field with a number of its own, and bytes inside.
pub(crate) const BARE_FIELD: u8 = 0x80;

/// The identifier id-aes256-CBC (RFC 3565), encoded.
pub(crate) const AES_256_CBC: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a];

/// One value with its tag and length.
pub(crate) fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let digits = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    let head = match digits {
        [] => vec![tag, 0],
        [short] if *short < 0x80 => vec![tag, *short],
        // How many bytes the length has, seven bits of which are used.
        long => [&[tag, 0x80 | u8::try_from(long.len()).unwrap_or(0)], long].concat(),
    };
    [&head, content].concat()
}

pub(crate) fn sequence(values: &[Vec<u8>]) -> Vec<u8> {
    value(SEQUENCE, &values.concat())
}

pub(crate) fn set(values: &[Vec<u8>]) -> Vec<u8> {
    value(SET, &values.concat())
}

pub(crate) fn octets(bytes: &[u8]) -> Vec<u8> {
    value(OCTET_STRING, bytes)
}

/// Bits of whole bytes.
pub(crate) fn bits(bytes: &[u8]) -> Vec<u8> {
    value(BIT_STRING, &[&[0], bytes].concat())
}

pub(crate) fn number(number: u32) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let zeros = bytes.iter().take(3).take_while(|byte| **byte == 0).count();
    // A first bit of 1 would make it negative.
    let sign = if bytes[zeros] < 0x80 { &[][..] } else { &[0] };
    value(INTEGER, &[sign, &bytes[zeros..]].concat())
}

/// An object identifier in its encoded form, as standards list it.
pub(crate) fn identifier(encoded: &[u8]) -> Vec<u8> {
    value(OBJECT_IDENTIFIER, encoded)
}

/// No value.
pub(crate) fn null() -> Vec<u8> {
    vec![5, 0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_numbers_have_the_bytes_that_they_need_and_no_more() {
        assert_eq!(octets(&[]), [4, 0]);
        assert_eq!(octets(&[7; 127])[..3], [4, 127, 7]);
        assert_eq!(octets(&[7; 128])[..4], [4, 0x81, 128, 7]);
        assert_eq!(octets(&vec![7; 65_536])[..6], [4, 0x83, 1, 0, 0, 7]);
        assert_eq!(number(0), [2, 1, 0]);
        assert_eq!(number(128), [2, 2, 0, 128]);
        assert_eq!(number(600_000), [2, 3, 9, 39, 192]);
    }
}
