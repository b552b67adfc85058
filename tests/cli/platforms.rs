//! Which image of several: ours by itself, another when told, and what there is when it is not.

use crate::support::image::Image;
use crate::support::layer::Layer;
use crate::support::layout::Layout;
use crate::support::registry::Registry;
use crate::support::samples;
use crate::support::ucr::Ucr;

fn inspected_platform(ucr: &Ucr, reference: &str) -> String {
    let inspected = ucr
        .run(["inspect", "--format", "json", reference])
        .ok()
        .json();
    inspected["platform"].as_str().unwrap().to_owned()
}

/// The real pair of busybox images, from a registry and from a layout.
#[test]
fn ours_or_the_one_that_is_asked_for() {
    let (layout, amd64, arm64) = samples::busybox_pair();
    let registry = Registry::open();
    let pushed = registry.push(&layout, samples::TAG, "demo/busybox:pair");
    for reference in [pushed, layout.reference(samples::TAG)] {
        let ucr = Ucr::new();
        assert_eq!(ucr.pull(&reference), amd64, "{reference}");
        assert_eq!(inspected_platform(&ucr, &reference), "linux/amd64");
        let other = ucr
            .run(["pull", "--platform", "linux/arm64", &reference])
            .ok();
        assert_eq!(other.text(), arm64, "{reference}");
        let ucr = Ucr::new();
        ucr.run(["pull", "--platform", "linux/arm64/v8", &reference])
            .ok();
        // v8 is what arm64 means: it is not shown.
        assert_eq!(inspected_platform(&ucr, &reference), "linux/arm64");
    }
}

#[test]
fn an_unknown_platform_lists_what_there_is() {
    let (layout, ..) = samples::busybox_pair();
    let registry = Registry::open();
    let pushed = registry.push(&layout, samples::TAG, "demo/busybox:pair");
    for reference in [pushed, layout.reference(samples::TAG)] {
        let ucr = Ucr::new();
        ucr.run(["pull", "--platform", "linux/s390x", &reference])
            .refused(&["linux/s390x", "linux/amd64", "linux/arm64"]);
        assert_eq!(
            ucr.run(["images", "--format", "json"]).ok().json(),
            serde_json::json!([])
        );
    }
}

/// A platform that cannot be one is refused before anything is asked of the network.
#[test]
fn a_platform_that_is_none() {
    let ucr = Ucr::new();
    for platform in ["", "/", "linux/", "linux/amd64/v1/x", "lin ux/amd64"] {
        let pull = ucr.run(["pull", "--platform", platform, "127.0.0.1:1/x:1"]);
        assert!(
            !pull.stderr.contains("127.0.0.1:1"),
            "{platform:?}: {}",
            pull.stderr
        );
        pull.refused(&["platform"]);
    }
}

/// Docker's manifest list with variants: the best of the matching ones, whatever the order.
#[test]
fn variants_of_a_manifest_list() {
    let image = |variant: &str| {
        let layer = Layer::new().file("variant", variant);
        Image::new().layer(layer).on("arm", Some(variant)).docker()
    };
    let registry = Registry::open();
    for order in [["v5", "v6", "v7"], ["v7", "v6", "v5"]] {
        let layout = Layout::new();
        layout.add_index("list", &order.map(image));
        let reference = registry.push(&layout, "list", "demo/variants:1");
        for variant in order {
            let ucr = Ucr::new();
            let platform = format!("linux/arm/{variant}");
            ucr.run(["pull", "--platform", &platform, &reference]).ok();
            assert_eq!(inspected_platform(&ucr, &reference), platform, "{order:?}");
        }
    }
}

/// An image without an index that says it is for a newer variant was accepted once; it is found
/// again without asking anybody.
#[test]
fn a_variant_nobody_asked_for() {
    let registry = Registry::open();
    let image = Image::new()
        .layer(Layer::new().file("a", "1"))
        .on("amd64", Some("v2"));
    let reference = registry.push(&Layout::of("a", &image), "a", "demo/variant:1");
    let ucr = Ucr::new();
    let digest = ucr.pull(&reference);
    drop(registry);
    let again = ucr.run(["pull", "--policy", "missing", &reference]).ok();
    assert_eq!(again.text(), digest);
}
