//! Image names.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ucr::error::Kind;
use ucr::image::{Digest, Reference};

fuzz_target!(|text: &str| {
    let reference = match text.parse::<Reference>() {
        Ok(reference) => reference,
        Err(fault) => {
            assert_eq!(fault.kind(), Kind::Reference);
            return;
        }
    };
    let printed = reference.to_string();
    assert_eq!(
        printed.parse::<Reference>().as_ref().ok(),
        Some(&reference),
        "{printed}"
    );

    let digest = reference.digest().map(Digest::to_string);
    let locator = digest.as_deref().or(reference.tag());
    assert_eq!(locator, Some(reference.locator().as_str()));
    let pinned = reference.pinned(Digest::of(b""));
    let again = pinned.to_string().parse::<Reference>();
    assert_eq!(again.ok().as_ref(), Some(&pinned));

    // Repository and locator become parts of URLs and, in a layout, of file names.
    let mut parts = reference.repository().split('/').chain(reference.tag());
    let safe = |part: &str| {
        let harmless = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        !part.is_empty() && !part.starts_with(['.', '-']) && part.bytes().all(harmless)
    };
    assert!(parts.all(safe), "{printed}");
    assert!(reference.repository().len() <= 255, "{printed}");
    let host = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    assert!(reference.registry().bytes().all(host), "{printed}");
});
