//! Digests, descriptors, manifests and layouts that are not what they should be.

use std::fs;

use serde_json::{Value, json};

use super::Range;
use crate::support::image::Image;
use crate::support::layer::Packing;
use crate::support::layout::Layout;
use crate::support::raw_tar::RawTar;
use crate::support::samples::TAG;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn plain() -> Layout {
    let layer = RawTar::new().file("f", "1").layer();
    let layer = layer.packed(Packing::Plain);
    Layout::of(TAG, &Image::new().layer(layer))
}

/// A good image whose manifest is changed before it gets its name.
fn with_manifest(change: impl FnOnce(&mut Value)) -> Layout {
    let layout = plain();
    let mut manifest = layout.json(&layout.resolve(TAG));
    change(&mut manifest);
    let descriptor = layout.put(&serde_json::to_vec(&manifest).unwrap(), MANIFEST);
    layout.tag("changed", descriptor);
    layout.retag("changed", TAG);
    layout
}

/// A good image whose configuration lists other layers.
fn with_diff_ids(change: impl FnOnce(&mut Vec<Value>)) -> Layout {
    with_config(|config| change(config["rootfs"]["diff_ids"].as_array_mut().unwrap()))
}

fn with_config(change: impl FnOnce(&mut Value)) -> Layout {
    let layout = plain();
    let mut manifest = layout.json(&layout.resolve(TAG));
    let mut config = layout.json(manifest["config"]["digest"].as_str().unwrap());
    change(&mut config);
    let media_type = manifest["config"]["mediaType"].as_str().unwrap().to_owned();
    manifest["config"] = layout.put(&serde_json::to_vec(&config).unwrap(), &media_type);
    let descriptor = layout.put(&serde_json::to_vec(&manifest).unwrap(), MANIFEST);
    layout.tag("changed", descriptor);
    layout.retag("changed", TAG);
    layout
}

impl Range {
    /// Pulls from a layout; it must be refused with these words, with nothing in the store.
    fn refuses(&self, name: &str, layout: &Layout, words: &[&str]) {
        let done = self.ucr.run(["pull", &layout.reference(TAG)]);
        let result = self.refused(name, &done, words.iter().copied());
        self.assert_untouched(name);
        self.row(None, name, &result);
    }
}

/// 41, 42: nothing counts before blob digest, size and diff ID are right.
#[test]
fn digests_that_do_not_match() {
    let range = Range::new("digests that do not match");
    let layout = plain();
    let blob = layout.layer_digests(&layout.resolve(TAG)).remove(0);
    let path = layout.blob_path(&blob);
    let whole = fs::read(&path).unwrap();
    for (name, at) in [
        ("first", 0),
        ("middle", whole.len() / 2),
        ("last", whole.len() - 1),
    ] {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        fs::write(&path, flipped).unwrap();
        range.refuses(&format!("the {name} byte flipped"), &layout, &[&blob]);
    }
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    range.refuses("a byte less", &layout, &[&blob]);
    fs::write(&path, [&whole[..], b"x"].concat()).unwrap();
    range.refuses("a byte more", &layout, &[&blob]);
    fs::write(&path, &whole).unwrap();
    range.ucr.pull(&layout.reference(TAG));
    range.ucr.run(["rm", &layout.reference(TAG)]).ok();
    range.ucr.run(["prune"]).ok();

    let other = json!(format!("sha256:{}", "0".repeat(64)));
    let wrong = with_diff_ids(|ids| ids[0] = other.clone());
    range.refuses("another diff ID", &wrong, &["diff ID"]);
    range.refuses(
        "too many diff IDs",
        &with_diff_ids(|ids| ids.push(other.clone())),
        &["diff"],
    );
    range.refuses("no diff IDs", &with_diff_ids(Vec::clear), &["diff"]);
}

/// 43 (CVE-2024-3727): a digest is checked before it is part of any path.
#[test]
fn digests_as_paths() {
    let range = Range::new("digests as paths");
    let up = format!("sha256:{}{}/passwd", "../".repeat(12), range.canary);
    for digest in [
        up.as_str(),
        "sha256:../../x",
        &format!("sha256:{}", "A".repeat(64)),
        &format!("sha256:{}", "a".repeat(63)),
        &format!("sha256:{}", "a".repeat(65)),
        &format!("md5:{}", "a".repeat(32)),
        &format!("../sha256:{}", "a".repeat(64)),
        "sha256:",
        "",
    ] {
        let layer = with_manifest(|manifest| manifest["layers"][0]["digest"] = json!(digest));
        range.refuses(&format!("layer {digest}"), &layer, &["manifest sha256:"]);
        let config = with_manifest(|manifest| manifest["config"]["digest"] = json!(digest));
        range.refuses(
            &format!("configuration {digest}"),
            &config,
            &["manifest sha256:"],
        );
        let diff_id = with_diff_ids(|ids| ids[0] = json!(digest));
        range.refuses(&format!("diff ID {digest}"), &diff_id, &["configuration"]);
    }
}

