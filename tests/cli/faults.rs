//! Images that lie, and bytes that are not what they should be: refused, and nothing is kept.

use crate::support::image::Image;
use crate::support::layer::Layer;
use crate::support::layout::Layout;
use crate::support::registry::{Registry, cut, damage};
use crate::support::ucr::Ucr;

/// Two layers, so that one of them may be good.
fn image() -> Image {
    let text = "all work and no play ".repeat(4000);
    Image::new()
        .layer(Layer::new().file("good", "good"))
        .layer(Layer::new().file("text", text))
}

/// Nothing is listed, and nothing is in the store that a later pull could take for good.
#[track_caller]
fn assert_nothing_kept(ucr: &Ucr) {
    assert_eq!(
        ucr.run(["images", "--format", "json"]).ok().json(),
        serde_json::json!([])
    );
    let kept = ucr.entries(&["refs", "ingest", "tmp", "layers", "blobs/sha256"]);
    assert!(kept.is_empty(), "left in the store: {kept:#?}");
}

#[test]
fn a_damaged_blob() {
    let layout = Layout::of("x", &image());
    let manifest = layout.resolve("x");
    let config = layout.json(&manifest)["config"]["digest"]
        .as_str()
        .unwrap()
        .to_owned();
    let blob = layout.layer_digests(&manifest).pop().unwrap();
    for digest in [&blob, &config] {
        let registry = Registry::open();
        let reference = registry.push(&layout, "x", "demo/damaged:1");
        damage(&registry.blob_file(digest));
        let ucr = Ucr::new();
        ucr.run(["pull", &reference]).refused(&[digest]);
        assert_nothing_kept(&ucr);
    }
}

#[test]
fn a_blob_that_is_too_short() {
    let layout = Layout::of("x", &image());
    let blob = layout.layer_digests(&layout.resolve("x")).pop().unwrap();
    let registry = Registry::open();
    let reference = registry.push(&layout, "x", "demo/short:1");
    cut(&registry.blob_file(&blob));
    let ucr = Ucr::new();
    ucr.run(["pull", &reference]).refused(&[&blob]);
    assert_nothing_kept(&ucr);
}

/// From a layout as from a registry.
#[test]
fn damage_in_a_layout() {
    for spoil in [damage, cut] {
        let layout = Layout::of("x", &image());
        let blob = layout.layer_digests(&layout.resolve("x")).pop().unwrap();
        spoil(&layout.blob_path(&blob));
        let ucr = Ucr::new();
        ucr.run(["pull", &layout.reference("x")]).refused(&[&blob]);
        assert_nothing_kept(&ucr);
    }
}

#[test]
fn a_wrong_diff_id() {
    let wrong = format!("sha256:{}", "5".repeat(64));
    let image = image().layer(Layer::new().file("a", "a").claiming(&wrong));
    let layout = Layout::of("x", &image);
    let registry = Registry::open();
    let pushed = registry.push(&layout, "x", "demo/lie:1");
    for reference in [pushed, layout.reference("x")] {
        let ucr = Ucr::new();
        ucr.run(["pull", &reference]).refused(&[&wrong]);
        assert_nothing_kept(&ucr);
    }
}

/// A manifest that is missing, as registries say it.
#[test]
fn nothing_under_this_name() {
    let registry = Registry::open();
    registry.push(&Layout::of("x", &image()), "x", "demo/there:1");
    let ucr = Ucr::new();
    for name in ["demo/there:2", "demo/nosuch:1"] {
        let reference = registry.reference(name);
        ucr.run(["pull", &reference]).refused(&[&reference]);
    }
    assert_nothing_kept(&ucr);
}
