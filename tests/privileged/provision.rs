//! Root filesystems on their own: both backends make the same tree, many layers mount, and what is
//! provisioned is a record that keeps its layers until it is removed.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::image::Image;
use crate::support::layer::{Layer, Packing};
use crate::support::process;
use crate::support::samples;
use crate::support::scratch::mounts_below;
use crate::support::tree::Tree;

use super::world::World;

const BACKENDS: [&str; 2] = ["overlay", "copy"];

/// Everything that a tree may hold, over three layers.
fn rich() -> Image {
    let base = Layer::new()
        .dir("etc", 0o755)
        .file("etc/kept", "kept")
        .mtime(1_111_111_111)
        .file("etc/gone", "gone")
        .dir("tmp", 0o1777)
        .dir("opaque", 0o755)
        .file("opaque/below", "below")
        .dir("removed", 0o755)
        .file("removed/file", "x")
        .program("setuid", "s")
        .mode(0o4755)
        .owner(0, 42)
        .xattr("user.note", b"a\0b")
        .symlink("absolute", "/etc/kept")
        .symlink("dangling", "../../nowhere")
        .fifo("pipe")
        .char_device("null", 1, 3);
    let middle = Layer::new()
        .whiteout("etc/gone")
        .whiteout("removed")
        .opaque("opaque")
        .file("opaque/above", "above")
        .hardlink("etc/second", "etc/kept")
        .mtime(1_111_111_111)
        .file("tmp/owned", "o")
        .owner(1815, 1816)
        .packed(Packing::Zstd);
    let top = Layer::new()
        .file("removed", "a file now")
        .file(&format!("deep/{}/end", "d".repeat(120)), "long name")
        .packed(Packing::Plain);
    [base, middle, top]
        .into_iter()
        .fold(samples::small(), Image::layer)
}

#[track_caller]
fn provision(world: &World, backend: &str, name: &str) -> PathBuf {
    let place = world.ucr.scratch().join(name);
    let path = place.to_str().unwrap();
    let done = world
        .ucr
        .run(["provision", "--backend", backend, &world.image, path])
        .ok();
    assert_eq!(done.text(), path);
    place
}

#[track_caller]
fn remove(world: &World, rootfs: &Path) {
    world.ucr.run(["rm", rootfs.to_str().unwrap()]).ok();
    assert!(mounts_below(rootfs).is_empty());
}

#[test]
fn both_backends_make_the_same_tree() {
    let world = World::of(&rich());
    let trees = BACKENDS.map(|backend| {
        let place = provision(&world, backend, backend);
        let tree = Tree::read(&place);
        remove(&world, &place);
        tree
    });
    let [overlay, copy] = trees;
    // The root directory is ours to make: no layer lists it.
    let same = |mut tree: Tree| {
        tree.0.remove(Path::new(""));
        tree
    };
    same(overlay.clone()).assert_same(&same(copy));
    assert!(!overlay.has("etc/gone") && !overlay.has("opaque/below"));
    assert!(overlay.has("opaque/above"));
    assert_eq!(overlay.node("removed").kind, "file");
    assert_eq!(overlay.node("etc/kept").mtime, (1_111_111_111, 0));
    assert_eq!(overlay.node("tmp").mode, 0o1777);
    let setuid = overlay.node("setuid");
    assert_eq!((setuid.mode, setuid.gid), (0o4755, 42));
    assert_eq!(setuid.xattrs["user.note"], b"a\0b");
    assert_eq!(overlay.node("null").rdev, Some((1, 3)));
    assert_eq!(
        overlay.node("absolute").target.as_deref(),
        Some(Path::new("/etc/kept"))
    );
    assert_eq!(
        overlay.node("etc/second").same_as,
        overlay.node("etc/kept").same_as
    );
    let owned = overlay.node("tmp/owned");
    assert_eq!((owned.uid, owned.gid), (1815, 1816));
}

#[test]
fn a_hundred_and_twenty_layers() {
    let image = (0..119).fold(samples::small(), |image, number| {
        let layer = Layer::new().file(&format!("layers/{number}"), number.to_string());
        image.layer(layer.file("layers/last", number.to_string()))
    });
    let world = World::of(&image);
    assert_eq!(
        world.script(&[], "ls /layers | wc -l; cat /layers/last"),
        "120\n118"
    );
    for backend in BACKENDS {
        let place = provision(&world, backend, backend);
        assert_eq!(
            fs::read_dir(place.join("layers")).unwrap().count(),
            120,
            "{backend}"
        );
        assert_eq!(
            fs::read_to_string(place.join("layers/last")).unwrap(),
            "118"
        );
        remove(&world, &place);
    }
}

/// The soft limit that shells give is 1024; a few descriptors for each layer are more than that for
/// images that overlay takes.
#[test]
fn many_layers_and_few_descriptors() {
    let image = (0..120).fold(samples::small(), |image, number| {
        image.layer(Layer::new().file(&format!("layers/{number}"), "x"))
    });
    let world = World::of(&image);
    for backend in BACKENDS {
        let place = world.ucr.scratch().join(backend);
        // Pulled for the first, and for the second in the store.
        let mut command = world.ucr.by_shell("ulimit -S -n 150 && exec \"$@\"");
        command.args(["provision", "--backend", backend, &world.image]);
        command.arg(&place);
        process::run(&mut command, b"", Duration::from_secs(120)).ok();
        assert_eq!(fs::read_dir(place.join("layers")).unwrap().count(), 120);
        remove(&world, &place);
    }
}

