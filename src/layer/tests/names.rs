//! Names, parents, links: sections "Names and entries", "Directories" and "Links" of the list.

use super::*;

#[test]
fn spellings_of_one_name() {
    for name in ["./a/b", "/a/b", "a//b", "a/b/", "a/./b", "//a/b"] {
        let tree = merged(&[vec![dir("a"), file("a/b", "one"), file(name, "two")]]);
        assert_eq!(names(&tree), ["a", "a/b"], "{name}");
        assert_eq!(data(&tree, "a/b"), b"two", "{name}");
    }
}

#[test]
fn any_byte_is_a_name() {
    let name = b"\xff\xfe\nline";
    let tree = merged(&[vec![Member::new(b'0', name)]]);
    assert_eq!(tree.keys().nth(1).unwrap().as_os_str().as_bytes(), name);
}

#[test]
fn the_last_of_a_name_counts() {
    let kinds = || {
        [
            file("x", "file"),
            dir("x"),
            symlink("x", "../canary"),
            Member::new(b'6', "x"),
            hardlink("x", "other"),
        ]
    };
    for first in kinds() {
        for last in kinds() {
            let tree = merged(&[vec![file("other", "o"), first.clone(), last.clone()]]);
            let alone = merged(&[vec![file("other", "o"), last]]);
            assert_eq!(tree, alone);
        }
    }
}

#[test]
fn a_replaced_link_does_not_change_its_other_name() {
    let tree = merged(&[vec![
        file("a", "a"),
        hardlink("b", "a"),
        file("b", "b"),
        file("a", "c"),
    ]]);
    assert_eq!((data(&tree, "a"), data(&tree, "b")), (&b"c"[..], &b"b"[..]));
}

#[test]
fn types() {
    let old_dir = Member::new(0, "old/").raw(257, &[0; 8]).mode(0o700);
    let tree = merged(&[vec![
        old_dir,
        Member::new(0, "plain"),
        Member::new(b'7', "contiguous").body("x"),
    ]]);
    assert_eq!(tree[Path::new("old")].mode, libc::S_IFDIR | 0o700);
    assert_eq!(tree[Path::new("plain")].mode, libc::S_IFREG | 0o644);
    assert_eq!(data(&tree, "contiguous"), b"x");
    for kind in [b'V', b'M', b'8', b'Z', b'X'] {
        assert_eq!(
            error::kind(&refused(&[vec![Member::new(kind, "x")]])),
            error::Kind::Layer
        );
    }
}

#[test]
fn long_names() {
    let long = "d/".repeat(100) + &"n".repeat(200);
    let gnu = Member::new(b'L', "././@LongLink").body(format!("{long}\0"));
    let target = Member::new(b'K', "././@LongLink").body(format!("{long}\0"));
    let tree = merged(&[vec![
        file("short", "x").after(gnu),
        symlink("link", "short").after(target),
        file("pax", "y").pax("path", format!("p/{long}")),
        file("end", "x").raw(345, b"prefix/dir"),
    ]]);
    assert_eq!(data(&tree, &long), b"x");
    assert_eq!(data(&tree, "link"), long.as_bytes());
    assert_eq!(data(&tree, &format!("p/{long}")), b"y");
    assert_eq!(data(&tree, "prefix/dir/end"), b"x");
}

/// golang/go#21005: GNU magic, a large id, and yet a prefix.
#[test]
fn the_prefix_header_of_old_go_is_readable() {
    let member = file("name", "x")
        .raw(257, b"ustar  \0")
        .raw(345, b"very/long/directory/name")
        .raw(108, b"\x80\0\0\0\x00\x2d\xc6\xc0");
    let tree = merged(&[vec![member]]);
    assert_eq!(
        tree[Path::new("very/long/directory/name/name")].owner.0,
        3_000_000
    );
}

#[test]
fn global_headers_change_and_create_nothing() {
    let global =
        Member::new(b'g', "pax_global_header").body(super::super::fixture::record("path", b"evil"));
    let tree = merged(&[vec![file("x", "1").after(global)]]);
    assert_eq!(names(&tree), ["x"]);
}

#[test]
fn lengths() {
    assert_eq!(
        names(&merged(&[vec![file("x", "").pax("path", "n".repeat(255))]])).len(),
        1
    );
    for path in [
        "n".repeat(256),
        "abc/".repeat(1024) + "d",
        "a/".repeat(1500),
    ] {
        refused(&[vec![file("x", "").pax("path", path)]]);
    }
    refused(&[vec![Member::new(b'0', "")]]);
}

