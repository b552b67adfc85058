//! Names, types, and one object in the place of another.

use super::{Case, Range, case, one};
use crate::support::image::Image;
use crate::support::layout::Layout;
use crate::support::raw_tar::{RawTar, record};
use crate::support::samples::TAG;

#[test]
fn spellings() {
    let range = Range::new("spellings of a name");
    for name in [
        "./a/b", "/a/b", "a//b", "a/b/", "a/./b", "//a/b", "././/a/b",
    ] {
        let tar = RawTar::new().dir("a").file("a/b", "one");
        let row = one(name, tar.file(name, "two"));
        range.run(row.becomes(["a/", "a/b=two"]));
    }
    let named = |name: &str| RawTar::new().dir(name).mode(0o700);
    for name in ["a", "./a", "/a", "a/", "a//", "/a/."] {
        let row = one(format!("a directory {name}"), named(name));
        range.run(row.becomes(["a/ 0700"]));
    }
    let old = |name: &str| RawTar::new().header(0, name, "").field(257, [0; 8]);
    range.run_all([
        one("before POSIX, with a slash", old("a/").mode(0o700))
            .shows("1.2.3, 7.8")
            .becomes(["a/ 0700"]),
        one("before POSIX, without", old("a"))
            .shows("1.2.3, 7.8")
            .becomes(["a="]),
    ]);
}

#[test]
fn the_root_entry() {
    let range = Range::new("an entry for the root");
    let root = |name: &str| RawTar::new().dir(name).owner(1, 2).pax("mtime", "3.5");
    for name in [".", "./", "/"] {
        let tar = root(name).mode(0o1777).file("x", "");
        range.run(one(name, tar).becomes(["/ 1777 1:2 @3.500000000", "x="]));
    }
    let with = |mode| root("./").mode(mode).file("x", "");
    let low = RawTar::new().dir("./").mode(0o750).file("x", "");
    let labelled = RawTar::new().dir("./").pax("SCHILY.xattr.user.x", "v");
    range.run_all([
        one("0700: not less than 0555", with(0o700)).becomes(["/ 1:2 @3.500000000", "x="]),
        one("0000", with(0)).becomes(["/ 0555 1:2 @3.500000000", "x="]),
        one("attributes", labelled).becomes(["/ [user.x=v]"]),
        case(
            "in the lower layer only",
            [low.layer(), RawTar::new().file("y", "").layer()],
        )
        .becomes(["/", "x=", "y="]),
        case("in both", [low.layer(), with(0o711).layer()]).becomes(["/ 1:2 @3.500000000", "x="]),
        one("none", RawTar::new().file("x", "")).becomes(["x="]),
    ]);
}

#[test]
fn names_and_types() {
    let range = Range::new("names and types");
    let name = |bytes: &[u8]| RawTar::new().file("", "x").field(0, bytes);
    let long = "d/".repeat(100) + &"n".repeat(200);
    let gnu = |kind, text: &str| RawTar::new().header(kind, "././@LongLink", format!("{text}\0"));
    let old_go = RawTar::new()
        .file("name", "x")
        .field(257, b"ustar  \0")
        .field(345, b"very/long/directory")
        .field(108, b"\x80\0\0\0\0\x2d\xc6\xc0");
    let global = RawTar::new().header(b'g', "pax_global_header", record("path", "evil"));
    range.run_all([
        one("not UTF-8", name(b"\xff\xfe"))
            .shows("1.2.56, 7.4")
            .becomes(["\\xff\\xfe=x"]),
        one("a newline", name(b"a\nb"))
            .shows("1.2.56, 7.4")
            .becomes(["a\\nb=x"]),
        one("255 bytes", RawTar::new().file(&"n".repeat(255), ""))
            .shows("1.2.57, 7.5")
            .becomes([format!("{}=", "n".repeat(255))]),
        one("type 7", RawTar::new().header(b'7', "f", "x"))
            .shows("1.2.54, 7.8")
            .becomes(["f=x"]),
        one("type NUL", RawTar::new().header(0, "f", "x"))
            .shows("7.8")
            .becomes(["f=x"]),
        one("a prefix", RawTar::new().file("f", "x").field(345, b"a/b"))
            .shows("7.10")
            .becomes(["a/ @0", "a/b/ @0", "a/b/f=x"]),
        one("the prefix of Go 1.7", old_go).shows("7.10").becomes([
            "very/ @0",
            "very/long/ @0",
            "very/long/directory/ @0",
            "very/long/directory/name=x 3000000:0",
        ]),
        one(
            "a long link target, GNU",
            gnu(b'K', &long).symlink("l", "short"),
        )
        .shows("7.10")
        .becomes([format!("l->{long}")]),
        one("a long link target, PAX", RawTar::new().symlink("l", &long))
            .shows("7.10")
            .becomes([format!("l->{long}")]),
        one("a global header", global.file("f", "x"))
            .shows("1.2.50, 7.9")
            .becomes(["f=x"]),
        one(
            "a key twice",
            RawTar::new()
                .file("f", "x")
                .pax("path", "a")
                .pax("path", "b"),
        )
        .shows("1.2.51, 7.48")
        .becomes(["b=x"]),
        one(
            "GNU and PAX names that agree",
            gnu(b'L', "same").file("f", "x").pax("path", "same"),
        )
        .shows("1.2.53")
        .becomes(["same=x"]),
    ]);
    for kind in [b'V', b'M', b'X', b'8', b'Z'] {
        let text = char::from(kind);
        let row = one(format!("type {text}"), RawTar::new().header(kind, "x", ""));
        let refused = row.refused(&["'x'", &format!("unknown type '{text}'")]);
        range.run(refused.shows("1.2.55, 7.8"));
    }
    for (what, tar) in [
        ("a long name, GNU", gnu(b'L', &long).file("f", "x")),
        ("a long name, PAX", RawTar::new().file(&long, "x")),
    ] {
        let parents = long.match_indices('/').map(|(at, _)| &long[..at]);
        let lines = parents.map(|path| format!("{path}/ @0"));
        let lines = lines.chain([format!("{long}=x")]);
        range.run(one(what, tar).shows("7.10").becomes(lines));
    }
    longest_path(&range);
}