/// Without a directory ucr chooses one, and says which.
#[test]
fn a_place_of_ucrs_choice() {
    let world = World::small();
    let done = world.ucr.run(["provision", &world.image]).ok();
    let place = PathBuf::from(done.text());
    assert!(
        place.is_absolute() && place.join("bin/busybox").exists(),
        "{}",
        done.stdout
    );
    remove(&world, &place);
    world.assert_clean();
}

/// Writes go to the rootfs alone: not to the image, not to the next rootfs.
#[test]
fn writes_stay_where_they_are_made() {
    let world = World::small();
    for backend in BACKENDS {
        let first = provision(&world, backend, &format!("{backend}1"));
        fs::write(first.join("etc/passwd"), "mine").unwrap();
        fs::remove_file(first.join("bin/sh")).unwrap();
        let second = provision(&world, backend, &format!("{backend}2"));
        assert!(
            fs::read_to_string(second.join("etc/passwd"))
                .unwrap()
                .contains("ada")
        );
        assert!(second.join("bin/sh").exists());
        assert_eq!(
            fs::read_to_string(first.join("etc/passwd")).unwrap(),
            "mine"
        );
        remove(&world, &first);
        remove(&world, &second);
    }
    assert_eq!(world.script(&[], "wc -l </etc/passwd"), "2");
    world.assert_clean();
}

/// The record: listed, kept from prune, freed by rm.
#[test]
fn a_rootfs_keeps_its_layers() {
    let world = World::small();
    let place = provision(&world, "overlay", "rootfs");
    world.ucr.run(["rm", &world.image]).ok();
    world.ucr.run(["prune"]).ok();
    assert!(place.join("bin/busybox").exists());
    assert_eq!(world.ucr.entries(&["layers"]).len(), 1);
    let path = place.to_str().unwrap();
    let record = world
        .ucr
        .run(["inspect", "--format", "json", path])
        .ok()
        .json();
    assert_eq!(record["kind"], "rootfs");
    assert_eq!(record["path"], path);
    assert_eq!(record["image"], world.image.as_str());
    assert_eq!(record["backend"], "overlay");
    remove(&world, &place);
    world.ucr.run(["prune"]).ok();
    assert!(world.ucr.entries(&["layers"]).is_empty());
    world.assert_clean();
}

/// A directory that has something in it is not ours to take.
#[test]
fn an_occupied_place() {
    let world = World::small();
    let place = world.ucr.scratch().dir("occupied");
    fs::write(place.join("precious"), "x").unwrap();
    for backend in BACKENDS {
        let path = place.to_str().unwrap();
        let done = world
            .ucr
            .run(["provision", "--backend", backend, &world.image, path]);
        done.refused(&[path]);
        assert_eq!(fs::read_dir(&place).unwrap().count(), 1);
    }
    world.assert_clean();
}

/// A mount does not outlive the machine's boot: it is reported, and the same command mounts it
/// again, with what was written to it.
#[test]
fn after_a_reboot() {
    let world = World::small();
    let place = provision(&world, "overlay", "rootfs");
    let path = place.to_str().unwrap();
    fs::write(place.join("mine"), "kept").unwrap();
    crate::support::process::tool(std::process::Command::new("umount").arg(&place));
    fs::remove_dir_all(world.ucr.state()).unwrap();
    let status = || world.ucr.run(["inspect", path]).ok().json()["status"].clone();
    assert_eq!(status(), "not mounted");
    assert!(world.ucr.run(["ps"]).ok().stdout.contains("not mounted"));
    world.ucr.run(["rm", &world.image]).ok();
    world.ucr.run(["prune"]).ok();
    world.ucr.run(["provision", &world.image, path]).ok();
    assert_eq!(status(), "ready");
    assert_eq!(fs::read_to_string(place.join("mine")).unwrap(), "kept");
    remove(&world, &place);
    world.assert_clean();
}

/// An empty directory that the user made is still there after `rm`; one that ucr made is not.
#[test]
fn a_directory_of_the_users_stays() {
    let world = World::small();
    let own = world.ucr.scratch().dir("own");
    let made = world.ucr.scratch().join("made");
    for place in [&own, &made] {
        let path = place.to_str().unwrap();
        world.ucr.run(["provision", &world.image, path]).ok();
        world.ucr.run(["rm", path]).ok();
    }
    assert!(own.is_dir() && !made.exists());
    world.assert_clean();
}

/// A failure leaves what is there as it is, and no record.
#[test]
fn a_place_that_cannot_be() {
    let world = World::small();
    let file = world.ucr.scratch().file("file", "precious");
    let below = file.join("rootfs");
    for backend in BACKENDS {
        let line = [
            "provision",
            "--backend",
            backend,
            &world.image,
            below.to_str().unwrap(),
        ];
        world.ucr.run(line).refused(&["rootfs"]);
        assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
        assert_eq!(world.ucr.run(["ps", "--format", "json"]).ok().text(), "[]");
    }
    world.assert_clean();
}
