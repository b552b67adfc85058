//! Archives made to get out of a sandbox, or to fill a machine.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ucr::error::Kind;
use ucr::spec::Artifact;

use super::World;
use crate::support::need::program;
use crate::support::raw_tar::RawTar;

fn packed(world: &World, tar: &RawTar) -> Artifact {
    let file = world.write("x.tar", tar.bytes());
    Artifact::new(file.to_str().unwrap())
}

/// A zip archive as Python writes it, which refuses nothing.
fn zip(world: &World, script: &str) -> Artifact {
    let file = world.scratch.join("x.zip");
    let script = format!(
        "import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED)\n\
         def add(name, data='', mode=0o100644):\n i = zipfile.ZipInfo(name); i.create_system = 3\n \
         i.external_attr = mode << 16; i.compress_type = zipfile.ZIP_DEFLATED; z.writestr(i, data)\n\
         {script}\nz.close()\n"
    );
    let mut python = Command::new(program("python3", "python3"))
        .args(["-", file.to_str().unwrap()])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    python
        .stdin
        .take()
        .unwrap()
        .write_all(script.as_bytes())
        .unwrap();
    assert!(python.wait().unwrap().success());
    Artifact::new(file.to_str().unwrap())
}

#[test]
fn nothing_leaves_the_sandbox() {
    let dir = |tar: RawTar, name: &str, target: &str| tar.symlink(name, target);
    for (what, tar) in [
        ("dots", RawTar::new().file("../escaped", "x")),
        ("inner dots", RawTar::new().file("a/../../escaped", "x")),
        (
            "link",
            dir(RawTar::new(), "d", "../outside").file("d/escaped", "x"),
        ),
        (
            "inner link",
            dir(RawTar::new(), "d", "e").dir("e").file("d/escaped", "x"),
        ),
        (
            "link twice",
            dir(dir(RawTar::new(), "a", ".."), "b", "a/outside").file("b/x", "x"),
        ),
        (
            "hard link",
            dir(RawTar::new(), "d", "../outside").hardlink("h", "d/canary"),
        ),
        (
            "hard link dots",
            RawTar::new().hardlink("h", "../outside/canary"),
        ),
        (
            "directory",
            dir(RawTar::new(), "d", "../outside").dir("d/escaped"),
        ),
        (
            "cut",
            RawTar::new().file("whole", "x").file("cut", "x").size(5000),
        ),
    ] {
        let world = World::new();
        let (kind, text) = world.refused(&packed(&world, &tar));
        assert!(
            matches!(kind, Kind::Layer | Kind::Kernel),
            "{what}: {kind:?} {text}"
        );
        assert!(
            text.contains("x.tar") && text.contains("entry '"),
            "{what}: {text}"
        );
        assert!(world.names().is_empty(), "{what}");
        world.assert_outside_untouched();
    }
}

#[test]
fn what_is_strange_is_tamed() {
    let world = World::new();
    let link = world.scratch.join("outside");
    let tar = RawTar::new()
        .file("/absolute", "x")
        .mode(0o6755)
        .dir("d")
        .mode(0o7777)
        .symlink("out", link.to_str().unwrap())
        .device(b'3', "null", 1, 3)
        .device(b'4', "disk", 8, 0)
        .file("first", "linked")
        .hardlink("second", "first");
    let notes = world.fetch(&packed(&world, &tar)).unwrap().join("\n");
    assert!(
        notes.contains("'null' is left out") && notes.contains("'disk'"),
        "{notes}"
    );
    assert_eq!(
        world.names(),
        ["absolute", "d", "first", "out", "second", "x.tar"]
    );
    assert_eq!((world.mode("absolute"), world.mode("d")), (0o755, 0o1777));
    assert_eq!(fs::read_link(world.sandbox.join("out")).unwrap(), link);
    assert_eq!(world.text("second"), "linked");
    // Now the link is in the sandbox: the next one does not go through it either.
    let tar = RawTar::new()
        .dir("out")
        .file("out/escaped", "x")
        .file("first", "new");
    world.fetch(&packed(&world, &tar)).unwrap();
    assert_eq!(
        (world.text("out/escaped"), world.text("second")),
        ("x".into(), "linked".into())
    );
    world.assert_outside_untouched();
}

#[test]
fn links_in_the_sandbox_are_not_gone_through() {
    let world = World::new();
    symlink("../outside", world.sandbox.join("raw")).unwrap();
    symlink("../outside/canary", world.sandbox.join("file")).unwrap();
    let file = world.write("file", "fetched");
    let mut artifact = Artifact::new(file.to_str().unwrap());
    world.fetch(&artifact).unwrap();
    assert!(!world.sandbox.join("file").is_symlink());
    artifact.dest_path = Some("raw/canary".into());
    let (_, text) = world.refused(&artifact);
    assert!(text.contains("'raw' is in the way"), "{text}");
    world.assert_outside_untouched();
}