#[test]
fn parents_that_nobody_lists() {
    let tree = merged(&[vec![file("a/b/c", "")]]);
    let seen = &tree[Path::new("a/b")];
    assert_eq!(
        (seen.mode & 0o7777, seen.owner, seen.mtime),
        (0o755, (0, 0), (0, 0))
    );

    let lower = vec![
        dir("a")
            .mode(0o1777)
            .owner(5, 6)
            .mtime(50)
            .pax("SCHILY.xattr.user.x", "v"),
        dir("a/b").mode(0o700).mtime(51),
    ];
    let tree = merged(&[lower, vec![file("a/b/c", "")], vec![file("a/b/d", "")]]);
    let seen = &tree[Path::new("a")];
    assert_eq!(
        (seen.mode & 0o7777, seen.owner, seen.mtime),
        (0o1777, (5, 6), (50, 0))
    );
    assert_eq!(seen.xattrs, vec![("user.x".into(), b"v".to_vec())]);
    assert_eq!(
        (mode(&tree, "a/b"), tree[Path::new("a/b")].mtime),
        (0o700, (51, 0))
    );
}

#[test]
fn the_root_entry() {
    for (mode, expected) in [(0o700, 0o755), (0o1777, 0o1777), (0, 0o555)] {
        let tree = merged(&[
            vec![dir("./").mode(mode).owner(1, 2).mtime(3)],
            vec![file("x", "")],
        ]);
        let root = &tree[Path::new("")];
        assert_eq!(
            (root.mode & 0o7777, root.owner, root.mtime),
            (expected, (1, 2), (3, 0))
        );
    }
}

#[test]
fn directories_are_described_after_their_children() {
    let tree = merged(&[vec![
        dir("a").mode(0).mtime(1),
        dir("a/b").mode(0o555).mtime(2),
        file("a/b/c", ""),
        file("a/b/d", ""),
    ]]);
    assert_eq!((mode(&tree, "a"), tree[Path::new("a")].mtime), (0, (1, 0)));
    assert_eq!(
        (mode(&tree, "a/b"), tree[Path::new("a/b")].mtime),
        (0o555, (2, 0))
    );
}

#[test]
fn a_replaced_directory_takes_its_description_with_it() {
    let tree = merged(&[vec![
        dir("other").mode(0o711).mtime(9),
        dir("d").mode(0o700).mtime(1),
        file("d/x", ""),
        symlink("d", "other").mtime(2),
    ]]);
    let other = &tree[Path::new("other")];
    assert_eq!((other.mode & 0o7777, other.mtime), (0o711, (9, 0)));
    assert_eq!(names(&tree), ["d", "other"]);
}

#[test]
fn links_of_the_same_layer_are_followed_inside() {
    let tree = merged(&[vec![
        symlink("abs", "/usr/lib"),
        symlink("rel", "./usr/../usr/lib"),
        symlink("up", "../../../usr"),
        symlink("hop", "abs"),
        file("abs/a", ""),
        file("rel/b", ""),
        file("up/lib/c", ""),
        file("hop/d", ""),
        hardlink("h", "hop/a"),
    ]]);
    let in_lib = ["usr/lib/a", "usr/lib/b", "usr/lib/c", "usr/lib/d"];
    assert!(in_lib.iter().all(|path| tree.contains_key(Path::new(path))));
    assert_eq!(tree[Path::new("usr/lib/a")].same_as, Path::new("h"));
    refused(&[vec![symlink("a", "b"), symlink("b", "a"), file("a/x", "")]]);
}

#[test]
fn a_lower_link_is_hidden_by_a_directory_with_a_warning() {
    let mut bench = Bench::new();
    bench
        .apply(&[
            vec![dir("d"), file("d/f", ""), symlink("l", "d")],
            vec![file("l/x", "")],
        ])
        .unwrap();
    let tree = bench.merged(2);
    assert_eq!(names(&tree), ["d", "d/f", "l", "l/x"]);
    assert!(
        bench.warnings.iter().any(|warning| warning.contains("'l'")),
        "{:?}",
        bench.warnings
    );
}

