//! What real programs pack, and where things go.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use ucr::error::Kind;
use ucr::spec::Artifact;

use super::{World, run};
use crate::support::need::program;

/// A directory with something of everything.
fn tree(world: &World) -> PathBuf {
    world.write("tree/bundle/deep/text", "text\n");
    let run_me = world.write("tree/bundle/run me.sh", "#!/bin/sh\n");
    fs::set_permissions(&run_me, fs::Permissions::from_mode(0o750)).unwrap();
    world.write("tree/bundle/empty", "");
    world.write("tree/bundle/large", "0123456789".repeat(500_000));
    symlink("deep/text", world.scratch.join("tree/bundle/link")).unwrap();
    world.scratch.join("tree")
}

fn check_tree(world: &World) {
    assert_eq!(world.text("bundle/deep/text"), "text\n");
    assert_eq!(world.text("bundle/link"), "text\n");
    assert_eq!(world.text("bundle/empty"), "");
    assert_eq!(world.text("bundle/large"), "0123456789".repeat(500_000));
    assert_eq!(world.mode("bundle/run me.sh"), 0o750);
    let link = fs::read_link(world.sandbox.join("bundle/link")).unwrap();
    assert_eq!(link, Path::new("deep/text"));
}

#[test]
fn what_real_programs_pack() {
    let tar = program("tar", "tar");
    let zip = program("zip", "zip");
    for (needed, package) in [("gzip", "gzip"), ("bzip2", "bzip2"), ("xz", "xz-utils")] {
        program(needed, package);
    }
    for (name, packer, arguments) in [
        ("x.tar", &tar, &["-cf"][..]),
        ("x.tgz", &tar, &["-czf"]),
        ("x.tar.gz", &tar, &["--format=posix", "-czf"]),
        ("x.tbz2", &tar, &["-cjf"]),
        ("x.tar.bz2", &tar, &["-cjf"]),
        ("x.txz", &tar, &["-cJf"]),
        ("x.tar.xz", &tar, &["-cJf"]),
        ("x.zip", &zip, &["-qry"]),
        // Zip64 and data descriptors: what zip writes when it cannot seek.
        ("stored.zip", &zip, &["-qry0", "-fz"]),
    ] {
        let world = World::new();
        let tree = tree(&world);
        let archive = world.scratch.join(name);
        let to = archive.to_str().unwrap();
        run(&tree, packer, &[arguments, &[to, "bundle"]].concat());
        let notes = world.take(&archive).unwrap();
        assert!(notes.is_empty(), "{name}: {notes:?}");
        check_tree(&world);
        let archived = fs::read(world.sandbox.join(name)).unwrap();
        assert!(
            archived == fs::read(&archive).unwrap(),
            "{name} is beside it"
        );
        assert!(world.names().iter().all(|name| !name.starts_with(".ucr")));
    }
}

#[test]
fn a_zip_that_was_streamed() {
    let world = World::new();
    let tree = tree(&world);
    // Into a pipe it writes no links.
    fs::remove_file(tree.join("bundle/link")).unwrap();
    let zip = program("zip", "zip");
    let bytes = run(&tree, &zip, &["-qr", "-", "bundle"]);
    let archive = world.write("s.zip", bytes);
    world.take(&archive).unwrap();
    assert_eq!(world.text("bundle/deep/text"), "text\n");
    assert_eq!(world.text("bundle/large").len(), 5_000_000);
    let time = |path: PathBuf| fs::metadata(path).unwrap().mtime();
    let (packed, unpacked) = (
        tree.join("bundle/empty"),
        world.sandbox.join("bundle/empty"),
    );
    assert_eq!(time(packed), time(unpacked));
}

#[test]
fn one_file_in_gzip() {
    let world = World::new();
    let file = world.write("dump.sql", "rows");
    run(
        world.scratch.path(),
        &program("gzip", "gzip"),
        &["-k", file.to_str().unwrap()],
    );
    world.take(&world.scratch.join("dump.sql.gz")).unwrap();
    assert_eq!(world.names(), ["dump.sql", "dump.sql.gz"]);
    assert_eq!(world.text("dump.sql"), "rows");
    let liar = world.write("liar.gz", "no gzip");
    let (_, text) = world.refused(&Artifact::new(liar.to_str().unwrap()));
    assert!(text.contains("not compressed with gzip"), "{text}");
}

