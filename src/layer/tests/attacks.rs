//! Section 3 of the reference, by its numbers. `Bench::apply` checks the canary each time.

use super::super::fixture::record;
use super::*;

#[test]
fn links_as_parents_stay_inside() {
    // 1, 2, 3, 14
    let tree = merged(&[vec![
        symlink("x", "/etc"),
        file("x/passwd", "in"),
        symlink("e/y", "../../../canary"),
        file("e/y/passwd", "in"),
        symlink("a/b/up", "../.."),
        symlink("a/esc", "b/up/../../.."),
        file("a/esc/canary/two", "in"),
        symlink("p", "/proc/self/root"),
        file("p/tmp/x", "in"),
    ]]);
    for path in [
        "etc/passwd",
        "canary/passwd",
        "canary/two",
        "proc/self/root/tmp/x",
    ] {
        assert_eq!(data(&tree, path), b"in", "{path}");
    }
    let escape = vec![
        symlink("a/b/up", "../.."),
        symlink("a/esc", "b/up/../.."),
        hardlink("z", "a/esc/canary/passwd"),
    ];
    refused(&[escape]);
}

/// No component of the archive's own is too long, but one of a link's target is.
#[test]
fn a_link_to_a_name_that_no_file_has() {
    let long = "n".repeat(256);
    for through in [file("l/x", "in"), hardlink("h", "l/x"), file("l/.wh.x", "")] {
        let link = symlink("l", "").pax("linkpath", &long);
        let error = refused(&[vec![link, through]]);
        assert_eq!(error::kind(&error), error::Kind::Layer, "{error:#}");
    }
}

#[test]
fn links_planted_in_a_lower_layer_lead_nowhere() {
    // 4, 18
    let outside = |bench: &Bench| bench.path("canary");
    let mut bench = Bench::new();
    let canary = outside(&bench);
    let plant = vec![
        symlink("l", canary.as_os_str().as_bytes()),
        symlink("r", "../canary"),
    ];
    let use_it = vec![
        file("l/passwd", "in"),
        file("r/passwd", "in"),
        file("l/.wh.passwd", ""),
        file("r/.wh..wh..opq", ""),
    ];
    bench.apply(&[plant.clone(), use_it.clone()]).unwrap();
    bench.merged(2);
    // The same in one layer.
    let mut bench = Bench::new();
    bench.apply(&[[plant, use_it].concat()]).unwrap();
    bench.merged(1);
}

#[test]
fn the_root_stays_a_directory() {
    // 5: CVE-2021-29136
    for name in [".", "/", "./", "//", "./."] {
        for member in [
            symlink(name, "/etc"),
            file(name, "x"),
            hardlink(name, "/etc/passwd"),
            Member::new(b'6', name),
        ] {
            refused(&[vec![member]]);
        }
    }
}

#[test]
fn a_poisoned_directory_cache() {
    // 6: CVE-2025-47290, CVE-2021-37712
    let tree = merged(&[vec![
        dir("foo"),
        dir("foo/t"),
        file("foo/t/f", "1"),
        symlink("foo", "/"),
        file("foo/t/f", "2"),
        dir("foo"),
        file("foo/t/f", "3"),
    ]]);
    assert_eq!(names(&tree), ["foo", "foo/t", "foo/t/f", "t", "t/f"]);
    assert_eq!(
        (data(&tree, "foo/t/f"), data(&tree, "t/f")),
        (&b"3"[..], &b"2"[..])
    );
}

#[test]
fn metadata_never_goes_through_a_link() {
    // 7, 8: CVE-2021-32760, CVE-2026-33056
    let bench = Bench::new();
    let outside = bench.path("canary/passwd");
    let target = outside.as_os_str().as_bytes();
    drop(bench);
    for members in [
        vec![
            symlink("s", target),
            hardlink("h", "s").mode(0o777).owner(1, 1).mtime(1),
        ],
        vec![
            symlink("s", "../canary"),
            dir("s").mode(0o777).owner(1, 1).mtime(1),
        ],
        vec![
            dir("s").mode(0o777).owner(1, 1).mtime(1),
            symlink("s", "../canary"),
        ],
        vec![
            symlink("s", "../canary/passwd"),
            file("s", "overwritten").mode(0o777),
        ],
        vec![
            symlink("s", "../canary/passwd"),
            Member::new(b'6', "s").mode(0o777).owner(1, 1),
        ],
        vec![
            file("f", ""),
            symlink("f", "../canary/passwd"),
            hardlink("g", "f").mode(0o777),
        ],
    ] {
        merged(&[members]);
    }
}

