//! Directories that a layer does not list but puts something into.

use super::{Range, case, one};
use crate::support::raw_tar::RawTar;

#[test]
fn implied() {
    let range = Range::new("directories that nobody lists");
    let low = RawTar::new()
        .dir("a")
        .mode(0o1777)
        .owner(5, 6)
        .pax("mtime", "50.000000007")
        .pax("SCHILY.xattr.user.x", "v")
        .dir("a/b")
        .mode(0o700);
    let changed = RawTar::new().dir("a").mode(0o711);
    let file = |path: &str| RawTar::new().file(path, "x").layer();
    let a = "a/ 1777 5:6 @50.000000007 [user.x=v]";
    range.run_all([
        one("in no layer", RawTar::new().file("a/b/c", "x"))
            .shows("1.2.7, 7.23")
            .becomes(["a/ @0", "a/b/ @0", "a/b/c=x"]),
        one("listed after what is in it", {
            RawTar::new().file("a/b", "x").dir("a").mode(0o700)
        })
        .shows("1.2.7, 7.23")
        .becomes(["a/ 0700", "a/b=x"]),
        case("in a lower layer", [low.layer(), file("a/b/c")]).becomes([a, "a/b/ 0700", "a/b/c=x"]),
        case(
            "in a lower layer, twice",
            [low.layer(), file("a/b/c"), file("a/b/d")],
        )
        .becomes([a, "a/b/ 0700", "a/b/c=x", "a/b/d=x"]),
        case(
            "in a layer between",
            [low.layer(), changed.layer(), file("a/b/c")],
        )
        .becomes(["a/ 0711", "a/b/ 0700", "a/b/c=x"]),
        case(
            "for a whiteout",
            [low.file("a/b/c", "x").layer(), file("a/b/.wh.c")],
        )
        .becomes([a, "a/b/ 0700"])
        .warns(&["no empty file"]),
    ]);
}

#[test]
fn in_the_way() {
    let range = Range::new("something else where a directory is implied");
    let file = RawTar::new().file("a/b", "x");
    let becomes = ["a/ @0", "a/b=x"];
    range.run_all([
        one("a file of the layer", {
            RawTar::new().file("a", "").file("a/b", "x")
        })
        .shows("1.2.8")
        .becomes(becomes),
        one("a pipe of the layer", {
            RawTar::new().header(b'6', "a", "").file("a/b", "x")
        })
        .shows("1.2.8")
        .becomes(becomes),
    ]);
    let below = |tar: RawTar| [tar.layer(), file.layer()];
    range.run_all([
        case("a lower file", below(RawTar::new().file("a", ""))).becomes(becomes),
        case("a lower pipe", below(RawTar::new().header(b'6', "a", ""))).becomes(becomes),
        case("a lower link to a directory", {
            below(RawTar::new().dir("d").file("d/low", "").symlink("a", "d"))
        })
        .becomes(["a/ @0", "a/b=x", "d/", "d/low="])
        .warns(&["hides the symbolic link of a lower layer 'a'"]),
        case(
            "a file over a directory, lower both",
            [
                RawTar::new().file("a/low", "low").layer(),
                RawTar::new().file("a", "").layer(),
                file.layer(),
            ],
        )
        .becomes(becomes),
        case(
            "a whiteout over a directory, lower both",
            [
                RawTar::new().file("a/low", "low").file("k", "").layer(),
                RawTar::new().file(".wh.a", "").layer(),
                file.layer(),
            ],
        )
        .becomes(["a/ @0", "a/b=x", "k="]),
    ]);
}

/// Links that the layer itself made are followed, in the root.
#[test]
fn through_links() {
    let range = Range::new("links of the layer as parents");
    let lib = |tar: RawTar| tar.dir("usr").dir("usr/lib");
    let tar = lib(RawTar::new())
        .symlink("abs", "/usr/lib")
        .symlink("hop", "abs")
        .symlink("rel", "./usr/../usr/lib")
        .symlink("up", "../../../usr");
    let links = [
        "abs->/usr/lib",
        "hop->abs",
        "rel->./usr/../usr/lib",
        "up->../../../usr",
        "usr/",
        "usr/lib/",
    ];
    let through = |path: &str| one(path, tar.clone().file(path, "x"));
    let with = |line: &'static str| links.into_iter().chain([line]);
    range.run_all([
        through("abs/f").becomes(with("usr/lib/f=x")),
        through("hop/f").becomes(with("usr/lib/f=x")),
        through("rel/f").becomes(with("usr/lib/f=x")),
        through("up/lib/f").becomes(with("usr/lib/f=x")),
        through("hop/sub/f").becomes(with("usr/lib/sub/ @0").chain(["usr/lib/sub/f=x"])),
        one(
            "to a directory that the layer lists later",
            lib(RawTar::new().symlink("l", "usr/lib").file("l/f", "x")),
        )
        .becomes(["l->usr/lib", "usr/", "usr/lib/", "usr/lib/f=x"]),
        case(
            "to a directory of a lower layer",
            [
                lib(RawTar::new())
                    .mode(0o711)
                    .file("usr/lib/low", "")
                    .layer(),
                RawTar::new()
                    .symlink("l", "usr/lib")
                    .file("l/f", "x")
                    .layer(),
            ],
        )
        .becomes([
            "l->usr/lib",
            "usr/",
            "usr/lib/ 0711",
            "usr/lib/f=x",
            "usr/lib/low=",
        ]),
        one(
            "a hard link through one",
            tar.clone().file("usr/lib/f", "x").hardlink("h", "hop/f"),
        )
        .shows("7.29")
        .becomes([
            "abs->/usr/lib",
            "h=x",
            "hop->abs",
            "rel->./usr/../usr/lib",
            "up->../../../usr",
            "usr/",
            "usr/lib/",
            "usr/lib/f==h",
        ]),
    ]);
}

/// Mode, owner and times of a directory are given when everything is in it.
#[test]
fn described_last() {
    let range = Range::new("directories are described last");
    let tar = RawTar::new()
        .dir("a")
        .mode(0)
        .pax("mtime", "1.25")
        .dir("a/b")
        .mode(0o555)
        .pax("mtime", "2.5")
        .file("a/b/c", "x")
        .file("a/b/d", "x");
    let a = "a/ 0000 @1.250000000";
    let b = "a/b/ 0555 @2.500000000";
    range.run_all([
        one("modes that would forbid it", tar.clone()).becomes([a, b, "a/b/c=x", "a/b/d=x"]),
        case(
            "and put into by the next layer",
            [
                tar.layer(),
                RawTar::new()
                    .file("a/b/e", "x")
                    .file("a/b/.wh.c", "")
                    .layer(),
            ],
        )
        .becomes([a, b, "a/b/d=x", "a/b/e=x"]),
        case(
            "and linked into by the next layer",
            [
                tar.layer(),
                RawTar::new().hardlink("a/b/e", "a/b/c").layer(),
            ],
        )
        .becomes([a, b, "a/b/c=x", "a/b/d=x", "a/b/e==a/b/c"]),
        one("replaced: nothing of it stays", {
            RawTar::new()
                .dir("o")
                .mode(0o711)
                .dir("d")
                .mode(0o700)
                .file("d/x", "")
                .symlink("d", "o")
        })
        .shows("7.7")
        .becomes(["d->o", "o/ 0711"]),
    ]);
}
