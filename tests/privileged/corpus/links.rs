//! Links as parents, as targets, and in place of what was checked before.

use super::{Case, Range, case, one};
use crate::support::raw_tar::RawTar;

/// 1, 2, 3, 14 (CVE-2014-6407, CVE-2020-27833, CVE-2026-26960): followed inside the root.
#[test]
fn as_parents_in_one_layer() {
    let range = Range::new("links as parents, in one layer");
    let canary = range.canary.as_str();
    let up = format!("{}{canary}", "../".repeat(12));
    let inside = canary.strip_prefix('/').unwrap();
    let parents = inside
        .match_indices('/')
        .map(|(at, _)| format!("{}/ @0", &inside[..at]));
    let followed = |first: &[&str], target: &str| -> Vec<String> {
        let mut lines: Vec<String> = first.iter().map(|line| (*line).to_owned()).collect();
        lines.extend(parents.clone());
        lines.extend([format!("{inside}/ @0"), format!("{inside}/passwd=in")]);
        lines.push(format!("x->{target}"));
        lines.sort_by(|a, b| path_of(a).cmp(path_of(b)));
        lines
    };
    range.run_all([
        one(
            "absolute",
            RawTar::new().symlink("x", "/etc").file("x/passwd", "in"),
        )
        .becomes(["etc/ @0", "etc/passwd=in", "x->/etc"]),
        one(
            "absolute, to the canary",
            RawTar::new().symlink("x", canary).file("x/passwd", "in"),
        )
        .becomes(followed(&[], canary)),
        one(
            "up and out",
            RawTar::new().symlink("x", &up).file("x/passwd", "in"),
        )
        .becomes(followed(&[], &up)),
        one(
            "relative",
            RawTar::new()
                .symlink("e/x", "../../../tmp")
                .file("e/x/f", "in"),
        )
        .becomes(["e/ @0", "e/x->../../../tmp", "tmp/ @0", "tmp/f=in"]),
        one(
            "magic",
            RawTar::new()
                .symlink("p", "/proc/self/root")
                .file("p/tmp/x", "in"),
        )
        .becomes([
            "p->/proc/self/root",
            "proc/ @0",
            "proc/self/ @0",
            "proc/self/root/ @0",
            "proc/self/root/tmp/ @0",
            "proc/self/root/tmp/x=in",
        ]),
        one("two steps", two_steps().hardlink("z", "a/esc/etc/shadow")).refused(&["'z'"]),
        one("two steps, a file", two_steps().file("a/esc/f", "in")).becomes([
            "a/ @0",
            "a/b/ @0",
            "a/b/up->../..",
            "a/esc->b/up/../..",
            "f=in",
        ]),
    ]);
}

fn path_of(line: &str) -> &str {
    let end = line
        .find(['=', '-'])
        .filter(|at| !line[..*at].ends_with('r'));
    &line[..end.unwrap_or(line.len())]
}

fn two_steps() -> RawTar {
    RawTar::new()
        .symlink("a/b/up", "../..")
        .symlink("a/esc", "b/up/../..")
}

/// 4, 18 (CVE-2014-9356, CVE-2026-17106): a link of a lower layer is never followed.
#[test]
fn planted_in_a_lower_layer() {
    let range = Range::new("links of a lower layer");
    let canary = range.canary.as_str();
    let up = format!("{}{canary}", "../".repeat(12));
    for target in [canary, &up] {
        let plant = RawTar::new().symlink("l", target);
        let over = |name: &str, tar: RawTar| {
            case(format!("{name}, {target}"), [plant.layer(), tar.layer()])
        };
        let stays = format!("l->{target}");
        range.run_all([
            over("a file through it", RawTar::new().file("l/passwd", "in"))
                .becomes(["l/ @0", "l/passwd=in"])
                .warns(&["hides the symbolic link"]),
            over("a directory over it", RawTar::new().dir("l").mode(0o700)).becomes(["l/ 0700"]),
            over("a file over it", RawTar::new().file("l", "in")).becomes(["l=in"]),
            over(
                "a hard link through it",
                RawTar::new().hardlink("x", "l/passwd"),
            )
            .refused(&["'x'"]),
            over(
                "a hard link to it",
                RawTar::new().hardlink("x", "l").mode(0o777),
            )
            .becomes([stays.clone(), "x==l".into()]),
            over(
                "a whiteout of it",
                RawTar::new().file(".wh.l", "").file("k", ""),
            )
            .becomes(["k="]),
        ]);
        for marker in ["l/.wh.passwd", "l/.wh..wh..opq"] {
            let name = format!("one layer, {marker}, {target}");
            range.run(one(name, plant.clone().file(marker, "")).becomes([stays.clone()]));
        }
    }
}

/// 6 (CVE-2025-47290, CVE-2021-37712).
#[test]
fn a_poisoned_directory_cache() {
    let range = Range::new("a poisoned cache of directories");
    let tar = |target: &str| {
        let tar = RawTar::new().dir("foo").dir("foo/t").file("foo/t/f", "1");
        tar.symlink("foo", target)
            .file("foo/t/f", "2")
            .dir("foo")
            .file("foo/t/f", "3")
    };
    let inside = ["foo/", "foo/t/ @0", "foo/t/f=3", "t/ @0", "t/f=2"];
    range.run_all([
        one("the root", tar("/")).becomes(inside),
        one("above it", tar("../../..")).becomes(inside),
    ]);
}

