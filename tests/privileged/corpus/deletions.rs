//! What deletes what, in which order, and that nothing of it shows.

use std::path::{Path, PathBuf};

use super::{Case, Range, case, one};
use crate::support::raw_tar::RawTar;

fn base() -> RawTar {
    RawTar::new()
        .dir("d")
        .mode(0o750)
        .owner(7, 8)
        .pax("mtime", "77")
        .file("d/old", "old")
        .dir("d/sub")
        .file("d/sub/deep", "deep")
        .file("f", "lower")
        .dir("foo")
        .file("foo/bar", "bar")
        .symlink("l", "d")
}

const D: &str = "d/ 0750 7:8 @77";

const BASE: [&str; 8] = [
    D,
    "d/old=old",
    "d/sub/",
    "d/sub/deep=deep",
    "f=lower",
    "foo/",
    "foo/bar=bar",
    "l->d",
];

/// A layer of directories (`name/`) and empty files.
fn layer(entries: &[&str]) -> RawTar {
    entries
        .iter()
        .fold(RawTar::new(), |tar, entry| match entry.strip_suffix('/') {
            Some(name) => tar.dir(name),
            None => tar.file(entry, ""),
        })
}

fn path_of(line: &str) -> PathBuf {
    let end = line.find(['=', ' ']).or_else(|| line.find("->"));
    Path::new(&line[..end.unwrap_or(line.len())])
        .components()
        .collect()
}

/// The base without some paths and what is below them, and with some lines more.
fn changed(gone: &[&str], new: &[&str]) -> Vec<String> {
    let stays = |line: &&&str| !gone.iter().any(|gone| path_of(line).starts_with(gone));
    let mut lines: Vec<String> = BASE
        .iter()
        .filter(stays)
        .chain(new)
        .map(|line| (*line).to_owned())
        .collect();
    lines.sort_by_key(|line| path_of(line));
    lines
}

/// The base and this above it.
fn over(numbers: &'static str, entries: &[&str], gone: &[&str], new: &[&str]) -> Case {
    let name = entries.join(", ");
    let row = case(name, [base().layer(), layer(entries).layer()]);
    row.shows(numbers).becomes(changed(gone, new))
}

#[test]
fn of_names() {
    let range = Range::new("whiteouts over a lower layer");
    range.run_all([
        over("7.11", &[".wh.f"], &["f"], &[]),
        over("7.11", &[".wh.d"], &["d"], &[]),
        over("7.11", &[".wh.l"], &["l"], &[]),
        over("7.11", &["d/.wh.old"], &["d/old"], &[]),
        over("7.11", &["d/.wh.sub"], &["d/sub"], &[]),
        over("7.11", &["d/sub/.wh.deep"], &["d/sub/deep"], &[]),
        over("1.2.12, 7.12", &[".wh.f", "f"], &["f"], &["f="]),
        over("1.2.13, 7.12", &["f", ".wh.f"], &["f"], &["f="]),
        over(
            "1.2.14, 7.13",
            &[".wh.d", "d/", "d/b"],
            &["d"],
            &["d/", "d/b="],
        ),
        over(
            "1.2.14, 7.13",
            &["d/", "d/b", ".wh.d"],
            &["d"],
            &["d/", "d/b="],
        ),
        over(
            "1.2.14, 7.13",
            &["d/", ".wh.d", "d/b"],
            &["d"],
            &["d/", "d/b="],
        ),
        over("1.2.15", &[".wh.d", "d/x"], &["d"], &["d/ @0", "d/x="]),
        over("1.2.15", &["d/x", ".wh.d"], &["d"], &["d/ @0", "d/x="]),
        over(
            "1.2.15",
            &[".wh.d", "d/sub/x"],
            &["d"],
            &["d/ @0", "d/sub/ @0", "d/sub/x="],
        ),
        over("1.2.16, 7.19", &[".wh.foo", "foo/.wh.bar"], &["foo"], &[]),
        over("1.2.16, 7.19", &["foo/.wh.bar", ".wh.foo"], &["foo"], &[]),
        over("7.11", &[".wh.d", "d"], &["d"], &["d="]),
        over("7.11", &["d/.wh.sub", "d/sub"], &["d/sub"], &["d/sub="]),
        over(
            "1.4.3",
            &[".wh.d", "d", "d/", "d/b"],
            &["d"],
            &["d/", "d/b="],
        ),
    ]);
}

