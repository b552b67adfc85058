//! Keeping house: `images`, `rm`, `prune`, as text and as JSON.

use serde_json::json;

use crate::support::image::Image;
use crate::support::layer::Layer;
use crate::support::layout::Layout;
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
    let layout = Layout::of("a", &Image::new().layer(Layer::new().file("version", "1")));
    let scratch = crate::support::scratch::Scratch::new();
    let place = scratch.join("layout");
    let copy = |from: &Layout| {
        let mut command = std::process::Command::new("cp");
        command.arg("-rT").arg(from.path()).arg(&place);
        crate::support::process::tool(&mut command);
    };
    copy(&layout);
    let ucr = Ucr::new();
    let reference = Layout::at(&place).reference("a");
    let first = ucr.pull(&reference);
    let newer = Layout::of("a", &Image::new().layer(Layer::new().file("version", "2")));
    copy(&newer);
    assert_eq!(
        ucr.run(["pull", "--policy", "missing", &reference])
            .ok()
            .text(),
        first
    );
    let second = ucr.run(["pull", "--policy", "always", &reference]).ok();
    assert_eq!(second.text(), newer.resolve("a"));
    assert_eq!(names(&ucr).len(), 1);
    ucr.run(["prune"]).ok();
    assert_eq!(layers(&ucr), 1);
}
