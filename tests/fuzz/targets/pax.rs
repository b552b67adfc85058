//! The body of a PAX header.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use ucr::error::{Fault, Kind};
use ucr::layer::{Pax, parse_pax};
use ucr_fuzz::tar::record;
use ucr_fuzz::{mutate, sandbox};

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate::records(data, size, max_size, seed)
});

fuzz_target!(|body: &[u8]| {
    let pax = match parse(body) {
        Ok(pax) => pax,
        Err(fault) => {
            assert!(matches!(fault.kind(), Kind::Layer | Kind::Limit));
            return;
        }
    };
    assert_eq!(parse(body).as_ref().ok(), Some(&pax));
    let comment = record(b"comment=\n9 path=x\n");
    for changed in [[body, &comment].concat(), [&comment, body].concat()] {
        assert_eq!(
            parse(&changed).as_ref().ok(),
            Some(&pax),
            "a comment says something"
        );
    }
    if let [cut @ .., _] = body {
        assert!(parse(cut).is_err(), "the last byte does not matter");
    }
    assert!(parse(&[body, b"\0"].concat()).is_err());

    for name in [&pax.path, &pax.link, &pax.sparse.name]
        .into_iter()
        .flatten()
    {
        assert!(!name.is_empty() && !name.contains(&0));
    }
    for (index, (name, _)) in pax.xattrs.iter().enumerate() {
        assert!(
            pax.xattrs[..index]
                .iter()
                .all(|(earlier, _)| earlier != name),
            "twice"
        );
    }
    assert_eq!(parse(&written(&pax)).as_ref().ok(), Some(&pax));
});

fn parse(body: &[u8]) -> Result<Pax, Fault> {
    parse_pax(body, &sandbox::limits())
}

/// The same, written in one way.
fn written(pax: &Pax) -> Vec<u8> {
    let mut out = Vec::new();
    let mut say =
        |key: &str, value: &[u8]| out.extend(record(&[key.as_bytes(), b"=", value].concat()));
    let number = |number: u64| number.to_string().into_bytes();
    for (key, value) in [
        ("path", &pax.path),
        ("linkpath", &pax.link),
        ("GNU.sparse.name", &pax.sparse.name),
    ] {
        value.iter().for_each(|value| say(key, value));
    }
    for (key, value) in [
        ("size", pax.size),
        ("uid", pax.uid),
        ("gid", pax.gid),
        ("GNU.sparse.major", pax.sparse.version.0),
        ("GNU.sparse.minor", pax.sparse.version.1),
        ("GNU.sparse.realsize", pax.sparse.real_size),
    ] {
        value.iter().for_each(|value| say(key, &number(*value)));
    }
    if let Some(time) = pax.mtime {
        say(
            "mtime",
            time_text(time.seconds, time.nanoseconds).as_bytes(),
        );
    }
    let map: Vec<Vec<u8>> = pax
        .sparse
        .numbers
        .iter()
        .map(|value| number(*value))
        .collect();
    if !map.is_empty() {
        say("GNU.sparse.map", &map.join(&b','));
    }
    for (name, value) in &pax.xattrs {
        let key = [b"SCHILY.xattr.", &name[..], b"=", value].concat();
        out.extend(record(&key));
    }
    out
}

fn time_text(seconds: i64, nanoseconds: u32) -> String {
    assert!(nanoseconds < 1_000_000_000);
    match (seconds < 0, nanoseconds) {
        (true, 1..) => format!(
            "-{}.{:09}",
            (seconds + 1).unsigned_abs(),
            1_000_000_000 - nanoseconds
        ),
        _ => format!("{seconds}.{nanoseconds:09}"),
    }
}
