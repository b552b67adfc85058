//! Section "Metadata" of the list: owners, modes, times, attributes, devices.

use super::*;

#[test]
fn setuid_and_capabilities_survive_foreign_owners() {
    let cap = [
        1, 0, 0, 2, 0, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    let tree = merged(&[vec![
        file("su", "x").mode(0o6755).owner(1000, 1000),
        dir("sticky").mode(0o3777).owner(1000, 1000),
        file("cap", "x")
            .owner(1000, 1000)
            .pax("SCHILY.xattr.security.capability", cap),
        hardlink("cap2", "cap").owner(1000, 1000).mtime(3),
        file("masked", "").mode(0o100_644),
    ]]);
    assert_eq!(mode(&tree, "su"), 0o6755);
    assert_eq!(mode(&tree, "sticky"), 0o3777);
    assert_eq!(mode(&tree, "masked"), 0o644);
    let expected = vec![("security.capability".into(), cap.to_vec())];
    assert_eq!(tree[Path::new("cap")].xattrs, expected);
    assert_eq!(tree[Path::new("cap2")].mtime, (3, 0));
}

#[test]
fn attributes_keep_every_byte() {
    let value = b"a\n22 linkpath=/etc/evil\nb=\0";
    let tree = merged(&[vec![
        file("f", "x")
            .pax("SCHILY.xattr.user.v", value)
            .pax("SCHILY.xattr.user.empty", ""),
        symlink("l", "harmless").pax("SCHILY.xattr.trusted.v", value),
    ]]);
    let expected = vec![
        ("user.empty".into(), Vec::new()),
        ("user.v".into(), value.to_vec()),
    ];
    assert_eq!(tree[Path::new("f")].xattrs, expected);
    assert_eq!(data(&tree, "l"), b"harmless");
    assert_eq!(
        tree[Path::new("l")].xattrs,
        vec![("trusted.v".into(), value.to_vec())]
    );
}

#[test]
fn what_cannot_be_kept_is_said_and_left_out() {
    let mut bench = Bench::new();
    let lower = vec![
        dir("secret"),
        file("secret/x", ""),
        dir("e"),
        file("e/y", ""),
    ];
    let upper = vec![
        symlink("l", "x").pax("SCHILY.xattr.user.a", "1"),
        Member::new(b'6', "p").pax("SCHILY.xattr.user.a", "1"),
        dir("e")
            .pax("SCHILY.xattr.trusted.overlay.opaque", "y")
            .pax("SCHILY.xattr.trusted.overlay.redirect", "/secret")
            .pax("SCHILY.xattr.user.overlay.opaque", "y"),
        file("s", "").pax("SCHILY.xattr.security.selinux", "label\0"),
    ];
    bench.apply(&[lower, upper]).unwrap();
    let tree = bench.merged(2);
    assert_eq!(
        names(&tree),
        ["e", "e/y", "l", "p", "s", "secret", "secret/x"]
    );
    let handle = std::fs::File::open(bench.path("layer1/e")).unwrap();
    assert_eq!(xattr::list(&handle).unwrap(), vec![]);
    assert_eq!(bench.warnings.len(), 6, "{:?}", bench.warnings);
}

#[test]
fn attributes_that_the_kernel_cannot_read_are_the_layers_fault() {
    // Version 2; owner, group and others, each with tag, permissions and no ID.
    let acl = b"\x02\0\0\0\x01\0\x07\0\xff\xff\xff\xff\x04\0\x05\0\xff\xff\xff\xff\x20\0\x05\0\xff\xff\xff\xff";
    for (key, value) in [
        ("security.capability", &b"x"[..]),
        ("system.posix_acl_access", b"x"),
        ("system.posix_acl_default", acl),
    ] {
        let member = file("a", "").pax(&format!("SCHILY.xattr.{key}"), value);
        let error = refused(&[vec![member]]);
        assert_eq!(error::kind(&error), error::Kind::Layer, "{key}: {error:#}");
    }
}

#[test]
fn an_acl_keeps_its_mask() {
    // user::rw-, user:1000:rwx, group::r--, mask::rwx, other::r--
    let mut acl = vec![2, 0, 0, 0];
    for (tag, perm, id) in [
        (1u16, 6u16, u32::MAX),
        (2, 7, 1000),
        (4, 4, u32::MAX),
        (16, 7, u32::MAX),
        (32, 4, u32::MAX),
    ] {
        acl.extend(tag.to_le_bytes());
        acl.extend(perm.to_le_bytes());
        acl.extend(id.to_le_bytes());
    }
    let tree = merged(&[vec![
        file("f", "")
            .mode(0o644)
            .pax("SCHILY.xattr.system.posix_acl_access", &acl),
    ]]);
    assert_eq!(
        tree[Path::new("f")].xattrs,
        vec![("system.posix_acl_access".into(), acl)]
    );
}

#[test]
fn times() {
    for (pax, expected) in [
        ("1.000000001", (1, 1)),
        ("-5.5", (-6, 500_000_000)),
        ("0", (0, 0)),
        ("2147483648", (1 << 31, 0)),
        ("8589934592", (1 << 33, 0)),
    ] {
        let tree = merged(&[vec![
            file("f", "").pax("mtime", pax),
            dir("d").pax("mtime", pax),
            symlink("l", "x").pax("mtime", pax),
        ]]);
        for path in ["f", "d", "l"] {
            assert_eq!(tree[Path::new(path)].mtime, expected, "{path} {pax}");
        }
    }
    let minus_five = b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfb";
    let tree = merged(&[vec![
        file("f", "").raw(136, minus_five),
        file("far", "").pax("mtime", "1099511627776"),
    ]]);
    assert_eq!(tree[Path::new("f")].mtime, (-5, 0));
    assert!(tree[Path::new("far")].mtime.0 > 1 << 31);
}

#[test]
fn owners() {
    let base_256 = b"\x80\0\0\0\x00\x2d\xc6\xc0";
    let tree = merged(&[vec![
        file("a", "").raw(108, base_256).raw(116, base_256),
        file("b", "").pax("uid", "3000000").pax("gid", "4294967294"),
    ]]);
    assert_eq!(tree[Path::new("a")].owner, (3_000_000, 3_000_000));
    assert_eq!(tree[Path::new("b")].owner, (3_000_000, u32::MAX - 1));
    for id in ["4294967295", "4294967296", "-1", "18446744073709551616"] {
        refused(&[vec![file("x", "").pax("uid", id)]]);
        refused(&[vec![file("x", "").pax("gid", id)]]);
    }
    refused(&[vec![file("x", "").raw(108, &[0xff; 8])]]);
}

#[test]
fn devices() {
    let tree = merged(&[vec![
        Member::new(b'4', "sda")
            .device(8, 0)
            .mode(0o660)
            .owner(0, 6),
        Member::new(b'3', "last")
            .device(0xfff, 0xf_ffff)
            .mode(0o600),
    ]]);
    let sda = &tree[Path::new("sda")];
    assert_eq!(
        (sda.mode, sda.device, sda.owner),
        (libc::S_IFBLK | 0o660, libc::makedev(8, 0), (0, 6))
    );
    assert_eq!(
        tree[Path::new("last")].device,
        libc::makedev(0xfff, 0xf_ffff)
    );
    for (major, minor) in [(0x1000, 0), (1, 0x10_0000)] {
        refused(&[vec![Member::new(b'3', "x").device(major, minor)]]);
    }
}
