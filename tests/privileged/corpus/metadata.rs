//! Owners, modes, times and extended attributes.

use super::{Range, case, one};
use crate::support::raw_tar::RawTar;

const CAPABILITY: [u8; 20] = [
    1, 0, 0, 2, 0, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

fn f() -> RawTar {
    RawTar::new().file("f", "x")
}

fn xattr(tar: RawTar, name: &str, value: impl AsRef<[u8]>) -> RawTar {
    tar.pax(&format!("SCHILY.xattr.{name}"), value)
}

/// An ACL that names a user: version 2, then tag, permissions and ID of each entry.
fn user_list(mask: u16) -> Vec<u8> {
    let any = u32::MAX;
    let entries: [(u16, u16, u32); 5] = [
        (1, 6, any),
        (2, 7, 1000),
        (4, 4, any),
        (16, mask, any),
        (32, 4, any),
    ];
    let entry = |(tag, permissions, id): (u16, u16, u32)| {
        let (tag, permissions) = (tag.to_le_bytes(), permissions.to_le_bytes());
        [&tag[..], &permissions, &id.to_le_bytes()].concat()
    };
    let entries = entries.into_iter().flat_map(entry);
    [2, 0, 0, 0].into_iter().chain(entries).collect()
}

#[test]
fn extended_attributes() {
    let range = Range::new("extended attributes");
    let cap = CAPABILITY.escape_ascii().to_string();
    let link = || RawTar::new().symlink("l", "x");
    range.run_all([
        one(
            "trusted.*",
            xattr(xattr(f(), "trusted.a", "1"), "trusted.b", ""),
        )
        .shows("1.2.34")
        .becomes(["f=x [trusted.a=1] [trusted.b=]"]),
        one("trusted.* of a link", xattr(link(), "trusted.a", "1"))
            .shows("1.2.34")
            .becomes(["l->x [trusted.a=1]"]),
        one(
            "security.selinux",
            xattr(f(), "security.selinux", "label\0"),
        )
        .shows("1.2.35, 7.41")
        .becomes(["f=x"])
        .warns(&["security.selinux of 'f'"]),
        one(
            "security.capability",
            xattr(f().owner(1000, 1000), "security.capability", CAPABILITY),
        )
        .shows("1.2.36, 7.37")
        .becomes([format!("f=x 1000:1000 [security.capability={cap}]")]),
        one("security.capability of a set-id program", {
            xattr(
                f().mode(0o6755).owner(1000, 1000),
                "security.capability",
                CAPABILITY,
            )
        })
        .shows("1.2.36, 7.36")
        .becomes([format!("f=x 6755 1000:1000 [security.capability={cap}]")]),
    ]);
    of_users(&range);
}

fn of_users(range: &Range) {
    let odd = b"a\n22 linkpath=/evil\nb=\0";
    let link = || RawTar::new().symlink("l", "x");
    range.run_all([
        one(
            "every byte",
            xattr(xattr(f(), "user.v", odd), "user.empty", ""),
        )
        .shows("7.38")
        .becomes(["f=x [user.empty=] [user.v=a\\n22 linkpath=/evil\\nb=\\x00]"]),
        one("user.* of a link", xattr(link(), "user.a", "1"))
            .shows("1.2.37, 7.39")
            .becomes(["l->x"])
            .warns(&["user.a of 'l'"]),
        one(
            "user.* of a pipe",
            xattr(RawTar::new().header(b'6', "p", ""), "user.a", "1"),
        )
        .shows("1.2.37, 7.39")
        .becomes(["p f0:0"])
        .warns(&["user.a of 'p'"]),
        one(
            "user.* of a directory",
            xattr(RawTar::new().dir("d"), "user.a", "1"),
        )
        .shows("7.38")
        .becomes(["d/ [user.a=1]"]),
        one("user.overlay.*", xattr(f(), "user.overlay.opaque", "y"))
            .shows("1.2.33, 7.40")
            .becomes(["f=x"])
            .warns(&["user.overlay.opaque of 'f'"]),
        one(
            "trusted.overlay.*",
            xattr(f(), "trusted.overlay.opaque", "y"),
        )
        .shows("1.2.32, 7.40")
        .becomes(["f=x"])
        .warns(&["trusted.overlay.opaque of 'f'"]),
        one(
            "a capability that is none",
            xattr(f(), "security.capability", "x"),
        )
        .shows("1.2.36")
        .refused(&["'f'", "security.capability", "not valid"]),
        case(
            "of a directory that the next layer puts into",
            [
                xattr(RawTar::new().dir("d"), "user.a", "1").layer(),
                RawTar::new().file("d/f", "").layer(),
            ],
        )
        .shows("1.2.6, 7.22")
        .becomes(["d/ [user.a=1]", "d/f="]),
    ]);
}

/// The mode's group bits are the mask, once there is one: a mode given after it would change it.
#[test]
fn access_control() {
    let range = Range::new("access control lists");
    let shown =
        |name: &str, value: &[u8]| format!("[system.posix_acl_{name}={}]", value.escape_ascii());
    let (wide, narrow) = (user_list(7), user_list(0));
    range.run_all([
        one(
            "an ACL with a mask of rwx",
            xattr(f(), "system.posix_acl_access", &wide),
        )
        .shows("1.2.39, 7.42")
        .becomes([format!("f=x 0674 {}", shown("access", &wide))]),
        one(
            "an ACL with an empty mask",
            xattr(f(), "system.posix_acl_access", &narrow),
        )
        .shows("1.2.39, 7.42")
        .becomes([format!("f=x 0604 {}", shown("access", &narrow))]),
        one("a default ACL of a directory, not inherited in it", {
            xattr(RawTar::new().dir("d"), "system.posix_acl_default", &wide)
                .file("d/f", "")
                .dir("d/e")
        })
        .shows("7.42")
        .becomes([
            format!("d/ {}", shown("default", &wide)),
            "d/e/".into(),
            "d/f=".into(),
        ]),
        case(
            "a default ACL of a lower directory",
            [
                xattr(RawTar::new().dir("d"), "system.posix_acl_default", &wide).layer(),
                RawTar::new().file("d/f", "").dir("d/e").layer(),
            ],
        )
        .shows("7.42")
        .becomes([
            format!("d/ {}", shown("default", &wide)),
            "d/e/".into(),
            "d/f=".into(),
        ]),
        case(
            "a default ACL where the next layer links to a lower file",
            [
                RawTar::new().dir("d").file("d/e/f", "x").layer(),
                xattr(RawTar::new().dir("d"), "system.posix_acl_default", &wide)
                    .hardlink("h", "d/e/f")
                    .layer(),
            ],
        )
        .shows("7.42")
        .becomes([
            format!("d/ {}", shown("default", &wide)),
            "d/e/ @0".into(),
            "d/e/f=x".into(),
            "h==d/e/f".into(),
        ]),
    ]);
}

/// A default ACL of the host's directories is no part of the image.
#[test]
fn inheritance() {
    let range = Range::new("access control lists of the host");
    let flags = rustix::fs::XattrFlags::empty();
    let outside = range.ucr.scratch().path();
    let list = user_list(7);
    rustix::fs::setxattr(outside, "system.posix_acl_default", &list, flags).expect("an ACL");
    let tar = RawTar::new().file("d/f", "x").dir("e").symlink("l", "d");
    let more = RawTar::new().file("d/g", "x").hardlink("h", "d/f");
    range.run(
        case(
            "a default ACL of the directory that the store and the tree are in",
            [tar.layer(), more.layer()],
        )
        .becomes(["d/ @0", "d/f=x", "d/g=x", "e/", "h==d/f", "l->d"]),
    );
}

#[test]
fn times() {
    let range = Range::new("times");
    for (time, shown, numbers) in [
        ("1.000000001", "@1.000000001", "1.2.40, 7.43"),
        ("12.5", "@12.500000000", "1.2.40, 7.43"),
        ("1.0000000019", "@1.000000001", "1.2.40"),
        ("-5.5", "@-6.500000000", "1.2.41, 7.43"),
        ("-5", "@-5", "1.2.41, 7.43"),
        ("0", "@0", "7.43"),
        ("2147483648", "@2147483648", "7.43"),
        ("8589934592", "@8589934592", "7.43"),
        ("1099511627776", "@far", "1.2.42, 7.43"),
        ("99999999999999999999", "@far", "1.2.42, 7.43"),
    ] {
        let tar = RawTar::new().dir("d").pax("mtime", time).file("d/f", "");
        let tar = tar.pax("mtime", time).symlink("l", "x").pax("mtime", time);
        let lines = [
            format!("d/ {shown}"),
            format!("d/f= {shown}"),
            format!("l->x {shown}"),
        ];
        let row = one(format!("{time}, of a directory, a file and a link"), tar);
        range.run(row.shows(numbers).becomes(lines));
    }
    let field = |bytes: &[u8]| f().field(136, bytes);
    range.run_all([
        one(
            "-5 in base 256",
            field(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfb"),
        )
        .shows("1.2.41")
        .becomes(["f=x @-5"]),
        one("2^62 in base 256", field(b"\x80\0\0\0\x40\0\0\0\0\0\0\0"))
            .shows("1.2.42")
            .becomes(["f=x @far"]),
        one("no number", f().pax("mtime", "1e3"))
            .shows("7.48")
            .refused(&["'1e3' is not a time"]),
    ]);
}

#[test]
fn owners_and_modes() {
    let range = Range::new("owners and modes");
    let large = b"\x80\0\0\0\0\x2d\xc6\xc0";
    range.run_all([
        one(
            "3000000 in base 256",
            f().field(108, large).field(116, large),
        )
        .shows("1.2.44, 7.44")
        .becomes(["f=x 3000000:3000000"]),
        one(
            "3000000 by PAX",
            f().pax("uid", "3000000").pax("gid", "3000000"),
        )
        .shows("1.2.44, 7.44")
        .becomes(["f=x 3000000:3000000"]),
        one(
            "2^32 - 2",
            f().pax("uid", "4294967294").pax("gid", "4294967294"),
        )
        .shows("7.44")
        .becomes(["f=x 4294967294:4294967294"]),
        one("bits of the type in the mode", f().mode(0o100_640))
            .shows("1.2.46")
            .becomes(["f=x 0640"]),
        one("set-id and sticky of others", {
            f().mode(0o6755)
                .owner(1000, 1000)
                .dir("d")
                .mode(0o7777)
                .owner(1000, 1000)
        })
        .shows("1.2.47, 7.36")
        .becomes(["d/ 7777 1000:1000", "f=x 6755 1000:1000"]),
        one("set-id of a group in a set-id directory", {
            RawTar::new()
                .dir("d")
                .mode(0o2777)
                .owner(0, 5)
                .file("d/f", "")
                .dir("d/e")
        })
        .shows("1.2.47")
        .becomes(["d/ 2777 0:5", "d/e/", "d/f="]),
        one(
            "a link's owner and time",
            RawTar::new()
                .symlink("l", "x")
                .owner(3, 4)
                .pax("mtime", "5.25"),
        )
        .shows("7.34")
        .becomes(["l->x 3:4 @5.250000000"]),
        one("a pipe and devices", {
            RawTar::new()
                .header(b'6', "p", "")
                .mode(0o622)
                .owner(1, 2)
                .device(b'4', "sda", 8, 0)
                .mode(0o1660)
                .owner(0, 6)
                .device(b'3', "last", 0xfff, 0xf_ffff)
        })
        .shows("7.45")
        .becomes(["last c4095:1048575", "p f0:0 0622 1:2", "sda b8:0 1660 0:6"]),
    ]);
}