#[test]
fn hard_links_to_the_host() {
    // 10, 11
    let bench = Bench::new();
    let canary = bench.path("canary/passwd");
    for target in [
        "/etc/shadow",
        "../../etc/shadow",
        "../canary/passwd",
        canary.to_str().unwrap(),
    ] {
        refused(&[vec![hardlink("x", target), file("x", "w")]]);
        refused(&[vec![dir("etc")], vec![hardlink("x", target)]]);
    }
    let tree = merged(&[vec![
        symlink("a/b/s", "../../x"),
        hardlink("s2", "a/b/s"),
        file("x", "1"),
        file("s2", "2"),
    ]]);
    assert_eq!(
        (data(&tree, "x"), data(&tree, "a/b/s")),
        (&b"1"[..], &b"../../x"[..])
    );
}

#[test]
fn paths_that_grow_through_links() {
    // 13: CVE-2025-4517
    let long = "d".repeat(240);
    let step = |n: usize| match n {
        0 => symlink("s0", &long),
        n => Member::new(b'2', format!("s{n}")).link(format!("s{}/x", n - 1)),
    };
    let chain = |steps: usize| -> Vec<Member> { (0..steps).map(step).collect() };
    merged(&[[chain(15), vec![file("s14/f", "in")]].concat()]);
    let mut bench = Bench::new();
    bench.limits.depth = 15;
    let error = bench.apply(&[[chain(15), vec![file("s14/f", "in")]].concat()]);
    assert_eq!(error::kind(&error.unwrap_err()), error::Kind::Limit);
}

#[test]
fn dots_in_names() {
    // 12
    for name in ["../e", "a/../../e", "..", "a/..", "/../e", "a/../b"] {
        for member in [
            file(name, ""),
            dir(name),
            hardlink("x", name),
            symlink(name, "x"),
        ] {
            let error = refused(&[vec![file("b", ""), member]]);
            assert_eq!(error::kind(&error), error::Kind::Layer, "{name}");
        }
    }
}

#[test]
fn sizes_that_disagree() {
    // 28, 31: CVE-2025-62518, CVE-2026-33055, CVE-2026-59874
    let inner = file("smuggled", "").bytes();
    let declared = file("outer", &inner);
    let by_pax = declared
        .clone()
        .size(0)
        .pax("size", inner.len().to_string());
    for member in [
        declared.clone(),
        by_pax.clone(),
        by_pax.after(Member::new(b'L', "x").body("outer2\0")),
    ] {
        assert_eq!(names(&merged(&[vec![member]])).len(), 1);
    }
    refused(&[vec![
        declared
            .clone()
            .pax("size", "512")
            .size(inner.len() as u64 + 1),
    ]]);
    // Both ways a size may be beyond everything.
    for field in [
        &[0xff; 12][..],
        b"\x80\0\0\0\x80\0\0\0\0\0\0\0",
        b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff",
    ] {
        refused(&[vec![file("x", "").raw(124, field)]]);
        refused(&[vec![
            file("x", "").after(Member::new(b'L', "x").raw(124, field)),
        ]]);
    }
    for size in ["-1", "9223372036854775808", "18446744073709551615"] {
        refused(&[vec![file("x", "").pax("size", size)]]);
    }
    // A directory has no content, whatever it says.
    let tree = merged(&[vec![dir("d").size(512), file("f", "x")]]);
    assert_eq!(names(&tree), ["d", "f"]);
}

#[test]
fn pax_headers_that_are_not() {
    // 29, 30
    for body in [
        &b"12 path=x\n"[..],
        b"9 path=\0\n",
        b"0 \n",
        b"999999 path=x\n",
        b"9 path=x ",
    ] {
        let header = Member::new(b'x', "pax").body(body);
        refused(&[vec![file("f", "").after(header)]]);
    }
    let two_names = file("f", "")
        .pax("path", "pax")
        .after(Member::new(b'L', "l").body("gnu\0"));
    refused(&[vec![two_names]]);
}

#[test]
fn headers_without_end() {
    // 33: CVE-2022-2879
    let huge = Member::new(b'x', "x").raw(124, b"20000000000\0");
    let many = (0..20).fold(file("f", ""), |member, _| {
        member.after(Member::new(b'g', "g").body("8 a=bcd\n"))
    });
    let big = file("f", "").pax("comment", vec![b'x'; 2 << 20]);
    for member in [file("f", "").after(huge), many, big] {
        let error = refused(&[vec![member]]);
        assert_eq!(
            error::kind(&error),
            error::Kind::Limit,
            "{}",
            error::render(&error)
        );
    }
    let twice = Member::new(b'x', "x").body(record("path", b"one"));
    refused(&[vec![file("f", "").after(twice.clone()).after(twice)]]);
}

