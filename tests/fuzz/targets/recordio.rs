//! A stream of events. However it is cut, the same records come out, and they make the same stream.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ucr::executor::recordio::{Decoder, MAX_RECORD, encode};

fuzz_target!(|bytes: &[u8]| {
    let whole = decode([bytes].into_iter());
    assert_eq!(whole, decode(bytes.chunks(1)));
    let (first, rest) = bytes.split_at(bytes.len() / 2);
    assert_eq!(whole, decode([first, rest].into_iter()));
    let again: Vec<u8> = whole.0.iter().flat_map(|record| encode(record)).collect();
    assert_eq!(decode([&again[..]].into_iter()), (whole.0, true));
});

/// The records, and whether nothing is left and nothing is wrong.
fn decode<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Vec<u8>>, bool) {
    let mut decoder = Decoder::new();
    let mut records = Vec::new();
    for mut piece in pieces {
        loop {
            match decoder.next(&mut piece) {
                Ok(Some(record)) => {
                    assert!(record.len() <= MAX_RECORD);
                    records.push(record);
                }
                Ok(None) => break,
                Err(_) => return (records, false),
            }
        }
        assert!(piece.is_empty());
    }
    (records, decoder.is_between_records())
}