/// The kernel takes no path of this length from us, but the tree is walked by handles: it can be
/// made and removed.
fn longest_path(range: &Range) {
    let parents = vec!["n".repeat(255); 15].join("/");
    let path = format!("{parents}/{}", "n".repeat(255));
    assert_eq!(path.len(), 4095);
    let layer = RawTar::new().file(&path, "x").layer();
    let layout = Layout::of(TAG, &Image::new().layer(layer));
    let place = range.ucr.scratch().join("place");
    let place = place.to_str().unwrap();
    for backend in super::BACKENDS {
        let line = [
            "provision",
            "--backend",
            backend,
            &layout.reference(TAG),
            place,
        ];
        range.ucr.run(line).ok();
        range.ucr.run(["rm", place]).ok();
    }
    range.ucr.run(["rm", &layout.reference(TAG)]).ok();
    range.ucr.run(["prune"]).ok();
    range.assert_untouched("4095 bytes");
    let result = "made with both backends, and removed";
    range.row(Some("3.38, 7.5"), "a path of 4095 bytes", result);
}

/// How an object of each type is made, and the lines that show it.
type Kind = (
    &'static str,
    fn(RawTar, &str) -> RawTar,
    &'static [&'static str],
);

const KINDS: [Kind; 6] = [
    ("file", |tar, name| tar.file(name, name), &["=NAME"]),
    (
        "dir",
        |tar, name| {
            let tar = tar.dir(name).mode(0o700);
            tar.file(&format!("{name}/in"), "x")
        },
        &["/ 0700", "/in=x"],
    ),
    ("link", |tar, name| tar.symlink(name, "aim"), &["->aim"]),
    ("hard", |tar, name| tar.hardlink(name, "aim"), &["==aim"]),
    ("pipe", |tar, name| tar.header(b'6', name, ""), &[" f0:0"]),
    (
        "device",
        |tar, name| tar.device(b'3', name, 1, 3),
        &[" c1:3"],
    ),
];

/// All types after all types: as a layer's own entries, and as two layers.
#[test]
fn in_place_of() {
    let range = Range::new("one object in place of another");
    let pairs: Vec<(Kind, Kind)> = KINDS
        .iter()
        .flat_map(|first| KINDS.iter().map(|last| (*first, *last)))
        .collect();
    let name = |(first, last): &(Kind, Kind)| format!("{}-{}", first.0, last.0);
    let mut lines: Vec<(String, &str)> = pairs
        .iter()
        .flat_map(|pair| pair.1.2.iter().map(move |line| (name(pair), *line)))
        .collect();
    lines.push(("aim".into(), "=aim"));
    lines.sort();
    let lines = lines
        .iter()
        .map(|(name, line)| format!("{name}{}", line.replace("NAME", name)));
    let lines: Vec<String> = lines.collect();
    let target = RawTar::new().file("aim", "aim");
    let each = |tar: RawTar, make: fn(&(Kind, Kind)) -> Kind| {
        pairs
            .iter()
            .fold(tar, |tar, pair| make(pair).1(tar, &name(pair)))
    };
    let both = pairs.iter().fold(target.clone(), |tar, pair| {
        pair.1.1(pair.0.1(tar, &name(pair)), &name(pair))
    });
    range.run_all([
        one("in one layer", both).becomes(lines.clone()),
        case(
            "in two layers",
            [
                each(target, |pair| pair.0).layer(),
                each(RawTar::new(), |pair| pair.1).layer(),
            ],
        )
        .becomes(lines),
    ]);
    range.run(duplicates());
}

/// A directory given again keeps what is in it.
fn duplicates() -> Case {
    let tar = RawTar::new()
        .dir("d")
        .file("d/x", "1")
        .dir("d")
        .mode(0o700)
        .owner(3, 4)
        .file("d/x", "2")
        .file("d/y", "3");
    one("a directory twice", tar).becomes(["d/ 0700 3:4", "d/x=2", "d/y=3"])
}
