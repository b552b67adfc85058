//! An agent's answer. However it is cut, the same comes out, and nothing comes before its head or after its end.
#![no_main]

// It is nobody else's in ucr, and not public.
#[allow(dead_code)]
#[path = "../../../src/executor/agent/http.rs"]
mod http;

use http::{Answer, Head, Part};
use libfuzzer_sys::fuzz_target;

/// What is understood of an answer.
#[derive(Debug, Default, PartialEq)]
struct Understood {
    head: Option<Head>,
    body: Vec<u8>,
    is_over: bool,
    may_end: bool,
    fault: Option<String>,
}

fuzz_target!(|bytes: &[u8]| {
    let whole = understand([bytes].into_iter());
    assert_eq!(whole, understand(bytes.chunks(1)));
    let (first, rest) = bytes.split_at(bytes.len() / 2);
    assert_eq!(whole, understand([first, rest].into_iter()));
    if let Some(head) = &whole.head {
        assert!(head.status >= 200 && !(head.stays && head.until_close));
        assert!(whole.fault.is_some() || whole.may_end >= whole.is_over);
    }
});

fn understand<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Understood {
    let mut answer = Answer::default();
    let mut found = Understood::default();
    for mut piece in pieces {
        loop {
            match answer.next(&mut piece) {
                Ok(None) => break,
                Ok(Some(Part::Head(head))) => {
                    assert!(found.head.is_none() && found.body.is_empty());
                    found.head = Some(head);
                }
                Ok(Some(Part::Body(bytes))) => {
                    assert!(found.head.is_some() && !found.is_over && !bytes.is_empty());
                    found.body.extend_from_slice(bytes);
                }
                Ok(Some(Part::End)) => {
                    assert!(found.head.is_some() && !found.is_over);
                    found.is_over = true;
                }
                Err(fault) => {
                    found.fault = Some(fault);
                    return found;
                }
            }
        }
        assert!(piece.is_empty());
    }
    found.may_end = answer.may_end();
    found
}
