//! A tar stream as entries, without a file system.
#![no_main]

use std::io::{BufRead, BufReader};

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use ucr::layer::{Entry, Limits, Reader, Type};
use ucr_fuzz::{mutate, sandbox};

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate::archive(data, size, max_size, seed)
});

fuzz_target!(|stream: &[u8]| {
    let limits = sandbox::limits();
    let whole = entries(stream, &limits, true);
    let pieces = entries(BufReader::with_capacity(7, stream), &limits, true);
    assert_eq!(whole, pieces, "how the bytes come makes a difference");
    let skipped = entries(stream, &limits, false);
    assert_eq!(skipped.1, whole.1, "skipping content makes a difference");

    let mut total = 0;
    for (entry, content) in &whole.0 {
        check(entry, &limits);
        total += 512 + content.len();
    }
    assert!(total <= stream.len(), "more came out than went in");
    if whole.1.is_none() {
        // The end of the stream may stand for the end of the archive; a piece of a block never does.
        let longer = [stream, &[0; 1024]].concat();
        assert_eq!(entries(&longer[..], &limits, true), whole);
    }
});

type Read = (Vec<(Entry, Vec<u8>)>, Option<String>);

/// All entries with their content, and the error that ended it.
fn entries(source: impl BufRead, limits: &Limits, wants_content: bool) -> Read {
    let mut reader = Reader::new(source, limits);
    let mut found = Vec::new();
    loop {
        let entry = match reader.next_entry() {
            Ok(Some(entry)) => entry,
            Ok(None) => return (found, None),
            Err(error) => return (found, Some(ucr::error::render(&error))),
        };
        let mut content = Vec::new();
        while wants_content {
            let length = match reader.content() {
                Ok(bytes) => {
                    content.extend(bytes);
                    bytes.len()
                }
                Err(error) => return (found, Some(ucr::error::render(&error))),
            };
            if length == 0 {
                assert_eq!(content.len() as u64, entry.size);
                break;
            }
            reader.consume(length);
        }
        found.push((entry, content));
    }
}

fn check(entry: &Entry, limits: &Limits) {
    assert!(!entry.path.is_empty() && !entry.path.contains(&0));
    assert!(entry.path.len() as u64 <= limits.path_bytes + 2);
    let is_link = matches!(entry.kind, Type::Symlink | Type::HardLink);
    assert!(is_link || entry.link.is_empty());
    assert!(!entry.link.contains(&0));
    let is_file = matches!(entry.kind, Type::File | Type::SparseFile(_));
    assert!(is_file || entry.size == 0);
    let attributes = &entry.attributes;
    assert!(attributes.mode <= 0o7777);
    assert!(attributes.uid != u32::MAX && attributes.gid != u32::MAX);
    assert!(attributes.mtime.nanoseconds < 1_000_000_000);
    assert!(attributes.xattrs.len() as u64 <= limits.xattrs);
    let lengths = attributes.xattrs.iter();
    let lengths = lengths.map(|(name, value)| name.len() + value.len());
    assert!(lengths.sum::<usize>() as u64 <= limits.xattr_bytes);
    match &entry.kind {
        Type::SparseFile(sparse) => {
            assert!(sparse.regions.len() as u64 <= limits.sparse_regions);
            let mut end = 0;
            for region in &sparse.regions {
                assert!(region.offset >= end, "regions overlap");
                end = region.offset + region.length;
            }
            assert!(end <= sparse.real_size);
            let stored: u64 = sparse.regions.iter().map(|region| region.length).sum();
            assert_eq!(stored, entry.size);
        }
        Type::CharDevice(major, minor) | Type::BlockDevice(major, minor) => {
            assert!(*major <= 0xfff && *minor <= 0xf_ffff);
        }
        _ => {}
    }
}
