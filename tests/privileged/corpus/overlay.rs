//! What a layer may try to tell the overlay file system, devices, and bits that give rights.

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::{Case, Range, case, one};
use crate::support::image::Image;
use crate::support::layout::Layout;
use crate::support::raw_tar::RawTar;
use crate::support::samples::TAG;

fn xattr(tar: RawTar, name: &str, value: &str) -> RawTar {
    tar.pax(&format!("SCHILY.xattr.{name}"), value)
}

/// 21, 22, 23, 24: the kernel's own marks are not taken from a layer.
#[test]
fn smuggled_marks() {
    let range = Range::new("marks of the overlay file system");
    let low = RawTar::new()
        .file("d/low", "low")
        .file("secret", "hidden")
        .file("w", "low");
    for space in ["trusted.overlay", "user.overlay"] {
        let mark =
            |tar: RawTar, name: &str, value: &str| xattr(tar, &format!("{space}.{name}"), value);
        let over =
            |name: &str, tar: RawTar| case(format!("{space}: {name}"), [low.layer(), tar.layer()]);
        let d = || RawTar::new().dir("d");
        let root = || RawTar::new().dir("./");
        let e = || RawTar::new().dir("e");
        let plain = ["d/", "d/low=low", "secret=hidden", "w=low"];
        let of_lower = ["d/ @0", "d/low=low", "secret=hidden", "w=low"];
        let file = mark(RawTar::new().file("f", "own"), "metacopy", "");
        let file = mark(file, "redirect", "/secret");
        let whiteout = mark(mark(d(), "opaque", "x").file("d/low", ""), "whiteout", "y");
        let origin = mark(mark(d(), "origin", "\0\u{1}x"), "impure", "y");
        range.run_all([
            over("opaque", mark(d(), "opaque", "y"))
                .becomes(plain)
                .warns(&["overlay.opaque"]),
            over("opaque of the root", mark(root(), "opaque", "y"))
                .becomes(["/"].iter().chain(&of_lower).copied())
                .warns(&["overlay.opaque"]),
            over("redirect", mark(e(), "redirect", "/d"))
                .becomes(["d/ @0", "d/low=low", "e/", "secret=hidden", "w=low"])
                .warns(&["overlay.redirect"]),
            over("origin", origin)
                .becomes(plain)
                .warns(&["overlay.origin", "overlay.impure"]),
            over("metacopy", file)
                .becomes(["d/ @0", "d/low=low", "f=own", "secret=hidden", "w=low"])
                .warns(&["overlay.metacopy", "overlay.redirect"]),
            over("whiteout", whiteout)
                .becomes(["d/", "d/low=", "secret=hidden", "w=low"])
                .warns(&["overlay.whiteout", "overlay.opaque"]),
            over("escaped", mark(d(), "overlay.opaque", "y"))
                .becomes(plain)
                .warns(&["overlay.overlay.opaque"]),
        ]);
    }
    range.run_all([
        case(
            "a device 0:0",
            [low.layer(), RawTar::new().device(b'3', "w", 0, 0).layer()],
        )
        .becomes(["d/ @0", "d/low=low", "secret=hidden"])
        .warns(&["0:0"]),
        one(
            "a device 0:0 in the lowest layer",
            RawTar::new().device(b'3', "w", 0, 0).file("a", ""),
        )
        .becomes(["a="])
        .warns(&["0:0"]),
        one(
            "labels of the host",
            xattr(RawTar::new().file("f", ""), "security.selinux", "x"),
        )
        .becomes(["f="])
        .warns(&["security.selinux"]),
    ]);
}

/// 52, 20 (CVE-2026-95838): no ghost names; and repetition costs nothing.
#[test]
fn ghosts_and_repetition() {
    let range = Range::new("ghosts and repetition");
    let low = RawTar::new().file("a", "low").layer();
    let ghosts = RawTar::new()
        .file(".wh.none", "")
        .dir("d")
        .file("d/.wh.x", "")
        .file("e/.wh.y", "");
    let repeated = (0..20_000).fold(RawTar::new(), |tar, number| {
        tar.file(&format!("d/{number}"), "")
            .file("d/.wh..wh..opq", "")
    });
    range.run(case("ghosts", [low.clone(), ghosts.layer()]).becomes(["a=low", "d/"]));
    let mut names: Vec<_> = (0..20_000).map(|number| number.to_string()).collect();
    names.sort();
    let names = names.iter().map(|name| format!("d/{name}="));
    let lines = ["a=low".to_owned(), "d/ @0".into()]
        .into_iter()
        .chain(names);
    range.run(case("20000 opaque markers", [low, repeated.layer()]).becomes(lines));
}

/// 25: devices within the kernel's numbers are made, and cannot be opened where we mount them.
#[test]
fn devices() {
    let range = Range::new("devices");
    let device = |kind, name: &str, major, minor| RawTar::new().device(kind, name, major, minor);
    let negative = || {
        RawTar::new()
            .device(b'4', "neg", 1, 1)
            .field(329, [0xff; 8])
    };
    let rows: [Case; 6] = [
        one("memory", device(b'3', "mem", 1, 1)).becomes(["mem c1:1"]),
        one("a disk", device(b'4', "sda", 8, 0)).becomes(["sda b8:0"]),
        one("a major beyond the kernel's", device(b'3', "big", 4096, 0))
            .refused(&["'big'", "4096"]),
        one(
            "a minor beyond the kernel's",
            device(b'4', "big", 0, 1 << 20),
        )
        .refused(&["'big'"]),
        one("negative", negative()).refused(&["'neg'"]),
        one(
            "2^32",
            device(b'3', "wrap", 1, 1).field(329, b"\x80\0\0\x01\0\0\0\0"),
        )
        .refused(&["'wrap'"]),
    ];
    range.run_all(rows);
    let tar = device(b'3', "zero", 1, 5).layer();
    let layout = Layout::of(TAG, &Image::new().layer(tar));
    let place = range.ucr.scratch().join("place");
    let path = place.to_str().unwrap();
    range
        .ucr
        .run(["provision", &layout.reference(TAG), path])
        .ok();
    let error = fs::File::open(place.join("zero")).expect_err("nodev");
    assert_eq!(error.raw_os_error(), Some(nix::libc::EACCES));
    let result = "EACCES: the tree is mounted `nodev`";
    range.row(
        None,
        "a device opened by root in a provisioned tree",
        result,
    );
    range.ucr.run(["rm", path]).ok();
}

/// 26, 27 (CVE-2021-41091): the bits are kept, in a store that other users cannot enter.
#[test]
fn rights() {
    let range = Range::new("bits that give rights");
    let root = xattr(
        RawTar::new().file("su", "x").mode(0o106_755).owner(1, 2),
        "user.n",
        "v",
    );
    range.run(one("setuid", root.clone()).becomes(["su=x 6755 1:2 [user.n=v]"]));
    let layout = Layout::of(TAG, &Image::new().layer(root.layer()));
    range.ucr.pull(&layout.reference(TAG));
    let mode = fs::metadata(range.ucr.root()).unwrap().mode() & 0o7777;
    assert_eq!(mode & 0o077, 0, "the store is open to others: {mode:o}");
    let result = format!("its directory has the mode {mode:04o}");
    range.row(None, "the store with a setuid program in it", &result);
}