/// 32: sizes of descriptors. A blob without an end is in tests/registry/faults.rs.
#[test]
fn sizes() {
    let range = Range::new("sizes of descriptors");
    for size in [
        json!(-1),
        json!(1.5),
        json!("10"),
        json!(1u64 << 63),
        Value::Null,
    ] {
        let layer = with_manifest(|manifest| manifest["layers"][0]["size"] = size.clone());
        range.refuses(&format!("layer of {size}"), &layer, &[]);
        let config = with_manifest(|manifest| manifest["config"]["size"] = size.clone());
        range.refuses(&format!("configuration of {size}"), &config, &[]);
    }
    let long = with_manifest(|manifest| manifest["layers"][0]["size"] = json!(5));
    range.refuses("longer than it says", &long, &["layer sha256:"]);
    let short = with_manifest(|manifest| manifest["layers"][0]["size"] = json!(1u64 << 40));
    range.refuses("shorter than it says", &short, &["layer sha256:"]);
}

/// 44 (GHSA-r3h2-rgqf-9hv9): a layout's blobs are files inside it.
#[test]
fn links_in_a_layout() {
    let range = Range::new("links in an image layout");
    let canary = format!("{}/passwd", range.canary);
    for link in [
        canary.as_str(),
        "/etc/shadow",
        "/dev/zero",
        "/proc/self/mem",
        ".",
    ] {
        for of_layer in [true, false] {
            let layout = plain();
            let manifest = layout.resolve(TAG);
            let blob = match of_layer {
                true => layout.layer_digests(&manifest).remove(0),
                false => manifest,
            };
            let path = layout.blob_path(&blob);
            fs::remove_file(&path).unwrap();
            std::os::unix::fs::symlink(link, &path).unwrap();
            let what = if of_layer { "layer" } else { "manifest" };
            range.refuses(&format!("{what} -> {link}"), &layout, &[&blob]);
        }
    }
    // The right bytes do not make it right: the link leads out.
    let layout = plain();
    let path = layout.blob_path(&layout.layer_digests(&layout.resolve(TAG))[0]);
    let outside = range.ucr.scratch().join("moved");
    fs::rename(&path, &outside).unwrap();
    std::os::unix::fs::symlink(&outside, &path).unwrap();
    range.refuses("the right bytes outside", &layout, &[]);
    let layout = plain();
    let index = layout.path().join("index.json");
    fs::remove_file(&index).unwrap();
    std::os::unix::fs::symlink(&canary, &index).unwrap();
    range.refuses("index.json", &layout, &[]);
}

/// 45 (CVE-2021-41190), 40's media types: a document is one thing.
#[test]
fn media_types() {
    let range = Range::new("documents that are two things");
    let index = "application/vnd.oci.image.index.v1+json";
    let both = with_manifest(|manifest| manifest["manifests"] = json!([]));
    range.refuses("manifest and index", &both, &[]);
    let lies = with_manifest(|manifest| manifest["mediaType"] = json!(index));
    range.refuses("a manifest that says it is an index", &lies, &[]);
    let html = with_manifest(|manifest| manifest["layers"][0]["mediaType"] = json!("text/html"));
    range.refuses("a layer that is a web page", &html, &["text/html"]);
    let helm = json!("application/vnd.cncf.helm.config.v1+json");
    let chart = with_manifest(|manifest| manifest["config"]["mediaType"] = helm);
    range.refuses("no container image", &chart, &["helm"]);
    let layer_is_config = with_manifest(|manifest| {
        let layer = manifest["layers"][0]["mediaType"].clone();
        manifest["layers"][0] = manifest["config"].clone();
        manifest["layers"][0]["mediaType"] = layer;
    });
    // Whoever fetches both waits for nobody.
    range.refuses(
        "a configuration that is a layer",
        &layer_is_config,
        &["layer sha256:"],
    );
}