/// 7, 8 (CVE-2021-32760, CVE-2026-33056): mode, owner and times never go through a link.
#[test]
fn metadata_through_links() {
    let range = Range::new("metadata through links");
    let canary = range.canary.clone();
    let file = format!("{canary}/passwd");
    let to_file = format!("s->{file} 7:7");
    let link = || RawTar::new().symlink("s", &file);
    let odd = |tar: RawTar| tar.mode(0o4777).owner(7, 7);
    range.run_all([
        one("a hard link to a link", odd(link().hardlink("h", "s")))
            .becomes([format!("h->{file}"), "s==h".into()]),
        one(
            "a directory over a link",
            odd(RawTar::new().symlink("s", &canary).dir("s")),
        )
        .becomes(["s/ 4777 7:7"]),
        one(
            "a link over a directory",
            odd(RawTar::new().dir("s")).symlink("s", &canary),
        )
        .becomes([format!("s->{canary}")]),
        one("a file over a link", odd(link().file("s", "in"))).becomes(["s=in 4777 7:7"]),
        one("a pipe over a link", odd(link().header(b'6', "s", ""))).becomes(["s f0:0 4777 7:7"]),
        one(
            "a link over a linked file",
            odd(RawTar::new().file("f", "1").hardlink("g", "f")).symlink("g", &file),
        )
        .becomes(["f=1 4777 7:7".to_owned(), format!("g->{file}")]),
        one("attributes of a link", odd(link())).becomes([to_file]),
    ]);
}

/// 9, 10, 11 (CVE-2018-20990, CVE-2026-50163, CVE-2026-11940, CVE-2026-108119).
#[test]
fn hard_links() {
    let range = Range::new("hard links that lead out");
    let canary = format!("{}/passwd", range.canary);
    let up = format!("{}{canary}", "../".repeat(12));
    for target in [
        "/etc/shadow",
        "../../etc/shadow",
        "../canary/passwd",
        &canary,
        &up,
    ] {
        let link = RawTar::new().hardlink("x", target);
        range.run_all([
            one(format!("to {target}"), link.clone()).refused(&["'x'"]),
            one(
                format!("to {target}, then written"),
                link.clone().file("x", "w"),
            )
            .refused(&["'x'"]),
            case(
                format!("to {target}, from an upper layer"),
                [RawTar::new().dir("etc").layer(), link.layer()],
            )
            .refused(&["x"]),
        ]);
    }
    let link_at_depth = RawTar::new()
        .symlink("a/b/s", "../../x")
        .hardlink("s2", "a/b/s");
    let low = RawTar::new().file("d/f", "low");
    let swapped = RawTar::new()
        .hardlink("h", "d/f")
        .symlink("d", &range.canary);
    range.run_all([
        one(
            "a link moved to another depth",
            link_at_depth.file("x", "1"),
        )
        .becomes(["a/ @0", "a/b/ @0", "a/b/s->../../x", "s2==a/b/s", "x=1"]),
        one(
            "written after it was linked",
            RawTar::new()
                .file("f", "1")
                .hardlink("h", "f")
                .file("h", "2"),
        )
        .becomes(["f=1", "h=2"]),
        one(
            "before its target",
            RawTar::new().hardlink("h", "f").file("f", "1"),
        )
        .refused(&["'h'"]),
        case(
            "its target's directory swapped",
            [low.layer(), swapped.layer()],
        )
        .refused(&["'h'"]),
        one("to a directory", RawTar::new().dir("d").hardlink("h", "d")).refused(&["'h'"]),
        one("to itself", RawTar::new().hardlink("h", "h")).refused(&["'h'"]),
    ]);
}

/// 13, 15 (CVE-2025-4517): no path is expanded by us, and no loop is followed for ever.
#[test]
fn loops_and_long_expansions() {
    let range = Range::new("loops and long expansions");
    let long = "d".repeat(240);
    let chain = |steps: u32| {
        let first = RawTar::new().symlink("s0", &long);
        (1..steps).fold(first, |tar, step| {
            tar.symlink(&format!("s{step}"), &format!("s{}/{long}", step - 1))
        })
    };
    // Each link leads twice through the one before it: 2^39 steps for one path.
    let doubling = (1..40).fold(RawTar::new().symlink("l0", "a/b"), |tar, step| {
        let below = format!("l{}", step - 1);
        tar.symlink(&format!("l{step}"), &format!("{below}/../../{below}"))
    });
    let rows: [Case; 4] = [
        one(
            "a loop",
            RawTar::new()
                .symlink("a", "b")
                .symlink("b", "a")
                .file("a/x", ""),
        )
        .refused(&["'a/x'", "symbolic links"]),
        one(
            "a link to itself",
            RawTar::new().symlink("a", "a").file("a/x", ""),
        )
        .refused(&["'a/x'", "symbolic links"]),
        one("longer than PATH_MAX", chain(20).file("s19/f", "in")).refused(&[
            "'s19/f'",
            "bytes in a path",
            "4095",
        ]),
        one("doubling", doubling.file("l39/f", "in")).refused(&["'l39/f'", "symbolic links"]),
    ];
    range.run_all(rows);
}
