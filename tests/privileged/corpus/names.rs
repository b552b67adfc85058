//! Names that lead out, that are none, or that are too long; whiteouts among them.

use super::{Range, case, one};
use crate::support::raw_tar::RawTar;

/// 5 (CVE-2021-29136): nothing but a directory can be the root.
#[test]
fn the_root() {
    let range = Range::new("the root");
    for name in [".", "/", "./", "//", "./."] {
        let say = |what: &str| format!("{what} '{name}'");
        range.run_all([
            one(
                say("a link"),
                RawTar::new().symlink(name, &range.canary).file("x", ""),
            )
            .refused(&["entry", "the root is not a directory"]),
            one(say("a file"), RawTar::new().file(name, "x")).refused(&["the root"]),
            one(
                say("a hard link"),
                RawTar::new().hardlink(name, "/etc/passwd"),
            )
            .refused(&["the root"]),
            one(say("a pipe"), RawTar::new().header(b'6', name, "")).refused(&["the root"]),
        ]);
    }
    range.run(
        one("an empty name", RawTar::new().file("", "x"))
            .refused(&["an empty name"])
            .shows("1.2.5"),
    );
}

/// 12 (CVE-2007-4559, CVE-2026-20613).
#[test]
fn dots() {
    let range = Range::new("`..` in names");
    for name in [
        "../e",
        "a/../../e",
        "..",
        "a/..",
        "/../e",
        "a/../b",
        "../canary/passwd",
    ] {
        let quoted = format!("'{name}'");
        let words = [quoted.as_str(), "'..' in a name"];
        range.run_all([
            one(format!("a file {name}"), RawTar::new().file(name, "x")).refused(&words),
            one(format!("a directory {name}"), RawTar::new().dir(name)).refused(&words),
            one(format!("a link {name}"), RawTar::new().symlink(name, "x")).refused(&words),
            one(
                format!("a hard link {name}"),
                RawTar::new().file("x", "").hardlink(name, "x"),
            )
            .refused(&words),
        ]);
    }
}

/// 16, 17, 18, 19: whiteouts that would delete outside, or nothing that has a name.
#[test]
fn whiteouts() {
    let range = Range::new("whiteouts that lead out, or of no name");
    for name in [
        ".wh.",
        "etc/.wh.",
        ".wh..",
        ".wh...",
        "etc/.wh...",
        "../.wh.x",
        "../canary/.wh.passwd",
        "dne/../.wh.etc",
        "../.wh..wh..opq",
        "dne/../../.wh..wh..opq",
        ".wh.x/y",
    ] {
        let quoted = format!("'{name}'");
        let low = RawTar::new().file("etc/x", "low").layer();
        let high = RawTar::new().file("a", "").file(name, "").layer();
        range.run(case(name, [low, high]).refused(&[&quoted]));
    }
    let low = RawTar::new().file("a/x", "low").file("b", "low");
    let over = |name: &str, tar: RawTar| case(name, [low.layer(), tar.layer()]);
    range.run_all([
        over(
            "the root is opaque",
            RawTar::new().file("g", "1").file(".wh..wh..opq", ""),
        )
        .becomes(["g=1"]),
        over("/.wh.b", RawTar::new().file("/.wh.b", "")).becomes(["a/ @0", "a/x=low"]),
        over("through a link of the layer", {
            RawTar::new().symlink("l", "a").file("l/.wh.x", "")
        })
        .becomes(["a/ @0", "b=low", "l->a"]),
        over(
            "a whiteout with a link's type",
            RawTar::new().symlink(".wh.b", &range.canary),
        )
        .becomes(["a/ @0", "a/x=low"])
        .warns(&["no empty file: '.wh.b'"]),
        over(
            "what AUFS leaves",
            RawTar::new().file(".wh..wh.plnk/1.2", "x"),
        )
        .becomes(["a/ @0", "a/x=low", "b=low"])
        .warns(&["AUFS"]),
    ]);
}

/// 36, 38, 51 (GHSA-697p-8837-37h3): long, deep, alike.
#[test]
fn lengths() {
    let range = Range::new("long, deep and alike");
    let name = "n".repeat(255);
    let fits = format!("{}/{}", vec![name.as_str(); 15].join("/"), "n".repeat(254));
    let deep = vec!["d"; 1024].join("/");
    let parents = |path: &str| -> Vec<String> {
        let ends = path
            .match_indices('/')
            .map(|(at, _)| format!("{}/ @0", &path[..at]));
        ends.collect()
    };
    let tree = |path: &str, last: &str| [parents(path), vec![format!("{path}{last}")]].concat();
    range.run_all([
        one("256 bytes", RawTar::new().file(&"n".repeat(256), "")).refused(&["255 bytes"]),
        one(
            "256 bytes below",
            RawTar::new().dir(&format!("a/{}/b", "n".repeat(256))),
        )
        .refused(&["255 bytes"]),
        one("5000 bytes", RawTar::new().file(&"abcd/".repeat(1000), ""))
            .refused(&["bytes in a path", "limit of 4095"]),
        one(
            "255 bytes, 17 times",
            RawTar::new().file(&vec![name.as_str(); 17].join("/"), ""),
        )
        .refused(&["bytes in a path"]),
        one("10000 levels", RawTar::new().dir(&"d/".repeat(10_000))).refused(&["limit of 4095"]),
        one("1025 levels", RawTar::new().dir(&format!("{deep}/d")))
            .refused(&["1025 levels", "--limit depth="]),
        one(
            "a link target of 5000 bytes",
            RawTar::new().symlink("l", &"x".repeat(5000)),
        )
        .refused(&["'l'"]),
        one("1024 levels", RawTar::new().dir(&deep)).becomes(tree(&deep, "/")),
        one("2000 bytes", RawTar::new().file(&fits[..2000], "in"))
            .becomes(tree(&fits[..2000], "=in")),
        one(
            "alike",
            RawTar::new()
                .file("A", "1")
                .file("a", "2")
                .file("\u{e9}", "3")
                .file("e\u{301}", "4"),
        )
        .becomes(["A=1", "a=2", "e\u{301}=4", "\u{e9}=3"]),
    ]);
}
