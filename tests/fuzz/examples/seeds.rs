//! Writes the seeds that lead the targets to the rarer errors of their parsers, each named after
//! what it provokes:
//!
//!     tests/fuzz/target/coverage/*/debug/examples/seeds tests/fuzz/seeds
//!
//! tests/fuzz/coverage builds it, and finds what is missing. The other seeds are the cases of the
//! tests, or what people write.

use std::fs;
use std::io;
use std::path::Path;

use ucr_fuzz::tar::{member, put, record, seal};

/// A name, and the bytes.
type Seed = (&'static str, Vec<u8>);

fn main() -> io::Result<()> {
    let Some(top) = std::env::args_os().nth(1) else {
        eprintln!("usage: seeds DIRECTORY");
        std::process::exit(2);
    };
    let records = records();
    let in_archives = records
        .iter()
        .map(|(name, body)| (*name, [extended(b'x', body), file("a", b"")].concat()));
    let entries = in_archives.chain(archives()).chain(sparse_files());
    for (target, seeds) in [
        ("challenge", texts(&[("noscheme", "realm=\"x\", Basic")])),
        ("entries", entries.collect()),
        ("pax", records.clone()),
        ("reference", references()),
        ("settle", vec![("linkmany", link("new", "many"))]),
        ("unpack", [layers(), streams()].concat()),
    ] {
        for (name, bytes) in seeds {
            fs::write(Path::new(&top).join(target).join(name), bytes)?;
        }
    }
    Ok(())
}

fn texts(texts: &[(&'static str, &str)]) -> Vec<Seed> {
    texts
        .iter()
        .map(|(name, text)| (*name, text.as_bytes().to_vec()))
        .collect()
}

fn references() -> Vec<Seed> {
    let digest = format!("a@sha256:{}", "g".repeat(64));
    let tag = format!("a:{}", "t".repeat(129));
    texts(&[
        ("nocolon", "a@sha256"),
        ("nohex", &digest),
        ("overlongtag", &tag),
        ("norepository", "localhost/"),
    ])
}

/// Bodies of PAX headers.
fn records() -> Vec<Seed> {
    let xattr = |name: &str, value: &str| record(format!("SCHILY.xattr.{name}={value}").as_bytes());
    let five = |n| xattr(&format!("user.{n}"), "");
    vec![
        ("pax-noequals", record(b"path")),
        ("pax-nokey", record(b"=x")),
        ("pax-nolength", b"path=x\n".to_vec()),
        ("pax-impossible", b"99 path=x\n".to_vec()),
        ("pax-nonewline", b"10 path=x ".to_vec()),
        ("pax-nul", record(b"path=a\0b")),
        ("pax-nonumber", record(b"size=1a")),
        ("pax-notime", record(b"mtime=1e3")),
        ("pax-nothing", record(b"GNU.sparse.map=1,,2")),
        ("pax-order", record(b"GNU.sparse.numbytes=1")),
        ("pax-xattrs", (0..5).flat_map(five).collect()),
        ("pax-xattrbytes", xattr("user.a", &"x".repeat(2048))),
    ]
}

fn file(name: &str, body: &[u8]) -> Vec<u8> {
    member(b'0', name, "", body)
}

fn directory(name: &str) -> Vec<u8> {
    member(b'5', name, "", b"")
}

fn link(name: &str, target: &str) -> Vec<u8> {
    member(b'1', name, target, b"")
}

fn extended(kind: u8, body: &[u8]) -> Vec<u8> {
    member(kind, "extended", "", body)
}

/// A symbolic link whose target may be longer than the field.
fn symlink(name: &str, target: &str) -> Vec<u8> {
    let long = extended(b'K', target.as_bytes());
    [long, member(b'2', name, "", b"")].concat()
}

fn archives() -> Vec<Seed> {
    let long = extended(b'L', "n".repeat(303).as_bytes());
    let size = extended(b'x', &record(b"size=9223372036854775808"));
    vec![
        ("cutheader", [&file("a", b"")[..], b"cut"].concat()),
        ("pathlimit", [long, file("a", b"")].concat()),
        ("sizerange", [size, file("a", b"")].concat()),
    ]
}

/// A file whose PAX header has these `GNU.sparse.` records.
fn sparse(records: &[&str], body: &[u8]) -> Vec<u8> {
    let records = records
        .iter()
        .flat_map(|text| record(format!("GNU.sparse.{text}").as_bytes()));
    let header = extended(b'x', &records.collect::<Vec<u8>>());
    [header, file("a", body)].concat()
}

fn sparse_files() -> Vec<Seed> {
    let in_content = ["major=1", "minor=0", "realsize=9"];
    let block = |start: &str| {
        let mut block = start.as_bytes().to_vec();
        block.resize(512, b'1');
        block
    };
    let cut = sparse(&in_content, &block("1\n"));
    vec![
        ("oldsparse-cut", old_sparse(4)),
        ("oldsparse-many", [old_sparse(4), regions(21)].concat()),
        ("sparse-nosize", sparse(&["map=0,1"], b"x")),
        ("sparse-odd", sparse(&["realsize=9", "map=0,1,4"], b"x")),
        (
            "sparse-beyond",
            sparse(&["realsize=9", "map=18446744073709551615,1"], b"x"),
        ),
        (
            "sparse-contradict",
            sparse(&["realsize=9", "map=0,3"], b"x"),
        ),
        ("sparse10-short", sparse(&in_content, b"")),
        ("sparse10-cut", cut[..cut.len() - 512].to_vec()),
        ("sparse10-many", sparse(&in_content, &block("99\n"))),
        ("sparse10-endless", sparse(&in_content, &block(""))),
    ]
}

/// GNU tar's header of a sparse file, with a map that goes on in the next block.
fn old_sparse(count: usize) -> Vec<u8> {
    let mut header = member(b'S', "a", "", b"");
    put(&mut header, 257..265, b"ustar  \0");
    header[386..386 + count * 24].copy_from_slice(&regions(count)[..count * 24]);
    header[482] = 1;
    put(&mut header, 483..495, b"00000001000\0");
    seal(&mut header);
    header
}

/// A block of regions of no length.
fn regions(count: usize) -> Vec<u8> {
    let mut block = b"00000000000\0".repeat(2 * count);
    block.resize(512, 0);
    block
}

fn layers() -> Vec<Seed> {
    let wide = "w".repeat(250);
    let path = format!("{}/{}", "a".repeat(150), "b".repeat(151));
    let deep = ["d"; 10].join("/");
    let xattr = format!("SCHILY.xattr.user.{}=x", "n".repeat(256));
    // 120 steps for each of the links that the second one leads through.
    let around = symlink("l", &"d/../".repeat(59));
    let again = symlink("m", &["l"; 39].join("/"));
    vec![
        (
            "xattrname",
            [extended(b'x', &record(xattr.as_bytes())), file("a", b"")].concat(),
        ),
        (
            "pathsum",
            [extended(b'L', path.as_bytes()), file("a", b"")].concat(),
        ),
        ("linkroot", link("a", "/")),
        ("linkbelowfile", [file("f", b""), link("a", "f/x")].concat()),
        ("linkdirectory", [directory("d"), link("a", "d")].concat()),
        ("linkself", link("a", "a")),
        ("nottarget", member(b'2', "a", "", b"")),
        (
            "widelink",
            [
                extended(b'L', wide.as_bytes()),
                directory("a"),
                symlink("l", &wide),
                file(&format!("l/{}", "x".repeat(60)), b""),
            ]
            .concat(),
        ),
        (
            "deeplink",
            [directory(&deep), symlink("l", &deep), file("l/a/b/c", b"")].concat(),
        ),
        (
            "manysteps",
            [directory("d"), around, again, file("m/x", b"")].concat(),
        ),
    ]
}

fn streams() -> Vec<Seed> {
    let window_of_2_gib = [0x28, 0xb5, 0x2f, 0xfd, 0, 0xa8, 1, 0, 0];
    vec![
        (
            "gz-padding",
            [gzip(&file("a", b"")), b"\0\0x".to_vec()].concat(),
        ),
        ("zst-window", window_of_2_gib.to_vec()),
        ("zst-long", zeros(700, 1600)),
    ]
}

/// One member of gzip, stored (RFC 1952, RFC 1951 section 3.2.4).
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("one block");
    let mut out = b"\x1f\x8b\x08\0\0\0\0\0\0\xff\x01".to_vec();
    out.extend(length.to_le_bytes());
    out.extend((!length).to_le_bytes());
    out.extend(bytes);
    let sum = bytes.iter().fold(!0, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg())
        })
    });
    out.extend((!sum).to_le_bytes());
    out.extend(u32::from(length).to_le_bytes());
    out
}

/// A frame of zstd: blocks of one zero byte repeated (RFC 8878, section 3.1.1.2), so that the ratio
/// is a quarter of their length.
fn zeros(blocks: u32, length: u32) -> Vec<u8> {
    let mut out = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0x58];
    for block in 1..=blocks {
        let header = length << 3 | 1 << 1 | u32::from(block == blocks);
        out.extend(&header.to_le_bytes()[..3]);
        out.push(0);
    }
    out
}
