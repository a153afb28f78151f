//! What is compressed can have more behind it, and decompresses to what it was. A stream of any bytes is read up to where
//! another decoder finds its end.
#![no_main]

use std::io::Read as _;

use flate2::{Decompress, FlushDecompress, Status};
use kube_bundle::pack::deflate;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let [level, content @ ..] = bytes else { return };
    let mut stream = deflate::without_end(i32::from(level % 12) + 1, content).expect("there is such a level");
    // An empty last block.
    stream.extend([3, 0]);
    let mut back = Vec::new();
    flate2::read::DeflateDecoder::new(&stream[..]).read_to_end(&mut back).expect("a stream");
    assert!(back == content);

    let mut decoder = Decompress::new(false);
    let mut room = vec![0; 1 << 20];
    if let Ok(Status::StreamEnd) = decoder.decompress(content, &mut room, FlushDecompress::Finish) {
        let end = deflate::end_of(content).expect("a stream that another decoder reads");
        assert_eq!(end.div_ceil(8) as u64, decoder.total_in());
    } else {
        // Others check distances too; this has only to end.
        deflate::end_of(content);
    }
});