#[test]
fn impossible_attributes() {
    // 37: GHSA-g3rx-2m58-rr63
    for key in [
        String::new(),
        "n".repeat(256),
        format!("user.{}", "n".repeat(251)),
    ] {
        refused(&[vec![file("f", "").pax(&format!("SCHILY.xattr.{key}"), "v")]]);
    }
    refused(&[vec![
        file("f", "").pax("SCHILY.xattr.user.v", vec![b'v'; 65537]),
    ]]);
    let many = (0..300).fold(file("f", ""), |member, n| {
        member.pax(&format!("SCHILY.xattr.user.{n}"), "v")
    });
    assert_eq!(error::kind(&refused(&[vec![many]])), error::Kind::Limit);
}

#[test]
fn limits_are_named() {
    // 34, 35, 36
    type Case = (fn(&mut Limits), &'static str);
    let cases: [Case; 7] = [
        (|limits| limits.entries = 2, "entries"),
        (|limits| limits.unpacked_bytes = 4000, "unpacked bytes"),
        (
            |limits| (limits.ratio, limits.ratio_floor) = (2, 4000),
            "from each byte",
        ),
        (|limits| limits.depth = 3, "levels"),
        (|limits| limits.path_bytes = 5, "path"),
        (|limits| limits.index_bytes = 500, "remember"),
        (|limits| limits.header_bytes = 10, "'PaxHeaders/x'"),
    ];
    let members = vec![
        dir("a"),
        dir("a/b"),
        dir("a/b/c"),
        file("a/b/c/d", vec![0; 5000]).pax("comment", "more than ten bytes"),
    ];
    for (tighten, named) in cases {
        let mut bench = Bench::new();
        tighten(&mut bench.limits);
        let error = bench.apply(std::slice::from_ref(&members)).unwrap_err();
        let text = error::render(&error);
        assert!(
            error::kind(&error) == error::Kind::Limit && text.contains(named),
            "{text}"
        );
    }
}

#[test]
fn what_is_remembered_is_counted_whole() {
    // 36: of what the archive says in few bytes, which links make long
    let long = "d".repeat(240);
    let chain = (0..15).map(|step| match step {
        0 => symlink("s0", "").pax("linkpath", &long),
        _ => symlink(format!("s{step}"), "").pax("linkpath", format!("s{}/{long}", step - 1)),
    });
    let chain: Vec<Member> = chain.collect();
    let through = |member: fn(String) -> Member| -> Vec<Member> {
        let members = (0..100).map(|number| member(format!("s14/{number}")));
        chain.iter().cloned().chain(members).collect()
    };
    let xattr = |number: u32| {
        let link = hardlink(format!("{number}"), "none");
        link.pax("SCHILY.xattr.user.x", vec![b'v'; 4000])
    };
    for members in [
        through(|path| file(path.replace("s14/", "s14/.wh."), "")),
        through(|path| file(path + "/f", "")),
        through(|path| hardlink(path, "none")),
        (0..100).map(xattr).collect(),
    ] {
        let mut bench = Bench::new();
        bench.limits.index_bytes = 200_000;
        let error = bench.apply(&[members]).unwrap_err();
        assert_eq!(error::kind(&error), error::Kind::Limit, "{error:#}");
    }
}

#[test]
fn paths_through_links_end() {
    // 13, 15
    let back = "a/../".repeat(800) + "a";
    let many_steps = (0..6).map(|number| {
        let next = format!("{back}/../l{}", number + 1);
        symlink(format!("l{number}"), "").pax("linkpath", next)
    });
    // Each needs a directory of its own, which is no new beginning.
    let many_links = (0..60).map(|number| {
        let next = format!("d{number}/../l{}", number + 1);
        symlink(format!("l{number}"), next)
    });
    for (links, named) in [
        (many_steps.collect::<Vec<_>>(), "too long when its links"),
        (many_links.collect(), "too many symbolic links"),
    ] {
        for last in [
            file("l0/f", ""),
            file("l0/.wh.f", ""),
            hardlink("h", "l0/f"),
        ] {
            let members = [vec![dir("a")], links.clone(), vec![last]].concat();
            let text = error::render(&refused(&[members]));
            // A hard link's target is looked for, nothing is made for it.
            let missing = text.contains("does not exist");
            assert!(text.contains(named) || missing, "{text}");
        }
    }
}
