//! Headers that lie, contradict each other, or are too much.

use super::{Range, one};
use crate::support::raw_tar::{RawTar, record};

/// 28, 31, 53 (CVE-2025-62518, CVE-2026-33055, CVE-2026-59874): one archive, one content.
#[test]
fn sizes_that_disagree() {
    let range = Range::new("sizes that disagree");
    let inner = RawTar::new().file("smuggled", "").bytes();
    let length = inner.len();
    let outer = || RawTar::new().file("outer", &inner);
    let content = format!("outer={}", inner.escape_ascii());
    let named = format!("outer2={}", inner.escape_ascii());
    let records = record("size", length.to_string());
    let before_long_name = RawTar::new()
        .header(b'x', "PaxHeaders/x", records)
        .header(b'L', "././@LongLink", "outer2\0")
        .file("outer", &inner)
        .size(0);
    range.run_all([
        one("by the header", outer()).becomes([content.clone()]),
        one(
            "by PAX alone",
            outer().size(0).pax("size", length.to_string()),
        )
        .becomes([content]),
        one("by PAX, before a long name", before_long_name).becomes([named]),
        one("both, and different", outer().pax("size", "512"))
            .refused(&["'outer'", "contradicting"]),
        one(
            "of a directory",
            RawTar::new().dir("d").size(512).file("f", "x"),
        )
        .becomes(["d/", "f=x"]),
        one(
            "of a link",
            RawTar::new().symlink("l", "x").size(512).file("f", "x"),
        )
        .becomes(["f=x", "l->x"]),
    ]);
    for (name, field) in [
        ("-1", &[0xff; 12]),
        ("2^63", b"\x80\0\0\0\x80\0\0\0\0\0\0\0"),
        ("2^63 - 1", b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff"),
    ] {
        let long = RawTar::new()
            .header(b'L', "l", "")
            .field(124, field)
            .file("x", "");
        range.run_all([
            one(
                format!("{name} of a file"),
                RawTar::new().file("x", "").field(124, field),
            )
            .refused(&["'x'"]),
            one(format!("{name} of a long name"), long).refused(&["'l'"]),
        ]);
    }
    for size in [
        "-1",
        "9223372036854775808",
        "18446744073709551616",
        "0x10",
        "",
    ] {
        let case = one(
            format!("PAX size {size}"),
            RawTar::new().file("x", "").pax("size", size),
        );
        range.run(match size {
            "" => case.becomes(["x="]),
            _ => case.refused(&[]),
        });
    }
}

/// 29, 30, 53 (tar-rs #428, CVE-2026-59875, CVE-2026-32766).
#[test]
fn pax_records() {
    let range = Range::new("PAX records");
    let evil = format!("a\n22 linkpath={}\nb", range.canary);
    let shown = evil.replace('\n', "\\n");
    range.run(
        one(
            "a record inside a value",
            RawTar::new().file("f", "").pax("SCHILY.xattr.user.x", evil),
        )
        .becomes([format!("f= [user.x={shown}]")]),
    );
    for body in [
        &b"12 path=x\n"[..],
        b"9 path=\0\n",
        b"0 \n",
        b"999999 path=x\n",
        b"9 path=x ",
        b"6 aab\n",
        b"5 =b\n",
        b"-6 a=b\n",
        b"99999999999999999999 a=b\n",
        b"x",
    ] {
        let tar = RawTar::new().header(b'x', "pax", body).file("f", "");
        let name = format!("PAX {}", body.escape_ascii());
        range.run(one(name, tar).refused(&["'pax'", "pax header"]));
    }
    let long = || RawTar::new().header(b'L', "long", "gnu\0");
    let global = RawTar::new().header(b'g', "pax_global_header", record("path", "../evil"));
    range.run_all([
        one("two names", long().file("f", "").pax("path", "pax")).refused(&["two names"]),
        one(
            "two long names",
            long().header(b'L', "long", "b\0").file("f", ""),
        )
        .refused(&["'long'", "two extended headers"]),
        one("a header of nothing", long()).refused(&["ends after an extended header"]),
        one("global headers", global.file("f", "")).becomes(["f="]),
        one("an unknown type", RawTar::new().header(b'V', "v", ""))
            .refused(&["'v'", "unknown type"]),
        one(
            "a path out by PAX",
            RawTar::new().file("f", "").pax("path", "../f"),
        )
        .refused(&["'../f'"]),
    ]);
}

/// 33, 37 (CVE-2022-2879, GHSA-g3rx-2m58-rr63).
#[test]
fn too_much() {
    let range = Range::new("too much of a header");
    let file = || RawTar::new().file("f", "");
    let many = (0..20).fold(RawTar::new(), |tar, _| {
        tar.header(b'g', "g", record("a", "b"))
    });
    let huge = RawTar::new()
        .header(b'x', "huge", "")
        .field(124, b"20000000000\0");
    let xattrs = |count: u32| {
        (0..count).fold(file(), |tar, number| {
            tar.pax(&format!("SCHILY.xattr.user.{number}"), "v")
        })
    };
    let comment = || file().pax("comment", vec![b'x'; 2 << 20]);
    let value = |length| file().pax("SCHILY.xattr.user.v", vec![b'v'; length]);
    let three = (0..5).fold(file(), |tar, n| {
        tar.pax(&format!("SCHILY.xattr.user.{n}"), vec![b'v'; 60 << 10])
    });
    range.run_all([
        one("2 GiB", huge.file("f", "")).refused(&[
            "'huge'",
            "2147483648",
            "--limit header-bytes=",
        ]),
        one("2 MiB", comment()).refused(&["PaxHeaders/x", "--limit header-bytes="]),
        one("2 MiB, allowed", comment())
            .limit("header-bytes=3M")
            .becomes(["f="]),
        one("20 headers", many.clone().file("f", ""))
            .refused(&["17 extended headers", "--limit headers="]),
        one("20 headers, allowed", many.file("f", ""))
            .limit("headers=20")
            .becomes(["f="]),
        one("300 attributes", xattrs(300)).refused(&["257 extended attributes", "--limit xattrs="]),
        one("30000 attributes", xattrs(30_000)).refused(&["257 extended attributes"]),
        one("300 KiB of attributes", three).refused(&["--limit xattr-bytes="]),
        one("a value of 64 KiB and 1", value(65_537)).refused(&["'f'", "'user.v'"]),
    ]);
    for key in [
        "".to_owned(),
        "n".repeat(256),
        format!("user.{}", "n".repeat(251)),
    ] {
        let tar = file().pax(&format!("SCHILY.xattr.{key}"), "v");
        range.run(one(format!("attribute '{key}'"), tar).refused(&["'f'", "extended attribute"]));
    }
}

/// 39 (CVE-2024-40635 class).
#[test]
fn owners() {
    let range = Range::new("impossible owners");
    for id in ["4294967295", "4294967296", "-1", "18446744073709551616"] {
        for key in ["uid", "gid"] {
            let tar = RawTar::new().file("f", "").pax(key, id);
            range.run(one(format!("{key} {id}"), tar).refused(&[]));
        }
    }
    for field in [
        &[0xff; 8],
        b"\x80\0\0\0\xff\xff\xff\xff",
        b"\x80\0\0\x01\0\0\0\0",
    ] {
        let tar = RawTar::new().file("f", "").field(108, field);
        range.run(one(format!("owner {field:x?}"), tar).refused(&["'f'"]));
    }
    let large = RawTar::new().file("f", "").pax("uid", "4294967294");
    range.run(one("the largest owner", large).becomes(["f= 4294967294:0"]));
}

/// 34 (CVE-2025-58183, CVE-2026-32288).
#[test]
fn sparse_maps() {
    let range = Range::new("impossible maps of sparse files");
    let map = |regions: u64| -> String {
        let pairs = (0..regions).map(|number| format!("{},0", number * 512));
        pairs.collect::<Vec<_>>().join(",")
    };
    let sparse = |size: &str, map: &str| {
        let tar = RawTar::new().file("f", "").pax("GNU.sparse.size", size);
        let regions = map.matches(',').count().div_ceil(2);
        tar.pax("GNU.sparse.numblocks", regions.to_string())
            .pax("GNU.sparse.map", map)
    };
    let dense = |regions: u64| -> String {
        let pairs = (0..regions).map(|number| format!("{number},0"));
        pairs.collect::<Vec<_>>().join(",")
    };
    range.run_all([
        one("8 EiB", sparse("9223372036854775807", "0,0")).refused(&["'f'", "--limit bytes="]),
        one("beyond every file", sparse("9223372036854775808", "0,0")).refused(&["'f'"]),
        one("10001 regions", sparse("9000000", &map(10_001)))
            .refused(&["10001 regions", "--limit sparse-regions="]),
        one("10001 regions, allowed", sparse("10001", &dense(10_001)))
            .limit("sparse-regions=10001")
            .becomes([format!("f={}", "\\x00".repeat(10_001))]),
        one("overlapping", sparse("1000", "0,10,5,10")).refused(&["'f'", "sparse map"]),
        one("more than is stored", sparse("1000", "0,1000")).refused(&["'f'", "sparse map"]),
    ]);
}
