//! Several names of one file, in one layer and across layers.

use super::{Case, Range, case, one};
use crate::support::raw_tar::RawTar;

const CAPABILITY: [u8; 20] = [
    1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

fn f() -> RawTar {
    RawTar::new().file("f", "x")
}

#[test]
fn in_one_layer() {
    let range = Range::new("hard links in one layer");
    let to = |target: &str| one(format!("to {target}"), f().hardlink("h", target));
    range.run_all([
        to("f").shows("1.2.25").becomes(["f=x", "h==f"]),
        to("/f").becomes(["f=x", "h==f"]),
        to("./f").becomes(["f=x", "h==f"]),
        to("//f").becomes(["f=x", "h==f"]),
        to("../f").refused(&["'h'", "'..' in a name"]),
        to("d/../f").refused(&["'h'", "'..' in a name"]),
        to("none").shows("1.2.27").refused(&["'h'", "'none'"]),
        one(
            "to a name that comes later",
            RawTar::new().hardlink("h", "f").file("f", "x"),
        )
        .shows("1.2.27, 7.35")
        .refused(&["'h'", "'f'", "before its target"]),
        one(
            "to a link",
            RawTar::new().symlink("l", "none").hardlink("h", "l"),
        )
        .shows("1.2.26, 7.30")
        .becomes(["h->none", "l==h"]),
        one(
            "to a link to a file",
            f().symlink("l", "f").hardlink("h", "l"),
        )
        .shows("1.2.26, 7.30")
        .becomes(["f=x", "h->f", "l==h"]),
        one(
            "to a pipe",
            RawTar::new().header(b'6', "p", "").hardlink("q", "p"),
        )
        .shows("1.2.25")
        .becomes(["p f0:0", "q==p"]),
        one(
            "to a device",
            RawTar::new().device(b'3', "p", 1, 3).hardlink("q", "p"),
        )
        .shows("1.2.25")
        .becomes(["p c1:3", "q==p"]),
        one("a chain", f().hardlink("g", "f").hardlink("h", "g"))
            .shows("1.2.25")
            .becomes(["f=x", "g==f", "h==f"]),
        one("replaced by a file", f().hardlink("h", "f").file("h", "y"))
            .shows("7.33")
            .becomes(["f=x", "h=y"]),
        one(
            "whose target is replaced",
            f().hardlink("h", "f").file("f", "y"),
        )
        .shows("7.33")
        .becomes(["f=y", "h=x"]),
        one(
            "linked again elsewhere",
            f().file("g", "y").hardlink("h", "f").hardlink("h", "g"),
        )
        .shows("7.33")
        .becomes(["f=x", "g=y", "h==g"]),
    ]);
    attributes(&range);
}

/// They belong to the file, whichever name brings them.
fn attributes(range: &Range) {
    let other = |tar: RawTar| {
        tar.hardlink("h", "f")
            .mode(0o600)
            .owner(1, 2)
            .pax("mtime", "7.5")
    };
    let capable = f()
        .owner(1000, 1000)
        .pax("SCHILY.xattr.security.capability", CAPABILITY);
    let cap = CAPABILITY.escape_ascii();
    range.run_all([
        one("with attributes of its own", other(f()))
            .shows("1.2.29")
            .becomes(["f=x 0600 1:2 @7.500000000", "h==f"]),
        one("with extended attributes", {
            f().pax("SCHILY.xattr.user.a", "1")
                .hardlink("h", "f")
                .pax("SCHILY.xattr.user.b", "2")
        })
        .shows("1.2.29")
        .becomes(["f=x [user.a=1] [user.b=2]", "h==f"]),
        one(
            "to a program with capabilities",
            capable.hardlink("h", "f").owner(1000, 2000),
        )
        .shows("1.2.29, 7.37")
        .becomes([
            format!("f=x 1000:2000 [security.capability={cap}]"),
            "h==f".into(),
        ]),
        one("to a link, with attributes", {
            RawTar::new()
                .symlink("l", "f")
                .hardlink("m", "l")
                .mode(0o600)
                .owner(1, 2)
        })
        .shows("1.2.29, 3.7")
        .becomes(["l->f", "m==l"]),
    ]);
}

/// A program that everything of must survive.
fn rich() -> RawTar {
    let tar = RawTar::new().dir("etc").mode(0o711).pax("mtime", "4");
    tar.file("etc/a", "content")
        .mode(0o4755)
        .owner(9, 9)
        .pax("mtime", "5.000000001")
        .pax("SCHILY.xattr.user.x", "v")
}

const RICH: [&str; 2] = [
    "etc/ 0711 @4",
    "etc/a=content 4755 9:9 @5.000000001 [user.x=v]",
];

/// What an archiver says of another name of `etc/a`.
fn alike(name: &str, target: &str) -> RawTar {
    let tar = RawTar::new().hardlink(name, target);
    tar.mode(0o4755).owner(9, 9).pax("mtime", "5.000000001")
}

fn over(name: &str, tar: RawTar) -> Case {
    case(name, [rich().layer(), tar.layer()])
}

#[test]
fn to_lower_layers() {
    let range = Range::new("hard links into lower layers");
    let with = |lines: &[&'static str]| [&RICH, lines].concat();
    let linked = alike("opt/b", "etc/a");
    let specials = RawTar::new()
        .symlink("l", "x")
        .header(b'6', "p", "")
        .device(b'3', "n", 1, 3);
    let to_specials = RawTar::new()
        .hardlink("l2", "l")
        .hardlink("p2", "p")
        .hardlink("n2", "n");
    range.run_all([
        over("to a file", linked.clone()).becomes(with(&["opt/ @0", "opt/b==etc/a"])),
        over("to an absolute name", alike("b", "/etc/a")).becomes([
            "b=content 4755 9:9 @5.000000001 [user.x=v]",
            "etc/ 0711 @4",
            "etc/a==b",
        ]),
        over(
            "two, one by way of the other",
            linked
                .clone()
                .hardlink("opt/c", "opt/b")
                .mode(0o4755)
                .owner(9, 9)
                .pax("mtime", "5.000000001"),
        )
        .becomes(with(&["opt/ @0", "opt/b==etc/a", "opt/c==etc/a"])),
        over(
            "with attributes of its own",
            RawTar::new().hardlink("b", "etc/a").mode(0o600),
        )
        .becomes(["b=content 0600 [user.x=v]", "etc/ 0711 @4", "etc/a==b"]),
        case(
            "through two layers",
            [rich().layer(), RawTar::new().layer(), linked.layer()],
        )
        .becomes(with(&["opt/ @0", "opt/b==etc/a"])),
        case(
            "from the layer above that",
            [
                rich().layer(),
                linked.layer(),
                alike("opt/d", "opt/b").layer(),
            ],
        )
        .becomes(with(&["opt/ @0", "opt/b==etc/a", "opt/d==etc/a"])),
        case(
            "to a link, a pipe and a device",
            [specials.layer(), to_specials.layer()],
        )
        .becomes(["l->x", "l2==l", "n c1:3", "n2==n", "p f0:0", "p2==p"]),
        over("then deleted by name", linked.clone().file("etc/.wh.a", ""))
            .refused(&["'opt/b'", "'etc/a'"]),
        over(
            "to what the layer deletes",
            RawTar::new().file(".wh.etc", "").hardlink("b", "etc/a"),
        )
        .refused(&["'b'", "'etc/a'"]),
        over(
            "to what an opaque mark hides",
            RawTar::new()
                .file("etc/.wh..wh..opq", "")
                .hardlink("b", "etc/a"),
        )
        .refused(&["'b'", "'etc/a'"]),
        over("to a directory", RawTar::new().hardlink("b", "etc")).refused(&["'b'", "'etc'"]),
        over("replaced later", alike("b", "etc/a").file("b", "y"))
            .becomes([&["b=y"][..], &RICH].concat()),
    ]);
    described(&range);
}

/// Of several links the last describes the file, and one that is replaced has described it before.
fn described(range: &Range) {
    range.run_all([
        over("two, the last describes the file", {
            let tar = RawTar::new().hardlink("z/b", "etc/a").mode(0o600);
            tar.hardlink("b", "etc/a").mode(0o640).owner(1, 2)
        })
        .becomes([
            "b=content 0640 1:2 [user.x=v]",
            "etc/ 0711 @4",
            "etc/a==b",
            "z/ @0",
            "z/b==b",
        ]),
        over("replaced after it has described the file", {
            RawTar::new()
                .hardlink("b", "etc/a")
                .mode(0o600)
                .file("b", "y")
        })
        .becomes(["b=y", "etc/ 0711 @4", "etc/a=content 0600 [user.x=v]"]),
        over("replaced, and its target as well", {
            let tar = RawTar::new().hardlink("b", "etc/a").mode(0o600);
            tar.file("b", "y").file("etc/a", "z")
        })
        .becomes(["b=y", "etc/ 0711 @4", "etc/a=z"]),
        over(
            "replaced, to nothing",
            RawTar::new().hardlink("b", "none").file("b", "y"),
        )
        .refused(&["'b'", "'none'"]),
    ]);
}

/// All names of a file of a lower layer stay names of one file.
#[test]
fn to_lower_groups() {
    let range = Range::new("hard links to a file of several names");
    let low = || {
        let tar = RawTar::new()
            .dir("d")
            .mode(0o711)
            .file("d/a", "x")
            .hardlink("d/b", "d/a");
        tar.dir("e").mode(0o700).hardlink("e/c", "d/a")
    };
    let link = || RawTar::new().hardlink("n", "d/b");
    let both = |name: &str, low: RawTar, high: RawTar| case(name, [low.layer(), high.layer()]);
    range.run_all([
        both("one more name", low(), link()).becomes([
            "d/ 0711", "d/a=x", "d/b==d/a", "e/ 0700", "e/c==d/a", "n==d/a",
        ]),
        both("with attributes of its own", low(), link().mode(0o600)).becomes([
            "d/ 0711",
            "d/a=x 0600",
            "d/b==d/a",
            "e/ 0700",
            "e/c==d/a",
            "n==d/a",
        ]),
        both("while a name is deleted", low(), link().file("d/.wh.a", ""))
            .becomes(["d/ 0711", "d/b=x", "e/ 0700", "e/c==d/b", "n==d/b"]),
        both("while a name is replaced", low(), link().file("e/c", "y"))
            .becomes(["d/ 0711", "d/a=x", "d/b==d/a", "e/ 0700", "e/c=y", "n==d/a"]),
        both(
            "while a directory of names is deleted",
            low(),
            link().file(".wh.e", ""),
        )
        .becomes(["d/ 0711", "d/a=x", "d/b==d/a", "n==d/a"]),
        both(
            "while a directory of names is replaced",
            low(),
            link().file("e", "y"),
        )
        .becomes(["d/ 0711", "d/a=x", "d/b==d/a", "e=y", "n==d/a"]),
        case(
            "a layer between deletes and replaces names",
            [
                low().hardlink("f", "d/a").hardlink("g", "d/a").layer(),
                RawTar::new().file("d/.wh.a", "").file("f", "y").layer(),
                link().layer(),
            ],
        )
        .becomes([
            "d/ 0711", "d/b=x", "e/ 0700", "e/c==d/b", "f=y", "g==d/b", "n==d/b",
        ]),
        case(
            "and a third layer adds another",
            [
                low().layer(),
                link().layer(),
                RawTar::new().hardlink("o", "n").layer(),
            ],
        )
        .becomes([
            "d/ 0711", "d/a=x", "d/b==d/a", "e/ 0700", "e/c==d/a", "n==d/a", "o==d/a",
        ]),
        both(
            "a link of several names",
            RawTar::new().symlink("l", "x").hardlink("m", "l"),
            RawTar::new().hardlink("n", "m"),
        )
        .becomes(["l->x", "m==l", "n==l"]),
        both("only one name of it is left", low(), {
            RawTar::new().file("d/.wh.a", "").file("d/.wh.b", "")
        })
        .becomes(["d/ 0711", "e/ 0700", "e/c=x"]),
    ]);
}