/// Sample 15: one to execute, one to unpack, one to keep as it is in a directory of its own.
#[test]
fn what_is_asked_of_an_artifact() {
    let world = World::new();
    world.write("tree/a", "a");
    let archive = world.scratch.join("b.tgz");
    let to = archive.to_str().unwrap();
    run(
        &world.scratch.join("tree"),
        &program("tar", "tar"),
        &["-czf", to, "a"],
    );
    let mut artifact = Artifact::new(to);
    artifact.extract = false;
    assert!(world.fetch(&artifact).unwrap().is_empty());
    assert_eq!(
        (world.names(), world.mode("b.tgz")),
        (vec!["b.tgz".to_owned()], 0o644)
    );
    artifact.dest_path = Some("raw/deep/keep.tar.gz".into());
    world.fetch(&artifact).unwrap();
    assert_eq!(
        world.names(),
        ["b.tgz", "raw", "raw/deep", "raw/deep/keep.tar.gz"]
    );
    assert_eq!(world.mode("raw"), 0o755);
    // As Mesos does: to the top of the sandbox, wherever the archive is.
    artifact.extract = true;
    world.fetch(&artifact).unwrap();
    assert_eq!(world.text("a"), "a");
    fs::remove_file(world.sandbox.join("a")).unwrap();
    artifact.executable = true;
    assert!(world.fetch(&artifact).unwrap().is_empty());
    assert_eq!(world.mode("raw/deep/keep.tar.gz"), 0o755);
    assert!(
        !world.names().contains(&"a".to_owned()),
        "what is executable is not unpacked"
    );
    // Through the cache: only what is in it.
    let mut cached = Artifact::new(format!("file://{to}"));
    cached.cache = true;
    fs::remove_file(world.sandbox.join("b.tgz")).unwrap();
    world.fetch(&cached).unwrap();
    assert!(world.names().contains(&"a".to_owned()));
    assert!(!world.names().contains(&"b.tgz".to_owned()));
}

#[test]
fn names_and_places() {
    let world = World::new();
    let file = world.write("with space.txt", "spaced");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o6711)).unwrap();
    let uri = format!(
        "file://localhost{}",
        file.to_str().unwrap().replace(' ', "%20")
    );
    let notes = world.fetch(&Artifact::new(&uri)).unwrap();
    assert!(notes[0].contains("not one of an archive"), "{notes:?}");
    assert_eq!(world.text("with%20space.txt"), "spaced");
    assert_eq!(world.mode("with%20space.txt"), 0o711, "no set-user-ID");
    let missing = world.scratch.join("missing");
    let (kind, text) = world.refused(&Artifact::new(missing.to_str().unwrap()));
    assert!(
        kind == Kind::NotFound && text.contains("no such file"),
        "{text}"
    );
    let (_, text) = world.refused(&Artifact::new(world.scratch.path().to_str().unwrap()));
    assert!(text.contains("not a regular file"), "{text}");
    let (kind, text) = world.refused(&Artifact::new("hdfs://h/x"));
    assert!(
        kind == Kind::Spec && text.contains("[E:uri-scheme]"),
        "{text}"
    );
}

#[test]
fn what_is_there_is_replaced_as_tar_does() {
    let world = World::new();
    for path in [
        "tree/same",
        "tree/dir/new",
        "tree/was-link/in",
        "tree/was-file/in",
    ] {
        world.write(path, "new");
    }
    world.write("tree/was-empty-dir", "new");
    let archive = world.scratch.join("x.tar");
    let to = archive.to_str().unwrap();
    run(
        &world.scratch.join("tree"),
        &program("tar", "tar"),
        &["-cf", to, "."],
    );
    for path in ["same", "dir/old", "was-file"] {
        world.write(format!("sandbox/{path}"), "old");
    }
    fs::set_permissions(world.sandbox.join("dir"), fs::Permissions::from_mode(0o710)).unwrap();
    world.scratch.dir("sandbox/was-empty-dir");
    symlink("../outside", world.sandbox.join("was-link")).unwrap();
    world.take(&archive).unwrap();
    for path in [
        "same",
        "dir/new",
        "was-link/in",
        "was-file/in",
        "was-empty-dir",
    ] {
        assert_eq!(world.text(path), "new", "{path}");
    }
    assert_eq!(
        (world.text("dir/old").as_str(), world.mode("dir")),
        ("old", 0o710)
    );
    world.assert_outside_untouched();
    fs::remove_file(world.sandbox.join("same")).unwrap();
    world.write("sandbox/same/full", "old");
    let error = world.take(&archive).unwrap_err();
    assert!(
        ucr::error::render(&error).contains("a directory has its place"),
        "{error:?}"
    );
}

#[test]
fn directories_that_cannot_be_written_to() {
    let world = World::new();
    world.write("tree/locked/inner/file", "x");
    let mode = |path: &str, mode| {
        let path = world.scratch.join("tree").join(path);
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("locked/inner", 0o2555);
    mode("locked", 0o500);
    let archive = world.scratch.join("x.tgz");
    let to = archive.to_str().unwrap();
    run(
        &world.scratch.join("tree"),
        &program("tar", "tar"),
        &["-czf", to, "locked"],
    );
    mode("locked", 0o755);
    mode("locked/inner", 0o755);
    world.take(&archive).unwrap();
    assert_eq!(world.text("locked/inner/file"), "x");
    assert_eq!(
        (world.mode("locked"), world.mode("locked/inner")),
        (0o500, 0o555)
    );
}
