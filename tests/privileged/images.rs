//! Real images, made by others, run.

use std::process::Command;

use crate::support::scratch::Scratch;
use crate::support::tree::Tree;
use crate::support::{need, process, samples};

use super::world::World;

#[test]
fn alpine() {
    let world = World::with(samples::alpine());
    let release = world.run(&[], &["cat", "/etc/alpine-release"]).ok();
    assert_eq!(release.stdout, "3.20.3\n");
}

#[test]
fn debian() {
    let world = World::with(samples::debian());
    let list = world.run(&[], &["dpkg", "-l"]).ok().stdout;
    let installed = list.lines().filter(|line| line.starts_with("ii  ")).count();
    assert!(installed > 50, "{installed} packages:\n{list}");
    assert!(list.contains("ii  base-files"), "{list}");
    // The account is in the image, not on the host's side.
    assert_eq!(world.script(&["-u", "nobody"], "id -un"), "nobody");
}

/// Three layers with deletes: the merged tree, as umoci itself unpacks it.
#[test]
fn umoci() {
    let scratch = Scratch::new();
    let layout = samples::umoci(&scratch);
    let manifest = layout.resolve(samples::TAG);
    assert_eq!(layout.layer_digests(&manifest).len(), 3);
    let bundle = scratch.join("oracle");
    process::tool(
        Command::new(need::program("umoci", "umoci"))
            .args(["unpack", "--image"])
            .arg(format!("{}:{}", layout.path().display(), samples::TAG))
            .arg(&bundle),
    );
    let oracle = Tree::read(&bundle.join("rootfs"));
    assert!(oracle.has("kept") && oracle.has("dir/new") && !oracle.has("gone"));
    let world = World::with(layout);
    for backend in ["copy", "overlay"] {
        let place = world.ucr.scratch().join(backend);
        let path = place.to_str().unwrap();
        world
            .ucr
            .run(["provision", "--backend", backend, &world.image, path])
            .ok();
        let tree = Tree::read(&place);
        for path in ["gone", "dir/old", "turned/inside"] {
            assert!(!tree.has(path), "{backend}: {path} was deleted");
        }
        assert_eq!(tree.node("turned").kind, "symlink", "{backend}");
        tree.timeless().assert_same(&oracle.clone().timeless());
        world.ucr.run(["rm", path]).ok();
    }
}

/// The official image's default command is a shell, which reads what comes.
#[test]
fn busybox() {
    let world = World::busybox();
    let done = world
        .command(&["-i"], &[])
        .stdin("echo pid $$\nexit 9\n")
        .run();
    assert_eq!(done.expect_code(9).stdout, "pid 1\n");
}