#[test]
fn zip_archives_too() {
    for (what, script, expected) in [
        ("dots", "add('../escaped', 'x')", "'..' in a name"),
        (
            "link",
            "add('d', '../outside', 0o120777); add('d/escaped', 'x')",
            "is in the way",
        ),
        ("nul in a link", "add('d', 'a\\0b', 0o120777)", "no path"),
        ("long link", "add('d', 'a' * 5000, 0o120777)", "no path"),
        (
            "no name",
            "add('/', 'x', 0o100644); z.filelist[-1].filename = ''",
            "",
        ),
    ] {
        let world = World::new();
        let (_, text) = world.refused(&zip(&world, script));
        assert!(text.contains(expected), "{what}: {text}");
        world.assert_outside_untouched();
    }
    let world = World::new();
    let script =
        "add('/absolute', 'x', 0o104755); add('fifo', '', 0o010644); add('d/', '', 0o40700)";
    let notes = world.fetch(&zip(&world, script)).unwrap().join("\n");
    assert!(notes.contains("'fifo' is left out"), "{notes}");
    assert_eq!(world.names(), ["absolute", "d", "x.zip"]);
    assert_eq!((world.mode("absolute"), world.mode("d")), (0o755, 0o700));
}

/// Every byte of a small archive, inverted: nothing half-done stays, and nothing panics.
#[test]
fn damaged_zip_archives() {
    let world = World::new();
    let whole = zip(&world, "add('one', 'first ' * 50); add('two', 'second')");
    let path = PathBuf::from(&whole.uri);
    let bytes = fs::read(&path).unwrap();
    let mut refused = 0;
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0xff;
        fs::write(&path, &damaged).unwrap();
        let world = World::new();
        match world.fetch(&whole) {
            Ok(_) => assert!(!world.names().is_empty()),
            Err(_) => {
                refused += 1;
                assert!(world.names().is_empty(), "byte {at}");
            }
        }
        fs::write(&path, &bytes[..at]).unwrap();
        assert!(world.refused(&whole).1.contains("x.zip"), "cut at {at}");
    }
    assert!(refused > bytes.len() / 2, "{refused} of {}", bytes.len());
    fs::write(&path, &bytes).unwrap();
    world.fetch(&whole).unwrap();
    // The two headers of a file must agree: else two readers see two archives.
    let mut other = bytes.clone();
    other[30..33].copy_from_slice(b"six");
    fs::write(&path, &other).unwrap();
    let (kind, text) = World::new().refused(&whole);
    assert!(
        kind == Kind::Layer && text.contains("two headers"),
        "{text}"
    );
}

#[test]
fn bombs_are_bounded() {
    let mut world = World::new();
    world.options.max_entries = 100;
    world.options.max_unpacked = 1 << 20;
    let refused = |artifact: Artifact, expected: &str| {
        let (kind, text) = world.refused(&artifact);
        assert!(kind == Kind::Limit && text.contains(expected), "{text}");
    };
    let many = (0..101).fold(RawTar::new(), |tar, n| tar.file(&format!("f{n}"), ""));
    refused(packed(&world, &many), "more than 100 objects");
    let large = RawTar::new().file("large", vec![0; (1 << 20) + 1]);
    refused(packed(&world, &large), "more than 1048576 bytes");
    let large = zip(&world, "add('large', '0' * (1 << 20) + '0')");
    refused(large, "more than 1048576 bytes");
    let zeros = world.write("zeros", vec![0; 2 << 20]);
    super::run(
        world.scratch.path(),
        &program("gzip", "gzip"),
        &[zeros.to_str().unwrap()],
    );
    let gzip = world.scratch.join("zeros.gz");
    let gzip = Artifact::new(gzip.to_str().unwrap());
    refused(gzip.clone(), "more than 1048576 bytes");
    world.options.max_bytes = 10;
    let (kind, _) = world.refused(&gzip);
    assert_eq!(kind, Kind::Limit);
}

#[test]
fn time_is_bounded() {
    let mut world = World::new();
    let file = world.write("x", "x");
    world.options.deadline = Some(Instant::now());
    let (kind, text) = world.refused(&Artifact::new(file.to_str().unwrap()));
    assert!(
        kind == Kind::Network && text.contains("longer than allowed"),
        "{text}"
    );
    world.options.deadline = Some(Instant::now() + Duration::from_secs(600));
    world.take(&file).unwrap();
}

/// A dictionary of 1.5 GiB, which the header of an xz block may ask for.
#[test]
fn an_xz_file_may_not_ask_for_much_memory() {
    let world = World::new();
    program("xz", "xz-utils");
    let path = world.write("x.tar", RawTar::new().file("f", "x").bytes());
    let options = [
        "--format=xz",
        "--check=crc32",
        "--lzma2=preset=0,dict=1MiB",
        path.to_str().unwrap(),
    ];
    super::run(world.scratch.path(), &program("xz", "xz-utils"), &options);
    let path = world.scratch.join("x.tar.xz");
    world.take(&path).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    // The block header follows the stream header of 12 bytes: size, flags, filter, length, dictionary.
    assert_eq!(bytes[14..16], [0x21, 1], "the filter is LZMA2");
    bytes[16] = 40;
    let sum = crc32(&bytes[12..20]);
    bytes[20..24].copy_from_slice(&sum.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    let world = World::new();
    let (_, text) = world.refused(&Artifact::new(path.to_str().unwrap()));
    assert!(text.contains("memory"), "{text}");
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg());
        }
    }
    !sum
}