#[test]
fn types_change_between_layers() {
    let lower = vec![dir("d"), file("d/x", ""), file("f", ""), symlink("s", "d")];
    let upper = vec![
        file("d", "file"),
        dir("f"),
        file("f/y", ""),
        dir("s"),
        file("s/z", ""),
    ];
    let tree = merged(&[lower, upper]);
    assert_eq!(names(&tree), ["d", "f", "f/y", "s", "s/z"]);
}

#[test]
fn hard_links_into_lower_layers() {
    let lower = vec![
        dir("etc").mode(0o711).mtime(4),
        file("etc/a", "content").mode(0o4755).owner(9, 9).mtime(5),
        symlink("etc/s", "a"),
    ];
    let same = |member: Member| member.mode(0o4755).owner(9, 9).mtime(5);
    let tree = merged(&[
        lower,
        vec![],
        vec![
            same(hardlink("opt/b", "etc/a")),
            same(hardlink("opt/c", "/opt/b")),
            hardlink("t", "etc/s"),
        ],
    ]);
    let seen = &tree[Path::new("opt/b")];
    assert_eq!(
        (&seen.data[..], seen.mode & 0o7777, seen.owner, seen.mtime),
        (&b"content"[..], 0o4755, (9, 9), (5, 0))
    );
    for path in ["opt/b", "opt/c", "etc/a"] {
        assert_eq!(tree[Path::new(path)].same_as, Path::new("etc/a"), "{path}");
    }
    assert_eq!(
        (mode(&tree, "etc"), tree[Path::new("etc")].mtime),
        (0o711, (4, 0))
    );
    assert_eq!(data(&tree, "t"), b"a");

    // The name was deleted, taken or is taken later by the same layer.
    let lower = || vec![file("a", "x"), dir("t"), file("t/y", "")];
    for upper in [
        vec![file(".wh.t", ""), hardlink("t", "a")],
        vec![hardlink("t", "a"), file(".wh.t", "")],
        vec![hardlink("t", "a"), file("t/.wh.y", "")],
        vec![
            dir("t"),
            file("t/z", ""),
            file("t/.wh..wh..opq", ""),
            hardlink("t", "a"),
        ],
        vec![file("t", ""), hardlink("t", "a")],
    ] {
        let tree = merged(&[lower(), upper]);
        assert_eq!(tree[Path::new("t")].same_as, Path::new("a"));
    }
    for last in [
        file("t", "new"),
        dir("t"),
        symlink("t", "new"),
        file("t/new", ""),
    ] {
        let tree = merged(&[lower(), vec![hardlink("t", "a"), last.clone()]]);
        let alone = merged(&[lower(), vec![file(".wh.t", ""), last]]);
        assert_eq!(tree, alone);
    }

    // Through a link of the same layer into a directory of a lower one.
    let lower = vec![file("usr/lib/a", "x")];
    let upper = vec![symlink("lib", "usr/lib"), hardlink("h", "lib/a")];
    let tree = merged(&[lower, upper]);
    assert_eq!(tree[Path::new("usr/lib/a")].same_as, Path::new("h"));
}

#[test]
fn hard_links_that_lead_nowhere() {
    for (layers, named) in [
        (vec![vec![hardlink("x", "none")]], "none"),
        (
            vec![vec![hardlink("x", "later"), file("later", "")]],
            "later",
        ),
        (
            vec![
                vec![file("a", "")],
                vec![file(".wh.a", ""), hardlink("x", "a")],
            ],
            "'a'",
        ),
        (
            vec![
                vec![file("d/a", "")],
                vec![file(".wh.d", ""), hardlink("x", "d/a")],
            ],
            "d/a",
        ),
        (
            vec![
                vec![file("d/a", "")],
                vec![file("d/.wh..wh..opq", ""), hardlink("x", "d/a")],
            ],
            "d/a",
        ),
        (vec![vec![dir("d"), hardlink("x", "d")]], "'d'"),
        (vec![vec![dir("d")], vec![hardlink("x", "d")]], "'d'"),
        (vec![vec![file("x", ""), hardlink("x", "x")]], "'x'"),
        (vec![vec![hardlink("x", "/")]], "root"),
        (vec![vec![file("f", ""), hardlink("x", "f/y")]], "f/y"),
    ] {
        let described = format!("{layers:?}");
        let error = refused(&layers);
        let text = error::render(&error);
        assert!(
            text.contains("'x'") && text.contains(named),
            "{text}: {described}"
        );
        assert_eq!(error::kind(&error), error::Kind::Layer, "{text}");
    }
}
