//! Bombs, damage, and what follows the data.

use super::{Range, case, one};
use crate::support::digest;
use crate::support::image::Image;
use crate::support::layer::{Layer, Packing};
use crate::support::layout::Layout;
use crate::support::raw_tar::RawTar;
use crate::support::samples::TAG;

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

/// The blob of a tar, packed as `RawTar` does not pack it.
fn blob(range: &Range, bytes: &[u8], packing: Packing, tar: &[u8]) -> Layer {
    let file = range.ucr.scratch().file(digest(bytes), bytes);
    Layer::from_blob(file, packing, digest(tar))
}

/// The parts of a tar as members of one gzip file each.
fn members(parts: &[&[u8]]) -> Vec<u8> {
    use std::io::Write;
    let member = |part: &&[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(part).unwrap();
        encoder.finish().unwrap()
    };
    parts.iter().flat_map(member).collect()
}

/// 35, 36 (CVE-2017-14992): refused as soon as it shows, with the option that allows it.
#[test]
fn bombs() {
    let range = Range::new("bombs");
    let tar = RawTar::new().file("f", vec![0; 100_000]);
    let files = (0..1001).fold(RawTar::new(), |tar, number| {
        tar.file(&format!("d/{number}"), "")
    });
    range.run_all([
        one("bytes", tar.clone())
            .limit("bytes=64K")
            .refused(&["--limit bytes="]),
        one("entries", files).limit("entries=1000").refused(&[
            "'d/1000'",
            "1001 entries",
            "--limit entries=",
        ]),
        one(
            "directories to remember",
            RawTar::new().dir("a").dir("b").dir("c"),
        )
        .limit("index-bytes=600")
        .refused(&["'c'", "--limit index-bytes="]),
    ]);
    // 1088 MiB of zeros behind an empty archive: nothing of it would be written.
    let frame = zstd(&vec![0; 64 << 20]);
    let bomb = frame.repeat(17);
    let layer = || blob(&range, &bomb, Packing::Zstd, b"");
    range.run(case("ratio", [layer()]).refused(&[
        "from each byte",
        "limit of 1000",
        "--limit ratio=",
    ]));
    // Let through, its diff ID, which is not the right one, is what is found wrong.
    range.run(
        case("ratio, allowed", [layer()])
            .limit("ratio=1000000")
            .refused(&["diff ID"]),
    );
    let window = [0x28, 0xb5, 0x2f, 0xfd, 0, 0xa8, 1, 0, 0];
    range.run(
        case(
            "a window of 2 GiB",
            [blob(&range, &window, Packing::Zstd, b"")],
        )
        .refused(&["zstd", "a window of more than 128 MiB"]),
    );
    // Also when frames before it were good.
    let later = [&frame[..], &window].concat();
    range.run(
        case(
            "a window of 2 GiB in the second frame",
            [blob(&range, &later, Packing::Zstd, b"")],
        )
        .refused(&["zstd", "a window of more than 128 MiB"]),
    );
    let nested = members(&[&members(&[&tar.bytes()])]);
    let nested = blob(&range, &nested, Packing::Gzip, &members(&[&tar.bytes()]));
    range.run(case("gzip in gzip", [nested]).refused(&["tar"]));
}

/// Every command that may pull takes the limits.
#[test]
fn limits_of_each_command() {
    let range = Range::new("commands that take limits");
    let layer = RawTar::new().file("a", "").file("b", "").layer();
    let layout = Layout::of(TAG, &Image::new().layer(layer));
    let reference = layout.reference(TAG);
    for command in ["pull", "provision", "run"] {
        let line = [
            command,
            "--limit",
            "bytes=1G",
            "--limit",
            "entries=1",
            &reference,
        ];
        let done = range.ucr.run(line);
        let words = ["2 entries are more than the limit of 1", "--limit entries="];
        let result = range.refused(command, &done, words);
        range.assert_untouched(command);
        range.row(None, command, &result);
        range
            .ucr
            .run([command, "--limit", "inodes=1", &reference])
            .refused(&["no limit 'inodes'", "entries, bytes"]);
    }
}

/// 40 (CVE-2021-20291): no stage waits for another for ever.
#[test]
fn damage() {
    let range = Range::new("damage");
    let whole = RawTar::new().file("f", vec![7; 300_000]).bytes();
    for at in [1, 511, 512, 700, 200_000] {
        let cut = Layer::from_tar(whole[..at].to_vec());
        range.run(case(format!("cut at {at}"), [cut]).refused(&["cut short"]));
    }
    let packed = members(&[&whole]);
    for (name, at) in [
        ("in its header", 4),
        ("soon after it", 20),
        ("in the middle", packed.len() / 2),
        ("before its last byte", packed.len() - 1),
    ] {
        let cut = blob(&range, &packed[..at], Packing::Gzip, &whole);
        range.run(case(format!("gzip cut {name}"), [cut]).refused(&["gzip"]));
    }
    for (name, bytes) in [
        ("text", &b"<html>not found</html>"[..]),
        ("bzip2", b"BZh91AY&SY"),
    ] {
        let layer = blob(&range, bytes, Packing::Plain, bytes);
        range.run(case(name, [layer]).refused(&[]));
    }
    let mut wrong = whole.clone();
    wrong[150] ^= 1;
    range.run(case("checksum", [Layer::from_tar(wrong)]).refused(&["checksum"]));
    let single = [&[0; 512], &whole[..]].concat();
    range.run(case("one block of zeros", [Layer::from_tar(single)]).refused(&["zero block"]));
}

/// 54, 55 (umoci #358, soci #1871): hashed, and unpacked only if it is part of the archive.
#[test]
fn what_follows() {
    let range = Range::new("what follows the data");
    let first = RawTar::new().file("a", "1").bytes();
    let second = RawTar::new().file("b", "2").bytes();
    let both = [&first[..], &second].concat();
    let garbage = [&first[..], b"garbage"].concat();
    let half = first.len() / 2;
    let (left, right) = first.split_at(half);
    let skippable = [0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
    let frames = [
        &skippable[..],
        &zstd(left),
        &skippable,
        &zstd(right),
        &skippable,
    ]
    .concat();
    let padded = [&members(&[left, right])[..], &[0; 5000]].concat();
    let junk = [&members(&[&first])[..], b"\0\0junk"].concat();
    let same = |layer: Layer, name: &str| case(name, [layer]).becomes(["a=1"]);
    range.run_all([
        same(Layer::from_tar(both), "a second archive"),
        same(Layer::from_tar(garbage), "garbage"),
        same(
            blob(&range, &members(&[left, b"", right]), Packing::Gzip, &first),
            "members",
        ),
        same(
            blob(&range, &padded, Packing::Gzip, &first),
            "members and padding",
        ),
        same(blob(&range, &frames, Packing::Zstd, &first), "frames"),
        case(
            "junk after gzip",
            [blob(&range, &junk, Packing::Gzip, &first)],
        )
        .refused(&["gzip"]),
    ]);
}