#[test]
fn of_directories() {
    let range = Range::new("opaque directories");
    const OPAQUE: &str = "d/.wh..wh..opq";
    const GONE: [&str; 2] = ["d/old", "d/sub"];
    const ALL: [&str; 4] = ["d", "f", "foo", "l"];
    range.run_all([
        over("1.2.17, 7.14", &["d/x", OPAQUE], &GONE, &["d/x="]),
        over("1.2.17, 7.14", &[OPAQUE, "d/x"], &GONE, &["d/x="]),
        over(
            "1.2.17, 7.14",
            &["d/", "d/x", OPAQUE],
            &["d"],
            &["d/", "d/x="],
        ),
        over(
            "1.2.17, 7.14",
            &[OPAQUE, "d/", "d/x"],
            &["d"],
            &["d/", "d/x="],
        ),
        over("1.2.18, 7.15", &[OPAQUE], &GONE, &[]),
        over("1.2.18, 7.15", &[OPAQUE, "d/.wh.old"], &GONE, &[]),
        over(
            "1.2.18, 7.15",
            &["d/sub/.wh..wh..opq"],
            &["d/sub/deep"],
            &[],
        ),
        over(
            "1.2.17",
            &[OPAQUE, "d/sub/y"],
            &GONE,
            &["d/sub/ @0", "d/sub/y="],
        ),
        over(
            "1.4.3",
            &[OPAQUE, "d", "d/", "d/b"],
            &["d"],
            &["d/", "d/b="],
        ),
        over("3.19", &[".wh..wh..opq", OPAQUE], &ALL, &[]),
        over("3.19", &[".wh..wh..opq", "d/.wh.old"], &ALL, &[]),
        over("3.19", &["d/sub/.wh..wh..opq", ".wh..wh..opq"], &ALL, &[]),
        over("3.19", &[".wh..wh..opq", "f/.wh.x", "l/.wh.x"], &ALL, &[]),
        over("3.19", &[".wh..wh..opq"], &["d", "f", "foo", "l"], &[]),
        over(
            "3.19",
            &["d/x", ".wh..wh..opq", "g"],
            &["d", "f", "foo", "l"],
            &["d/ @0", "d/x=", "g="],
        ),
    ]);
    let upper = |entries: &[&str]| layer(entries).layer();
    range.run_all([
        case(
            "opaque in the second of three layers",
            [base().layer(), upper(&[OPAQUE, "d/x"]), upper(&["d/y"])],
        )
        .becomes(changed(&GONE, &["d/x=", "d/y="])),
        case(
            "opaque in the third of three layers",
            [base().layer(), upper(&["d/x"]), upper(&["d/y", OPAQUE])],
        )
        .becomes(changed(&GONE, &["d/y="])),
        case(
            "deleted, made again, put into",
            [
                base().layer(),
                upper(&[".wh.d"]),
                upper(&["d/a"]),
                upper(&["d/b"]),
            ],
        )
        .becomes(changed(&["d"], &["d/ @0", "d/a=", "d/b="])),
    ]);
}

#[test]
fn of_nothing() {
    let range = Range::new("whiteouts of nothing");
    range.run_all([
        over("1.2.19, 7.16", &[".wh.none"], &[], &[]),
        over("1.2.19, 7.16", &["none/.wh.x"], &[], &[]),
        over("1.2.19, 7.16", &["d/.wh.none"], &[], &[]),
        over("1.2.19, 7.16", &["d/none/.wh.x"], &[], &[]),
        over("1.2.19, 7.16", &["none/a/b/.wh..wh..opq"], &[], &[]),
        over("1.2.19, 7.16", &["f/.wh.x"], &[], &[]),
        over("1.2.19, 3.18", &["l/.wh.old"], &[], &[]),
        over("1.2.19, 3.18", &["l/.wh..wh..opq"], &[], &[]),
        over("1.2.19, 7.16", &["new/", "new/.wh.x"], &[], &["new/"]),
        over(
            "1.2.19, 7.16",
            &["new/", "new/.wh..wh..opq"],
            &[],
            &["new/"],
        ),
    ]);
    let bottom = layer(&[
        "d/",
        "d/.wh.x",
        "d/.wh..wh..opq",
        ".wh.y",
        "none/.wh.z",
        ".wh..wh..opq",
    ]);
    let again = layer(&["d/again", "f", "foo/.wh.bar", "d/.wh.old"]);
    range.run_all([
        one("all of them in the lowest layer", bottom)
            .shows("1.4.1, 7.18")
            .becomes(["d/"]),
        case(
            "what another layer deleted before",
            [
                base().layer(),
                layer(&[".wh.d", ".wh.f", "foo/.wh.bar"]).layer(),
                again.layer(),
            ],
        )
        .becomes(["d/ @0", "d/again=", "f=", "foo/", "l->d"]),
    ]);
}

#[test]
fn of_other_types() {
    let range = Range::new("whiteouts that are no empty files, and what AUFS leaves");
    let whiteout = |what: &str, tar: RawTar| {
        case(what, [base().layer(), tar.layer()])
            .shows("1.2.22")
            .becomes(changed(&["f"], &[]))
            .warns(&["a whiteout that is no empty file: '.wh.f'"])
    };
    range.run_all([
        whiteout("a directory", RawTar::new().dir(".wh.f")),
        whiteout("a link", RawTar::new().symlink(".wh.f", "d")),
        whiteout("a hard link", RawTar::new().hardlink(".wh.f", "d/old")),
        whiteout("a pipe", RawTar::new().header(b'6', ".wh.f", "")),
        whiteout("a device", RawTar::new().device(b'3', ".wh.f", 1, 3)),
        whiteout("a file with content", RawTar::new().file(".wh.f", "x")),
    ]);
    let device = RawTar::new().device(b'3', "f", 0, 0);
    range.run(
        case("a device 0:0", [base().layer(), device.layer()])
            .shows("1.2.31, 3.23")
            .becomes(changed(&["f"], &[]))
            .warns(&["a device 0:0 taken for a whiteout: 'f'"]),
    );
    let aufs = |name: &str| {
        let tar = RawTar::new().file(name, "x").layer();
        case(name, [base().layer(), tar])
            .becomes(BASE)
            .warns(&["left out AUFS data"])
    };
    range.run_all([
        aufs(".wh..wh.plnk/12.34"),
        aufs(".wh..wh.aufs"),
        aufs(".wh..wh.orph/x"),
        aufs("d/.wh..wh.x"),
    ]);
    let linked = RawTar::new()
        .file(".wh..wh.plnk/1.2", "x")
        .hardlink("h", ".wh..wh.plnk/1.2");
    range.run(one("a hard link into AUFS data", linked).refused(&["'h'", ".wh..wh.plnk/1.2"]));
}
