//! Keeping house: `images`, `rm`, `prune`, as text and as JSON.

use serde_json::json;

use crate::support::image::Image;
use crate::support::layer::Layer;
use crate::support::layout::Layout;
use crate::support::registry::Registry;
use crate::support::ucr::Ucr;

/// Two images over one shared layer: `a` and `b`.
fn two() -> Layout {
    let layout = Layout::new();
    for tag in ["a", "b"] {
        let shared = Layer::new().dir("etc", 0o755).file("etc/shared", "shared");
        let own = Layer::new().file("own", tag);
        layout.add(tag, &Image::new().layer(shared).layer(own).cmd(&["x"]));
    }
    layout
}

fn names(ucr: &Ucr) -> Vec<String> {
    let listed = ucr.run(["images", "--format", "json"]).ok().json();
    let images = listed.as_array().expect("a list").iter();
    let mut names: Vec<_> = images
        .map(|image| image["name"].as_str().unwrap().into())
        .collect();
    names.sort();
    names
}

fn layers(ucr: &Ucr) -> usize {
    ucr.entries(&["layers"]).len()
}

#[test]
fn an_empty_store() {
    let ucr = Ucr::new();
    assert_eq!(
        ucr.run(["images", "--format", "json"]).ok().json(),
        json!([])
    );
    ucr.run(["images"]).ok();
    ucr.run(["prune"]).ok();
    ucr.run(["prune", "--format", "json"]).ok().json();
}

#[test]
fn images_are_listed_and_removed() {
    let layout = two();
    let (a, b) = (layout.reference("a"), layout.reference("b"));
    let ucr = Ucr::new();
    ucr.pull(&a);
    ucr.pull(&b);
    assert_eq!(names(&ucr), [a.clone(), b.clone()]);
    let text = ucr.run(["images"]).ok().stdout;
    assert!(text.contains(&a) && text.contains(&b), "{text}");
    ucr.run(["rm", &a]).ok();
    assert_eq!(names(&ucr), [b.as_str()]);
    ucr.run(["rm", &a]).refused(&[&a]);
    ucr.run(["rm", &b]).ok();
    assert!(names(&ucr).is_empty());
}

#[test]
fn prune_takes_what_nothing_refers_to() {
    let layout = two();
    let ucr = Ucr::new();
    for tag in ["a", "b"] {
        ucr.pull(&layout.reference(tag));
    }
    assert_eq!(layers(&ucr), 3, "the shared layer is stored once");
    ucr.run(["prune"]).ok();
    assert_eq!(layers(&ucr), 3, "all is referred to");
    ucr.run(["rm", &layout.reference("a")]).ok();
    ucr.run(["prune"]).ok();
    assert_eq!(layers(&ucr), 2, "a's own layer is gone");
    ucr.run(["rm", &layout.reference("b")]).ok();
    ucr.run(["prune", "--format", "json"]).ok().json();
    assert_eq!(layers(&ucr), 0);
    let kept = ucr.entries(&["blobs/sha256", "refs", "tmp", "ingest", "trash"]);
    assert!(kept.is_empty(), "left in the store: {kept:#?}");
}

/// The same name twice is one image; its old content is prune's.
#[test]
fn a_moved_tag() {
    let version =
        |text: &str| Layout::of("a", &Image::new().layer(Layer::new().file("version", text)));
    let (old, new) = (version("1"), version("2"));
    let registry = Registry::open();
    let reference = registry.push(&old, "a", "demo/moved:a");
    let ucr = Ucr::new();
    assert_eq!(ucr.pull(&reference), old.resolve("a"));
    registry.push(&new, "a", "demo/moved:a");
    let pull = |policy: &str| {
        let done = ucr.run(["pull", "--policy", policy, &reference]).ok();
        done.text().to_owned()
    };
    assert_eq!(pull("missing"), old.resolve("a"));
    assert_eq!(pull("never"), old.resolve("a"));
    assert_eq!(pull("newer"), new.resolve("a"));
    registry.push(&old, "a", "demo/moved:a");
    assert_eq!(pull("always"), old.resolve("a"));
    drop(registry);
    assert_eq!(pull("newer"), old.resolve("a"), "nobody is there to ask");
    ucr.run(["pull", "--policy", "always", &reference])
        .refused(&[]);
    assert_eq!(names(&ucr).len(), 1);
    ucr.run(["prune"]).ok();
    assert_eq!(layers(&ucr), 1);
}

/// A file of this machine is looked at each time: that costs nothing.
#[test]
fn a_layout_that_changed() {
    let version = |text: &str| Image::new().layer(Layer::new().file("version", text));
    let layout = Layout::of("a", &version("1"));
    let ucr = Ucr::new();
    ucr.pull(&layout.reference("a"));
    let newer = layout.add("b", &version("2"));
    layout.retag("b", "a");
    assert_eq!(ucr.pull(&layout.reference("a")), newer);
    assert_eq!(names(&ucr).len(), 1);
}

/// Looking whether an image changed does not fetch it, and is no pull to those who count.
#[test]
fn an_image_that_is_current_costs_no_fetch() {
    let registry = Registry::open();
    let layout = Layout::of("a", &Image::new().layer(Layer::new().file("a", "1")));
    let reference = registry.push(&layout, "a", "demo/current:a");
    let ucr = Ucr::new();
    ucr.pull(&reference);
    for policy in ["always", "newer"] {
        ucr.run(["pull", "--policy", policy, &reference]).ok();
    }
    ucr.run(["pull", "--policy", "missing", &reference]).ok();
    let requests = registry.stop();
    let fetched = requests.iter().filter(|request| {
        request.method == "GET" && request.status == 200 && request.path.contains("/manifests/")
    });
    assert_eq!(fetched.count(), 1, "{requests:#?}");
}
