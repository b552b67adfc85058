//! Layers without anything in them, the same layer twice, many layers, and files with holes.

use std::fs;

use super::{BACKENDS, Range, case, one};
use crate::support::image::Image;
use crate::support::layer::{Layer, Packing};
use crate::support::layout::Layout;
use crate::support::raw_tar::RawTar;
use crate::support::samples::{self, TAG};

fn f() -> RawTar {
    RawTar::new().file("f", "x")
}

#[test]
fn empty_layers() {
    let range = Range::new("empty layers");
    for packing in [Packing::Gzip, Packing::Zstd, Packing::Plain] {
        for (name, bytes) in [
            ("no bytes", 0),
            ("one block", 512),
            ("two blocks", 1024),
            ("twenty", 10240),
        ] {
            let empty = || Layer::from_tar(vec![0; bytes]).packed(packing);
            let name = format!("{packing:?}, {name}");
            range.run(case(name, [empty(), f().layer(), empty()]).becomes(["f=x"]));
        }
    }
    range.run(case("nothing but empty layers", [Layer::new(), Layer::new()]).becomes([""; 0]));
    range.run(case("no layer", []).becomes([""; 0]));
}

#[test]
fn repeated_layers() {
    let range = Range::new("the same layer twice");
    let packed = |packing| f().layer().packed(packing);
    let gone = RawTar::new().file(".wh.f", "").file("g", "y");
    let linked = || RawTar::new().hardlink("h", "f").layer();
    range.run_all([
        case("one after the other", [f().layer(), f().layer()]).becomes(["f=x"]),
        case(
            "with another between",
            [f().layer(), gone.layer(), f().layer()],
        )
        .becomes(["f=x", "g=y"]),
        case(
            "packed in three ways",
            [Packing::Gzip, Packing::Zstd, Packing::Plain].map(packed),
        )
        .becomes(["f=x"]),
        case(
            "a whiteout, twice",
            [f().layer(), gone.layer(), gone.layer()],
        )
        .becomes(["g=y"]),
        case(
            "a link into a lower layer, twice",
            [f().layer(), linked(), linked()],
        )
        .becomes(["f=x", "h==f"]),
        case(
            "a link, twice, the target between",
            [
                f().layer(),
                linked(),
                RawTar::new().file("f", "y").layer(),
                linked(),
            ],
        )
        .becomes(["f=y", "h==f"]),
    ]);
}

/// As many layers as images have, as many as the kernel stacks, and one more.
#[test]
fn many_layers() {
    let range = Range::new("many layers");
    let image = |count: usize| {
        let layer = |number: usize| {
            let tar = RawTar::new()
                .file(&format!("d/{number}"), "")
                .file("last", number.to_string());
            tar.layer().packed(Packing::Plain)
        };
        (1..count).map(layer).fold(samples::small(), Image::layer)
    };
    let place = range.ucr.scratch().join("place");
    let path = place.to_str().unwrap();
    for count in [127, 500] {
        let layout = Layout::of(TAG, &image(count));
        let reference = layout.reference(TAG);
        for backend in BACKENDS {
            range
                .ucr
                .run(["provision", "--backend", backend, &reference, path])
                .ok();
            assert_eq!(
                fs::read_dir(place.join("d")).unwrap().count(),
                count - 1,
                "{backend}"
            );
            let last = fs::read_to_string(place.join("last")).unwrap();
            assert_eq!(last, (count - 1).to_string(), "{backend}");
            range.ucr.run(["rm", path]).ok();
        }
        let script = "ls /d | wc -l; cat /last";
        let done = range.ucr.run(["run", &reference, "sh", "-c", script]).ok();
        assert_eq!(done.stdout, format!("{0}\n{0}", count - 1));
        range.ucr.run(["rm", &reference]).ok();
        range.ucr.run(["prune"]).ok();
        let result = "unpacked with both backends, and run";
        range.row(None, &format!("{count} layers"), result);
    }
    let layout = Layout::of(TAG, &image(501));
    let done = range.ucr.run(["pull", &layout.reference(TAG)]);
    let result = range.refused("501 layers", &done, ["501 layers", "500", "squash"]);
    range.row(None, "501 layers", &result);
}

/// The map of one file in each of the formats, with five bytes in two regions.
#[test]
fn sparse_files() {
    let range = Range::new("files with holes");
    let size: u64 = 20 << 20;
    let mut content = vec![0; usize::try_from(size).unwrap()];
    content[4096..4099].copy_from_slice(b"abc");
    content[8_388_608..8_388_610].copy_from_slice(b"de");
    let sha256 = &crate::support::digest(&content)[..23];
    let line = format!("f=<{size} bytes, {sha256}> with holes");
    let mut in_content = b"2\n4096\n3\n8388608\n2\n".to_vec();
    in_content.resize(512, 0);
    in_content.extend(b"abcde");
    let pax = |name: &str, body: &[u8]| {
        let tar = RawTar::new().file(name, body).pax("GNU.sparse.name", "f");
        tar.pax("GNU.sparse.realsize", size.to_string())
    };
    let number = |number: u64| format!("{number:011o}\0");
    let old = |regions: &[(u64, u64)], body: &[u8]| {
        let map = regions
            .iter()
            .flat_map(|(at, length)| [number(*at), number(*length)]);
        let tar = RawTar::new()
            .header(b'S', "f", body)
            .field(257, b"ustar  \0");
        tar.field(386, map.collect::<String>())
            .field(483, number(size))
    };
    let mut more = [number(8_388_608), number(2), number(size), number(0)]
        .concat()
        .into_bytes();
    more.resize(512, 0);
    more.extend(b"abcde");
    let extended = old(&[(4096, 3)], &more).size(5).field(482, [1]);
    let rows = [
        (
            "GNU's old header",
            "1.2.48",
            old(&[(4096, 3), (8_388_608, 2), (size, 0)], b"abcde"),
        ),
        ("GNU's old header with an extension", "1.2.48", extended),
        ("PAX 0.0", "7.55", {
            pax("x", b"abcde")
                .pax("GNU.sparse.offset", "4096")
                .pax("GNU.sparse.numbytes", "3")
                .pax("GNU.sparse.offset", "8388608")
                .pax("GNU.sparse.numbytes", "2")
        }),
        ("PAX 0.1", "7.55", {
            pax("GNUSparseFile.0/f", b"abcde").pax("GNU.sparse.map", "4096,3,8388608,2")
        }),
        ("PAX 1.0", "1.2.49, 7.55", {
            pax("GNUSparseFile.0/f", &in_content)
                .pax("GNU.sparse.major", "1")
                .pax("GNU.sparse.minor", "0")
        }),
    ];
    for (name, numbers, tar) in rows {
        let row = one(name, tar.file("next", "n")).shows(numbers);
        range.run(row.becomes([line.as_str(), "next=n"]));
    }
}
