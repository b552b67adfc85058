//! Both backends make one tree of every image there is, and pulling all layers at once makes the
//! tree that pulling one after the other makes.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::buildah;
use crate::support::layout::Layout;
use crate::support::samples::{self, TAG};
use crate::support::scratch::Scratch;
use crate::support::tree::Tree;
use crate::support::ucr::Ucr;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Name, platform, image; `scratches` hold what other tools make.
fn images(scratches: &[Scratch; 4]) -> Vec<(&'static str, &'static str, Layout)> {
    let amd64 = "linux/amd64";
    let [umoci, rich, history, converted] = scratches;
    let mut images = vec![
        ("busybox", amd64, samples::busybox()),
        ("busybox for arm64", "linux/arm64", samples::busybox_arm64()),
        ("alpine", amd64, samples::alpine()),
        ("debian", amd64, samples::debian()),
        (
            "busybox, 14 layers",
            amd64,
            samples::busybox_14_layers(converted),
        ),
        ("umoci", amd64, samples::umoci(umoci)),
        ("buildah, one rich layer", amd64, buildah::rich(rich)),
        ("buildah, a history", amd64, buildah::history(history)),
    ];
    images.extend(samples::others(converted));
    images
}

fn provision(ucr: &Ucr, backend: &str, platform: &str, image: &str) -> Tree {
    let place = ucr.scratch().join(backend);
    let path = place.to_str().unwrap();
    let line = [
        "provision",
        "--backend",
        backend,
        "--platform",
        platform,
        image,
        path,
    ];
    ucr.run(line).ok();
    let tree = Tree::read(&place);
    ucr.run(["rm", path]).ok();
    tree
}

#[test]
fn overlay_and_copy() {
    let scratches = [(); 4].map(|()| Scratch::new());
    for (name, platform, layout) in images(&scratches) {
        let ucr = Ucr::new();
        let reference = layout.reference(TAG);
        let overlay = provision(&ucr, "overlay", platform, &reference);
        assert!(overlay.0.len() > 1, "{name}: an empty tree");
        eprintln!("{name}: {} objects", overlay.0.len());
        overlay.assert_same(&provision(&ucr, "copy", platform, &reference));
    }
}

/// An image of the first layers of another, under its number of layers as tag.
fn first_layers(layout: &Layout, count: usize) -> String {
    let mut manifest = layout.json(&layout.resolve(TAG));
    let config = manifest["config"]["digest"].as_str().unwrap().to_owned();
    let mut config = layout.json(&config);
    let cut = |list: &mut Value| list.as_array_mut().unwrap().truncate(count);
    cut(&mut manifest["layers"]);
    cut(&mut config["rootfs"]["diff_ids"]);
    config.as_object_mut().unwrap().remove("history");
    let media_type = manifest["config"]["mediaType"].as_str().unwrap().to_owned();
    manifest["config"] = layout.put(config.to_string().as_bytes(), &media_type);
    manifest["mediaType"] = json!(MANIFEST);
    let descriptor = layout.put(manifest.to_string().as_bytes(), MANIFEST);
    let tag = count.to_string();
    layout.tag(&tag, descriptor);
    layout.reference(&tag)
}

/// The layers of a store, with all times but those of whiteouts, which nobody sees; what is beside
/// them has the time of the pull.
fn layers(ucr: &Ucr) -> Tree {
    let mut tree = Tree::read(&ucr.root().join("layers"));
    let is_of_layer = |path: &Path| path.iter().nth(1).is_some_and(|part| part == "fs");
    tree.0.retain(|path, _| is_of_layer(path));
    let whiteouts = tree.0.values_mut().filter(|node| node.rdev == Some((0, 0)));
    whiteouts.for_each(|node| node.mtime = (0, 0));
    tree
}

#[test]
fn together_as_one_by_one() {
    let scratches = [(); 2].map(|()| Scratch::new());
    for layout in [
        samples::busybox_14_layers(&scratches[0]),
        buildah::history(&scratches[1]),
    ] {
        let together = Ucr::new();
        together.pull(&layout.reference(TAG));
        let one_by_one = Ucr::new();
        let count = layout.layer_digests(&layout.resolve(TAG)).len();
        assert!(count > 3);
        for count in 1..=count {
            one_by_one.pull(&first_layers(&layout, count));
        }
        let tree = layers(&together);
        assert!(tree.0.len() > count);
        tree.assert_same(&layers(&one_by_one));
    }
}
