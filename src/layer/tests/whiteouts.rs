//! Section 1.2 of the reference: what deletes what, in which order, and no ghosts.

use super::*;

fn wh(name: &str) -> Member {
    file(name, "")
}

/// A bottom layer with everything that is to be deleted.
fn base() -> Vec<Member> {
    vec![
        dir("d").mode(0o750).owner(7, 8).mtime(77),
        file("d/old", "old"),
        dir("d/sub"),
        file("d/sub/deep", "deep"),
        file("f", "lower"),
        dir("foo"),
        file("foo/bar", "bar"),
        symlink("l", "d"),
    ]
}

fn over(upper: Vec<Member>) -> Tree {
    merged(&[base(), upper])
}

/// The names of `base`, some gone, some new.
fn without(gone: &[&str], new: &[&'static str]) -> Vec<&'static str> {
    let base = "d d/old d/sub d/sub/deep f foo foo/bar l".split(' ');
    let mut all: Vec<&str> = base.filter(|name| !gone.contains(name)).collect();
    all.extend(new);
    all.sort_unstable();
    all
}

const IN_D: [&str; 3] = ["d/old", "d/sub", "d/sub/deep"];

fn check(table: Vec<(Vec<Member>, Vec<&str>)>) {
    for (upper, expected) in table {
        let described = format!("{upper:?}");
        let tree = over(upper);
        assert_eq!(names(&tree), expected, "{described}");
    }
}

#[test]
fn deletions_show_what_flat_application_gives() {
    check(vec![
        (vec![wh(".wh.f")], without(&["f"], &[])),
        (vec![wh(".wh.f"), file("f", "new")], without(&[], &[])),
        (vec![file("f", "new"), wh(".wh.f")], without(&[], &[])),
        (
            vec![wh(".wh.d"), dir("d"), file("d/b", "")],
            without(&IN_D, &["d/b"]),
        ),
        (
            vec![dir("d"), file("d/b", ""), wh(".wh.d")],
            without(&IN_D, &["d/b"]),
        ),
        (vec![wh(".wh.d"), file("d/x", "")], without(&IN_D, &["d/x"])),
        (
            vec![file("d/x", ""), wh("d/.wh..wh..opq")],
            without(&IN_D, &["d/x"]),
        ),
        (
            vec![wh("d/.wh..wh..opq"), file("d/x", "")],
            without(&IN_D, &["d/x"]),
        ),
        (vec![wh("d/.wh..wh..opq")], without(&IN_D, &[])),
        (
            vec![wh("d/.wh..wh..opq"), wh("d/.wh.old")],
            without(&IN_D, &[]),
        ),
        (
            vec![wh(".wh.foo"), wh("foo/.wh.bar")],
            without(&["foo", "foo/bar"], &[]),
        ),
        (
            vec![wh("foo/.wh.bar"), wh(".wh.foo")],
            without(&["foo", "foo/bar"], &[]),
        ),
        (vec![wh(".wh.none")], without(&[], &[])),
        (vec![wh("none/.wh.x")], without(&[], &[])),
        (vec![wh("none/a/b/.wh..wh..opq")], without(&[], &[])),
        (vec![wh("d/sub/.wh.deep")], without(&["d/sub/deep"], &[])),
        (vec![wh("l/.wh.old")], without(&[], &[])),
        (vec![wh("f/.wh.old")], without(&[], &[])),
        (vec![wh("l/.wh..wh..opq")], without(&[], &[])),
        (
            vec![symlink("s", "d"), wh("s/.wh.old")],
            without(&["d/old"], &["s"]),
        ),
        (vec![wh(".wh..wh..opq")], vec![]),
        (vec![wh(".wh..wh..opq"), file("d/x", "")], vec!["d", "d/x"]),
    ]);
}

#[test]
fn replacements_show_what_flat_application_gives() {
    check(vec![
        (vec![file("f/x", "")], without(&[], &["f/x"])),
        (vec![dir("f"), file("f/x", "")], without(&[], &["f/x"])),
        (vec![file("d", "")], without(&IN_D, &[])),
        (vec![symlink("d", "foo")], without(&IN_D, &[])),
        (
            vec![file("d", ""), dir("d"), file("d/x", "")],
            without(&IN_D, &["d/x"]),
        ),
        (
            vec![file("d", ""), file("d/x", "")],
            without(&IN_D, &["d/x"]),
        ),
        (vec![file("l/x", "")], without(&[], &["l/x"])),
        (vec![Member::new(b'3', "f")], without(&["f"], &[])),
        (vec![Member::new(b'3', "new")], without(&[], &[])),
        (
            vec![wh("d/.wh..wh.aufs"), wh(".wh..wh.plnk/1.2")],
            without(&[], &[]),
        ),
    ]);
}

#[test]
fn an_opaque_directory_without_entry_keeps_the_lower_attributes() {
    for upper in [
        vec![wh("d/.wh..wh..opq")],
        vec![file("d/x", ""), wh("d/.wh..wh..opq")],
        vec![file("d/x", "")],
        vec![file("d/sub/x", "")],
        vec![wh("d/.wh.old")],
        vec![wh("d/.wh.none")],
    ] {
        let described = format!("{upper:?}");
        let tree = over(upper);
        let seen = &tree[Path::new("d")];
        assert_eq!(
            (seen.mode & 0o7777, seen.owner, seen.mtime),
            (0o750, (7, 8), (77, 0)),
            "{described}"
        );
    }
    // Deleted and made anew: nothing of the old one.
    let tree = over(vec![wh(".wh.d"), file("d/x", "")]);
    let seen = &tree[Path::new("d")];
    assert_eq!(
        (seen.mode & 0o7777, seen.owner, seen.mtime),
        (0o755, (0, 0), (0, 0))
    );
}

#[test]
fn the_bottom_layer_has_no_marks_on_disk() {
    let mut bench = Bench::new();
    bench
        .apply(&[vec![
            dir("d").mtime(5),
            wh("d/.wh.x"),
            wh("d/.wh..wh..opq"),
            wh(".wh.y"),
            wh("none/.wh.z"),
            wh(".wh..wh..opq"),
            Member::new(b'3', "device"),
        ]])
        .unwrap();
    let tree = dump(&bench.path("layer0"));
    assert_eq!(names(&tree), ["d"]);
    assert_eq!(tree[Path::new("d")].mtime, (5, 0));
    let d = std::fs::File::open(bench.path("layer0/d")).unwrap();
    assert_eq!(xattr::list(&d).unwrap(), vec![]);
}

#[test]
fn three_layers_hide_and_show() {
    let tree = merged(&[
        base(),
        vec![wh(".wh.d"), wh(".wh.f"), wh("foo/.wh.bar")],
        vec![
            file("d/again", ""),
            file("f", "again"),
            wh("foo/.wh.bar"),
            wh("d/.wh.old"),
        ],
    ]);
    assert_eq!(names(&tree), ["d", "d/again", "f", "foo", "l"]);
    assert_eq!(mode(&tree, "d"), 0o755);
}

#[test]
fn opaque_markers_cost_nothing_when_repeated() {
    let start = std::time::Instant::now();
    let mut upper = Vec::new();
    for number in 0..3000 {
        upper.push(file(format!("d/{number}"), ""));
        upper.push(wh("d/.wh..wh..opq"));
    }
    let tree = over(upper);
    assert_eq!(names(&tree).len(), 3000 + 5);
    // Quadratic work would take minutes.
    assert!(start.elapsed().as_secs() < 60);
}

#[test]
fn bad_whiteouts_are_refused() {
    for name in [
        ".wh.",
        "etc/.wh.",
        ".wh..",
        ".wh...",
        "x/.wh...",
        ".wh.x/y",
        "../.wh.x",
        "../.wh..wh..opq",
    ] {
        let error = refused(&[vec![wh(name)]]);
        assert_eq!(error::kind(&error), error::Kind::Layer, "{name}");
    }
}

#[test]
fn no_link_leads_to_the_name_of_a_whiteout() {
    for target in [".wh..wh..opq", ".wh.x", "d/.wh.x", ".wh..wh.plnk"] {
        let error = refused(&[vec![symlink("a", target), file("a/b", "")]]);
        assert_eq!(error::kind(&error), error::Kind::Layer, "{error:#}");
    }
}
