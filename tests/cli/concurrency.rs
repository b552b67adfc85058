//! Two pulls at once, and a pull that was killed.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::image::Image;
use crate::support::layer::{Layer, Packing};
use crate::support::layout::Layout;
use crate::support::process::Running;
use crate::support::registry::{Registry, blob_fetches};
use crate::support::scripted_registry::{Misbehaviour, ScriptedRegistry};
use crate::support::tree::Tree;
use crate::support::ucr::Ucr;

const LIMIT: Duration = Duration::from_secs(120);
const MIB: usize = 1 << 20;

/// An image whose layers do not compress, so that a pull takes long enough to be met half-way; with
/// everything in it that the store must keep: owners, xattrs, links, an opaque directory.
fn image(layers: usize, size: usize) -> Layout {
    let image = (0..layers).fold(Image::new().cmd(&["x"]), |image, number| {
        let name = format!("data/{number}");
        let layer = Layer::new()
            .dir("data", 0o750)
            .owner(7, 8)
            .file(&name, noise(size, number as u64))
            .xattr("user.number", &[number as u8])
            .hardlink(&format!("link{number}"), &name)
            .opaque("other")
            .file("other/file", name.as_bytes())
            .packed([Packing::Gzip, Packing::Zstd][number % 2]);
        image.layer(layer)
    });
    Layout::of("big", &image)
}

/// Bytes without a pattern that a compressor could use (xorshift64).
pub fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

#[test]
fn two_pulls_fetch_each_blob_once() {
    let layout = image(3, 16 * MIB);
    let registry = Registry::open();
    let reference = registry.push(&layout, "big", "demo/big:1");
    let ucr = Ucr::new();
    let both = [0, 1].map(|_| ucr.cmd(["pull", &reference]).spawn());
    for pull in both {
        assert_eq!(pull.finish(LIMIT).ok().text(), layout.resolve("big"));
    }
    assert_no_lock(&ucr.root());
    let manifest = layout.json(&layout.resolve("big"));
    let mut wanted: BTreeSet<_> = layout
        .layer_digests(&layout.resolve("big"))
        .into_iter()
        .collect();
    wanted.insert(manifest["config"]["digest"].as_str().unwrap().to_owned());
    let fetches = blob_fetches(&registry.stop());
    assert_eq!(fetches.keys().cloned().collect::<BTreeSet<_>>(), wanted);
    assert!(fetches.values().all(|count| *count == 1), "{fetches:#?}");
}

/// Two images that share a layer, at once: the shared layer is fetched once, too.
#[test]
fn two_images_share_a_fetch() {
    let shared = Layer::new().file("shared", noise(16 * MIB, 99));
    let layout = Layout::new();
    for tag in ["a", "b"] {
        let own = Layer::new().file("own", tag);
        layout.add(tag, &Image::new().layer(shared.clone()).layer(own));
    }
    let registry = Registry::open();
    let ucr = Ucr::new();
    let pulls = ["a", "b"].map(|tag| {
        let reference = registry.push(&layout, tag, &format!("demo/share:{tag}"));
        ucr.cmd(["pull", &reference])
    });
    for pull in pulls.map(|pull| pull.spawn()) {
        pull.finish(LIMIT).ok();
    }
    let shared = layout.layer_digests(&layout.resolve("a")).remove(0);
    assert_eq!(blob_fetches(&registry.stop())[&shared], 1);
}

/// A registry with the image, its name there, and what a store looks like after an undisturbed pull.
fn pulled(layout: &Layout) -> (ScriptedRegistry, String, Tree) {
    let server = layout.serve("big");
    let reference = format!("{}/demo/big:big", server.host());
    let clean = Ucr::new();
    clean.pull(&reference);
    (server, reference, listing(&clean.root()))
}

/// A pull that does not end by itself: the registry falls silent in the middle of the last layer.
fn stuck(ucr: &Ucr, server: &ScriptedRegistry, reference: &str, layout: &Layout) -> Running {
    let last = layout.layer_digests(&layout.resolve("big")).pop();
    let path = format!("/blobs/{}", last.unwrap());
    server.script(&path, 1, Misbehaviour::StallAfter(MIB));
    let before = server.asked(&path).len();
    let pull = ucr.cmd(["pull", reference]).spawn();
    pull.wait_until("a request for the last layer", LIMIT, || {
        server.asked(&path).len() > before
    });
    pull
}

/// Another ucr that is stuck does not hold up one that has a time limit.
#[test]
fn waiting_for_another_pull_ends_in_time() {
    let layout = image(1, 4 * MIB);
    let (server, reference, _) = pulled(&layout);
    let ucr = Ucr::new();
    let first = stuck(&ucr, &server, &reference, &layout);
    let second = ucr.cmd(["pull", "--pull-timeout", "2", &reference]);
    let second = second.limit(Duration::from_secs(20)).run();
    second.refused(&["longer than allowed", "another ucr is fetching"]);
    first.signal(Signal::SIGKILL);
    assert_eq!(first.finish(LIMIT).code, -9);
    ucr.run(["pull", "--pull-timeout", "60", &reference]).ok();
}

#[test]
fn a_killed_pull_leaves_no_trace_after_the_next() {
    let layout = image(4, 12 * MIB);
    let (server, reference, expected) = pulled(&layout);
    for written in [1, 10 * MIB as u64, 30 * MIB as u64] {
        let ucr = Ucr::new();
        let pull = stuck(&ucr, &server, &reference, &layout);
        pull.wait_until("bytes in the store", LIMIT, || {
            size_below(&ucr.root()) >= written
        });
        pull.signal(Signal::SIGKILL);
        assert_eq!(pull.finish(LIMIT).code, -9);
        assert_eq!(
            ucr.run(["images", "--format", "json"]).ok().json(),
            serde_json::json!([])
        );
        assert_eq!(ucr.pull(&reference), layout.resolve("big"));
        listing(&ucr.root()).assert_same(&expected);
        assert_no_lock(&ucr.root());
    }
}

/// SIGINT and SIGTERM end a pull at once, as a shell expects; what was begun is the next pull's,
/// after which nothing of it is left.
#[test]
fn an_interrupted_pull_is_mended_by_the_next() {
    let layout = image(2, 4 * MIB);
    let (server, reference, expected) = pulled(&layout);
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let ucr = Ucr::new();
        let pull = stuck(&ucr, &server, &reference, &layout);
        pull.wait_until("bytes in the store", LIMIT, || size_below(&ucr.root()) > 0);
        pull.signal(signal);
        let code = pull.finish(Duration::from_secs(10)).code;
        assert_eq!(code, -(signal as i32), "{signal}");
        ucr.pull(&reference);
        listing(&ucr.root()).assert_same(&expected);
    }
}

/// All that a store has. Of times only those of the files in layers: the others are those of the
/// pull, as is that of a whiteout, which nobody sees. The JSON records carry a time, too, of one
/// length.
pub fn listing(root: &Path) -> Tree {
    let mut tree = Tree::read(root);
    for (path, node) in &mut tree.0 {
        let is_of_layer = path.iter().nth(2).is_some_and(|part| part == "fs");
        if !is_of_layer || node.rdev == Some((0, 0)) {
            node.mtime = (0, 0);
        }
        let is_record = path
            .extension()
            .is_some_and(|extension| extension == "json");
        if is_record && !is_of_layer {
            node.sha256 = None;
        }
    }
    tree
}

/// The bytes in files below a directory that another process is changing.
fn size_below(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => size_below(&entry.path()),
        Ok(meta) => meta.blocks() * 512,
        Err(_) => 0,
    });
    sizes.sum()
}

/// Every lock in the store can be had.
pub fn assert_no_lock(root: &Path) {
    for (path, node) in Tree::read(root).0 {
        if matches!(node.kind, "file" | "dir") && !path.starts_with("layers") {
            let file = File::open(root.join(&path)).unwrap();
            assert!(file.try_lock().is_ok(), "{} is locked", path.display());
        }
    }
}
